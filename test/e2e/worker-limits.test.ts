/** Timeouts, memory limits and cancelling, in real runner processes. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { completed, eventually, failed, PoolHarness } from "../fixtures/worker/pool-harness.ts";

let harness: PoolHarness;
let folder: string;

before(() => {
  harness = new PoolHarness();
  folder = mkdtempSync(path.join(tmpdir(), "holdfast-limits-"));
});

after(async () => {
  await harness.close();
  rmSync(folder, { recursive: true });
});

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // not written yet
  }
}

for (const task of ["blocks", "hangs"]) {
  test(`a task that ${task} is stopped at its timeout`, async () => {
    const started = performance.now();
    const { failure } = failed(await harness.run(task, {}, { timeoutMs: 100 }));
    assert.equal(failure.class, "timeout");
    assert.equal(failure.code, "TASK_TIMEOUT");
    assert.match(failure.message, /100 ms/);
    assert.ok(performance.now() - started < 5_000);
    completed(await harness.run("noop", {}));
  });
}

test("a task that heeds the abort at its timeout saves its runner", async () => {
  const [pid] = harness.pool.pids;
  const { failure } = failed(await harness.run("heeds-abort", {}, { timeoutMs: 50 }));
  assert.equal(failure.class, "timeout");
  assert.deepEqual(harness.pool.pids, [pid]);
});

test("an answer that comes after the timeout does not count", async () => {
  const { failure } = failed(await harness.run("blocks", { forMs: 200 }, { timeoutMs: 100 }));
  assert.equal(failure.class, "timeout");
});

test("a task in time is not touched", async () => {
  assert.equal(completed(await harness.run("slow-echo", { ms: 30 }, { timeoutMs: 5_000 })).result, "30");
});

test("a full heap is out of memory, with the limit in the message", async () => {
  const { failure } = failed(await harness.run("fills-the-heap", {}, { memoryLimitMb: 32 }));
  assert.equal(failure.class, "out-of-memory");
  assert.equal(failure.code, "TASK_OUT_OF_MEMORY");
  assert.match(failure.message, /32 MB/);
});

test(
  "buffers count as well",
  { skip: process.platform !== "linux" && "the resident set is read from /proc" },
  async () => {
    const { failure } = failed(await harness.run("fills-buffers", {}, { memoryLimitMb: 32 }));
    assert.equal(failure.class, "out-of-memory");
  },
);

test(
  "a runner that keeps too much after an attempt is replaced, and nobody is charged",
  { skip: process.platform !== "linux" && "the resident set is read from /proc" },
  async () => {
    const leak = () => harness.run("leaks-buffers", { mb: 90 }, { memoryLimitMb: 16 });
    let first = await leak();
    // On a machine so busy that this takes 200 ms, the attempt itself is caught.
    while (first?.kind !== "completed") first = await leak();
    const second = completed(await harness.run("leaks-buffers", { mb: 1 }, { memoryLimitMb: 16 }));
    assert.notEqual(first.result, second.result);
  },
);

test("a cancelled task that heeds the abort ends at once, without an outcome", async () => {
  const file = path.join(folder, "heeds");
  const attempt = harness.start("heeds-abort", { file });
  await eventually(() => contentOf(file) !== "");
  const pids = harness.pool.pids;
  harness.pool.cancel([attempt.lease]);
  assert.equal(await harness.outcome(attempt), undefined);
  assert.match(contentOf(file), /aborted EXECUTION_CANCELLED/);
  assert.deepEqual(harness.pool.pids, pids);
});

test("a cancelled task that does not heed the abort is killed after the grace time", async () => {
  const file = path.join(folder, "blocks");
  const attempt = harness.start("blocks", { file });
  await eventually(() => contentOf(file) !== "");
  const since = performance.now();
  harness.pool.cancel([attempt.lease]);
  assert.equal(await harness.outcome(attempt), undefined);
  assert.ok(performance.now() - since >= 190, "the grace time of 200 ms was not granted");
  completed(await harness.run("noop", {}));
});

test("a cancelled task that has not started is dropped", async () => {
  const first = harness.start("slow-echo", { ms: 50 });
  const second = harness.start("slow-echo", { ms: 50 });
  harness.pool.cancel([second.lease]);
  assert.equal(await harness.outcome(second), undefined);
  completed(await harness.outcome(first));
});

test("a lease that is not held can be cancelled without harm", async () => {
  harness.pool.cancel([{ executionId: "e9", task: 3, token: "nobody's" }]);
  completed(await harness.run("noop", {}));
});

test("all of a lost session is killed at once", async () => {
  const file = path.join(folder, "lost");
  const running = harness.start("heeds-abort", { file });
  const waiting = harness.start("noop", {});
  await eventually(() => contentOf(file) !== "");
  harness.pool.stopAll("session-lost");
  assert.equal(await harness.outcome(waiting), undefined);
  assert.equal(await harness.outcome(running), undefined);
  assert.doesNotMatch(contentOf(file), /aborted/);
  completed(await harness.run("noop", {}));
});
