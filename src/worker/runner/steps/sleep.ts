/** Waits on the broker's clock. */
import { shown } from "../../../core/untrusted.ts";
import type { Json, SleepStep } from "../../../sdk/workflow/node.ts";
import { completed, type Ending } from "../job.ts";
import type { NodeAttempt } from "../node-attempt.ts";
import { suspended } from "../suspension.ts";

/** @throws HoldfastError PAYLOAD_TOO_LARGE. */
export function startSleep(attempt: NodeAttempt, step: SleepStep, input: Json): Ending {
  const delayMs = Math.ceil(Number(step.ms ?? input));
  if (typeof (step.ms ?? input) !== "number" || !(delayMs >= 0))
    return attempt.fault(`it sleeps for as long as its input says, which is ${shown(input)}; expected milliseconds`);
  return delayMs === 0 ? completed(null) : suspended(attempt, { kind: "delay", delayMs });
}

export function endSleep(): Ending {
  return completed(null);
}
