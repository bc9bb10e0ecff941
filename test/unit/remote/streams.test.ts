/** Streams that outlive their sockets: nothing is lost and nothing done twice when connections break. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import type { Broker, Lease, Outcome } from "../../../src/broker/contract.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { Belongings, brokerOf, eventually, gate, TinyBroker, TOKEN } from "./support.ts";

const belongings = new Belongings();
afterEach(() => belongings.end());

const profile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 1 };
/** No stream is gone in these tests. */
const LONG_GRACE = { socketGraceMs: 60_000 };

function completed({ executionId, task, token }: Lease): Outcome {
  return { kind: "completed", lease: { executionId, task, token }, durationMs: 1, result: "{}" };
}

test("a call that is under way when the connection breaks is performed once and answered", async () => {
  const opening = gate();
  let performed = 0;
  const host = await belongings.serve(
    brokerOf({
      extend: async ({ part }) => {
        performed += 1;
        await opening.opened;
        return { total: part };
      },
    }),
    LONG_GRACE,
  );
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url);
  const call = client.extend({ executionId: "x", part: 7, groups: [], seal: false });
  await eventually(() => performed === 1);
  cable.cut();
  await eventually(() => cable.connections === 2);
  opening.open();
  assert.deepEqual(await call, { total: 7 });
  assert.equal(performed, 1);
});

test("a reply that was lost on the way is given again", async () => {
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker, LONG_GRACE);
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url);
  const { session } = await client.openSession(profile);
  tiny.add(3);
  cable.deafClient = true;
  const claim = client.claim({ session, max: 3, waitMs: 0 });
  await tiny.until(() => tiny.held.size === 3);
  cable.deafClient = false;
  cable.cut();
  const { leases } = await claim;
  assert.deepEqual(
    leases.map((lease) => lease.task),
    [0, 1, 2],
  );
  assert.equal(tiny.held.size, 3);
  const reply = await client.commit({ session, outcomes: leases.map(completed) });
  assert.deepEqual(reply.verdicts, ["accepted", "accepted", "accepted"]);
});

test("calls made without a connection are made when there is one again, in order", async () => {
  const parts: number[] = [];
  const host = await belongings.serve(
    brokerOf({
      extend: async ({ part }) => {
        parts.push(part);
        return { total: part };
      },
    }),
    LONG_GRACE,
  );
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url);
  cable.mended = false;
  cable.cut();
  const calls = Array.from({ length: 20 }, (_, index) =>
    client.extend({ executionId: "x", part: index + 1, groups: [], seal: false }),
  );
  cable.mended = true;
  await Promise.all(calls);
  assert.deepEqual(
    parts,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
});

test("a half-open connection is noticed by its silence and made again", async () => {
  const host = await belongings.serve(new TinyBroker().broker, { ...LONG_GRACE, keepaliveMs: 20 });
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url);
  cable.deafClient = true;
  const call = client.openSession(profile);
  await eventually(() => cable.connections >= 2);
  cable.deafClient = false;
  assert.equal((await call).session, "s1");
});

test("only a connection that was cut is first made again where it was", async () => {
  const host = await belongings.serve(new TinyBroker().broker, { ...LONG_GRACE, keepaliveMs: 20 });
  const cable = await belongings.cable(host.url);
  const returns: boolean[] = [];
  const client = await belongings.connect(cable.url, {
    url: ({ isReturn }) => {
      returns.push(isReturn);
      return { url: cable.url, token: TOKEN };
    },
  });
  assert.deepEqual(returns.splice(0), [false]);
  cable.mended = false;
  cable.cut();
  await eventually(() => returns.length >= 3);
  cable.mended = true;
  const { session } = await client.openSession(profile);
  assert.ok(returns.splice(0).every((isReturn, attempt) => isReturn === (attempt === 0)));
  // A host that is silent may be so for long.
  cable.deafClient = true;
  const call = client.heartbeat({ session, running: 0 });
  await eventually(() => returns.length >= 1);
  cable.deafClient = false;
  await call;
  assert.equal(returns[0], false);
  returns.splice(0);
  await host.close();
  await eventually(() => returns.length >= 1);
  assert.equal(returns[0], false, "nor is one that ends in order");
});

test("whenever the connection breaks, each task is completed once and no lease is lost", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker, LONG_GRACE);
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url, { reconnect: { baseMs: 1, maxMs: 5 } });
  const total = 3_000;
  await client.submit({ submissions: [tasks(total)] });
  const finished = new AbortController();
  const cutter = (async () => {
    while (!finished.signal.aborted) {
      for (let turn = Math.floor(random() * 60); turn > 0; turn -= 1)
        await new Promise((resolve) => setImmediate(resolve));
      cable.cut();
    }
  })();
  await Promise.all(["a", "b", "c"].map((worker) => workUntil(client, worker, () => tiny.completions.size === total)));
  finished.abort();
  await cutter;
  assert.ok(cable.connections > 3, `${cable.connections} connections`);
  assert.deepEqual([...new Set(tiny.completions.values())], [1]);
  assert.deepEqual([tiny.completions.size, tiny.held.size, tiny.lost.length], [total, 0, 0]);
  assert.equal(tiny.keys.size, 1);
});

function tasks(count: number): Parameters<Broker["submit"]>[0]["submissions"][number] {
  const retry = { limit: 0, baseMs: 0, factor: 1, maxMs: 0, jitter: 0, never: [] };
  const work = { kind: "tasks", inputs: Array.from({ length: count }, String) } as const;
  return {
    name: "n",
    kind: "batch",
    priority: 5,
    groups: [{ name: "g", handler: "{}", pool: "p", requires: [], retry, maxLosses: 3, work }],
  };
}

async function workUntil(client: Broker, worker: string, done: () => boolean): Promise<void> {
  const { session } = await client.openSession({ ...profile, worker });
  let { leases } = await client.claim({ session, max: 20, waitMs: 10 });
  while (!done()) {
    const reply = await client.commit({ session, outcomes: leases.map(completed), claim: { max: 20, waitMs: 10 } });
    assert.ok(reply.verdicts.every((verdict) => verdict === "accepted"));
    ({ leases } = reply);
  }
  assert.deepEqual(leases, []);
}

test("a host that ends in order loses no session, and its clients go on with the next one elsewhere", async () => {
  const tiny = new TinyBroker();
  const first = await belongings.serve(tiny.broker);
  let url = first.url;
  const client = await belongings.connect(() => url);
  const { session } = await client.openSession(profile);
  tiny.add(1);
  const { leases } = await client.claim({ session, max: 1, waitMs: 0 });
  const waiting = client.claim({ session, max: 5, waitMs: 20_000 });
  await tiny.until(() => tiny.waiting === 1);
  const second = await belongings.serve(tiny.broker);
  url = second.url;
  assert.notEqual(url, first.url);
  await first.close();
  // The first host has answered the wait, in vain; the session and its lease live on.
  assert.deepEqual((await waiting).leases, []);
  assert.deepEqual((await client.commit({ session, outcomes: leases.map(completed) })).verdicts, ["accepted"]);
  assert.equal(tiny.sessions.get(session), "live");
});

test("reads that wait do not hold up a host that ends; the client asks the next host", async () => {
  let reads = 0;
  const waitForEver = { ...brokerOf({}), readEvents: () => new Promise<never>(() => (reads += 1)) };
  const first = await belongings.serve(waitForEver);
  let url = first.url;
  const client = await belongings.connect(() => url);
  const read = client.readEvents({ cursor: 0, limit: 1, waitMs: 30_000 });
  await eventually(() => reads === 1);
  url = (await belongings.serve(brokerOf({ readEvents: async ({ cursor }) => ({ events: [], cursor: cursor + 1 }) })))
    .url;
  await first.close();
  assert.deepEqual(await read, { events: [], cursor: 1 });
});

test("a client that never takes its replies is let go", async () => {
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker, { limits: { maxKeptSize: 2_000 } });
  const client = await belongings.raw(host.url);
  client.send([1, 0, "openSession", profile]);
  await client.frame(1);
  const closed = once(client.socket, "close");
  for (let id = 2; id < 100; id += 1) client.send([id, 0, "heartbeat", { session: "s1", running: 0 }]);
  await closed;
  await tiny.until(() => tiny.sessions.get("s1") === "lost");
});
