/** An execution's graph over HTTP, and what is left of it. */
import type * as z from "zod";
import { DEFAULT_NODES, type GRAPH_OPERATIONS, type graphNode, MAX_PATH_TOLD } from "../../api/operations/graph.ts";
import type { Broker, PoolView, TaskView } from "../../broker/contract.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import { estimatesOf, type Rest, restOf, type StartedNode } from "../../core/graph.ts";
import { isTaskEnded } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { ReplyOf } from "../../api/operation.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";
import { liveSessions } from "../workers/live-sessions.ts";

/** Running tasks that are asked since when they run; of the others all of their time counts as left. */
const MOST_ASKED = 64;

type Plan = ReplyOf<typeof GRAPH_OPERATIONS.getPlan>;

export function graphHandlers({ broker, clock }: ServerParts): HandlersOf<typeof GRAPH_OPERATIONS> {
  return {
    getGraph: async ({ params, query }) => {
      const { limit = DEFAULT_NODES, cursor } = query;
      const after = cursor === undefined ? {} : { after: cursor };
      const { tasks } = await broker.listTasks({ ...params, limit, children: true, ...after });
      const last = tasks.length >= limit ? tasks.at(-1) : undefined;
      return { nodes: tasks.map(nodeOf), ...(last === undefined ? {} : { next: last.task }) };
    },
    getPlan: async ({ params }, { signal }) => {
      await broker.getExecution(params);
      const tasks = await allTasks(broker, params.executionId, signal);
      const now = clock.now();
      const [nodes, slots] = await Promise.all([asGraph(broker, tasks, now), slotsNow(broker)]);
      const estimates = estimatesOf(tasks);
      const rest = restOf({
        nodes,
        durationsMs: estimates.map((estimate) => estimate ?? 0),
        capacity: { ...slots, pools: tasks.map(({ pool }) => pool) },
      });
      if (rest === undefined) throw new HoldfastError("INTERNAL", { problem: "its tasks wait for each other" });
      const waiting = tasks.filter(({ state }) => !isTaskEnded(state));
      const { makespanMs: leftMs } = rest;
      return {
        left: waiting.length,
        unknown: tasks.filter(({ state }, at) => !isTaskEnded(state) && estimates[at] === undefined).length,
        onHold: waiting.filter(({ held, suspended }) => held === true || suspended?.until === "signal").length,
        workMs: rest.workMs,
        criticalPath: pathOf(rest, tasks),
        criticalPathMs: rest.criticalPathMs,
        pools: poolsLeft(waiting, slots.poolSlots),
        ...(Number.isFinite(leftMs) ? { leftMs, estimatedEndAt: now + leftMs } : {}),
      };
    },
  };
}

function pathOf({ criticalPath, leftMs }: Rest, tasks: readonly TaskView[]): Plan["criticalPath"] {
  return criticalPath.slice(0, MAX_PATH_TOLD).flatMap((index) => {
    const view = tasks[index];
    if (view === undefined) return [];
    const { task, name, label } = view;
    return [{ task, name, leftMs: leftMs[index] ?? 0, ...(label === undefined ? {} : { label }) }];
  });
}

function nodeOf(view: TaskView): z.output<typeof graphNode> {
  const { task, label, name, pool, state, rank, durationMs, attempts, held, removed, children = [] } = view;
  return {
    task,
    name,
    pool,
    state,
    attempts,
    children,
    ...(label === undefined ? {} : { label }),
    ...(rank === undefined ? {} : { rank }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(held === undefined ? {} : { held }),
    ...(removed === undefined ? {} : { removed }),
  };
}

async function allTasks(broker: Broker, executionId: string, signal: AbortSignal): Promise<readonly TaskView[]> {
  const tasks: TaskView[] = [];
  for (;;) {
    signal.throwIfAborted();
    const last = tasks.at(-1);
    const page = await broker.listTasks({
      executionId,
      limit: MAX_PAGE,
      children: true,
      ...(last === undefined ? {} : { after: last.task }),
    });
    for (const { result: _result, ...task } of page.tasks) tasks.push(task);
    if (page.tasks.length < MAX_PAGE) return tasks;
  }
}

async function asGraph(broker: Broker, tasks: readonly TaskView[], now: number): Promise<StartedNode[]> {
  const running = tasks.filter(({ state, items }) => state === "running" && items === undefined).slice(0, MOST_ASKED);
  const facts = await Promise.all(running.map(({ executionId, task }) => broker.explainTask({ executionId, task })));
  const since = new Map(facts.map(({ task: { task }, runningSince }) => [task, runningSince]));
  const after = new Map<number, string[]>(tasks.map(({ task }) => [task, []]));
  for (const { task, children = [] } of tasks) for (const child of children) after.get(child)?.push(String(task));
  return tasks.map(({ task, state }): StartedNode => {
    const startedAt = since.get(task);
    const runningFor = startedAt === undefined ? {} : { runningForMs: Math.max(0, now - startedAt) };
    return { id: String(task), after: after.get(task) ?? [], state, ...runningFor };
  });
}

interface Slots {
  /** Of all workers: one that serves several pools is in the count of each. */
  readonly slots: number;
  readonly poolSlots: ReadonlyMap<string, number>;
}

async function slotsNow(broker: Broker): Promise<Slots> {
  const { pools } = await broker.listPools();
  let slots = 0;
  for await (const session of liveSessions(broker)) slots += session.slots;
  return { slots, poolSlots: new Map(pools.map((view) => [view.pool, activeSlots(view)])) };
}

/** Without those of workers that stand by: their part of all. */
function activeSlots({ sessions, slots, standby }: PoolView): number {
  return sessions === 0 ? 0 : Math.round((slots * (sessions - standby)) / sessions);
}

function poolsLeft(waiting: readonly TaskView[], poolSlots: ReadonlyMap<string, number>): Plan["pools"] {
  const left = new Map<string, number>();
  for (const { pool } of waiting) left.set(pool, (left.get(pool) ?? 0) + 1);
  return [...left].map(([pool, count]) => ({ pool, left: count, slots: poolSlots.get(pool) ?? 0 }));
}
