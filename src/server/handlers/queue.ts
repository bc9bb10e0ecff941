import type { QUEUE_OPERATIONS } from "../../api/operations/queue.ts";
import { ALL_POOLS, type Broker, type PoolView } from "../../broker/contract.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import type { ExecutionState } from "../../core/states.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";
import type { Throughput } from "../throughput.ts";
import type { Watch } from "../watch.ts";
import { countWorkers } from "../worker-figures.ts";

export function queueHandlers(parts: ServerParts, watch: Watch): HandlersOf<typeof QUEUE_OPERATIONS> {
  const { broker, clock } = parts;
  return {
    getQueueStats: async () => ({ success: true, healthy: true, stats: statsOf((await broker.listPools()).pools) }),
    pauseQueue: async ({ body }, { principal }) => {
      const pool = body?.pool ?? ALL_POOLS;
      await broker.pausePool({ pool, by: principal.name });
      return { success: true, message: `${named(pool)} paused; what runs finishes.` };
    },
    resumeQueue: async ({ body }, { principal }) => {
      const pool = body?.pool ?? ALL_POOLS;
      await broker.resumePool({ pool, by: principal.name });
      return { success: true, message: `${named(pool)} resumed.` };
    },
    getStatistics: async () => {
      const now = clock.now();
      const [executions, { pools }, workers] = await Promise.all([
        countExecutions(broker),
        broker.listPools(),
        countWorkers(broker, now),
      ]);
      return {
        at: now,
        executions,
        items: itemsOf(pools),
        pools: { total: pools.length, paused: pools.filter(({ paused }) => paused).length },
        workers,
        ...throughputOf(watch.throughput),
        server: { version: parts.version, upMs: now - watch.startedAt, eventReaders: watch.hub.readers },
      };
    },
  };
}

function named(pool: string): string {
  return pool === ALL_POOLS ? "All pools are" : `Pool ${pool} is`;
}

interface QueueStats {
  readonly waiting: number;
  readonly active: number;
  readonly completed: number;
  readonly failed: number;
  readonly delayed: number;
  readonly paused: boolean;
  readonly total: number;
}

function statsOf(pools: readonly PoolView[]): QueueStats {
  const { blocked, scheduled, queued, running, completed, failed } = itemsOf(pools);
  const waiting = queued + blocked;
  return {
    waiting,
    active: running,
    completed,
    failed,
    delayed: scheduled,
    paused: pools.length > 0 && pools.every(({ paused }) => paused),
    total: waiting + running + completed + failed,
  };
}

type ItemState = "blocked" | "scheduled" | "queued" | "running" | "completed" | "failed";

function itemsOf(pools: readonly PoolView[]): Record<ItemState, number> {
  const sum = { blocked: 0, scheduled: 0, queued: 0, running: 0, completed: 0, failed: 0 };
  for (const pool of pools) for (const state of Object.keys(sum) as ItemState[]) sum[state] += pool[state];
  return sum;
}

const OPEN_STATES = ["pending", "running", "paused"] as const satisfies readonly ExecutionState[];

async function countExecutions(
  broker: Broker,
): Promise<Record<(typeof OPEN_STATES)[number], number> & { readonly more: boolean }> {
  const { executions, next } = await broker.listExecutions({ states: OPEN_STATES, limit: MAX_PAGE });
  const count = (wanted: ExecutionState): number => executions.filter(({ state }) => state === wanted).length;
  return { pending: count("pending"), running: count("running"), paused: count("paused"), more: next !== undefined };
}

function throughputOf(throughput: Throughput): {
  readonly throughput?: { completed: number; failed: number; perSecond: number; spanMs: number };
} {
  const ended = throughput.lastMinute();
  if (ended === undefined || ended.spanMs <= 0) return {};
  const { completed, failed, spanMs } = ended;
  return { throughput: { completed, failed, perSecond: ((completed + failed) * 1_000) / spanMs, spanMs } };
}
