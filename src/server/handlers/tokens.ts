import type { TOKEN_OPERATIONS } from "../../api/operations/tokens.ts";
import type { Access } from "../access.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";

export function tokenHandlers(_parts: ServerParts, _access: Access): HandlersOf<typeof TOKEN_OPERATIONS> {
  return {};
}
