/** Tasks that use shared state, in real runners on the embedded broker. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, test, type TestContext } from "node:test";
import type { Broker, ExecutionView } from "../../src/broker/contract.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { isExecutionEnded } from "../../src/core/states.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { Worker } from "../../src/worker/index.ts";
import { eventually, scratchFolder } from "../fixtures/sdk/scratch.ts";
import { fixtureUrl, handler } from "../fixtures/worker/pool-harness.ts";
import { group, submission } from "../support/submissions.ts";

const clock = systemClock({ keepAlive: true });
const MODULE = fixtureUrl("state-tasks");
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function startWorkers(slots: number): Promise<Broker> {
  const broker = openSqliteBroker({ file: ":memory:", clock, random: Math.random, newId: randomUUID });
  cleanUps.push(() => broker.close());
  for (const name of ["w1", "w2"]) {
    const worker = new Worker({
      broker,
      profile: { worker: name, pools: ["default"], capabilities: ["cpu"], slots },
      settings: { graceMs: 200 },
      logger: silentLogger,
      clock,
    });
    cleanUps.push(() => worker.drain());
    await worker.start();
  }
  return broker;
}

async function run(broker: Broker, task: string, inputs: readonly unknown[]): Promise<ExecutionView> {
  const work = { kind: "tasks", inputs: inputs.map((input) => JSON.stringify(input)) } as const;
  const retry = { limit: 1, baseMs: 0, factor: 1, maxMs: 0, jitter: 0, never: [] };
  const { executions } = await broker.submit({
    submissions: [submission([group(work, { name: task, handler: handler(task, MODULE), retry })])],
  });
  const executionId = executions[0]?.executionId ?? "";
  return eventually(`${task} has ended`, async () => {
    await broker.promoteDue({ limit: 100 });
    const view = await broker.getExecution({ executionId });
    return isExecutionEnded(view.state) && view;
  });
}

async function results(broker: Broker, { executionId }: ExecutionView): Promise<unknown[]> {
  const { rows } = await broker.readResults({ executionId, limit: 100 });
  return rows.map(({ result }) => JSON.parse(result ?? "null") as unknown);
}

async function fileIn(t: TestContext): Promise<string> {
  return path.join(await scratchFolder(t), "log");
}

test("a lock lets one task in at a time, over processes and workers, with ascending tokens", async (t) => {
  const file = await fileIn(t);
  const broker = await startWorkers(2);
  const view = await run(
    broker,
    "guarded",
    Array.from({ length: 40 }, () => ({ file })),
  );
  assert.equal(view.counters.completed, 40);
  const lines = readFileSync(file, "utf8").trim().split("\n");
  assert.equal(lines.length, 80);
  let last = 0;
  for (let at = 0; at < lines.length; at += 2) {
    const token = Number(lines[at]?.slice("in ".length));
    assert.equal(lines[at + 1], `out ${token}`, "another was in at the same time");
    assert.ok(token > last, "a later holder has a higher token");
    last = token;
  }
});

test("values updated by many tasks lose no update", async () => {
  const broker = await startWorkers(2);
  const view = await run(
    broker,
    "counts",
    Array.from({ length: 60 }, () => null),
  );
  const told = (await results(broker, view)) as number[];
  assert.deepEqual(
    told.toSorted((a, b) => a - b),
    Array.from({ length: 60 }, (_, at) => at + 1),
  );
});

test("a later attempt goes on from the newest checkpoint", async (t) => {
  const file = await fileIn(t);
  const broker = await startWorkers(1);
  const view = await run(broker, "resumes", [{ file }]);
  assert.equal(view.state, "completed");
  assert.deepEqual(await results(broker, view), [3], "it began where the first attempt was");
  assert.deepEqual(readFileSync(file, "utf8").trim().split("\n"), ["1:0", "1:1", "1:2", "2:3", "2:4"]);
  const { checkpoints } = await broker.listCheckpoints({ scope: `${view.executionId}/0` });
  assert.deepEqual(
    checkpoints.map(({ fence, label }) => [fence, label]),
    [
      [2, "step 4"],
      [2, "step 3"],
      [1, "step 2"],
      [1, "step 1"],
      [1, "step 0"],
    ],
  );
});

test("a lock is given back when its task's process dies, and when its task forgets it", async () => {
  const broker = await startWorkers(1);
  const from = performance.now();
  const died = await run(broker, "dies-with-lock", [null]);
  assert.equal(died.state, "completed");
  assert.ok(performance.now() - from < 30_000, "nobody waited for the lock's minute to be over");
  const forgot = await run(broker, "forgets-lock", [null, null, null]);
  assert.equal(forgot.counters.completed, 3);
  await eventually("nobody holds a lock", async () => (await broker.listLocks({ limit: 10 })).locks.length === 0);
});

test("tasks see nothing of what belongs to the servers", async () => {
  const broker = await startWorkers(1);
  await broker.writeValue({ key: "holdfast:token:x", value: '"secret"', ttlMs: null });
  const view = await run(broker, "pries", [null]);
  assert.deepEqual(await results(broker, view), [["NAME_RESERVED", "NAME_RESERVED", "NAME_RESERVED"]]);
});
