/**
 * Transition reconcile: what a session holds → what its client knows of.
 *
 * The owner of the file may die between a claim's commit and its reply. The leases are then in the
 * file, held by a session that lives and has never heard of them: nobody would run them while it
 * lives. Told what the client knows, this hands the others back. It needs no sync: when a power cut
 * undoes it, the next owner is told again.
 *
 * Leases go the other way too: a claim that was not synced is gone after a power cut, and orders to
 * stop a lease live in memory only. What the client still holds of them is named in the reply.
 */
import type { LeaseRef, ReconcileParams, ReconcileReply } from "../contract.ts";
import { type Engine, leaseRef } from "./engine.ts";
import { giveBack } from "./give-back.ts";

export function reconcile(engine: Engine, params: ReconcileParams): ReconcileReply {
  const session = engine.liveSession(params.session);
  const known = new Set(params.held.map(nameOf));
  const holds = new Set<string>();
  let returned = 0;
  for (const lease of [...session.leases]) {
    const name = nameOf(leaseRef(lease));
    holds.add(name);
    if (known.has(name)) continue;
    engine.model.removeLease(lease);
    giveBack(engine, lease, "returned");
    returned += 1;
  }
  return { returned, lost: params.held.filter((ref) => !holds.has(nameOf(ref))) };
}

function nameOf({ executionId, task, start, replica, token }: LeaseRef): string {
  return JSON.stringify([executionId, task, start, replica, token]);
}
