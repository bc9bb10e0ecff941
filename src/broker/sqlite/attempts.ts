/** The attempts that a person asks for later: failed, lost, or with something printed. */
import type { Outcome } from "../contract.ts";
import { MAX_ATTEMPTS_KEPT } from "../limits.ts";
import type { Engine } from "./engine.ts";
import type { LeaseRecord } from "./model.ts";

/** Old attempts of an execution are deleted once per this many new ones. */
const PRUNE_EVERY = 256;

/** Keeps what a person asks for after a failure: who ran it, why it ended, what it printed. */
export function rememberAttempt(
  engine: Engine,
  lease: LeaseRecord,
  outcome: Exclude<Outcome, { kind: "returned" }>,
): void {
  engine.db.run(
    `INSERT INTO attempts (execution, task, start, end, attempt, worker, outcome, failure, output, duration_ms, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    lease.group.execution.no,
    lease.task,
    lease.start < 0 ? null : lease.start,
    lease.start < 0 ? null : lease.end,
    lease.attempt,
    lease.session.profile.worker,
    outcome.kind === "chunk" ? "completed" : outcome.kind,
    outcome.kind === "failed" ? JSON.stringify(outcome.failure) : null,
    outcome.output === undefined ? null : JSON.stringify(outcome.output),
    outcome.durationMs,
    engine.now,
  );
  prune(engine, lease);
}

/** A lease was taken away from a dead session. */
export function rememberLoss(engine: Engine, lease: LeaseRecord): void {
  engine.db.run(
    "INSERT INTO attempts (execution, task, start, end, attempt, worker, outcome, at) VALUES (?, ?, ?, ?, ?, ?, 'lost', ?)",
    lease.group.execution.no,
    lease.task,
    lease.start < 0 ? null : lease.start,
    lease.start < 0 ? null : lease.end,
    lease.attempt,
    lease.session.profile.worker,
    engine.now,
  );
  prune(engine, lease);
}

function prune(engine: Engine, lease: LeaseRecord): void {
  const { execution } = lease.group;
  execution.attemptsNoted += 1;
  if (execution.attemptsNoted % PRUNE_EVERY !== 0) return;
  engine.db.run(
    `DELETE FROM attempts WHERE execution = ?1 AND seq <=
       (SELECT seq FROM attempts WHERE execution = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ${MAX_ATTEMPTS_KEPT})`,
    execution.no,
  );
}
