import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  canExecutionMove,
  canTaskMove,
  EXECUTION_REOPENINGS,
  EXECUTION_TRANSITIONS,
  type ExecutionState,
  isExecutionEnded,
  isTaskEnded,
  TASK_REPLAYS,
  TASK_TRANSITIONS,
  type TaskState,
  TERMINAL_EXECUTION_STATES,
  TERMINAL_TASK_STATES,
} from "../../../src/core/states.ts";

const EXECUTION_STATES = Object.keys(EXECUTION_TRANSITIONS) as ExecutionState[];
const TASK_STATES = Object.keys(TASK_TRANSITIONS) as TaskState[];

/** All states that can follow `from`, however many steps later. */
function reachable<State extends string>(table: Readonly<Record<State, readonly State[]>>, from: State): Set<State> {
  const found = new Set<State>([from]);
  for (const state of found) for (const next of table[state]) found.add(next);
  return found;
}

describe("execution states", () => {
  it("lead only to states of the table, never to themselves", () => {
    for (const from of EXECUTION_STATES) {
      for (const to of EXECUTION_TRANSITIONS[from]) {
        assert.ok(EXECUTION_STATES.includes(to));
        assert.notEqual(to, from);
      }
      assert.equal(new Set(EXECUTION_TRANSITIONS[from]).size, EXECUTION_TRANSITIONS[from].length);
    }
  });

  it("are all reachable from pending", () => {
    assert.deepEqual([...reachable(EXECUTION_TRANSITIONS, "pending")].sort(), [...EXECUTION_STATES].sort());
  });

  it("can always still end, and stay ended", () => {
    for (const state of EXECUTION_STATES) {
      const ended = (TERMINAL_EXECUTION_STATES as readonly ExecutionState[]).includes(state);
      assert.equal(isExecutionEnded(state), ended);
      if (!ended)
        for (const end of TERMINAL_EXECUTION_STATES) assert.ok(reachable(EXECUTION_TRANSITIONS, state).has(end));
      else assert.deepEqual(EXECUTION_TRANSITIONS[state], []);
    }
  });

  it("run again by hand when they have ended, unless they were cancelled", () => {
    for (const state of EXECUTION_STATES)
      assert.deepEqual(EXECUTION_REOPENINGS[state], ["completed", "failed"].includes(state) ? ["running"] : []);
  });

  it("answer single moves", () => {
    assert.equal(canExecutionMove("running", "paused"), true);
    assert.equal(canExecutionMove("completed", "running"), false);
  });
});

describe("task states", () => {
  it("lead only to states of the table, never to themselves", () => {
    for (const from of TASK_STATES) {
      for (const to of TASK_TRANSITIONS[from]) {
        assert.ok(TASK_STATES.includes(to));
        assert.notEqual(to, from);
      }
      assert.equal(new Set(TASK_TRANSITIONS[from]).size, TASK_TRANSITIONS[from].length);
    }
  });

  it("are all reachable from blocked", () => {
    assert.deepEqual([...reachable(TASK_TRANSITIONS, "blocked")].sort(), [...TASK_STATES].sort());
  });

  it("reach running through queued only", () => {
    for (const from of TASK_STATES) assert.equal(canTaskMove(from, "running"), from === "queued");
  });

  it("can always still end, and stay ended", () => {
    for (const state of TASK_STATES) {
      const ended = (TERMINAL_TASK_STATES as readonly TaskState[]).includes(state);
      assert.equal(isTaskEnded(state), ended);
      if (!ended) assert.ok(reachable(TASK_TRANSITIONS, state).has("completed"));
      else assert.deepEqual(TASK_TRANSITIONS[state], []);
    }
  });

  it("follow on each other by hand only to where work waits", () => {
    for (const from of TASK_STATES) {
      for (const to of TASK_REPLAYS[from]) {
        assert.equal(canTaskMove(from, to), false, `${from} → ${to} happens by itself`);
        assert.ok(["blocked", "scheduled", "queued"].includes(to));
      }
      if (isTaskEnded(from)) assert.ok(TASK_REPLAYS[from].length > 0, `${from} can be run again`);
    }
  });

  it("keep a task that is waiting for others from running or completing", () => {
    assert.equal(canTaskMove("blocked", "running"), false);
    assert.equal(canTaskMove("blocked", "completed"), false);
    assert.equal(canTaskMove("skipped", "queued"), false);
  });
});
