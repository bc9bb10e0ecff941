/** Health, readiness, liveness and version, with stores that are well and stores that are not. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { healthHandlers } from "../../../src/server/handlers/health.ts";
import type { ServerParts } from "../../../src/server/handler.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { checkedReply } from "../../support/checked-reply.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { batch } from "../../support/submissions.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

interface Health {
  readonly success: boolean;
  readonly healthy: boolean;
  readonly components: Readonly<Record<"queue" | "workerManager" | "stateStore", { healthy: boolean; name: string }>>;
  readonly workers: Readonly<Record<string, number>>;
  readonly error?: string;
}

function openStore(t: TestContext): Broker {
  const clock = systemClock();
  const broker = openSqliteBroker({ file: ":memory:", clock, random: Math.random, newId: () => crypto.randomUUID() });
  t.after(() => broker.close());
  return broker;
}

/** The store, of which one verb does something else. */
function broken(store: Broker, changes: Partial<Broker>): Broker {
  return new Proxy(store, {
    get: (target, key) => {
      const changed = (changes as Record<string | symbol, unknown>)[key];
      const value: unknown = changed ?? Reflect.get(target, key);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

async function refuse(): Promise<never> {
  throw new HoldfastError("BROKER_UNREACHABLE", { url: "redis://x", problem: "test" });
}

function askHealth(world: HttpWorld, status: number): Promise<Health> {
  return checkedReply<Health>(world, "getHealth", { status });
}

describe("health", () => {
  it("is there before anything was ever called", async (t) => {
    const world = await startHttpWorld(t);
    assert.deepEqual(await askHealth(world, 200), {
      success: true,
      healthy: true,
      components: {
        queue: { healthy: true, name: "Job Queue" },
        workerManager: { healthy: true, name: "Worker Manager" },
        stateStore: { healthy: true, name: "State Store" },
      },
      workers: { total: 0, active: 0, idle: 0, busy: 0, unhealthy: 0, utilizationPercent: 0 },
    });
    assert.equal((await world.call("GET /api/distributed/health")).status, 200);
  });

  it("counts workers by how busy they are", async (t) => {
    const world = await startHttpWorld(t);
    await world.broker.submit({ submissions: [batch(10)] });
    await FakeWorker.join(world.broker, { worker: "idle", slots: 4 });
    const busy = await FakeWorker.join(world.broker, { worker: "busy", slots: 1 });
    await busy.leases(3);
    const active = await FakeWorker.join(world.broker, { worker: "active", slots: 5 });
    await active.leases(2);
    const { workers } = await askHealth(world, 200);
    assert.deepEqual(workers, { total: 3, active: 1, idle: 1, busy: 1, unhealthy: 0, utilizationPercent: 30 });
  });

  it("says which component is ill, and answers 500", async (t) => {
    const store = openStore(t);
    const world = await startHttpWorld(t, { broker: broken(store, { readValue: refuse }) });
    const health = await askHealth(world, 500);
    assert.deepEqual([health.success, health.healthy], [false, false]);
    assert.deepEqual(
      Object.values(health.components).map(({ healthy }) => healthy),
      [true, true, false],
    );
    assert.match(health.error ?? "", /^State Store: /);
  });
});

function handlersOn(t: TestContext, changes: Partial<Broker>): { clock: VirtualClock; parts: ServerParts } {
  const clock = new VirtualClock();
  const parts: ServerParts = {
    broker: broken(openStore(t), changes),
    clock,
    random: Math.random,
    newId: () => crypto.randomUUID(),
    logger: silentLogger,
    version: "1.2.3",
    closing: new AbortController().signal,
  };
  return { clock, parts };
}

const NOTHING = { params: undefined, query: undefined, body: undefined };
const CALL = {
  principal: { name: "tester", role: "admin" },
  requestId: "r",
  signal: new AbortController().signal,
  header: () => undefined,
} as const;

describe("health of a broker that hangs", () => {
  it("is told within the deadline", async (t) => {
    const { clock, parts } = handlersOn(t, { listPools: never, listSessions: never, readValue: never });
    const handlers = healthHandlers(parts);
    const health = new PendingCall(handlers.getHealth(NOTHING, CALL));
    const ready = new PendingCall(handlers.getReadiness(NOTHING, CALL));
    await clock.advance(500);
    assert.deepEqual([health.state, ready.state], ["waiting", "waiting"]);
    await clock.advance(1_500);
    assert.deepEqual([health.state, ready.state], ["done", "done"]);
    assert.equal(clock.waiting, 0);
    const answer = (await health.promise) as unknown as { status: number; body: Health };
    assert.equal(answer.status, 500);
    assert.ok(Object.values(answer.body.components).every(({ healthy }) => !healthy));
  });

  it("does not keep the process from saying that it lives", async (t) => {
    const world = await startHttpWorld(t, { broker: broken(openStore(t), { readValue: never, listPools: never }) });
    assert.deepEqual(await checkedReply(world, "getLiveness"), { live: true });
  });
});

describe("readiness", () => {
  it("is given while the broker answers", async (t) => {
    const world = await startHttpWorld(t);
    assert.deepEqual(await checkedReply(world, "getReadiness"), { ready: true });
  });

  it("is withdrawn with a reason when it does not", async (t) => {
    const world = await startHttpWorld(t, { broker: broken(openStore(t), { readValue: refuse }) });
    const { ready, reason } = await checkedReply(world, "getReadiness", { status: 503 });
    assert.equal(ready, false);
    assert.match(String(reason), /broker does not answer/);
  });

  it("is withdrawn when the server ends", async (t) => {
    const { parts } = handlersOn(t, {});
    const handlers = healthHandlers({ ...parts, closing: AbortSignal.abort() });
    const answer = (await handlers.getReadiness(NOTHING, CALL)) as unknown as { status: number; body: unknown };
    assert.deepEqual([answer.status, answer.body], [503, { ready: false, reason: "The server is closing." }]);
  });
});

describe("what the server is", () => {
  it("tells its version and its document", async (t) => {
    const world = await startHttpWorld(t);
    assert.deepEqual(await checkedReply(world, "getVersion"), { name: "holdfast", version: "0.0.0-test", api: "v1" });
    const document = await checkedReply<{ openapi: string; paths: object }>(world, "getOpenApi");
    assert.equal(document.openapi, "3.1.0");
    assert.ok("/executions/{executionId}/why" in document.paths);
  });
});
