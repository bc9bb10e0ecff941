/** What is left of a graph that has been run in part, and how long its tasks take. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type EstimatedTask,
  estimatesOf,
  rankOf,
  type Rest,
  restOf,
  type StartedNode,
} from "../../../src/core/graph.ts";

/** design (60) → api (90) → tests (60), and design → ui (80) → tests. */
const DURATIONS = [60, 90, 80, 60];
const NAMES = ["design", "api", "ui", "tests"] as const;
const AFTER = { design: [], api: ["design"], ui: ["design"], tests: ["api", "ui"] };

function rest(changes: Partial<Record<(typeof NAMES)[number], Partial<StartedNode>>> = {}, slots = Infinity): Rest {
  const nodes = NAMES.map((id): StartedNode => ({ id, after: AFTER[id], state: "blocked", ...changes[id] }));
  return restOf({ nodes, durationsMs: DURATIONS, capacity: { slots } }) ?? assert.fail("no graph");
}

describe("what is left of a graph", () => {
  it("is all of it before it began", () => {
    const { criticalPath, criticalPathMs, workMs, makespanMs } = rest();
    assert.deepEqual([criticalPath, criticalPathMs, workMs, makespanMs], [[0, 1, 3], 210, 290, 210]);
    assert.equal(rest({}, 1).makespanMs, 290);
  });

  it("is less by what has been done, and by what runs has run", () => {
    const { criticalPath, criticalPathMs, workMs, leftMs } = rest({
      design: { state: "completed" },
      api: { state: "running", runningForMs: 85 },
      ui: { state: "running", runningForMs: 10 },
    });
    assert.deepEqual([criticalPath, criticalPathMs, workMs], [[2, 3], 130, 135]);
    assert.deepEqual([...leftMs], [0, 5, 70, 60]);
  });

  it("does not take what runs late for less than nothing, nor what does not say for done", () => {
    assert.equal(rest({ design: { state: "running", runningForMs: 5_000 } }).criticalPathMs, 150);
    assert.equal(rest({ design: { state: "running" } }).criticalPathMs, 210);
  });

  it("never ends where a pool has no slots", () => {
    const capacity = { poolSlots: new Map([["p", 0]]), pools: ["p"] };
    const nodes: StartedNode[] = [{ id: "a", after: [], state: "queued" }];
    assert.equal(restOf({ nodes, durationsMs: [1], capacity })?.makespanMs, Infinity);
  });

  it("is nothing when all has ended", () => {
    const skipped: Partial<StartedNode> = { state: "skipped" };
    const { criticalPath, criticalPathMs, workMs, makespanMs } = rest({
      design: { state: "failed" },
      api: skipped,
      ui: skipped,
      tests: { state: "cancelled" },
    });
    assert.deepEqual([criticalPath, criticalPathMs, workMs, makespanMs], [[], 0, 0, 0]);
  });

  it("is not known of what is no graph", () => {
    const nodes: StartedNode[] = [{ id: "a", after: ["a"], state: "blocked" }];
    assert.equal(restOf({ nodes, durationsMs: [1], capacity: {} }), undefined);
  });
});

describe("how long tasks take", () => {
  const named = (task: number, changes: Partial<EstimatedTask>): EstimatedTask => ({ task, name: "a", ...changes });

  it("is told by their ranks, whatever their priorities, and better by what was measured", () => {
    const tasks = [
      named(0, { rank: rankOf(undefined, 210), children: [1, 2] }),
      named(1, { rank: rankOf(9, 150), children: [3] }),
      named(2, { rank: rankOf(undefined, 140), children: [3] }),
      named(3, { rank: rankOf(1, 60), durationMs: 7 }),
    ];
    assert.deepEqual(estimatesOf(tasks), [60, 90, 80, 7]);
  });

  it("is never less than nothing, where a person ranked a task below its children", () => {
    assert.deepEqual(estimatesOf([named(0, { rank: 5, children: [1] }), named(1, { rank: 9 })]), [0, 9]);
  });

  it("is the mean of others of the same name where there are no ranks, or not known", () => {
    const tasks = [named(0, { durationMs: 100 }), named(1, { durationMs: 200 }), named(2, {}), named(3, { name: "b" })];
    assert.deepEqual(estimatesOf(tasks), [100, 200, 150, undefined]);
  });

  it("leaves out children that are not there", () => {
    assert.deepEqual(estimatesOf([named(0, { rank: 40, children: [9] })]), [40]);
  });
});
