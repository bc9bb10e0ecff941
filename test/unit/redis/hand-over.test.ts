/** A little work is sent to an idle worker in the step that makes it ready, and comes back when nobody waits for it. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { createClient } from "@redis/client";
import type { Broker } from "../../../src/broker/contract.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { batch } from "../../support/submissions.ts";

const IDLE = "{holdfast:0}:pool:default:idle";
const CHANNEL = "{holdfast:0}:process:";

async function start(t: TestContext): Promise<{ readonly server: RedisServer; readonly broker: Broker }> {
  const server = await startRedis();
  t.after(() => server.stop());
  const broker = await openRedisBroker({
    target: { mode: "standalone", nodes: [{ host: server.host, port: server.port }], db: 0 },
    clock: systemClock({ keepAlive: true }),
    random: Math.random,
    newId: () => crypto.randomUUID(),
  });
  t.after(() => broker.close());
  return { server, broker };
}

/** What is sent to processes from now on. */
async function listen(t: TestContext, server: RedisServer): Promise<readonly string[]> {
  const heard: string[] = [];
  const client = createClient({ url: server.url, RESP: 2 });
  // The server may be gone before it at the end.
  client.on("error", () => undefined);
  await client.connect();
  t.after(() => client.destroy());
  await client.pSubscribe(`${CHANNEL}*`, (message) => heard.push(message));
  return heard;
}

/** The only process that holds a broker on the server. */
async function processOf(server: RedisServer): Promise<string> {
  const [channel = ""] = (await server.command("PUBSUB", "CHANNELS", `${CHANNEL}*`)) as string[];
  return channel.slice(CHANNEL.length);
}

describe("work for an idle worker", () => {
  it("comes with the submit: the worker does not claim again", async (t) => {
    const { server, broker } = await start(t);
    const worker = await FakeWorker.join(broker);
    const waiting = worker.waitForWork(20_000);
    while ((await server.command("ZCARD", IDLE)) !== 1) continue;
    const heard = await listen(t, server);
    await broker.submit({ submissions: [batch(1)] });
    const { leases } = await waiting.promise;
    await eventually("the lease was sent", () => heard.length > 0);
    assert.equal(leases.length, 1);
    assert.match(heard.join(), new RegExp(leases[0]?.executionId ?? "none"));
    await worker.finish(...leases);
  });

  it("comes back when the worker does not wait any more, and costs no attempt", async (t) => {
    const { server, broker } = await start(t);
    const absent = await FakeWorker.join(broker, { worker: "absent" });
    // As if its wait had ended in the very moment in which it was chosen.
    const wants = ["wantsLeases", "1", "wantsAgeingMs", "30000", "wantsFor", await processOf(server)];
    await server.command("HSET", `{holdfast:0}:session:${absent.session}`, ...wants);
    await server.command("ZADD", IDLE, "0", absent.session);
    const heard = await listen(t, server);
    await broker.submit({ submissions: [batch(1)] });
    await eventually("the lease was sent", () => heard.length > 0);
    const other = await FakeWorker.join(broker, { worker: "other" });
    const { leases } = await other.waitForWork(20_000).promise;
    assert.deepEqual(
      leases.map(({ task, attempt }) => [task, attempt]),
      [[0, 1]],
    );
    await other.finish(...leases);
  });
});
