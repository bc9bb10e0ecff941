import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { range, sweep, batch, topK, count, defineTask, list, type Result } from "../../../src/index.ts";
import type { Broker } from "../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { Client } from "../../../src/sdk/client.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { collect as all } from "../../fixtures/sdk/collect.ts";
import { InProcessWorker } from "../../fixtures/sdk/in-process-worker.ts";
import { turnsOfTheLoop } from "../../support/virtual-clock.ts";

const double = defineTask({ name: "double", run: (x: number) => ({ twice: 2 * x }) });
const picky = defineTask({
  name: "picky",
  retry: 0,
  run: (x: number) => {
    if (x % 5 === 3) throw new Error(`cannot take ${x}`);
    return x;
  },
});
const length = defineTask({ name: "length", run: (text: string) => text.length });
const TASKS = [double, picky, length];
/** Four of them fill a call. */
const LARGE_INPUTS = Array.from({ length: 10 }, (_, at) => "x".repeat(950_000 + at));

interface World {
  readonly broker: Broker;
  readonly client: Client;
  readonly worker: InProcessWorker;
}

async function world(t: TestContext, wrap: (broker: Broker) => Broker = (broker) => broker): Promise<World> {
  let ids = 0;
  const clock = systemClock({ keepAlive: true });
  const broker = wrap(
    openSqliteBroker({
      file: ":memory:",
      clock,
      random: () => 0.5,
      newId: () => `id${String((ids += 1)).padStart(4, "0")}`,
    }),
  );
  const client = new Client({ broker, clock });
  t.after(() => client.close());
  return { broker, client, worker: await InProcessWorker.join(broker, TASKS) };
}

/** A broker some of whose methods do something else. */
function changed(broker: Broker, changes: (inner: Broker) => Partial<Broker>): Broker {
  return new Proxy(broker, {
    get: (target, name) => {
      const own = (changes(target) as Record<PropertyKey, unknown>)[name];
      const value = own ?? Reflect.get(target, name, target);
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
}

const indices = (results: readonly Result<unknown, unknown>[]): number[] => results.map(({ index }) => index);

test("results stream as they are committed, each once, with their points", async (t) => {
  const { client, worker } = await world(t);
  const execution = await client.submit(sweep(double, { over: range(10, 22), chunk: 5 }));
  const stream = execution.results();
  const first = stream.next();
  await worker.step();
  assert.deepEqual((await first).value, { index: 0, point: 10, value: { twice: 20 }, worker: "w1", attempt: 1 });
  const rest = all(stream);
  await worker.runAll();
  assert.deepEqual(indices(await rest), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.equal((await execution.wait()).counters.completed, 12);
  assert.equal((await all(execution.results())).length, 12);
});

test("failed points leave gaps, and are told with their failure and point", async (t) => {
  const { client, worker } = await world(t);
  const execution = await client.submit(sweep(picky, { over: range(0, 12), chunk: 6, reduce: count() }));
  await worker.runAll();
  await assert.rejects(execution.wait(), (thrown) => {
    assert.ok(HoldfastError.is(thrown, "EXECUTION_FAILED"));
    assert.match(thrown.message, /10 of 12 completed, 2 failed\. First failure: cannot take 3/);
    return true;
  });
  assert.equal((await execution.wait({ throwOnFailure: false })).state, "failed");
  assert.deepEqual(indices(await all(execution.results({ ordered: true }))), [0, 1, 2, 4, 5, 6, 7, 9, 10, 11]);
  assert.equal(await execution.aggregate(), 10);
  const failures = await execution.failures();
  assert.deepEqual(
    failures.map(({ index, count: inRow, point, failure }) => ({ index, inRow, point, message: failure.message })),
    [
      { index: 3, inRow: 1, point: 3, message: "cannot take 3" },
      { index: 8, inRow: 1, point: 8, message: "cannot take 8" },
    ],
  );
});

test("the aggregate is typed, merged of partials only, and may be asked for midway", async (t) => {
  const asked: unknown[] = [];
  const { client, worker } = await world(t, (broker) =>
    changed(broker, (inner) => ({
      readResults: (params) => (asked.push(params.partialsOnly), inner.readResults(params)),
    })),
  );
  const execution = await client.submit(
    sweep(double, { over: range(0, 30), chunk: 7, reduce: { best: topK("twice", 2), n: count() }, results: "discard" }),
  );
  await worker.step();
  assert.equal((await execution.aggregate({ follow: false })).n, 7);
  const final = execution.aggregate();
  await worker.runAll();
  const { best, n } = await final;
  assert.equal(n, 30);
  assert.deepEqual(
    best.entries.map(({ point }) => point),
    [29, 28],
  );
  assert.ok(asked.length > 0 && asked.every((partialsOnly) => partialsOnly === true));
  await assert.rejects(all(execution.results()), { code: "INVALID_OPTION", message: /results is "discard"/ });
  const plain = await client.submit(sweep(double, { over: range(0, 3) }));
  await assert.rejects(plain.aggregate(), { code: "INVALID_OPTION", message: /reduce is missing/ });
});

test("a batch larger than a call is opened, extended and sealed", async (t) => {
  const parts: number[] = [];
  const { client, worker } = await world(t, (broker) =>
    changed(broker, (inner) => ({ extend: (params) => (parts.push(params.part), inner.extend(params)) })),
  );
  const execution = await client.submit(batch(length, LARGE_INPUTS));
  assert.deepEqual(parts, [1, 2]);
  await worker.runAll();
  const { state, counters } = await execution.wait();
  assert.deepEqual([state, counters.total, counters.completed], ["completed", 10, 10]);
  for await (const { value, point } of execution.results()) assert.equal(value, point.length);
});

test("a batch whose rest cannot be sent is cancelled, unless its key lets it go on", async (t) => {
  let full = true;
  const { client, worker } = await world(t, (broker) =>
    changed(broker, (inner) => ({
      extend: (params) =>
        full ? Promise.reject(new HoldfastError("QUEUE_FULL", { pool: "default" })) : inner.extend(params),
    })),
  );
  await assert.rejects(client.submit(batch(length, LARGE_INPUTS)), { code: "QUEUE_FULL" });
  await assert.rejects(client.submit(batch(length, LARGE_INPUTS, { key: "mine" })), { code: "QUEUE_FULL" });
  const { executions } = await client.list();
  assert.deepEqual(executions.map(({ state }) => state).sort(), ["cancelled", "pending"]);
  full = false;
  const execution = await client.submit(batch(length, LARGE_INPUTS, { key: "mine" }));
  await worker.runAll();
  assert.equal((await execution.wait()).counters.completed, 10);
  const again = await client.submit(batch(length, LARGE_INPUTS, { key: "mine" }));
  assert.equal(again.id, execution.id);
});

test("an edit says what it would do, and does it once", async (t) => {
  const { client, worker } = await world(t);
  const execution = await client.submit(batch(double, [1, 2, 3]));
  const edit = await execution.edit({ add: batch(double, [10, 20]), after: [0], remove: [1], priority: "deployment" });
  assert.deepEqual(
    [edit.changes.firstAdded, edit.changes.added, edit.changes.removed, edit.changes.priority],
    [3, 2, [{ task: 1, state: "queued" }], { from: 5, to: 8 }],
  );
  assert.equal((await execution.status()).counters.total, 3);
  assert.deepEqual(await edit.apply(), edit.changes);
  assert.deepEqual(await edit.apply(), edit.changes);
  await worker.runAll();
  const { state, counters } = await execution.wait();
  assert.deepEqual([state, counters.total, counters.completed, counters.skipped], ["completed", 5, 4, 1]);
  assert.deepEqual(
    (await all(execution.results({ ordered: true }))).map(({ index, point, value }) => [index, point, value]),
    [
      [0, 1, { twice: 2 }],
      [2, 3, { twice: 6 }],
      [3, undefined, { twice: 20 }],
      [4, undefined, { twice: 40 }],
    ],
  );
  await assert.rejects(execution.edit({ remove: [0] }), { code: "EXECUTION_ENDED" });
});

test("an edit that would do something else by now is refused; so is what cannot be one", async (t) => {
  const { client } = await world(t);
  const execution = await client.submit(batch(double, [1, 2, 3]));
  const [late, other] = [await execution.edit({ add: batch(double, [4]) }), await execution.edit({ remove: [0] })];
  await other.apply();
  await (await execution.edit({ add: batch(double, [5]) })).apply();
  await assert.rejects(late.apply(), { code: "EDIT_CONFLICT", message: /look at a new preview/ });
  await assert.rejects(execution.edit({}), { code: "INVALID_OPTION" });
  await assert.rejects(execution.edit({ after: [1] }), { code: "INVALID_OPTION", message: /after/ });
  await assert.rejects(execution.edit({ remove: [9] }), { code: "TASK_UNKNOWN" });
  await assert.rejects(execution.edit({ add: sweep(double, { over: range(0, 3) }) }), { code: "INVALID_OPTION" });
  const points = await client.submit(sweep(double, { over: range(0, 3) }));
  await assert.rejects(points.edit({ add: batch(double, [4]) }), { code: "INVALID_OPTION", message: /sweep/ });
});

test("tasks of an execution are rewired, ranked and held, and the last edit is taken back", async (t) => {
  const { client, worker } = await world(t);
  const execution = await client.submit(batch(double, [1, 2, 3, 4]));
  await (await execution.edit({ rewire: { 0: [3], 1: [] }, rank: { 2: 5 }, hold: [1] })).apply();
  const edit = await execution.edit({ unhold: [1] });
  assert.equal(edit.changes.unheld, 1);
  await edit.apply();
  const undo = await execution.undo();
  assert.equal(undo.changes.held, 1);
  assert.deepEqual(await undo.apply(), undo.changes);
  await assert.rejects(execution.undo(), { code: "INVALID_REQUEST" });
  await assert.rejects(execution.edit({ rewire: { 3: [0] } }), { code: "INVALID_REQUEST", message: /3 waits for 0/ });
  await worker.runAll();
  assert.deepEqual(
    (await all(execution.results({ follow: false }))).map(({ index }) => index),
    [2, 3, 0],
  );
  await (await execution.edit({ unhold: [1] })).apply();
  await worker.runAll();
  assert.equal((await execution.wait()).counters.completed, 4);
});

test("executions are found again by the beginning of their id, with points from the notes", async (t) => {
  const { client, worker } = await world(t);
  const definition = sweep(double, { over: list([5, 7]), reduce: count(), key: "a" });
  const { id } = await client.submit(definition);
  const other = await client.submit(batch(double, [1, 2]));
  await worker.runAll();
  const found = await client.get(id);
  assert.deepEqual(
    (await all(found.results())).map(({ point }) => point),
    [5, 7],
  );
  assert.equal(await found.aggregate(), 2);
  const typed = await client.get(id, definition);
  const total: number = await typed.aggregate();
  assert.equal(total, 2);
  const untold = await client.get(other.id);
  assert.deepEqual(
    (await all(untold.results())).map(({ point }) => point),
    [undefined, undefined],
  );
  const told = await client.get(other.id, batch(double, [1, 2]));
  assert.deepEqual(
    (await all(told.results())).map(({ point }) => point),
    [1, 2],
  );
  await assert.rejects(client.get("id00"), { code: "EXECUTION_AMBIGUOUS" });
  await assert.rejects(client.get("nothing"), { code: "EXECUTION_NOT_FOUND" });
  await assert.rejects(client.get(" "), { code: "EXECUTION_NOT_FOUND" });
  const page = await client.list({ limit: 1 });
  assert.equal(page.executions[0]?.executionId, other.id);
  assert.equal("meta" in (page.executions[0] ?? {}), false);
  assert.notEqual(page.next, undefined);
});

test("progress and events tell every step and end with the execution", async (t) => {
  const { client, worker } = await world(t);
  const execution = await client.submit(sweep(double, { over: range(0, 4), chunk: 1 }));
  const progress = all(execution.progress({ everyMs: 0 }));
  const events = all(execution.events());
  await turnsOfTheLoop();
  while ((await worker.step()) > 0) await turnsOfTheLoop();
  const looks = await progress;
  assert.deepEqual(
    [looks[0]?.done, looks.at(-1)?.done, looks.at(-1)?.fraction, looks.at(-1)?.status.state],
    [0, 4, 1, "completed"],
  );
  const done = looks.map((look) => look.done);
  assert.deepEqual(
    done,
    done.toSorted((a, b) => a - b),
  );
  assert.ok(new Set(done).size >= 4, `saw ${done.join(" ")}`);
  const seen = await events;
  const last = seen.at(-1)?.change;
  assert.deepEqual(last?.kind === "execution" && last.state, "completed");
  const { cursor = 0 } = seen.at(-3) ?? {};
  assert.deepEqual(await all(execution.events({ cursor })), seen.slice(-2));
  assert.deepEqual(
    await all(execution.events({ cursor: seen.at(-1)?.cursor ?? 0, signal: AbortSignal.timeout(20_000) })),
    [],
  );
});

test("pause, resume and cancel steer it", async (t) => {
  const { client, worker } = await world(t);
  const execution = await client.submit(sweep(double, { over: range(0, 10), chunk: 2 }));
  await worker.step();
  assert.equal((await execution.pause()).state, "paused");
  assert.equal(await worker.step(), 0);
  assert.notEqual((await execution.resume()).state, "paused");
  assert.equal(await worker.step(), 1);
  const waiting = execution.wait();
  const cancelled = assert.rejects(waiting, { code: "EXECUTION_CANCELLED" });
  assert.equal((await execution.cancel("enough")).state, "cancelled");
  await cancelled;
  assert.equal((await all(execution.results())).length, 4);
  await assert.rejects(execution.pause(), { code: "EXECUTION_ENDED" });
});

test("waiting ends at once when its signal is aborted", async (t) => {
  const { client } = await world(t);
  const execution = await client.submit(sweep(double, { over: range(0, 10) }));
  const controller = new AbortController();
  const waits = [
    execution.wait({ signal: controller.signal }),
    all(execution.results({ signal: controller.signal })),
    all(execution.progress({ signal: controller.signal })),
    all(execution.events({ signal: controller.signal })),
    execution.aggregate({ signal: controller.signal }).catch((thrown: Error) => Promise.reject(thrown)),
  ];
  const settled = Promise.allSettled(waits);
  await turnsOfTheLoop();
  controller.abort(new Error("enough"));
  const reasons = (await settled).map((end) =>
    end.status === "rejected" ? (end.reason as Error).message : "resolved",
  );
  assert.deepEqual(reasons.slice(0, 4), ["enough", "enough", "enough", "enough"]);
});
