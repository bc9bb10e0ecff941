/**
 * How long tasks take, as far as their execution tells. A task that has completed was measured. The rank
 * of another is its way to the end: less the longest way of its children it is its own time. Where it
 * has no rank, those of the same name that have completed tell, in the mean.
 */
import { wayOf } from "./rank.ts";

export interface EstimatedTask {
  readonly task: number;
  readonly name: string;
  readonly rank?: number;
  /** Measured. */
  readonly durationMs?: number;
  readonly children?: readonly number[];
}

/** Milliseconds; undefined for those of which nothing tells. */
export function estimatesOf(tasks: readonly EstimatedTask[]): readonly (number | undefined)[] {
  const ways = new Map(tasks.map(({ task, rank = 0 }) => [task, wayOf(rank)]));
  const means = meansByName(tasks);
  return tasks.map(({ name, rank, durationMs, children = [] }) => {
    if (durationMs !== undefined) return durationMs;
    if (rank === undefined) return means.get(name);
    const below = children.reduce((longest, child) => Math.max(longest, ways.get(child) ?? 0), 0);
    return Math.max(0, wayOf(rank) - below);
  });
}

function meansByName(tasks: readonly EstimatedTask[]): ReadonlyMap<string, number> {
  const sums = new Map<string, { ms: number; count: number }>();
  for (const { name, durationMs } of tasks) {
    if (durationMs === undefined) continue;
    const sum = sums.get(name) ?? { ms: 0, count: 0 };
    sum.ms += durationMs;
    sum.count += 1;
    sums.set(name, sum);
  }
  return new Map([...sums].map(([name, { ms, count }]) => [name, ms / count]));
}
