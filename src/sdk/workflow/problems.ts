/** All that is wrong with a workflow, as one error. */
import { HoldfastError } from "../../errors/index.ts";
import type { Problem } from "./spec.ts";

/** Problems in one error; the rest is counted. */
const MAX_TOLD = 20;

export function workflowError(workflow: string, problems: readonly Problem[]): HoldfastError {
  const told = problems.slice(0, MAX_TOLD).map(({ path, problem }) => `${path} ${problem}`);
  const rest = problems.length - told.length;
  const lines = [...told, ...(rest > 0 ? [`and ${rest} more`] : [])];
  const text = lines.length === 1 ? lines.join("") : `${problems.length} problems:\n${lines.join("\n")}`;
  return new HoldfastError("INVALID_WORKFLOW", { workflow, problems: text });
}
