/**
 * What this process knows of a session: which leases it was told of, and whether a reply that
 * granted some was lost with its connection.
 *
 * Such leases are held by a session that lives and has never heard of them. So before the next claim
 * the session is reconciled: what the server holds for it and we do not know goes back.
 */
import type { LeaseRef } from "../contract.ts";

export class KnownLeases {
  readonly #leases = new Map<string, LeaseRef>();
  /** A claim was made whose answer never came. */
  isUncertain = false;
  /** Number of the session in the shard: part of its tokens. */
  sessionNo = "";
  /** The last reply ordered leases to be stopped. */
  hasOrders = false;
  /** The last lane that was claimed from, and whose spec we have. */
  lastLane = "";

  get all(): readonly LeaseRef[] {
    return [...this.#leases.values()];
  }

  add(lease: LeaseRef): void {
    this.#leases.set(keyOf(lease), lease);
  }

  delete(lease: LeaseRef): void {
    this.#leases.delete(keyOf(lease));
  }
}

function keyOf({ executionId, token }: LeaseRef): string {
  return `${token} ${executionId}`;
}
