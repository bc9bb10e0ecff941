/** Several servers on one Redis: any of them serves any worker over HTTP. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { sharedRedis } from "../../support/redis-server.ts";
import { batch } from "../../support/submissions.ts";

interface Task {
  readonly lease: string;
  readonly task: number;
}

interface Claimed {
  readonly tasks: readonly Task[];
  readonly cancel: readonly string[];
}

async function startServers(t: TestContext, count: number): Promise<readonly HttpWorld[]> {
  const { host, port } = await sharedRedis();
  const namespace = `test-${crypto.randomUUID()}`;
  return Promise.all(
    Array.from({ length: count }, async () => {
      const broker: Broker = await openRedisBroker({
        target: { mode: "standalone", nodes: [{ host, port }], db: 0 },
        namespace,
        clock: systemClock({ keepAlive: true }),
        random: Math.random,
        newId: () => crypto.randomUUID(),
      });
      const world = await startHttpWorld(t, { broker });
      t.after(() => broker.close());
      return world;
    }),
  );
}

function register(world: HttpWorld, workerId: string): Promise<unknown> {
  return world.expect(200, "POST /workers/register", {
    workerId,
    hostname: "h",
    capabilities: ["cpu"],
    maxConcurrency: 4,
    pools: ["default"],
  });
}

describe("workers over HTTP with several servers", () => {
  it("are served by each of them in turn", async (t) => {
    const [one, two, three] = (await startServers(t, 3)) as [HttpWorld, HttpWorld, HttpWorld];
    await register(one, "w");
    await two.expect(200, "POST /workers/w/heartbeat", { currentLoad: 0 });
    await one.broker.submit({ submissions: [batch(2)] });
    const claimed = await three.expect<Claimed>(200, "POST /workers/w/claim", { max: 2, holding: [] });
    assert.equal(claimed.tasks.length, 2);
    const [first, second] = claimed.tasks as [Task, Task];
    await one.expect(200, "POST /workers/w/complete", { lease: first.lease, result: 1 });
    await two.expect(200, "POST /workers/w/complete", { lease: second.lease, result: 2 });
    await one.expect(200, "DELETE /workers/w");
    await two.expect(404, "POST /workers/w/heartbeat", { currentLoad: 0 });
  });

  it("keep what one server sends them while they are known to another", async (t) => {
    const [one, two] = (await startServers(t, 2)) as [HttpWorld, HttpWorld];
    await register(one, "w");
    const { executionId } = (await one.broker.submit({ submissions: [batch(1)] })).executions[0] as {
      executionId: string;
    };
    const [before] = (await one.expect<Claimed>(200, "POST /workers/w/claim", { holding: [] })).tasks as [Task];
    await one.expect(200, "POST /workers/w/complete", { lease: before.lease, result: 0 });
    await eventually(
      "it has ended",
      async () => (await one.broker.getExecution({ executionId })).state === "completed",
    );
    for (let round = 0; round < 5; round += 1) {
      const waiting = two.expect<Claimed>(200, "POST /workers/w/claim", { wait: "20s", holding: [] });
      // By then the claim has found nothing and stands in line.
      for (let time = 0; time < 3; time += 1) await two.expect(200, "POST /workers/w/heartbeat", { currentLoad: 0 });
      await one.broker.submit({ submissions: [batch(1)] });
      const [task] = (await waiting).tasks as [Task];
      await two.expect(200, "POST /workers/w/heartbeat", { currentLoad: 1 });
      await two.expect(200, "POST /workers/w/complete", { lease: task.lease, result: round });
    }
  });
});
