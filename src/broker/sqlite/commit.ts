/**
 * Transition commit: outcomes of a session's leases → results, retries, counters, dependents, events.
 *
 * Invariant (promises 1, 2 and 7): an outcome counts only while the lease it names is held by the
 * session that sends it. Each outcome changes everything it changes in the transaction under way.
 * One that was counted before is accepted again without effect; any other is refused.
 */
import type { CommitParams, CompletedChunk, CompletedTask, FailedAttempt, LeaseRef, Outcome } from "../contract.ts";
import { rememberAttempt } from "./attempts.ts";
import { commitChunk, failChunk } from "./commit-chunk.ts";
import { commitTask, failTask } from "./commit-task.ts";
import type { Engine } from "./engine.ts";
import { giveBack } from "./give-back.ts";
import { chunkKey, type LeaseKey, type LeaseRecord, RUNNING, type SessionRecord, TASK_ID_SPAN } from "./model.ts";

export type Verdict = "accepted" | "refused";

export function commitOutcomes(engine: Engine, session: SessionRecord, params: CommitParams): Verdict[] {
  session.lastCommitAt = engine.now;
  return params.outcomes.map((outcome) => commitOutcome(engine, session, outcome));
}

function commitOutcome(engine: Engine, session: SessionRecord, outcome: Outcome): Verdict {
  const key = leaseKey(engine, outcome.lease);
  if (key === undefined) return refuse(engine, session, outcome.lease, undefined);
  const lease = engine.model.leases.get(key);
  if (lease === undefined || String(lease.token) !== outcome.lease.token || lease.session !== session) {
    return isRepeat(engine, outcome.lease, key) ? "accepted" : refuse(engine, session, outcome.lease, key);
  }
  if ((outcome.kind === "completed") !== (lease.start < 0) && (outcome.kind === "chunk") !== (lease.start >= 0)) {
    return refuse(engine, session, outcome.lease, key);
  }
  engine.model.removeLease(lease);
  apply(engine, lease, outcome);
  return "accepted";
}

function apply(engine: Engine, lease: LeaseRecord, outcome: Outcome): void {
  switch (outcome.kind) {
    case "completed":
      commitTask(engine, lease, outcome satisfies CompletedTask);
      return;
    case "chunk":
      commitChunk(engine, lease, outcome satisfies CompletedChunk);
      return;
    case "failed":
      rememberAttempt(engine, lease, outcome);
      if (lease.start < 0) failTask(engine, lease, outcome.failure);
      else failChunk(engine, lease, outcome satisfies FailedAttempt);
      return;
    case "returned":
      giveBack(engine, lease, "returned");
      return;
    default:
      outcome satisfies never;
  }
}

function leaseKey(engine: Engine, ref: LeaseRef): LeaseKey | undefined {
  const no =
    engine.model.executionsById.get(ref.executionId)?.no ??
    (engine.db.get("SELECT no FROM executions WHERE id = ?", ref.executionId)?.["no"] as number | undefined);
  if (no === undefined) return undefined;
  const id = no * TASK_ID_SPAN + ref.task;
  return ref.start === undefined ? id : chunkKey(id, ref.start, ref.replica ?? 0);
}

/**
 * Whether this outcome was counted before: the row still carries its token, and is not running.
 * (A lease that was taken away had its token cleared.)
 */
function isRepeat(engine: Engine, ref: LeaseRef, key: LeaseKey): boolean {
  const token = Number(ref.token);
  if (typeof key === "number") {
    return engine.db.get("SELECT 1 FROM tasks WHERE id = ? AND token = ? AND state <> ?", key, token, RUNNING) !== undefined;
  }
  const execution = Math.floor(Number(key.slice(0, key.indexOf(":"))) / TASK_ID_SPAN);
  const at = [execution, ref.task, ref.start as number] as const;
  if ((ref.replica ?? 0) > 0) {
    return engine.db.get("SELECT 1 FROM copies WHERE execution = ? AND task = ? AND start = ? AND token = ?", ...at, token) !== undefined;
  }
  return (
    engine.db.get("SELECT 1 FROM results WHERE execution = ? AND task = ? AND start = ? AND token = ?", ...at, token) !== undefined ||
    engine.db.get("SELECT 1 FROM chunks WHERE execution = ? AND task = ? AND start >= ? AND token = ? AND state <> ?", ...at, token, RUNNING) !== undefined
  );
}

function refuse(engine: Engine, session: SessionRecord, ref: LeaseRef, key: LeaseKey | undefined): Verdict {
  if (key !== undefined) session.cancels.delete(key);
  const execution = engine.model.executionsById.get(ref.executionId);
  if (execution !== undefined) {
    execution.counts.refused += 1;
    engine.touch(execution);
  } else {
    engine.db.run(
      "UPDATE executions SET counters = json_set(counters, '$.refused', json_extract(counters, '$.refused') + 1) WHERE id = ?",
      ref.executionId,
    );
  }
  return "refused";
}
