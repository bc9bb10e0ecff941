/** Items by name, and outcomes that a random history's numbers choose. */
import type { DeadLetter, Edit, Lease, LeaseRef, Outcome, Submission, TaskView } from "../../src/broker/contract.ts";
import { chunkDone, isChunk, itemFailures, rangeOf } from "../support/outcomes.ts";
import { group, tasks } from "../support/submissions.ts";

/** `execution/task/item` of all that the lease covers; a separate task is its own item 0. */
export function itemsOf(lease: Lease): readonly string[] {
  return items(lease, isChunk(lease) ? rangeOf(lease) : { start: 0, end: 1 });
}

/** The same of a dead letter. */
export function itemsOfLetter(letter: DeadLetter): readonly string[] {
  return items(letter, { start: letter.start ?? 0, end: letter.end ?? 1 });
}

/** Numbers of a task and of all that come after it. */
export function descendantsIn(submission: Submission, task: number): ReadonlySet<number> {
  const found = new Set([task]);
  let number = 0;
  for (const { work } of submission.groups) {
    const parents = work.kind === "tasks" ? work.inputs.map((_, index) => work.after?.[index] ?? []) : [[]];
    for (const above of parents) {
      if (above.some((parent) => found.has(parent))) found.add(number);
      number += 1;
    }
  }
  return found;
}

function items(
  { executionId, task }: Pick<LeaseRef, "executionId" | "task">,
  range: { readonly start: number; readonly end: number },
): readonly string[] {
  return Array.from({ length: range.end - range.start }, (_, index) => `${executionId}/${task}/${range.start + index}`);
}

/** Edits that the bits of `amount` choose: a priority, one or two tasks to remove, and two added after some. */
export function editsBy(amount: number, all: readonly TaskView[]): readonly Edit[] {
  const separate = all.filter(({ items: array }) => array === undefined).map(({ task }) => task);
  const chosen = [
    separate[amount % Math.max(1, separate.length)],
    separate[(amount >> 2) % Math.max(1, separate.length)],
  ];
  const removed = chosen.flatMap((task) => task ?? []);
  const parents = [amount % Math.max(1, all.length), (amount >> 3) % Math.max(1, all.length)];
  const work = tasks(2, [parents, [all.length, ...parents]]);
  return [
    { kind: "priority", priority: 1 + (amount % 10) },
    ...(amount % 3 > 0 && all.length < MOST_TASKS ? [{ kind: "add", groups: [group(work)] } as const] : []),
    ...(amount % 4 > 1 && removed.length > 0 ? [{ kind: "remove", tasks: removed } as const] : []),
  ];
}

/** Of an execution that is edited again and again. */
const MOST_TASKS = 40;

/** What of it the outcome commits. */
export function doneBy(lease: Lease, outcome: Outcome): readonly string[] {
  if (outcome.kind === "completed") return itemsOf(lease);
  if (outcome.kind !== "chunk") return [];
  const missing = new Set(outcome.failures.map(({ item }) => `${lease.executionId}/${lease.task}/${item}`));
  return itemsOf(lease).filter((item) => !missing.has(item));
}

/** One of the chunk's items, or nobody knows which. */
export function culpritOf(lease: Lease, amount: number): number | undefined {
  const { start, end } = rangeOf(lease);
  return amount % 3 === 0 ? undefined : start + (amount % (end - start));
}

/** Some items of the chunk failed; which ones, the bits of `amount` say. */
export function partlyFailed(lease: Lease, amount: number): Outcome {
  const { start, end } = rangeOf(lease);
  const failing: number[] = [];
  for (let item = start; item < end; item += 1) if (((amount >> ((item - start) % 7)) & 1) === 1) failing.push(item);
  return chunkDone(lease, itemFailures(failing, amount % 5 === 0 ? "invalid-input" : "user-error"));
}
