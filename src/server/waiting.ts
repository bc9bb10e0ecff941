/** Calls that wait for something to happen, and stop waiting when their caller has gone or the server ends. */
import type { Broker, ExecutionView } from "../broker/contract.ts";
import { isExecutionEnded } from "../core/states.ts";
import { untilEnded } from "../sdk/follow.ts";
import { orAborted } from "../util/or-aborted.ts";
import type { Clock } from "../util/clock.ts";

/** What `read` finds after a wait; as it is now, where the wait was broken off. */
export async function readOrNow<T>(
  read: (waitMs: number) => Promise<T>,
  waitMs: number,
  signal: () => AbortSignal,
): Promise<T> {
  if (waitMs === 0) return read(0);
  const until = signal();
  try {
    return await orAborted(read(waitMs), until);
  } catch (thrown) {
    if (!until.aborted) throw thrown;
    return read(0);
  }
}

interface EndWait {
  readonly executionId: string;
  readonly waitMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The execution when it has ended, or as it is when the wait is over. */
export async function waitForEnd(
  broker: Broker,
  { executionId, waitMs, clock, signal }: EndWait,
): Promise<ExecutionView> {
  if (waitMs === 0) return broker.getExecution({ executionId });
  const over = new AbortController();
  const stop = (): void => over.abort();
  const cancel = clock.schedule(waitMs, stop);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await untilEnded(broker, { executionId, signal: over.signal });
  } catch (thrown) {
    if (!over.signal.aborted) throw thrown;
    return await broker.getExecution({ executionId });
  } finally {
    cancel();
    signal.removeEventListener("abort", stop);
  }
}

/** 200 where it has ended, 202 where it goes on. */
export function statusOf(view: ExecutionView): 200 | 202 {
  return isExecutionEnded(view.state) ? 200 : 202;
}
