import type { POOL_OPERATIONS } from "../../api/operations/pools.ts";
import type { PoolView } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";
import { asRequest } from "../request-input.ts";
import type { Watch } from "../watch.ts";

export function poolHandlers({ broker }: ServerParts, { throughput }: Watch): HandlersOf<typeof POOL_OPERATIONS> {
  const measured = (view: PoolView): PoolView & { readonly perSecond?: number } => {
    const perSecond = throughput.rate(view.pool);
    return perSecond === undefined ? view : { ...view, perSecond };
  };
  return {
    listPools: async () => ({ pools: (await broker.listPools()).pools.map(measured) }),
    getPool: async ({ params }) => {
      const found = (await broker.listPools()).pools.find(({ pool }) => pool === params.pool);
      if (found === undefined) throw new HoldfastError("POOL_NOT_FOUND", { pool: params.pool });
      return measured(found);
    },
    pausePool: async ({ params }, { principal }) =>
      measured(await broker.pausePool({ pool: params.pool, by: principal.name })),
    resumePool: async ({ params }, { principal }) =>
      measured(await broker.resumePool({ pool: params.pool, by: principal.name })),
    limitPool: async ({ params, body }) => measured(await asRequest(broker.limitPool({ ...params, ...body }), asField)),
  };
}

function asField(path: string): string {
  return path === "pool" ? "params.pool" : `body.${path}`;
}
