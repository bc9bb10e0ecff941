import type { TASK_OPERATIONS } from "../../api/operations/tasks.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function taskHandlers(_parts: ServerParts): HandlersOf<typeof TASK_OPERATIONS> {
  return {};
}
