import type { QUEUE_OPERATIONS } from "../../api/operations/queue.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function queueHandlers(_parts: ServerParts): HandlersOf<typeof QUEUE_OPERATIONS> {
  return {};
}
