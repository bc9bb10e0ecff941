/**
 * Whether tasks of a worker that may be dead could come back for want of anybody else.
 *
 * A worker that leaves because it is idle must not leave the tasks of a dead one behind: until the
 * broker counts that one as dead, nothing is queued and everything looks done. So an idle worker
 * stays until every other worker that holds tasks of its pools has been heard since, or holds none
 * any more. One that keeps silent is declared dead meanwhile, and its tasks are work again. Times are
 * compared with one another only, because they are on the broker's clock.
 */
import type { Broker, SessionView } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import { type Clock, sleep } from "../util/clock.ts";

export interface SilentOthersParams {
  readonly broker: Broker;
  readonly clock: Clock;
  /** This worker's own. */
  readonly session: string;
  readonly pools: readonly string[];
  /** Time between two looks: the others' heartbeat. */
  readonly lookEveryMs: number;
  readonly signal: AbortSignal;
}

/** Resolves when nobody is silent. Rejects with the signal's reason; a broker out of reach is asked again. */
export async function noneSilent(params: SilentOthersParams): Promise<void> {
  const { clock, lookEveryMs, signal } = params;
  let silent: readonly SessionView[] | undefined;
  for (;;) {
    const others = await othersNow(params).catch(() => undefined);
    signal.throwIfAborted();
    if (others !== undefined) {
      const before: readonly SessionView[] = silent ?? [...others.values()].filter(({ leases }) => leases > 0);
      silent = before.filter(({ session, lastSeenAt }) => {
        const now = others.get(session);
        return now !== undefined && now.leases > 0 && now.lastSeenAt === lastSeenAt;
      });
      // What one held that is gone is queued again, and may be on its way to us.
      const hasOneGone = before.some(({ session }) => !others.has(session));
      if (silent.length === 0 && !hasOneGone) return;
    }
    await sleep(clock, lookEveryMs, signal);
  }
}

/** Other sessions that are open on our pools. */
async function othersNow({ broker, session: own, pools }: SilentOthersParams): Promise<Map<string, SessionView>> {
  const { sessions } = await broker.listSessions({ limit: MAX_PAGE });
  const others = sessions.filter(
    ({ session, state, pools: theirs }) =>
      session !== own && (state === "live" || state === "draining") && theirs.some((pool) => pools.includes(pool)),
  );
  return new Map(others.map((view) => [view.session, view]));
}
