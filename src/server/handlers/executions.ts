import type { EXECUTION_OPERATIONS } from "../../api/operations/executions.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function executionHandlers(_parts: ServerParts): HandlersOf<typeof EXECUTION_OPERATIONS> {
  return {};
}
