/**
 * What this process knows of a session: which leases it was told of, and whether the server may hold
 * others for it.
 *
 * That is so when a reply that granted some was lost with its connection, and when the server came
 * back without its last writes, among them the outcomes of leases that are done here. Such leases are
 * held by a session that lives and does not know of them. So before the next claim the session is
 * reconciled: what the server holds for it and we do not know goes back.
 */
import type { LeaseRef } from "../contract.ts";

export class KnownLeases {
  readonly #leases = new Map<string, LeaseRef>();
  /** A claim was made whose answer never came, or the connection is a new one. */
  isUncertain = false;
  /** Calls under way that may grant leases; what they grant is not known yet and must not be handed back. */
  grantsAwaited = 0;
  /** Leases that were granted over an earlier connection: who is at the other end now may have given them to others. */
  #doubted = new Set<string>();
  /** Number of the session in the shard: part of its tokens. */
  sessionNo = "";
  /** The last reply ordered leases to be stopped. */
  hasOrders = false;
  /** The last lane that was claimed from, and whose spec we have. */
  lastLane = "";

  /** The connection is a new one. */
  doubt(): void {
    this.isUncertain = true;
    this.#doubted = new Set(this.#leases.keys());
  }

  isDoubted(lease: LeaseRef): boolean {
    return this.#doubted.size > 0 && this.#doubted.has(keyOf(lease));
  }

  get all(): readonly LeaseRef[] {
    return [...this.#leases.values()];
  }

  add(lease: LeaseRef): void {
    this.#leases.set(keyOf(lease), lease);
  }

  delete(lease: LeaseRef): void {
    this.#leases.delete(keyOf(lease));
    this.#doubted.delete(keyOf(lease));
  }
}

function keyOf({ executionId, token }: LeaseRef): string {
  return `${token} ${executionId}`;
}
