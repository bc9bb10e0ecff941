/** How attempts of separate tasks end, in real runner processes. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newAttempt } from "../../src/worker/attempt.ts";
import {
  completed,
  eventually,
  failed,
  fixtureUrl,
  handler,
  isAlive,
  lease,
  PoolHarness,
} from "../fixtures/worker/pool-harness.ts";

let harness: PoolHarness;

before(() => {
  harness = new PoolHarness();
});

after(() => harness.close());

test("a task gets its input and its context, and its answer comes back", async () => {
  const outcome = completed(await harness.run("echo", { deep: [1, "zwei"] }));
  const { pid, ...rest } = JSON.parse(outcome.result) as { readonly pid: number };
  assert.deepEqual(rest, { input: { deep: [1, "zwei"] }, executionId: "e1", index: 0, attempt: 1, worker: "w1" });
  assert.deepEqual(harness.pool.pids, [pid]);
  assert.notEqual(pid, process.pid);
  assert.ok(outcome.durationMs >= 0);
});

test("a warm runner is used again", async () => {
  const pids = new Set<unknown>();
  for (let turn = 0; turn < 3; turn += 1) {
    pids.add((JSON.parse(completed(await harness.run("echo", turn)).result) as { pid: number }).pid);
  }
  assert.equal(pids.size, 1);
});

test("no answer is null", async () => {
  assert.equal(completed(await harness.run("is-undefined", {})).result, "null");
});

test("a thrown error is a failure with its name and stack", async () => {
  const { failure } = failed(await harness.run("throws-now", { message: "broken" }));
  assert.equal(failure.class, "user-error");
  assert.equal(failure.code, "TypeError");
  assert.equal(failure.message, "broken");
  assert.match(failure.stack ?? "", /tasks\.[jt]s/);
});

test("a network error is told apart by its code", async () => {
  const { failure } = failed(await harness.run("throws-later", {}));
  assert.equal(failure.class, "network");
  assert.equal(failure.code, "ECONNREFUSED");
});

test("what is rejected need not be an error", async () => {
  const { failure } = failed(await harness.run("rejects-with-no-error", {}));
  assert.equal(failure.class, "user-error");
  assert.match(failure.message, /just because/);
});

for (const code of [0, 1, 7]) {
  test(`process.exit(${code}) in user code costs the attempt only`, async () => {
    const outcome = failed(await harness.run("exits", { code }));
    assert.equal(outcome.failure.class, "user-error");
    assert.equal(outcome.failure.code, "RUNNER_EXITED");
    assert.match(outcome.failure.message, new RegExp(`exit code ${code}`));
    assert.equal(outcome.output?.stderr, "last words");
    completed(await harness.run("noop", {}));
  });
}

test("results of the tasks before it are at hand", async () => {
  const attempt = newAttempt(lease({ parents: { 3: "4", 5: "38" } }), harness.spec("sum-of-parents"));
  harness.pool.run([attempt]);
  assert.equal(completed(await harness.outcome(attempt)).result, "42");
});

for (const text of [
  "garbage",
  "null",
  '"text"',
  '{"type":"completed","id":"x"}',
  '{"type":"completed","id":0,"ms":1,"out":0,"err":0,"result":"1"}',
]) {
  test(`user code that writes ${text} to the runner's own pipe costs itself only`, async () => {
    const { failure } = failed(await harness.run("talks-behind-our-back", { text }));
    assert.equal(failure.code, "RUNNER_EXITED");
    completed(await harness.run("noop", {}));
  });
}

test("a runner killed by a signal costs the attempt only", async () => {
  const { failure } = failed(await harness.run("kills-itself", {}));
  assert.equal(failure.class, "unknown");
  assert.equal(failure.code, "RUNNER_EXITED");
  assert.match(failure.message, /SIGKILL/);
  completed(await harness.run("noop", {}));
});

test("an error in a timer fails the attempt that set it, and the next gets a fresh runner", async () => {
  const [earlier] = harness.pool.pids;
  const { failure } = failed(await harness.run("throws-in-timer", {}));
  assert.equal(failure.class, "user-error");
  assert.equal(failure.code, "RangeError");
  assert.equal(failure.message, "from a timer");
  const { pid } = JSON.parse(completed(await harness.run("echo", {})).result) as { readonly pid: number };
  assert.notEqual(pid, earlier);
});

test("a rejection that nobody waits for fails the attempt that left it", async () => {
  const { failure } = failed(await harness.run("leaves-rejection", {}));
  assert.equal(failure.class, "user-error");
  assert.match(failure.message, /nobody waits/);
});

test("an answer that is no JSON is invalid", async () => {
  const { failure } = failed(await harness.run("not-json", {}));
  assert.equal(failure.class, "invalid-input");
  assert.equal(failure.code, "INVALID_INPUT");
  assert.match(failure.message, /result.*BigInt/);
});

test("an answer that is too large is refused with its size and the limit", async () => {
  const { failure } = failed(await harness.run("too-large", 1_100_000));
  assert.equal(failure.class, "invalid-input");
  assert.equal(failure.code, "PAYLOAD_TOO_LARGE");
  assert.match(failure.message, /1100002.*1048576/);
  assert.equal(completed(await harness.run("too-large", 1_000_000)).result.length, 1_000_002);
});

test("the input passes the task's schema, and what the schema makes of it arrives", async () => {
  assert.equal(completed(await harness.run("picky", { k: 4 })).result, "8");
  const { failure } = failed(await harness.run("picky", { k: 7 }));
  assert.equal(failure.class, "invalid-input");
  assert.equal(failure.code, "INVALID_INPUT");
  assert.equal(failure.message, "input.k: is no good");
});

test("a handler that is none of ours is told once and for all, whatever it is", async () => {
  const told = { '{"kind":"job","type":"train"}': /job train .*--jobs/, '{"kind":"shell"}': /"shell"/ };
  const others = { "{}": /none/, null: /none/, "[1]": /none/, '"x"': /none/, '{"kind":"function"}': /"function"/ };
  for (const [text, says] of Object.entries({ ...told, ...others })) {
    const { failure } = failed(await harness.run("any", {}, { handler: text }));
    assert.deepEqual([failure.class, failure.code], ["invalid-input", "MODULE_NOT_LOADED"], text);
    assert.match(failure.message, says);
  }
});

test("a module that cannot be loaded is told once and for all", async () => {
  for (const module of [fixtureUrl("broken-module"), fixtureUrl("no-such-module")]) {
    const { failure } = failed(await harness.run("any", {}, { handler: handler("any", module) }));
    assert.equal(failure.class, "invalid-input");
    assert.equal(failure.code, "MODULE_NOT_LOADED");
    assert.match(failure.message, /cannot be imported|Cannot find module/);
  }
});

test("a task that the module does not export is told with those that it does", async () => {
  const { failure } = failed(await harness.run("no-such-task", {}));
  assert.equal(failure.class, "invalid-input");
  assert.equal(failure.code, "TASK_NOT_FOUND");
  assert.match(failure.message, /no task named no-such-task.*noop, /);
});

test("what user code has started dies with its runner", async () => {
  const pid = Number(completed(await harness.run("starts-child", {})).result);
  assert.ok(isAlive(pid));
  failed(await harness.run("exits", { code: 1 }));
  await eventually(() => !isAlive(pid));
});
