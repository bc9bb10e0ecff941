/**
 * Locks, each in the shard of its name. A wait is a line of questions: the first one stands in line, each
 * later one keeps the place, and one of them is answered with the lock. The line is in Redis, so it
 * outlives this process, and who died in it is out of it when its patience is over.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import type {
  AcquireLockParams,
  AcquireLockReply,
  ExtendLockParams,
  ListLocksParams,
  ListLocksReply,
  LockGrant,
  LockView,
  ReleaseLockParams,
} from "../contract.ts";
import { LINE_PATIENCE_MS, MAX_LINE } from "../limits.ts";
import type { Reply } from "./link/link.ts";
import type { Shard } from "./shard.ts";
import type { Spread } from "./spread.ts";
import { storedName } from "./state-names.ts";
import { pageOfState } from "./state-pages.ts";
import { type Turn, Turns } from "./state-turns.ts";
import type { Wakes } from "./wakes.ts";

export interface LocksOptions {
  readonly shards: readonly Shard[];
  readonly spread: Spread;
  readonly wakes: readonly Wakes[];
  readonly clock: Clock;
  readonly newId: () => string;
  /** Aborted when the broker closes. */
  readonly closing: AbortSignal;
}

/** Who waits keeps its place by asking this often, well within its patience. */
const LOOK_AGAIN_MS = 800;

interface Question {
  readonly way: "ask" | "join" | "stay";
  /** Where the owner can be called; empty when its call does not wait after this question. */
  readonly caller: string;
}

interface Answer {
  readonly reply: AcquireLockReply;
  /** When to ask again without having been called; "gone": the place was given back. */
  readonly lookAfterMs: number | "gone";
}

export class Locks {
  readonly #options: LocksOptions;
  readonly #turns: Turns;
  /** The highest token seen: the next grant is above it, whatever shard gives it. */
  #highest = 0;

  constructor(options: LocksOptions) {
    this.#options = options;
    this.#turns = new Turns(options.shards, options);
  }

  async acquire(params: AcquireLockParams): Promise<AcquireLockReply> {
    if (params.waitMs <= 0) return (await this.#ask(params, { way: "ask", caller: "" })).reply;
    const turn = this.#turns.wait(this.#home(params.lock), storedName(params.lock), params.owner);
    try {
      return await this.#wait(params, turn);
    } finally {
      turn.end();
    }
  }

  async #wait(params: AcquireLockParams, turn: Turn): Promise<AcquireLockReply> {
    const { clock, closing } = this.#options;
    const endsAt = clock.now() + params.waitMs;
    let way: Question["way"] = "join";
    for (;;) {
      const askedAt = clock.now();
      const isLast = askedAt >= endsAt;
      const caller = isLast && !turn.isShared ? "" : turn.caller;
      const { reply, lookAfterMs } = await this.#ask(params, { way, caller });
      if (lookAfterMs === "gone") {
        if (!turn.takeDoubt()) return { ...reply, gaveUp: true };
        way = "join";
        continue;
      }
      if (reply.grant !== undefined || isLast || closing.aborted) return reply;
      // Who could not be called when it asked may have missed a call.
      if (caller === "") await turn.heard();
      else await turn.next(Math.max(0, Math.min(lookAfterMs, LOOK_AGAIN_MS, endsAt - clock.now())));
      if (closing.aborted) return reply;
      // Who may have lost the place, because it was not heard for too long or the server has forgotten it, stands in
      // line again; who has lost it otherwise has given it back.
      way = turn.takeDoubt() || clock.now() - askedAt >= LINE_PATIENCE_MS ? "join" : "stay";
    }
  }

  async #ask(params: AcquireLockParams, { way, caller }: Question): Promise<Answer> {
    const { lock, owner, ttlMs, note = "" } = params;
    const args = [storedName(lock), owner, ttlMs, note, this.#highest, way, LINE_PATIENCE_MS, MAX_LINE, caller];
    const [code, ahead, token, next, ...holder] = await this.#home(lock).run("lock-acquire", args);
    if (code === "LINE_FULL") throw new HoldfastError("LINE_FULL", { lock, limit: MAX_LINE });
    const place = { ahead: Number(ahead) };
    if (token !== "") return { reply: { grant: this.#grant(token, next), ...place }, lookAfterMs: 0 };
    const lookAfterMs = next === "gone" ? next : next === "" ? Infinity : Number(next);
    if (holder.length === 0) return { reply: place, lookAfterMs };
    return { reply: { holder: this.#view(lock, holder), ...place }, lookAfterMs };
  }

  async extend({ lock, owner, ttlMs }: ExtendLockParams): Promise<LockGrant> {
    const [code, ...grant] = await this.#home(lock).run("lock-extend", [storedName(lock), owner, ttlMs]);
    if (code !== "ok") throw new HoldfastError("LOCK_LOST", { lock });
    return this.#grant(...grant);
  }

  async release({ lock, owner }: ReleaseLockParams): Promise<boolean> {
    const [, released] = await this.#home(lock).run("lock-release", [storedName(lock), owner]);
    return Number(released) === 1;
  }

  async read(lock: string): Promise<LockView | undefined> {
    const [, ...holder] = await this.#home(lock).run("lock-read", [storedName(lock)]);
    return holder.length === 0 ? undefined : this.#view(lock, holder);
  }

  async list({ prefix, after, limit }: ListLocksParams): Promise<ListLocksReply> {
    const { entries, ...rest } = await pageOfState(this.#options.shards, {
      script: "lock-list",
      prefix,
      after,
      limit,
      room: Number.MAX_SAFE_INTEGER,
      read: (lock, holder) => this.#view(lock, holder),
      sizeOf: () => 0,
    });
    return { locks: entries, ...rest };
  }

  #home(lock: string): Shard {
    return this.#options.spread.shardOf(lock);
  }

  #grant(token?: Reply, expiresAt?: Reply): LockGrant {
    const grant = { token: Number(token), expiresAt: Number(expiresAt) };
    this.#highest = Math.max(this.#highest, grant.token);
    return grant;
  }

  #view(lock: string, holder: readonly Reply[]): LockView {
    const [owner, token, expiresAt, acquiredAt, note, waiting] = holder;
    return {
      lock,
      owner: String(owner),
      ...this.#grant(token, expiresAt),
      acquiredAt: Number(acquiredAt),
      ...(note === "" ? {} : { note: String(note) }),
      waiting: Number(waiting),
    };
  }
}
