import type { DEAD_LETTER_OPERATIONS } from "../../api/operations/dead-letters.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function deadLetterHandlers(_parts: ServerParts): HandlersOf<typeof DEAD_LETTER_OPERATIONS> {
  return {};
}
