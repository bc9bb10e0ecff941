/** Workers and pools as people look at them: from memory, which counts as it goes. */
import { HoldfastError } from "../../errors/index.ts";
import {
  ALL_POOLS,
  type ListSessionsParams,
  type ListSessionsReply,
  type Pause,
  type PoolView,
  type SessionView,
  type WorkerProfile,
} from "../contract.ts";
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import type { PoolRecord, SessionRecord } from "./model.ts";

/** Live sessions first, in the order in which they came, then those that ended last. */
export function listSessions(engine: Engine, { limit, live = false, after }: ListSessionsParams): ListSessionsReply {
  const from = placeIn(after);
  const all = [...engine.model.sessions.values()].filter(({ no }) => no > from);
  const page = all.slice(0, limit);
  const sessions = page.map(liveSession);
  const last = page.at(-1);
  if (all.length > limit && last !== undefined) return { sessions, next: String(last.no) };
  if (live || sessions.length === limit) return { sessions };
  const ended = engine.db.all(
    "SELECT * FROM sessions WHERE state IN ('left', 'lost') ORDER BY no DESC LIMIT ?",
    limit - sessions.length,
  );
  ended.sort((one, other) => Number(other["seen_at"]) - Number(one["seen_at"]));
  return { sessions: [...sessions, ...ended.map(endedSession)] };
}

/** Sessions are numbered in the order in which they came. */
function placeIn(after: string | undefined): number {
  const place = after === undefined ? 0 : Number(after);
  if (Number.isSafeInteger(place)) return place;
  const problem = `is ${after}, which no reply has given as next`;
  throw new HoldfastError("INVALID_REQUEST", { method: "listSessions", path: "after", problem });
}

function liveSession(session: SessionRecord): SessionView {
  return {
    ...session.profile,
    session: session.id,
    state: session.draining ? "draining" : "live",
    openedAt: session.openedAt,
    lastSeenAt: session.seenAt,
    leases: session.leases.size,
    completed: session.completed,
  };
}

function endedSession(row: Row): SessionView {
  return {
    ...(JSON.parse(String(row["profile"])) as WorkerProfile),
    session: String(row["id"]),
    state: String(row["state"]) as SessionView["state"],
    openedAt: Number(row["opened_at"]),
    lastSeenAt: Number(row["seen_at"]),
    leases: 0,
    completed: Number(row["completed"]),
  };
}

export function listPools(engine: Engine): PoolView[] {
  return [...engine.model.pools.values()].map((pool) => poolView(engine, pool));
}

/** Of one pool, or of all in sum. */
export function poolNamed(engine: Engine, name: string): PoolView {
  return name === ALL_POOLS ? allPools(engine) : poolView(engine, engine.model.pool(name));
}

function poolView({ model }: Engine, pool: PoolRecord): PoolView {
  const { sessions, slots, min, max } = pool;
  return {
    pool: pool.name,
    ...paused(pool.pause ?? model.allPaused),
    ...amounts([pool]),
    sessions: sessions.size,
    slots,
    standby: standby(pool),
    min,
    ...(max === undefined ? {} : { max }),
  };
}

function standby({ sessions, max = Infinity }: PoolRecord): number {
  return Math.max(0, sessions.size - max);
}

function allPools({ model }: Engine): PoolView {
  let [slots, inReserve, least] = [0, 0, 0];
  for (const { profile } of model.sessions.values()) slots += profile.slots;
  for (const pool of model.pools.values()) {
    inReserve += standby(pool);
    least += pool.min;
  }
  return {
    pool: ALL_POOLS,
    ...paused(model.allPaused),
    ...amounts(model.pools.values()),
    sessions: model.sessions.size,
    slots,
    standby: inReserve,
    min: least,
  };
}

function paused(pause: Pause | undefined): Pick<PoolView, "paused" | "pause"> {
  return pause === undefined ? { paused: false } : { paused: true, pause };
}

type Amounts = Pick<PoolView, "blocked" | "scheduled" | "queued" | "running" | "completed" | "failed">;

function amounts(pools: Iterable<PoolRecord>): Amounts {
  const sums = { blocked: 0, scheduled: 0, queued: 0, running: 0, completed: 0, failed: 0 };
  for (const { items } of pools)
    for (const state of Object.keys(sums) as (keyof Amounts)[]) sums[state] += items[state];
  return sums;
}
