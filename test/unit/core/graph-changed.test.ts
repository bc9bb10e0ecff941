/** A changed graph is the one that would have been read. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { changedGraph, type Graph, type GraphNode, linked, readGraph } from "../../../src/core/graph.ts";
import { acyclicNodes } from "../../support/graphs.ts";

function listsOf({ nodes, parents, children }: Graph): readonly unknown[] {
  const sorted = (list: Int32Array): number[] => [...list].sort((one, other) => one - other);
  return Array.from({ length: nodes }, (_, node) => [sorted(linked(parents, node)), sorted(linked(children, node))]);
}

describe("changedGraph", () => {
  it("equals the graph that is read of the changed nodes, or is none where that has a cycle", () => {
    const changes = fc.record({
      rewired: fc.array(fc.tuple(fc.nat(), fc.array(fc.nat(), { maxLength: 4 })), { maxLength: 4 }),
      added: fc.array(fc.array(fc.nat(), { maxLength: 4 }), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(acyclicNodes(), changes, (nodes, { rewired, added }) => {
        const { graph } = readGraph(nodes);
        if (graph === undefined || nodes.length === 0) return;
        const total = nodes.length + added.length;
        const parents = new Map(rewired.map(([node, list]) => [node % nodes.length, list.map((one) => one % total)]));
        const more = added.map((list) => list.map((one) => one % total));
        const ids = [...nodes.map(({ id }) => id), ...added.map((_, at) => `added-${at}`)];
        const idsOf = (list: readonly number[]): string[] => list.map((index) => ids[index] ?? "");
        const all: GraphNode[] = [
          ...nodes.map(({ id, after }, index) => ({
            id,
            after: parents.has(index) ? idsOf(parents.get(index) ?? []) : after,
          })),
          ...more.map((list, at) => ({ id: `added-${at}`, after: idsOf(list) })),
        ];
        const hasSelf = all.some(({ id, after }) => after.includes(id));
        const read = readGraph(all, { allowRepeats: true });
        const changed = changedGraph(graph, { parents, added: more });
        assert.equal(changed === undefined, read.graph === undefined && (hasSelf || read.problems !== undefined));
        if (changed !== undefined && read.graph !== undefined) assert.deepEqual(listsOf(changed), listsOf(read.graph));
      }),
    );
  });
});
