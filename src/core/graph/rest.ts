/** What is left of a graph that has been run in part: its critical path, its work, and how long it may take. */
import { isTaskEnded, type TaskState } from "../states.ts";
import { analyse } from "./analysis.ts";
import type { Capacity } from "./bounds.ts";
import type { GraphNode } from "./links.ts";
import { listSchedule } from "./list-schedule.ts";
import { leftToRunMs, type NodeProgress } from "./progress.ts";
import { readGraph } from "./read.ts";

export interface StartedNode extends GraphNode {
  readonly state: TaskState;
  /** While it runs; of one that does not say all of its time counts as left. */
  readonly runningForMs?: number;
}

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
  if (graph === undefined) return undefined;
  const progressOf = (index: number): NodeProgress => progressOfNode(nodes[index]);
  const leftMs = leftToRunMs(durationsMs, progressOf);
  const { criticalPath, criticalPathMs } = analyse(graph, leftMs);
  return {
    leftMs,
    workMs: leftMs.reduce((sum, ms) => sum + ms, 0),
    criticalPath: criticalPath.filter((index) => progressOf(index).state !== "done"),
    criticalPathMs,
    makespanMs: listSchedule(graph, { durationsMs: leftMs, capacity, by: "rank", progressOf }).makespanMs,
  };
}

function progressOfNode(node: StartedNode | undefined): NodeProgress {
  if (node === undefined || isTaskEnded(node.state)) return { state: "done" };
  return node.state === "running" ? { state: "running", elapsedMs: node.runningForMs ?? 0 } : { state: "waiting" };
}
