import {
  analyse,
  type Graph,
  type GraphNode,
  levelsOf,
  listSchedule,
  makespanBounds,
  readGraph,
} from "../../src/core/graph.ts";
import { type Measure, nowMs, type Sample } from "../measure.ts";

const NODES = 100_000;
const EDGES = 300_000;
/** Nodes choose their parents among this many before them: a graph of some thousand levels. */
const REACH = 200;
const SLOTS = 64;

export const graph: Measure = {
  name: "graph",
  about: "A workflow of 100,000 nodes and 300,000 edges: validated, analysed, its makespan estimated. No broker.",
  rounds: 5,
  round: async () => {
    const { nodes, durationsMs } = largeWorkflow();
    const samples: Sample[] = [];
    const timed = <T>(setting: string, action: () => T): T => {
      const startedAt = nowMs();
      const made = action();
      samples.push({ system: "holdfast", setting, unit: "ms", value: nowMs() - startedAt });
      return made;
    };
    const valid = timed("validated", () => validGraph(nodes));
    const analysis = timed("levels, critical path, slack", () => {
      levelsOf(valid);
      return analyse(valid, durationsMs);
    });
    const estimate = timed(`estimated for ${SLOTS} slots`, () =>
      listSchedule(valid, {
        durationsMs,
        capacity: { slots: SLOTS },
        by: "rank",
        ranks: analysis.remainingMs,
      }),
    );
    const { lowerBoundMs } = timed("lower bound", () =>
      makespanBounds({ durationsMs, analysis, capacity: { slots: SLOTS } }),
    );
    if (estimate.makespanMs < lowerBoundMs) throw new Error("a schedule was shorter than its lower bound");
    timed("validated, as it is not written in order", () => validGraph(nodes.toReversed()));
    return samples;
  },
};

function validGraph(nodes: readonly GraphNode[]): Graph {
  const { graph: valid, problems } = readGraph(nodes);
  if (problems !== undefined) throw new Error(`a graph without problems was refused: ${problems[0]?.problem}`);
  if (valid.edges !== EDGES) throw new Error(`${valid.edges} edges in place of ${EDGES}`);
  return valid;
}

function largeWorkflow(): { readonly nodes: readonly GraphNode[]; readonly durationsMs: Float64Array } {
  const after: Set<number>[] = Array.from({ length: NODES }, () => new Set());
  const random = numbersFrom(5);
  for (let left = EDGES; left > 0;) {
    const node = 1 + random(NODES - 1);
    const parents = after[node];
    const before = parents?.size;
    parents?.add(node - 1 - random(Math.min(node, REACH)));
    if (parents?.size !== before) left -= 1;
  }
  return {
    nodes: after.map((parents, node) => ({ id: `node-${node}`, after: [...parents].map((at) => `node-${at}`) })),
    durationsMs: Float64Array.from({ length: NODES }, () => 1 + random(1_000)),
  };
}

/** The same numbers in every round: 0 … below − 1. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
