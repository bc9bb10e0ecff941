import type { WORKER_OPERATIONS } from "../../api/operations/workers.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function workerHandlers(_parts: ServerParts): HandlersOf<typeof WORKER_OPERATIONS> {
  return {};
}
