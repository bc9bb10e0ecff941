/**
 * The calls of a remote client that have no reply yet, in the order in which they were made.
 *
 * A call that was given up is kept while its reply may still come, if that reply could hand out
 * leases: they must go back, and after a crash of the host their session must be given up.
 */
import type { HoldfastError } from "../../errors/index.ts";
import type { BrokerMethod } from "../contract.ts";

export interface PendingCall {
  readonly id: number;
  readonly method: BrokerMethod;
  /** What of its frame stays the same when it is sent again. */
  tail: string;
  readonly waitMs: number;
  /** The session that a claim (alone or in a commit) claims for. */
  claimsFor: string | undefined;
  readonly startedAt: number;
  /** When it was last sent. */
  sentAt: number;
  /** Name of the host (its life) that it was last sent to; undefined when no host can have taken it. */
  sentTo: string | undefined;
  /** Undefined once the call was given up. */
  settle: { resolve(result: unknown): void; reject(error: HoldfastError): void } | undefined;
}

export class CallTable {
  readonly #calls = new Map<number, PendingCall>();
  #lastId = 0;

  /** Calls without a reply, oldest first. Calls may be taken out meanwhile. */
  all(): IterableIterator<PendingCall> {
    return this.#calls.values();
  }

  add(call: Omit<PendingCall, "id">): PendingCall {
    this.#lastId += 1;
    const added: PendingCall = { ...call, id: this.#lastId };
    this.#calls.set(added.id, added);
    return added;
  }

  /** The call that a reply with this id answers; it is pending no longer. */
  take(id: number): PendingCall | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call;
  }

  /** Answers the call with an error before its reply has come. */
  giveUp(call: PendingCall, error: HoldfastError): void {
    call.settle?.reject(error);
    call.settle = undefined;
    if (call.claimsFor === undefined || call.sentTo === undefined) this.#calls.delete(call.id);
  }

  rejectAll(error: HoldfastError): void {
    for (const call of this.#calls.values()) this.giveUp(call, error);
  }

  /** The stream has ended: replies to calls that were given up can no longer come. */
  forgetGivenUp(): void {
    for (const call of this.#calls.values()) {
      if (call.settle === undefined) this.#calls.delete(call.id);
    }
  }

  /** An orderly end of the host: what it has not answered, it has not done. */
  markUndone(): void {
    this.forgetGivenUp();
    for (const call of this.#calls.values()) call.sentTo = undefined;
  }
}
