/**
 * Calls that grant leases, one shard at a time, and what they bring.
 *
 * A grant is told in an answer, or sent to a session that waits (scripts/lib/ready.lua). Either may be
 * lost with the connection. The leases are then held by a session that lives and has never heard of
 * them. So what the worker was told is noted (known-leases.ts), and when there is a doubt the session
 * is reconciled before its next claim: what the server holds for it beyond that goes back.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Lease, LeaseRef, LeaseSpec, ReconcileReply } from "../contract.ts";
import { MAX_REPLY_PAYLOAD } from "../limits.ts";
import { type LeaseLane, readLane } from "./claim-reply.ts";
import type { CommitPart } from "./commit-arguments.ts";
import type { KnownLeases } from "./known-leases.ts";
import type { Reply } from "./link/link.ts";
import type { LocalSession } from "./local-session.ts";
import { AnswerLost, type ScriptArgument, type Shard } from "./shard.ts";
import { Cache } from "./cache.ts";
import { parseRef, refText } from "./tokens.ts";

/** What the script does with the session when it finds no work: nothing, calls it later, calls it no more. */
export type Waiting = "0" | "1" | "2";

export interface Asking {
  readonly max: number;
  readonly waiting: Waiting;
  /** The worker speaks itself, and so lives. */
  readonly isSign: boolean;
}

/** A reply in the making. */
export interface Gathered {
  readonly leases: Lease[];
  readonly specs: Record<string, LeaseSpec>;
  readonly cancel: LeaseRef[];
  drain: boolean;
}

export interface GrantsOptions {
  readonly ageingMs: number;
  /** Names this process. */
  readonly process: string;
  readonly shards: number;
  /** A session that the reply says is lost is over. Errors: SESSION_LOST. */
  readonly alive: (session: string, reply: Promise<Reply[]>) => Promise<Reply[]>;
}

export class Grants {
  readonly #options: GrantsOptions;
  readonly #specs = new Cache<LeaseSpec>();

  constructor(options: GrantsOptions) {
    this.#options = options;
  }

  /** Hands back what the session holds in the shard and is not among `held`. */
  async reconcile(session: LocalSession, shard: Shard, held: readonly LeaseRef[]): Promise<ReconcileReply> {
    const args = [session.id].concat(held.map(refText));
    const [, returned, places] = await this.#options.alive(session.id, shard.run("reconcile", args));
    const lost = (places as number[]).map((place) => held[place - 1] as LeaseRef);
    const known = session.knownIn(shard);
    for (const lease of known.all) known.delete(lease);
    for (const lease of held) if (!lost.includes(lease)) known.add(lease);
    known.isUncertain = false;
    return { returned: Number(returned), lost };
  }

  /** Adds the leases that the shard grants. */
  async claim(
    session: LocalSession,
    shard: Shard,
    how: { readonly asking: Asking; readonly gathered: Gathered },
  ): Promise<void> {
    const { asking, gathered } = how;
    const { max, waiting, isSign } = asking;
    const known = session.knownIn(shard);
    for (;;) {
      await this.#repair(session, shard);
      const { ageingMs, process } = this.#options;
      const args = [session.id, max, waiting, isSign ? "1" : "0", MAX_REPLY_PAYLOAD, ageingMs, process];
      const call = (): Promise<Reply[]> => shard.run("claim", [...args, known.lastLane], { once: true });
      try {
        await this.#grant(session, shard, { call, gathered });
        return;
      } catch (thrown) {
        if (!(thrown instanceof AnswerLost)) throw thrown;
        // What the others have must not wait until this one is back.
        if (this.#options.shards > 1) return;
      }
    }
  }

  /** Outcomes to one shard, with a claim; the verdicts. */
  async commit(
    session: LocalSession,
    shard: Shard,
    how: { readonly build: () => CommitPart; readonly asking: Asking; readonly gathered: Gathered },
  ): Promise<{ readonly places: CommitPart["places"]; readonly told: readonly Reply[] }> {
    const { build, gathered } = how;
    const known = session.knownIn(shard);
    let { max, waiting } = how.asking;
    for (;;) {
      if (max > 0) await this.#repair(session, shard);
      const { ageingMs, process } = this.#options;
      const head: ScriptArgument[] = [session.id, max, waiting, MAX_REPLY_PAYLOAD, ageingMs, process];
      let places: CommitPart["places"] = [];
      const args = (): ScriptArgument[] => {
        const part = build();
        places = part.places;
        return head.concat(known.lastLane, part.batches, how.asking.isSign ? "1" : "0", part.args);
      };
      try {
        const call = (): Promise<Reply[]> => shard.run("commit", args, { once: max > 0 });
        const reply = await this.#grant(session, shard, { call, gathered });
        return { places, told: reply[5] as Reply[] };
      } catch (thrown) {
        if (!(thrown instanceof AnswerLost)) throw thrown;
        // The outcomes may be told again; what was claimed with them is found by reconciling.
        max = 0;
        waiting = "0";
      }
    }
  }

  /** A session that waits was sent leases. One that does not wait any more gives them back. */
  receive(
    session: LocalSession,
    shard: Shard,
    { no, lanes }: { readonly no: string; readonly lanes: readonly Reply[] },
  ): void {
    const known = session.knownIn(shard);
    known.sessionNo = no;
    for (const lane of lanes.map((one) => readLane(one, no))) {
      for (const lease of lane.leases) {
        known.add(lease);
        session.inbox.push({ shard, lane, lease });
      }
    }
    if (session.waits === 0) this.giveBackReceived(session);
  }

  /** Adds up to `max` of the leases that the session was sent. */
  async takeReceived(session: LocalSession, max: number, gathered: Gathered): Promise<void> {
    const taken = session.inbox.splice(0, max);
    try {
      for (const { shard, lane } of taken) gathered.specs[lane.specKey] ??= await this.#specOf(shard, lane);
    } catch (thrown) {
      session.inbox.unshift(...taken);
      throw thrown;
    }
    gathered.leases.push(...taken.map(({ lease }) => lease));
  }

  /** The session waits no longer: what it was sent beyond what it could take goes back. */
  giveBackReceived(session: LocalSession): void {
    const received = session.inbox.splice(0);
    for (const shard of new Set(received.map((one) => one.shard))) {
      const leases = received.filter((one) => one.shard === shard).map(({ lease }) => lease);
      const known = session.knownIn(shard);
      for (const lease of leases) known.delete(lease);
      // By name: other processes may have leases of the session that we do not know of.
      shard.run("give-back", [session.id, ...leases.map(refText)]).catch(() => {
        known.isUncertain = true;
      });
    }
  }

  /** Before a claim: what the server holds and the worker does not know of goes back. */
  async #repair(session: LocalSession, shard: Shard): Promise<void> {
    const known = session.knownIn(shard);
    // A link that is down comes back with a doubt.
    const isDoubtful = (): boolean => known.isUncertain || !shard.link.isUp;
    while (isDoubtful() && known.grantsAwaited === 0) await this.reconcile(session, shard, known.all);
  }

  /** A call that may grant leases, and what it brings. Errors: those of `run`, and AnswerLost. */
  async #grant(
    session: LocalSession,
    shard: Shard,
    how: { readonly call: () => Promise<Reply[]>; readonly gathered: Gathered },
  ): Promise<Reply[]> {
    const known = session.knownIn(shard);
    known.grantsAwaited += 1;
    try {
      const reply = await this.#options.alive(session.id, how.call());
      await this.#gather(session, shard, { reply, gathered: how.gathered });
      return reply;
    } catch (thrown) {
      if (thrown instanceof AnswerLost) known.isUncertain = true;
      throw thrown;
    } finally {
      known.grantsAwaited -= 1;
    }
  }

  /** Adds what a claim's or commit's reply brings. */
  async #gather(
    session: LocalSession,
    shard: Shard,
    told: { readonly reply: readonly Reply[]; readonly gathered: Gathered },
  ): Promise<void> {
    const { gathered, reply } = told;
    const [, no, draining, stops, lanes] = reply;
    const known = session.knownIn(shard);
    known.sessionNo = String(no);
    addOrders(gathered, known, { draining, stops });
    const read = (lanes as Reply[]).map((lane) => readLane(lane, known.sessionNo));
    const leases = read.flatMap((lane) => lane.leases);
    for (const lease of leases) known.add(lease);
    try {
      for (const lane of read) {
        gathered.specs[lane.specKey] = await this.#specOf(shard, lane);
        known.lastLane = `${lane.group}:${lane.executionId}`;
      }
    } catch (thrown) {
      // The worker never hears of them, so they go back before the next claim.
      for (const lease of leases) known.delete(lease);
      known.isUncertain = true;
      throw thrown;
    }
    gathered.leases.push(...leases);
    // Shards take turns, as executions do within one.
    if (leases.length > 0) session.nextShard = (shard.no + 1) % this.#options.shards;
  }

  async #specOf(shard: Shard, { spec, specKey, executionId, group }: LeaseLane): Promise<LeaseSpec> {
    const cached = this.#specs.get(specKey);
    if (cached !== undefined) return cached;
    const key = `${shard.prefix}exec:${executionId}:group:${group}`;
    const text = spec === "" ? await shard.send("HGET", key, "spec") : spec;
    if (text === null) throw new HoldfastError("INTERNAL", { problem: `task group ${specKey} has no description` });
    const parsed = JSON.parse(String(text)) as LeaseSpec;
    this.#specs.set(specKey, parsed);
    return parsed;
  }
}

/** Leases to stop, and whether to leave. */
export function addOrders(
  gathered: Gathered,
  known: KnownLeases,
  told: { readonly draining: Reply | undefined; readonly stops: Reply | undefined },
): void {
  const refs = told.stops as string[];
  known.hasOrders = refs.length > 0;
  for (const ref of refs) {
    const lease = parseRef(ref);
    gathered.cancel.push(lease);
    known.delete(lease);
  }
  if (Number(told.draining) === 1) gathered.drain = true;
}
