import type { POOL_OPERATIONS } from "../../api/operations/pools.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function poolHandlers(_parts: ServerParts): HandlersOf<typeof POOL_OPERATIONS> {
  return {};
}
