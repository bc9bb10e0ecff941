/** How chunks of an array end, in real runner processes. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { scanRowFile } from "../../src/util/row-file.ts";
import { chunk, completed, failed, handler, numbersFrom, PoolHarness } from "../fixtures/worker/pool-harness.ts";

let harness: PoolHarness;

before(() => {
  harness = new PoolHarness();
});

after(() => harness.close());

test("every item is run with its point, and the values come back in order", async () => {
  const outcome = chunk(await harness.runChunk("mostly-fine", { from: 100, start: 2, end: 6 }));
  assert.equal(outcome.values, "[1020,1030,1040,1050]");
  assert.deepEqual(outcome.failures, []);
  assert.equal(outcome.lease.start, 2);
  assert.equal(outcome.partial, undefined);
});

test("an item that throws is a failure of its own, and the others count", async () => {
  const outcome = chunk(await harness.runChunk("mostly-fine", { from: 10 }));
  assert.equal(outcome.values, "[100,110,120,null,140,150,160,170,180,190]");
  assert.equal(outcome.failures.length, 1);
  const [first] = outcome.failures;
  assert.equal(first?.item, 3);
  assert.equal(first?.failure.message, "unlucky");
});

test("the index of the context is the item's, whatever the chunk", async () => {
  const outcome = chunk(await harness.runChunk("echo", { from: 0, start: 7, end: 8 }));
  const [value] = JSON.parse(outcome.values ?? "[]") as { readonly index: number; readonly input: number }[];
  assert.equal(value?.index, 7);
  assert.equal(value?.input, 7);
});

test("items pass the schema one by one", async () => {
  const space = { kind: "grid", dimensions: { k: { kind: "list", values: [1, 7, 3] } } };
  const outcome = chunk(await harness.runChunk("picky", { start: 0, end: 3 }, { source: JSON.stringify({ space }) }));
  assert.equal(outcome.values, "[2,null,6]");
  assert.equal(outcome.failures[0]?.failure.class, "invalid-input");
  assert.equal(outcome.failures[0]?.failure.message, "input.k: is no good");
});

test("an aggregate is folded over the items that succeeded; values can be left out", async () => {
  const outcome = chunk(
    await harness.runChunk(
      "mostly-fine",
      { start: 10, end: 16 },
      { source: numbersFrom(0, { reduce: { kind: "count" } }), results: "discard" },
    ),
  );
  assert.equal(outcome.values, undefined);
  assert.equal(outcome.partial, "5");
  assert.equal(outcome.failures.length, 1);
});

test("a user's own reducer is found in its module", async () => {
  const module = (JSON.parse(handler("")) as { readonly module: string }).module;
  const reduce = { kind: "user", module, name: "total" };
  const outcome = chunk(
    await harness.runChunk("mostly-fine", { start: 0, end: 4 }, { source: numbersFrom(0, { reduce }) }),
  );
  assert.equal(outcome.partial, "60");
  const missing = failed(
    await harness.runChunk(
      "mostly-fine",
      { start: 0, end: 4 },
      { source: numbersFrom(0, { reduce: { ...reduce, name: "nobody" } }) },
    ),
  );
  assert.equal(missing.failure.class, "invalid-input");
});

test("points of a parameter file are read from the file", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "holdfast-rows-"));
  try {
    const file = path.join(folder, "points.csv");
    writeFileSync(file, "k,name\n1,one\n2,two\n3,three\n");
    const space = { kind: "file", ...(await scanRowFile(file)) };
    const source = JSON.stringify({ space });
    const outcome = chunk(await harness.runChunk("echo", { start: 1, end: 3 }, { source }));
    const inputs = (JSON.parse(outcome.values ?? "[]") as { readonly input: unknown }[]).map(({ input }) => input);
    assert.deepEqual(inputs, [
      { k: 2, name: "two" },
      { k: 3, name: "three" },
    ]);
    writeFileSync(file, "k,name\n1,one\n2,zwo\n3,three\n");
    const later = new PoolHarness();
    try {
      const changed = failed(await later.runChunk("echo", { start: 1, end: 3 }, { source }));
      assert.equal(changed.failure.code, "PARAMETER_FILE_CHANGED");
      assert.equal(changed.failure.class, "invalid-input");
    } finally {
      await later.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("process.exit in an item fails the chunk and names the item", async () => {
  const outcome = failed(await harness.runChunk("mostly-fine", { from: 498 }));
  assert.equal(outcome.failure.code, "RUNNER_EXITED");
  assert.equal(outcome.culprit, 2);
});

test("an item that kills its runner is not guessed; a careful chunk names it", async () => {
  const first = failed(await harness.runChunk("mostly-fine", { from: 598 }));
  assert.equal(first.failure.code, "RUNNER_EXITED");
  assert.equal(first.culprit, undefined);
  const second = failed(await harness.runChunk("mostly-fine", { from: 598, careful: true }));
  assert.equal(second.culprit, 2);
});

test("a chunk of one item that kills its runner names it", async () => {
  assert.equal(failed(await harness.runChunk("mostly-fine", { from: 600, start: 0, end: 1 })).culprit, 0);
});

test("among long items the one that kills its runner is known without care", async () => {
  const outcome = failed(await harness.runChunk("slow-items", { from: 597, end: 6 }));
  assert.equal(outcome.failure.code, "RUNNER_EXITED");
  assert.equal(outcome.culprit, 3);
});

test("an item that blocks is killed at its timeout, and is known if items are long", async () => {
  const outcome = failed(await harness.runChunk("slow-items", { from: 698, end: 6 }, { timeoutMs: 150 }));
  assert.equal(outcome.failure.class, "timeout");
  assert.equal(outcome.failure.code, "TASK_TIMEOUT");
  assert.equal(outcome.culprit, 2);
});

test("among short items the one that blocks is not guessed; a careful chunk names it", async () => {
  const first = failed(await harness.runChunk("mostly-fine", { from: 695 }, { timeoutMs: 100 }));
  assert.equal(first.failure.class, "timeout");
  assert.equal(first.culprit, undefined);
  const second = failed(await harness.runChunk("mostly-fine", { from: 695, careful: true }, { timeoutMs: 100 }));
  assert.equal(second.culprit, 5);
});

test("an item that heeds the abort costs itself only", async () => {
  const outcome = chunk(await harness.runChunk("mostly-fine", { from: 898, end: 4 }, { timeoutMs: 80 }));
  assert.equal(outcome.values, "[8980,8990,null,9010]");
  assert.deepEqual(
    outcome.failures.map(({ item, failure }) => [item, failure.class, failure.code]),
    [[2, "timeout", "TASK_TIMEOUT"]],
  );
});

test("an item that hangs and does not heed the abort costs the runner", async () => {
  const outcome = failed(
    await harness.runChunk("mostly-fine", { from: 798, end: 4, careful: true }, { timeoutMs: 80 }),
  );
  assert.equal(outcome.failure.class, "timeout");
  assert.equal(outcome.culprit, 2);
});

test("a chunk longer than its items' timeout is not out of time", async () => {
  const outcome = chunk(await harness.runChunk("slow-items", { from: 0, end: 8 }, { timeoutMs: 200 }));
  assert.equal(outcome.failures.length, 0);
  assert.ok(outcome.durationMs > 200);
});

test("results that are too much together fail one by one, to be run alone", async () => {
  const space = { kind: "list", values: Array.from({ length: 20 }, () => 1_000_000) };
  const outcome = chunk(
    await harness.runChunk("too-large", { start: 0, end: 20 }, { source: JSON.stringify({ space }) }),
  );
  const classes = new Set(outcome.failures.map(({ failure }) => `${failure.class} ${failure.code}`));
  assert.deepEqual([...classes], ["unknown PAYLOAD_TOO_LARGE"]);
  assert.equal(outcome.failures.length, 4);
  assert.equal((JSON.parse(outcome.values ?? "[]") as unknown[]).length, 20);
});

test("an item costs next to nothing", async () => {
  const size = 100_000;
  await harness.runChunk("noop", { start: 0, end: size });
  const outcome = chunk(await harness.runChunk("noop", { start: 0, end: size }));
  console.log(`no-op items: ${((outcome.durationMs / size) * 1_000).toFixed(2)} µs each`);
  assert.equal((JSON.parse(outcome.values ?? "[]") as unknown[]).length, size);
});

test("a separate task after chunks is not confused by them", async () => {
  assert.equal(completed(await harness.run("noop", null)).result, "null");
});
