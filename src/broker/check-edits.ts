/** Bounds and references of edits (promise 9). Every broker checks with these before it looks at the execution. */
import { HoldfastError } from "../errors/index.ts";
import { checkAddition, checkRescues } from "./check-submission.ts";
import type { Edit, EditParams, RankEdit, RewireEdit, TaskGroup } from "./contract.ts";
import { MAX_EDITS, MAX_TASKS_PER_CALL } from "./limits.ts";

/** The edits of one call, sorted. */
export interface SortedEdits {
  readonly priority: number | undefined;
  readonly groups: readonly TaskGroup[];
  /** Tasks to remove, ascending, each once. */
  readonly removals: readonly number[];
  /** New parents by task, each once. */
  readonly rewires: ReadonlyMap<number, readonly number[]>;
  /** New ranks by task; of two for one task the last. */
  readonly ranks: ReadonlyMap<number, number>;
  /** Tasks that are held afterwards, and those that are not; ascending, each once, none in both. */
  readonly holds: readonly number[];
  readonly unholds: readonly number[];
  /** The last edit is taken back; nothing else is asked. */
  readonly isUndo: boolean;
}

/** `first`: number of the first task that is added. Errors: BATCH_TOO_LARGE, PAYLOAD_TOO_LARGE, INVALID_REQUEST. */
export function checkEdits({ edits }: EditParams, first: number): SortedEdits {
  if (edits.length === 0) refuse("edits", "is empty");
  checkCount("edits", edits.length, MAX_EDITS);
  /** Tasks named so far, by the edits' kind. */
  const named = new Map<Edit["kind"], number>();
  edits.forEach((edit, index) => {
    const path = `edits[${index}]`;
    const before = named.get(edit.kind) ?? 0;
    const count = before + checkEdit(edit, { path, before: edits.slice(0, index), first: first + before });
    checkCount(`${path}.${listOf(edit)}`, count, MAX_TASKS_PER_CALL);
    named.set(edit.kind, count);
  });
  if (named.has("undo") && edits.length > 1) refuse("edits", "has an undo, which goes alone");
  return sorted(edits);
}

/** Where an edit names its tasks. */
function listOf({ kind }: Edit): string {
  return kind === "add" ? "groups" : kind === "rewire" ? "after" : "tasks";
}

interface Place {
  readonly path: string;
  readonly before: readonly Edit[];
  /** Number of the first task that it adds. */
  readonly first: number;
}

/** How many tasks it names, which are bounded in sum. */
function checkEdit(edit: Edit, { path, before, first }: Place): number {
  switch (edit.kind) {
    case "priority":
      checkPriority(edit.priority, before, path);
      return 0;
    case "add":
      return asEdit(() => checkAddition(edit.groups, first, path));
    case "rewire":
      return checkRewire(edit, before, path);
    case "rank":
      return checkRanks(edit, path);
    case "undo":
      return 0;
    default:
      return checkTasks(edit.tasks, `${path}.tasks`);
  }
}

function sorted(edits: readonly Edit[]): SortedEdits {
  const numbers = (kind: "remove" | "hold" | "unhold"): ReadonlySet<number> =>
    new Set(edits.flatMap((edit) => (edit.kind === kind ? edit.tasks : [])));
  const unholds = numbers("unhold");
  return {
    priority: edits.find((edit) => edit.kind === "priority")?.priority,
    groups: edits.flatMap((edit) => (edit.kind === "add" ? edit.groups : [])),
    removals: ascending(numbers("remove")),
    rewires: new Map(edits.flatMap((edit) => (edit.kind === "rewire" ? [[edit.task, [...new Set(edit.after)]]] : []))),
    ranks: new Map(
      edits.flatMap((edit) =>
        edit.kind === "rank" ? edit.tasks.map((task, at): [number, number] => [task, edit.ranks[at] ?? 0]) : [],
      ),
    ),
    holds: ascending(numbers("hold")).filter((task) => !unholds.has(task)),
    unholds: ascending(unholds),
    isUndo: edits.some(({ kind }) => kind === "undo"),
  };
}

function ascending(numbers: Iterable<number>): readonly number[] {
  return [...numbers].toSorted((one, other) => one - other);
}

/** What is said of a submission is said of this call. */
function asEdit<T>(check: () => T): T {
  try {
    return check();
  } catch (thrown) {
    if (!HoldfastError.is(thrown, "INVALID_REQUEST")) throw thrown;
    throw new HoldfastError("INVALID_REQUEST", { ...thrown.details, method: "editExecution" });
  }
}

function checkPriority(priority: number, before: readonly Edit[], path: string): void {
  if (!Number.isInteger(priority) || priority < 1 || priority > 10) refuse(`${path}.priority`, "must be 1 to 10");
  if (before.some(({ kind }) => kind === "priority")) refuse(path, "is a second priority");
}

function checkRewire({ task, after }: RewireEdit, before: readonly Edit[], path: string): number {
  if (!Number.isSafeInteger(task) || task < 0) refuse(`${path}.task`, `is ${task}, no task's number`);
  checkNumbers(after, `${path}.after`);
  if (before.some((edit) => edit.kind === "rewire" && edit.task === task))
    refuse(path, `rewires task ${task} a second time`);
  return after.length;
}

function checkRanks({ tasks, ranks }: RankEdit, path: string): number {
  if (ranks.length !== tasks.length)
    refuse(`${path}.ranks`, `has ${ranks.length} entries, but there are ${tasks.length} tasks`);
  const wrong = ranks.findIndex((rank) => !(rank >= 0 && rank <= Number.MAX_SAFE_INTEGER));
  if (wrong >= 0) refuse(`${path}.ranks[${wrong}]`, `is ${ranks[wrong]}; expected a number from 0`);
  return checkTasks(tasks, `${path}.tasks`);
}

function checkTasks(tasks: readonly number[], path: string): number {
  if (tasks.length === 0) refuse(path, "is empty");
  checkNumbers(tasks, path);
  return tasks.length;
}

function checkNumbers(tasks: readonly number[], path: string): void {
  const wrong = tasks.findIndex((task) => !Number.isSafeInteger(task) || task < 0);
  if (wrong >= 0) refuse(`${path}[${wrong}]`, `is ${tasks[wrong]}, no task's number`);
}

// ── Refusals that need a look at the execution ────────────────────────────────────────────────

const DEEDS = { remove: "removed", rewire: "rewired", rank: "ranked", hold: "held", unhold: "held" } as const;

/** The refusal of an array that was to be removed, rewired, ranked or held. */
export function arrayRefused({ edits }: EditParams, task: number): HoldfastError {
  for (const [index, edit] of edits.entries()) {
    if (edit.kind === "priority" || edit.kind === "add" || edit.kind === "undo") continue;
    const at = edit.kind === "rewire" ? (edit.task === task ? 0 : -1) : edit.tasks.indexOf(task);
    if (at < 0) continue;
    const path = edit.kind === "rewire" ? `edits[${index}].task` : `edits[${index}].tasks[${at}]`;
    return invalid(path, `${task} is an array, which cannot be ${DEEDS[edit.kind]}; cancel the execution`);
  }
  return invalid("edits", `${task} is an array`);
}

/** What of an execution says which tasks may be added. */
interface AddedTo {
  /** Its tasks that start when the rest has failed. */
  readonly rescues: readonly { readonly first: number; readonly count: number }[];
  readonly maxFailures: number | undefined;
  readonly nextTask: number;
}

/** Nothing is added after tasks that wait for all else. Errors: INVALID_REQUEST. */
export function checkAdded({ edits }: EditParams, { maxFailures, ...execution }: AddedTo): void {
  const rescues = [...execution.rescues];
  let first = execution.nextTask;
  for (const [index, edit] of edits.entries()) {
    if (edit.kind !== "add") continue;
    asEdit(() => checkRescues({ rescues, maxFailures, groups: edit.groups, method: `edits[${index}]` }));
    for (const { when, work } of edit.groups) {
      const count = work.kind === "array" ? 1 : work.inputs.length;
      if (when === "failed") rescues.push({ first, count });
      first += count;
    }
  }
}

/** The refusal of a rewiring of a task that has ended, be it that the same call removes it. */
export function endedRefused({ edits }: EditParams, task: number): HoldfastError {
  return invalid(`edits[${rewiringOf(edits, task)}].task`, `${task} has ended; only what is still to run is rewired`);
}

/** The refusal of a parent that nothing may come after. */
export function rescueRefused({ edits }: EditParams, task: number, parent: number): HoldfastError {
  const problem = `names task ${parent}, which runs when all else has ended; nothing comes after it`;
  return invalid(`edits[${rewiringOf(edits, task)}].after`, problem);
}

/** Tasks of a cycle that are named. */
const CYCLE_SHOWN = 20;

/** `cycle`: a task that is rewired, one of its new parents, and so on, each followed by one that it waits for. */
export function cycleRefused({ edits }: EditParams, cycle: readonly number[]): HoldfastError {
  const pairs = cycle.map((task, at) => `${task} waits for ${cycle[(at + 1) % cycle.length]}`);
  const shown = pairs.length > CYCLE_SHOWN ? [...pairs.slice(0, CYCLE_SHOWN), "…"] : pairs;
  return invalid(`edits[${rewiringOf(edits, cycle[0] ?? -1)}].after`, `would be a cycle: ${shown.join(", ")}`);
}

/** The refusal of an undo where there is no edit to take back (any more). */
export function undoRefused(): HoldfastError {
  return invalid("edits[0]", "is an undo, and there is no last edit to take back");
}

function rewiringOf(edits: readonly Edit[], task: number): number {
  return edits.findIndex((edit) => edit.kind === "rewire" && edit.task === task);
}

function checkCount(what: string, count: number, limit: number): void {
  if (count > limit) throw new HoldfastError("BATCH_TOO_LARGE", { what, count, limit });
}

function refuse(path: string, problem: string): never {
  throw invalid(path, problem);
}

function invalid(path: string, problem: string): HoldfastError {
  return new HoldfastError("INVALID_REQUEST", { method: "editExecution", path, problem });
}
