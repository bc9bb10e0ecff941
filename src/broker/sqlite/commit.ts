/**
 * Transition commit: outcomes of a session's leases → results, retries, counters, dependents, events.
 *
 * Invariant (promises 1, 2 and 7): an outcome counts only while the lease it names is held by the
 * session that sends it. Each outcome changes everything it changes in the transaction under way.
 * One that was counted before is accepted again without effect; any other is refused.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { CommitParams, CompletedChunk, CompletedTask, FailedAttempt, LeaseRef, Outcome } from "../contract.ts";
import { soundOutcome } from "../sound-outcome.ts";
import { rememberAttempt } from "./attempts.ts";
import { commitChunk, failChunk } from "./commit-chunk.ts";
import { commitTask, failTask, skipTask } from "./commit-task.ts";
import type { Engine } from "./engine.ts";
import { giveBack } from "./give-back.ts";
import {
  chunkKey,
  COMPLETED,
  type LeaseKey,
  type LeaseRecord,
  RUNNING,
  type SessionRecord,
  SKIPPED,
  TASK_ID_SPAN,
} from "./model.ts";
import { callRescues } from "./rescue.ts";
import { suspendTask } from "./suspend.ts";

export type Verdict = "accepted" | "refused";

/** Errors: SESSION_LOST, with the outcomes counted as refused. */
export function commitOutcomes(
  engine: Engine,
  params: CommitParams,
): { readonly session: SessionRecord; readonly verdicts: Verdict[] } {
  const session = engine.model.sessions.get(params.session);
  if (session === undefined) {
    for (const { lease } of params.outcomes) refuse(engine, lease);
    throw new HoldfastError("SESSION_LOST", { session: params.session });
  }
  if (params.isSign !== false) {
    session.seenAt = engine.now;
    session.lastCommitAt = engine.now;
  }
  const verdicts = params.outcomes.map((outcome) => commitOutcome(engine, session, outcome));
  engine.endFailed();
  callRescues(engine);
  return { session, verdicts };
}

function commitOutcome(engine: Engine, session: SessionRecord, outcome: Outcome): Verdict {
  const key = leaseKey(engine, outcome.lease);
  if (key === undefined) return refuse(engine, outcome.lease);
  session.cancels.delete(key);
  const lease = engine.model.leases.get(key);
  if (lease === undefined || String(lease.token) !== outcome.lease.token || lease.session !== session) {
    return isRepeat(engine, outcome, key) ? "accepted" : refuse(engine, outcome.lease);
  }
  if (!fits(lease, outcome)) return refuse(engine, outcome.lease);
  engine.model.removeLease(lease);
  apply(engine, lease, soundOutcome(outcome));
  return "accepted";
}

/** Whether the outcome is of the lease's kind and speaks of its items only, in ascending order. */
function fits(lease: LeaseRecord, outcome: Outcome): boolean {
  const isChunk = lease.start >= 0;
  const isInside = (item: number): boolean => item >= lease.start && item < lease.end;
  switch (outcome.kind) {
    case "completed":
    case "skipped":
    case "suspended":
      return !isChunk;
    case "chunk":
      return (
        isChunk &&
        outcome.failures.every(({ item }, at) => isInside(item) && item > (outcome.failures[at - 1]?.item ?? -1))
      );
    case "failed":
      return outcome.culprit === undefined || (isChunk && isInside(outcome.culprit));
    case "returned":
      return true;
  }
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
    case "skipped":
      skipTask(engine, lease, outcome);
      return;
    case "suspended":
      suspendTask(engine, lease, outcome);
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
 * Whether this outcome was counted before: what it led to still carries its token. (A lease that was
 * taken away had its token cleared.) A completed outcome after, say, a returned one is no repeat.
 */
function isRepeat(engine: Engine, outcome: Outcome, key: LeaseKey): boolean {
  const { lease: ref, kind } = outcome;
  // What was handed back keeps its token with a minus: it is no outcome, but known when told again.
  const token = kind === "returned" ? -Number(ref.token) : Number(ref.token);
  if (typeof key === "number") {
    const state = engine.db.get("SELECT state FROM tasks WHERE id = ? AND token = ?", key, token)?.["state"];
    if (kind === "completed") return state === COMPLETED;
    if (kind === "skipped") return state === SKIPPED;
    return state !== undefined && state !== RUNNING && state !== COMPLETED;
  }
  const execution = Math.floor(Number(key.slice(0, key.indexOf(":"))) / TASK_ID_SPAN);
  const at = [execution, ref.task, ref.start as number] as const;
  const has = (sql: string, ...values: number[]): boolean => engine.db.get(sql, ...values) !== undefined;
  if ((ref.replica ?? 0) > 0) {
    return has("SELECT 1 FROM copies WHERE execution = ? AND task = ? AND start = ? AND token = ?", ...at, token);
  }
  const hasResult = has(
    "SELECT 1 FROM results WHERE execution = ? AND task = ? AND start = ? AND token = ?",
    ...at,
    token,
  );
  if (hasResult) return kind === "chunk";
  const waits = "SELECT 1 FROM chunks WHERE execution = ? AND task = ? AND start = ? AND token = ? AND state <> ?";
  if (kind === "chunk") {
    // All of its items had failed, each of which waits by itself.
    return (
      outcome.failures.length > 0 &&
      outcome.failures.every(({ item }) => has(waits, execution, ref.task, item, token, RUNNING))
    );
  }
  return has(waits, ...at, token, RUNNING);
}

function refuse(engine: Engine, ref: LeaseRef): Verdict {
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
