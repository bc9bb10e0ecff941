/** Random graphs for properties, and what is known of them by trying everything. */
import fc from "fast-check";
import type { GraphNode } from "../../src/core/graph.ts";

/** Nodes `n0`, `n1` … whose parents may be any of each other: cycles are likely. */
export function anyNodes(maxNodes = 8): fc.Arbitrary<readonly GraphNode[]> {
  return fc.integer({ min: 0, max: maxNodes }).chain((count) =>
    fc
      .array(fc.uniqueArray(fc.nat({ max: Math.max(0, count - 1) }), { maxLength: 3 }), {
        minLength: count,
        maxLength: count,
      })
      .map((lists) =>
        lists.map((list, node) => ({ id: `n${node}`, after: list.filter((at) => at !== node).map((at) => `n${at}`) })),
      ),
  );
}

export interface TimedNode extends GraphNode {
  readonly durationMs: number;
  readonly key: number;
}

/** Nodes without cycles, in any order. */
export function acyclicNodes(maxNodes = 10): fc.Arbitrary<readonly TimedNode[]> {
  const node = fc.record({
    picks: fc.array(fc.nat(), { maxLength: 3 }),
    durationMs: fc.integer({ min: 0, max: 9 }),
    key: fc.integer({ min: 1, max: 3 }),
    place: fc.nat(),
  });
  return fc.array(node, { maxLength: maxNodes }).map((drawn) =>
    drawn
      .map(({ picks, durationMs, key, place }, at) => {
        const parents = at === 0 ? [] : [...new Set(picks.map((pick) => pick % at))];
        return { id: `n${at}`, after: parents.map((parent) => `n${parent}`), durationMs, key, place };
      })
      .sort((a, b) => a.place - b.place)
      .map(({ id, after, durationMs, key }) => ({ id, after, durationMs, key })),
  );
}

/** By index, the indexes of the parents. */
export function parentsByIndex(nodes: readonly GraphNode[]): readonly (readonly number[])[] {
  return nodes.map(({ after }) => after.map((id) => nodes.findIndex((node) => node.id === id)));
}

/** `reach[a]` has b when b comes before a, directly or not. */
export function reachOf(parents: readonly (readonly number[])[]): readonly ReadonlySet<number>[] {
  return parents.map((_, from) => {
    const seen = new Set<number>();
    const open = [...(parents[from] ?? [])];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (seen.has(node)) continue;
      seen.add(node);
      open.push(...(parents[node] ?? []));
    }
    return seen;
  });
}
