import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  analyse,
  ancestorsOf,
  type Capacity,
  delayOfEndMs,
  descendantsOf,
  type Graph,
  type GraphNode,
  leftToRunMs,
  listSchedule,
  makespanBounds,
  type MakespanBounds,
  type NodeProgress,
  readGraph,
} from "../../../src/core/graph.ts";
import { acyclicNodes, parentsByIndex, reachOf, type TimedNode } from "../../support/graphs.ts";

function graphOf(nodes: readonly GraphNode[]): Graph {
  const { graph, problems } = readGraph(nodes);
  assert.ok(graph !== undefined, JSON.stringify(problems));
  return graph;
}

function timed(text: string): readonly TimedNode[] {
  return text.split(" ").map((word) => {
    const [id = "", ms = "0", after = ""] = word.split(":");
    return { id, after: after === "" ? [] : after.split(","), durationMs: Number(ms), key: 1 };
  });
}

function durationsOf(nodes: readonly TimedNode[]): number[] {
  return nodes.map(({ durationMs }) => durationMs);
}

/** Longest ways by following every way there is. */
function longest(node: number, durations: readonly number[], next: readonly (readonly number[])[]): number {
  return (durations[node] ?? 0) + Math.max(0, ...(next[node] ?? []).map((one) => longest(one, durations, next)));
}

function childrenByIndex(parents: readonly (readonly number[])[]): readonly number[][] {
  return parents.map((_, node) => [...parents.keys()].filter((other) => parents[other]?.includes(node)));
}

// The lower way takes 14, the upper 9, of which `b` may be 5 late.
const DIAMOND = timed("a:2 b:3:a c:8:a d:4:b,c");

describe("analysis of a graph", () => {
  it("tells starts, slack and the critical path", () => {
    const analysis = analyse(graphOf(DIAMOND), durationsOf(DIAMOND));
    assert.deepEqual([...analysis.earliestStartMs], [0, 2, 2, 10]);
    assert.deepEqual([...analysis.latestStartMs], [0, 7, 2, 10]);
    assert.deepEqual([...analysis.slackMs], [0, 5, 0, 0]);
    assert.deepEqual([...analysis.remainingMs], [14, 7, 12, 4]);
    assert.equal(analysis.criticalPathMs, 14);
    assert.deepEqual(analysis.criticalPath, [0, 2, 3]);
  });

  it("has nothing to tell of an empty graph", () => {
    const analysis = analyse(graphOf([]), []);
    assert.equal(analysis.criticalPathMs, 0);
    assert.deepEqual(analysis.criticalPath, []);
  });

  it("has no slack on the critical path however durations round", () => {
    const nodes = timed("a:0.1 b:0.2:a c:0.7:b d:0.30000000000000004:c");
    assert.deepEqual([...analyse(graphOf(nodes), durationsOf(nodes)).slackMs], [0, 0, 0, 0]);
  });

  it("agrees with following every way of any graph", () => {
    fc.assert(
      fc.property(acyclicNodes(9), (nodes) => {
        const durations = durationsOf(nodes);
        const parents = parentsByIndex(nodes);
        const children = childrenByIndex(parents);
        const analysis = analyse(graphOf(nodes), durations);
        const whole = Math.max(0, ...nodes.map((_, node) => longest(node, durations, children)));
        assert.equal(analysis.criticalPathMs, whole);
        nodes.forEach((_, node) => {
          const remaining = longest(node, durations, children);
          const earliest = longest(node, durations, parents) - (durations[node] ?? 0);
          assert.equal(analysis.remainingMs[node], remaining);
          assert.equal(analysis.earliestStartMs[node], earliest);
          assert.equal(analysis.latestStartMs[node], whole - remaining);
          assert.equal(analysis.slackMs[node], whole - remaining - earliest);
        });
        const path = analysis.criticalPath;
        path.slice(1).forEach((node, place) => assert.ok(parents[node]?.includes(path[place] ?? -1)));
        assert.equal(
          path.reduce((sum, node) => sum + (durations[node] ?? 0), 0),
          whole,
        );
      }),
    );
  });

  it("says how much later the end is when a node takes longer", () => {
    fc.assert(
      fc.property(acyclicNodes(9), fc.nat(), fc.integer({ min: 0, max: 12 }), (nodes, pick, extraMs) => {
        fc.pre(nodes.length > 0);
        const node = pick % nodes.length;
        const graph = graphOf(nodes);
        const durations = durationsOf(nodes);
        const before = analyse(graph, durations);
        durations[node] = (durations[node] ?? 0) + extraMs;
        assert.equal(
          delayOfEndMs(before, node, extraMs),
          analyse(graph, durations).criticalPathMs - before.criticalPathMs,
        );
      }),
    );
  });

  it("knows what comes after a node and what before", () => {
    fc.assert(
      fc.property(acyclicNodes(), (nodes) => {
        const graph = graphOf(nodes);
        const reach = reachOf(parentsByIndex(nodes));
        nodes.forEach((_, node) => {
          assert.deepEqual(
            [...ancestorsOf(graph, node)],
            [...(reach[node] ?? [])].sort((a, b) => a - b),
          );
          assert.deepEqual(
            [...descendantsOf(graph, node)],
            [...nodes.keys()].filter((other) => reach[other]?.has(node)),
          );
        });
      }),
    );
  });
});

describe("bounds of the makespan", () => {
  function bounds(nodes: readonly TimedNode[], capacity: Capacity): MakespanBounds {
    const durationsMs = durationsOf(nodes);
    return makespanBounds({ durationsMs, analysis: analyse(graphOf(nodes), durationsMs), capacity });
  }
  const nodes = timed("a:10 b:10 c:10 d:10 e:6 f:1:e");

  it("are the longest way, the work by all slots, and the work of a pool by its slots", () => {
    const known = { criticalPathMs: 10, workMs: 47 };
    assert.deepEqual(bounds(nodes, {}), { ...known, workPerSlotMs: 0, packedMs: 0, lowerBoundMs: 10 });
    assert.deepEqual(bounds(nodes, { slots: 2 }), { ...known, workPerSlotMs: 23.5, packedMs: 26, lowerBoundMs: 26 });
    const pools = ["x", "x", "x", "y", "z", "z"];
    const poolSlots = new Map([
      ["x", 1],
      ["y", 2],
    ]);
    assert.deepEqual(bounds(nodes, { slots: 4, pools, poolSlots }), {
      ...known,
      workPerSlotMs: 11.75,
      pool: { pool: "x", workPerSlotMs: 30 },
      packedMs: 30,
      lowerBoundMs: 30,
    });
  });

  it("see that equal tasks run in turns, and what comes before and after all of them", () => {
    const fan = timed("in:3 a:10:in b:10:in c:10:in d:11:in e:12:in out:4:a,b,c,d,e");
    const { workPerSlotMs, criticalPathMs, lowerBoundMs } = bounds(fan, { slots: 4 });
    assert.deepEqual(
      { workPerSlotMs, criticalPathMs, lowerBoundMs },
      {
        workPerSlotMs: 15,
        criticalPathMs: 19,
        lowerBoundMs: 3 + 20 + 4,
      },
    );
  });

  it("are infinite where nobody works, unless there is no work", () => {
    assert.equal(bounds(timed("a:1"), { slots: 0 }).lowerBoundMs, Infinity);
    assert.equal(bounds([], { slots: 0 }).lowerBoundMs, 0);
  });

  it("are never above the shortest of all schedules", () => {
    fc.assert(
      fc.property(acyclicNodes(6), fc.integer({ min: 1, max: 3 }), (nodes, slots) => {
        const { lowerBoundMs } = bounds(nodes, { slots });
        const shortest = shortestMakespan(nodes, slots);
        assert.ok(lowerBoundMs <= shortest + 1e-9, `${lowerBoundMs} is above ${shortest}`);
      }),
      { numRuns: 60 },
    );
  });
});

/** By placing the nodes as early as there is room, in every order that the graph allows. */
function shortestMakespan(nodes: readonly TimedNode[], slots: number): number {
  const parents = parentsByIndex(nodes);
  const durations = durationsOf(nodes);
  const busy = new Array<number>(70).fill(0);
  const ends: (number | undefined)[] = nodes.map(() => undefined);
  let shortest = Infinity;
  const place = (left: number, makespan: number): void => {
    if (makespan >= shortest) return;
    if (left === 0) shortest = makespan;
    for (const [node, ms] of durations.entries()) {
      const after = (parents[node] ?? []).map((parent) => ends[parent]);
      if (ends[node] !== undefined || after.includes(undefined)) continue;
      let start = Math.max(0, ...after.map((end) => end ?? 0));
      while (busy.slice(start, start + ms).some((count) => count >= slots)) start += 1;
      const change = (by: number): void => {
        for (let at = start; at < start + ms; at += 1) busy[at] = (busy[at] ?? 0) + by;
      };
      change(1);
      ends[node] = start + ms;
      place(left - 1, Math.max(makespan, start + ms));
      ends[node] = undefined;
      change(-1);
    }
  };
  place(nodes.length, 0);
  return shortest;
}

describe("list schedule", () => {
  it("is shorter by rank than first come first served, where the long way comes last", () => {
    // Six short nodes are ready before the one that has a long way after it.
    const nodes = timed("a:4 b:4 c:4 d:4 e:4 f:4 g:1 h:9:g");
    const graph = graphOf(nodes);
    const params = { durationsMs: durationsOf(nodes), capacity: { slots: 2 } };
    assert.equal(listSchedule(graph, { ...params, by: "fifo" }).makespanMs, 22);
    const byRank = listSchedule(graph, { ...params, by: "rank" });
    assert.equal(byRank.makespanMs, 18);
    assert.deepEqual([...byRank.startMs], [0, 4, 8, 10, 12, 14, 0, 1]);
  });

  it("takes given ranks, then the lowest number", () => {
    const nodes = timed("a:1 b:1 c:1");
    const params = { durationsMs: [1, 1, 1], capacity: { slots: 1 }, by: "rank" } as const;
    assert.deepEqual([...listSchedule(graphOf(nodes), params).startMs], [0, 1, 2]);
    assert.deepEqual([...listSchedule(graphOf(nodes), { ...params, ranks: [1, 2, 2] }).startMs], [2, 0, 1]);
  });

  it("holds to the slots of pools", () => {
    const nodes = timed("a:5 b:5 c:5 d:5");
    const pools = ["x", "x", "y", "y"];
    const poolSlots = new Map([["x", 1]]);
    const schedule = listSchedule(graphOf(nodes), {
      durationsMs: durationsOf(nodes),
      capacity: { pools, poolSlots },
      by: "rank",
    });
    assert.deepEqual([...schedule.startMs], [0, 5, 0, 0]);
  });

  it("never ends where a pool has no slots", () => {
    const nodes = timed("a:5 b:5:a");
    const capacity = { pools: ["x", "y"], poolSlots: new Map([["y", 0]]) };
    const schedule = listSchedule(graphOf(nodes), { durationsMs: durationsOf(nodes), capacity, by: "rank" });
    assert.equal(schedule.makespanMs, Infinity);
    assert.deepEqual([...schedule.startMs], [0, Infinity]);
  });

  it("goes on from what has run", () => {
    const graph = graphOf(DIAMOND);
    const progress: readonly NodeProgress[] = [
      { state: "done" },
      { state: "running", elapsedMs: 10 },
      { state: "running", elapsedMs: 3 },
      { state: "waiting" },
    ];
    const progressOf = (node: number): NodeProgress => progress[node] ?? { state: "waiting" };
    const durationsMs = leftToRunMs(durationsOf(DIAMOND), progressOf);
    assert.deepEqual([...durationsMs], [0, 0, 5, 4]);
    assert.equal(analyse(graph, durationsMs).criticalPathMs, 9);
    const schedule = listSchedule(graph, { durationsMs, capacity: { slots: 1 }, by: "rank", progressOf });
    assert.equal(schedule.makespanMs, 9);
    assert.deepEqual([...schedule.startMs], [0, 0, 0, 5]);
  });

  it("starts nothing before its parents' end, uses no more slots than there are, and leaves none idle", () => {
    const by = fc.constantFrom("rank" as const, "fifo" as const);
    fc.assert(
      fc.property(acyclicNodes(12), fc.integer({ min: 1, max: 4 }), by, (nodes, slots, by) => {
        const durationsMs = durationsOf(nodes);
        const parents = parentsByIndex(nodes);
        const graph = graphOf(nodes);
        const analysis = analyse(graph, durationsMs);
        const { makespanMs, startMs } = listSchedule(graph, { durationsMs, capacity: { slots }, by });
        const start = (node: number): number => startMs[node] ?? 0;
        const end = (node: number): number => start(node) + (durationsMs[node] ?? 0);
        const readyAt = (node: number): number => Math.max(0, ...(parents[node] ?? []).map(end));
        const busyAt = (at: number): number => nodes.filter((_, one) => start(one) <= at && at < end(one)).length;
        nodes.forEach((_, node) => {
          assert.ok(start(node) >= readyAt(node));
          assert.ok(busyAt(start(node)) <= slots);
          for (let at = readyAt(node); at < start(node); at += 1) assert.equal(busyAt(at), slots);
        });
        assert.equal(makespanMs, Math.max(0, ...nodes.map((_, node) => end(node))));
        const { lowerBoundMs, workPerSlotMs } = makespanBounds({ durationsMs, analysis, capacity: { slots } });
        assert.ok(makespanMs >= lowerBoundMs - 1e-9);
        // Graham: a list schedule is never longer.
        assert.ok(makespanMs <= workPerSlotMs + (1 - 1 / slots) * analysis.criticalPathMs + 1e-9);
      }),
    );
  });
});
