/**
 * A server that comes back without its last writes, as after the crash of its machine or a fail-over to
 * a replica that was behind: what a session was granted or told there must not count against others.
 */
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { auditBroker } from "../../contract/audit.ts";
import { cleanups } from "../../fixtures/sdk/scratch.ts";
import { ascending } from "../../support/ascending.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { done } from "../../support/outcomes.ts";
import { standalone } from "../../support/redis-link.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { batch } from "../../support/submissions.ts";

interface World {
  readonly server: RedisServer;
  open(): Promise<Broker>;
  /** Notes what the server has on its disk. */
  remember(): void;
  /** The server starts again with what it had then. */
  goBack(): Promise<void>;
}

async function startWorld(t: TestContext): Promise<World> {
  const cleanup = cleanups(t);
  const server = await startRedis({ appendonly: "always" });
  cleanup(() => server.stop());
  const [data, copy] = ["appendonlydir", "copy"].map((name) => path.join(server.folder, name)) as [string, string];
  let ids = 0;
  return {
    server,
    open: async () => {
      const newId = (): string => `id-${(ids += 1)}`;
      const clock = systemClock({ keepAlive: true });
      const broker = await openRedisBroker({ target: standalone(server), clock, random: Math.random, newId });
      cleanup(() => broker.close());
      return broker;
    },
    remember: () => cpSync(data, copy, { recursive: true }),
    goBack: async () => {
      await server.kill();
      rmSync(data, { recursive: true });
      cpSync(copy, data, { recursive: true });
      await server.restart();
    },
  };
}

describe("a server that has forgotten its last writes", () => {
  it("does not take a forgotten lease's outcome for that of who holds the task now", async (t) => {
    const world = await startWorld(t);
    const [one, two] = [await world.open(), await world.open()];
    const [first, second] = [
      await FakeWorker.join(one, { worker: "one" }),
      await FakeWorker.join(two, { worker: "two" }),
    ];
    const { executions } = await one.submit({ submissions: [batch(2)] });
    const { executionId } = executions[0] ?? assert.fail();
    world.remember();
    const forgotten = await first.take();
    await world.goBack();
    const [again, other] = await second.leases(2);
    assert.ok(again !== undefined && other !== undefined);
    assert.equal(again.task, forgotten.task);
    assert.deepEqual(await first.report(done(forgotten)), ["refused"]);
    await second.finish(again, other);
    const view = await one.getExecution({ executionId });
    assert.deepEqual([view.state, view.counters.completed, view.refusedOutcomes], ["completed", 2, 1]);
    await auditBroker(one);
  });

  it("gets back the leases whose outcomes it has forgotten", async (t) => {
    const world = await startWorld(t);
    const broker = await world.open();
    const worker = await FakeWorker.join(broker);
    const { executions } = await broker.submit({ submissions: [batch(3)] });
    const { executionId } = executions[0] ?? assert.fail();
    const leases = await worker.leases(2);
    world.remember();
    await worker.finish(...leases);
    await world.goBack();
    // It lives on and knows of no lease: all three are to be had, the two as if for the first time.
    const again = await worker.leases(3);
    assert.deepEqual(ascending(again.map(({ task }) => task)), [0, 1, 2]);
    assert.deepEqual(
      again.map(({ attempt }) => attempt),
      [1, 1, 1],
    );
    await worker.finish(...again);
    const view = await broker.getExecution({ executionId });
    assert.deepEqual([view.state, view.counters.completed, view.lostAttempts], ["completed", 3, 0]);
    await auditBroker(broker);
  });
});
