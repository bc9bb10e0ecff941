/**
 * What an edit does to an execution, found out before anything is changed: what a preview tells, and
 * what the edit then does (edit.ts).
 */
import { createHash } from "node:crypto";
import { canTaskBeRemoved, type TaskState } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import { arrayRefused, checkEdits, type SortedEdits } from "../check-edits.ts";
import type { EditChanges, EditParams, TaskGroup } from "../contract.ts";
import { MAX_CHANGES_TOLD } from "../limits.ts";
import { childrenOf, type ParentState, parentState } from "./dependents.ts";
import { endOf, type Engine } from "./engine.ts";
import { BLOCKED, countedAs, type ExecutionRecord, groupOf, type GroupRecord, taskId } from "./model.ts";

export interface EditPlan {
  readonly execution: ExecutionRecord;
  readonly edits: SortedEdits;
  /** Tasks that are removed, ascending, with what they are. */
  readonly removed: readonly { readonly task: number; readonly state: TaskState }[];
  /** Tasks that are skipped because they come after those, ascending. */
  readonly skipped: readonly number[];
  /** What each added task is to those that wait for it: `dead` where it is skipped at once. */
  readonly births: readonly ParentState[];
  readonly ends: EditChanges["ends"];
}

/** Errors: TASK_UNKNOWN, and those of checkEdits. */
export function planEdit(engine: Engine, execution: ExecutionRecord, params: EditParams): EditPlan {
  const edits = checkEdits(params, execution.nextTask);
  const removed = edits.removals.flatMap((task) => {
    const group = groupOf(execution, task);
    if (group === undefined) throw new HoldfastError("TASK_UNKNOWN", { execution: execution.id, task });
    if (group.array !== undefined) throw arrayRefused(params, task);
    const state = stateOf(engine, group, task);
    return canTaskBeRemoved(state) ? [{ task, state }] : [];
  });
  const skipped = findSkipped(engine, execution, new Set(removed.map(({ task }) => task)));
  const gone = new Set([...removed.map(({ task }) => task), ...skipped]);
  const births = findBirths(engine, { execution, groups: edits.groups, gone });
  const ends = findEnd(execution, { gone: gone.size, waiting: births.filter((birth) => birth !== "dead").length });
  return { execution, edits, removed, skipped, births, ends };
}

function stateOf({ db }: Engine, group: GroupRecord, task: number): TaskState {
  const stored = db.get("SELECT state FROM tasks WHERE id = ?", taskId(group.execution, task))?.["state"];
  return countedAs(group, Number(stored));
}

/** Blocked tasks that come after the removed ones, directly or not. */
function findSkipped({ db }: Engine, execution: ExecutionRecord, removed: ReadonlySet<number>): number[] {
  const skipped = new Set<number>();
  const ended = [...removed];
  for (let parent = ended.pop(); parent !== undefined; parent = ended.pop()) {
    for (const child of childrenOf(db, execution, parent)) {
      if (removed.has(child) || skipped.has(child)) continue;
      if (db.get("SELECT state FROM tasks WHERE id = ?", taskId(execution, child))?.["state"] !== BLOCKED) continue;
      skipped.add(child);
      ended.push(child);
    }
  }
  return [...skipped].sort((one, other) => one - other);
}

interface Additions {
  readonly execution: ExecutionRecord;
  readonly groups: readonly TaskGroup[];
  readonly gone: ReadonlySet<number>;
}

function findBirths({ db }: Engine, { execution, groups, gone }: Additions): ParentState[] {
  const births: ParentState[] = [];
  const known = new Map<number, ParentState>();
  const standOf = (parent: number): ParentState => {
    const stand =
      births[parent - execution.nextTask] ??
      known.get(parent) ??
      (gone.has(parent) ? "dead" : parentState(db, execution, parent));
    if (parent < execution.nextTask) known.set(parent, stand);
    return stand;
  };
  for (const { work } of groups) {
    if (work.kind === "array") continue;
    for (const index of work.inputs.keys()) {
      const isDead = work.after?.[index]?.some((parent) => standOf(parent) === "dead") === true;
      births.push(isDead ? "dead" : "open");
    }
  }
  return births;
}

function findEnd(
  { open, counts, verification }: ExecutionRecord,
  { gone, waiting }: { readonly gone: number; readonly waiting: number },
): EditChanges["ends"] {
  const left = counts.blocked + counts.scheduled + counts.queued + counts.running - gone + waiting;
  return open || left > 0 || (verification?.pending ?? 0) > 0 ? undefined : endOf(counts);
}

/** Errors: QUEUE_FULL. */
export function checkRoom(engine: Engine, { execution, edits, removed, skipped, births }: EditPlan): void {
  const more = new Map<string, number>();
  const add = (pool: string, tasks: number): void => void more.set(pool, (more.get(pool) ?? 0) + tasks);
  const leaving = [...removed.flatMap(({ task, state }) => (state === "running" ? [] : [task])), ...skipped];
  for (const task of leaving) {
    const group = groupOf(execution, task);
    if (group !== undefined) add(group.spec.pool, -1);
  }
  let at = 0;
  for (const { pool, work } of edits.groups) {
    const end = at + (work.kind === "array" ? 1 : work.inputs.length);
    for (; at < end; at += 1) if (births[at] === "open") add(pool, 1);
  }
  const limit = engine.settings.maxQueueDepth;
  for (const [pool, tasks] of more) {
    const { depth } = engine.model.pool(pool);
    if (tasks > 0 && depth + tasks > limit) throw new HoldfastError("QUEUE_FULL", { pool, depth, limit });
  }
}

// ── Telling ───────────────────────────────────────────────────────────────────────────────────

/** Stands for what is asked and all that it does. */
export function versionOf(
  { edits }: EditParams,
  { execution, removed, skipped, births, ends, ...plan }: EditPlan,
): string {
  const from = plan.edits.priority === undefined ? null : execution.priority;
  const does = [from, execution.nextTask, removed, skipped, births, ends ?? null];
  return createHash("sha256")
    .update(JSON.stringify([edits, does]))
    .digest("hex");
}

export function changesOf({ execution, edits, removed, skipped, births, ends }: EditPlan): EditChanges {
  return {
    ...(edits.priority === undefined ? {} : { priority: { from: execution.priority, to: edits.priority } }),
    added: births.length,
    ...(births.length === 0 ? {} : { firstAdded: execution.nextTask }),
    addedSkipped: births.filter((birth) => birth === "dead").length,
    removed: removed.slice(0, MAX_CHANGES_TOLD),
    removedCount: removed.length,
    skipped: skipped.slice(0, MAX_CHANGES_TOLD),
    skippedCount: skipped.length,
    ...(ends === undefined ? {} : { ends }),
  };
}
