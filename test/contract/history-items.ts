/** Items by name, and outcomes that a random history's numbers choose. */
import type { DeadLetter, Lease, LeaseRef, Outcome } from "../../src/broker/contract.ts";
import {
  chunkDone,
  isChunk,
  itemFailures,
  rangeOf,
  returned,
  skipped,
  untilDelay,
  untilSignal,
  untilTasks,
} from "../support/outcomes.ts";
import { group, tasks } from "../support/submissions.ts";
import { MOST_TASKS } from "./history-edits.ts";

/** `execution/task/item` of all that the lease covers; a separate task is its own item 0. */
export function itemsOf(lease: Lease): readonly string[] {
  return items(lease, isChunk(lease) ? rangeOf(lease) : { start: 0, end: 1 });
}

/** The same of a dead letter. */
export function itemsOfLetter(letter: DeadLetter): readonly string[] {
  return items(letter, { start: letter.start ?? 0, end: letter.end ?? 1 });
}

function items(
  { executionId, task }: Pick<LeaseRef, "executionId" | "task">,
  range: { readonly start: number; readonly end: number },
): readonly string[] {
  return Array.from({ length: range.end - range.start }, (_, index) => `${executionId}/${task}/${range.start + index}`);
}

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

/** The signal that tasks of random histories wait for. */
export const SIGNAL = "go";

/** A chunk cannot be skipped; it is done. */
export function skipBy(lease: Lease, amount: number): Outcome {
  return isChunk(lease) ? chunkDone(lease) : skipped(lease, amount % 2 === 0 ? "skip" : "release");
}

/** For a time, for a signal, or for two tasks that it adds; a chunk cannot, and is handed back. */
export function suspendBy(lease: Lease, amount: number): Outcome {
  if (isChunk(lease)) return returned(lease);
  switch (amount % 4) {
    case 0:
      return untilDelay(lease, amount * 500);
    case 1:
      return untilSignal(lease, SIGNAL);
    case 2:
      return untilSignal(lease, SIGNAL, amount * 500);
    default: {
      // An execution in which tasks add tasks for ever is not what a history is about.
      if (lease.task >= MOST_TASKS) return untilDelay(lease, 1_000);
      const onFailure = amount % 8 < 4 ? "continue" : "fail";
      return untilTasks(lease, [group(tasks(2, [[], amount % 3 === 0 ? [0] : []]), { onFailure })]);
    }
  }
}
