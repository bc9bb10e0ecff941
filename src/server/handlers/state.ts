import type { STATE_OPERATIONS } from "../../api/operations/state.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function stateHandlers(_parts: ServerParts): HandlersOf<typeof STATE_OPERATIONS> {
  return {};
}
