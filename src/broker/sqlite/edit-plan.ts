/**
 * What an edit does to an execution, found out before anything is changed: what a preview tells, and
 * what the edit then does (edit.ts).
 */
import { createHash } from "node:crypto";
import {
  arrayRefused,
  checkAdded,
  checkEdits,
  cycleRefused,
  endedRefused,
  rescueRefused,
  type SortedEdits,
} from "../check-edits.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { EditChanges, EditParams } from "../contract.ts";
import { MAX_CHANGES_TOLD } from "../limits.ts";
import { type AddedTask, Draft, type DraftTask } from "./edit-draft.ts";
import type { EditPlan, Found, Wishes } from "./edit-types.ts";
import { undoWishes } from "./edit-undo.ts";
import { endOf, type Engine } from "./engine.ts";
import { type ExecutionRecord, failuresOf, groupOf, leftOf } from "./model.ts";
import { addedBy } from "./wake.ts";

/** Errors: TASK_UNKNOWN, INVALID_REQUEST, EDIT_CONFLICT for an undo, and those of checkEdits. */
export function planEdit(engine: Engine, execution: ExecutionRecord, params: EditParams): EditPlan {
  const edits = checkEdits(params, execution.nextTask);
  checkAdded(params, execution);
  const draft = new Draft(engine, execution);
  const wishes = edits.isUndo ? undoWishes(engine, draft) : wishesOf(draft, params, edits);
  remove(wishes.removals, { isUndo: edits.isUndo });
  for (const task of wishes.restored) if (task.fate === "removed") task.fate = "dead";
  for (const group of wishes.groups) draft.add(group);
  if (!edits.isUndo) checkRewires(draft, params, wishes);
  for (const [task, parents] of wishes.rewires) if (!isSame(parents, task.parents)) draft.rewire(task, parents);
  if (!edits.isUndo) checkCycles(draft, params, wishes);
  const implied = removeAdded(draft);
  draft.settle(wishes.restored);
  for (const [task, rank] of wishes.ranks) if (task.fate === "alive") task.rank = rank;
  for (const task of wishes.holds) if (task.fate === "alive") task.held = true;
  for (const task of wishes.unholds) if (task.fate === "alive") task.held = false;
  const found = findOut(draft);
  return { execution, isUndo: edits.isUndo, wishes, draft, found, implied, ends: findEnd(draft, found) };
}

function wishesOf(draft: Draft, params: EditParams, edits: SortedEdits): Wishes {
  const find = (task: number): DraftTask => {
    const found = draft.find(task);
    if (found === undefined) throw arrayRefused(params, task);
    return found;
  };
  return {
    priority: edits.priority,
    removals: edits.removals.map(find),
    restored: [],
    groups: edits.groups,
    rewires: new Map([...edits.rewires].map(([task, after]) => [find(task), after])),
    ranks: new Map([...edits.ranks].map(([task, rank]) => [find(task), rank])),
    holds: edits.holds.map(find),
    unholds: edits.unholds.map(find),
    sleeps: new Map(),
  };
}

/** What has ended is passed over; by an undo, what was skipped does not come back either. */
function remove(tasks: readonly DraftTask[], { isUndo }: { readonly isUndo: boolean }): void {
  for (const task of tasks) if (task.fate === "alive" || (isUndo && task.fate === "dead")) task.fate = "removed";
}

/**
 * With a task that is removed goes what it has added as it suspended itself and has not ended, directly or
 * not; so it does for one that begins anew. Returns the numbers of the latter.
 */
function removeAdded(draft: Draft): ReadonlySet<number> {
  const begun = [...draft.tasks.values()].filter(({ was }) => was.fate === "alive");
  removeBelow(
    draft,
    begun.filter(({ fate }) => fate === "removed"),
  );
  return removeBelow(
    draft,
    begun.filter(({ isRewired }) => isRewired),
  );
}

function removeBelow(draft: Draft, tasks: DraftTask[]): ReadonlySet<number> {
  const gone = new Set<number>();
  for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) {
    for (const number of addedBy(task.was.wake)) {
      const added = draft.find(number);
      if (added?.fate !== "alive") continue;
      added.fate = "removed";
      gone.add(number);
      tasks.push(added);
    }
  }
  return gone;
}

/** Errors: TASK_UNKNOWN, INVALID_REQUEST. */
function checkRewires(draft: Draft, params: EditParams, { rewires, groups }: Wishes): void {
  const { execution } = draft;
  const rescues = new Set<number>();
  let next = execution.nextTask;
  for (const { when, work } of groups) {
    const count = work.kind === "array" ? 1 : work.inputs.length;
    if (when === "failed") for (let at = 0; at < count; at += 1) rescues.add(next + at);
    next += count;
  }
  for (const [task, after] of rewires) {
    if (task.fate === "removed" || draft.hasEnded(task)) throw endedRefused(params, task.task);
    for (const parent of after) {
      const group = groupOf(execution, parent);
      if (group === undefined && parent >= next)
        throw new HoldfastError("TASK_UNKNOWN", { execution: execution.id, task: parent });
      if (rescues.has(parent) || group?.spec.when === "failed") throw rescueRefused(params, task.task, parent);
    }
  }
}

function checkCycles(draft: Draft, params: EditParams, { rewires }: Wishes): void {
  const cycle = draft.findCycle([...rewires.keys()].flatMap(({ task, isRewired }) => (isRewired ? [task] : [])));
  if (cycle !== undefined) throw cycleRefused(params, cycle);
}

function isSame(one: readonly number[], other: readonly number[]): boolean {
  const known = new Set(one);
  return known.size === new Set(other).size && other.every((task) => known.has(task));
}

function findOut(draft: Draft): Found {
  const tasks = [...draft.tasks.values()].toSorted((one, other) => one.task - other.task);
  const alive = tasks.filter(({ fate }) => fate === "alive");
  const ended = tasks.filter(({ fate, was }) => was.fate === "alive" && fate !== "alive");
  return {
    removed: ended.filter(({ fate }) => fate === "removed"),
    skipped: ended.filter(({ fate }) => fate === "dead"),
    restored: alive.filter(({ was }) => was.fate !== "alive"),
    rewired: tasks.filter(({ isRewired }) => isRewired),
    rerun: alive.filter(({ isRewired, was }) => isRewired && was.state === "running"),
    ranked: alive.filter(({ rank, was }) => rank !== was.rank),
    held: alive.filter(({ held, was }) => held && !was.held),
    unheld: alive.filter(({ held, was }) => !held && was.held),
  };
}

function findEnd({ execution, added }: Draft, { removed, skipped, restored }: Found): EditChanges["ends"] {
  const { open, counts, verification, rescues } = execution;
  if (open || (verification?.pending ?? 0) > 0) return undefined;
  const [gone, back, born] = [[...removed, ...skipped], restored, added.filter(({ fate }) => fate !== "dead")];
  const left = leftOf(counts) - gone.length + back.length + born.length;
  if (left === 0) return endOf(counts);
  // Where nothing has failed, those that only wait for a failure are skipped.
  const waiting = rescues.reduce((sum, group) => sum + group.counts.blocked, 0);
  const isRescue = (task: DraftTask | AddedTask): boolean => task.isRescue;
  const ready = waiting - gone.filter(isRescue).length + back.filter(isRescue).length + born.filter(isRescue).length;
  return left === ready && failuresOf(counts) === 0 ? "completed" : undefined;
}

/** Errors: QUEUE_FULL. */
export function checkRoom(engine: Engine, { wishes, draft, found }: EditPlan): void {
  const more = new Map<string, number>();
  const add = (pool: string, tasks: number): void => void more.set(pool, (more.get(pool) ?? 0) + tasks);
  for (const { group, was } of [...found.removed, ...found.skipped])
    if (was.state !== "running") add(group.spec.pool, -1);
  for (const { group } of [...found.restored, ...found.rerun]) add(group.spec.pool, 1);
  let at = 0;
  for (const { pool, work } of wishes.groups) {
    const end = at + (work.kind === "array" ? 1 : work.inputs.length);
    for (; at < end; at += 1) if (draft.added[at]?.fate === "alive") add(pool, 1);
  }
  const limit = engine.settings.maxQueueDepth;
  for (const [pool, tasks] of more) {
    const { depth } = engine.model.pool(pool);
    if (tasks > 0 && depth + tasks > limit) throw new HoldfastError("QUEUE_FULL", { pool, depth, limit });
  }
}

// ── Telling ───────────────────────────────────────────────────────────────────────────────────

/** Stands for what is asked and all that it does. */
export function versionOf({ edits }: EditParams, { execution, wishes, draft, found, ends }: EditPlan): string {
  const numbers = (tasks: readonly DraftTask[]): readonly number[] => tasks.map(({ task }) => task);
  const does = [
    wishes.priority === undefined ? null : [execution.priority, wishes.priority],
    execution.nextTask,
    found.removed.map(({ task, was }) => [task, was.state]),
    numbers(found.skipped),
    draft.added.map(({ fate }) => fate),
    found.rewired.map(({ task, parents }) => [task, parents]),
    numbers(found.rerun),
    found.ranked.map(({ task, rank }) => [task, rank]),
    numbers(found.held),
    numbers(found.unheld),
    numbers(found.restored),
    ends ?? null,
  ];
  return createHash("sha256")
    .update(JSON.stringify([edits, does]))
    .digest("hex");
}

export function changesOf({ execution, wishes, draft, found, ends }: EditPlan): EditChanges {
  const { added } = draft;
  const told = (tasks: readonly DraftTask[]): readonly number[] =>
    tasks.slice(0, MAX_CHANGES_TOLD).map(({ task }) => task);
  return {
    ...(wishes.priority === undefined ? {} : { priority: { from: execution.priority, to: wishes.priority } }),
    added: added.length,
    ...(added.length === 0 ? {} : { firstAdded: execution.nextTask }),
    addedSkipped: added.filter(({ fate }) => fate === "dead").length,
    removed: found.removed.slice(0, MAX_CHANGES_TOLD).map(({ task, was }) => ({ task, state: was.state })),
    removedCount: found.removed.length,
    skipped: told(found.skipped),
    skippedCount: found.skipped.length,
    rewired: found.rewired.length,
    rerun: told(found.rerun),
    rerunCount: found.rerun.length,
    ranked: found.ranked.length,
    held: found.held.length,
    unheld: found.unheld.length,
    restored: told(found.restored),
    restoredCount: found.restored.length,
    ...(ends === undefined ? {} : { ends }),
  };
}
