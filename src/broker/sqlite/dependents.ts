/**
 * What a task's end means for the tasks that wait for it. In the same transaction as the end itself.
 *
 * `waiting_on` of a blocked task counts all that must come before it is ready: parents that have not
 * completed, one more while it is held, one more while it waits for a signal without a timeout, and
 * RESCUE_GATE until the rest of its execution has failed.
 */
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
  SCHEDULED,
  SKIPPED,
  TASK_ID_SPAN,
  taskId,
} from "./model.ts";
import { AWAKE } from "./wake.ts";

/** More than all else that a task may wait for. */
export const RESCUE_GATE = 2 ** 40;

/** The task has completed: children whose last parent it was are queued. */
export function releaseDependents(engine: Engine, execution: ExecutionRecord, task: number): void {
  for (const child of childrenOf(engine.db, execution, task))
    arrive(engine, execution, { task: child, reason: "released" });
}

interface Arrival {
  readonly task: number;
  readonly reason: string;
}

/** One of the things that a blocked task waits for has come. Whether it was the last: the task is ready then, or scheduled for what is left of its time. */
export function arrive(engine: Engine, execution: ExecutionRecord, { task, reason }: Arrival): boolean {
  const id = taskId(execution, task);
  const row = engine.db.get(
    `UPDATE tasks SET waiting_on = waiting_on - 1 WHERE id = ? AND state = ${BLOCKED}
     RETURNING waiting_on, not_before, wake IS NOT NULL AS suspended`,
    id,
  );
  const group = groupOf(execution, task);
  if (row === undefined || group === undefined || Number(row["waiting_on"]) > 0) return false;
  if (row["not_before"] !== null) {
    engine.db.run(`UPDATE tasks SET state = ${SCHEDULED} WHERE id = ?`, id);
    engine.move(group, { from: "blocked", to: "scheduled" });
    engine.journal.tasks(execution, { state: "scheduled", entry: task, reason });
    return true;
  }
  if (row["suspended"] === 1) engine.db.run(`UPDATE tasks SET state = ${QUEUED}, wake = ${AWAKE} WHERE id = ?`, id);
  else engine.db.run(`UPDATE tasks SET state = ${QUEUED} WHERE id = ?`, id);
  // A delayed group falls due as a whole (see timers.ts).
  if (group.notBefore !== undefined) {
    engine.move(group, { from: "blocked", to: "scheduled" });
    engine.journal.tasks(execution, { state: "scheduled", entry: task, reason });
    return true;
  }
  engine.move(group, { from: "blocked", to: "queued" });
  engine.journal.tasks(execution, { state: "queued", entry: task, reason });
  offerTask(group, task, engine.now);
  return true;
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

/**
 * The seeds and all that come after them, each after all of its parents among them. `follows`: whether
 * a task that comes after one of them counts, and leads further; default: all do.
 */
export function descendants(
  db: Database,
  family: Family,
  { seeds, follows = () => true }: { readonly seeds: readonly number[]; readonly follows?: (task: number) => boolean },
): number[] {
  const children = new Map<number, readonly number[]>();
  const parentsLeft = new Map<number, number>(seeds.map((seed) => [seed, 0]));
  const found = [...seeds];
  for (let task = found.pop(); task !== undefined; task = found.pop()) {
    const next = childrenOf(db, family, task).filter((child) => parentsLeft.has(child) || follows(child));
    children.set(task, next);
    for (const child of next) {
      if (!parentsLeft.has(child)) found.push(child);
      parentsLeft.set(child, (parentsLeft.get(child) ?? 0) + 1);
    }
  }
  const ordered = [...parentsLeft].flatMap(([task, left]) => (left === 0 ? [task] : []));
  for (const task of ordered) {
    for (const child of children.get(task) ?? []) {
      const left = (parentsLeft.get(child) ?? 0) - 1;
      parentsLeft.set(child, left);
      if (left === 0) ordered.push(child);
    }
  }
  return ordered;
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
  const row = db.get("SELECT state, passes FROM tasks WHERE id = ?", family.no * TASK_ID_SPAN + parent);
  const state = row?.["state"];
  if (state === COMPLETED || row?.["passes"] === 1) return "completed";
  return state === FAILED || state === SKIPPED ? "dead" : "open";
}

/** Parents of a task by number. */
export function parentsIn(text: unknown): number[] {
  return typeof text === "string" ? (JSON.parse(text) as number[]) : [];
}
