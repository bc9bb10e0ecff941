/**
 * Where a command manages tokens: at a server over its API, or, where the address is a folder or a
 * Redis, in the store itself. The second way needs no token and no server, so it is also the way back
 * in for whoever has lost all tokens.
 */
import { newSecret } from "../app/new-secret.ts";
import { shortId } from "../app/short-id.ts";
import type { TOKEN_OPERATIONS } from "../api/operations/tokens.ts";
import type { HttpLink } from "../broker/http/http-link.ts";
import type { MadeToken, NewToken, TokenView } from "../server/access/token-store.ts";
import type { CliContext } from "./context.ts";
import { withBroker } from "./with-broker.ts";

export interface TokenKeeper {
  create(wanted: Omit<NewToken, "createdBy">): Promise<MadeToken>;
  list(): Promise<readonly TokenView[]>;
  revoke(id: string): Promise<void>;
}

/** Errors: those of withBroker and of a server, and what `action` throws. */
export async function withTokens<T>(
  context: CliContext,
  flags: { readonly broker?: string },
  action: (keeper: TokenKeeper) => Promise<T>,
): Promise<T> {
  return withBroker(context, flags, async ({ broker: store, link }) => {
    // Loaded by those who use it: schemas take a while.
    if (link !== undefined) {
      const { TOKEN_OPERATIONS: operations } = await import("../api/operations/tokens.ts");
      return action(keeperAt(link, operations));
    }
    const { TokenStore } = await import("../server/access/token-store.ts");
    const tokens = new TokenStore({ store, clock: context.clock, newId: shortId, newSecret });
    return action({
      create: (wanted) => tokens.create({ ...wanted, createdBy: "command line" }),
      list: () => tokens.list(),
      revoke: (id) => tokens.revoke(id),
    });
  });
}

function keeperAt(link: HttpLink, operations: typeof TOKEN_OPERATIONS): TokenKeeper {
  const { createToken, listTokens, revokeToken } = operations;
  return {
    create: async ({ pools, ...wanted }) => {
      const body = { ...wanted, ...(pools === undefined ? {} : { pools: [...pools] }) };
      return asView(await link.call(createToken, { body }));
    },
    list: async () => (await link.call(listTokens, {})).tokens.map(asView),
    revoke: async (tokenId) => {
      await link.call(revokeToken, { params: { tokenId } });
    },
  };
}

/** What JSON leaves out is absent here, too. */
function asView<T extends { pools?: string[] | undefined; expiresAt?: number | undefined }>({
  pools,
  expiresAt,
  ...rest
}: T): Omit<T, "pools" | "expiresAt"> & { readonly pools?: string[]; readonly expiresAt?: number } {
  return {
    ...rest,
    ...(pools === undefined ? {} : { pools }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}
