/** The worker's loop between a scripted broker and real runners. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { Lease } from "../../src/broker/contract.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { Worker, type WorkerSettings } from "../../src/worker/index.ts";
import { FakeBroker } from "../fixtures/worker/fake-broker.ts";
import { eventually, handler, isAlive, lease, numbersFrom } from "../fixtures/worker/pool-harness.ts";

let folder: string;
const workers: Worker[] = [];

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "holdfast-loop-"));
});

afterEach(async () => {
  for (const worker of workers.splice(0)) {
    void worker.drain();
    await worker.drain();
  }
});

after(() => rmSync(folder, { recursive: true }));

function startWorker(
  broker: FakeBroker,
  options: { readonly slots?: number; readonly settings?: Partial<WorkerSettings> } = {},
): Worker {
  const worker = new Worker({
    broker: broker.asBroker(),
    profile: { worker: "w1", pools: ["default"], capabilities: ["cpu"], slots: options.slots ?? 1 },
    settings: { graceMs: 200, ...options.settings },
    logger: silentLogger,
    clock: systemClock({ keepAlive: true }),
  });
  workers.push(worker);
  worker.start().catch(() => undefined); // `ended` tells as well
  return worker;
}

/** Leases of a task of the fixture. */
function leases(broker: FakeBroker, task: string, inputs: readonly unknown[]): Lease[] {
  broker.specs[task] = { name: task, handler: handler(task) };
  return inputs.map((input, index) => lease({ spec: task, task: index, input: JSON.stringify(input) }));
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // not written yet
  }
}

/** A lease whose task runs until it is stopped, and a way to wait until it does. */
function endless(broker: FakeBroker, task: "blocks" | "hangs" | "heeds-abort", name: string) {
  const file = path.join(folder, name);
  const [only] = leases(broker, task, [{ file }]);
  assert.ok(only !== undefined);
  return {
    lease: only,
    file,
    started: () => eventually(() => contentOf(file) !== ""),
    pid: () => Number(contentOf(file).split("\n")[0]),
  };
}

/** A lease whose task takes 300 ms. */
function slow(broker: FakeBroker, name: string) {
  const file = path.join(folder, name);
  const [only] = leases(broker, "moody", [{ mood: "slow", file }]);
  assert.ok(only !== undefined);
  return { lease: only, started: () => eventually(() => contentOf(file) !== "") };
}

test("leases are run and reported, and the worker leaves in order when it is drained", async () => {
  const broker = new FakeBroker();
  broker.offer(...leases(broker, "echo", [1, 2, 3]));
  const worker = startWorker(broker);
  await broker.until(() => broker.outcomes.length === 3);
  assert.deepEqual([...new Set(broker.outcomes.map(({ kind }) => kind))], ["completed"]);
  const end = await worker.drain();
  assert.deepEqual(end, { reason: "drained", completed: 3, failed: 0 });
  assert.deepEqual(broker.closed, [{ session: "s1", reason: "left" }]);
  assert.equal(broker.opened[0]?.worker, "w1");
  assert.equal(broker.opened[0]?.pid, process.pid);
  assert.deepEqual(worker.runnerPids, []);
});

test("an idle claim waits at the broker, and new work starts at once", async () => {
  const broker = new FakeBroker();
  startWorker(broker, { settings: { claimWaitMs: 12_345 } });
  await broker.until(() => broker.waitingClaims === 1);
  assert.equal(broker.claims[0]?.waitMs, 12_345);
  assert.equal(broker.claims[0]?.max, 1);
  broker.offer(...leases(broker, "noop", [null]));
  await broker.until(() => broker.outcomes.length === 1);
});

test("an outcome does not wait for a waiting claim", async () => {
  const broker = new FakeBroker();
  broker.offer(...leases(broker, "slow-echo", [{ ms: 30 }]));
  startWorker(broker, { slots: 2 });
  await broker.until(() => broker.waitingClaims === 1 && broker.outcomes.length === 1);
  assert.equal(broker.claims.length, 2);
});

test("outcomes gather while a commit is in flight, and the next commit carries them all", async () => {
  const broker = new FakeBroker();
  const gate = Promise.withResolvers<void>();
  broker.commitGate = gate.promise;
  const file = path.join(folder, "go");
  const started = path.join(folder, "gone");
  const waiting = { file, started };
  broker.offer(...leases(broker, "noop", [null]), ...leases(broker, "waits-for-file", [waiting, waiting, waiting]));
  const worker = startWorker(broker, { slots: 4 });
  await broker.until(() => broker.commits.length === 1);
  await eventually(() => contentOf(started).split("\n").length === 4);
  writeFileSync(file, "");
  // The other three end while the first commit is held back.
  await broker.until(() => broker.heartbeats.at(-1)?.running === 0);
  assert.equal(broker.commits.length, 1);
  gate.resolve();
  await worker.drain();
  assert.deepEqual(
    broker.commits.map(({ outcomes }) => outcomes.length),
    [1, 3],
  );
});

test("long attempts are not claimed ahead; short ones are, up to the prefetch", async () => {
  const long = new FakeBroker();
  long.offer(
    ...leases(
      long,
      "slow-echo",
      Array.from({ length: 8 }, () => ({ ms: 80 })),
    ),
  );
  startWorker(long, { slots: 2, settings: { prefetch: 100 } });
  await long.until(() => long.outcomes.length === 8);
  assert.equal(long.maxHeld, 2);

  const short = new FakeBroker();
  short.offer(
    ...leases(
      short,
      "noop",
      Array.from({ length: 2_000 }, () => null),
    ),
  );
  startWorker(short, { slots: 2, settings: { prefetch: 30 } });
  await short.until(() => short.outcomes.length === 2_000);
  // Outcomes on their way count as held at the broker, so a commit may double the number.
  assert.ok(short.maxHeld > 2, `held ${short.maxHeld}`);
  for (const { max } of short.claims) assert.ok(max <= 32, `asked for ${max}`);
  for (const { claim } of short.commits) assert.ok((claim?.max ?? 0) <= 32);
});

test("without prefetch no more than the slots are held", async () => {
  const broker = new FakeBroker();
  broker.offer(
    ...leases(
      broker,
      "noop",
      Array.from({ length: 200 }, () => null),
    ),
  );
  startWorker(broker, { slots: 3, settings: { prefetch: 0 } });
  await broker.until(() => broker.outcomes.length === 200);
  for (const { max } of broker.claims) assert.ok(max <= 3);
});

test("an idle worker leaves after its idle time, and not while it holds a lease", async () => {
  const broker = new FakeBroker();
  broker.offer(...leases(broker, "slow-echo", [{ ms: 300 }]));
  const worker = startWorker(broker, { settings: { idleExitMs: 100 } });
  const end = await worker.ended;
  assert.deepEqual(end, { reason: "idle", completed: 1, failed: 0 });
  assert.deepEqual(broker.closed, [{ session: "s1", reason: "left" }]);
});

test("heartbeats go on while user code blocks its runner, and tell what runs", async () => {
  const broker = new FakeBroker();
  const task = endless(broker, "blocks", "beats");
  broker.offer(task.lease);
  startWorker(broker);
  await task.started();
  const earlier = broker.heartbeats.length;
  await broker.until(() => broker.heartbeats.length >= earlier + 10);
  assert.deepEqual(broker.heartbeats.at(-1), { session: "s1", running: 1 });
});

test("a cancel in a heartbeat's answer reaches the task; what it answers is not reported", async () => {
  const broker = new FakeBroker();
  const task = endless(broker, "heeds-abort", "cancel-heeds");
  broker.offer(task.lease);
  startWorker(broker);
  await task.started();
  broker.directives = { cancel: [task.lease], drain: false };
  await eventually(() => contentOf(task.file).includes("aborted"));
  broker.directives = { cancel: [], drain: false };
  broker.offer(...leases(broker, "noop", [null]));
  await broker.until(() => broker.outcomes.length > 0);
  assert.deepEqual(
    broker.outcomes.map(({ lease: { token } }) => token === task.lease.token),
    [false],
  );
});

test("a cancelled task that blocks is killed after the grace time", async () => {
  const broker = new FakeBroker();
  const task = endless(broker, "blocks", "cancel-blocks");
  broker.offer(task.lease);
  startWorker(broker);
  await task.started();
  broker.directives = { cancel: [task.lease], drain: false };
  await eventually(() => !isAlive(task.pid()));
  broker.directives = { cancel: [], drain: false };
  broker.offer(...leases(broker, "noop", [null]));
  await broker.until(() => broker.outcomes.length === 1);
  assert.equal(broker.outcomes[0]?.kind, "completed");
});

test("a drain that the broker asks for lets what runs finish", async () => {
  const broker = new FakeBroker();
  const task = slow(broker, "drain-asked");
  broker.offer(task.lease);
  const worker = startWorker(broker);
  await task.started();
  broker.directives = { cancel: [], drain: true };
  assert.deepEqual(await worker.ended, { reason: "drained", completed: 1, failed: 0 });
});

test("the first call of drain kills nothing, even if the broker asked before", async () => {
  const broker = new FakeBroker();
  const task = slow(broker, "drain-both");
  broker.offer(task.lease);
  const worker = startWorker(broker);
  await task.started();
  broker.directives = { cancel: [], drain: true };
  const beats = broker.heartbeats.length;
  await broker.until(() => broker.heartbeats.length > beats + 2);
  assert.deepEqual(await worker.drain(), { reason: "drained", completed: 1, failed: 0 });
});

test("a worker that is drained before it has begun ends at once", async () => {
  const broker = new FakeBroker();
  const worker = new Worker({
    broker: broker.asBroker(),
    profile: { worker: "w1", pools: [], capabilities: [], slots: 1 },
    settings: {},
    logger: silentLogger,
    clock: systemClock(),
  });
  assert.deepEqual(await worker.drain(), { reason: "drained", completed: 0, failed: 0 });
  await worker.start();
  assert.equal(broker.opened.length, 0);
});

test("a chunk in the middle is handed back whole when a drain may not wait", async () => {
  const broker = new FakeBroker();
  broker.specs["c"] = { name: "slow-items", handler: handler("slow-items"), source: numbersFrom(0) };
  const chunk = lease({ spec: "c", start: 0, end: 500 });
  broker.offer(chunk);
  const worker = startWorker(broker, { settings: { drainMs: 150 } });
  await broker.until(() => broker.held === 1);
  const end = await worker.drain();
  assert.deepEqual(broker.outcomes, [
    { kind: "returned", lease: { executionId: "e1", task: 0, token: chunk.token, start: 0 } },
  ]);
  assert.deepEqual(end, { reason: "drained", completed: 0, failed: 0 });
});

test("the second call of drain kills what runs and hands it back", async () => {
  const broker = new FakeBroker();
  const task = endless(broker, "blocks", "drain-twice");
  broker.offer(task.lease);
  const worker = startWorker(broker);
  await task.started();
  void worker.drain();
  await worker.drain();
  assert.deepEqual(
    broker.outcomes.map(({ kind }) => kind),
    ["returned"],
  );
  assert.ok(!isAlive(task.pid()));
});

test("leases that arrive during a drain are handed back", async () => {
  const broker = new FakeBroker();
  const task = slow(broker, "drain-late");
  broker.offer(task.lease);
  const worker = startWorker(broker, { slots: 2 });
  await task.started();
  await broker.until(() => broker.waitingClaims === 1);
  const drained = worker.drain();
  broker.offer(...leases(broker, "noop", [null]));
  await drained;
  assert.deepEqual(broker.outcomes.map(({ kind }) => kind).toSorted(), ["completed", "returned"]);
});

test("when the session is lost its attempts are killed, their outcomes dropped, and a new session goes on", async () => {
  const broker = new FakeBroker();
  const task = endless(broker, "heeds-abort", "lost");
  broker.offer(task.lease);
  startWorker(broker);
  await task.started();
  broker.loseSession();
  await broker.until(() => broker.opened.length === 2);
  await eventually(() => !isAlive(task.pid()));
  assert.doesNotMatch(contentOf(task.file), /aborted/);
  broker.offer(...leases(broker, "noop", [null]));
  await broker.until(() => broker.outcomes.length > 0);
  assert.equal(broker.outcomes.length, 1);
  assert.notEqual(broker.outcomes[0]?.lease.token, task.lease.token);
  assert.equal(broker.commits.at(-1)?.session, "s2");
});

test("a commit that fails for a while is offered again", async () => {
  const broker = new FakeBroker();
  broker.failNext("commit", new HoldfastError("STORE_FULL", { file: "x", what: "the disk" }));
  broker.failNext("commit", new HoldfastError("BROKER_UNREACHABLE", { url: "x", problem: "y" }));
  broker.offer(...leases(broker, "noop", [null]));
  startWorker(broker);
  await broker.until(() => broker.outcomes.length === 1);
  assert.equal(broker.commits.length, 3);
});

test("an outcome that the broker cannot take is replaced by a failure, and the others count", async () => {
  const broker = new FakeBroker();
  broker.refuses = (outcome) => outcome.kind === "completed" && outcome.result === "13";
  broker.offer(...leases(broker, "slow-echo", [{ ms: 11 }, { ms: 12 }, { ms: 13 }, { ms: 14 }, { ms: 15 }]));
  startWorker(broker, { slots: 2 });
  await broker.until(() => broker.outcomes.length === 5);
  const failures = broker.outcomes.flatMap((outcome) => (outcome.kind === "failed" ? [outcome] : []));
  assert.equal(failures.length, 1);
  assert.equal(failures[0]?.lease.task, 2);
  assert.equal(failures[0]?.failure.code, "PAYLOAD_TOO_LARGE");
  assert.equal(failures[0]?.failure.class, "invalid-input");
});

test("claiming stops when too many outcomes cannot be told, and goes on after", async () => {
  const broker = new FakeBroker();
  const gate = Promise.withResolvers<void>();
  broker.offer(
    ...leases(
      broker,
      "noop",
      Array.from({ length: 300 }, () => null),
    ),
  );
  startWorker(broker, { settings: { prefetch: 40, maxUnsentOutcomes: 5 } });
  await broker.until(() => broker.outcomes.length >= 50);
  broker.commitGate = gate.promise;
  await broker.until(() => broker.held > 0);
  gate.resolve();
  await broker.until(() => broker.outcomes.length === 300);
});

test("a broker that is closed ends the worker, and no process is left", async () => {
  const broker = new FakeBroker();
  const task = endless(broker, "blocks", "closed");
  broker.offer(task.lease);
  const worker = startWorker(broker);
  await task.started();
  broker.failNext("heartbeat", new HoldfastError("BROKER_CLOSED"));
  broker.failNext("closeSession", new HoldfastError("BROKER_CLOSED"));
  const end = await worker.ended;
  assert.equal(end.reason, "broker-lost");
  assert.equal(end.error?.code, "BROKER_CLOSED");
  assert.ok(!isAlive(task.pid()));
});

test("a broker that stays silent is given up after the patience", async () => {
  const broker = new FakeBroker();
  for (let beat = 0; beat < 1_000; beat += 1) {
    broker.failNext("heartbeat", new HoldfastError("BROKER_UNREACHABLE", { url: "x", problem: "y" }));
  }
  const worker = startWorker(broker, { settings: { brokerPatienceMs: 200 } });
  assert.equal((await worker.ended).reason, "broker-lost");
});

test("a worker waits for a broker that is not there yet", async () => {
  const broker = new FakeBroker();
  broker.failNext("openSession", new HoldfastError("BROKER_UNREACHABLE", { url: "x", problem: "y" }));
  broker.offer(...leases(broker, "noop", [null]));
  startWorker(broker);
  await broker.until(() => broker.outcomes.length === 1);
});

test("a worker that is refused says why", async () => {
  const broker = new FakeBroker();
  broker.failNext("openSession", new HoldfastError("UNAUTHORIZED", { url: "x" }));
  const worker = startWorker(broker);
  const end = await worker.ended;
  assert.equal(end.reason, "failed");
  assert.equal(end.error?.code, "UNAUTHORIZED");
  await assert.rejects(worker.start(), { code: "UNAUTHORIZED" });
});
