/** Held tasks, edited graphs and limited pools in the store: sound, mended, and the same in every shard. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { Edit } from "../../../src/broker/contract.ts";
import { Redis } from "../../support/broken-redis.ts";
import { failed, failure, returned, untilDelay, untilSignal } from "../../support/outcomes.ts";
import { batch, workflow } from "../../support/submissions.ts";

const LONG = 600_000;

describe("edits and limits on Redis", { timeout: 60_000 }, () => {
  const opened: Redis[] = [];
  const open = async (shards = 1): Promise<Redis> => {
    const redis = await Redis.open(shards);
    opened.push(redis);
    return redis;
  };
  after(() => Promise.all(opened.map((redis) => redis.close())));

  async function edit(redis: Redis, executionId: string, ...edits: readonly Edit[]): Promise<void> {
    await redis.broker.editExecution({ executionId, edits, apply: true });
  }

  it("held tasks are sound wherever they waited, and their damaged counts are mended", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([workflow([[], [0], [], [], []])]);
    const worker = await redis.join();
    const [zero, two, three] = await worker.leases(3);
    assert.ok(zero !== undefined && two !== undefined && three !== undefined);
    await worker.deliver(failed(three, failure("network")));
    await worker.finish(two);
    await edit(redis, id, { kind: "hold", tasks: [0, 1, 3, 4] });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await worker.deliver(returned(zero));
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.raw("HSET", `exec:${id}:waits`, "1", "1");
    await redis.raw("HSET", `exec:${id}:waits`, "4", "3");
    assert.match((await redis.mended())["Tasks"] ?? "", /: 2/);
    await edit(redis, id, { kind: "unhold", tasks: [0, 1, 3, 4] });
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    await redis.completeAll([id], worker);
    assert.deepEqual(await redis.findings(), {});
  });

  it("a held task that has suspended itself goes on when it is let go: on time, by its signal, or by both", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([batch(5)]);
    const worker = await redis.join();
    const leases = await worker.leases(4);
    await worker.deliver(
      ...leases.map((lease, at) => (at === 0 ? untilDelay(lease, LONG) : untilSignal(lease, `s${at}`, LONG))),
    );
    const last = await worker.take();
    await edit(redis, id, { kind: "hold", tasks: [0, 1, 2, 3, 4] });
    await worker.deliver(untilSignal(last, "s4", LONG));
    assert.equal((await redis.view(id)).counters.blocked, 5);
    assert.deepEqual(await redis.findings({ repair: true }), {});
    for (const signal of ["s1", "s4"]) await redis.broker.signal({ executionId: id, signal, payload: '"now"' });
    assert.equal((await redis.view(id)).counters.blocked, 5, "they are held");
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await edit(redis, id, { kind: "unhold", tasks: [0, 1, 2, 3, 4] });
    const { counters } = await redis.view(id);
    assert.deepEqual([counters.queued, counters.scheduled, counters.blocked], [2, 3, 0]);
    assert.deepEqual(await redis.findings({ repair: true }), {});
    const resumed = await worker.leases(5);
    assert.deepEqual(
      resumed.map(({ task, resumed: found }) => [task, found?.signal]),
      [
        [1, '"now"'],
        [4, '"now"'],
      ],
    );
    await worker.finish(...resumed);
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    await redis.completeAll([id], worker);
  });

  it("a pool's limit holds in every shard, whoever is told of it first", async () => {
    const redis = await open(2);
    const workers = [await redis.join(), await redis.join(), await redis.join()];
    await redis.broker.limitPool({ pool: "default", min: 0, max: 1 });
    const ids: string[] = [];
    for (let at = 0; at < 12; at += 1) ids.push(...(await redis.submitAll([batch(1)])));
    const [first, second, third] = workers;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    assert.deepEqual([await second.leases(20), await third.leases(20)], [[], []]);
    const late = await redis.join();
    assert.deepEqual(await late.leases(20), []);
    assert.deepEqual(await redis.findings({ repair: true }), {});
    assert.equal((await first.leases(20)).length, 12);
    await first.leave();
    assert.equal((await second.leases(20)).length, 12);
    const [pool] = (await redis.broker.listPools()).pools;
    assert.deepEqual([pool?.sessions, pool?.standby], [3, 2]);
    await second.die();
    await redis.completeAll(ids, third);
  });

  it("workers that a pool does not know, or that stand by for nothing, are mended", async () => {
    const redis = await open();
    const first = await redis.join();
    const second = await redis.join();
    await redis.broker.limitPool({ pool: "default", min: 0, max: 1 });
    const [id = ""] = await redis.submitAll([batch(2)]);
    await redis.raw("DEL", "pool:default:members");
    assert.match((await redis.mended())["Sessions"] ?? "", /workers that their pool does not know: 2/i);
    assert.deepEqual(await second.leases(1), []);
    const [, own] = (await redis.broker.listSessions({ limit: 10 })).sessions;
    await redis.raw("HDEL", `session:${own?.session}`, "standby");
    assert.match((await redis.mended())["Sessions"] ?? "", /against their pool's limit: 1/i);
    assert.deepEqual(await second.leases(1), []);
    await redis.completeAll([id], first);
  });
});
