/** What a user does with the package: define, submit, watch, read, steer, on real worker processes. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { startLocalWorkers } from "../../src/app/local-workers.ts";
import { batch, connect, count, csvFile, defineTask, grid, list, mean, range, sweep, topK } from "../../src/index.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { collect } from "../fixtures/sdk/collect.ts";
import { cleanups, eventually, scratchFolder } from "../fixtures/sdk/scratch.ts";
import { boasts, flaky, highScores, slowScore, square, waitForGate } from "../fixtures/sdk/tasks.ts";
import { startWorld } from "../fixtures/sdk/world.ts";

test("a sweep survives a worker that is killed in mid-run, and every point counts once", async (t) => {
  const { client, pool, broker } = await startWorld(t, { workers: 3 });
  const over = grid({ a: range(0, 20), b: range(0, 10), name: ["left", "right"] });
  const execution = await client.submit(
    sweep(slowScore, {
      over,
      chunk: 5,
      verify: { sample: 0.1 },
      reduce: { best: topK("score", 3), average: mean("score"), n: count(), own: highScores },
    }),
  );
  const [victim] = pool.workers;
  assert.ok(victim !== undefined);
  for await (const { fraction, status } of execution.progress({ everyMs: 0 })) {
    if (fraction < 0.3 || status.counters.running === 0) continue;
    assert.ok(victim.kill("SIGKILL"));
    break;
  }
  assert.deepEqual(await victim.exited, { code: null, signal: "SIGKILL" });
  const results = await collect(execution.results({ ordered: true }));
  const status = await execution.wait();
  assert.equal(status.state, "completed");
  assert.ok(status.lostAttempts >= 1);

  const expected = Array.from({ length: 400 }, (_, index) => {
    const point = {
      a: Math.floor(index / 20),
      b: Math.floor(index / 2) % 10,
      name: index % 2 === 0 ? "left" : "right",
    } as const;
    return { index, point, value: { score: (point.a * 31 + point.b * 17) % 101, name: point.name } };
  });
  assert.deepEqual(
    results.map(({ index, point, value }) => ({ index, point, value })),
    expected,
  );
  assert.ok(new Set(results.map(({ worker }) => worker)).size >= 2);

  const scores = expected.map(({ value }) => value.score);
  const { best, average, n, own } = await execution.aggregate();
  assert.equal(n, 400);
  assert.equal(average.value, scores.reduce((sum, score) => sum + score, 0) / 400);
  assert.deepEqual(
    best.entries.map(({ score }) => score),
    scores.toSorted((x, y) => y - x).slice(0, 3),
  );
  assert.deepEqual(own, { above: scores.filter((score) => score > 50).length, best: Math.max(...scores) });

  const report = await execution.verification();
  assert.ok(report !== undefined && report.sampled > 0 && report.disagreed === 0 && report.pending === 0);
  const { sessions } = await broker.listSessions({ limit: 10 });
  assert.equal(sessions.find(({ worker }) => worker === victim.name)?.state, "lost");
});

test("a result that depends on its worker is found out by verification, with the workers' names", async (t) => {
  const { client } = await startWorld(t, { workers: 2 });
  const execution = await client.submit(
    sweep(boasts, { over: grid({ n: range(0, 20) }), chunk: 5, verify: { sample: 1 } }),
  );
  assert.equal((await execution.wait()).state, "completed");
  const report = await execution.verification();
  assert.ok(report !== undefined);
  assert.deepEqual([report.sampled, report.agreed, report.disagreed, report.pending], [4, 0, 4, 0]);
  assert.deepEqual(report.byWorker, {
    "w-1": { compared: 4, disagreed: 4 },
    "w-2": { compared: 4, disagreed: 4 },
  });
  assert.deepEqual(
    report.disagreements
      .map(({ start, end, item }) => [start, end, item])
      .toSorted(([one], [other]) => Number(one) - Number(other)),
    [
      [0, 5, 0],
      [5, 10, 5],
      [10, 15, 10],
      [15, 20, 15],
    ],
  );
});

test("a worker that dies is started again when asked for", async (t) => {
  const { client, pool } = await startWorld(t, { workers: 1, restart: true });
  const execution = await client.submit(
    sweep(slowScore, { over: grid({ a: range(0, 40), b: [1], name: ["left"] }), chunk: 4 }),
  );
  const [only] = pool.workers;
  assert.ok(only !== undefined);
  const before = await eventually("the worker has begun", async () =>
    (await execution.status()).counters.running > 0 ? only.pid : undefined,
  );
  only.kill("SIGKILL");
  assert.equal((await execution.wait()).counters.completed, 40);
  assert.notEqual(only.pid, before);
});

test("a batch runs each input with its own retries; points are its inputs", async (t) => {
  const { client } = await startWorld(t);
  const execution = await client.submit(
    batch(
      flaky,
      Array.from({ length: 20 }, (_, n) => ({ n })),
      { key: "the batch" },
    ),
  );
  const results = await collect(execution.results({ ordered: true }));
  assert.deepEqual(
    results.map(({ value }) => value.attempt),
    Array.from({ length: 20 }, (_, n) => (n % 2) + 1),
  );
  assert.deepEqual(
    results.map(({ point, attempt }) => [point.n, attempt]),
    Array.from({ length: 20 }, (_, n) => [n, (n % 2) + 1]),
  );
  const again = await client.submit(
    batch(
      flaky,
      Array.from({ length: 20 }, (_, n) => ({ n })),
      { key: "the batch" },
    ),
  );
  assert.equal(again.id, execution.id);
  assert.equal((await client.list()).executions.length, 1);
});

test("pause lets nothing new begin, resume goes on, cancel reaches what runs", async (t) => {
  const { client, dir } = await startWorld(t);
  const gate = path.join(dir, "gate");
  const execution = await client.submit(batch(waitForGate, [{ gate }, { gate }, { gate: path.join(dir, "never") }]));
  await eventually("the first task runs", async () => (await execution.status()).counters.running > 0);
  await execution.pause();
  await writeFile(gate, "");
  const paused = await eventually("what ran has ended", async () => {
    const status = await execution.status();
    return status.counters.running === 0 && status;
  });
  assert.equal(paused.state, "paused");
  assert.equal(paused.counters.completed + paused.counters.queued, 3);
  await execution.resume();
  await eventually("the last task runs", async () => {
    const { counters } = await execution.status();
    return counters.completed === 2 && counters.running === 1;
  });
  await execution.cancel("seen enough");
  await assert.rejects(execution.wait(), { code: "EXECUTION_CANCELLED" });
  // The worker is free again: it was told to stop.
  const next = await client.submit(batch(square, [{ x: 3 }]));
  assert.deepEqual(
    (await collect(next.results())).map(({ value }) => value),
    [{ squared: 9 }],
  );
});

test("a wrong parameter is refused before anything is submitted", async (t) => {
  const { client, dir } = await startWorld(t, { workers: 0 });
  const wrongGrid = sweep(slowScore, { over: grid({ a: range(0, 3), b: [0, 1, -1], name: ["left"] }) });
  await assert.rejects(client.submit(wrongGrid), { code: "INVALID_INPUT", message: /^over\.b\[2\]: / });
  const wrongList = batch(square, [{ x: 1 }, { x: "2" as unknown as number }]);
  await assert.rejects(client.submit(wrongList), { code: "INVALID_INPUT", message: /^inputs\[1\]\.x: / });
  const file = path.join(dir, "points.csv");
  await writeFile(file, "a,b,name\n1,2,left\n1,2,middle\n");
  await assert.rejects(client.submit(sweep(slowScore, { over: csvFile(file) })), {
    code: "INVALID_PARAMETER_FILE",
    message: /row 2: name: /,
  });
  assert.deepEqual((await client.list()).executions, []);
});

test("a sweep over a file reads its points from the file, and notices when it changes", async (t) => {
  const { client, dir } = await startWorld(t);
  const file = path.join(dir, "points.csv");
  await writeFile(file, "x,shift\n2,0\n3,1\n");
  const execution = await client.submit(sweep(square, { over: csvFile(file) }));
  const results = await collect(execution.results({ ordered: true }));
  assert.deepEqual(
    results.map(({ point, value }) => [point, value.squared]),
    [
      [{ x: 2, shift: 0 }, 4],
      [{ x: 3, shift: 1 }, 10],
    ],
  );
  await rm(file);
  await assert.rejects(collect(execution.results()), { code: "PARAMETER_FILE_UNUSABLE" });
});

test("connect opens the folder that it is told, and a client sees what another submitted", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const first = await connect(dir);
  cleanup(() => first.close());
  const second = await connect(dir);
  cleanup(() => second.close());
  const pool = startLocalWorkers({ address: dir, count: 1 });
  cleanup(() => pool.stop());
  const { id } = await first.submit(sweep(square, { over: list([{ x: 7 }]) }));
  const seen = await second.get(id.slice(0, -2));
  assert.equal(seen.id, id);
  assert.deepEqual(
    (await collect(seen.results())).map(({ point, value }) => [point, value]),
    [[{ x: 7 }, { squared: 49 }]],
  );
  await assert.rejects(connect("amqp://somewhere"), { code: "INVALID_BROKER_URL" });
  await assert.rejects(connect("ws://"), { code: "INVALID_BROKER_URL" });
});

test("a task's module that connects while a worker imports it fails with a sentence that says so", async (t) => {
  const { client } = await startWorld(t);
  const module = pathToFileURL(siblingModule(import.meta.url, "../fixtures/sdk/submits-on-import")).href;
  const careless = defineTask({ name: "careless", module, retry: 0, run: () => 1 });
  const execution = await client.submit(batch(careless, [{}]));
  await assert.rejects(execution.wait(), {
    code: "EXECUTION_FAILED",
    message: /it calls connect\(\) while a worker imports it/,
  });
});
