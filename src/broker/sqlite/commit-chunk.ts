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
import type { GroupRecord, LeaseRecord } from "./model.ts";
import { buryRange, requeueRange, scheduleRange } from "./ranges.ts";
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
  if (completed > 0) storeResult(engine, lease, outcome);
  if (group.array !== undefined) {
    group.array.averageItemMs = updateAverage(group.array.averageItemMs, {
      items: end - start,
      durationMs: outcome.durationMs,
    });
  }
  engine.move(group, { from: "running", to: "completed", items: completed });
  session.completed += completed;
  tellCompleted(engine, lease, failures);
  if (outcome.output !== undefined) rememberAttempt(engine, lease, outcome);
  for (const { item, failure } of failures) chargeRange(engine, lease, { start: item, end: item + 1, failure });
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
      engine.journal.tasks(group.execution, {
        state: "completed",
        entry: [task, from, to],
        worker: session.profile.worker,
        result,
      });
      named = true;
    }
    from = to + 1;
  }
}

function storeResult(engine: Engine, lease: LeaseRecord, outcome: CompletedChunk): void {
  const { failures } = outcome;
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
    if (culprit > start) requeueRange(engine, lease, { ...how, range: { ...again, start, end: culprit } });
    chargeRange(engine, lease, { start: culprit, end: culprit + 1, failure });
    if (culprit + 1 < end) requeueRange(engine, lease, { ...how, range: { ...again, start: culprit + 1, end } });
  } else if (isHopeless || lease.careful) {
    chargeRange(engine, lease, { start, end, failure });
  } else {
    group.execution.counts.retries += 1;
    const range = { start, end, attempt, failures, losses, careful: true };
    requeueRange(engine, lease, { range, token: lease.token, reason: "retry" });
  }
  endArray(engine, group);
}

interface Charge {
  readonly start: number;
  readonly end: number;
  readonly failure: Failure;
}

/** One more failure for a range: tried again later, or dead. */
function chargeRange(engine: Engine, lease: LeaseRecord, { start, end, failure }: Charge): void {
  const { execution, spec } = lease.group;
  const { attempt, losses, careful, token } = lease;
  const failures = lease.failures + 1;
  const range = { start, end, attempt, failures, losses, careful };
  const decision = decideRetry(spec.retry, { failures, class: failure.class }, engine.random);
  if (decision.kind === "dead-letter") {
    buryRange(engine, lease, { range, token, failure });
    return;
  }
  execution.counts.retries += 1;
  const ending = { range, token, failure, reason: "retry" };
  if (decision.delayMs === 0) requeueRange(engine, lease, ending);
  else scheduleRange(engine, lease, { ...ending, notBefore: engine.now + decision.delayMs });
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
