/** Shared state over a wire that breaks: long waits for a lock, and calls that are sent twice. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import type { AcquireLockParams, AcquireLockReply, Broker } from "../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { turnsOfTheLoop } from "../../support/virtual-clock.ts";
import { Belongings, brokerOf } from "./support.ts";

const belongings = new Belongings();

afterEach(() => belongings.end());

const ASKED: AcquireLockParams = { lock: "door", owner: "a", ttlMs: 60_000, waitMs: 1_200 };
const GRANTED: AcquireLockReply = { grant: { token: 1, expiresAt: 2 }, ahead: 0 };

function embedded(): Broker {
  let ids = 0;
  const broker = openSqliteBroker({
    file: ":memory:",
    clock: systemClock(),
    random: Math.random,
    newId: () => `id-${(ids += 1)}`,
  });
  belongings.keep(() => broker.close());
  return broker;
}

/** A client whose connection leads to one of two hosts of the broker. */
async function onTwoHosts(broker: Broker): Promise<{
  readonly client: Broker;
  /** Makes the call; its reply gets lost, and the other host is asked again. */
  readonly twice: <T>(call: () => Promise<T>, isDone: () => Promise<boolean>) => Promise<T>;
}> {
  const hosts = [await belongings.serve(broker), await belongings.serve(broker)];
  const ports = hosts.map((host) => Number(new URL(host.url).port));
  const cable = await belongings.cable(hosts[0]?.url ?? "");
  const client = await belongings.connect(cable.url);
  const twice = async <T>(call: () => Promise<T>, isDone: () => Promise<boolean>): Promise<T> => {
    cable.deafClient = true;
    const pending = new PendingCall(call());
    await eventually("the host has done it", isDone);
    assert.equal(pending.state, "waiting");
    cable.port = ports.find((port) => port !== cable.port) ?? cable.port;
    cable.deafClient = false;
    cable.cut();
    return pending.promise;
  };
  return { client, twice };
}

describe("a wait for a lock through a host", () => {
  it("is cut into slices that the client does not notice", async () => {
    const slices: AcquireLockParams[] = [];
    const acquireLock = (params: AcquireLockParams): Promise<AcquireLockReply> => {
      slices.push(params);
      return Promise.resolve(slices.length === 5 ? GRANTED : { ahead: slices.length });
    };
    const host = await belongings.serve(brokerOf({ acquireLock }));
    const client = await belongings.connect(host.url);
    assert.deepEqual(await client.acquireLock(ASKED), { ahead: 3 });
    assert.deepEqual(
      slices,
      [500, 500, 200].map((waitMs) => ({ ...ASKED, waitMs })),
    );
    assert.deepEqual(await client.acquireLock(ASKED), GRANTED);
    assert.equal(slices.length, 5, "a granted lock is not asked for again");
    await client.acquireLock({ ...ASKED, waitMs: 0 });
    assert.equal(slices.at(-1)?.waitMs, 0);
  });

  it("ends soon when the client has gone", async () => {
    let asked = 0;
    let slice: (reply: AcquireLockReply) => void = () => undefined;
    const inSlice = new EventTarget();
    const ended = new EventTarget();
    const isAsked = once(inSlice, "asked");
    const isLost = once(ended, "lost");
    const broker = brokerOf({
      openSession: () => Promise.resolve({ session: "s", heartbeatMs: 1_000, deadAfterMs: 5_000 }),
      closeSession: async () => void ended.dispatchEvent(new Event("lost")),
      acquireLock: () =>
        new Promise((resolve) => {
          asked += 1;
          slice = resolve;
          inSlice.dispatchEvent(new Event("asked"));
        }),
    });
    const host = await belongings.serve(broker);
    const client = await belongings.connect(host.url);
    await client.openSession({ worker: "w", host: "h", pid: 1, pools: ["p"], capabilities: [], slots: 1 });
    const waiting = client.acquireLock({ ...ASKED, waitMs: 30_000 });
    void Promise.allSettled([waiting]);
    await isAsked;
    await client.close();
    // The host takes its sessions for dead: it knows that the client has gone.
    await isLost;
    slice({ ahead: 0 });
    await turnsOfTheLoop();
    assert.equal(asked, 1);
  });

  it("ends with the lock when another client releases it", async () => {
    const broker = embedded();
    const host = await belongings.serve(broker);
    const [one, two] = [await belongings.connect(host.url), await belongings.connect(host.url)];
    await one.acquireLock({ ...ASKED, waitMs: 0 });
    const waiting = two.acquireLock({ ...ASKED, owner: "b", waitMs: 30_000 });
    await eventually("b stands in line", async () => (await broker.readLock({ lock: "door" })).lock?.waiting === 1);
    await one.releaseLock({ lock: "door", owner: "a" });
    assert.ok((await waiting).grant !== undefined);
  });
});

describe("a call whose reply was lost with its host", () => {
  it("writes a value once, also under a condition", async () => {
    const broker = embedded();
    const { client, twice } = await onTwoHosts(broker);
    const version = async (): Promise<number> => (await broker.readValue({ key: "k" })).value?.version ?? 0;
    const first = await twice(
      () => client.writeValue({ key: "k", value: "1", ttlMs: null, ifVersion: 0 }),
      async () => (await version()) > 0,
    );
    assert.equal(await version(), first.version);
    const second = await twice(
      () => client.writeValue({ key: "k", value: "2", ttlMs: null, ifVersion: first.version, writeId: "mine" }),
      async () => (await version()) > first.version,
    );
    assert.equal(await version(), second.version);
    const again = await client.writeValue({ key: "k", value: "2", ttlMs: null, ifVersion: 0, writeId: "mine" });
    assert.deepEqual(again, second, "the caller's own name of the write counts");
  });

  it("saves a checkpoint once", async () => {
    const broker = embedded();
    const { client, twice } = await onTwoHosts(broker);
    const count = async (): Promise<number> => (await broker.listCheckpoints({ scope: "s" })).checkpoints.length;
    const saved = await twice(
      () => client.saveCheckpoint({ scope: "s", data: "1", fence: 1, keep: 5, ttlMs: 60_000 }),
      async () => (await count()) > 0,
    );
    assert.deepEqual([saved.version, await count()], [1, 1]);
  });

  it("takes a lock once, and gives it back", async () => {
    const broker = embedded();
    const { client, twice } = await onTwoHosts(broker);
    const isHeld = async (): Promise<boolean> => (await broker.readLock({ lock: "door" })).lock !== undefined;
    const { grant } = await twice(() => client.acquireLock(ASKED), isHeld);
    assert.equal((await broker.readLock({ lock: "door" })).lock?.token, grant?.token);
    await twice(
      () => client.releaseLock({ lock: "door", owner: "a" }),
      async () => !(await isHeld()),
    );
    assert.equal(await isHeld(), false);
  });
});
