/** Workers on the embedded broker: what users get in the end. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, test } from "node:test";
import type { Broker, ExecutionView, Submission } from "../../src/broker/contract.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { isExecutionEnded } from "../../src/core/states.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { type GivenWorkerSettings, Worker } from "../../src/worker/index.ts";
import { handler, numbersFrom } from "../fixtures/worker/pool-harness.ts";
import { array, group, submission } from "../support/submissions.ts";

const clock = systemClock({ keepAlive: true });
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function openBroker(): Broker {
  const broker = openSqliteBroker({ file: ":memory:", clock, random: Math.random, newId: randomUUID });
  let cancelDuty = (): void => undefined;
  const scheduleDuty = (): void => {
    cancelDuty = clock.schedule(20, () => {
      void broker.promoteDue({ limit: 1_000 });
      scheduleDuty();
    });
  };
  scheduleDuty();
  cleanUps.push(async () => {
    cancelDuty();
    await broker.close();
  });
  return broker;
}

async function startWorker(
  broker: Broker,
  name: string,
  options: { readonly slots?: number; readonly settings?: GivenWorkerSettings } = {},
): Promise<Worker> {
  const worker = new Worker({
    broker,
    profile: { worker: name, pools: ["default"], capabilities: ["cpu"], slots: options.slots ?? 1 },
    settings: { graceMs: 200, ...options.settings },
    logger: silentLogger,
    clock,
  });
  cleanUps.push(() => {
    void worker.drain();
    return worker.drain();
  });
  await worker.start();
  return worker;
}

const retry = { limit: 1, baseMs: 10, factor: 1, maxMs: 10, jitter: 0, never: ["invalid-input"] } as const;

function batchOf(task: string, inputs: readonly unknown[], changes: object = {}): Submission {
  const work = { kind: "tasks", inputs: inputs.map((input) => JSON.stringify(input)) } as const;
  return submission([group(work, { name: task, handler: handler(task), retry, ...changes })]);
}

function sweepOf(
  task: string,
  length: number,
  options: { readonly chunk: number; readonly from?: number; readonly changes?: object },
): Submission {
  const { chunk, from = 0, changes = {} } = options;
  const work = array(length, chunk, { source: numbersFrom(from, { reduce: { kind: "count" } }) });
  return submission([group(work, { name: task, handler: handler(task), retry, ...changes })], { kind: "sweep" });
}

async function submit(broker: Broker, what: Submission): Promise<string> {
  const { executions } = await broker.submit({ submissions: [what] });
  return executions[0]?.executionId ?? "";
}

async function ended(broker: Broker, executionId: string): Promise<ExecutionView> {
  for (let cursor = 0; ;) {
    const reply = await broker.readResults({ executionId, cursor, limit: 1_000, waitMs: 1_000 });
    cursor = reply.cursor;
    const view = await broker.getExecution({ executionId });
    if (isExecutionEnded(view.state)) return view;
  }
}

async function valuesOf(broker: Broker, executionId: string, length: number): Promise<unknown[]> {
  const values = new Array<unknown>(length).fill(undefined);
  for (let cursor = 0; ;) {
    const { rows, done, cursor: next } = await broker.readResults({ executionId, cursor, limit: 1_000 });
    for (const row of rows) {
      const items = JSON.parse(row.values ?? "[]") as unknown[];
      for (const [offset, value] of items.entries()) {
        const item = (row.start ?? 0) + offset;
        if (row.missing?.includes(item) === true) continue;
        assert.equal(values[item], undefined, `item ${item} was committed twice`);
        values[item] = value;
      }
    }
    if (done) return values;
    cursor = next;
  }
}

test("a batch of tasks ends with each result, on two workers", async () => {
  const broker = openBroker();
  const workers = await Promise.all([startWorker(broker, "a"), startWorker(broker, "b")]);
  const executionId = await submit(
    broker,
    batchOf(
      "slow-echo",
      Array.from({ length: 20 }, (_, ms) => ({ ms })),
    ),
  );
  const view = await ended(broker, executionId);
  assert.equal(view.state, "completed");
  const { rows } = await broker.readResults({ executionId, limit: 100 });
  assert.deepEqual(
    rows.map(({ result }) => Number(result)).toSorted((left, right) => left - right),
    Array.from({ length: 20 }, (_, ms) => ms),
  );
  const ends = await Promise.all(workers.map((worker) => worker.drain()));
  assert.equal(
    ends.reduce((sum, { completed }) => sum + completed, 0),
    20,
  );
});

test("a sweep with items of every temper ends with all the others, each once", async () => {
  const broker = openBroker();
  await startWorker(broker, "a", { slots: 2 });
  const length = 1_000;
  const executionId = await submit(broker, sweepOf("mostly-fine", length, { chunk: 100, changes: { timeoutMs: 300 } }));
  const view = await ended(broker, executionId);
  assert.equal(view.state, "failed");
  assert.equal(view.counters.completed, length - 6);
  assert.equal(view.counters.failed, 6);
  const values = await valuesOf(broker, executionId, length);
  const deadly = new Map([
    [13, "user-error"],
    [500, "user-error"],
    [600, "unknown"],
    [700, "timeout"],
    [800, "timeout"],
    [900, "timeout"],
  ]);
  for (const [item, value] of values.entries()) assert.equal(value, deadly.has(item) ? undefined : item * 10);
  const { letters } = await broker.listDeadLetters({ executionId, limit: 10 });
  assert.deepEqual(new Map(letters.map(({ start, failure }) => [start ?? -1, failure.class])), deadly);
  for (const { failures } of letters) assert.equal(failures, 2);
});

test("cancelling an execution stops what runs and frees the worker", async () => {
  const broker = openBroker();
  await startWorker(broker, "a");
  const endless = await submit(broker, batchOf("blocks", [{}]));
  while ((await broker.getExecution({ executionId: endless })).counters.running === 0) {
    await broker.readEvents({ cursor: 0, limit: 1, waitMs: 10 });
  }
  await broker.cancel({ executionId: endless });
  const next = await submit(broker, batchOf("noop", [null]));
  assert.equal((await ended(broker, next)).state, "completed");
  assert.equal((await broker.getExecution({ executionId: endless })).state, "cancelled");
});

test("a drained worker's chunk is taken over whole by another", async () => {
  const broker = openBroker();
  const first = await startWorker(broker, "a", { settings: { drainMs: 50 } });
  const executionId = await submit(broker, sweepOf("slow-items", 40, { chunk: 20 }));
  while ((await broker.getExecution({ executionId })).counters.running === 0) {
    await broker.readEvents({ cursor: 0, limit: 1, waitMs: 10 });
  }
  await first.drain();
  assert.equal((await broker.getExecution({ executionId })).counters.completed, 0);
  await startWorker(broker, "b", { slots: 2 });
  const view = await ended(broker, executionId);
  assert.equal(view.state, "completed");
  assert.equal(view.retries, 0);
  assert.equal(view.lostAttempts, 0);
  assert.deepEqual(
    await valuesOf(broker, executionId, 40),
    Array.from({ length: 40 }, (_, item) => item),
  );
});

test("a session that was declared dead costs a lost attempt, and the worker goes on", async () => {
  const broker = openBroker();
  await startWorker(broker, "a");
  const executionId = await submit(broker, batchOf("slow-echo", [{ ms: 400 }]));
  while ((await broker.getExecution({ executionId })).counters.running === 0) {
    await broker.readEvents({ cursor: 0, limit: 1, waitMs: 10 });
  }
  const { sessions } = await broker.listSessions({ limit: 10 });
  await broker.closeSession({ session: sessions[0]?.session ?? "", reason: "lost" });
  const view = await ended(broker, executionId);
  assert.equal(view.state, "completed");
  assert.equal(view.lostAttempts, 1);
  const after = await broker.listSessions({ limit: 10 });
  assert.deepEqual(after.sessions.map(({ state }) => state).toSorted(), ["live", "lost"]);
});

test("what it takes", async () => {
  const broker = openBroker();
  await startWorker(broker, "a", { slots: 1 });
  await ended(broker, await submit(broker, batchOf("noop", [null])));
  const count = 20_000;
  let since = performance.now();
  const tasks = await submit(
    broker,
    batchOf(
      "noop",
      Array.from({ length: count }, () => null),
    ),
  );
  assert.equal((await ended(broker, tasks)).counters.completed, count);
  console.log(
    `no-op tasks: ${Math.round(count / ((performance.now() - since) / 1_000))}/s on one worker, broker in the same process`,
  );
  since = performance.now();
  const points = await submit(broker, sweepOf("noop", 1_000_000, { chunk: 50_000 }));
  assert.equal((await ended(broker, points)).counters.completed, 1_000_000);
  console.log(`no-op points: ${((performance.now() - since) / 1_000).toFixed(2)} µs each`);
});
