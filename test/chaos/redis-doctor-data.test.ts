/** Data that somebody has broken by hand: the doctor finds it, mends it, and the work goes on to its end. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Redis } from "../support/broken-redis.ts";
import { batch, group, submission, sweep, tasks } from "../support/submissions.ts";
import { ascending } from "../support/ascending.ts";
import { failed } from "../support/outcomes.ts";

const ALWAYS_AGAIN = { limit: 3, baseMs: 60_000, factor: 1, maxMs: 60_000, jitter: 0, never: [] };

describe("the doctor mends", { timeout: 60_000 }, () => {
  const opened: Redis[] = [];
  const open = async (shards = 1): Promise<Redis> => {
    const redis = await Redis.open(shards);
    opened.push(redis);
    return redis;
  };
  after(() => Promise.all(opened.map((redis) => redis.close())));

  it("nothing, where all is well", async () => {
    const redis = await open();
    const ids = await redis.submitAll([batch(5), sweep(40, 5), submission([group(tasks(3, [[], [0], [1]]))])]);
    const worker = await redis.join();
    await worker.finish(...(await worker.leases(4)));
    const held = await worker.leases(3);
    assert.deepEqual(await redis.findings(), {});
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await worker.finish(...held);
    await redis.completeAll(ids, worker);
  });

  it("counters of groups, executions and pools", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(5)]);
    const worker = await redis.join();
    await worker.leases(2);
    await redis.raw("HINCRBY", `exec:${id}`, "queued", "7");
    await redis.raw("HINCRBY", `exec:${id}:group:0`, "running", "-2");
    await redis.raw("HSET", "pool:default", "depth", "1000000", "slots", "40", "queued", "0");
    await redis.raw("DEL", `exec:${id}:running`);
    const { Counters = "" } = await redis.mended();
    assert.match(Counters, /counters of task groups that are wrong: 1 \(running of group 0:\S+ is 0, counted 2\)/i);
    assert.match(Counters, /counters of executions that are wrong: 1 \(queued of \S+ is 10, counted 3\)/);
    assert.match(Counters, /counters of pools that are wrong: \d/);
    await redis.completeAll([id], await redis.replace(worker));
  });

  it("executions that the lists do not name, or name wrongly", async () => {
    const redis = await open();
    const [id = "", other = "", done = ""] = await redis.submitAll([batch(2), batch(2), batch(1)]);
    const worker = await redis.join();
    await redis.broker.cancel({ executionId: done });
    await redis.raw("ZREM", "live", id);
    await redis.raw("ZREM", "executions", other);
    await redis.raw("ZADD", "live", "1", done, "2", "nobody");
    await redis.raw("ZREM", "purge", done);
    await redis.raw("ZADD", "executions", "1", "nobody");
    await redis.raw("HSET", "keys", "some-key", "nobody");
    const { Executions = "" } = await redis.findings();
    for (const words of [
      /executions that no list names: 1/,
      /executions that are not there: 2/,
      /live executions missing among the live ones: 1/,
      /ended executions among the live ones: 1/,
      /ended executions that would be kept for ever: 1/,
      /submit keys of executions that are not there: 1 \(some-key\)/,
    ])
      assert.match(Executions, new RegExp(words.source, "i"));
    await redis.mended();
    await redis.completeAll([id, other], worker);
  });

  it("an execution that has nothing left and never ended", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(1)]);
    const worker = await redis.join();
    await redis.raw("HINCRBY", `exec:${id}`, "blocked", "1");
    await worker.finish(...(await worker.leases()));
    assert.equal((await redis.view(id)).state, "running");
    await redis.mended();
    assert.equal((await redis.view(id)).state, "completed");
  });

  it("leases whose session is gone", async () => {
    const redis = await open();
    const ids = await redis.submitAll([batch(3), sweep(10, 5)]);
    const worker = await redis.join();
    assert.equal((await worker.leases(4)).length, 4);
    for (const part of ["", ":held"]) await redis.raw("DEL", `session:${worker.session}${part}`);
    const { Leases = "", Sessions = "" } = await redis.mended();
    assert.match(Leases, /leases whose session is gone: 4/i);
    assert.match(Sessions, /sessions that are not there: 1/);
    await redis.completeAll(ids, await redis.join());
    const { attempts } = await redis.broker.listAttempts({ executionId: ids[0] ?? "", limit: 9 });
    assert.equal(attempts.filter(({ outcome }) => outcome === "lost").length, 3);
  });

  it("what sessions are thought to hold", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(3, {}, { timeoutMs: 60_000 })]);
    const worker = await redis.join();
    const leases = await worker.leases(2);
    await redis.raw("HSET", `session:${worker.session}:held`, `0:${id}`, "9", "0:nobody", "1");
    await redis.raw("DEL", "timed");
    await redis.raw("ZADD", "pool:default:idle", "1", "nobody");
    await redis.raw("HSET", "unheard", "nobody", "1");
    const { Leases = "", Sessions = "" } = await redis.mended();
    assert.match(Leases, /sessions with a wrong number of leases: 2/i);
    assert.match(Leases, /task groups whose timeouts nobody watches: 1/);
    assert.match(Sessions, /idle workers that are gone: 1 \(nobody in default\)/i);
    await worker.finish(...leases);
    await redis.completeAll([id], worker);
  });

  it("sessions that no list names", async () => {
    const redis = await open();
    const [worker, gone] = [await redis.join(), await redis.join()];
    await gone.leave();
    await redis.raw("ZREM", "sessions", worker.session);
    await redis.raw("ZREM", "ended-sessions", gone.session);
    await redis.raw("ZADD", "ended-sessions", "1", "nobody");
    const { Sessions = "" } = await redis.mended();
    assert.match(Sessions, /sessions that no list names: 2/i);
    assert.match(Sessions, /sessions that are not there: 1 \(nobody\)/);
    assert.equal((await redis.broker.listSessions({ limit: 9 })).sessions.length, 2);
  });

  it("work that is never handed out, and places in the order without work", async () => {
    const redis = await open();
    const [id = "", other = "", empty = ""] = await redis.submitAll([batch(2), sweep(9, 3), batch(1)]);
    const worker = await redis.join();
    const bucket = "5";
    await redis.raw("DEL", `exec:${id}:lanes:default\x1f${bucket}`);
    await redis.raw("ZREM", `pool:default:bucket:${bucket}`, other);
    await redis.raw("ZADD", `pool:default:bucket:${bucket}`, "0", "nobody");
    await redis.raw("SADD", "pool:default:buckets", "7");
    await redis.raw("SREM", "pools", "default");
    const { Order = "" } = await redis.mended();
    assert.match(Order, /pools that no list names: \d/i);
    await redis.completeAll([id, other, empty], worker);
    await redis.raw("ZADD", `exec:${empty}:lanes:default\x1f${bucket}`, "1", "0");
    assert.match((await redis.mended())["Keys"] ?? "", /keys of executions and sessions that are gone: 1/i);
  });

  it("timers without work, and work without timers", async () => {
    const redis = await open();
    const retry = { ...ALWAYS_AGAIN };
    const ids = await redis.submitAll([
      batch(1, {}, { retry }),
      sweep(2, 1, {}, { retry }),
      batch(1, {}, { delayMs: 60_000 }),
    ]);
    const worker = await redis.join();
    for (const lease of await worker.leases(3)) await worker.report(failed(lease));
    assert.deepEqual(await redis.findings(), {});
    await redis.raw("DEL", "due");
    await redis.raw("ZADD", "due", "5", `t:0:0:${ids[2]}`, "6", "nonsense");
    const { Timers = "" } = await redis.mended();
    assert.match(Timers, /delayed pieces of work without a timer: 4/i);
    assert.match(Timers, /timers of nothing: 2/i);
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    await redis.completeAll(ids, worker);
  });

  it("tasks that are nowhere: they become dead letters, and what waits for them is skipped", async () => {
    const redis = await open();
    const after = [[], [], [0], [2]];
    const [id = "", other = ""] = await redis.submitAll([batch(6), submission([group(tasks(4, after))])]);
    const worker = await redis.join();
    const [held, running] = await worker.leases(2);
    assert.ok(held !== undefined && running !== undefined);
    await redis.raw("XDEL", `exec:${id}:queue:0`, `${running.task}-1`, "4-1");
    await redis.raw("DEL", `exec:${other}:again:0`);
    const { Tasks = "", Leases = "" } = await redis.mended();
    assert.match(Tasks, /tasks that are nowhere: \d/i);
    assert.match(Tasks, /queues without their stream or its consumer group: 1/i);
    assert.match(Leases, /leases of work that is gone: 1/i);
    await worker.finish(held);
    await redis.completeAll([id, other], worker);
    const { letters } = await redis.broker.listDeadLetters({ executionId: id, limit: 9 });
    assert.deepEqual(
      letters.map(({ task, failure }) => [task, failure.code]),
      ascending([running.task, 4]).map((task) => [task, "TASK_VANISHED"]),
    );
    const { counters } = await redis.view(other);
    assert.equal(counters.failed + counters.skipped, 4);
  });

  it("a task that is nowhere among many", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(1_300)]);
    const worker = await redis.join();
    await redis.raw("XDEL", `exec:${id}:queue:0`, "7-1", "1234-1");
    assert.match((await redis.mended())["Tasks"] ?? "", /tasks that are nowhere: 2 \(first: 7 of/i);
    await redis.completeAll([id], worker);
    const { completed, failed } = (await redis.view(id)).counters;
    assert.deepEqual([completed, failed], [1_298, 2]);
  });

  it("items of a sweep that are nowhere: they are queued again", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([sweep(30, 3)]);
    const worker = await redis.join();
    const [first, second, third, fourth] = await worker.leases(4);
    assert.ok(first !== undefined && second !== undefined && third !== undefined && fourth !== undefined);
    await worker.finish(first);
    await worker.report({ kind: "returned", lease: third });
    const entry = /^c(\d+-\d+)\./.exec(second.token)?.[1] ?? "";
    await redis.raw("XDEL", `exec:${id}:chunks:0`, entry);
    await redis.raw("DEL", `exec:${id}:ranges:0`);
    const { Tasks = "", Leases = "" } = await redis.mended();
    assert.match(Tasks, /items of sweeps that are nowhere: 6/i);
    assert.match(Leases, /leases of work that is gone: 1/i);
    await worker.finish(fourth);
    await redis.completeAll([id], worker);
    assert.equal((await redis.view(id)).state, "completed");
  });

  it("items of a sweep that stand twice", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([sweep(30, 3)]);
    const worker = await redis.join();
    const [first, second] = await worker.leases(2);
    assert.ok(first !== undefined && second !== undefined);
    await worker.finish(first);
    await redis.raw("ZADD", `exec:${id}:ranges:0`, "0", "0:5:0:0:0:0");
    await redis.raw("XADD", `exec:${id}:chunks:0`, "*", "start", "6", "end", "9");
    assert.match((await redis.mended())["Tasks"] ?? "", /parts of sweeps that stand twice: 2/i);
    await worker.finish(second);
    await redis.completeAll([id], worker);
  });

  it("entries of tasks that have ended", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(4)]);
    const worker = await redis.join();
    const [first, second] = await worker.leases(2);
    assert.ok(first !== undefined && second !== undefined);
    await worker.report({ kind: "returned", lease: first });
    const result = '{"attempt":1,"durationMs":5,"result":1}';
    await redis.raw("HSET", `exec:${id}:results`, "3", result);
    await redis.raw("XADD", `exec:${id}:again:0`, "*", "task", "0", "attempt", "0", "input", "0");
    assert.match(
      (await redis.mended({ audit: false }))["Tasks"] ?? "",
      /entries of tasks that have ended or stand elsewhere: 2/i,
    );
    await worker.finish(second);
    await redis.complete([id], worker);
    assert.equal((await redis.view(id)).counters.completed, 4);
  });

  it("blocked tasks that nobody will release", async () => {
    const redis = await open();
    const after = [[], [], [0, 1], [0], [1]];
    const never = { ...ALWAYS_AGAIN, limit: 0 };
    const [id = ""] = await redis.submitAll([submission([group(tasks(5, after), { retry: never })])]);
    const worker = await redis.join();
    await redis.raw("HSET", `exec:${id}:waits`, "2", "5");
    await redis.raw("HDEL", `exec:${id}:children`, "0", "1");
    const [first, second] = await worker.leases(2);
    assert.ok(first !== undefined && second !== undefined);
    await worker.finish(first);
    const { Tasks = "" } = await redis.mended();
    assert.match(Tasks, /blocked tasks whose parents have ended: 1/i);
    assert.match(Tasks, /blocked tasks that their parent does not know: 2/i);
    assert.match(Tasks, /wait for a wrong number of parents: 1/i);
    await worker.report(failed(second));
    await redis.completeAll([id], worker);
    const { counters } = await redis.view(id);
    assert.deepEqual([counters.completed, counters.failed, counters.skipped], [2, 1, 2]);
  });

  it("copies that are gone, and copies of nothing", async () => {
    const redis = await open();
    const verify = { sample: 1, replicas: 2, tolerance: 0, seed: 1 };
    const [id = ""] = await redis.submitAll([sweep(6, 3, { verify })]);
    const worker = await redis.join();
    await worker.finish(...(await worker.leases(2)));
    assert.deepEqual(await redis.findings(), {});
    await redis.raw("DEL", "pool:default:replicas");
    await redis.raw("DEL", "verifying");
    await redis.raw("ZADD", "verifying", "1", "0:99:nobody");
    await redis.raw("HSET", "pool:default:replicas", `0:99:1:${id}`, "[3,0,0,0,0]");
    const { Verification = "" } = await redis.mended();
    assert.match(Verification, /verifications whose copies are gone: 2/i);
    assert.match(Verification, /listed verifications that are not there: 1/i);
    assert.match(Verification, /waiting copies of nothing: 1/i);
    assert.equal((await redis.view(id)).state, "completed");
  });

  it("keys that nobody owns, and leaves alone what it does not know", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(1)]);
    const worker = await redis.join();
    await redis.completeAll([id], worker);
    for (const key of ["exec:gone:results", "exec:gone:group:0", `exec:${id}:waits`, "session:gone:orders"])
      await redis.raw("HSET", key, "field", "value");
    await redis.raw("SET", "not-ours", "1");
    const { Keys = "" } = await redis.findings();
    assert.match(Keys, /keys of executions and sessions that are gone: 4/i);
    assert.match(Keys, /keys in the namespace that are not of this Holdfast: 1 \(\S+not-ours\)/i);
    const checks = await redis.examine({ repair: true });
    const check = checks.find(({ name }) => name === "Keys");
    assert.equal(check?.verdict, "warning");
    assert.match(check?.repaired ?? "", /gone: 4/);
    assert.equal(await redis.raw("GET", "not-ours"), "1");
    await redis.raw("DEL", "not-ours");
    assert.deepEqual(await redis.findings(), {});
  });

  it("what lies in any of several shards", async () => {
    const redis = await open(4);
    const ids = [];
    for (let at = 0; at < 8; at += 1) ids.push(...(await redis.submitAll([batch(2)])));
    const worker = await redis.join();
    await worker.leases(3);
    assert.deepEqual(await redis.findings(), {});
    for (let shard = 0; shard < 4; shard += 1) await redis.rawIn(shard, "HSET", "exec:gone:results", "1", "1");
    assert.match((await redis.mended())["Keys"] ?? "", /gone: 4/);
    await redis.completeAll(ids, await redis.replace(worker));
  });
});
