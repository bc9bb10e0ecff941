/**
 * Outcomes of chunks. A chunk's row lives from its carving to its commit; a commit stores one
 * result row for the range and a row of its own for every item that must be tried again. So good
 * items never wait for, and are never computed again because of, a bad neighbour.
 */
import { updateAverage } from "../../core/chunking.ts";
import type { Failure } from "../../core/failure.ts";
import { decideRetry } from "../../core/retry.ts";
import type { CompletedChunk, FailedAttempt, ItemFailure } from "../contract.ts";
import { rememberAttempt } from "./attempts.ts";
import { releaseDependents, skipDependents } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { offerRange } from "./lanes.ts";
import { FAILED, type GroupRecord, type LeaseRecord, QUEUED, SCHEDULED, type WaitingRange } from "./model.ts";
import { commitCopy, failReplica, sampleChunk } from "./verification.ts";

export function commitChunk(engine: Engine, lease: LeaseRecord, outcome: CompletedChunk): void {
  if (lease.replica > 0) {
    commitCopy(engine, lease, outcome);
    return;
  }
  const { group, session, start, end } = lease;
  const { failures } = outcome;
  const completed = end - start - failures.length;
  deleteChunk(engine, lease);
  if (completed > 0) storeResult(engine, lease, outcome, failures);
  if (group.array !== undefined) {
    group.array.averageItemMs = updateAverage(group.array.averageItemMs, { items: end - start, durationMs: outcome.durationMs });
  }
  engine.move(group, "running", "completed", completed);
  session.completed += completed;
  tellCompleted(engine, lease, failures);
  if (outcome.output !== undefined) rememberAttempt(engine, lease, outcome);
  for (const failure of failures) failItem(engine, lease, failure);
  if (failures.length === 0) sampleChunk(engine, lease, outcome);
  endArray(engine, group);
}

/** Tells of the items that completed, range by range between those that failed. */
function tellCompleted(engine: Engine, lease: LeaseRecord, failures: readonly ItemFailure[]): void {
  const { task, group, session } = lease;
  const row = [task, lease.start, lease.end] as const;
  let named = false;
  let from = lease.start;
  for (const to of [...failures.map(({ item }) => item), lease.end]) {
    if (to > from) {
      const result = failures.length === 0 ? undefined : named ? null : row;
      engine.journal.tasks(group.execution, { state: "completed", entry: [task, from, to], worker: session.profile.worker, result });
      named = true;
    }
    from = to + 1;
  }
}

function storeResult(engine: Engine, lease: LeaseRecord, outcome: CompletedChunk, failures: readonly ItemFailure[]): void {
  engine.db.run(
    `INSERT INTO results (execution, task, start, end, attempt, token, worker, at, duration_ms, item_values, partial, missing)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    lease.group.execution.no,
    lease.task,
    lease.start,
    lease.end,
    lease.attempt,
    lease.token,
    lease.session.profile.worker,
    engine.now,
    outcome.durationMs,
    lease.group.array?.results === "discard" ? null : (outcome.values ?? null),
    outcome.partial ?? null,
    failures.length === 0 ? null : JSON.stringify(failures.map(({ item }) => item)),
  );
}

function failItem(engine: Engine, lease: LeaseRecord, { item, failure }: ItemFailure): void {
  chargeRange(engine, lease, { start: item, end: item + 1 }, failure);
}

/** The whole attempt failed: the culprit is charged if it is known, else looked for. */
export function failChunk(engine: Engine, lease: LeaseRecord, outcome: FailedAttempt): void {
  if (lease.replica > 0) {
    failReplica(engine, lease);
    return;
  }
  const { group, start, end, attempt, failures, losses } = lease;
  const { failure } = outcome;
  const culprit = outcome.culprit ?? (end - start === 1 ? start : undefined);
  deleteChunk(engine, lease);
  const isHopeless = group.spec.retry.never.includes(failure.class);
  if (culprit !== undefined && culprit >= start && culprit < end) {
    const again = { attempt, failures, losses, careful: false };
    const how = { token: lease.token, reason: "retry" };
    if (culprit > start) requeueRange(engine, lease, { ...again, start, end: culprit }, how);
    chargeRange(engine, lease, { start: culprit, end: culprit + 1 }, failure);
    if (culprit + 1 < end) requeueRange(engine, lease, { ...again, start: culprit + 1, end }, how);
  } else if (isHopeless || lease.careful) {
    chargeRange(engine, lease, { start, end }, failure);
  } else {
    group.execution.counts.retries += 1;
    requeueRange(engine, lease, { start, end, attempt, failures, losses, careful: true }, { token: lease.token, reason: "retry" });
  }
  endArray(engine, group);
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** One more failure for a range: tried again later, or dead. */
function chargeRange(engine: Engine, lease: LeaseRecord, span: Span, failure: Failure): void {
  const { group } = lease;
  const failures = lease.failures + 1;
  const decision = decideRetry(group.spec.retry, { failures, class: failure.class }, engine.random);
  if (decision.kind === "dead-letter") {
    buryRange(engine, lease, span, { failure, failures, losses: lease.losses, token: lease.token });
    return;
  }
  group.execution.counts.retries += 1;
  const { attempt, losses, careful } = lease;
  const range: WaitingRange = { ...span, attempt, failures, losses, careful };
  if (decision.delayMs === 0) {
    requeueRange(engine, lease, range, { token: lease.token, reason: "retry", failure });
    return;
  }
  putChunk(engine, group, range, { state: SCHEDULED, token: lease.token, notBefore: engine.now + decision.delayMs, failure });
  engine.move(group, "running", "scheduled", span.end - span.start);
  engine.journal.tasks(group.execution, { state: "scheduled", entry: [lease.task, span.start, span.end], reason: "retry" });
}

export interface Requeue {
  /** Null when the lease was taken away: nothing its holder says may count. */
  readonly token: number | null;
  readonly reason: string;
  readonly failure?: Failure;
}

export function requeueRange(engine: Engine, lease: LeaseRecord, range: WaitingRange, how: Requeue): void {
  const { group } = lease;
  putChunk(engine, group, range, { state: QUEUED, token: how.token, failure: how.failure });
  engine.move(group, "running", "queued", range.end - range.start);
  engine.journal.tasks(group.execution, { state: "queued", entry: [lease.task, range.start, range.end], reason: how.reason });
  offerRange(group, range, engine.now);
}

export interface RangeBurial {
  readonly failure: Failure;
  readonly failures: number;
  readonly losses: number;
  readonly token: number | null;
}

/** Makes running items dead letters. */
export function buryRange(engine: Engine, lease: LeaseRecord, span: Span, burial: RangeBurial): void {
  const { group } = lease;
  const { failure, failures, losses, token } = burial;
  putChunk(engine, group, { ...span, attempt: lease.attempt, failures, losses, careful: false }, { state: FAILED, token, failure });
  engine.move(group, "running", "failed", span.end - span.start);
  engine.noteDeadLetter(group.execution, failure);
  engine.journal.tasks(group.execution, { state: "failed", entry: [lease.task, span.start, span.end] });
}

interface ChunkRow {
  readonly state: number;
  readonly token: number | null;
  readonly notBefore?: number | undefined;
  readonly failure?: Failure | undefined;
}

function putChunk(engine: Engine, group: GroupRecord, range: WaitingRange, row: ChunkRow): void {
  engine.db.run(
    `INSERT OR REPLACE INTO chunks
       (execution, task, start, replica, end, state, attempt, failures, losses, careful, token, at, not_before, failure)
     VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    group.execution.no,
    group.first,
    range.start,
    range.end,
    row.state,
    range.attempt,
    range.failures,
    range.losses,
    range.careful ? 1 : 0,
    row.token,
    engine.now,
    row.notBefore ?? null,
    row.failure === undefined ? null : JSON.stringify(row.failure),
  );
}

function deleteChunk(engine: Engine, lease: LeaseRecord): void {
  engine.db.run(
    "DELETE FROM chunks WHERE execution = ? AND task = ? AND start = ? AND replica = ?",
    lease.group.execution.no,
    lease.task,
    lease.start,
    lease.replica,
  );
}

/** An array is a parent like any other task, once its last item has ended. */
export function endArray(engine: Engine, group: GroupRecord): void {
  const { counts, execution } = group;
  if (counts.queued + counts.running + counts.scheduled > 0) return;
  if (counts.failed === 0) releaseDependents(engine, execution, group.first);
  else skipDependents(engine, execution, group.first);
}
