/** A graph with some of its links changed and some nodes more, without reading all of it anew. */
import { type Graph, linked, linksOf, reversed } from "./links.ts";
import { orderOf } from "./order.ts";

export interface GraphChanges {
  /** Parents of nodes that get others, by node. */
  readonly parents: ReadonlyMap<number, readonly number[]>;
  /** Parents of nodes that are added: they get the next indexes. */
  readonly added: readonly (readonly number[])[];
}

/** Undefined when it would have a cycle. Linear in nodes and edges. */
export function changedGraph(graph: Graph, { parents: changed, added }: GraphChanges): Graph | undefined {
  const lists: ArrayLike<number>[] = Array.from({ length: graph.nodes }, (_, node) => {
    const parents = changed.get(node);
    return parents === undefined ? linked(graph.parents, node) : [...new Set(parents)];
  });
  for (const parents of added) lists.push([...new Set(parents)]);
  const parents = linksOf(lists);
  const children = reversed(parents);
  const order = orderOf(parents, children);
  if (order.length < lists.length) return undefined;
  return { nodes: lists.length, edges: parents.ends.length, parents, children, order };
}
