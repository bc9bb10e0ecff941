/**
 * Tasks that start when the rest of their execution has failed (`when: "failed"`).
 *
 * They are blocked by RESCUE_GATE until nothing but them is left. Then, if a failure counts against
 * the execution, the gate opens; else they are skipped, and the execution ends.
 */
import { arrive, RESCUE_GATE } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { BLOCKED, type ExecutionRecord, failuresOf, type GroupRecord, leftOf, SKIPPED, taskId } from "./model.ts";

/** Of executions that changed, before more is claimed. */
export function callRescues(engine: Engine): void {
  for (const execution of engine.touched) callRescue(engine, execution);
}

/** Does nothing as long as anything else is left. */
function callRescue(engine: Engine, execution: ExecutionRecord): void {
  const { rescues, counts, open, verification } = execution;
  if (rescues.length === 0 || open || (verification?.pending ?? 0) > 0) return;
  const waiting = rescues.reduce((sum, group) => sum + group.counts.blocked, 0);
  if (waiting === 0 || leftOf(counts) !== waiting) return;
  const hasFailed = failuresOf(counts) > 0;
  for (const group of rescues) {
    for (const task of gated(engine, group)) {
      if (hasFailed) openGate(engine, group, task);
      else skip(engine, group, task);
    }
  }
}

function gated({ db }: Engine, { execution, first, count }: GroupRecord): number[] {
  const base = taskId(execution, 0);
  return db
    .all(
      `SELECT id FROM tasks WHERE id >= ? AND id < ? AND state = ${BLOCKED} AND waiting_on >= ${RESCUE_GATE}`,
      base + first,
      base + first + count,
    )
    .map((row) => Number(row["id"]) - base);
}

function openGate(engine: Engine, { execution }: GroupRecord, task: number): void {
  // The rest of the gate goes with the arrival.
  engine.db.run(`UPDATE tasks SET waiting_on = waiting_on - ${RESCUE_GATE - 1} WHERE id = ?`, taskId(execution, task));
  arrive(engine, execution, { task, reason: "released" });
}

function skip(engine: Engine, group: GroupRecord, task: number): void {
  engine.db.run(
    `UPDATE tasks SET state = ${SKIPPED}, token = NULL, at = ? WHERE id = ?`,
    engine.now,
    taskId(group.execution, task),
  );
  engine.move(group, { from: "blocked", to: "skipped" });
  engine.journal.tasks(group.execution, { state: "skipped", entry: task });
}

/** The execution runs again: those that were skipped because nothing had failed wait again. */
export function awaitRescue(engine: Engine, execution: ExecutionRecord, reason: "replayed" | "rerun"): void {
  const base = taskId(execution, 0);
  for (const group of execution.rescues) {
    const rows = engine.db.all(
      `UPDATE tasks SET state = ${BLOCKED}, waiting_on = ${RESCUE_GATE} + held
       WHERE id >= ? AND id < ? AND state = ${SKIPPED} AND token IS NULL AND removed = 0 RETURNING id`,
      base + group.first,
      base + group.first + group.count,
    );
    for (const row of rows) {
      engine.move(group, { from: "skipped", to: "blocked" });
      engine.journal.tasks(execution, { state: "blocked", entry: Number(row["id"]) - base, reason });
    }
  }
}
