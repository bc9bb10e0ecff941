/**
 * How long a graph of tasks takes with as many slots as it likes, and which nodes decide that.
 *
 * Durations are milliseconds by node, 0 or more. Everything is computed in one pass down and one up.
 */
import { type Graph, linkCount, linked } from "./links.ts";

export interface Analysis {
  /** When a node can start, milliseconds after the start of all. */
  readonly earliestStartMs: Float64Array;
  /** When it must have started, so that the end is not later. */
  readonly latestStartMs: Float64Array;
  /** By how much it may be late (or take longer) without a later end; 0 on the critical path. */
  readonly slackMs: Float64Array;
  /** From its start to the end of all, by the longest way: what a ready node is chosen by. */
  readonly remainingMs: Float64Array;
  /** Length of the longest way through the graph. */
  readonly criticalPathMs: number;
  /** Nodes of a longest way, from its start to its end. */
  readonly criticalPath: readonly number[];
}

/** Sums of the same durations in another order may differ by this much, relative to the whole. */
const ROUNDING = 1e-12;

export function analyse(graph: Graph, durationsMs: ArrayLike<number>): Analysis {
  const earliestStartMs = earliestStarts(graph, durationsMs);
  const remainingMs = remainingWays(graph, durationsMs);
  let criticalPathMs = 0;
  for (const way of remainingMs) criticalPathMs = Math.max(criticalPathMs, way);
  const latestStartMs = new Float64Array(graph.nodes);
  const slackMs = new Float64Array(graph.nodes);
  for (let node = 0; node < graph.nodes; node += 1) {
    const earliest = earliestStartMs[node] as number;
    const latest = criticalPathMs - (remainingMs[node] as number);
    const isCritical = latest - earliest <= criticalPathMs * ROUNDING;
    latestStartMs[node] = isCritical ? earliest : latest;
    slackMs[node] = isCritical ? 0 : latest - earliest;
  }
  const criticalPath = pathFromStart(graph, remainingMs);
  return { earliestStartMs, latestStartMs, slackMs, remainingMs, criticalPathMs, criticalPath };
}

function earliestStarts({ nodes, order, parents }: Graph, durationsMs: ArrayLike<number>): Float64Array {
  const starts = new Float64Array(nodes);
  for (const node of order) {
    let earliest = 0;
    for (let edge = parents.starts[node] as number; edge < (parents.starts[node + 1] as number); edge += 1) {
      const parent = parents.ends[edge] as number;
      const end = (starts[parent] as number) + (durationsMs[parent] as number);
      if (end > earliest) earliest = end;
    }
    starts[node] = earliest;
  }
  return starts;
}

/** Of each node its own duration and that of the longest way below it, milliseconds. */
export function remainingWays({ nodes, order, children }: Graph, durationsMs: ArrayLike<number>): Float64Array {
  const ways = new Float64Array(nodes);
  for (let place = nodes - 1; place >= 0; place -= 1) {
    const node = order[place] as number;
    let below = 0;
    for (let edge = children.starts[node] as number; edge < (children.starts[node + 1] as number); edge += 1) {
      const way = ways[children.ends[edge] as number] as number;
      if (way > below) below = way;
    }
    ways[node] = below + (durationsMs[node] as number);
  }
  return ways;
}

function pathFromStart({ nodes, parents, children }: Graph, remainingMs: Float64Array): readonly number[] {
  let node = -1;
  for (let start = 0; start < nodes; start += 1) {
    const isLonger = node === -1 || (remainingMs[start] as number) > (remainingMs[node] as number);
    if (linkCount(parents, start) === 0 && isLonger) node = start;
  }
  const path: number[] = [];
  while (node !== -1) {
    path.push(node);
    let next = -1;
    for (const child of linked(children, node))
      if (next === -1 || (remainingMs[child] as number) > (remainingMs[next] as number)) next = child;
    node = next;
  }
  return path;
}

/** All nodes that come after this one, directly or not; ascending. */
export function descendantsOf(graph: Graph, node: number): Int32Array {
  return reached(graph, node, "children");
}

/** All nodes that it comes after, directly or not; ascending. */
export function ancestorsOf(graph: Graph, node: number): Int32Array {
  return reached(graph, node, "parents");
}

function reached(graph: Graph, from: number, side: "children" | "parents"): Int32Array {
  const { starts, ends } = graph[side];
  const seen = new Uint8Array(graph.nodes);
  const open = [from];
  let count = 0;
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (let edge = starts[node] as number; edge < (starts[node + 1] as number); edge += 1) {
      const end = ends[edge] as number;
      if (seen[end] === 1) continue;
      seen[end] = 1;
      count += 1;
      open.push(end);
    }
  }
  const found = new Int32Array(count);
  let place = 0;
  for (let node = 0; place < count; node += 1) {
    if (seen[node] !== 1) continue;
    found[place] = node;
    place += 1;
  }
  return found;
}

/** How much later the end is when the node takes `extraMs` longer, or starts so much later. */
export function delayOfEndMs({ slackMs }: Analysis, node: number, extraMs: number): number {
  return Math.max(0, extraMs - (slackMs[node] as number));
}
