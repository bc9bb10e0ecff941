/**
 * Cycles of a graph that has some: per knot (nodes that all wait for each other, a strongly connected
 * component) one of its shortest.
 *
 * Knots are found by Tarjan's algorithm, without recursion, because a ring of 10⁵ nodes must not end
 * in a stack overflow. The shortest cycle of a small knot is found exactly; of a large one it is the
 * shortest through some of its nodes, so that the whole stays linear.
 */
import type { Links } from "./links.ts";

/** Edges that may be followed to find the shortest cycles, besides one search in each knot. */
const SEARCH_EDGES = 1_000_000;

/** Each from its lowest node along `links`; in the order of their lowest nodes. */
export function cyclesOf(links: Links): readonly (readonly number[])[] {
  const { knots, knotOf } = knotsOf(links);
  const search = new CycleSearch(links, knotOf);
  const budget = { edges: SEARCH_EDGES };
  return knots.map((knot) => fromLowest(shortestCycle(knot, search, budget))).sort(([a = 0], [b = 0]) => a - b);
}

function shortestCycle(knot: readonly number[], search: CycleSearch, budget: { edges: number }): readonly number[] {
  let shortest: readonly number[] = [];
  for (const start of knot) {
    if (shortest.length > 0 && (budget.edges <= 0 || shortest.length === 2)) break;
    const before = search.followed;
    const found = search.through(start, shortest.length === 0 ? Infinity : shortest.length);
    if (found !== undefined) shortest = found;
    budget.edges -= search.followed - before;
  }
  return shortest;
}

function fromLowest(cycle: readonly number[]): readonly number[] {
  let lowest = 0;
  cycle.forEach((node, at) => {
    if (node < (cycle[lowest] ?? Infinity)) lowest = at;
  });
  return [...cycle.slice(lowest), ...cycle.slice(0, lowest)];
}

/** Breadth first within one knot. Its arrays are used again for every start. */
class CycleSearch {
  followed = 0;
  readonly #links: Links;
  readonly #knotOf: Int32Array;
  readonly #seenBy: Int32Array;
  readonly #cameFrom: Int32Array;

  constructor(links: Links, knotOf: Int32Array) {
    this.#links = links;
    this.#knotOf = knotOf;
    this.#seenBy = new Int32Array(knotOf.length).fill(-1);
    this.#cameFrom = new Int32Array(knotOf.length);
  }

  /** The shortest cycle through `start` of fewer than `below` nodes. */
  through(start: number, below: number): readonly number[] | undefined {
    const { starts, ends } = this.#links;
    const knot = this.#knotOf[start];
    this.#seenBy[start] = start;
    let front = [start];
    for (let length = 1; front.length > 0 && length < below; length += 1) {
      const next: number[] = [];
      for (const node of front) {
        for (let edge = starts[node] as number; edge < (starts[node + 1] as number); edge += 1) {
          this.followed += 1;
          const end = ends[edge] as number;
          if (end === start) return this.#way(start, node);
          if (this.#knotOf[end] !== knot || this.#seenBy[end] === start) continue;
          this.#seenBy[end] = start;
          this.#cameFrom[end] = node;
          next.push(end);
        }
      }
      front = next;
    }
    return undefined;
  }

  #way(start: number, last: number): readonly number[] {
    const way: number[] = [];
    for (let node = last; node !== start; node = this.#cameFrom[node] as number) way.push(node);
    way.push(start);
    return way.reverse();
  }
}

/** Components of two or more nodes; `knotOf` has -1 for all other nodes. */
function knotsOf({ starts, ends }: Links): { readonly knots: readonly number[][]; readonly knotOf: Int32Array } {
  const nodes = starts.length - 1;
  const foundAt = new Int32Array(nodes);
  const reaches = new Int32Array(nodes);
  const nextEdge = starts.slice(0, nodes);
  const isOpen = new Uint8Array(nodes);
  const knotOf = new Int32Array(nodes).fill(-1);
  const knots: number[][] = [];
  const open: number[] = [];
  const way: number[] = [];
  let found = 0;
  const enter = (node: number): void => {
    found += 1;
    foundAt[node] = found;
    reaches[node] = found;
    isOpen[node] = 1;
    open.push(node);
    way.push(node);
  };
  const close = (node: number): void => {
    const knot = open.splice(open.lastIndexOf(node));
    for (const one of knot) isOpen[one] = 0;
    if (knot.length === 1) return;
    for (const one of knot) knotOf[one] = knots.length;
    knots.push(knot.sort((a, b) => a - b));
  };
  for (let root = 0; root < nodes; root += 1) {
    if (foundAt[root] !== 0) continue;
    enter(root);
    for (let node = way.at(-1); node !== undefined; node = way.at(-1)) {
      const edge = nextEdge[node] as number;
      if (edge < (starts[node + 1] as number)) {
        nextEdge[node] = edge + 1;
        const end = ends[edge] as number;
        if (foundAt[end] === 0) enter(end);
        else if (isOpen[end] === 1) reaches[node] = Math.min(reaches[node] as number, foundAt[end] as number);
        continue;
      }
      way.pop();
      const above = way.at(-1);
      if (above !== undefined) reaches[above] = Math.min(reaches[above] as number, reaches[node] as number);
      if (reaches[node] === foundAt[node]) close(node);
    }
  }
  return { knots, knotOf };
}
