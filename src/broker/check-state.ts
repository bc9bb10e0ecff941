/**
 * Bounds of the calls for shared state (promise 9), for brokers that are called in process: the
 * schemas that a host applies to what comes over its wire, and what no schema can say.
 */
import { HoldfastError } from "../errors/index.ts";
import type { Broker, DeleteCheckpointsParams } from "./contract.ts";
import { parseParams } from "./schemas.ts";
import type { STATE_SCHEMAS } from "./schemas-state.ts";

export type StateMethod = keyof typeof STATE_SCHEMAS;

/**
 * Fields that name something, or are kept as they are. A lone surrogate has no UTF-8: two different
 * names would become one.
 */
const TEXTS = [
  "lock",
  "owner",
  "note",
  "key",
  "value",
  "writeId",
  "scope",
  "data",
  "label",
  "saveId",
  "prefix",
  "after",
];

/** The params, if they are within bounds. Errors: INVALID_REQUEST, PAYLOAD_TOO_LARGE. */
export function checkState<M extends StateMethod>(method: M, params: Parameters<Broker[M]>[0]): typeof params {
  parseParams(method, params);
  for (const path of TEXTS) {
    const text = (params as Readonly<Record<string, unknown>>)[path];
    if (typeof text === "string" && !text.isWellFormed()) {
      throw new HoldfastError("INVALID_REQUEST", { method, path, problem: "holds half of a surrogate pair" });
    }
  }
  if (method === "deleteCheckpoints") checkOneOf(params as DeleteCheckpointsParams);
  return params;
}

function checkOneOf({ version, keep }: DeleteCheckpointsParams): void {
  if (version === undefined || keep === undefined) return;
  const problem = "may not be given together with version";
  throw new HoldfastError("INVALID_REQUEST", { method: "deleteCheckpoints", path: "keep", problem });
}
