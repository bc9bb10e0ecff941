/** The doctor and purge know what dead letters, replays, reruns and edits leave behind. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { Edit, Lease } from "../../../src/broker/contract.ts";
import { Redis } from "../../support/broken-redis.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { chunkDone, failed, failure, itemFailures } from "../../support/outcomes.ts";
import { batch, group, submission, sweep, tasks } from "../../support/submissions.ts";

const HOPELESS = failure("invalid-input");

async function bury(worker: FakeWorker, ...leases: readonly Lease[]): Promise<void> {
  await worker.deliver(...leases.map((lease) => failed(lease, HOPELESS)));
}

describe("the doctor", { timeout: 60_000 }, () => {
  const opened: Redis[] = [];
  const open = async (): Promise<Redis> => {
    const redis = await Redis.open();
    opened.push(redis);
    return redis;
  };
  after(() => Promise.all(opened.map((redis) => redis.close())));

  it("finds nothing wrong in dead letters, whatever is done with them", async () => {
    const redis = await open();
    const [tasksId = "", sweepId = ""] = await redis.submitAll([batch(6), sweep(50, 10)]);
    const worker = await redis.join();
    const leases = await worker.leases(8);
    await bury(worker, ...leases.filter(({ executionId }) => executionId === tasksId).slice(0, 3));
    const [one, two] = leases.filter(({ executionId }) => executionId === sweepId);
    assert.ok(one !== undefined && two !== undefined);
    await worker.deliver(chunkDone(one, itemFailures([3, 7], "invalid-input")));
    await bury(worker, two);
    assert.deepEqual(await redis.findings(), {});
    await redis.broker.discard({ executionId: tasksId, letters: [{ task: 0 }] });
    await redis.broker.discard({ executionId: sweepId, letters: [{ task: 0, start: 3 }] });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    for (const executionId of [tasksId, sweepId]) await redis.broker.retry({ executionId });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await worker.die();
    await redis.completeAll([tasksId, sweepId], await redis.join());
    assert.deepEqual(await redis.findings(), {});
  });

  it("finds nothing wrong in what failed with work left, nor when it runs again", async () => {
    const redis = await open();
    const groups = [group(tasks(4, [[], [], [], [2]])), group(tasks(2), { delayMs: 60_000, pool: "qa" })];
    const [flow = "", chunks = ""] = await redis.submitAll([
      submission(groups, { maxFailures: 1 }),
      sweep(40, 10, { maxFailures: 1 }),
    ]);
    const worker = await redis.join();
    const leases = await worker.leases(5);
    const [retried, dead] = leases.filter(({ executionId }) => executionId === flow);
    const [first, second] = leases.filter(({ executionId }) => executionId === chunks);
    assert.ok(retried !== undefined && dead !== undefined && first !== undefined && second !== undefined);
    await worker.deliver(failed(retried), chunkDone(first, itemFailures([4])));
    await bury(worker, dead, second);
    for (const id of [flow, chunks]) assert.equal((await redis.view(id)).state, "failed");
    assert.deepEqual(await redis.findings({ repair: true }), {});
    for (const executionId of [flow, chunks]) await redis.broker.retry({ executionId });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    const both = await redis.broker.openSession({
      worker: "both",
      host: "here",
      pid: 1,
      pools: ["default", "qa"],
      capabilities: [],
      slots: 1,
    });
    await worker.die();
    for (let left = true; left;) {
      const found = await redis.broker.claim({ session: both.session, max: 10, waitMs: 0 });
      left = found.leases.length > 0;
      const outcomes = found.leases.map((lease) =>
        lease.start === undefined
          ? ({ kind: "completed", lease, durationMs: 1, result: "1" } as const)
          : chunkDone(lease, []),
      );
      await redis.broker.commit({ session: both.session, outcomes });
    }
    for (const id of [flow, chunks]) assert.equal((await redis.view(id)).state, "completed");
  });

  it("finds nothing wrong in a workflow that is run again from its middle", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([
      submission([group(tasks(5, [[], [0], [0], [1, 2], [3]]))], { keepInputs: true }),
    ]);
    const worker = await redis.join();
    await redis.complete([id], worker);
    await redis.broker.rerun({ executionId: id, task: 1 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    const [lease] = await worker.leases(1);
    assert.ok(lease !== undefined);
    await redis.broker.rerun({ executionId: id, task: 0 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.completeAll([id], worker);
  });

  it("finds nothing wrong in edits: tasks removed wherever they stand, tasks added, another priority", async () => {
    const redis = await open();
    const groups = [group(tasks(6, [[], [], [], [1], [3], []])), group(tasks(2), { delayMs: 60_000, pool: "qa" })];
    const [id = ""] = await redis.submitAll([submission(groups, { keepInputs: true })]);
    const worker = await redis.join();
    const [retried, running] = await worker.leases(2);
    assert.ok(retried !== undefined && running !== undefined);
    await worker.deliver(failed(retried));
    const edit = (...edits: readonly Edit[]): ReturnType<typeof redis.broker.editExecution> =>
      redis.broker.editExecution({ executionId: id, edits, apply: true });
    await edit({ kind: "remove", tasks: [0, 1, 2, 6] }, { kind: "priority", priority: 9 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    const after = [[5], [1], [8]];
    const { changes } = await edit({ kind: "add", groups: [group(tasks(3, after), { pool: "qa" })] });
    assert.deepEqual([changes.firstAdded, changes.addedSkipped], [8, 1]);
    await edit({ kind: "remove", tasks: [7, 10] });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.broker.pause({ executionId: id });
    await edit({ kind: "priority", priority: 2 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.broker.resume({ executionId: id });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await worker.finish(...(await worker.leases(5)));
    const other = await FakeWorker.join(redis.broker, { worker: "w2", pools: ["qa"] });
    await other.finish(...(await other.leases(5)));
    const { state, counters } = await redis.view(id);
    assert.deepEqual([state, counters.completed, counters.skipped], ["completed", 2, 9]);
    await redis.broker.rerun({ executionId: id, task: 5 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
  });

  it("mends the lists of executions with letters and of open sessions, and what pools count", async () => {
    const redis = await open();
    const groups = [group(tasks(3, [[], [], [1]])), group(tasks(1), { delayMs: 60_000 })];
    const [id = "", other = ""] = await redis.submitAll([submission(groups), batch(1)]);
    const worker = await redis.join();
    const [lease] = await worker.leases(1);
    assert.ok(lease !== undefined);
    await bury(worker, lease);
    for (const list of ["dead", "opened"]) await redis.raw("DEL", list);
    await redis.raw("ZADD", "dead", "1", "nobody", "2", other);
    await redis.raw("ZADD", "opened", "77", "nobody");
    await redis.raw("HSET", "pool:default", "blocked", "7", "scheduled", "0");
    const { Executions = "", Sessions = "", Counters = "" } = await redis.mended();
    assert.match(Executions, /executions with dead letters that no list names: 1/i);
    assert.match(Executions, /listed executions that have no dead letters: 2/i);
    assert.match(Sessions, /listed sessions that are not there: 1 \(nobody\)/i);
    assert.match(Sessions, /sessions that no list names: 1/i);
    assert.match(Counters, /counters of pools that are wrong: 2/i);
    assert.equal((await redis.broker.listDeadLetters({ limit: 10 })).letters[0]?.executionId, id);
    assert.equal((await redis.broker.listSessions({ limit: 10 })).sessions[0]?.session, worker.session);
  });
});

describe("purge", () => {
  it("leaves nothing of what was kept for replays, reruns and repeats of edits", { timeout: 60_000 }, async (t) => {
    const redis = await Redis.open();
    t.after(() => redis.close());
    const brief = { retentionMs: 0, maxFailures: 1 };
    const flow = submission([group(tasks(4, [[], [0], [1], []]))], { ...brief, keepInputs: true });
    const ids = await redis.submitAll([flow, sweep(40, 10, brief)]);
    const worker = await redis.join();
    await worker.finish(await worker.take());
    for (const executionId of ids) await redis.broker.pause({ executionId });
    await redis.broker.rerun({ executionId: ids[0] ?? "", task: 0 });
    for (const executionId of ids) {
      const edits = [{ kind: "priority", priority: 6 } as const];
      await redis.broker.editExecution({ executionId, edits, apply: true });
      await redis.broker.resume({ executionId });
    }
    await bury(worker, ...(await worker.leases(3)));
    const states = await Promise.all(ids.map(async (id) => (await redis.view(id)).state));
    assert.deepEqual(states, ["failed", "failed"]);
    await redis.broker.discard({ executionId: ids[0] ?? "", letters: [{ task: 3 }] });
    for (let more = true; more;) more = (await redis.broker.purge({ limit: 100 })).more;
    for (const id of ids) assert.deepEqual(await redis.keys(`exec:${id}*`), []);
    assert.deepEqual(await redis.keys("dead"), []);
    assert.deepEqual(await redis.findings(), {});
  });
});
