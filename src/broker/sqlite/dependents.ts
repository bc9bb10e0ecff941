/** What a task's end means for the tasks that wait for it. In the same transaction as the end itself. */
import type { Database } from "./database.ts";
import type { Engine } from "./engine.ts";
import { splitTaskId } from "./journal.ts";
import { offerTask } from "./lanes.ts";
import {
  BLOCKED,
  COMPLETED,
  type ExecutionRecord,
  FAILED,
  groupIn,
  groupOf,
  type ItemCounts,
  QUEUED,
  SKIPPED,
  TASK_ID_SPAN,
  taskId,
} from "./model.ts";

/** The task has completed: children whose last parent it was are queued. */
export function releaseDependents(engine: Engine, execution: ExecutionRecord, task: number): void {
  for (const child of childrenOf(engine.db, execution, task)) {
    const row = engine.db.get(
      "UPDATE tasks SET waiting_on = waiting_on - 1 WHERE id = ? AND state = ? RETURNING waiting_on",
      taskId(execution, child),
      BLOCKED,
    );
    if (row === undefined || Number(row["waiting_on"]) > 0) continue;
    const group = groupOf(execution, child);
    if (group === undefined) continue;
    engine.db.run("UPDATE tasks SET state = ? WHERE id = ?", QUEUED, taskId(execution, child));
    // A delayed group falls due as a whole (see timers.ts).
    if (group.notBefore !== undefined) {
      engine.move(group, { from: "blocked", to: "scheduled" });
      continue;
    }
    engine.move(group, { from: "blocked", to: "queued" });
    engine.journal.tasks(execution, { state: "queued", entry: child, reason: "released" });
    offerTask(group, child, engine.now);
  }
}

/** The task will never complete: everything that waits for it, directly or not, is skipped. */
export function skipDependents(engine: Engine, execution: ExecutionRecord, task: number): void {
  const ended = [task];
  for (let parent = ended.pop(); parent !== undefined; parent = ended.pop()) {
    for (const child of childrenOf(engine.db, execution, parent)) {
      const skipped = engine.db.run(
        "UPDATE tasks SET state = ?, at = ? WHERE id = ? AND state = ?",
        SKIPPED,
        engine.now,
        taskId(execution, child),
        BLOCKED,
      );
      const group = groupOf(execution, child);
      if (skipped === 0 || group === undefined) continue;
      engine.move(group, { from: "blocked", to: "skipped" });
      engine.journal.tasks(execution, { state: "skipped", entry: child });
      ended.push(child);
    }
  }
}

/** What the relations of an execution's tasks are read from, be the execution live or ended. */
export interface Family {
  /** Number of the execution. */
  readonly no: number;
  readonly groups: readonly FamilyGroup[];
}

export interface FamilyGroup {
  readonly first: number;
  readonly count: number;
  readonly linked: boolean;
  /** Absent for separate tasks. */
  readonly array: unknown;
  readonly counts: ItemCounts;
}

/** Numbers of the tasks that wait, or waited, for this one. */
export function childrenOf(db: Database, family: Family, task: number): number[] {
  if (!family.groups.some((group) => group.linked)) return [];
  return db
    .all("SELECT child FROM edges WHERE parent = ?", family.no * TASK_ID_SPAN + task)
    .map((row) => splitTaskId(Number(row["child"])).task);
}

export type ParentState = "open" | "completed" | "dead";

/** What a task means to those that wait for it. */
export function parentState(db: Database, family: Family, parent: number): ParentState {
  const group = groupIn(family.groups, parent);
  if (group?.array !== undefined) {
    const { counts } = group;
    if (counts.queued + counts.running + counts.scheduled > 0) return "open";
    return counts.failed === 0 ? "completed" : "dead";
  }
  const state = db.get("SELECT state FROM tasks WHERE id = ?", family.no * TASK_ID_SPAN + parent)?.["state"];
  if (state === COMPLETED) return "completed";
  return state === FAILED || state === SKIPPED ? "dead" : "open";
}

/** Parents of a task by number. */
export function parentsIn(text: unknown): number[] {
  return typeof text === "string" ? (JSON.parse(text) as number[]) : [];
}
