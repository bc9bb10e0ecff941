/** Orders in which every node comes after its parents. */
import { Heap } from "../../util/heap.ts";
import { type Graph, linkCount, type Links } from "./links.ts";

/**
 * Of the nodes that could come next, the one with the highest key does, then the one with the lowest
 * index. Shorter than the list of nodes where there are cycles: those in one and those after one are left out.
 */
export function orderOf(parents: Links, children: Links, keys?: ArrayLike<number>): Int32Array {
  const nodes = parents.starts.length - 1;
  if (keys === undefined && isOrdered(parents)) return Int32Array.from({ length: nodes }, (_, node) => node);
  const places = keys === undefined ? undefined : placesOf(keys);
  const ready = new Heap<number>(places === undefined ? (node) => node : (node) => places[node] as number);
  const waitsFor = new Int32Array(nodes);
  for (let node = 0; node < nodes; node += 1) {
    waitsFor[node] = linkCount(parents, node);
    if (waitsFor[node] === 0) ready.push(node);
  }
  const order = new Int32Array(nodes);
  let count = 0;
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    order[count] = node;
    count += 1;
    for (let edge = children.starts[node] as number; edge < (children.starts[node + 1] as number); edge += 1) {
      const child = children.ends[edge] as number;
      const left = (waitsFor[child] as number) - 1;
      waitsFor[child] = left;
      if (left === 0) ready.push(child);
    }
  }
  return order.subarray(0, count);
}

/** The list is written so already, as most are. */
function isOrdered({ starts, ends }: Links): boolean {
  for (let node = 0; node < starts.length - 1; node += 1) {
    for (let edge = starts[node] as number; edge < (starts[node + 1] as number); edge += 1)
      if ((ends[edge] as number) >= node) return false;
  }
  return true;
}

/** Where each stands when the highest key comes first, and among equals the lowest index. */
export function placesOf(keys: ArrayLike<number>): Int32Array {
  const sorted = Array.from(keys, (_, index) => index).sort(
    (a, b) => (keys[b] as number) - (keys[a] as number) || a - b,
  );
  const places = new Int32Array(sorted.length);
  sorted.forEach((index, place) => {
    places[index] = place;
  });
  return places;
}

/** The order with the highest keys (priorities) first where the graph lets them. */
export function orderByKey(graph: Graph, keys: ArrayLike<number>): Int32Array {
  return orderOf(graph.parents, graph.children, keys);
}

/** Edges on the longest way from a start to each node: 0 for nodes without parents. */
export function levelOfEach({ nodes, order, parents }: Graph): Int32Array {
  const levels = new Int32Array(nodes);
  for (const node of order) {
    let level = 0;
    for (let edge = parents.starts[node] as number; edge < (parents.starts[node + 1] as number); edge += 1)
      level = Math.max(level, (levels[parents.ends[edge] as number] as number) + 1);
    levels[node] = level;
  }
  return levels;
}

/** Nodes by level: those of one level do not wait for each other. */
export function levelsOf(graph: Graph): readonly (readonly number[])[] {
  const levels: number[][] = [];
  levelOfEach(graph).forEach((level, node) => {
    while (levels.length <= level) levels.push([]);
    levels[level]?.push(node);
  });
  return levels;
}
