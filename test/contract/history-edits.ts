/** Edits that a random history's numbers choose, and whether they did what was told. */
import assert from "node:assert/strict";
import type { Edit, EditChanges, TaskView } from "../../src/broker/contract.ts";
import { isTaskEnded } from "../../src/core/states.ts";
import { group, tasks } from "../support/submissions.ts";
import type { Graph } from "./history-graph.ts";

/** Of an execution that grows again and again. */
export const MOST_TASKS = 40;

/** Edits that the bits of `amount` choose: a priority, one or two tasks to remove, and two added after some. */
export function editsBy(amount: number, all: readonly TaskView[]): readonly Edit[] {
  const removed = chosen(amount, separate(all));
  const parents = [amount % Math.max(1, all.length), (amount >> 3) % Math.max(1, all.length)];
  const work = tasks(2, [parents, [all.length, ...parents]]);
  return [
    { kind: "priority", priority: 1 + (amount % 10) },
    ...(amount % 3 > 0 && all.length < MOST_TASKS ? [{ kind: "add", groups: [group(work)] } as const] : []),
    ...(amount % 4 > 1 && removed.length > 0 ? [{ kind: "remove", tasks: removed } as const] : []),
  ];
}

/** Tasks get other parents or ranks, are held, or let go; another may be added or removed besides. */
export function graphEditsBy(amount: number, all: readonly TaskView[], graph: Graph): readonly Edit[] {
  // What runs comes first, so that it is stopped now and then.
  const movable = all
    .filter((view) => graph.mayMove(view))
    .toSorted((left, right) => Number(right.state === "running") - Number(left.state === "running"))
    .map(({ task }) => task);
  const [one, other] = chosen((amount >> 1) % 3, movable);
  const some = chosen(amount * 5 + 3, separate(all));
  const edits: Edit[] = [];
  const total = all.length;
  if (amount % 5 === 1 && total < MOST_TASKS)
    edits.push({ kind: "add", groups: [group(tasks(1, [[amount % total]]))] });
  const most = total + edits.length;
  if (amount % 2 === 0 && one !== undefined) {
    // Mostly earlier tasks, so that most do not make a cycle.
    const below = amount % 3 === 0 ? most : Math.max(1, one);
    const after = [(amount >> 1) % below, (amount * 7) % below].slice(0, amount % 4);
    edits.push({ kind: "rewire", task: one, after });
    if (amount % 8 === 0 && other !== undefined && other !== one)
      edits.push({ kind: "rewire", task: other, after: [one] });
  }
  if (amount % 3 === 1 && some.length > 0) edits.push({ kind: "hold", tasks: some });
  if (amount % 7 === 2) edits.push({ kind: "rank", tasks: some, ranks: some.map((task) => (task * amount) % 5) });
  const held = all.flatMap(({ task, held: isHeld = false }) => (isHeld ? [task] : []));
  if (amount % 3 === 2 && held.length > 0) edits.push({ kind: "unhold", tasks: held });
  const rewired = edits.flatMap((edit) => (edit.kind === "rewire" ? [edit.task] : []));
  const removed = some.filter((task) => amount % 11 === 4 && !rewired.includes(task));
  if (removed.length > 0) edits.push({ kind: "remove", tasks: removed });
  const valid = edits.filter((edit) => !("tasks" in edit) || edit.tasks.length > 0);
  return valid.length > 0 ? valid : [{ kind: "priority", priority: 1 + (amount % 10) }];
}

function separate(all: readonly TaskView[]): readonly number[] {
  return all.filter(({ items }) => items === undefined).map(({ task }) => task);
}

/** One or two of them. */
function chosen(amount: number, among: readonly number[]): readonly number[] {
  if (among.length === 0) return [];
  const places = new Set([amount % among.length, (amount >> 2) % among.length]);
  return [...places].flatMap((place) => among[place] ?? []);
}

/** `edits`: what was asked; `before` and `after`: all tasks around it. */
interface Done {
  readonly edits: readonly Edit[];
  readonly changes: EditChanges;
  readonly before: readonly TaskView[];
  readonly after: readonly TaskView[];
}

/** What the changes tell of every task is what became of it, and nothing became of the others. */
export function assertAsTold({ edits, changes, before, after }: Done): void {
  const removed = new Map(changes.removed.map(({ task, state }) => [task, state]));
  const [skipped, restored, rerun] = [changes.skipped, changes.restored, changes.rerun].map((list) => new Set(list));
  for (const was of before) {
    const is = after[was.task];
    assert.ok(is !== undefined);
    const about = `task ${was.task}, ${was.state} → ${is.state}, of ${JSON.stringify({ edits, changes })}`;
    if (removed.has(was.task)) {
      assert.equal(was.state, removed.get(was.task), about);
      assert.deepEqual([is.state, is.removed], ["skipped", true], about);
    } else if (skipped?.has(was.task) === true) {
      assert.deepEqual([isTaskEnded(was.state), is.state, is.removed ?? false], [false, "skipped", false], about);
    } else if (restored?.has(was.task) === true) {
      assert.deepEqual([was.state, waits(is), is.removed ?? false], ["skipped", true, false], about);
    } else if (rerun?.has(was.task) === true) {
      assert.deepEqual([was.state, waits(is)], ["running", true], about);
    } else if (waits(was) && mayMove(edits, was.task)) {
      assert.ok(waits(is), about);
    } else {
      assert.equal(is.state, was.state, about);
    }
  }
  assertCounts({ edits, changes, before, after });
}

function waits({ state }: TaskView): boolean {
  return state === "blocked" || state === "scheduled" || state === "queued";
}

/** Whether a task that waits may wait in another way afterwards. */
function mayMove(edits: readonly Edit[], task: number): boolean {
  return edits.some(
    (edit) =>
      edit.kind === "undo" ||
      (edit.kind === "rewire" && edit.task === task) ||
      ((edit.kind === "hold" || edit.kind === "unhold") && edit.tasks.includes(task)),
  );
}

function assertCounts({ changes, before, after }: Done): void {
  const added = after.slice(before.length);
  assert.deepEqual(
    [added.length, added.filter(({ state }) => state === "skipped").length],
    [changes.added, changes.addedSkipped],
  );
  const both = before.flatMap((was) => {
    const is = after[was.task];
    return is === undefined || isTaskEnded(was.state) || isTaskEnded(is.state) ? [] : [{ was, is }];
  });
  assert.equal(both.filter(({ was, is }) => is.held === true && was.held !== true).length, changes.held, "held");
  assert.equal(both.filter(({ was, is }) => is.held !== true && was.held === true).length, changes.unheld, "let go");
}
