/** Calls a task's code with one input. Everything that can be answered at once is, without a promise. */
import type { Failure } from "../../core/failure.ts";
import { pathTo } from "../../core/untrusted.ts";
import { HoldfastError } from "../../errors/index.ts";
import { type Checked, checkAgainst } from "../../sdk/standard-schema.ts";
import type { TaskContext, TaskDefinition } from "../../sdk/task.ts";
import { failureFromError } from "./failure.ts";
import { completed, type Ending, failed, failedBy, isThenable } from "./job.ts";

export function callTask(definition: TaskDefinition, input: unknown, ctx: TaskContext): Ending | Promise<Ending> {
  try {
    if (definition.input === undefined) return call(definition, input, ctx);
    const checked = checkAgainst(definition.input, input);
    return checked instanceof Promise
      ? checked.then((late) => callChecked(definition, late, ctx)).catch(failedBy)
      : callChecked(definition, checked, ctx);
  } catch (thrown) {
    return failedBy(thrown);
  }
}

function callChecked(
  definition: TaskDefinition,
  checked: Checked<unknown>,
  ctx: TaskContext,
): Ending | Promise<Ending> {
  return checked.ok ? call(definition, checked.value, ctx) : failed(refusedInput(checked));
}

function call(definition: TaskDefinition, input: unknown, ctx: TaskContext): Ending | Promise<Ending> {
  const answer: unknown = definition.run(input, ctx);
  return isThenable(answer) ? Promise.resolve(answer).then(completed, failedBy) : completed(answer);
}

/** An input that its task's schema refuses. */
export function refusedInput(refusal: { readonly path: readonly PropertyKey[]; readonly problem: string }): Failure {
  const path = refusal.path.reduce<string>(pathTo, "input");
  return failureFromError(new HoldfastError("INVALID_INPUT", { path, problem: refusal.problem }), "invalid-input");
}
