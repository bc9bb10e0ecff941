/**
 * Transitions of locks, and of the lines in front of them. All of it is in the file alone: a grant
 * and a place in line survive the owner of the file.
 *
 * A lock belongs to its holder until `expires_at`, by the broker's clock. When it is free, the first
 * in line has it as soon as it asks, or at once if a call of it waits (lock-waits.ts); until its
 * place is lost nobody else gets the lock. A place is lost at `until`: when the call that holds it
 * has been answered and its owner has not asked again for LINE_PATIENCE_MS.
 */
import { HoldfastError } from "../../errors/index.ts";
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
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import { nameBytes, nameRange, nameText } from "./state-names.ts";

/** Who has the lock, or may have it next. */
export interface LockState {
  readonly holder?: { readonly owner: string; readonly grant: LockGrant };
  /** First in line of a lock that nobody holds. */
  readonly first?: { readonly owner: string; readonly until: number };
}

/** What asking for a lock has led to. */
export interface Asked {
  readonly grant?: LockGrant;
  /** The owner has a place at the end of the line that it did not have before. */
  readonly joined: boolean;
}

/** Grants the lock if the owner may have it now; else the owner joins the line, or keeps its place, if it wants to wait. */
export function acquireLock(engine: Engine, params: AcquireLockParams): Asked {
  const name = nameBytes(params.lock);
  const { holder, first } = lockState(engine, name);
  if (holder?.owner === params.owner) {
    return { grant: lengthen(engine, { name, grant: holder.grant, ttlMs: params.ttlMs }), joined: false };
  }
  if (holder === undefined && (first === undefined || first.owner === params.owner))
    return { grant: grantLock(engine, params), joined: false };
  return { joined: standInLine(engine, name, params) };
}

/** Gives the lock to the owner, who leaves the line. */
export function grantLock(engine: Engine, { lock, owner, ttlMs, note }: AcquireLockParams): LockGrant {
  const { db, now } = engine;
  const name = nameBytes(lock);
  const grant = { token: engine.nextToken(), expiresAt: now + ttlMs };
  leaveLine(engine, name, owner);
  db.run(
    "INSERT OR REPLACE INTO locks (name, owner, token, acquired_at, expires_at, note) VALUES (?, ?, ?, ?, ?, ?)",
    name,
    owner,
    grant.token,
    now,
    grant.expiresAt,
    note ?? null,
  );
  return grant;
}

/** Errors: LOCK_LOST. */
export function extendLock(engine: Engine, { lock, owner, ttlMs }: ExtendLockParams): LockGrant {
  const name = nameBytes(lock);
  const { holder } = lockState(engine, name);
  if (holder?.owner !== owner) throw new HoldfastError("LOCK_LOST", { lock });
  return lengthen(engine, { name, grant: holder.grant, ttlMs });
}

interface Lengthening {
  readonly name: Uint8Array;
  readonly grant: LockGrant;
  readonly ttlMs: number;
}

function lengthen(engine: Engine, { name, grant, ttlMs }: Lengthening): LockGrant {
  const expiresAt = Math.max(grant.expiresAt, engine.now + ttlMs);
  engine.db.run("UPDATE locks SET expires_at = ? WHERE name = ?", expiresAt, name);
  return { token: grant.token, expiresAt };
}

/** The lock, or else the place in line, is given back. */
export function releaseLock(engine: Engine, { lock, owner }: ReleaseLockParams): boolean {
  const { db, now } = engine;
  const name = nameBytes(lock);
  const released = db.run("DELETE FROM locks WHERE name = ? AND owner = ? AND expires_at > ?", name, owner, now);
  return leaveLine(engine, name, owner) + released > 0;
}

/** What of the lock is to be had, by the broker's clock. Drops places at the head of the line that are lost. */
export function lockState(engine: Engine, name: Uint8Array): LockState {
  const { db, now } = engine;
  const row = db.get("SELECT owner, token, expires_at FROM locks WHERE name = ? AND expires_at > ?", name, now);
  if (row !== undefined) {
    const grant = { token: Number(row["token"]), expiresAt: Number(row["expires_at"]) };
    return { holder: { owner: String(row["owner"]), grant } };
  }
  for (;;) {
    const head = db.get("SELECT place, owner, until FROM lock_line WHERE lock = ? ORDER BY place LIMIT 1", name);
    if (head === undefined) return {};
    const first = { owner: String(head["owner"]), until: Number(head["until"]) };
    if (first.until > now) return { first };
    db.run("DELETE FROM lock_line WHERE lock = ? AND place = ?", name, Number(head["place"]));
  }
}

/** Whether the owner has joined the line. Errors: LINE_FULL. */
function standInLine(engine: Engine, name: Uint8Array, { lock, owner, waitMs }: AcquireLockParams): boolean {
  const { db, now } = engine;
  const until = now + waitMs + LINE_PATIENCE_MS;
  const kept = db.run(
    "UPDATE lock_line SET until = max(until, ?) WHERE lock = ? AND owner = ? AND until > ?",
    until,
    name,
    owner,
    now,
  );
  if (kept > 0 || waitMs <= 0) return false;
  leaveLine(engine, name, owner);
  const last = edgeOfLine(engine, name, "DESC");
  // Places ascend by one, so only a line that spans so many can hold so many.
  if (last - edgeOfLine(engine, name, "ASC") >= MAX_LINE - 1 && lengthOfLine(engine, name) >= MAX_LINE)
    throw new HoldfastError("LINE_FULL", { lock, limit: MAX_LINE });
  db.run("INSERT INTO lock_line (lock, place, owner, until) VALUES (?, ?, ?, ?)", name, last + 1, owner, until);
  return true;
}

function edgeOfLine(engine: Engine, name: Uint8Array, order: "ASC" | "DESC"): number {
  const row =
    order === "ASC"
      ? engine.db.get("SELECT place FROM lock_line WHERE lock = ? ORDER BY place LIMIT 1", name)
      : engine.db.get("SELECT place FROM lock_line WHERE lock = ? ORDER BY place DESC LIMIT 1", name);
  return Number(row?.["place"] ?? 0);
}

function lengthOfLine(engine: Engine, name: Uint8Array): number {
  const row = engine.db.get("SELECT count(*) AS n FROM lock_line WHERE lock = ? AND until > ?", name, engine.now);
  return Number(row?.["n"]);
}

function leaveLine(engine: Engine, name: Uint8Array, owner: string): number {
  return engine.db.run("DELETE FROM lock_line WHERE lock = ? AND owner = ?", name, owner);
}

/** Who stands in line. */
export interface Line {
  /** Owners, with how many stand before them. */
  readonly places: ReadonlyMap<string, number>;
  /** As long as nobody joins or leaves, this is the line until then: the first place to be lost is. */
  readonly until: number;
}

export function readLine(engine: Engine, lock: string): Line {
  const rows = engine.db.all(
    "SELECT owner, until FROM lock_line WHERE lock = ? AND until > ? ORDER BY place",
    nameBytes(lock),
    engine.now,
  );
  let until = Infinity;
  for (const row of rows) until = Math.min(until, Number(row["until"]));
  return { places: new Map(rows.map((row, place) => [String(row["owner"]), place])), until };
}

/** The answer for an owner who does not have the lock now. */
export function withoutGrant(engine: Engine, asked: ReleaseLockParams, { places }: Line): AcquireLockReply {
  const { lock, owner } = asked;
  const row = engine.db.get(
    "SELECT *, 0 AS waiting FROM locks WHERE name = ? AND owner <> ? AND expires_at > ?",
    nameBytes(lock),
    owner,
    engine.now,
  );
  const holder = row === undefined ? {} : { holder: { ...lockView(row), waiting: places.size } };
  return { ...holder, ahead: places.get(owner) ?? places.size };
}

const VIEW = `SELECT *, (SELECT count(*) FROM lock_line WHERE lock = name AND until > ?1) AS waiting
  FROM locks WHERE expires_at > ?1` as const;

export function readLock(engine: Engine, lock: string): { readonly lock?: LockView } {
  const row = engine.db.get(`${VIEW} AND name = ?2`, engine.now, nameBytes(lock));
  return row === undefined ? {} : { lock: lockView(row) };
}

export function listLocks(engine: Engine, { limit, ...which }: ListLocksParams): ListLocksReply {
  const { from, before } = nameRange(which);
  const rows = engine.db.all(
    `${VIEW} AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4`,
    engine.now,
    from,
    before,
    limit + 1,
  );
  const locks = rows.slice(0, limit).map(lockView);
  const last = locks.at(-1);
  return { locks, ...(rows.length > limit && last !== undefined ? { next: last.lock } : {}) };
}

function lockView(row: Row): LockView {
  const note = row["note"];
  return {
    lock: nameText(row["name"]),
    owner: String(row["owner"]),
    token: Number(row["token"]),
    acquiredAt: Number(row["acquired_at"]),
    expiresAt: Number(row["expires_at"]),
    ...(typeof note === "string" ? { note } : {}),
    waiting: Number(row["waiting"]),
  };
}

/**
 * A new owner of the file: calls that waited were cut off with the last one, so those who wait get
 * the time of one answer to ask again.
 */
export function reopenLines(engine: Engine): void {
  const { db, now } = engine;
  db.run("DELETE FROM lock_line WHERE until <= ?", now);
  db.run("UPDATE lock_line SET until = ?", now + LINE_PATIENCE_MS);
}
