/** What is left of a graph that has been run in part: its critical path, its work, and how long it may take. */
import { isTaskEnded, type TaskState } from "../states.ts";
import { analyse } from "./analysis.ts";
import type { Capacity } from "./bounds.ts";
import type { Graph, GraphNode } from "./links.ts";
import { listSchedule } from "./list-schedule.ts";
import { leftToRunMs, type NodeProgress } from "./progress.ts";
import { readGraph } from "./read.ts";

/** How far a node is. */
export interface NodeStand {
  readonly state: TaskState;
  /** While it runs; of one that does not say all of its time counts as left. */
  readonly runningForMs?: number;
}

export interface StartedNode extends GraphNode, NodeStand {}

export interface RestParams {
  readonly nodes: readonly StartedNode[];
  /** How long each takes in all. */
  readonly durationsMs: ArrayLike<number>;
  readonly capacity: Capacity;
}

export interface Rest {
  /** By node; 0 for those that have ended. */
  readonly leftMs: Float64Array;
  /** In sum. */
  readonly workMs: number;
  /** Nodes of the longest way that is left. */
  readonly criticalPath: readonly number[];
  readonly criticalPathMs: number;
  /** Until all have ended, if nothing else runs or has to wait. Infinity where a pool has no slots for its nodes. */
  readonly makespanMs: number;
}

/** Undefined when the nodes are no graph without cycles. */
export function restOf({ nodes, durationsMs, capacity }: RestParams): Rest | undefined {
  const { graph } = readGraph(nodes, { allowRepeats: true });
  return graph === undefined ? undefined : restOfGraph(graph, { stands: nodes, durationsMs, capacity });
}

export interface GraphRestParams extends Omit<RestParams, "nodes"> {
  /** By node. */
  readonly stands: readonly NodeStand[];
}

/** The same of a graph that has been read. */
export function restOfGraph(graph: Graph, { stands, durationsMs, capacity }: GraphRestParams): Rest {
  const progressOf = (index: number): NodeProgress => progressOfNode(stands[index]);
  const leftMs = leftToRunMs(durationsMs, progressOf);
  const { criticalPath, criticalPathMs } = analyse(graph, leftMs);
  const isUnlimited = (capacity.slots ?? Infinity) === Infinity && capacity.poolSlots === undefined;
  return {
    leftMs,
    workMs: leftMs.reduce((sum, ms) => sum + ms, 0),
    criticalPath: criticalPath.filter((index) => progressOf(index).state !== "done"),
    criticalPathMs,
    // With as many slots as it likes nothing ever waits but for its parents.
    makespanMs: isUnlimited
      ? criticalPathMs
      : listSchedule(graph, { durationsMs: leftMs, capacity, by: "rank", progressOf }).makespanMs,
  };
}

function progressOfNode(node: NodeStand | undefined): NodeProgress {
  if (node === undefined || isTaskEnded(node.state)) return { state: "done" };
  return node.state === "running" ? { state: "running", elapsedMs: node.runningForMs ?? 0 } : { state: "waiting" };
}
