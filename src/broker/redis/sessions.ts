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
  CloseSessionParams,
  CommitParams,
  CommitReply,
  Directives,
  LeaseRef,
  Outcome,
  ReconcileParams,
  ReconcileReply,
  WorkerProfile,
} from "../contract.ts";
import { MAX_REPLY_PAYLOAD } from "../limits.ts";
import { type CommitPart, commitPart, partsOf } from "./commit-arguments.ts";
import { addOrders, type Asking, type Gathered, Grants } from "./grants.ts";
import type { Reply } from "./link/link.ts";
import { LocalSession } from "./local-session.ts";
import { reachable, type Shard } from "./shard.ts";
import { UNIT } from "./submit-arguments.ts";
import { parseRef } from "./tokens.ts";
import { VerifyPlans } from "./verify-plans.ts";
import type { Wakes } from "./wakes.ts";

export interface SessionsOptions {
  readonly shards: readonly Shard[];
  readonly wakes: readonly Wakes[];
  readonly clock: Clock;
  readonly ageingMs: number;
  /** Names this process: nobody else has the same. */
  readonly process: string;
  /** Aborted when the broker closes. */
  readonly closing: AbortSignal;
  readonly shardOf: (executionId: string) => Shard;
}

/** After so many questions a subscription that is not there yet is left to itself: calls that wait look again anyway. */
const MAX_HEARD_ASKED = 20;

/** Said on a session's channel when it has ended. The same as in scripts/lib/ready.lua. */
const ENDED = "ended";

/** A call that waits in all shards. */
interface Wait {
  readonly session: LocalSession;
  /** Aborted when the time is over. */
  readonly signal: AbortSignal;
  next(): Promise<void>;
  end(): void;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #local = new Map<string, Promise<LocalSession>>();
  readonly #open = new Map<string, LocalSession>();
  readonly #grants: Grants;
  readonly #plans: VerifyPlans;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#plans = new VerifyPlans(options.shardOf);
    this.#grants = new Grants({
      ageingMs: options.ageingMs,
      process: options.process,
      shards: options.shards.length,
      alive: (session, reply) => this.#alive(session, reply),
    });
    options.shards.forEach((shard, at) => {
      shard.link.onUp(() => this.#doubt(shard));
      (options.wakes[at] as Wakes).hold(this.#ownChannel(shard), (message) => this.#receive(shard, message));
    });
  }

  async open(id: string, profile: WorkerProfile): Promise<void> {
    const { shards } = this.#options;
    const session = this.#newLocal(id);
    this.#local.set(id, Promise.resolve(session));
    const args = [
      id,
      JSON.stringify(profile),
      profile.worker,
      [...new Set(profile.pools)].join(UNIT),
      `${UNIT}${profile.capabilities.join(UNIT)}${UNIT}`,
      profile.slots,
    ];
    const hosted = profile.hosted === true ? "1" : "0";
    const openIn = async (shard: Shard, order: string): Promise<string> => {
      const [, no] = await shard.run("session-open", [...args, shard.no === 0 ? "1" : "0", hosted, order]);
      session.knownIn(shard).sessionNo = String(no);
      await this.#heard(id, shard);
      return String(no);
    };
    // The first shard says in which order workers came, for all of them.
    const [first, ...others] = shards as [Shard, ...Shard[]];
    const order = await openIn(first, "");
    await Promise.all(others.map((shard) => openIn(shard, order)));
  }

  /** Resolves when the server knows that we listen for the session: it cannot be missed any more. */
  async #heard(id: string, shard: Shard): Promise<void> {
    const channels = [this.#channel(id, shard.no), this.#ownChannel(shard)];
    for (let asked = 0; asked < MAX_HEARD_ASKED; asked += 1) {
      const [, session, , own] = (await shard.send("PUBSUB", "NUMSUB", ...channels)) as [
        string,
        number,
        string,
        number,
      ];
      if (session > 0 && own > 0) return;
    }
  }

  async heartbeat(id: string): Promise<Directives> {
    const session = await this.#find(id);
    const gathered = nothing();
    const beat = async (shard: Shard): Promise<void> => {
      const [, draining, stops] = await this.#alive(id, shard.run("heartbeat", [id, "1"]));
      addOrders(gathered, session.knownIn(shard), { draining, stops });
    };
    // A shard that is away must not keep the others from hearing it.
    await Promise.all(reachable(this.#options.shards).map(beat));
    return { cancel: gathered.cancel, drain: gathered.drain };
  }

  /** Whether it was heard of within `silentForMs` is judged by the first shard, for all of them. */
  async close(id: string, { reason, silentForMs = 0 }: Omit<CloseSessionParams, "session">): Promise<void> {
    const [first, ...others] = this.#options.shards as [Shard, ...Shard[]];
    const [answer] = await first.run("session-close", [id, reason, silentForMs]);
    if (answer === "HEARD") return;
    await Promise.all(others.map((shard) => shard.run("session-close", [id, reason, 0])));
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
    const { outcomes, claim = { max: 0, waitMs: 0 }, isSign = true } = params;
    const gathered = nothing();
    const verdicts: ("accepted" | "refused")[] = [];
    const parts = await this.#parts(session, outcomes);
    const isOne = parts.length === 1;
    const waits = claim.waitMs > 0 && this.#options.shards.length === 1;
    for (const { shard, build } of parts) {
      const asking = { max: isOne ? claim.max : 0, waiting: waits ? "1" : "0", isSign } as const;
      const { places, told } = await this.#grants.commit(session, shard, { build, asking, gathered });
      places.forEach((own, batch) => noteVerdicts(verdicts, own, told[batch]));
    }
    for (const { lease } of outcomes) session.knownIn(this.#options.shardOf(lease.executionId)).delete(lease);
    if (claim.max > gathered.leases.length && (!isOne || this.#options.shards.length > 1)) {
      const waiting = claim.waitMs > 0 && !isNews(gathered) ? "1" : "0";
      await this.#askShards(session, { max: claim.max, waiting, isSign }, gathered);
    }
    return { verdicts, ...gathered };
  }

  /** What a session says that is gone changes nothing, but is counted. */
  async #countRefused(params: CommitParams): Promise<void> {
    const session = this.#newLocal(params.session);
    try {
      for (const { shard, build } of await this.#parts(session, params.outcomes)) {
        const { ageingMs, process } = this.#options;
        const head = [params.session, 0, "0", MAX_REPLY_PAYLOAD, ageingMs, process, ""];
        const part = build();
        await shard.run("commit", [...head, part.batches, "0", ...part.args]);
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
        const reply = await this.#grants.reconcile(session, shard, own);
        returned += reply.returned;
        for (const lease of reply.lost) lost.add(lease);
      }),
    );
    return { returned, lost: held.filter((lease) => lost.has(lease)) };
  }

  /** Who is at the other end of a new connection may have forgotten the last it was told. */
  #doubt(shard: Shard): void {
    for (const session of this.#open.values()) session.knownIn(shard).doubt();
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
      await this.#grants.claim(session, shard, { asking: { ...asking, max, waiting }, gathered });
    }
  }

  /** Listens before the first look, so that nothing is missed between a look and the wait. */
  #listen(session: LocalSession, waitMs: number): Wait {
    const { clock, closing, wakes } = this.#options;
    const over = new AbortController();
    const cancelTimer = clock.schedule(waitMs, () => over.abort());
    const signal = AbortSignal.any([over.signal, closing]);
    const listening = wakes.map((shardWakes, at) => shardWakes.listen(this.#channel(session.id, at)));
    session.waits += 1;
    return {
      session,
      signal,
      next: async () => Promise.race(listening.map((channel) => channel.next(signal))),
      end: () => {
        cancelTimer();
        for (const channel of listening) channel.end();
        session.waits -= 1;
        if (session.waits === 0) this.#grants.giveBackReceived(session);
        if (wakes.length > 1) void this.#waitNoMore(session);
      },
    };
  }

  /** A call that was answered by one shard is not to be called by the others, which would call nobody else. */
  async #waitNoMore(session: LocalSession): Promise<void> {
    const args = [session.id, 0, "2", "0", 0, this.#options.ageingMs, this.#options.process, ""];
    await Promise.allSettled(this.#options.shards.map((shard) => shard.run("claim", args)));
  }

  /** Until there is work, or an order, or the time is over. Waiting is no sign of life: only what a worker says is. */
  async #wait(wait: Wait, max: number, first: ClaimReply): Promise<ClaimReply> {
    const { session, signal } = wait;
    let found = first;
    while (!isNews(found) && !signal.aborted) {
      await wait.next();
      const received = nothing();
      await this.#grants.takeReceived(session, max, received);
      const asking: Asking = { max, waiting: signal.aborted ? "2" : "1", isSign: false };
      found = received.leases.length > 0 ? received : await this.#ask(session, asking);
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
      await Promise.allSettled(reachable(shards).map((shard) => shard.run("session-close", [id, "lost", 0])));
    throw new HoldfastError("SESSION_LOST", { session: id });
  }

  // ── What this process knows ─────────────────────────────────────────────────────────────────

  #channel(id: string, shard: number): string {
    return `${(this.#options.shards[shard] as Shard).prefix}session:${id}`;
  }

  /** Where work is sent that this process waits for. */
  #ownChannel({ prefix }: Shard): string {
    return `${prefix}process:${this.#options.process}`;
  }

  /** Leases that were sent to a session which waits here. */
  #receive(shard: Shard, message: string): void {
    const [id, no, lanes] = JSON.parse(message) as [string, string, Reply[]];
    const session = this.#open.get(id);
    // One that is not here any more has been lost or closed, and its leases with it.
    if (session === undefined) return;
    this.#grants.receive(session, shard, { no, lanes });
    (this.#options.wakes[shard.no] as Wakes).wake(this.#channel(id, shard.no));
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
      const known = session.knownIn(this.#options.shards[at] as Shard);
      known.sessionNo = String(no);
      for (const ref of refs) known.add(parseRef(String(ref)));
    });
    return session;
  }

  #newLocal(id: string): LocalSession {
    const { shards, wakes } = this.#options;
    const session = new LocalSession(id, shards.length);
    const ends = shards.map((shard, at) => {
      // It ends in another process too, which serves it by turns with this one.
      const receive = (message: string): void => void (message === ENDED && this.#forget(id));
      return (wakes[at] as Wakes).hold(this.#channel(id, shard.no), receive);
    });
    session.release = () => {
      for (const end of ends) end();
    };
    this.#open.set(id, session);
    return session;
  }

  #release(session: LocalSession): void {
    if (this.#open.get(session.id) === session) this.#open.delete(session.id);
    session.release();
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
    const parts = [...places].flatMap(([shard, all]) => partsOf(outcomes, all).map((own) => ({ shard, own })));
    return parts.map(({ shard, own }) => {
      const known = session.knownIn(shard);
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

function noteVerdicts(verdicts: ("accepted" | "refused")[], places: readonly number[], told: Reply | undefined): void {
  places.forEach((place, at) => {
    const isAccepted = typeof told === "string" ? told[at] === "1" : told === 1;
    verdicts[place] = isAccepted ? "accepted" : "refused";
  });
}
