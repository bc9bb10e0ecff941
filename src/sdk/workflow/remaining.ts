/** What is left to do of a workflow that runs, and how long that may take. */
import { restOf } from "../../core/graph.ts";
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

/** What edits need to know of a graph that is there. */
export interface GraphView {
  readonly nodes: readonly LiveNode[];
  has(id: string): boolean;
  /** Milliseconds: its own where it has completed, else as measured in earlier runs. */
  durationOf(node: Pick<LiveNode, "id" | "durationMs">): number;
  remaining(options?: RemainingOptions): RemainingPlan;
}

/** A node that is there, or that an edit adds. */
export type AnyNode = Pick<LiveNode, "id" | "after" | "state" | "durationMs">;

export interface RemainingParams extends RemainingOptions {
  readonly durationOf: (node: AnyNode) => number;
}

export function remainingPlan(nodes: readonly AnyNode[], { slots, durationOf }: RemainingParams): RemainingPlan {
  const capacity = slots === undefined ? {} : { slots };
  const rest = restOf({ nodes, durationsMs: nodes.map(durationOf), capacity });
  // A graph that a broker holds is one; an edit that would make it none is refused by the broker.
  if (rest === undefined) return { criticalPath: [], criticalPathMs: 0, remainingMs: 0 };
  const { criticalPath, criticalPathMs, makespanMs } = rest;
  return {
    criticalPath: criticalPath.map((index) => nodes[index]?.id ?? ""),
    criticalPathMs,
    remainingMs: makespanMs,
  };
}
