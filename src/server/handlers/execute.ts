import type { EXECUTE_OPERATIONS } from "../../api/operations/execute.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function executeHandlers(_parts: ServerParts): HandlersOf<typeof EXECUTE_OPERATIONS> {
  return {};
}
