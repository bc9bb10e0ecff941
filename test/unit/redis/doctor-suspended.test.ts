/** The doctor, purge and reopened executions know of tasks that have suspended themselves, and of signals. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { MAX_TASKS_PER_CALL } from "../../../src/broker/limits.ts";
import { Redis } from "../../support/broken-redis.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { completed, failed, failure, skipped, untilDelay, untilSignal, untilTasks } from "../../support/outcomes.ts";
import { batch, group, submission, tasks, workflow } from "../../support/submissions.ts";

const HOPELESS = failure("invalid-input");
const LONG = 600_000;

/** An execution whose tasks wait: for a time, for a signal, for one with a timeout, for tasks, and for a parent. */
async function sleepers(redis: Redis): Promise<{ id: string; worker: FakeWorker }> {
  const [id = ""] = await redis.submitAll([workflow([[], [], [], [], [0]], { keepInputs: true })]);
  const worker = await redis.join();
  const [one, two, three, four] = await worker.leases(4);
  assert.ok(one !== undefined && two !== undefined && three !== undefined && four !== undefined);
  await worker.deliver(
    untilDelay(one, LONG),
    untilSignal(two, "go"),
    untilSignal(three, "go", LONG),
    untilTasks(four, [group(tasks(3, [[], [], [0, 1]]))]),
  );
  return { id, worker };
}

describe("suspended tasks on Redis", { timeout: 60_000 }, () => {
  const opened: Redis[] = [];
  const open = async (shards = 1): Promise<Redis> => {
    const redis = await Redis.open(shards);
    opened.push(redis);
    return redis;
  };
  after(() => Promise.all(opened.map((redis) => redis.close())));

  it("are sound, whatever they wait for, and when they go on", async () => {
    const redis = await open();
    const { id, worker } = await sleepers(redis);
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.broker.signal({ executionId: id, signal: "go", payload: "1" });
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    const [first] = await worker.leases(1);
    assert.ok(first !== undefined);
    await worker.deliver(untilSignal(first, "go"));
    await redis.broker.rerun({ executionId: id, task: 3 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.completeAll([id], worker);
    assert.deepEqual(await redis.findings(), {});
    await redis.broker.rerun({ executionId: id, task: 0 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.completeAll([id], worker);
  });

  it("that a signal does not reach are mended: those whose name it lost, and those that slept through it", async () => {
    const redis = await open();
    const { id, worker } = await sleepers(redis);
    await redis.raw("DEL", `exec:${id}:awaiting`);
    assert.match((await redis.mended())["Tasks"] ?? "", /suspended tasks that their signal does not reach: 2/i);
    await redis.raw("HSET", `exec:${id}:signals`, "go", '"here"');
    assert.match((await redis.mended())["Tasks"] ?? "", /suspended tasks that their signal does not reach: 2/i);
    assert.deepEqual(await redis.keys(`exec:${id}:awaiting`), []);
    const { counters } = await redis.view(id);
    assert.deepEqual([counters.scheduled, counters.queued], [1, 4]);
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    await redis.completeAll([id], worker);
  });

  it("that wait for what has come, or whose timer or suspension is lost, go on", async () => {
    const redis = await open();
    const { id, worker } = await sleepers(redis);
    const added = await worker.leases(2);
    await worker.finish(...added);
    await worker.finish(...(await worker.leases(1)));
    const [resumed] = await worker.leases(1);
    assert.deepEqual([resumed?.task, resumed?.resumed?.count], [3, 3]);
    assert.ok(resumed !== undefined);
    await worker.deliver(untilTasks(resumed, [group(tasks(1))]));
    await redis.raw("HSET", `exec:${id}:waits`, "3", "2", "1", "4");
    for (const key of ["due", `exec:${id}:children`]) await redis.raw("DEL", key);
    const { Tasks = "", Timers = "" } = await redis.mended();
    assert.match(Tasks, /blocked tasks that wait for a wrong number of parents: 2/i);
    assert.match(Tasks, /blocked tasks that their parent does not know: 2/i);
    assert.match(Timers, /2/);
    await redis.raw("HDEL", `exec:${id}:suspended`, "1");
    const lost = await redis.mended();
    assert.match(lost["Tasks"] ?? "", /blocked tasks whose parents have ended: 1/i);
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    await redis.completeAll([id], worker);
  });

  it("are sound in an execution that failed with work left, and when it runs again", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(5, { maxFailures: 1 })]);
    const worker = await redis.join();
    const [one, two, three, four, five] = await worker.leases(5);
    assert.ok(
      one !== undefined && two !== undefined && three !== undefined && four !== undefined && five !== undefined,
    );
    await worker.deliver(
      untilDelay(one, LONG),
      untilSignal(two, "go"),
      untilSignal(three, "go", LONG),
      untilTasks(four, [group(tasks(2))]),
      failed(five, HOPELESS),
    );
    assert.equal((await redis.view(id)).state, "failed");
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.broker.retry({ executionId: id });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.broker.signal({ executionId: id, signal: "go", payload: "2" });
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    await redis.completeAll([id], worker);
  });

  it("leave nothing behind when the execution is purged", async () => {
    const redis = await open();
    const { id, worker } = await sleepers(redis);
    await redis.broker.signal({ executionId: id, signal: "go", payload: "1" });
    await worker.leases(2);
    await redis.broker.cancel({ executionId: id });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    assert.notDeepEqual(await redis.keys(`exec:${id}:suspended`), []);
    await redis.raw("ZADD", "purge", "1", id);
    for (let more = true; more;) more = (await redis.broker.purge({ limit: 100 })).more;
    assert.deepEqual(await redis.keys(`exec:${id}*`), []);
  });

  it("may add as many tasks as a call may bring, several in one commit, and get all of their results", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(2)]);
    const worker = await redis.join();
    const [one, two] = await worker.leases(2);
    assert.ok(one !== undefined && two !== undefined);
    const { leases } = await worker.reportAndClaim(
      [untilTasks(one, [group(tasks(MAX_TASKS_PER_CALL))]), untilTasks(two, [group(tasks(2))])],
      1,
    );
    assert.deepEqual(leases.length, 1);
    const { counters } = await redis.view(id);
    assert.deepEqual([counters.blocked, counters.queued + counters.running], [2, MAX_TASKS_PER_CALL + 2]);
    let [left, resumed] = [leases, 0];
    while (left.length > 0) {
      for (const lease of left) {
        if (lease.resumed === undefined) continue;
        resumed += 1;
        assert.equal(Object.keys(lease.parents ?? {}).length, lease.resumed.count);
      }
      const reply = await worker.reportAndClaim(
        left.map((lease) => completed(lease, "1")),
        1_000,
      );
      left = reply.leases;
    }
    assert.equal(resumed, 2);
    assert.equal((await redis.view(id)).state, "completed");
  });

  it("and those that skip themselves are sound, too", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([submission([group(tasks(5, [[], [], [0], [1], [0, 1]]))])]);
    const worker = await redis.join();
    const [one, two] = await worker.leases(2);
    assert.ok(one !== undefined && two !== undefined);
    await worker.deliver(skipped(one, "release"), skipped(two));
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.completeAll([id], worker);
    assert.deepEqual(await redis.findings(), {});
  });
});
