/**
 * The calls of a remote client that have no reply yet, in the order in which they are sent.
 *
 * A call that was given up is kept while its reply may still come, if that reply could hand out
 * leases: they must go back, and after a crash of the host their session must be repaired
 * (client-repair.ts).
 */
import type { HoldfastError } from "../../errors/index.ts";
import type { BrokerMethod, CommitParams } from "../contract.ts";

export interface PendingCall {
  readonly id: number;
  readonly method: BrokerMethod;
  /** What of its frame stays the same when it is sent again. */
  tail: string;
  readonly waitMs: number;
  /** The session that a claim (alone or in a commit) claims for. */
  claimsFor: string | undefined;
  /** The client's own call, made to keep a promise: it waits for its reply however long that takes. */
  readonly isPatient: boolean;
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

  /** The same call as the last one: ids ascend in the order of sending, and it was held back. */
  moveToEnd(call: PendingCall): PendingCall {
    this.#calls.delete(call.id);
    return this.add(call);
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

  /** Gives up all calls but the patient ones. */
  giveUpAll(error: HoldfastError): void {
    for (const call of this.#calls.values()) if (!call.isPatient) this.giveUp(call, error);
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

/** How long a call may wait at the broker, milliseconds. */
export function waitOf(params: unknown): number {
  const { waitMs, claim } = (params ?? {}) as {
    readonly waitMs?: number;
    readonly claim?: { readonly waitMs: number };
  };
  return waitMs ?? claim?.waitMs ?? 0;
}

/** The session for which a call claims; undefined when it does not claim. */
export function claimantOf(method: BrokerMethod, params: unknown): string | undefined {
  if (method !== "claim" && (method !== "commit" || (params as CommitParams).claim === undefined)) return undefined;
  return (params as { readonly session: string }).session;
}
