/** The pure decisions of a worker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_CHUNK_VALUES } from "../../../src/broker/schemas-working.ts";
import { newAttempt } from "../../../src/worker/attempt.ts";
import { outcomeOf } from "../../../src/worker/outcome.ts";
import { prefetchCount } from "../../../src/worker/prefetch.ts";
import { failureFromThrown } from "../../../src/worker/runner/failure.ts";
import { MAX_VALUES_LENGTH } from "../../../src/worker/runner/chunk-run.ts";
import { type DeathEvidence, failureOfDeath } from "../../../src/worker/runner-death.ts";
import { SpecBook } from "../../../src/worker/spec-book.ts";
import { completeSettings, DEFAULT_WORKER_SETTINGS } from "../../../src/worker/worker-settings.ts";
import { lease } from "../../fixtures/worker/pool-harness.ts";

test("short attempts are claimed ahead, long ones are not, unknown ones neither", () => {
  const count = (averageMs: number | undefined, prefetch = 100): number =>
    prefetchCount({ slots: 2, averageMs, prefetch });
  assert.equal(count(undefined), 0);
  assert.equal(count(1_000), 0);
  assert.equal(count(51), 0);
  assert.equal(count(50), 2);
  assert.equal(count(10), 10);
  assert.equal(count(0.01), 100);
  assert.equal(count(0), 100);
  assert.equal(count(0.01, 0), 0);
});

const death: DeathEvidence = {
  death: { code: null, signal: "SIGKILL" },
  exitedByItself: false,
  killedForMemory: false,
  memoryLimitMb: undefined,
  stderr: "",
};
const V8_SAYS = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory";

for (const { what, evidence, expected } of [
  { what: "a kill from outside", evidence: {}, expected: ["unknown", "RUNNER_EXITED", /SIGKILL/] },
  {
    what: "a segmentation fault",
    evidence: { death: { code: null, signal: "SIGSEGV" } },
    expected: ["unknown", "RUNNER_EXITED", /SIGSEGV/],
  },
  {
    what: "process.exit",
    evidence: { death: { code: 3, signal: null }, exitedByItself: true },
    expected: ["user-error", "RUNNER_EXITED", /exit code 3/],
  },
  {
    what: "a full heap",
    evidence: { death: { code: null, signal: "SIGABRT" }, stderr: V8_SAYS, memoryLimitMb: 64 },
    expected: ["out-of-memory", "TASK_OUT_OF_MEMORY", /64 MB/],
  },
  {
    what: "a full heap, told by a shell",
    evidence: { death: { code: 134, signal: null }, stderr: V8_SAYS },
    expected: ["out-of-memory", "TASK_OUT_OF_MEMORY", /memory/],
  },
  {
    what: "a full heap that was only talked about",
    evidence: { death: { code: 1, signal: null }, exitedByItself: true, stderr: V8_SAYS },
    expected: ["user-error", "RUNNER_EXITED", /exit code 1/],
  },
  {
    what: "our own kill for memory",
    evidence: { killedForMemory: true, memoryLimitMb: 32 },
    expected: ["out-of-memory", "TASK_OUT_OF_MEMORY", /32 MB/],
  },
] as const) {
  test(`${what} is judged`, () => {
    const failure = failureOfDeath({ ...death, ...evidence });
    assert.equal(failure.class, expected[0]);
    assert.equal(failure.code, expected[1]);
    assert.match(failure.message, expected[2]);
  });
}

test("an answer after the timeout is a timeout even where no timer saw it", () => {
  const spec = { number: 1, name: "x", handler: "", timeoutMs: 10, averageMs: undefined };
  const answer = { type: "completed", id: 1, ms: 11, out: 0, err: 0, result: "1" } as const;
  const outcome = outcomeOf(newAttempt(lease(), spec), answer, undefined);
  assert.equal(outcome?.kind === "failed" && outcome.failure.class, "timeout");
  assert.equal(outcomeOf(newAttempt(lease(), spec), { ...answer, ms: 10 }, undefined)?.kind, "completed");
});

test("equal specs are one, with what was learnt about them; different ones are not", () => {
  const book = new SpecBook();
  const first = book.admit({ a: { name: "n", handler: "h" }, b: { name: "n", handler: "h", timeoutMs: 5 } });
  const second = book.admit({ z: { name: "n", handler: "h" } });
  assert.equal(first.get("a"), second.get("z"));
  assert.notEqual(first.get("a")?.number, first.get("b")?.number);
});

test("specs that were not used for long are forgotten", () => {
  const book = new SpecBook();
  const first = book.admit({ a: { name: "first", handler: "h" } }).get("a");
  for (let index = 0; index < 300; index += 1) book.admit({ a: { name: `n${index}`, handler: "h" } });
  assert.notEqual(book.admit({ a: { name: "first", handler: "h" } }).get("a"), first);
});

test("anything may be thrown", () => {
  const hostile = {
    get message(): string {
      throw new Error("no");
    },
    [Symbol.for("nodejs.util.inspect.custom")](): never {
      throw new Error("no");
    },
  };
  for (const thrown of [
    undefined,
    null,
    "",
    "text",
    0,
    1n,
    Symbol("s"),
    {},
    [],
    hostile,
    new Error(""),
    Object.create(null),
  ]) {
    const failure = failureFromThrown(thrown);
    assert.equal(failure.class, "user-error");
    assert.ok(failure.message.length > 0 && failure.message.length <= 2_000, failure.message);
  }
  const long = failureFromThrown(new Error("x".repeat(10_000)));
  assert.equal(long.message.length, 2_000);
  assert.ok((long.stack?.length ?? 0) <= 8_000);
  assert.equal(failureFromThrown(new TypeError("fetch failed", { cause: { code: "ENOTFOUND" } })).class, "network");
});

test("the runner's limit for a chunk's values is the broker's", () => {
  assert.equal(MAX_VALUES_LENGTH, MAX_CHUNK_VALUES);
});

test("settings that are not given are the defaults", () => {
  assert.deepEqual(completeSettings({}), DEFAULT_WORKER_SETTINGS);
  const settings = completeSettings({ prefetch: 3, graceMs: undefined });
  assert.equal(settings.prefetch, 3);
  assert.equal(settings.graceMs, DEFAULT_WORKER_SETTINGS.graceMs);
});
