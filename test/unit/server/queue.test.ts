/** Pools, the queue as a whole, statistics, and why tasks wait: over HTTP, on a real server and store. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { PoolView } from "../../../src/broker/contract.ts";
import type { Why } from "../../../src/core/why.ts";
import { Throughput } from "../../../src/server/throughput.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { checkedReply } from "../../support/checked-reply.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { failed, failure } from "../../support/outcomes.ts";
import { array, batch, group, submission, tasks } from "../../support/submissions.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

type Stats = Readonly<Record<string, unknown>>;

async function statsOf(world: HttpWorld): Promise<Stats> {
  return (await checkedReply<{ stats: Stats }>(world, "getQueueStats")).stats;
}

async function submit(world: HttpWorld, ...params: Parameters<typeof submission>): Promise<string> {
  const { executions } = await world.broker.submit({ submissions: [submission(...params)] });
  return executions[0]?.executionId ?? "";
}

describe("the queue", () => {
  it("counts what waits, runs and has ended; the total leaves out what is delayed", async (t) => {
    const world = await startHttpWorld(t);
    const retry = { limit: 0, baseMs: 1, factor: 1, maxMs: 1, jitter: 0, never: [] };
    await submit(world, [
      group(tasks(4), { retry }),
      group(tasks(2), { delayMs: 60_000 }),
      group(tasks(1, [[0, 1, 2, 3]])),
    ]);
    const worker = await FakeWorker.join(world.broker);
    await worker.finish(await worker.take());
    await worker.deliver(failed(await worker.take()));
    await worker.take();
    assert.deepEqual(await statsOf(world), {
      // One is queued; the last one was skipped with the failure of its parent.
      waiting: 1,
      active: 1,
      completed: 1,
      failed: 1,
      delayed: 2,
      paused: false,
      total: 4,
    });
  });

  it("stops all claims and lets them go on", async (t) => {
    const world = await startHttpWorld(t);
    await world.broker.submit({ submissions: [batch(2)] });
    const worker = await FakeWorker.join(world.broker);
    const paused = await checkedReply(world, "pauseQueue");
    assert.equal(paused["success"], true);
    assert.equal((await statsOf(world))["paused"], true);
    assert.deepEqual(await worker.leases(), []);
    await checkedReply(world, "resumeQueue");
    assert.equal((await statsOf(world))["paused"], false);
    assert.equal((await worker.leases()).length, 1);
  });

  it("stops one pool only, where one is named", async (t) => {
    const world = await startHttpWorld(t);
    await submit(world, [group(tasks(1), { pool: "one" }), group(tasks(1), { pool: "two" })]);
    const worker = await FakeWorker.join(world.broker, { pools: ["one", "two"] });
    await checkedReply(world, "pauseQueue", { body: { pool: "one" } });
    const leases = await worker.leases(5);
    assert.deepEqual(
      leases.map(({ task }) => task),
      [1],
    );
    const answer = await world.call("POST /queue/pause", { pool: "" });
    assert.deepEqual([answer.status, answer.json()["field"]], [400, "body.pool"]);
  });
});

describe("pools", () => {
  it("are listed, shown, paused by somebody and resumed", async (t) => {
    const world = await startHttpWorld(t);
    await submit(world, [group(tasks(3), { pool: "train" })]);
    const { pools } = await checkedReply<{ pools: readonly PoolView[] }>(world, "listPools");
    assert.equal(pools.find(({ pool }) => pool === "train")?.queued, 3);
    const params = { pool: "train" };
    const paused = await checkedReply<PoolView>(world, "pausePool", { params });
    assert.deepEqual([paused.paused, paused.pause?.by], [true, "tester"]);
    assert.equal((await checkedReply<PoolView>(world, "getPool", { params })).paused, true);
    assert.equal((await checkedReply<PoolView>(world, "resumePool", { params })).paused, false);
    const unknown = await world.call("GET /pools/none");
    assert.deepEqual([unknown.status, unknown.json()["code"]], [404, "POOL_NOT_FOUND"]);
  });
});

describe("limits of pools", () => {
  it("are set and told, and what is wrong names its field", async (t) => {
    const world = await startHttpWorld(t);
    for (const worker of ["w1", "w2"]) await FakeWorker.join(world.broker, { worker, pools: ["train"] });
    const limited = await checkedReply<PoolView>(world, "limitPool", { params: { pool: "train" }, body: { max: 1 } });
    assert.deepEqual([limited.min, limited.max, limited.standby], [0, 1, 1]);
    const wrong: readonly (readonly [string, unknown, string])[] = [
      ["train", { min: 2, max: 1 }, "body.max"],
      ["train", { min: -1 }, "body.min"],
      ["*", { max: 1 }, "params.pool"],
    ];
    for (const [pool, body, field] of wrong) {
      const refused = await world.expect<{ code: string; field: string }>(400, `PUT /pools/${pool}/limits`, body);
      assert.deepEqual([refused.code, refused.field], ["INVALID_REQUEST", field]);
    }
  });
});

describe("statistics", () => {
  it("sum up executions, items, workers and the server", async (t) => {
    const world = await startHttpWorld(t);
    const one = await submit(world, [group(tasks(3))]);
    await submit(world, [group(tasks(2))]);
    await world.broker.pause({ executionId: one });
    const worker = await FakeWorker.join(world.broker, { slots: 2 });
    await worker.take();
    await worker.finish(await worker.take());
    const statistics = await checkedReply<Record<string, Stats>>(world, "getStatistics");
    assert.deepEqual(statistics["executions"], { pending: 0, running: 1, paused: 1, more: false });
    assert.deepEqual(statistics["items"], {
      blocked: 0,
      scheduled: 0,
      queued: 3,
      running: 1,
      completed: 1,
      failed: 0,
    });
    assert.equal(statistics["workers"]?.["utilizationPercent"], 50);
    assert.equal(statistics["server"]?.["version"], "0.0.0-test");
  });
});

describe("throughput", () => {
  const pool = (name: string, completed: number): PoolView => ({
    pool: name,
    paused: false,
    blocked: 0,
    scheduled: 0,
    queued: 0,
    running: 0,
    completed,
    failed: 0,
    sessions: 0,
    slots: 0,
    standby: 0,
    min: 0,
  });

  it("is measured from looks at the totals, over a minute at most", async () => {
    const clock = new VirtualClock();
    const closing = new AbortController();
    let completed = 1_000;
    const broker = { listPools: async () => ({ pools: [pool("a", completed), pool("b", 0)] }) };
    const throughput = new Throughput({ broker, clock, logger: silentLogger, closing: closing.signal });
    throughput.start();
    await clock.advance(0);
    assert.deepEqual([throughput.rate("a"), throughput.lastMinute()], [undefined, undefined]);
    for (let step = 0; step < 30; step += 1) {
      completed += 50;
      await clock.advance(5_000);
    }
    assert.deepEqual([throughput.rate("a"), throughput.rate("b")], [10, 0]);
    assert.deepEqual(throughput.lastMinute(), { completed: 600, failed: 0, spanMs: 60_000 });
    assert.deepEqual(throughput.lastMinute("b"), { completed: 0, failed: 0, spanMs: 60_000 });
    // What was long ago does not count once enough is known of late.
    await clock.advance(40_000);
    completed += 100;
    await clock.advance(5_000);
    assert.equal(throughput.rate("a"), 20);
    closing.abort();
    assert.equal(clock.waiting, 0);
  });

  it("goes on after the broker did not answer", async () => {
    const clock = new VirtualClock();
    const closing = new AbortController();
    let completed = 0;
    let isBroken = false;
    const listPools = async (): Promise<{ pools: PoolView[] }> => {
      if (isBroken) throw new Error("away");
      return { pools: [pool("a", completed)] };
    };
    const throughput = new Throughput({ broker: { listPools }, clock, logger: silentLogger, closing: closing.signal });
    throughput.start();
    await clock.advance(5_000);
    isBroken = true;
    await clock.advance(10_000);
    isBroken = false;
    completed = 150;
    await clock.advance(5_000);
    assert.equal(throughput.rate("a"), 10);
    closing.abort();
  });
});

interface Explained {
  readonly name: string;
  readonly why: Why;
}

async function whyOf(world: HttpWorld, executionId: string, task: number): Promise<Why> {
  return (await checkedReply<Explained>(world, "explainTask", { params: { executionId, task } })).why;
}

async function gpuWorld(t: TestContext): Promise<{ readonly world: HttpWorld; readonly executionId: string }> {
  const world = await startHttpWorld(t);
  const executionId = await submit(world, [
    group(tasks(2), { name: "load" }),
    group(tasks(1), { name: "train", pool: "gpu", requires: ["gpu"] }),
    group(tasks(1, [[0, 1, 2]]), { name: "report" }),
  ]);
  return { world, executionId };
}

describe("why", () => {
  it("tells of a task what keeps it, step by step until it runs", async (t) => {
    const { world, executionId } = await gpuWorld(t);
    assert.equal((await whyOf(world, executionId, 2)).code, "no-worker");
    await FakeWorker.join(world.broker, { worker: "plain", pools: ["gpu"] });
    const lacking = await whyOf(world, executionId, 2);
    assert.equal(lacking.sentence, "No live worker in pool gpu has gpu (1 worker lacks it: plain).");
    const able = { worker: "able", pools: ["gpu"], capabilities: ["gpu"] };
    const worker = await FakeWorker.join(world.broker, able);
    assert.equal((await whyOf(world, executionId, 2)).code, "next-in-line");
    await checkedReply(world, "pausePool", { params: { pool: "gpu" } });
    const paused = await whyOf(world, executionId, 2);
    assert.match(paused.sentence, /^Pool gpu is paused by tester since/);
    await checkedReply(world, "resumePool", { params: { pool: "gpu" } });
    await worker.take();
    const running = await whyOf(world, executionId, 2);
    assert.match(running.sentence, /^Task 2 \(train\) runs on worker able since \d{4}-/);
    const blocked = await whyOf(world, executionId, 3);
    assert.equal(
      blocked.sentence,
      "Task 3 (report) waits for task 0 (load, queued), task 1 (load, queued) and task 2 (train, running).",
    );
    assert.deepEqual(
      blocked.also.map(({ code }) => code),
      ["no-worker"],
    );
  });

  it("tells of a retry which failure it was, and of how many", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, [group(tasks(1), { name: "fit" })]);
    const worker = await FakeWorker.join(world.broker);
    await worker.deliver(failed(await worker.take(), failure("user-error", "no luck")));
    const why = await whyOf(world, executionId, 0);
    assert.equal(why.code, "backing-off");
    assert.match(why.sentence, /after failure 1 of at most 4: no luck\.$/);
  });

  it("tells who is behind whom when all slots are busy", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, [group(tasks(30))]);
    const worker = await FakeWorker.join(world.broker, { slots: 2 });
    await worker.leases(2);
    const why = await whyOf(world, executionId, 29);
    assert.deepEqual(why.code === "slots-busy" && [why.slots, why.busy, why.ahead], [2, 2, 27]);
  });

  it("groups the tasks of an execution by reason", async (t) => {
    const { world, executionId } = await gpuWorld(t);
    const survey = await checkedReply<{
      readonly looked: number;
      readonly more: boolean;
      readonly reasons: readonly { readonly tasks: number; readonly examples: readonly number[]; readonly why: Why }[];
    }>(world, "explainExecution", { params: { executionId } });
    assert.deepEqual([survey.looked, survey.more], [4, false]);
    assert.deepEqual(
      survey.reasons.map(({ tasks: count, examples, why }) => [count, examples, why.code]),
      [
        [2, [0, 1], "no-worker"],
        [1, [2], "no-worker"],
        [1, [3], "waits-for-parents"],
      ],
    );
  });

  it("looks at a bounded number of tasks, and at the part of an array that waits", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, [group(tasks(60)), group(array(1_000, 10), { name: "points" })]);
    const worker = await FakeWorker.join(world.broker);
    await worker.leases(70);
    await world.broker.pause({ executionId });
    const survey = await checkedReply<{ readonly looked: number; readonly more: boolean; readonly reasons: unknown[] }>(
      world,
      "explainExecution",
      { params: { executionId } },
    );
    assert.deepEqual([survey.looked, survey.reasons.length], [1, 1]);
    await worker.leave();
    const again = await checkedReply<{ readonly looked: number; readonly more: boolean }>(world, "explainExecution", {
      params: { executionId },
    });
    assert.equal(again.more, true);
    assert.ok(again.looked <= 26);
  });

  it("does not know what is not there", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, [group(tasks(1))]);
    for (const [path, code] of [
      [`/executions/${executionId}/tasks/9/why`, "TASK_UNKNOWN"],
      ["/executions/none/tasks/0/why", "EXECUTION_NOT_FOUND"],
      ["/executions/none/why", "EXECUTION_NOT_FOUND"],
    ] as const) {
      const answer = await world.call(`GET ${path}`);
      assert.deepEqual([answer.status, answer.json()["code"]], [404, code], path);
    }
    const wrong = await world.call(`GET /executions/${executionId}/tasks/x/why`);
    assert.deepEqual([wrong.status, wrong.json()["field"]], [400, "params.task"]);
  });
});
