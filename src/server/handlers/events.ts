import type { EVENT_OPERATIONS } from "../../api/operations/events.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function eventHandlers(_parts: ServerParts): HandlersOf<typeof EVENT_OPERATIONS> {
  return {};
}
