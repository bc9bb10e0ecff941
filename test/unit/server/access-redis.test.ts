/** Three servers on one Redis, each with its own connection, share their tokens. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import { LOOK_EVERY_MS, TokenStore } from "../../../src/server/access/token-store.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { newTestSecret } from "../../support/access.ts";
import { sharedRedis } from "../../support/redis-server.ts";

async function brokersOf(t: TestContext, count: number): Promise<readonly Broker[]> {
  const { host, port } = await sharedRedis();
  const namespace = `access-${crypto.randomUUID()}`;
  const opened = Array.from({ length: count }, () =>
    openRedisBroker({
      target: { mode: "standalone", nodes: [{ host, port }], db: 0 },
      namespace,
      clock: systemClock({ keepAlive: true }),
      random: Math.random,
      newId: () => crypto.randomUUID(),
    }),
  );
  const brokers = await Promise.all(opened);
  t.after(() => Promise.all(brokers.map((broker) => broker.close())));
  return brokers;
}

test("one of them makes the first token, and what one makes or revokes counts for all", async (t) => {
  const clock = systemClock();
  const servers = (await brokersOf(t, 3)).map(
    (store) => new TokenStore({ store, clock, newId: () => crypto.randomUUID(), newSecret: newTestSecret }),
  );
  const [one, , three] = servers;
  assert.ok(one !== undefined && three !== undefined);
  const first = (await Promise.all(servers.map((tokens) => tokens.createFirst("first start")))).filter(
    (made) => made !== undefined,
  );
  assert.equal(first.length, 1);
  const { token, id } = await one.create({ name: "ci", role: "read", createdBy: "test" });
  for (const tokens of servers) {
    assert.ok("token" in (await tokens.verify(token)));
    assert.equal((await tokens.list()).length, 2);
  }
  const revokedAt = clock.now();
  await one.revoke(id);
  await eventually("the third refuses it", async () => "refused" in (await three.verify(token)));
  assert.ok(clock.now() - revokedAt < LOOK_EVERY_MS + 1_000);
});
