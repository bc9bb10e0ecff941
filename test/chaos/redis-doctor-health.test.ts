/** A broker that works as it should gives the doctor nothing to find, whatever has happened to it and is happening. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { openRedisBroker } from "../../src/broker/redis/index.ts";
import type { RedisTarget } from "../../src/broker/redis/link/target.ts";
import { mixed, histories, sweeps, workflows } from "../contract/arbitrary-history.ts";
import { RandomHistory } from "../contract/random-history.ts";
import { World } from "../contract/world.ts";
import { eventually } from "../fixtures/sdk/scratch.ts";
import { Redis } from "../support/broken-redis.ts";
import { checkProperty } from "../support/check-property.ts";
import { examineData, findingsOf, openDoctor } from "../support/redis-doctor.ts";
import { sharedRedis } from "../support/redis-server.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { batch, group, submission, sweep, tasks } from "../support/submissions.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const STEPS_BETWEEN_LOOKS = 7;

describe("the doctor finds nothing", { timeout: 90_000 }, () => {
  const opened: Redis[] = [];
  const open = async (shards = 1): Promise<Redis> => {
    const redis = await Redis.open(shards);
    opened.push(redis);
    return redis;
  };
  after(() => Promise.all(opened.map((redis) => redis.close())));

  it("in a namespace where nothing has happened", async () => {
    const redis = await open();
    assert.deepEqual(await redis.findings(), {});
  });

  it("at any moment of any history", async () => {
    let worlds = 0;
    const effort = { runs: 15, timeLimitMs: 30_000 };
    await checkProperty(fc.tuple(sweeps, workflows, mixed, histories), effort, async ([one, two, three, steps]) => {
      worlds += 1;
      const { target, namespace, clock, world } = await freshWorld(`history-${worlds}`);
      const doctor = await openDoctor({ target, namespace, time: () => clock.now() });
      const look = async (at: string): Promise<void> => assert.deepEqual(findingsOf(await doctor.examine()), {}, at);
      try {
        const history = await RandomHistory.start(world, [one, two, three]);
        for (const [at, step] of steps.entries()) {
          await history.take(step);
          if (at % STEPS_BETWEEN_LOOKS === 0) await look(`after step ${at}, ${step.kind}`);
        }
        await look("after the last step");
        await history.finish();
        await look("when all is done");
      } finally {
        await doctor.close();
        await world.broker.close();
      }
    });
  });

  it("beside workers that are at work, and its mending changes nothing", async () => {
    const redis = await open(2);
    const after = Array.from({ length: 60 }, (_, task) => (task < 3 ? [] : [task - 3]));
    const ids = [];
    for (const one of [batch(1_200), sweep(2_000, 7), submission([group(tasks(60, after))]), batch(300)])
      ids.push(...(await redis.submitAll([one])));
    const worker = await redis.join();
    let looks = 0;
    const working = redis.completeAll(ids, worker);
    const looking = (async () => {
      for (let isDone = false; !isDone; looks += 1) {
        assert.deepEqual(await redis.findings({ repair: true }), {});
        isDone = (await Promise.all(ids.map((id) => redis.view(id)))).every(({ endedAt }) => endedAt !== undefined);
      }
    })();
    await Promise.all([working, looking]);
    assert.ok(looks > 0);
  });

  it("after a verified sweep was cancelled while its copies waited", async () => {
    const redis = await open();
    const verify = { sample: 1, replicas: 2, tolerance: 0, seed: 1 };
    const [id = ""] = await redis.submitAll([sweep(9, 3, { verify })]);
    const worker = await redis.join();
    await worker.finish(...(await worker.leases(2)));
    await redis.broker.cancel({ executionId: id });
    assert.deepEqual(await redis.findings(), {});
  });

  it("after a worker whose connection was missed has left", async () => {
    const { target, namespace, clock, world } = await freshWorld("unheard");
    const worker = await world.join();
    const { target: sameTarget, ...other } = await freshWorld("unheard");
    assert.deepEqual(sameTarget, target);
    await world.broker.close();
    try {
      await eventually("the silence is noted", async () => {
        await other.world.reap();
        return (await noted(namespace)) === 1;
      });
      await other.world.broker.closeSession({ session: worker.session, reason: "left" });
      assert.deepEqual(findingsOf(await examineData({ target, namespace, time: () => clock.now() })), {});
    } finally {
      await other.world.broker.close();
    }
  });
});

/** Sessions of which the broker has noted that nobody listens for them. */
async function noted(namespace: string): Promise<number> {
  return Number(await (await sharedRedis()).command("HLEN", `{${namespace}:0}:unheard`));
}

async function freshWorld(namespace: string) {
  const { host, port } = await sharedRedis();
  const target: RedisTarget = { mode: "standalone", nodes: [{ host, port }], db: 0 };
  const clock = new VirtualClock();
  let ids = 0;
  const broker = await openRedisBroker({
    target,
    namespace,
    clock,
    time: () => clock.now(),
    random: seededRandom(1),
    newId: () => `id-${(ids += 1)}`,
  });
  const another = (): Promise<never> => Promise.reject(new Error("one world is enough"));
  return { target, namespace, clock, world: new World({ broker, clock, propertyRuns: 1, another }) };
}
