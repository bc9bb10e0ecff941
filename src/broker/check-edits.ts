/** Bounds and references of edits (promise 9). Every broker checks with these before it looks at the execution. */
import { HoldfastError } from "../errors/index.ts";
import { checkAddition } from "./check-submission.ts";
import type { Edit, EditParams, TaskGroup } from "./contract.ts";
import { MAX_EDITS, MAX_TASKS_PER_CALL } from "./limits.ts";

/** The edits of one call, sorted. */
export interface SortedEdits {
  readonly priority: number | undefined;
  readonly groups: readonly TaskGroup[];
  /** Tasks to remove, ascending, each once. */
  readonly removals: readonly number[];
}

/** `first`: number of the first task that is added. Errors: BATCH_TOO_LARGE, PAYLOAD_TOO_LARGE, INVALID_REQUEST. */
export function checkEdits({ edits }: EditParams, first: number): SortedEdits {
  if (edits.length === 0) refuse("edits", "is empty");
  checkCount("edits", edits.length, MAX_EDITS);
  let [added, removed] = [0, 0];
  edits.forEach((edit, index) => {
    const path = `edits[${index}]`;
    if (edit.kind === "priority") checkPriority(edit.priority, edits.slice(0, index), path);
    else if (edit.kind === "add") {
      added += asEdit(() => checkAddition(edit.groups, first + added, path));
      checkCount(`${path}.groups`, added, MAX_TASKS_PER_CALL);
    } else {
      removed += checkRemoval(edit.tasks, path);
      checkCount(`${path}.tasks`, removed, MAX_TASKS_PER_CALL);
    }
  });
  return sorted(edits);
}

function sorted(edits: readonly Edit[]): SortedEdits {
  const removals = edits.flatMap((edit) => (edit.kind === "remove" ? edit.tasks : []));
  return {
    priority: edits.find((edit) => edit.kind === "priority")?.priority,
    groups: edits.flatMap((edit) => (edit.kind === "add" ? edit.groups : [])),
    removals: [...new Set(removals)].sort((one, other) => one - other),
  };
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

function checkRemoval(tasks: readonly number[], path: string): number {
  if (tasks.length === 0) refuse(`${path}.tasks`, "is empty");
  tasks.forEach((task, index) => {
    if (!Number.isSafeInteger(task) || task < 0) refuse(`${path}.tasks[${index}]`, `is ${task}, no task's number`);
  });
  return tasks.length;
}

/** The refusal of an array that was to be removed. */
export function arrayRefused({ edits }: EditParams, task: number): HoldfastError {
  const edit = edits.findIndex((one) => one.kind === "remove" && one.tasks.includes(task));
  const removal = edits[edit];
  const at = removal?.kind === "remove" ? removal.tasks.indexOf(task) : 0;
  return invalid(`edits[${edit}].tasks[${at}]`, `${task} is an array, which cannot be removed; cancel the execution`);
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
