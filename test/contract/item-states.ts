/**
 * States of items by range, so that an array of 10⁹ items can be followed through its events: each
 * task has a list of disjoint ranges in ascending order, neighbours of equal state joined.
 */
import type { TaskState } from "../../src/core/states.ts";

interface Range {
  readonly start: number;
  readonly end: number;
  readonly state: TaskState;
}

export interface RangeMove {
  readonly task: number;
  readonly start: number;
  readonly end: number;
  readonly to: TaskState;
}

export class ItemStates {
  readonly #ranges = new Map<number, Range[]>();

  /** Moves a range; `check` is called for every state that items in it were in, `undefined` for new ones. */
  move(move: RangeMove, check: (was: TaskState | undefined) => void): void {
    const before = this.#ranges.get(move.task) ?? [];
    const after: Range[] = [];
    let known = 0;
    for (const range of before) {
      const start = Math.max(range.start, move.start);
      const end = Math.min(range.end, move.end);
      if (start >= end) {
        after.push(range);
        continue;
      }
      check(range.state);
      known += end - start;
      if (range.start < start) after.push({ start: range.start, end: start, state: range.state });
      if (end < range.end) after.push({ start: end, end: range.end, state: range.state });
    }
    if (known < move.end - move.start) check(undefined);
    after.push({ start: move.start, end: move.end, state: move.to });
    this.#ranges.set(move.task, joined(after));
  }

  /** Items by state. */
  count(): Record<TaskState, number> {
    const counts = {
      blocked: 0,
      scheduled: 0,
      queued: 0,
      running: 0,
      completed: 0,
      failed: 0,
      cancelled: 0,
      skipped: 0,
    };
    for (const ranges of this.#ranges.values()) {
      for (const range of ranges) counts[range.state] += range.end - range.start;
    }
    return counts;
  }

  /** The state of one item. */
  at(task: number, item = 0): TaskState | undefined {
    return this.#ranges.get(task)?.find((range) => range.start <= item && item < range.end)?.state;
  }
}

function joined(ranges: Range[]): Range[] {
  ranges.sort((left, right) => left.start - right.start);
  const result: Range[] = [];
  for (const range of ranges) {
    const last = result.at(-1);
    if (last !== undefined && last.end === range.start && last.state === range.state) {
      result[result.length - 1] = { start: last.start, end: range.end, state: range.state };
    } else {
      result.push(range);
    }
  }
  return result;
}
