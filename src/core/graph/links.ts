/**
 * A directed graph without cycles, as flat arrays: what comes before and after each node lies in one
 * stretch of one array, so that 10⁵ nodes with their edges are a few allocations.
 */

/** A node as it is written: ids of those that it comes after. */
export interface GraphNode {
  readonly id: string;
  readonly after: readonly string[];
}

/** Nodes are called by their index in the list that the graph was read from. */
export interface Graph {
  readonly nodes: number;
  readonly edges: number;
  readonly parents: Links;
  readonly children: Links;
  /** Every node after its parents; else as in the list. */
  readonly order: Int32Array;
}

/** Of node i: `ends[starts[i]] … ends[starts[i + 1] - 1]`. */
export interface Links {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** From the lists of parents, without doubles. */
export function linksOf(lists: readonly ArrayLike<number>[]): Links {
  const starts = new Int32Array(lists.length + 1);
  let edges = 0;
  lists.forEach((list, node) => {
    edges += list.length;
    starts[node + 1] = edges;
  });
  const ends = new Int32Array(edges);
  lists.forEach((list, node) => ends.set(list, starts[node]));
  return { starts, ends };
}

/** The same edges, from their other ends. */
export function reversed({ starts, ends }: Links): Links {
  const nodes = starts.length - 1;
  const back = new Int32Array(nodes + 1);
  for (const end of ends) back[end + 1] = (back[end + 1] as number) + 1;
  for (let node = 0; node < nodes; node += 1) back[node + 1] = (back[node + 1] as number) + (back[node] as number);
  const next = back.slice(0, nodes);
  const backEnds = new Int32Array(ends.length);
  for (let node = 0; node < nodes; node += 1) {
    for (let edge = starts[node] as number; edge < (starts[node + 1] as number); edge += 1) {
      const end = ends[edge] as number;
      const place = next[end] as number;
      backEnds[place] = node;
      next[end] = place + 1;
    }
  }
  return { starts: back, ends: backEnds };
}

export function linked({ starts, ends }: Links, node: number): Int32Array {
  return ends.subarray(starts[node], starts[node + 1]);
}

export function linkCount({ starts }: Links, node: number): number {
  return (starts[node + 1] as number) - (starts[node] as number);
}
