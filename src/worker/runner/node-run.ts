/**
 * Runs one node of a workflow: judges its condition, does its step. A node that goes on after it has
 * suspended itself was judged before, and goes straight to its step.
 */
import { failureFromThrown } from "./failure.ts";
import { type Ending, failed, type Job, loadFailure } from "./job.ts";
import { judge } from "./judge.ts";
import { NodeAttempt } from "./node-attempt.ts";
import { resumeStep, startStep } from "./steps.ts";
import type { LoadedNode } from "./task-loader.ts";

/** Without a promise where all that it does can be done at once. */
export function runNode(loaded: LoadedNode, job: Job): Ending | Promise<Ending> {
  try {
    const attempt = new NodeAttempt(loaded, job);
    const { resumed } = job.run;
    return resumed === undefined ? begin(attempt) : resumeStep(attempt, resumed);
  } catch (thrown) {
    return failedBefore(thrown);
  }
}

function begin(attempt: NodeAttempt): Ending | Promise<Ending> {
  const { condition, needs = [] } = attempt.given;
  if (needs.some((node) => attempt.resultText(node) === undefined)) return { type: "skipped", dependents: "release" };
  if (condition === undefined) return startStep(attempt, attempt.input);
  const verdict = judge(attempt, condition);
  if (typeof verdict === "boolean") return verdict ? startStep(attempt, attempt.input) : skipped(attempt);
  return verdict.then((runs) => beginLate(attempt, runs)).catch(failedBefore);
}

function beginLate(attempt: NodeAttempt, runs: boolean): Ending | Promise<Ending> {
  const { signal } = attempt.job.control;
  if (signal.aborted) return failed(failureFromThrown(signal.reason));
  return runs ? startStep(attempt, attempt.input) : skipped(attempt);
}

function skipped({ given }: NodeAttempt): Ending {
  return { type: "skipped", dependents: given.onSkip ?? "skip" };
}

/** What a task's own code throws is caught where it is called; of this, another try would end the same. */
function failedBefore(thrown: unknown): Ending {
  return failed(loadFailure(thrown));
}
