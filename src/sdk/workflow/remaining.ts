/** What is left to do of a workflow that runs, and how long that may take. */
import { type Graph, type NodeStand, restOfGraph } from "../../core/graph.ts";
import type { NodeStatus } from "./nodes.ts";

export interface LiveNode extends Omit<NodeStatus, "reason"> {
  /** Ids of the nodes that it comes after. */
  readonly after: readonly string[];
  readonly rank?: number;
  readonly held?: boolean;
}

/** What is left to do, by the durations that are known. */
export interface RemainingPlan {
  /** Ids of the nodes that decide when it ends. */
  readonly criticalPath: readonly string[];
  readonly criticalPathMs: number;
  /** Until the end, with the slots that were named; without, the critical path. */
  readonly remainingMs: number;
}

export interface RemainingOptions {
  /** Nodes that run at the same time. Default: any number. */
  readonly slots?: number;
}

/** What edits need to know of a graph that is there. Nodes are called by their index, too. */
export interface GraphView {
  readonly nodes: readonly LiveNode[];
  readonly graph: Graph;
  /** By node, milliseconds: its own where it has completed, else as measured in earlier runs, else as estimated. */
  readonly durationsMs: Float64Array;
  has(id: string): boolean;
  /** Undefined when there is no such node. */
  indexOf(id: string): number | undefined;
  remaining(options?: RemainingOptions): RemainingPlan;
}

export interface RemainingParams extends RemainingOptions {
  /** By node. */
  readonly stands: readonly (NodeStand & { readonly id: string })[];
  readonly durationsMs: ArrayLike<number>;
}

export function remainingPlan(graph: Graph, { slots, stands, durationsMs }: RemainingParams): RemainingPlan {
  const capacity = slots === undefined ? {} : { slots };
  const { criticalPath, criticalPathMs, makespanMs } = restOfGraph(graph, { stands, durationsMs, capacity });
  return {
    criticalPath: criticalPath.map((index) => stands[index]?.id ?? ""),
    criticalPathMs,
    remainingMs: makespanMs,
  };
}
