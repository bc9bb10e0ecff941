/**
 * The leases that each session of a client knows of: those that arrived in replies, minus those
 * whose outcome was answered or that it was told to stop. When another host answers than before,
 * they are told to the broker (client-repair.ts).
 *
 * The book is written with every batch, so it must cost little: a lease is found by execution, token
 * and task without making a name for it. Entered and struck out, a separate task costs 0.15 µs and a
 * chunk, whose token is its own, 0.4 µs; with one text per lease as its key either cost 0.8 µs.
 *
 * A crash of this process loses the book, and with it everything that the book stands for.
 */
import type { HoldfastError } from "../../errors/index.ts";
import type { BrokerMethod, ClaimReply, CommitParams, Directives, LeaseRef } from "../contract.ts";
import type { ParamsOf } from "../schemas.ts";
import { leaseRef } from "./lease-ref.ts";
import type { ReplyOf } from "./replies.ts";

/** By execution, token and task, which together name one lease. */
type Held = Map<string, Map<string, Map<number, LeaseRef>>>;

export class LeaseBook {
  /** Without empty maps. */
  readonly #held = new Map<string, Held>();
  /** By session: leases found lost, which its worker has yet to be told to stop. */
  readonly #lost = new Map<string, readonly LeaseRef[]>();

  /** Enters what a reply says of leases. Returns it, with orders to stop leases that were found lost. */
  note<M extends BrokerMethod>(method: M, params: ParamsOf<M>, reply: ReplyOf<M>): ReplyOf<M> {
    switch (method) {
      case "claim":
      case "commit":
      case "heartbeat":
        return this.#noteTold(params as ParamsOf<"heartbeat"> & Partial<CommitParams>, reply as Told) as ReplyOf<M>;
      case "closeSession":
        this.drop((params as ParamsOf<"closeSession">).session);
        return reply;
      default:
        return reply;
    }
  }

  noteFailure(params: unknown, error: HoldfastError): void {
    const session = (params as { readonly session?: string } | undefined)?.session;
    if (error.code === "SESSION_LOST" && session !== undefined) this.drop(session);
  }

  /** Sessions that hold leases. */
  sessions(): Iterable<string> {
    return this.#held.keys();
  }

  held(session: string): readonly LeaseRef[] {
    const refs: LeaseRef[] = [];
    for (const tokens of this.#held.get(session)?.values() ?? []) {
      for (const tasks of tokens.values()) for (const lease of tasks.values()) refs.push(leaseRef(lease));
    }
    return refs;
  }

  /** The session does not hold these: those whose outcome is not answered yet will be ordered to stop. */
  noteLost(session: string, refs: readonly LeaseRef[]): void {
    const lost = refs.filter((ref) => this.#strike(session, ref));
    if (lost.length > 0) this.#lost.set(session, [...(this.#lost.get(session) ?? []), ...lost]);
  }

  /** The session has ended. */
  drop(session: string): void {
    this.#held.delete(session);
    this.#lost.delete(session);
  }

  #noteTold({ session, outcomes }: { readonly session: string } & Partial<CommitParams>, reply: Told): Told {
    for (const { lease } of outcomes ?? []) this.#strike(session, lease);
    for (const ref of reply.cancel) this.#strike(session, ref);
    if (reply.leases !== undefined && reply.leases.length > 0) this.#enter(session, reply.leases);
    const lost = this.#lost.get(session);
    if (lost === undefined) return reply;
    this.#lost.delete(session);
    return { ...reply, cancel: [...reply.cancel, ...lost] };
  }

  #enter(session: string, granted: readonly LeaseRef[]): void {
    const held: Held = innerMap(this.#held, session);
    for (const lease of granted) {
      const tasks: Map<number, LeaseRef> = innerMap(innerMap(held, lease.executionId), lease.token);
      // The lease itself and no copy: its holder keeps it about as long.
      tasks.set(lease.task, lease);
    }
  }

  /** Whether it was held. */
  #strike(session: string, ref: LeaseRef): boolean {
    const held = this.#held.get(session);
    const tokens = held?.get(ref.executionId);
    const tasks = tokens?.get(ref.token);
    if (held === undefined || tokens === undefined || tasks?.delete(ref.task) !== true) return false;
    if (tasks.size === 0) tokens.delete(ref.token);
    if (tokens.size === 0) held.delete(ref.executionId);
    if (held.size === 0) this.#held.delete(session);
    return true;
  }
}

type Told = Directives & Partial<Pick<ClaimReply, "leases">>;

function innerMap<K, IK, IV>(maps: Map<K, Map<IK, IV>>, key: K): Map<IK, IV> {
  let inner = maps.get(key);
  if (inner === undefined) {
    inner = new Map();
    maps.set(key, inner);
  }
  return inner;
}
