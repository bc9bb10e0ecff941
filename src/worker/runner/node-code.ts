/** Code that belongs to a node of a workflow written in TypeScript. */
import { HoldfastError } from "../../errors/index.ts";
import { isWorkflowSource, type WorkflowSource } from "../../sdk/workflow/source.ts";
import type { ConditionCode } from "../../sdk/workflow/spec.ts";
import type { NodeAttempt } from "./node-attempt.ts";
import { importModule } from "./task-loader.ts";

/** @throws HoldfastError MODULE_NOT_LOADED, NODE_FAILED. */
export async function loadCondition({ id, given, loaded }: NodeAttempt): Promise<ConditionCode> {
  const { workflow: place } = loaded.handler;
  const fault = (problem: string): HoldfastError => new HoldfastError("NODE_FAILED", { node: id, problem });
  if (place === undefined || given.code === undefined)
    throw fault("its condition is code, and nothing says where that is");
  const exported = await importModule(place.module);
  const workflow = Object.values(exported).find(
    (value): value is WorkflowSource => isWorkflowSource(value) && value.name === place.name,
  );
  if (workflow === undefined) throw fault(`${place.module} exports no workflow named ${place.name}`);
  const code = workflow.code(given.code);
  if (code === undefined)
    throw fault(`workflow ${place.name} has no condition for it; has it changed since it was submitted?`);
  return code.condition;
}
