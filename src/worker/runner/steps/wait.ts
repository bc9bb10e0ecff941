/** Waits for a signal of the execution, which may be the answer to an approval. */
import type { Resumption } from "../../../broker/contract.ts";
import { isPlainObject, shown } from "../../../core/untrusted.ts";
import { HoldfastError } from "../../../errors/index.ts";
import type { WaitStep } from "../../../sdk/workflow/node.ts";
import { failureFromError } from "../failure.ts";
import { completed, type Ending, failed } from "../job.ts";
import type { NodeAttempt } from "../node-attempt.ts";
import { suspended } from "../suspension.ts";
import { completedText } from "./completed-text.ts";

/** @throws HoldfastError PAYLOAD_TOO_LARGE. */
export function startWait(attempt: NodeAttempt, { signal = attempt.id, timeoutMs }: WaitStep): Ending {
  const limit = timeoutMs === undefined ? {} : { timeoutMs: Math.ceil(timeoutMs) };
  return suspended(attempt, { kind: "signal", signal, ...limit });
}

/** The signal has come, or the time is over. Neither changes at another try, so nothing of this is retried. */
export function endWait(attempt: NodeAttempt, step: WaitStep, { signal: payload }: Resumption): Ending {
  if (payload === undefined) return timedOut(attempt, step);
  return step.approval === true ? judgeApproval(attempt, payload) : completedText(payload);
}

function timedOut(attempt: NodeAttempt, step: WaitStep): Ending {
  const { signal = attempt.id, timeoutMs, onTimeout } = step;
  if (timeoutMs === undefined) return startWait(attempt, step);
  if (onTimeout === "continue") return completed(null);
  return refused(new HoldfastError("SIGNAL_TIMED_OUT", { node: attempt.id, timeoutMs, signal }));
}

function judgeApproval(attempt: NodeAttempt, payload: string): Ending {
  const answer: unknown = JSON.parse(payload);
  if (!isPlainObject(answer) || typeof answer["approved"] !== "boolean") {
    const expected = 'expected an object with "approved": true or false';
    return attempt.fault(`the answer to it is ${shown(answer)}; ${expected}`);
  }
  if (answer["approved"]) return completedText(payload);
  const { by, comment } = answer;
  const details = {
    node: attempt.id,
    by: typeof by === "string" ? ` by ${by}` : "",
    comment: typeof comment === "string" ? `: ${comment}` : "",
  };
  return refused(new HoldfastError("APPROVAL_REFUSED", details));
}

function refused(error: HoldfastError): Ending {
  return failed(failureFromError(error, "invalid-input"));
}
