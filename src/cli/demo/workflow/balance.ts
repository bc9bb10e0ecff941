/**
 * How well pools shared their work: the time in which a task waited although a worker of its pool had
 * nothing to do, beside the time that its workers had in all. Pure.
 */
import type { Presence, Stretch, Waiting } from "../../work-book.ts";

export interface PoolBalance {
  readonly pool: string;
  /** Workers that were there at any time. */
  readonly workers: number;
  readonly completed: number;
  /** Most workers at the same time. */
  readonly mostWorkers: number;
  readonly busyMs: number;
  /** While work waited, the time of workers without any. */
  readonly idleWhileWaitingMs: number;
  /** Share of it in the time that workers could have worked in: 0 is perfect. */
  readonly idleShare: number;
  /** Most tasks that waited at the same time, and the longest that one waited. */
  readonly mostWaiting: number;
  readonly longestWaitMs: number;
}

export interface BalanceParams {
  readonly pool: string;
  readonly stretches: readonly Stretch[];
  readonly presences: readonly Presence[];
  readonly waits: readonly Waiting[];
  /** When the last thing happened. */
  readonly until: number;
}

interface Step {
  readonly at: number;
  /** Workers, workers at work, and tasks that wait: by how many they change. */
  readonly workers: number;
  readonly busy: number;
  readonly waiting: number;
}

export function poolBalance({ pool, stretches, presences, waits, until }: BalanceParams): PoolBalance {
  const steps: Step[] = [
    ...presences.flatMap(({ from, to }) => spanOf({ from, to: to ?? until }, { workers: 1, busy: 0, waiting: 0 })),
    ...stretches.flatMap(({ from, to }) => spanOf({ from, to: to ?? until }, { workers: 0, busy: 1, waiting: 0 })),
    ...waits.flatMap(({ from, to }) => spanOf({ from, to: to ?? until }, { workers: 0, busy: 0, waiting: 1 })),
  ].sort((one, other) => one.at - other.at);
  const now = { workers: 0, busy: 0, waiting: 0 };
  let [idleMs, busyMs, mostWorkers, mostWaiting] = [0, 0, 0, 0];
  let last = steps[0]?.at ?? 0;
  for (const step of steps) {
    const passed = step.at - last;
    idleMs += passed * Math.max(0, Math.min(now.waiting, now.workers - now.busy));
    busyMs += passed * now.busy;
    last = step.at;
    now.workers += step.workers;
    now.busy += step.busy;
    now.waiting += step.waiting;
    mostWorkers = Math.max(mostWorkers, now.workers);
    mostWaiting = Math.max(mostWaiting, now.waiting);
  }
  return {
    pool,
    workers: new Set(presences.map(({ worker }) => worker)).size,
    completed: stretches.filter(({ end }) => end === "completed").length,
    mostWorkers,
    busyMs,
    idleWhileWaitingMs: idleMs,
    idleShare: busyMs + idleMs === 0 ? 0 : idleMs / (busyMs + idleMs),
    mostWaiting,
    longestWaitMs: waits.reduce((longest, { from, to }) => Math.max(longest, (to ?? until) - from), 0),
  };
}

function spanOf(
  { from, to }: { readonly from: number; readonly to: number },
  change: Omit<Step, "at">,
): readonly [Step, Step] {
  return [
    { at: from, ...change },
    { at: to, workers: -change.workers, busy: -change.busy, waiting: -change.waiting },
  ];
}
