/** Stands for a recorded task: takes as long, and puts out as much. */
import { MAX_PAYLOAD } from "../../../broker/limits.ts";
import { isPlainObject, shown } from "../../../core/untrusted.ts";
import type { Json } from "../../../sdk/workflow/node.ts";
import { sleep, systemClock } from "../../../util/clock.ts";
import { completed, type Ending, failedBy } from "../job.ts";
import type { NodeAttempt } from "../node-attempt.ts";

const clock = systemClock({ keepAlive: true });
/** The longest that a timer can take. */
const MAX_MS = 2_147_483_647;
/** Timers count whole milliseconds, and anything below is one to them. */
const TIMER_STEP_MS = 1;

export function replay(attempt: NodeAttempt, input: Json): Ending | Promise<Ending> {
  const { ms = 0, outputBytes } = isPlainObject(input) ? input : {};
  if (!isAmount(ms) || ms > MAX_MS)
    return attempt.fault(`it takes as long as its input says, which is ${shown(input)}`);
  if (outputBytes !== undefined && !(isAmount(outputBytes) && outputBytes <= MAX_PAYLOAD - 2))
    return attempt.fault(`its output is to be ${shown(outputBytes)} bytes; expected 0 to ${MAX_PAYLOAD - 2}`);
  const output = outputBytes === undefined ? { ms } : "x".repeat(outputBytes);
  if (ms === 0) return completed(output);
  return wait(ms, attempt.job.control.signal).then(() => completed(output), failedBy);
}

/** Never shorter: a timer for the whole milliseconds, turns of the event loop for what is left. */
async function wait(ms: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + ms;
  if (ms >= TIMER_STEP_MS) await sleep(clock, Math.floor(ms), signal);
  while (performance.now() < end && !signal.aborted) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
  signal.throwIfAborted();
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
