/**
 * The crisis: first one worker of every pool is killed in the middle of a task, then half of all
 * workers at once. Pure decisions; watch-delivery.ts carries them out.
 */
import { DELIVERY_POOLS, poolOfWorker } from "./delivery.ts";
import type { Stretch, WorkBook } from "../../work-book.ts";

export type Wave = "one per pool" | "half of all";

export interface Kill {
  readonly wave: Wave;
  readonly pool: string;
  readonly worker: string;
  readonly pid: number | null;
  /** Just before the signal was sent, on the broker's clock. */
  readonly at: number;
  /** What it ran. */
  readonly held: readonly HeldTask[];
}

export interface HeldTask {
  readonly executionId: string;
  readonly task: number;
  /** How long it had been running. */
  readonly ranForMs: number;
}

/** A task whose worker was killed, and when it ran again. */
export interface Recovery extends HeldTask {
  readonly wave: Wave;
  readonly from: string;
  readonly pool: string;
  readonly killedAt: number;
  /** When the broker took it back; absent while it has not. */
  readonly noticedAt: number | undefined;
  readonly to: string | undefined;
  readonly runningAt: number | undefined;
}

export interface CrisisView {
  readonly book: WorkBook;
  readonly kills: readonly Kill[];
  /** Workers that live and have a session. */
  readonly alive: readonly string[];
  /** On the broker's clock. */
  readonly now: number;
  /** A task has been running for this long before its worker is killed: it is in the middle. */
  readonly intoTaskMs: number;
  /** Tasks that are done before the first worker is killed: it had been going well. */
  readonly afterTasks: number;
}

/** Workers to kill now; none: look again after the next event. */
export function nextVictims(view: CrisisView): { readonly wave: Wave; readonly workers: readonly string[] } {
  if (view.book.completedTasks < view.afterTasks) return { wave: "one per pool", workers: [] };
  const recoveries = recoveriesOf(view.book, view.kills);
  // Not by a kill that came after the task was done: nothing was broken off.
  const struck = new Set(recoveries.filter(({ wave }) => wave === "one per pool").map(({ pool }) => pool));
  const inTheMiddle = view.book
    .running()
    .filter(({ worker, from }) => view.alive.includes(worker) && view.now - from >= view.intoTaskMs);
  if (struck.size < DELIVERY_POOLS.length) {
    const victim = inTheMiddle.find(({ worker }) => {
      const pool = poolOfWorker(worker);
      // Somebody must be there to take over at once.
      return !struck.has(pool) && view.alive.some((other) => other !== worker && poolOfWorker(other) === pool);
    });
    return { wave: "one per pool", workers: victim === undefined ? [] : [victim.worker] };
  }
  const isOver = view.kills.some(({ wave }) => wave === "half of all");
  const isRecovered = recoveries.every(({ runningAt }) => runningAt !== undefined);
  if (isOver || !isRecovered || inTheMiddle.length === 0) return { wave: "half of all", workers: [] };
  return { wave: "half of all", workers: halfOf(view.alive, inTheMiddle) };
}

/** Half of the workers, rounded up; first those that are in the middle of a task; of every pool one stays where it has two. */
function halfOf(alive: readonly string[], inTheMiddle: readonly Stretch[]): string[] {
  const busy = new Set(inTheMiddle.map(({ worker }) => worker));
  const inOrder = [...alive].sort((one, other) => Number(busy.has(other)) - Number(busy.has(one)));
  const left = new Map<string, number>();
  for (const worker of alive) left.set(poolOfWorker(worker), (left.get(poolOfWorker(worker)) ?? 0) + 1);
  const wanted = Math.ceil(alive.length / 2);
  const victims: string[] = [];
  for (const worker of inOrder) {
    const pool = poolOfWorker(worker);
    if (victims.length === wanted || (left.get(pool) ?? 0) <= 1) continue;
    left.set(pool, (left.get(pool) ?? 0) - 1);
    victims.push(worker);
  }
  return [...victims, ...inOrder.filter((worker) => !victims.includes(worker)).slice(0, wanted - victims.length)];
}

/**
 * What became of each task that died with its worker: also of one that it took after it was looked at.
 * What was done, or on its way, before the signal came was not broken off.
 */
export function recoveriesOf(book: WorkBook, kills: readonly Kill[]): Recovery[] {
  return kills.flatMap(({ wave, pool, worker, at }) =>
    book.stretches
      .filter((stretch) => stretch.worker === worker && (stretch.end === "lost" || stretch.end === "running"))
      .map((broken): Recovery => {
        const { executionId, task, from } = broken;
        const attempts = book.attemptsOf(executionId, task);
        const next = attempts[attempts.indexOf(broken) + 1];
        return {
          executionId,
          task,
          ranForMs: Math.max(0, at - from),
          wave,
          pool,
          from: worker,
          killedAt: at,
          noticedAt: broken.to,
          to: next?.worker,
          runningAt: next?.from,
        };
      }),
  );
}
