/** What the log says of an event: which task of which delivery moved where. */
import type { BrokerEvent } from "../../../broker/contract.ts";

export interface EventNames {
  /** Executions in the order of the deliveries' numbers. */
  readonly executions: readonly string[];
  /** Nodes by task number. */
  readonly nodeOf: readonly string[];
}

/** Undefined for what is not of a delivery. */
export function eventLine(
  { executionId, change }: Pick<BrokerEvent, "executionId" | "change">,
  names: EventNames,
): string | undefined {
  if (change.kind === "session") return `session of ${change.worker} ${change.state}`;
  const number = names.executions.indexOf(executionId ?? "") + 1;
  if (number === 0) return undefined;
  const why = change.reason === undefined ? "" : ` (${change.reason})`;
  if (change.kind === "execution") return `delivery ${number} ${change.state}${why}`;
  const nodes = change.tasks.map((entry) => names.nodeOf[typeof entry === "number" ? entry : entry[0]] ?? "a task");
  const on = change.worker === undefined ? "" : ` on ${change.worker}`;
  return `delivery ${number}: ${nodes.join(", ")} ${change.state}${on}${why}`;
}
