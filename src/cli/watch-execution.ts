/** Shows an execution's progress until it has ended. */
import type { Execution } from "../sdk/execution.ts";
import type { Progress as ExecutionProgress } from "../sdk/progress.ts";
import type { Clock } from "../util/clock.ts";
import { ProgressDisplay } from "./terminal/progress-display.ts";
import type { Progress } from "./terminal/progress-line.ts";
import type { Screen } from "./terminal/screen.ts";

export interface WatchOptions {
  readonly screen: Screen;
  readonly clock: Clock;
  /** What is counted, plural. */
  readonly unit: string;
  readonly signal: AbortSignal;
}

/** Throws the signal's reason when interrupted. */
export async function watchExecution(execution: Execution, options: WatchOptions): Promise<void> {
  const startedAt = performance.now();
  let latest: ExecutionProgress | undefined;
  const display = new ProgressDisplay(options, {
    progress: () => toLine(latest, { unit: options.unit, elapsedMs: performance.now() - startedAt }),
  });
  try {
    for await (const progress of execution.progress({ signal: options.signal })) {
      latest = progress;
      display.refresh();
    }
  } finally {
    display.stop();
  }
}

function toLine(
  latest: ExecutionProgress | undefined,
  now: { readonly unit: string; readonly elapsedMs: number },
): Progress {
  return {
    done: latest?.done ?? 0,
    total: latest?.total ?? 1,
    unit: now.unit,
    rateUnit: now.unit,
    elapsedMs: now.elapsedMs,
    ...(latest?.perSecond === undefined ? {} : { ratePerSecond: latest.perSecond }),
    ...(latest?.etaMs === undefined || latest.done >= latest.total ? {} : { remainingMs: latest.etaMs }),
  };
}
