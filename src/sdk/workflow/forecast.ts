/** What a planned workflow comes to before it runs: its levels, its critical path, its pools, and how long it may take. */
import { analyse, levelsOf, listSchedule, makespanBounds, type Capacity } from "../../core/graph.ts";
import type { WorkflowPlan } from "./plan.ts";
import { graphOf, isGraph } from "./planned-nodes.ts";
import { workflowError } from "./problems.ts";
import { durationsOf } from "./submission.ts";

export interface Forecast {
  readonly name: string;
  readonly nodes: number;
  readonly edges: number;
  /** Ids; those of one level do not wait for each other. */
  readonly levels: readonly (readonly string[])[];
  readonly criticalPath: readonly { readonly id: string; readonly durationMs: number }[];
  readonly criticalPathMs: number;
  readonly pools: readonly {
    readonly pool: string;
    readonly nodes: number;
    readonly workMs: number;
    readonly slots?: number;
  }[];
  /** Of all nodes in sum. */
  readonly workMs: number;
  /** No run with so many slots is shorter. */
  readonly lowerBoundMs: number;
  /** What a run would take by the durations that are known, if nothing else took time. */
  readonly makespanMs: number;
}

export interface ForecastOptions {
  /** Nodes that run at the same time: in all, or by pool. Default: any number. */
  readonly slots?: number | ReadonlyMap<string, number> | undefined;
  /** As for submissionOf. */
  readonly measured?: ReadonlyMap<string, number> | undefined;
}

/** @throws HoldfastError INVALID_WORKFLOW when its nodes are no graph. */
export function forecast(plan: WorkflowPlan, { slots, measured }: ForecastOptions = {}): Forecast {
  const { nodes, name } = plan;
  const graph = graphOf(nodes);
  if (!isGraph(graph)) throw workflowError(name, graph);
  const durationsMs = durationsOf(nodes, measured);
  const analysis = analyse(graph, durationsMs);
  const { criticalPath, criticalPathMs } = analysis;
  const pools = nodes.map(({ head }) => head.pool);
  const capacity: Capacity = {
    pools,
    ...(typeof slots === "number" ? { slots } : {}),
    ...(typeof slots === "object" ? { poolSlots: slots } : {}),
  };
  const { workMs, lowerBoundMs } = makespanBounds({ durationsMs, analysis, capacity });
  const idOf = (index: number): string => nodes[index]?.id ?? "";
  return {
    name,
    nodes: nodes.length,
    edges: graph.edges,
    levels: levelsOf(graph).map((level) => level.map(idOf)),
    criticalPath: criticalPath.map((index) => ({ id: idOf(index), durationMs: durationsMs[index] ?? 0 })),
    criticalPathMs,
    pools: poolsOf(pools, durationsMs, typeof slots === "object" ? slots : new Map()),
    workMs,
    lowerBoundMs,
    makespanMs: listSchedule(graph, { durationsMs, capacity, by: "rank" }).makespanMs,
  };
}

function poolsOf(
  pools: readonly string[],
  durationsMs: ArrayLike<number>,
  slots: ReadonlyMap<string, number>,
): Forecast["pools"] {
  const found = new Map<string, { nodes: number; workMs: number }>();
  for (const [index, pool] of pools.entries()) {
    const sum = found.get(pool) ?? { nodes: 0, workMs: 0 };
    sum.nodes += 1;
    sum.workMs += durationsMs[index] ?? 0;
    found.set(pool, sum);
  }
  return [...found].map(([pool, sum]) => {
    const own = slots.get(pool);
    return { pool, ...sum, ...(own === undefined ? {} : { slots: own }) };
  });
}
