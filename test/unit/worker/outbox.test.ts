import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../../../src/broker/contract.ts";
import { MAX_BATCH } from "../../../src/broker/limits.ts";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import { Outbox } from "../../../src/worker/outbox.ts";

function outcome(task: number, length = 4): Outcome {
  return {
    kind: "completed",
    lease: { executionId: "e", task, token: "t" },
    durationMs: 1,
    result: "x".repeat(length),
  };
}

function tasksOf(batch: readonly Outcome[]): number[] {
  return batch.map(({ lease }) => lease.task);
}

test("outcomes leave in order, at most a batch at a time", () => {
  const outbox = new Outbox();
  for (let task = 0; task < MAX_BATCH + 5; task += 1) outbox.add(outcome(task));
  assert.equal(outbox.take().length, MAX_BATCH);
  assert.deepEqual(tasksOf(outbox.take()), [MAX_BATCH, MAX_BATCH + 1, MAX_BATCH + 2, MAX_BATCH + 3, MAX_BATCH + 4]);
  assert.equal(outbox.count, 0);
  assert.equal(outbox.length, 0);
});

test("large results share no commit, but none is too large to leave", () => {
  const outbox = new Outbox();
  const large = 5 * 1_048_576;
  for (let task = 0; task < 3; task += 1) outbox.add(outcome(task, large));
  outbox.add(outcome(3, 20 * 1_048_576));
  assert.equal(outbox.length, 3 * large + 20 * 1_048_576);
  assert.deepEqual([outbox.take(), outbox.take(), outbox.take(), outbox.take()].map(tasksOf), [[0], [1], [2], [3]]);
});

test("what a task goes on with counts, and so do the tasks that it adds", () => {
  const outbox = new Outbox();
  const large = 5 * 1_048_576;
  const { lease } = outcome(0);
  const group = { name: "g", handler: "x".repeat(large), pool: "p", requires: [], retry: DEFAULT_RETRY, maxLosses: 3 };
  const work = { kind: "tasks", inputs: ["1"] } as const;
  const suspended = { kind: "suspended", lease, durationMs: 1, state: "x".repeat(large) } as const;
  outbox.add({ ...suspended, until: { kind: "delay", delayMs: 1 } });
  outbox.add({ ...suspended, state: "1", until: { kind: "tasks", groups: [{ ...group, work }] } });
  outbox.add({ kind: "skipped", lease, durationMs: 1, dependents: "skip" });
  assert.equal(outbox.take().length, 1);
  assert.equal(outbox.take().length, 2);
  assert.equal(outbox.length, 0);
});

test("what is put back goes first", () => {
  const outbox = new Outbox();
  outbox.add(outcome(0));
  outbox.add(outcome(1));
  const batch = outbox.take();
  outbox.add(outcome(2));
  outbox.putBack(batch);
  assert.equal(outbox.length, 12);
  assert.deepEqual(tasksOf(outbox.take()), [0, 1, 2]);
});

test("one by one, until it is told otherwise", () => {
  const outbox = new Outbox();
  for (let task = 0; task < 4; task += 1) outbox.add(outcome(task));
  outbox.sendSingly();
  assert.deepEqual(tasksOf(outbox.take()), [0]);
  outbox.sendTogether();
  assert.deepEqual(tasksOf(outbox.take()), [1, 2, 3]);
});
