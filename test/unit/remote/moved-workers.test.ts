/**
 * Two hosts on one store: what the one that lost sight of a worker may conclude, and what not. On
 * Redis, where two servers really are, and on SQLite.
 */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import {
  type Broker,
  BROKER_METHODS,
  type BrokerMethod,
  type ClaimReply,
  type Lease,
  type WorkerProfile,
} from "../../../src/broker/contract.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import type { ServedBroker } from "../../../src/broker/remote/serve-broker.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { type Clock, sleep } from "../../../src/util/clock.ts";
import { sharedRedis } from "../../support/redis-server.ts";
import { batch } from "../../support/submissions.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { Belongings, eventually, type RawClient } from "./support.ts";

const belongings = new Belongings();
afterEach(() => belongings.end());

const GRACE_MS = 200;
const KEEPALIVE_MS = 1_000;
const PROFILE: WorkerProfile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 4 };
const MAX_LOOKS = 5_000;
const STORES = ["sqlite", "redis"] as const;

interface World {
  readonly clock: VirtualClock;
  readonly broker: Broker;
  /** Where the worker begins. */
  readonly first: ServedBroker;
  readonly other: ServedBroker;
  /** Heartbeats that were heard late, or will be. */
  readonly late: readonly Promise<unknown>[];
  /** The first host's clock runs ahead by this much: it stood still meanwhile, and has not looked at its timers yet. */
  pauseFirst(ms: number): void;
  /** How long ago the broker heard of the session, and whether it lives. */
  view(): Promise<{ readonly state: string; readonly silentForMs: number; readonly held: number }>;
}

/** `slowMs`: the store hears heartbeats so late. */
async function makeWorld(store: (typeof STORES)[number], slowMs = 0): Promise<World> {
  const clock = new VirtualClock();
  const late: Promise<unknown>[] = [];
  const opened = await openStore(store, clock);
  const broker =
    slowMs === 0
      ? opened
      : hearingLate(opened, (call) => {
          const heard = sleep(clock, slowMs).then(call);
          late.push(heard);
          return heard;
        });
  belongings.keep(() => broker.close());
  let aheadMs = 0;
  const ofFirst: Clock = {
    now: () => clock.now() + aheadMs,
    schedule: (delayMs, action) => clock.schedule(delayMs, action),
  };
  const hosting = { socketGraceMs: GRACE_MS, keepaliveMs: KEEPALIVE_MS };
  const first = await belongings.serve(broker, { ...hosting, clock: ofFirst });
  const other = await belongings.serve(broker, { ...hosting, clock });
  return {
    clock,
    broker,
    first,
    other,
    late,
    pauseFirst: (ms) => (aheadMs += ms),
    view: async () => {
      const { sessions } = await broker.listSessions({ limit: 10 });
      const [only] = sessions;
      assert.ok(only !== undefined && sessions.length === 1);
      return { state: only.state, silentForMs: clock.now() - only.lastSeenAt, held: only.leases };
    },
  };
}

async function openStore(store: (typeof STORES)[number], clock: Clock): Promise<Broker> {
  let ids = 0;
  const newId = (): string => `id-${(ids += 1)}`;
  if (store === "sqlite") return openSqliteBroker({ file: ":memory:", clock, random: Math.random, newId });
  const { host, port } = await sharedRedis();
  return openRedisBroker({
    target: { mode: "standalone", nodes: [{ host, port }], db: 0 },
    namespace: `moved-${crypto.randomUUID()}`,
    clock,
    time: () => clock.now(),
    random: Math.random,
    newId,
  });
}

/** Heartbeats are passed on by `delay`. */
function hearingLate(broker: Broker, delay: <T>(call: () => Promise<T>) => Promise<T>): Broker {
  const methods = Object.fromEntries(
    BROKER_METHODS.map((method) => [method, (params: never) => broker[method](params)]),
  ) as unknown as Pick<Broker, BrokerMethod>;
  const heartbeat: Broker["heartbeat"] = (params) => delay(() => broker.heartbeat(params));
  return { ...methods, heartbeat, features: broker.features, close: () => broker.close() };
}

interface Worker {
  readonly client: RawClient;
  readonly session: string;
}

/** Frame n answers the request n: nothing else is said on these streams. */
async function ask<T>(client: RawClient, id: number, method: string, params: unknown): Promise<T> {
  client.send([id, id - 1, method, params]);
  const [, , result] = (await client.frame(id)) as [number, boolean, T];
  return result;
}

async function join({ first }: World): Promise<Worker> {
  const client = await belongings.raw(first.url);
  const { session } = await ask<{ session: string }>(client, 1, "openSession", PROFILE);
  return { client, session };
}

/** A claim that waits, and has reached the store. */
async function waitForWork(world: World, { client, session }: Worker, id: number): Promise<void> {
  await world.clock.advance(1);
  client.send([id, id - 1, "claim", { session, max: 1, waitMs: 30_000 }]);
  await until(world, ({ silentForMs }) => silentForMs === 0);
}

/** The worker's connection to its host breaks; resolves when the host has noticed. */
async function cut({ clock }: World, { client }: Worker): Promise<void> {
  const timers = clock.waiting;
  client.socket.terminate();
  await eventually(() => clock.waiting === timers + 1);
}

async function goOnElsewhere({ other }: World, { session }: Worker, held: readonly Lease[]): Promise<void> {
  const client = await belongings.raw(other.url);
  const refs = held.map(({ executionId, task, token }) => ({ executionId, task, token }));
  await ask(client, 1, "reconcile", { session, held: refs });
}

async function until(world: World, holds: (view: Awaited<ReturnType<World["view"]>>) => boolean): Promise<void> {
  for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
    if (holds(await world.view())) return;
    await world.clock.advance(0);
  }
  assert.fail("it did not come to this");
}

async function lostAttempts({ broker }: World, executionId: string): Promise<readonly [number, number]> {
  const { lostAttempts: lost, counters } = await broker.getExecution({ executionId });
  return [lost, counters.queued];
}

async function submit({ broker }: World, count: number): Promise<string> {
  const { executions } = await broker.submit({ submissions: [batch(count)] });
  return executions[0]?.executionId ?? "";
}

for (const store of STORES) {
  test(`${store}: a worker that has moved to another host is not declared lost by the first one`, async () => {
    const world = await makeWorld(store);
    const executionId = await submit(world, 1);
    const worker = await join(world);
    const { leases } = await ask<ClaimReply>(worker.client, 2, "claim", { session: worker.session, max: 1, waitMs: 0 });
    await world.clock.advance(300);
    await cut(world, worker);
    await world.clock.advance(20);
    await goOnElsewhere(world, worker, leases);
    await world.clock.advance(10 * GRACE_MS);
    assert.equal((await world.view()).state, "live");
    assert.deepEqual(await lostAttempts(world, executionId), [0, 0]);
  });

  test(`${store}: a worker that is nowhere else is lost after the grace time, as soon as before`, async () => {
    const world = await makeWorld(store);
    const executionId = await submit(world, 1);
    const worker = await join(world);
    await ask(worker.client, 2, "claim", { session: worker.session, max: 1, waitMs: 0 });
    await cut(world, worker);
    await world.clock.advance(GRACE_MS - 1);
    assert.equal((await world.view()).state, "live");
    await world.clock.advance(1);
    await until(world, ({ state }) => state === "lost");
    assert.deepEqual(await lostAttempts(world, executionId), [1, 1]);
  });

  test(`${store}: what a dead worker said last is no sign of life because it was heard late`, async () => {
    const world = await makeWorld(store, GRACE_MS / 2);
    const worker = await join(world);
    const timers = world.clock.waiting;
    worker.client.send([2, 1, "heartbeat", { session: worker.session, running: 0 }]);
    await eventually(() => world.clock.waiting > timers);
    await cut(world, worker);
    await world.clock.advance(GRACE_MS / 2);
    await Promise.all(world.late);
    await world.clock.advance(GRACE_MS / 2);
    await until(world, ({ state }) => state === "lost");
  });

  test(`${store}: a dead worker whose claim was waiting is lost after the grace time, too`, async () => {
    const world = await makeWorld(store);
    const worker = await join(world);
    await waitForWork(world, worker, 2);
    // The host has asked again meanwhile.
    await world.clock.advance(900);
    await until(world, ({ silentForMs }) => silentForMs < 500);
    await cut(world, worker);
    await world.clock.advance(GRACE_MS);
    await until(world, ({ state }) => state === "lost");
  });

  test(`${store}: a claim that waits for one who has moved is no sign of life after that of the other host`, async () => {
    const world = await makeWorld(store);
    const worker = await join(world);
    await waitForWork(world, worker, 2);
    await world.clock.advance(350);
    await cut(world, worker);
    await world.clock.advance(20);
    await goOnElsewhere(world, worker, []);
    await world.clock.advance(GRACE_MS);
    const { state, silentForMs } = await world.view();
    assert.deepEqual([state, silentForMs], ["live", GRACE_MS]);
  });

  test(`${store}: what never reached a dead worker goes back uncounted, and does not make it look alive`, async () => {
    const world = await makeWorld(store);
    const executionId = await submit(world, 1);
    const worker = await join(world);
    await ask(worker.client, 2, "claim", { session: worker.session, max: 1, waitMs: 0 });
    await waitForWork(world, worker, 3);
    await world.clock.advance(100);
    await cut(world, worker);
    const second = await submit(world, 1);
    await until(world, ({ held }) => held === 2);
    await world.clock.advance(GRACE_MS);
    await until(world, ({ state }) => state === "lost");
    assert.deepEqual(
      [await lostAttempts(world, executionId), await lostAttempts(world, second)],
      [
        [1, 1],
        [0, 1],
      ],
    );
  });

  test(`${store}: what a host could not deliver goes back, and the worker that has moved lives on`, async () => {
    const world = await makeWorld(store);
    const worker = await join(world);
    await waitForWork(world, worker, 2);
    await world.clock.advance(100);
    await cut(world, worker);
    await world.clock.advance(20);
    await goOnElsewhere(world, worker, []);
    const executionId = await submit(world, 1);
    await until(world, ({ held }) => held === 1);
    await world.clock.advance(GRACE_MS);
    await until(world, ({ held }) => held === 0);
    assert.equal((await world.view()).state, "live");
    assert.deepEqual(await lostAttempts(world, executionId), [0, 1]);
  });

  test(`${store}: a host that stood still leaves it to their silence whether its workers are dead`, async () => {
    const world = await makeWorld(store);
    const worker = await join(world);
    await goOnElsewhere(world, worker, []);
    // Read only now, and passed on as a sign of life that comes after the last one elsewhere.
    world.pauseFirst(4 * KEEPALIVE_MS);
    await ask(worker.client, 2, "heartbeat", { session: worker.session, running: 0 });
    await cut(world, worker);
    await world.clock.advance(3 * GRACE_MS);
    assert.equal((await world.view()).state, "live");
    await world.clock.advance(5_000);
    await world.broker.reapSessions({ limit: 10 });
    assert.equal((await world.view()).state, "lost");
  });
}
