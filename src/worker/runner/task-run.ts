/** Runs one separate task. Everything that can be answered at once is, without a promise. */
import type { Failure } from "../../core/failure.ts";
import { pathTo } from "../../core/untrusted.ts";
import { HoldfastError } from "../../errors/index.ts";
import { type Checked, checkAgainst } from "../../sdk/standard-schema.ts";
import type { TaskDefinition } from "../../sdk/task.ts";
import { AttemptContext } from "./attempt-context.ts";
import { failureFromError, failureFromThrown } from "./failure.ts";
import { type Ending, failed, isThenable, type Job, loadFailure, resultText } from "./job.ts";

export function runTask(job: Job): Ending | Promise<Ending> {
  const { definition } = job.spec;
  return definition === undefined ? loadAndCall(job) : callTask(definition, job);
}

async function loadAndCall(job: Job): Promise<Ending> {
  let definition: TaskDefinition;
  try {
    definition = await job.spec.loadTask();
  } catch (thrown) {
    return failed(loadFailure(thrown));
  }
  if (job.control.isAborted) return failed(failureFromThrown(job.control.signal.reason));
  return callTask(definition, job);
}

function callTask(definition: TaskDefinition, job: Job): Ending | Promise<Ending> {
  try {
    const input: unknown = JSON.parse(job.run.input ?? "null");
    if (definition.input === undefined) return call(definition, input, job);
    const checked = checkAgainst(definition.input, input);
    return checked instanceof Promise
      ? checked.then((late) => callChecked(definition, late, job)).catch(failedBy)
      : callChecked(definition, checked, job);
  } catch (thrown) {
    return failedBy(thrown);
  }
}

function callChecked(definition: TaskDefinition, checked: Checked<unknown>, job: Job): Ending | Promise<Ending> {
  return checked.ok ? call(definition, checked.value, job) : failed(refusedInput(checked));
}

function call(definition: TaskDefinition, input: unknown, job: Job): Ending | Promise<Ending> {
  const answer: unknown = definition.run(input, new AttemptContext(job, job.run.task));
  return isThenable(answer) ? Promise.resolve(answer).then(completed, failedBy) : completed(answer);
}

function completed(value: unknown): Ending {
  const result = resultText(value);
  return "failure" in result ? failed(result.failure) : { type: "completed", result: result.text };
}

function failedBy(thrown: unknown): Ending {
  return failed(failureFromThrown(thrown));
}

/** An input that its task's schema refuses. */
export function refusedInput(refusal: { readonly path: readonly PropertyKey[]; readonly problem: string }): Failure {
  const path = refusal.path.reduce<string>(pathTo, "input");
  return failureFromError(new HoldfastError("INVALID_INPUT", { path, problem: refusal.problem }), "invalid-input");
}
