import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type GraphNode,
  levelOfEach,
  levelsOf,
  orderByKey,
  problemsText,
  readGraph,
  type Graph,
} from "../../../src/core/graph.ts";
import { acyclicNodes, anyNodes, parentsByIndex, reachOf } from "../../support/graphs.ts";

function node(id: string, ...after: readonly string[]): GraphNode {
  return { id, after };
}

function graphOf(nodes: readonly GraphNode[]): Graph {
  const { graph, problems } = readGraph(nodes);
  assert.ok(graph !== undefined, JSON.stringify(problems));
  return graph;
}

function orderOf(nodes: readonly GraphNode[], keys?: readonly number[]): readonly string[] {
  const graph = graphOf(nodes);
  return [...(keys === undefined ? graph.order : orderByKey(graph, keys))].map((index) => nodes[index]?.id ?? "");
}

function problemsOf(nodes: readonly GraphNode[]): readonly string[] {
  return (readGraph(nodes).problems ?? []).map(
    ({ node: index, dependency, problem }) => `${index}${dependency === undefined ? "" : `.${dependency}`} ${problem}`,
  );
}

function ring(count: number): readonly GraphNode[] {
  return Array.from({ length: count }, (_, at) => node(`node-${at}`, `node-${(at + 1) % count}`));
}

describe("order of a graph", () => {
  it("puts every node after its parents, and else keeps the list's", () => {
    assert.deepEqual(orderOf([]), []);
    assert.deepEqual(orderOf([node("a"), node("b"), node("c")]), ["a", "b", "c"]);
    assert.deepEqual(orderOf([node("end", "left", "right"), node("left", "top"), node("right", "top"), node("top")]), [
      "top",
      "left",
      "right",
      "end",
    ]);
  });

  it("takes the highest key of those that could come next", () => {
    const nodes = [node("low"), node("high"), node("after-low", "low"), node("mid")];
    assert.deepEqual(orderOf(nodes, [1, 10, 10, 5]), ["high", "mid", "low", "after-low"]);
  });

  it("is greedy in any graph: no node comes before its parents, none while a better one could", () => {
    fc.assert(
      fc.property(acyclicNodes(), (nodes) => {
        const parents = parentsByIndex(nodes);
        const keys = nodes.map(({ key }) => key);
        const left = new Set(nodes.keys());
        for (const next of orderByKey(graphOf(nodes), keys)) {
          const could = [...left].filter((one) => parents[one]?.every((parent) => !left.has(parent)));
          const best = could.sort((a, b) => (keys[b] ?? 0) - (keys[a] ?? 0) || a - b)[0];
          assert.equal(next, best);
          left.delete(next);
        }
        assert.equal(left.size, 0);
      }),
    );
  });

  it("has levels: each node one below its lowest parent", () => {
    assert.deepEqual(levelsOf(graphOf([node("a"), node("c", "a", "b"), node("b", "a"), node("d")])), [
      [0, 3],
      [2],
      [1],
    ]);
    fc.assert(
      fc.property(acyclicNodes(), (nodes) => {
        const parents = parentsByIndex(nodes);
        const levels = levelOfEach(graphOf(nodes));
        levels.forEach((level, at) => {
          assert.equal(level, Math.max(-1, ...(parents[at] ?? []).map((parent) => levels[parent] ?? 0)) + 1);
        });
      }),
    );
  });
});

describe("problems of a graph", () => {
  it("are told all at once, with the place and with what was meant", () => {
    const nodes = [
      node("build", "build"),
      node("test", "biuld", "check"),
      node("check", "test", "test"),
      node("build"),
      node("free", "somewhere else"),
    ];
    assert.deepEqual(problemsOf(nodes), [
      '3 is "build", as is the id of nodes[0]; ids must differ',
      '0.0 is "build": a node cannot depend on itself',
      '1.0 is "biuld", and there is no such node; did you mean "build"?',
      '2.1 is "test", which is named before',
      '4.0 is "somewhere else", and there is no such node',
      "1.1 closes a cycle: test waits for check waits for test",
    ]);
    assert.equal(
      problemsText((readGraph(nodes).problems ?? []).slice(0, 2), nodes),
      'nodes.build is "build", as is the id of nodes[0]; ids must differ; nodes.build.after[0] is "build": a node cannot depend on itself',
    );
  });

  it("use the reader's words, and let a parent be named twice where that is allowed", () => {
    const nodes = [node("b", "a", "a"), node("a"), node("a", "nowhere")];
    const words = { one: "job", list: "jobs" };
    assert.deepEqual(
      readGraph(nodes, { words, allowRepeats: true }).problems?.map(({ kind, problem }) => `${kind}: ${problem}`),
      [
        'duplicate: is "a", as is the id of jobs[1]; ids must differ',
        'unknown: is "nowhere", and there is no such job',
      ],
    );
    const { graph } = readGraph(nodes.slice(0, 2), { words, allowRepeats: true });
    assert.equal(graph?.edges, 1);
  });

  it("name a cycle once, the shortest of a knot, and not the nodes that come after it", () => {
    const nodes = [
      node("x", "y"),
      node("y", "z", "w"),
      node("z", "x"),
      node("w", "v"),
      node("v", "x"),
      node("after", "x"),
      node("p", "q"),
      node("q", "p"),
      node("fine"),
    ];
    assert.deepEqual(problemsOf(nodes), [
      "0.0 closes a cycle: x waits for y waits for z waits for x",
      "6.0 closes a cycle: p waits for q waits for p",
    ]);
  });

  it("name one shortest cycle for each knot of any graph, and nothing where there is none", () => {
    fc.assert(
      fc.property(anyNodes(), (nodes) => {
        const parents = parentsByIndex(nodes);
        const reach = reachOf(parents);
        const inCycle = [...nodes.keys()].filter((at) => reach[at]?.has(at) === true);
        const knots = new Set(
          inCycle.map((at) =>
            inCycle.find((other) => reach[at]?.has(other) === true && reach[other]?.has(at) === true),
          ),
        );
        const problems = readGraph(nodes).problems ?? [];
        assert.equal(problems.length, knots.size);
        for (const { node: at, dependency = -1, problem } of problems) {
          const way = problem.replace("closes a cycle: ", "").split(" waits for ");
          assert.equal(way[0], nodes[at]?.id);
          assert.equal(way[1], nodes[at]?.after[dependency]);
          assert.equal(way.at(-1), way[0]);
          way.slice(1).forEach((id, place) => {
            const waiting = nodes.find((one) => one.id === way[place]);
            assert.ok(waiting?.after.includes(id), problem);
          });
          const knot = inCycle.filter((other) => reach[at]?.has(other) === true && reach[other]?.has(at) === true);
          const shortest = Math.min(...knot.map((one) => shortestThrough(one, parents)));
          assert.equal(way.length - 1, shortest, problem);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("shorten what is long", () => {
    const [problem = ""] = problemsOf(ring(100));
    assert.match(problem, /node-0 waits for node-1 .* … 90 more waits for node-0$/);
    const long = "x".repeat(10_000);
    assert.ok((problemsOf([node(long, long), node(`${long}y`, `${long}z`)]).join("").length ?? 0) < 300);
    const many = Array.from({ length: 100 }, (_, at) => node(`n${at}`, "gone"));
    const text = problemsText(readGraph(many).problems ?? [], many);
    assert.match(text, /nodes\.n19\.after\[0\] is "gone", and there is no such node; and 80 more$/);
  });

  it("are found in tens of thousands of nodes within a moment, whatever their shape", () => {
    const count = 30_000;
    const line = Array.from({ length: count }, (_, at) => (at === 0 ? node("0") : node(`${at}`, `${at - 1}`)));
    assert.equal(orderOf(line.toReversed())[0], "0");
    assert.equal(problemsOf(ring(count)).length, 1);
    // One knot with many ways: a search from every node would take minutes.
    const knot = Array.from({ length: 20_000 }, (_, at) =>
      node(`${at}`, ...[1, 7, 1_009].map((step) => `${(at + step) % 20_000}`)),
    );
    assert.equal(problemsOf(knot).length, 1);
    const dangling = Array.from({ length: count }, (_, at) => node(`node-${at}`, `nodes-${at}`));
    assert.equal(problemsOf(dangling).length, count);
  });
});

/** Nodes of the shortest cycle through `start`, breadth first. */
function shortestThrough(start: number, parents: readonly (readonly number[])[]): number {
  let front = new Set(parents[start]);
  for (let length = 1; length <= parents.length; length += 1) {
    if (front.has(start)) return length;
    front = new Set([...front].flatMap((at) => parents[at] ?? []));
  }
  return Infinity;
}
