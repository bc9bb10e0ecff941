/** What attempts print is captured, told apart, and bounded. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MAX_OUTPUT_BYTES } from "../../src/broker/limits.ts";
import { completed, PoolHarness } from "../fixtures/worker/pool-harness.ts";

let harness: PoolHarness;

before(() => {
  harness = new PoolHarness();
});

after(() => harness.close());

test("stdout and stderr of an attempt come with its outcome", async () => {
  const { output } = completed(await harness.run("prints", { out: "to out", err: "to err" }));
  assert.deepEqual(output, { stdout: "to out", stderr: "to err\n", truncated: false });
});

test("an attempt that prints nothing has no output", async () => {
  assert.equal(completed(await harness.run("noop", {})).output, undefined);
});

test("attempts that follow one another keep their own", async () => {
  // The first makes the task known as a short one, so that the others are sent ahead together.
  await harness.run("prints", { out: "warm up" });
  const attempts = Array.from({ length: 200 }, (_, index) =>
    harness.start("prints", index % 3 === 2 ? {} : { out: `line ${index}\n` }),
  );
  for (const [index, attempt] of attempts.entries()) {
    const { output } = completed(await harness.outcome(attempt));
    assert.equal(output?.stdout, index % 3 === 2 ? undefined : `line ${index}\n`);
  }
});

test("of much output the end is kept", async () => {
  const { output } = completed(await harness.run("prints", { out: `${"x".repeat(99)}\n`, times: 20_000 }));
  assert.equal(output?.truncated, true);
  assert.ok(Buffer.byteLength(output.stdout) <= MAX_OUTPUT_BYTES);
  assert.ok(Buffer.byteLength(output.stdout) > MAX_OUTPUT_BYTES - 100);
  assert.ok(output.stdout.endsWith(`${"x".repeat(99)}\n`));
  assert.equal(completed(await harness.run("noop", {})).output, undefined);
});

test("a cut does not leave half a character", async () => {
  const { output } = completed(await harness.run("prints", { out: `${"é€😀".repeat(10)}\n`, times: 2_000 }));
  assert.equal(output?.truncated, true);
  assert.doesNotMatch(output.stdout, /\uFFFD/);
});

test("output that does not pass process.stdout is captured too, and the counts recover", async () => {
  const { output } = completed(await harness.run("prints-behind-our-back", { text: "first" }));
  assert.equal(output?.stdout, "first direct\nfirst child\n");
  const next = completed(await harness.run("prints", { out: "counted" }));
  assert.equal(next.output?.stdout, "counted");
});
