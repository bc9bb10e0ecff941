/** Tokens over HTTP. */
import type { TOKEN_OPERATIONS } from "../../api/operations/tokens.ts";
import type { Access } from "../access.ts";
import type { TokenView } from "../access/token-store.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";
import { principalKey } from "../principal.ts";

export function tokenHandlers(_parts: ServerParts, access: Access): HandlersOf<typeof TOKEN_OPERATIONS> {
  return {
    createToken: async ({ body }, { principal }) => {
      const { pools, expiresInMs, name, role } = body;
      const made = await access.tokens.create({
        name,
        role,
        ...(pools === undefined ? {} : { pools }),
        ...(expiresInMs === undefined ? {} : { expiresInMs }),
        createdBy: principalKey(principal),
      });
      return { success: true, token: made.token, ...shown(made) };
    },
    listTokens: async () => ({ success: true, tokens: (await access.tokens.list()).map(shown) }),
    revokeToken: async ({ params: { tokenId } }) => {
      await access.tokens.revoke(tokenId);
      return { success: true, tokenId };
    },
    whoAmI: async (_input, { principal: { name, role, pools, tokenId } }) => ({
      success: true,
      name,
      role,
      ...(pools === undefined ? {} : { pools: [...pools] }),
      ...(tokenId === undefined ? {} : { tokenId }),
    }),
  };
}

function shown({ id, name, role, pools, createdAt, createdBy, expiresAt, expired }: TokenView) {
  return {
    id,
    name,
    role,
    ...(pools === undefined ? {} : { pools: [...pools] }),
    createdAt,
    createdBy,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    expired,
  };
}
