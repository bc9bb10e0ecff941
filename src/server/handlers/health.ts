import type { HEALTH_OPERATIONS } from "../../api/operations/health.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function healthHandlers(_parts: ServerParts): HandlersOf<typeof HEALTH_OPERATIONS> {
  return {};
}
