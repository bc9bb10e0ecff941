/**
 * Sessions: opened by a worker, kept alive by anything it says, ended by leaving, by its socket, or
 * by silence. When a session ends its leases end with it, in the same transaction (promise 3).
 */
import type {
  CloseSessionParams,
  Directives,
  DutyParams,
  DutyReply,
  OpenSessionReply,
  WorkerProfile,
} from "../contract.ts";
import type { Engine } from "./engine.ts";
import { giveBack } from "./give-back.ts";
import type { SessionRecord } from "./model.ts";

/** A worker that never answers a cancel is not told for ever. */
const MAX_TELLINGS = 20;

export function openSession(engine: Engine, profile: WorkerProfile): OpenSessionReply {
  const id = engine.newId();
  const { now } = engine;
  const no = engine.db.insert(
    "INSERT INTO sessions (id, profile, state, opened_at, seen_at, completed) VALUES (?, ?, 'live', ?, ?, 0)",
    id,
    JSON.stringify(profile),
    now,
    now,
  );
  engine.model.addSession(newSession({ no, id, profile, openedAt: now, seenAt: now, draining: false, completed: 0 }));
  engine.journal.session(id, profile.worker, "opened");
  return { session: id, heartbeatMs: engine.settings.heartbeatMs, deadAfterMs: engine.settings.deadAfterMs };
}

export function newSession(
  fields: Pick<SessionRecord, "no" | "id" | "profile" | "openedAt" | "seenAt" | "draining" | "completed">,
): SessionRecord {
  return {
    ...fields,
    capabilities: new Set(fields.profile.capabilities),
    leases: new Set(),
    cancels: new Map(),
    lastCommitAt: fields.seenAt,
  };
}

export function directives(session: SessionRecord): Directives {
  const { cancels, draining } = session;
  if (cancels.size === 0) return { cancel: [], drain: draining };
  const cancel = [...cancels.values()].map(({ ref }) => ref);
  for (const [key, entry] of cancels) {
    entry.told += 1;
    if (entry.told >= MAX_TELLINGS) cancels.delete(key);
  }
  return { cancel, drain: draining };
}

export function closeSession(engine: Engine, params: CloseSessionParams): void {
  const session = engine.model.sessions.get(params.session);
  if (session === undefined || engine.now - session.seenAt < (params.silentForMs ?? 0)) return;
  endSession(engine, session, params.reason);
}

export function drainSession(engine: Engine, params: { readonly session: string }): void {
  const session = engine.liveSession(params.session);
  session.draining = true;
  engine.db.run("UPDATE sessions SET state = 'draining' WHERE no = ?", session.no);
}

/** Duty: sessions that were silent too long are dead. */
export function reapSessions(engine: Engine, { limit }: DutyParams): DutyReply {
  const { now, settings } = engine;
  const silent = [...engine.model.sessions.values()].filter((session) => now - session.seenAt >= settings.deadAfterMs);
  for (const session of silent.slice(0, limit)) endSession(engine, session, "lost");
  let nextAt = Infinity;
  for (const { seenAt } of engine.model.sessions.values()) nextAt = Math.min(nextAt, seenAt + settings.deadAfterMs);
  return {
    handled: Math.min(limit, silent.length),
    more: silent.length > limit,
    ...(nextAt < Infinity ? { nextAt } : {}),
  };
}

function endSession(engine: Engine, session: SessionRecord, reason: "left" | "lost"): void {
  for (const lease of [...session.leases]) {
    engine.model.removeLease(lease);
    giveBack(engine, lease, reason === "lost" ? "lost" : "returned");
  }
  engine.model.removeSession(session);
  engine.db.run(
    "UPDATE sessions SET state = ?, seen_at = ?, completed = ? WHERE no = ?",
    reason,
    session.seenAt,
    session.completed,
    session.no,
  );
  engine.journal.session(session.id, session.profile.worker, reason);
}
