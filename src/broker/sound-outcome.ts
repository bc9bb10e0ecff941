/**
 * A suspension with tasks that no broker takes (an array, a parent that is not among them, none at all)
 * would leave its task without an end. It is a failure of the task that adds them, of class
 * `invalid-input`, and harms no other outcome of the same commit. Every broker passes outcomes through
 * this before it counts them.
 */
import type { Failure } from "../core/failure.ts";
import { HoldfastError } from "../errors/index.ts";
import { checkSuspension } from "./check-submission.ts";
import type { FailedAttempt, Outcome, SuspendedTask } from "./contract.ts";

export function soundOutcome(outcome: Outcome): Outcome {
  if (outcome.kind !== "suspended" || outcome.until.kind !== "tasks") return outcome;
  try {
    checkSuspension(outcome.until.groups, "until");
    return outcome;
  } catch (thrown) {
    if (!HoldfastError.is(thrown)) throw thrown;
    const { code, details } = thrown;
    return unsound(
      outcome,
      code === "INVALID_REQUEST" ? new HoldfastError(code, { ...details, method: "commit" }) : thrown,
    );
  }
}

function unsound({ lease, durationMs, output }: SuspendedTask, { code, message }: HoldfastError): FailedAttempt {
  const failure: Failure = { class: "invalid-input", code, message };
  return { kind: "failed", lease, durationMs, failure, ...(output === undefined ? {} : { output }) };
}
