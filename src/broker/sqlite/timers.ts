/** Duties that time brings: delayed work falls due; attempts outlive their timeout. */
import type { DutyParams, DutyReply } from "../contract.ts";
import { failChunk } from "./commit-chunk.ts";
import { failTask } from "./commit-task.ts";
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import { leaseRef } from "./engine.ts";
import { splitTaskId } from "./journal.ts";
import { offer, offerRange, offerTask } from "./lanes.ts";
import { groupOf, type LeaseRecord, QUEUED, SCHEDULED, taskId } from "./model.ts";
import { AWAKE } from "./wake.ts";

export function promoteDue(engine: Engine, { limit }: DutyParams): DutyReply {
  let handled = promoteGroups(engine, limit);
  handled += promoteTasks(engine, limit - handled);
  handled += promoteChunks(engine, limit - handled);
  const nextAt = nextDue(engine);
  return { handled, more: nextAt !== undefined && nextAt <= engine.now, ...(nextAt === undefined ? {} : { nextAt }) };
}

function nextDue(engine: Engine): number | undefined {
  const groups = [...engine.model.delayedGroups].map((group) => group.notBefore ?? Infinity);
  const tasks = engine.db.get("SELECT min(not_before) AS at FROM tasks WHERE not_before IS NOT NULL")?.["at"];
  const chunks = engine.db.get("SELECT min(not_before) AS at FROM chunks WHERE not_before IS NOT NULL")?.["at"];
  const next = Math.min(Infinity, ...groups, ...[tasks, chunks].filter((at) => typeof at === "number"));
  return Number.isFinite(next) ? next : undefined;
}

function promoteGroups(engine: Engine, limit: number): number {
  let handled = 0;
  for (const group of engine.model.delayedGroups) {
    if (handled >= limit) break;
    if ((group.notBefore ?? 0) > engine.now) continue;
    handled += 1;
    group.notBefore = undefined;
    engine.model.delayedGroups.delete(group);
    engine.move(group, { from: "scheduled", to: "queued", items: group.counts.scheduled });
    offer(group, engine.now);
  }
  return handled;
}

function promoteTasks(engine: Engine, limit: number): number {
  const rows = due(engine, "SELECT id, state FROM tasks WHERE not_before <= ? ORDER BY not_before, id LIMIT ?", limit);
  for (const row of rows) {
    const id = Number(row["id"]);
    const { execution: no, task } = splitTaskId(id);
    const execution = engine.model.executions.get(no);
    const group = execution === undefined ? undefined : groupOf(execution, task);
    if (execution === undefined || group === undefined) {
      engine.db.run("UPDATE tasks SET not_before = NULL WHERE id = ?", id);
      continue;
    }
    const isScheduled = row["state"] === SCHEDULED;
    engine.db.run(
      `UPDATE tasks SET state = iif(?, ${QUEUED}, state), not_before = NULL, awaits = NULL, wake = ${AWAKE} WHERE id = ?`,
      isScheduled ? 1 : 0,
      id,
    );
    // One that is held has nothing more to wait for than to be let go.
    if (!isScheduled) continue;
    engine.move(group, { from: "scheduled", to: "queued" });
    engine.journal.tasks(execution, { state: "queued", entry: task, reason: "due" });
    offerTask(group, task, engine.now);
  }
  return rows.length;
}

function promoteChunks(engine: Engine, limit: number): number {
  const rows = due(engine, "SELECT * FROM chunks WHERE not_before <= ? ORDER BY not_before LIMIT ?", limit);
  for (const row of rows) {
    const [no, task, start, end] = [
      Number(row["execution"]),
      Number(row["task"]),
      Number(row["start"]),
      Number(row["end"]),
    ];
    const execution = engine.model.executions.get(no);
    const group = execution === undefined ? undefined : groupOf(execution, task);
    engine.db.run(
      `UPDATE chunks SET state = iif(?, ${QUEUED}, state), not_before = NULL
       WHERE execution = ? AND task = ? AND start = ? AND replica = 0`,
      group === undefined ? 0 : 1,
      no,
      task,
      start,
    );
    if (execution === undefined || group === undefined) continue;
    engine.move(group, { from: "scheduled", to: "queued", items: end - start });
    engine.journal.tasks(execution, { state: "queued", entry: [task, start, end], reason: "due" });
    const { attempt, failures, losses, careful } = row;
    const range = {
      start,
      end,
      attempt: Number(attempt),
      failures: Number(failures),
      losses: Number(losses),
      careful: careful === 1,
    };
    offerRange(group, range, engine.now);
  }
  return rows.length;
}

function due(engine: Engine, sql: string, limit: number): Row[] {
  return limit <= 0 ? [] : engine.db.all(sql, engine.now, limit);
}

/**
 * Duty: a worker that lives but does not report a timeout. Prefetched leases start late, so an
 * attempt is overdue only when its session has committed nothing for as long either.
 */
export function reapOverdue(engine: Engine, { limit }: DutyParams): DutyReply {
  const overdue: LeaseRecord[] = [];
  for (const lease of engine.model.leases.values()) {
    if (isOverdue(engine, lease)) overdue.push(lease);
    if (overdue.length >= limit) break;
  }
  for (const lease of overdue) {
    const { timeoutMs = 0 } = lease.group.spec;
    engine.revoke(lease);
    const failure = {
      class: "timeout",
      code: "TASK_TIMEOUT",
      message: `No outcome within ${timeoutMs} ms and the time to report it.`,
    } as const;
    if (lease.start < 0) failTask(engine, lease, failure);
    else
      failChunk(engine, lease, {
        kind: "failed",
        lease: leaseRef(lease),
        durationMs: engine.now - lease.claimedAt,
        failure,
      });
    disown(engine, lease);
  }
  return { handled: overdue.length, more: overdue.length >= limit };
}

function isOverdue(engine: Engine, lease: LeaseRecord): boolean {
  const { timeoutMs } = lease.group.spec;
  if (timeoutMs === undefined) return false;
  const items = lease.start < 0 ? 1 : lease.end - lease.start;
  const idleSince = Math.max(lease.claimedAt, lease.session.lastCommitAt);
  return engine.now - idleSince > timeoutMs * items + engine.settings.overdueGraceMs;
}

/** The lease was taken away: its token must not be recognised as an orderly end. */
function disown(engine: Engine, lease: LeaseRecord): void {
  const { execution } = lease.group;
  if (lease.start < 0)
    engine.db.run(
      "UPDATE tasks SET token = NULL WHERE id = ? AND token = ?",
      taskId(execution, lease.task),
      lease.token,
    );
  else {
    engine.db.run(
      "UPDATE chunks SET token = NULL WHERE execution = ? AND task = ? AND start >= ? AND start < ? AND token = ?",
      execution.no,
      lease.task,
      lease.start,
      lease.end,
      lease.token,
    );
  }
}
