/** Executions by the beginning of their id, as git finds commits. */
import type { Broker, ExecutionView } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";

/** Ids named in an error when a prefix fits several. */
const CANDIDATES_SHOWN = 4;

/** Errors: EXECUTION_NOT_FOUND, EXECUTION_AMBIGUOUS. */
export async function findExecution(broker: Broker, typed: string): Promise<ExecutionView> {
  const { executions } = await broker.listExecutions({ idPrefix: typed, limit: CANDIDATES_SHOWN });
  const exact = executions.find((view) => view.executionId === typed);
  const [first, second] = executions;
  if (exact !== undefined) return exact;
  if (first === undefined || typed === "") throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: typed });
  if (second === undefined) return first;
  throw new HoldfastError("EXECUTION_AMBIGUOUS", { execution: typed, candidates: executions.map((view) => view.executionId).join(", ") });
}
