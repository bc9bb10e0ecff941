/**
 * Why a task does not run: from what a broker knows of it and from the workers that live, the one
 * answer in fields and in words. Pure.
 *
 * Several things may keep a task waiting at once. The strongest comes first: what a person has
 * stopped, then what must happen before it may run at all, then that nobody is there to run it.
 * Only a task that nothing else holds back stands in line.
 */
import type { FactsLook, Obstacle, TaskLook, Why, WorkerLook } from "./why/obstacle.ts";
import { inWords } from "./why/words.ts";

export type { FactsLook, Obstacle, Parent, Reason, TaskLook, Why, WhyCode, WorkerLook } from "./why/obstacle.ts";

/** Workers and pools named in one answer; the rest is counted. */
const NAMES_KEPT = 20;

export interface WhyParams {
  readonly facts: FactsLook;
  /** Of the workers that live, draining ones among them. */
  readonly sessions: readonly WorkerLook[];
  readonly now: number;
  /** Items of the task's pool that ended per second lately; absent where nothing was measured. */
  readonly rate?: number;
}

export function why(params: WhyParams): Why {
  const { task } = params.facts;
  const [first, ...others] = obstacles(params).map((obstacle) => inWords(obstacle, { task, now: params.now }));
  // Every state has at least one obstacle; the compiler cannot know.
  if (first === undefined) throw new RangeError(`nothing is known of why task ${task.task} waits`);
  return { ...first, also: others };
}

function obstacles(params: WhyParams): readonly Obstacle[] {
  const { task, waitsFor } = params.facts;
  switch (task.state) {
    case "completed":
    case "cancelled":
    case "skipped":
      return [
        {
          code: "ended",
          state: task.state,
          parents: task.state === "skipped" && task.removed !== true ? waitsFor : [],
        },
        ...deadItems(task),
      ];
    case "failed":
      return task.items === undefined || task.items.failed === 0 ? [deadTask(task)] : deadItems(task);
    case "running":
      return running(params);
    case "blocked":
    case "scheduled":
    case "queued":
      return [...waiting(params), ...deadItems(task)];
  }
}

function running(params: WhyParams): readonly Obstacle[] {
  const { task, runningSince } = params.facts;
  const { items } = task;
  if (items === undefined) {
    const { worker } = task;
    return [{ code: "running", ...given({ worker, since: runningSince }) }];
  }
  const rest = items.queued + items.scheduled;
  const held = rest > 0 ? waiting(params) : [];
  // An array that has begun counts as running, also while none of its items does.
  if (items.running === 0 && held.length > 0) return [...held, ...deadItems(task)];
  return [
    { code: "running", items: { running: items.running, waiting: rest } },
    ...held.filter(({ code }) => !IN_LINE.has(code)),
    ...deadItems(task),
  ];
}

/** Where an array runs, the rest of it standing in line goes without saying. */
const IN_LINE: ReadonlySet<Obstacle["code"]> = new Set(["slots-busy", "in-line", "next-in-line"]);

function deadTask({ failures, losses, lastFailure }: TaskLook): Obstacle {
  return { code: "dead-letter", failures, losses, ...given({ failure: lastFailure }) };
}

function deadItems({ items, failures, losses, lastFailure }: TaskLook): readonly Obstacle[] {
  if (items === undefined || items.failed === 0) return [];
  return [{ code: "dead-letter", failures, losses, items: items.failed, ...given({ failure: lastFailure }) }];
}

/** What holds a task back that has not ended and does not run. Never empty. */
function waiting(params: WhyParams): readonly Obstacle[] {
  const { facts } = params;
  const before = facts.task.suspended === undefined ? [...parents(facts), ...time(params)] : suspension(params);
  const own = [...(facts.task.held === true ? [HELD] : []), ...before];
  const held = [...paused(facts), ...(own.length > 0 ? own : failure(facts)), ...workers(params)];
  return held.length > 0 ? held : [line(params)];
}

const HELD: Obstacle = { code: "held" };

/** What has no parents to wait for, and is not ready either, waits for the rest to fail. */
function failure({ task, waitsForCount }: FactsLook): readonly Obstacle[] {
  const isRescue = task.state === "blocked" && task.items === undefined && waitsForCount === 0;
  return isRescue ? [{ code: "waits-for-failure" }] : [];
}

/** What a task waits for that has suspended itself. */
function suspension({ facts, now }: WhyParams): readonly Obstacle[] {
  const { suspended, notBefore } = facts.task;
  const at = facts.notBefore ?? notBefore;
  const until = at === undefined || at <= now ? undefined : at;
  switch (suspended?.until) {
    case "signal":
      return [{ code: "waits-for-signal", signal: suspended.signal ?? "", ...given({ until }) }];
    case "tasks":
      return [{ code: "waits-for-added", ...openParents(facts) }];
    case "delay":
      return until === undefined ? [] : [{ code: "sleeping", until }];
    case undefined:
      return [];
  }
}

function paused({ execution, pool }: FactsLook): readonly Obstacle[] {
  const isPaused = execution.state === "paused" || execution.paused !== undefined;
  return [
    ...(isPaused ? [{ code: "execution-paused", ...pauseOf(execution.paused) } as const] : []),
    ...(pool.paused ? [{ code: "pool-paused", pool: pool.pool, ...pauseOf(pool.pause) } as const] : []),
  ];
}

function pauseOf(pause: { readonly by?: string; readonly at: number } | undefined): {
  readonly by?: string;
  readonly since?: number;
} {
  return pause === undefined ? {} : { since: pause.at, ...given({ by: pause.by }) };
}

function parents(facts: FactsLook): readonly Obstacle[] {
  return facts.waitsForCount === 0 ? [] : [{ code: "waits-for-parents", ...openParents(facts) }];
}

function openParents({ waitsFor, waitsForCount }: FactsLook): {
  readonly parents: FactsLook["waitsFor"];
  readonly more: number;
} {
  return { parents: waitsFor, more: Math.max(0, waitsForCount - waitsFor.length) };
}

function time({ facts, now }: WhyParams): readonly Obstacle[] {
  const { task, retryLimit } = facts;
  const until = facts.notBefore ?? task.notBefore;
  const isHeld =
    task.items === undefined ? task.state !== "queued" : task.items.queued === 0 && task.items.scheduled > 0;
  if (until === undefined || until <= now || !isHeld) return [];
  const hasTried =
    task.items === undefined ? task.failures > 0 : task.items.scheduled < task.items.total || task.failures > 0;
  if (!hasTried) return [{ code: "delayed", until }];
  const failure = task.lastFailure;
  // Ranges of an array count their failures for themselves.
  if (task.items !== undefined) return [{ code: "backing-off", until, failures: 0, ...given({ failure }) }];
  const limit = retryLimit === undefined ? undefined : retryLimit + 1;
  return [{ code: "backing-off", until, failures: task.failures, ...given({ limit, failure }) }];
}

/** That nobody is there who could run it. */
function workers({ facts, sessions: all }: WhyParams): readonly Obstacle[] {
  const { pool } = facts.pool;
  const { requires } = facts;
  const serving = all.filter((worker) => worker.pools.includes(pool));
  if (serving.length === 0) {
    const otherPools = [...new Set(all.flatMap((worker) => worker.pools))].sort().slice(0, NAMES_KEPT);
    return [{ code: "no-worker", pool, otherPools }];
  }
  const capable = serving.filter((worker) => isCapable(worker, requires));
  if (capable.length === 0) {
    const lacking = requires.filter((wanted) => !serving.some(({ capabilities }) => capabilities.includes(wanted)));
    const missing = lacking.length > 0 ? lacking : requires;
    return [{ code: "no-capable-worker", pool, missing, requires, ...named(serving) }];
  }
  if (capable.every(isDraining)) return [{ code: "workers-draining", pool, requires, ...named(capable) }];
  const { max = Infinity } = facts.pool;
  const active = servingNow(facts, all);
  return capable.some((worker) => active.has(worker)) ? [] : [{ code: "pool-full", pool, max, ...named(capable) }];
}

/** Those that get the pool's work: beyond its most, the ones that came later stand by. */
function servingNow(
  { pool: { pool, max = Infinity } }: FactsLook,
  all: readonly WorkerLook[],
): ReadonlySet<WorkerLook> {
  const serving = all.filter((worker) => worker.pools.includes(pool));
  const inOrder = serving.toSorted((one, other) => (one.openedAt ?? 0) - (other.openedAt ?? 0));
  return new Set(inOrder.slice(0, Math.min(max, inOrder.length)));
}

function line({ facts, sessions: all, rate }: WhyParams): Obstacle {
  const { pool } = facts.pool;
  const { ahead, requires } = facts;
  const open = [...servingNow(facts, all)].filter((worker) => isCapable(worker, requires) && !isDraining(worker));
  const slots = open.reduce((sum, worker) => sum + worker.slots, 0);
  // A worker claims ahead: it may hold more leases than it has slots.
  const busy = open.reduce((sum, worker) => sum + Math.min(worker.slots, worker.leases), 0);
  if (busy < slots && ahead === 0) return { code: "next-in-line", pool, freeSlots: slots - busy };
  const estimateMs = rate === undefined || rate <= 0 ? undefined : Math.round(((ahead + 1) * 1_000) / rate);
  return { code: busy < slots ? "in-line" : "slots-busy", pool, slots, busy, ahead, ...given({ estimateMs }) };
}

function isCapable(worker: WorkerLook, requires: readonly string[]): boolean {
  return requires.every((wanted) => worker.capabilities.includes(wanted));
}

function isDraining(worker: WorkerLook): boolean {
  return worker.state === "draining";
}

function named(some: readonly WorkerLook[]): { readonly workers: readonly string[]; readonly workerCount: number } {
  return { workers: some.slice(0, NAMES_KEPT).map(({ worker }) => worker), workerCount: some.length };
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields that are there. */
function given<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}
