/**
 * Transitions of sessions over all shards: open, live, claim, commit, end.
 *
 * A session exists in every shard under one id, because an outcome is judged where its execution
 * lives. A claim asks the shard that had work last and then the others. When one shard has given the
 * session up, it is over in all of them.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import type {
  ClaimParams,
  ClaimReply,
  CommitParams,
  CommitReply,
  Directives,
  Lease,
  LeaseRef,
  LeaseSpec,
  Outcome,
  ReconcileParams,
  ReconcileReply,
  WorkerProfile,
} from "../contract.ts";
import { MAX_REPLY_PAYLOAD } from "../limits.ts";
import { type LeaseLane, readLane } from "./claim-reply.ts";
import { type CommitPart, commitPart } from "./commit-arguments.ts";
import { KnownLeases } from "./known-leases.ts";
import type { Reply } from "./link/link.ts";
import { AnswerLost, reachable, type ScriptArgument, type Shard } from "./shard.ts";
import { Cache } from "./spec-cache.ts";
import { UNIT } from "./submit-arguments.ts";
import { parseRef, refText } from "./tokens.ts";
import { VerifyPlans } from "./verify-plans.ts";
import type { Wakes } from "./wakes.ts";

export interface SessionsOptions {
  readonly shards: readonly Shard[];
  readonly wakes: readonly Wakes[];
  readonly clock: Clock;
  readonly ageingMs: number;
  /** Aborted when the broker closes. */
  readonly closing: AbortSignal;
  readonly shardOf: (executionId: string) => Shard;
}

/** After so many questions a subscription that is not there yet is left to itself: calls that wait look again anyway. */
const MAX_HEARD_ASKED = 20;

/** What the script does with the session when it finds no work: nothing, calls it later, calls it no more. */
type Waiting = "0" | "1" | "2";

interface Asking {
  readonly max: number;
  readonly waiting: Waiting;
  /** The worker speaks itself, and so lives. */
  readonly isSign: boolean;
}

/** What one session looks like from this process. */
interface LocalSession {
  readonly id: string;
  /** By shard. */
  readonly known: readonly KnownLeases[];
  readonly release: readonly (() => void)[];
  /** The shard that had work last. */
  nextShard: number;
}

/** A call that waits in all shards. */
interface Wait {
  readonly session: LocalSession;
  /** Aborted when the time is over. */
  readonly signal: AbortSignal;
  next(): Promise<void>;
  end(): void;
}

interface Granting {
  readonly call: () => Promise<Reply[]>;
  readonly gathered: Gathered;
}

interface Gathered {
  readonly leases: Lease[];
  readonly specs: Record<string, LeaseSpec>;
  readonly cancel: LeaseRef[];
  drain: boolean;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #local = new Map<string, Promise<LocalSession>>();
  readonly #open = new Set<LocalSession>();
  readonly #specs = new Cache<LeaseSpec>();
  readonly #plans: VerifyPlans;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#plans = new VerifyPlans(options.shardOf);
    for (const shard of options.shards) shard.link.onUp(() => this.#doubt(shard));
  }

  async open(id: string, profile: WorkerProfile): Promise<void> {
    const { shards } = this.#options;
    const session = this.#newLocal(id);
    this.#local.set(id, Promise.resolve(session));
    const args = [
      id,
      JSON.stringify(profile),
      profile.worker,
      profile.pools.join(UNIT),
      `${UNIT}${profile.capabilities.join(UNIT)}${UNIT}`,
      profile.slots,
    ];
    await Promise.all(
      shards.map(async (shard) => {
        const [, no] = await shard.run("session-open", [...args, shard.no === 0 ? "1" : "0"]);
        this.#known(session, shard).sessionNo = String(no);
        await this.#heard(id, shard);
      }),
    );
  }

  /** Resolves when the server knows that somebody listens for the session: it cannot be missed any more. */
  async #heard(id: string, shard: Shard): Promise<void> {
    const channel = this.#channel(id, shard.no);
    for (let asked = 0; asked < MAX_HEARD_ASKED; asked += 1) {
      const [, listeners] = (await shard.send("PUBSUB", "NUMSUB", channel)) as [string, number];
      if (Number(listeners) > 0) return;
    }
  }

  async heartbeat(id: string): Promise<Directives> {
    const session = await this.#find(id);
    const gathered = nothing();
    const beat = async (shard: Shard): Promise<void> => {
      const [, draining, stops] = await this.#alive(id, shard.run("heartbeat", [id, "1"]));
      addOrders(gathered, this.#known(session, shard), draining, stops);
    };
    // A shard that is away must not keep the others from hearing it.
    await Promise.all(reachable(this.#options.shards).map(beat));
    return { cancel: gathered.cancel, drain: gathered.drain };
  }

  async close(id: string, reason: "left" | "lost"): Promise<void> {
    await Promise.all(this.#options.shards.map((shard) => shard.run("session-close", [id, reason])));
    this.#forget(id);
  }

  async drain(id: string): Promise<void> {
    await this.#everywhere(id, (shard) => shard.run("session-drain", [id]));
  }

  async claim({ session: id, max, waitMs }: ClaimParams): Promise<ClaimReply> {
    const session = await this.#find(id);
    if (waitMs <= 0) return this.#ask(session, { max, waiting: "0", isSign: true });
    const wait = this.#listen(session, waitMs);
    try {
      return await this.#wait(wait, max, await this.#ask(session, { max, waiting: "1", isSign: true }));
    } finally {
      wait.end();
    }
  }

  async commit(params: CommitParams): Promise<CommitReply> {
    const { session: id, claim = { max: 0, waitMs: 0 } } = params;
    const session = await this.#find(id).catch(async (thrown: unknown) => {
      if (HoldfastError.is(thrown, "SESSION_LOST")) await this.#countRefused(params);
      throw thrown;
    });
    if (claim.waitMs <= 0) return this.#commit(session, params);
    const wait = this.#listen(session, claim.waitMs);
    try {
      const { verdicts, ...found } = await this.#commit(session, params);
      return { verdicts, ...(await this.#wait(wait, claim.max, found)) };
    } finally {
      wait.end();
    }
  }

  /** Outcomes to their shards, and one look for work. */
  async #commit(session: LocalSession, params: CommitParams): Promise<CommitReply> {
    const { outcomes, claim = { max: 0, waitMs: 0 } } = params;
    const gathered = nothing();
    const verdicts: ("accepted" | "refused")[] = [];
    const parts = await this.#parts(session, outcomes);
    const isOne = parts.length === 1;
    const waits = claim.waitMs > 0 && this.#options.shards.length === 1;
    for (const { shard, build } of parts) {
      const asking = { max: isOne ? claim.max : 0, waiting: waits ? "1" : "0", isSign: true } as const;
      const { places, told } = await this.#commitTo(session, shard, { build, asking, gathered });
      places.forEach((own, batch) => noteVerdicts(verdicts, own, told[batch]));
    }
    for (const { lease } of outcomes) this.#known(session, this.#options.shardOf(lease.executionId)).delete(lease);
    if (claim.max > gathered.leases.length && (!isOne || this.#options.shards.length > 1)) {
      const waiting = claim.waitMs > 0 && !isNews(gathered) ? "1" : "0";
      await this.#askShards(session, { max: claim.max, waiting, isSign: true }, gathered);
    }
    return { verdicts, ...gathered };
  }

  /** What a session says that is gone changes nothing, but is counted. */
  async #countRefused(params: CommitParams): Promise<void> {
    const session = this.#newLocal(params.session);
    try {
      for (const { shard, build } of await this.#parts(session, params.outcomes)) {
        const head = [params.session, 0, "0", MAX_REPLY_PAYLOAD, this.#options.ageingMs, ""];
        const part = build();
        await shard.run("commit", [...head, part.batches, ...part.args]);
      }
    } finally {
      this.#release(session);
    }
  }

  async reconcile({ session: id, held }: ReconcileParams): Promise<ReconcileReply> {
    const session = await this.#find(id);
    const { shards, shardOf } = this.#options;
    let returned = 0;
    const lost = new Set<LeaseRef>();
    await Promise.all(
      shards.map(async (shard) => {
        const own = held.filter(({ executionId }) => shardOf(executionId) === shard);
        const reply = await this.#reconcileShard(session, shard, own);
        returned += reply.returned;
        for (const lease of reply.lost) lost.add(lease);
      }),
    );
    return { returned, lost: held.filter((lease) => lost.has(lease)) };
  }

  // ── One shard ───────────────────────────────────────────────────────────────────────────────

  async #reconcileShard(session: LocalSession, shard: Shard, held: readonly LeaseRef[]): Promise<ReconcileReply> {
    const args = [session.id].concat(held.map(refText));
    const [, returned, places] = await this.#alive(session.id, shard.run("reconcile", args));
    const lost = (places as number[]).map((place) => held[place - 1] as LeaseRef);
    const known = this.#known(session, shard);
    for (const lease of known.all) known.delete(lease);
    for (const lease of held) if (!lost.includes(lease)) known.add(lease);
    known.isUncertain = false;
    return { returned: Number(returned), lost };
  }

  /** Who is at the other end of a new connection may have forgotten the last it was told. */
  #doubt(shard: Shard): void {
    for (const session of this.#open) this.#known(session, shard).doubt();
  }

  /** Before a claim: what the server holds and the worker does not know of goes back. */
  async #repair(session: LocalSession, shard: Shard): Promise<void> {
    const known = this.#known(session, shard);
    // A link that is down comes back with a doubt.
    const isDoubtful = (): boolean => known.isUncertain || !shard.link.isUp;
    while (isDoubtful() && known.grantsAwaited === 0) await this.#reconcileShard(session, shard, known.all);
  }

  /** A call that may grant leases, and what it brings. Errors: those of `run`, and AnswerLost. */
  async #grant(session: LocalSession, shard: Shard, how: Granting): Promise<Reply[]> {
    const known = this.#known(session, shard);
    known.grantsAwaited += 1;
    try {
      const reply = await this.#alive(session.id, how.call());
      await this.#gather(session, shard, { reply, gathered: how.gathered });
      return reply;
    } catch (thrown) {
      if (thrown instanceof AnswerLost) known.isUncertain = true;
      throw thrown;
    } finally {
      known.grantsAwaited -= 1;
    }
  }

  async #claimFrom(
    session: LocalSession,
    shard: Shard,
    how: { readonly asking: Asking; readonly gathered: Gathered },
  ): Promise<void> {
    const { asking, gathered } = how;
    const { max, waiting, isSign } = asking;
    const known = this.#known(session, shard);
    for (;;) {
      await this.#repair(session, shard);
      const args = [session.id, max, waiting, isSign ? "1" : "0", MAX_REPLY_PAYLOAD, this.#options.ageingMs];
      const call = (): Promise<Reply[]> => shard.run("claim", [...args, known.lastLane], { once: true });
      try {
        await this.#grant(session, shard, { call, gathered });
        return;
      } catch (thrown) {
        if (!(thrown instanceof AnswerLost)) throw thrown;
        // What the others have must not wait until this one is back.
        if (this.#options.shards.length > 1) return;
      }
    }
  }

  /** Outcomes to one shard, with a claim; the verdicts. */
  async #commitTo(
    session: LocalSession,
    shard: Shard,
    how: { readonly build: () => CommitPart; readonly asking: Asking; readonly gathered: Gathered },
  ): Promise<{ readonly places: CommitPart["places"]; readonly told: readonly Reply[] }> {
    const { build, gathered } = how;
    const known = this.#known(session, shard);
    let { max, waiting } = how.asking;
    for (;;) {
      if (max > 0) await this.#repair(session, shard);
      const head: ScriptArgument[] = [session.id, max, waiting, MAX_REPLY_PAYLOAD, this.#options.ageingMs];
      let part = build();
      const args = (): ScriptArgument[] => {
        part = build();
        return head.concat(known.lastLane, part.batches, part.args);
      };
      try {
        const call = (): Promise<Reply[]> => shard.run("commit", args, { once: max > 0 });
        const reply = await this.#grant(session, shard, { call, gathered });
        return { places: part.places, told: reply[5] as Reply[] };
      } catch (thrown) {
        if (!(thrown instanceof AnswerLost)) throw thrown;
        // The outcomes may be told again; what was claimed with them is found by reconciling.
        max = 0;
        waiting = "0";
      }
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
    const known = this.#known(session, shard);
    known.sessionNo = String(no);
    addOrders(gathered, known, draining, stops);
    const read = (lanes as Reply[]).map((lane) => readLane(lane, known.sessionNo));
    const leases = read.flatMap((lane) => lane.leases);
    for (const lease of leases) known.add(lease);
    try {
      for (const lane of read) {
        gathered.specs[lane.specKey] = this.#specs.get(lane.specKey) ?? (await this.#learnSpec(shard, lane));
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
    if (leases.length > 0) session.nextShard = (shard.no + 1) % this.#options.shards.length;
  }

  async #learnSpec(shard: Shard, { spec, specKey, executionId, group }: LeaseLane): Promise<LeaseSpec> {
    const key = `${shard.prefix}exec:${executionId}:group:${group}`;
    const text = spec === "" ? await shard.send("HGET", key, "spec") : spec;
    const parsed = JSON.parse(String(text)) as LeaseSpec;
    this.#specs.set(specKey, parsed);
    return parsed;
  }

  // ── All shards ──────────────────────────────────────────────────────────────────────────────

  async #ask(session: LocalSession, asking: Asking): Promise<ClaimReply> {
    const gathered = nothing();
    await this.#askShards(session, asking, gathered);
    return gathered;
  }

  async #askShards(session: LocalSession, asking: Asking, gathered: Gathered): Promise<void> {
    const { shards } = this.#options;
    const inTurn = [...shards.slice(session.nextShard), ...shards.slice(0, session.nextShard)];
    for (const [step, shard] of reachable(inTurn).entries()) {
      const max = asking.max - gathered.leases.length;
      if (max <= 0 && step > 0) return;
      const waiting = asking.waiting === "1" && gathered.leases.length > 0 ? "2" : asking.waiting;
      await this.#claimFrom(session, shard, { asking: { ...asking, max, waiting }, gathered });
    }
  }

  /** Listens before the first look, so that nothing is missed between a look and the wait. */
  #listen(session: LocalSession, waitMs: number): Wait {
    const { clock, closing, wakes } = this.#options;
    const over = new AbortController();
    const cancelTimer = clock.schedule(waitMs, () => over.abort());
    const signal = AbortSignal.any([over.signal, closing]);
    const listening = wakes.map((shardWakes, at) => shardWakes.listen(this.#channel(session.id, at)));
    return {
      session,
      signal,
      next: async () => Promise.race(listening.map((channel) => channel.next(signal))),
      end: () => {
        cancelTimer();
        for (const channel of listening) channel.end();
        if (wakes.length > 1) void this.#waitNoMore(session);
      },
    };
  }

  /** A call that was answered by one shard is not to be called by the others, which would call nobody else. */
  async #waitNoMore(session: LocalSession): Promise<void> {
    const args = [session.id, 0, "2", "0", 0, this.#options.ageingMs, ""];
    await Promise.allSettled(this.#options.shards.map((shard) => shard.run("claim", args)));
  }

  /** Until there is work, or an order, or the time is over. Waiting is no sign of life: only what a worker says is. */
  async #wait(wait: Wait, max: number, first: ClaimReply): Promise<ClaimReply> {
    const { session, signal } = wait;
    let found = first;
    while (!isNews(found) && !signal.aborted) {
      await wait.next();
      found = await this.#ask(session, { max, waiting: signal.aborted ? "2" : "1", isSign: false });
    }
    return found;
  }

  async #everywhere(id: string, call: (shard: Shard) => Promise<Reply[]>): Promise<Reply[][]> {
    return Promise.all(this.#options.shards.map((shard) => this.#alive(id, call(shard))));
  }

  /** A session that one shard has given up is over in all. Errors: SESSION_LOST. */
  async #alive(id: string, reply: Promise<Reply[]>): Promise<Reply[]> {
    const answered = await reply;
    if (answered[0] !== "SESSION_LOST") return answered;
    this.#forget(id);
    const { shards } = this.#options;
    if (shards.length > 1)
      await Promise.allSettled(reachable(shards).map((shard) => shard.run("session-close", [id, "lost"])));
    throw new HoldfastError("SESSION_LOST", { session: id });
  }

  // ── What this process knows ─────────────────────────────────────────────────────────────────

  #known(session: LocalSession, shard: Shard | number): KnownLeases {
    return session.known[typeof shard === "number" ? shard : shard.no] as KnownLeases;
  }

  #channel(id: string, shard: number): string {
    return `${(this.#options.shards[shard] as Shard).prefix}session:${id}`;
  }

  /** A process that did not open the session asks first what it holds. */
  #find(id: string): Promise<LocalSession> {
    let found = this.#local.get(id);
    if (found === undefined) {
      found = this.#adopt(id);
      this.#local.set(id, found);
      found.catch(() => this.#local.delete(id));
    }
    return found;
  }

  async #adopt(id: string): Promise<LocalSession> {
    const replies = await this.#everywhere(id, (shard) => shard.run("list-held", [id]));
    const session = this.#newLocal(id);
    replies.forEach(([, no, ...refs], at) => {
      const known = this.#known(session, at);
      known.sessionNo = String(no);
      for (const ref of refs) known.add(parseRef(String(ref)));
    });
    return session;
  }

  #newLocal(id: string): LocalSession {
    const { shards, wakes } = this.#options;
    const session = {
      id,
      known: shards.map(() => new KnownLeases()),
      // Its listeners are how others see that this process lives.
      release: wakes.map((shardWakes, at) => shardWakes.hold(this.#channel(id, at))),
      nextShard: 0,
    };
    this.#open.add(session);
    return session;
  }

  #release(session: LocalSession): void {
    this.#open.delete(session);
    for (const end of session.release) end();
  }

  #forget(id: string): void {
    const found = this.#local.get(id);
    this.#local.delete(id);
    // One that was not even found has nothing to release.
    found?.then(
      (session) => this.#release(session),
      () => undefined,
    );
  }

  async #parts(
    session: LocalSession,
    outcomes: readonly Outcome[],
  ): Promise<readonly { readonly shard: Shard; readonly build: () => CommitPart }[]> {
    const { shards, shardOf } = this.#options;
    const places = new Map<Shard, number[]>();
    outcomes.forEach(({ lease }, place) => {
      const shard = shardOf(lease.executionId);
      const list = places.get(shard);
      if (list === undefined) places.set(shard, [place]);
      else list.push(place);
    });
    if (places.size === 0) places.set(shards[session.nextShard] as Shard, []);
    const plans = await this.#plans.of(outcomes);
    return [...places].map(([shard, own]) => {
      const known = this.#known(session, shard);
      const build = (): CommitPart => {
        const namesAll = known.hasOrders || own.some((place) => known.isDoubted((outcomes[place] as Outcome).lease));
        return commitPart(outcomes, own, { verifyPlan: (id) => plans.get(id), namesAll });
      };
      return { shard, build };
    });
  }
}

function nothing(): Gathered {
  return { leases: [], specs: {}, cancel: [], drain: false };
}

function isNews({ leases, cancel, drain }: ClaimReply): boolean {
  return leases.length > 0 || cancel.length > 0 || drain;
}

function addOrders(
  gathered: Gathered,
  known: KnownLeases,
  draining: Reply | undefined,
  stops: Reply | undefined,
): void {
  const refs = stops as string[];
  known.hasOrders = refs.length > 0;
  for (const ref of refs) {
    const lease = parseRef(ref);
    gathered.cancel.push(lease);
    known.delete(lease);
  }
  if (Number(draining) === 1) gathered.drain = true;
}

function noteVerdicts(verdicts: ("accepted" | "refused")[], places: readonly number[], told: Reply | undefined): void {
  places.forEach((place, at) => {
    const isAccepted = typeof told === "string" ? told[at] === "1" : told === 1;
    verdicts[place] = isAccepted ? "accepted" : "refused";
  });
}
