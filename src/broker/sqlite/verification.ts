/**
 * Running sampled chunks again on other workers (TTG-87, TTG-88).
 *
 * When a sampled chunk commits, its replicas are queued in the same transaction, so the execution
 * cannot end before they are judged. Each copy's values are kept until the coordinator has compared
 * them. A replica that no second worker can run is given up and counted as skipped.
 */
import { isSampled } from "../../core/verification.ts";
import { hasAll } from "../../core/ready-queue.ts";
import type {
  CompletedChunk,
  DutyParams,
  PendingVerification,
  VerificationReport,
  VerificationVerdict,
} from "../contract.ts";
import { MAX_DISAGREEMENTS } from "../limits.ts";
import type { Engine } from "./engine.ts";
import {
  type ExecutionRecord,
  type LeaseRecord,
  QUEUED,
  type ReplicaRecord,
  type VerificationRecord,
  verificationKey,
} from "./model.ts";

/** A replica that failed or lost its worker this often is given up. */
const MAX_REPLICA_TROUBLES = 3;

const EMPTY_REPORT: VerificationReport = {
  sampled: 0,
  agreed: 0,
  disagreed: 0,
  skipped: 0,
  pending: 0,
  byWorker: {},
  disagreements: [],
};

/** The chunk has committed: if it is in the sample, queues its replicas. */
export function sampleChunk(engine: Engine, lease: LeaseRecord, outcome: CompletedChunk): void {
  const { group, start, end, session } = lease;
  const { verify } = group.execution;
  const { values } = outcome;
  if (verify === undefined || values === undefined || !isSampled({ seed: verify.seed, start, sample: verify.sample }))
    return;
  const verification: VerificationRecord = {
    group,
    start,
    end,
    wanted: verify.replicas,
    at: engine.now,
    workers: new Set([session.profile.worker]),
    copies: 1,
  };
  engine.model.verifications.set(verificationKey(group.execution.no, group.first, start), verification);
  engine.db.run(
    "INSERT INTO verifications (execution, task, start, end, wanted, at) VALUES (?, ?, ?, ?, ?, ?)",
    group.execution.no,
    group.first,
    start,
    end,
    verify.replicas,
    engine.now,
  );
  storeCopy(engine, lease, values);
  for (let replica = 1; replica < verify.replicas; replica += 1) {
    queueReplica(engine, { verification, replica, attempt: 0, failures: 0, losses: 0, careful: false });
  }
  report(engine, group.execution, (old) => ({ ...old, sampled: old.sampled + 1, pending: old.pending + 1 }));
}

function queueReplica(engine: Engine, replica: ReplicaRecord): void {
  const { group, start, end } = replica.verification;
  engine.db.run(
    `INSERT OR REPLACE INTO chunks (execution, task, start, replica, end, state, attempt, failures, losses, careful, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    group.execution.no,
    group.first,
    start,
    replica.replica,
    end,
    QUEUED,
    replica.attempt,
    replica.failures,
    replica.losses,
    replica.careful ? 1 : 0,
    engine.now,
  );
  group.pool.replicas.add(replica);
}

function storeCopy(engine: Engine, lease: LeaseRecord, values: string): void {
  engine.db.run(
    "INSERT OR REPLACE INTO copies (execution, task, start, replica, worker, token, item_values) VALUES (?, ?, ?, ?, ?, ?, ?)",
    lease.group.execution.no,
    lease.task,
    lease.start,
    lease.replica,
    lease.session.profile.worker,
    lease.token,
    values,
  );
}

/** A replica has run. Items that failed in it stand as null and so differ from what the chunk says. */
export function commitCopy(engine: Engine, lease: LeaseRecord, outcome: CompletedChunk): void {
  const verification = verificationOf(engine, lease);
  dropChunk(engine, lease);
  if (verification === undefined) return;
  if (outcome.values === undefined) {
    giveUp(engine, verification);
    return;
  }
  storeCopy(engine, lease, outcome.values);
  verification.copies += 1;
}

/** A replica's attempt failed as a whole. */
export function failReplica(engine: Engine, lease: LeaseRecord): void {
  troubleReplica(engine, lease, { attempt: lease.attempt, failures: lease.failures + 1, losses: lease.losses });
}

export function requeueReplica(engine: Engine, lease: LeaseRecord, isLost: boolean): void {
  if (isLost)
    troubleReplica(engine, lease, { attempt: lease.attempt, failures: lease.failures, losses: lease.losses + 1 });
  else troubleReplica(engine, lease, { attempt: lease.attempt - 1, failures: lease.failures, losses: lease.losses });
}

function troubleReplica(
  engine: Engine,
  lease: LeaseRecord,
  tries: Pick<ReplicaRecord, "attempt" | "failures" | "losses">,
): void {
  const verification = verificationOf(engine, lease);
  dropChunk(engine, lease);
  if (verification === undefined) return;
  verification.workers.delete(lease.session.profile.worker);
  if (tries.failures + tries.losses >= MAX_REPLICA_TROUBLES) giveUp(engine, verification);
  else queueReplica(engine, { verification, replica: lease.replica, ...tries, careful: true });
}

function dropChunk(engine: Engine, lease: LeaseRecord): void {
  engine.db.run(
    "DELETE FROM chunks WHERE execution = ? AND task = ? AND start = ? AND replica = ?",
    lease.group.execution.no,
    lease.task,
    lease.start,
    lease.replica,
  );
}

function verificationOf(engine: Engine, lease: LeaseRecord): VerificationRecord | undefined {
  return engine.model.verifications.get(verificationKey(lease.group.execution.no, lease.task, lease.start));
}

// ── Judging ───────────────────────────────────────────────────────────────────────────────────

/** Gives up what no second worker can run; lists what has all its copies. */
export function pendingVerifications(engine: Engine, params: DutyParams): PendingVerification[] {
  for (const pool of engine.model.pools.values()) {
    for (const replica of pool.replicas) {
      const { verification } = replica;
      const hasWaited = engine.now - verification.at >= engine.settings.verificationPatienceMs;
      if (hasWaited && !someoneCanRun(engine, replica)) giveUp(engine, verification);
    }
  }
  const pending: PendingVerification[] = [];
  for (const verification of engine.model.verifications.values()) {
    if (pending.length >= params.limit) break;
    if (verification.copies >= verification.wanted) pending.push(describe(engine, verification));
  }
  return pending;
}

function someoneCanRun(engine: Engine, replica: ReplicaRecord): boolean {
  const { group, workers } = replica.verification;
  for (const { profile, capabilities, draining } of engine.model.sessions.values()) {
    if (
      !draining &&
      !workers.has(profile.worker) &&
      profile.pools.includes(group.spec.pool) &&
      hasAll(capabilities, group.requires)
    )
      return true;
  }
  return false;
}

function describe(engine: Engine, { group, start, end }: VerificationRecord): PendingVerification {
  const rows = engine.db.all(
    "SELECT worker, item_values FROM copies WHERE execution = ? AND task = ? AND start = ? ORDER BY replica",
    group.execution.no,
    group.first,
    start,
  );
  return {
    executionId: group.execution.id,
    task: group.first,
    start,
    end,
    tolerance: group.execution.verify?.tolerance ?? 0,
    copies: rows.map((row) => ({ worker: String(row["worker"]), values: String(row["item_values"]) })),
  };
}

export function judge(engine: Engine, verdict: VerificationVerdict): void {
  const execution = engine.model.executionsById.get(verdict.executionId);
  if (execution === undefined) return;
  const verification = engine.model.verifications.get(verificationKey(execution.no, verdict.task, verdict.start));
  if (verification === undefined) return;
  const { disagreement } = verdict;
  const workers = [...verification.workers];
  drop(engine, verification);
  report(engine, execution, (old) => {
    const byWorker = { ...old.byWorker };
    for (const worker of workers) {
      const { compared, disagreed } = byWorker[worker] ?? { compared: 0, disagreed: 0 };
      const differs = disagreement?.workers.includes(worker) === true;
      byWorker[worker] = { compared: compared + 1, disagreed: disagreed + (differs ? 1 : 0) };
    }
    const { task, start, end } = { ...verdict, end: verification.end };
    return {
      ...old,
      byWorker,
      pending: old.pending - 1,
      agreed: old.agreed + (disagreement === undefined ? 1 : 0),
      disagreed: old.disagreed + (disagreement === undefined ? 0 : 1),
      disagreements:
        disagreement === undefined || old.disagreements.length >= MAX_DISAGREEMENTS
          ? old.disagreements
          : [...old.disagreements, { task, start, end, ...disagreement }],
    };
  });
}

function giveUp(engine: Engine, verification: VerificationRecord): void {
  drop(engine, verification);
  report(engine, verification.group.execution, (old) => ({
    ...old,
    pending: old.pending - 1,
    skipped: old.skipped + 1,
  }));
}

/** Forgets a verification, its waiting and running replicas, and its copies. */
function drop(engine: Engine, verification: VerificationRecord): void {
  const { group, start } = verification;
  const at = [group.execution.no, group.first, start] as const;
  engine.model.verifications.delete(verificationKey(...at));
  for (const replica of group.pool.replicas)
    if (replica.verification === verification) group.pool.replicas.delete(replica);
  for (const lease of engine.model.leases.values()) {
    if (lease.replica > 0 && lease.group === group && lease.start === start) engine.revoke(lease);
  }
  engine.db.run("DELETE FROM chunks WHERE execution = ? AND task = ? AND start = ? AND replica > 0", ...at);
  engine.db.run("DELETE FROM verifications WHERE execution = ? AND task = ? AND start = ?", ...at);
  engine.db.run("DELETE FROM copies WHERE execution = ? AND task = ? AND start = ?", ...at);
}

function report(
  engine: Engine,
  execution: ExecutionRecord,
  change: (old: VerificationReport) => VerificationReport,
): void {
  execution.verification = change(execution.verification ?? EMPTY_REPORT);
  engine.touch(execution);
}
