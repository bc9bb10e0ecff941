/** How a pool places attempts on its runners, replaces these, and gives back what has not started. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { type Attempt, newAttempt } from "../../src/worker/attempt.ts";
import { completed, eventually, failed, isAlive, lease, PoolHarness } from "../fixtures/worker/pool-harness.ts";

const open: PoolHarness[] = [];
let folder: string;

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "holdfast-pool-"));
});

after(() => rmSync(folder, { recursive: true }));

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

function openPool(options: ConstructorParameters<typeof PoolHarness>[0] = {}): PoolHarness {
  const harness = new PoolHarness(options);
  open.push(harness);
  return harness;
}

/** Starts many at once, the task being known as a short one, so that they are sent ahead together. */
async function startTogether(harness: PoolHarness, inputs: readonly object[], fields: object = {}): Promise<Attempt[]> {
  completed(await harness.run("moody", {}, fields));
  harness.spec("moody", fields).averageMs = 0.01;
  const attempts = inputs.map((input) =>
    newAttempt(lease({ input: JSON.stringify(input) }), harness.spec("moody", fields)),
  );
  harness.pool.run(attempts);
  return attempts;
}

test("there are never more runners than slots, and all slots are used", async () => {
  const harness = openPool({ slots: 3 });
  const attempts = Array.from({ length: 9 }, () => harness.start("slow-echo", { ms: 60 }));
  const pids = new Set<number>();
  for (const attempt of attempts) {
    completed(await harness.outcome(attempt));
    for (const pid of harness.pool.pids) pids.add(pid);
  }
  assert.equal(pids.size, 3);
});

test("runners are started when there is work for them", async () => {
  const harness = openPool({ slots: 4 });
  assert.equal(harness.pool.pids.length, 0);
  await harness.run("noop", {});
  await harness.run("noop", {});
  assert.equal(harness.pool.pids.length, 1);
});

test("a task that kills its runner among others is found out, and only it is charged", async () => {
  const harness = openPool();
  const inputs = Array.from({ length: 20 }, (_, index) => (index === 7 ? { mood: "deadly" } : {}));
  const attempts = await startTogether(harness, inputs);
  for (const [index, attempt] of attempts.entries()) {
    const outcome = await harness.outcome(attempt);
    if (index === 7) assert.equal(failed(outcome).failure.code, "RUNNER_EXITED");
    else completed(outcome);
  }
});

test("a task that blocks among others is found out, and only it is charged", async () => {
  const harness = openPool();
  const inputs = Array.from({ length: 6 }, (_, index) => (index === 3 ? { mood: "stuck" } : {}));
  const attempts = await startTogether(harness, inputs, { timeoutMs: 150 });
  for (const [index, attempt] of attempts.entries()) {
    const outcome = await harness.outcome(attempt);
    if (index === 3) assert.equal(failed(outcome).failure.class, "timeout");
    else completed(outcome);
  }
});

test("what was sent ahead behind a slow task moves to an idle runner", async () => {
  const harness = openPool({ slots: 2 });
  await Promise.all([harness.run("slow-echo", { ms: 100 }), harness.run("slow-echo", { ms: 100 })]);
  assert.equal(harness.pool.pids.length, 2);
  const [slow, ...others] = await startTogether(harness, [{ mood: "slow" }, {}, {}, {}, {}, {}, {}, {}]);
  assert.ok(slow !== undefined);
  for (const attempt of others) completed(await harness.outcome(attempt));
  assert.ok(!harness.finished.some(({ attempt }) => attempt === slow), "they waited for the slow one");
  completed(await harness.outcome(slow));
});

test("a runner is replaced after its number of attempts, and nothing is lost", async () => {
  const harness = openPool({ settings: { runnerMaxAttempts: 5 } });
  const pids: string[] = [];
  for (let turn = 0; turn < 12; turn += 1) pids.push(completed(await harness.run("moody", {})).result);
  assert.equal(new Set(pids).size, 3);
  assert.equal(pids[0], pids[4]);
  assert.notEqual(pids[4], pids[5]);
});

test("tasks with memory limits of their own get runners of their own within the slots", async () => {
  const harness = openPool();
  const free = completed(await harness.run("moody", {})).result;
  const limited = completed(await harness.run("moody", {}, { memoryLimitMb: 64 })).result;
  assert.notEqual(free, limited);
  assert.equal(completed(await harness.run("moody", {}, { memoryLimitMb: 64 })).result, limited);
  assert.notEqual(completed(await harness.run("moody", {})).result, limited);
});

test("a drain hands back what has not started, also what was sent ahead, and lets the rest finish", async () => {
  const harness = openPool();
  const file = path.join(folder, "started");
  const sent = await startTogether(harness, [{ mood: "slow", file }, {}, {}]);
  const waiting = harness.start("slow-echo", { ms: 1 });
  await eventually(() => contentOf(file) !== "");
  harness.pool.returnUnstarted();
  const kinds = await Promise.all([...sent, waiting].map(async (attempt) => (await harness.outcome(attempt))?.kind));
  assert.deepEqual(kinds, ["completed", "returned", "returned", "returned"]);
});

test("a drain that may not wait kills and hands back", async () => {
  const file = path.join(folder, "pid");
  const harness = openPool();
  const attempt = harness.start("blocks", { file });
  await eventually(() => contentOf(file) !== "");
  harness.pool.returnUnstarted();
  harness.pool.stopAll("drained");
  const outcome = await harness.outcome(attempt);
  assert.deepEqual(outcome, { kind: "returned", lease: { executionId: "e1", task: 0, token: attempt.lease.token } });
  await eventually(() => !isAlive(Number(contentOf(file))));
});

test("closing leaves no process", async () => {
  const harness = openPool({ slots: 2 });
  await Promise.all([harness.run("slow-echo", { ms: 20 }), harness.run("slow-echo", { ms: 20 })]);
  const { pids } = harness.pool;
  assert.equal(pids.length, 2);
  await harness.pool.close();
  assert.deepEqual(
    pids.filter((pid) => isAlive(pid)),
    [],
  );
});

test("a runner that cannot start is tried again; if none ever starts, the pool says so", async () => {
  const optionsBefore = process.env["NODE_OPTIONS"];
  process.env["NODE_OPTIONS"] = "--no-such-option";
  try {
    const harness = openPool();
    const attempt = harness.start("noop", {});
    await harness.until(() => harness.unusable.length > 0);
    assert.match(harness.unusable[0]?.message ?? "", /could not be started: exit code 9: .*--no-such-option/s);
    assert.ok(!harness.finished.some((entry) => entry.attempt === attempt));
  } finally {
    if (optionsBefore === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = optionsBefore;
  }
});

test("an attempt whose runner cannot be started fails, where others can", async () => {
  const optionsBefore = process.env["NODE_OPTIONS"];
  const harness = openPool({ settings: { runnerMaxAttempts: 1 } });
  completed(await harness.run("noop", {}));
  process.env["NODE_OPTIONS"] = "--no-such-option";
  try {
    const outcome = failed(await harness.run("noop", {}));
    assert.equal(outcome.failure.code, "RUNNER_START_FAILED");
    assert.equal(outcome.failure.class, "unknown");
  } finally {
    if (optionsBefore === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = optionsBefore;
  }
  completed(await harness.run("noop", {}));
});

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // not written yet
  }
}
