/** Short ways to write submissions: every field has a plain default, a test names what it is about. */
import type { ItemArray, Submission, TaskGroup, TaskList } from "../../src/broker/contract.ts";
import { DEFAULT_MAX_LOSSES, DEFAULT_RETRY } from "../../src/core/retry.ts";

/** A submission of the given groups. */
export function submission(groups: readonly TaskGroup[], changes: Partial<Submission> = {}): Submission {
  return { name: "test", kind: "batch", priority: 5, groups, ...changes };
}

/** A group with the product's default retries. */
export function group(work: TaskList | ItemArray, changes: Partial<Omit<TaskGroup, "work">> = {}): TaskGroup {
  return {
    name: "work",
    handler: '{"kind":"test"}',
    pool: "default",
    requires: [],
    retry: DEFAULT_RETRY,
    maxLosses: DEFAULT_MAX_LOSSES,
    work,
    ...changes,
  };
}

/** `count` separate tasks with inputs 0, 1, 2 … */
export function tasks(count: number, after?: readonly (readonly number[])[]): TaskList {
  const inputs = Array.from({ length: count }, (_, index) => String(index));
  return after === undefined ? { kind: "tasks", inputs } : { kind: "tasks", inputs, after };
}

/** One separate task per rank. */
export function ranked(ranks: readonly number[], after?: readonly (readonly number[])[]): TaskList {
  return { ...tasks(ranks.length, after), ranks };
}

/** One separate task per name. */
export function labelled(labels: readonly string[], after?: readonly (readonly number[])[]): TaskList {
  return { ...tasks(labels.length, after), labels };
}

/** An array in chunks of a fixed size. */
export function array(length: number, chunkSize: number, changes: Partial<ItemArray> = {}): ItemArray {
  return {
    kind: "array",
    length,
    chunk: { kind: "fixed", size: chunkSize },
    source: '{"space":"test"}',
    results: "keep",
    ...changes,
  };
}

/** An execution of `count` separate tasks. */
export function batch(
  count: number,
  changes: Partial<Submission> = {},
  groupChanges: Partial<Omit<TaskGroup, "work">> = {},
): Submission {
  return submission([group(tasks(count), groupChanges)], changes);
}

/** An execution of one array. */
export function sweep(
  length: number,
  chunkSize: number,
  changes: Partial<Submission> = {},
  groupChanges: Partial<Omit<TaskGroup, "work">> = {},
): Submission {
  return submission([group(array(length, chunkSize), groupChanges)], { kind: "sweep", ...changes });
}

/** One group of tasks, each with the numbers of those that it comes after. */
export function workflow(after: readonly (readonly number[])[], changes: Partial<Submission> = {}): Submission {
  return submission([group(tasks(after.length, after))], { kind: "workflow", ...changes });
}
