/** Duty: what has ended and outlived its retention is deleted, a bounded number of rows at a time. */
import type { DutyParams, DutyReply } from "../contract.ts";
import type { Engine } from "./engine.ts";
import { TASK_ID_SPAN } from "./model.ts";
import { purgeState } from "./state-purge.ts";

export function purge(engine: Engine, { limit }: DutyParams): DutyReply {
  const { db, now, settings } = engine;
  const row = db.get("SELECT no FROM executions WHERE purge_at <= ? ORDER BY purge_at LIMIT 1", now);
  if (row !== undefined) return { handled: purgeExecution(engine, Number(row["no"]), limit), more: true };
  const before = now - settings.retentionMs;
  let handled =
    db.run(
      "DELETE FROM sessions WHERE no IN (SELECT no FROM sessions WHERE state IN ('left', 'lost') AND seen_at <= ? LIMIT ?)",
      before,
      limit,
    ) +
    db.run(
      "DELETE FROM events WHERE cursor IN (SELECT cursor FROM events WHERE execution IS NULL AND at <= ? LIMIT ?)",
      before,
      limit,
    );
  if (handled < limit) handled += purgeState(engine, limit - handled);
  const nextAt = db.get("SELECT min(purge_at) AS at FROM executions WHERE purge_at IS NOT NULL")?.["at"];
  return { handled, more: handled >= limit, ...(typeof nextAt === "number" ? { nextAt } : {}) };
}

/** Deletes up to `limit` rows of it; the execution's own row goes last, when nothing else is left. */
function purgeExecution(engine: Engine, no: number, limit: number): number {
  const { db } = engine;
  const [from, to] = [no * TASK_ID_SPAN, (no + 1) * TASK_ID_SPAN];
  let handled = db.run(
    "DELETE FROM edges WHERE (parent, child) IN (SELECT parent, child FROM edges WHERE parent >= ? AND parent < ? LIMIT ?)",
    from,
    to,
    limit,
  );
  const steps: readonly [sql: string, ...values: number[]][] = [
    ["DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE id >= ? AND id < ? LIMIT ?)", from, to],
    ["DELETE FROM results WHERE rowid IN (SELECT rowid FROM results WHERE execution = ? LIMIT ?)", no],
    [
      "DELETE FROM chunks WHERE (execution, task, start, replica) IN (SELECT execution, task, start, replica FROM chunks WHERE execution = ? LIMIT ?)",
      no,
    ],
    [
      "DELETE FROM signals WHERE (execution, name) IN (SELECT execution, name FROM signals WHERE execution = ? LIMIT ?)",
      no,
    ],
    ["DELETE FROM attempts WHERE seq IN (SELECT seq FROM attempts WHERE execution = ? LIMIT ?)", no],
    ["DELETE FROM events WHERE cursor IN (SELECT cursor FROM events WHERE execution = ? LIMIT ?)", no],
    ["DELETE FROM groups WHERE (execution, no) IN (SELECT execution, no FROM groups WHERE execution = ? LIMIT ?)", no],
  ];
  for (const [sql, ...values] of steps) {
    if (handled < limit) handled += db.run(sql, ...values, limit - handled);
  }
  if (handled < limit) handled += db.run("DELETE FROM executions WHERE no = ?", no);
  return handled;
}
