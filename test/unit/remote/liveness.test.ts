/** What the host concludes from a socket that has gone: nothing too soon, and never too little. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import type { Broker, ClaimReply } from "../../../src/broker/contract.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { Belongings, brokerOf, eventually, gate, TinyBroker } from "./support.ts";

const belongings = new Belongings();
afterEach(() => belongings.end());

const profile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 1 };
const GRACE_MS = 200;

test("a worker whose socket is gone is declared lost after the grace time, not before", async () => {
  const tiny = new TinyBroker();
  const clock = new VirtualClock();
  const host = await belongings.serve(tiny.broker, { clock, socketGraceMs: GRACE_MS });
  const worker = await belongings.raw(host.url);
  worker.send([1, 0, "openSession", profile]);
  await worker.frame(1);
  tiny.add(2);
  worker.send([2, 1, "claim", { session: "s1", max: 2, waitMs: 0 }]);
  await worker.frame(2);
  const timers = clock.waiting;
  worker.socket.terminate();
  await eventually(() => clock.waiting === timers + 1);
  await clock.advance(GRACE_MS - 1);
  assert.equal(tiny.sessions.get("s1"), "live");
  await clock.advance(1);
  await tiny.until(() => tiny.sessions.get("s1") === "lost");
  // The worker had its leases, so they count: one of them may have killed it.
  assert.deepEqual(tiny.lost, [0, 1]);
});

test("a session that was closed in order is not declared lost", async () => {
  const tiny = new TinyBroker();
  const reasons: string[] = [];
  const closeSession: Broker["closeSession"] = (params) => {
    reasons.push(params.reason);
    return tiny.broker.closeSession(params);
  };
  const clock = new VirtualClock();
  const host = await belongings.serve({ ...tiny.broker, closeSession }, { clock, socketGraceMs: GRACE_MS });
  const worker = await belongings.connect(host.url);
  const { session } = await worker.openSession(profile);
  await worker.closeSession({ session, reason: "left" });
  const timers = clock.waiting;
  await worker.close();
  await eventually(() => clock.waiting === timers + 1);
  await clock.advance(10 * GRACE_MS);
  assert.deepEqual(reasons, ["left"]);
});

test("a client that is back within the grace time keeps its session", async () => {
  const tiny = new TinyBroker();
  const clock = new VirtualClock();
  const host = await belongings.serve(tiny.broker, { clock, socketGraceMs: GRACE_MS });
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url);
  const { session } = await client.openSession(profile);
  for (let cuts = 1; cuts <= 5; cuts += 1) {
    cable.cut();
    await eventually(() => cable.connections === cuts + 1);
    await client.heartbeat({ session, running: 0 });
    await clock.advance(10 * GRACE_MS);
  }
  assert.equal(tiny.sessions.get(session), "live");
});

test("a session that is used over another stream meanwhile lives on", async () => {
  const tiny = new TinyBroker();
  const clock = new VirtualClock();
  const host = await belongings.serve(tiny.broker, { clock, socketGraceMs: GRACE_MS });
  const one = await belongings.raw(host.url);
  one.send([1, 0, "openSession", profile]);
  one.send([2, 0, "openSession", profile]);
  await one.frame(2);
  one.socket.terminate();
  const other = await belongings.raw(host.url);
  other.send([1, 0, "heartbeat", { session: "s1", running: 0 }]);
  await other.frame(1);
  await clock.advance(10 * GRACE_MS);
  await tiny.until(() => tiny.sessions.get("s2") === "lost");
  assert.equal(tiny.sessions.get("s1"), "live");
});

test("a claim that waits for a worker that has gone swallows no lease", async () => {
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker, { socketGraceMs: 1 });
  const worker = await belongings.raw(host.url);
  worker.send([1, 0, "openSession", profile]);
  await worker.frame(1);
  worker.send([2, 1, "claim", { session: "s1", max: 5, waitMs: 30_000 }]);
  await tiny.until(() => tiny.waiting === 1);
  worker.socket.terminate();
  await tiny.until(() => tiny.sessions.get("s1") === "lost");
  tiny.add(5);
  await eventually(() => tiny.waiting === 0);
  const other = await belongings.connect(host.url);
  const { session } = await other.openSession(profile);
  const { leases } = await other.claim({ session, max: 10, waitMs: 5_000 });
  assert.equal(leases.length, 5);
});

test("leases granted between the loss of the socket and the end of the grace time go back uncounted", async () => {
  const tiny = new TinyBroker();
  const clock = new VirtualClock();
  const host = await belongings.serve(tiny.broker, { clock, socketGraceMs: GRACE_MS });
  const worker = await belongings.raw(host.url);
  worker.send([1, 0, "openSession", profile]);
  await worker.frame(1);
  worker.send([2, 1, "claim", { session: "s1", max: 5, waitMs: 30_000 }]);
  await tiny.until(() => tiny.waiting === 1);
  const timers = clock.waiting;
  worker.socket.terminate();
  await eventually(() => clock.waiting === timers + 1);
  tiny.add(5);
  await tiny.until(() => tiny.held.size === 5);
  await clock.advance(GRACE_MS);
  await tiny.until(() => tiny.sessions.get("s1") === "lost");
  assert.deepEqual([tiny.returned, tiny.lost, tiny.held.size], [[0, 1, 2, 3, 4], [], 0]);
});

test("leases of a claim that is answered when its stream is gone go back, even if the session lives", async () => {
  const tiny = new TinyBroker();
  const answer = gate();
  const claim = async (params: Parameters<Broker["claim"]>[0]): Promise<ClaimReply> => {
    const reply = await tiny.broker.claim(params);
    await answer.opened;
    return reply;
  };
  const clock = new VirtualClock();
  const host = await belongings.serve({ ...tiny.broker, claim }, { clock, socketGraceMs: GRACE_MS });
  const one = await belongings.raw(host.url);
  one.send([1, 0, "openSession", profile]);
  await one.frame(1);
  tiny.add(2);
  one.send([2, 1, "claim", { session: "s1", max: 2, waitMs: 0 }]);
  await tiny.until(() => tiny.held.size === 2);
  const timers = clock.waiting;
  one.socket.terminate();
  await eventually(() => clock.waiting === timers + 1);
  const other = await belongings.raw(host.url);
  other.send([1, 0, "heartbeat", { session: "s1", running: 0 }]);
  await other.frame(1);
  await clock.advance(GRACE_MS);
  answer.open();
  await tiny.until(() => tiny.held.size === 0);
  assert.deepEqual([tiny.returned, tiny.sessions.get("s1")], [[0, 1], "live"]);
});

test("a session opened for a worker that has gone is closed", async () => {
  const tiny = new TinyBroker();
  const answer = gate();
  const openSession: Broker["openSession"] = async (params) => {
    const reply = await tiny.broker.openSession(params);
    await answer.opened;
    return reply;
  };
  const clock = new VirtualClock();
  const host = await belongings.serve({ ...tiny.broker, openSession }, { clock, socketGraceMs: GRACE_MS });
  const worker = await belongings.raw(host.url);
  worker.send([1, 0, "openSession", profile]);
  await tiny.until(() => tiny.sessions.size === 1);
  const timers = clock.waiting;
  worker.socket.terminate();
  await eventually(() => clock.waiting === timers + 1);
  await clock.advance(GRACE_MS);
  answer.open();
  await tiny.until(() => tiny.sessions.get("s1") === "lost");
});

test("a host that ends in order declares nobody lost", async () => {
  const tiny = new TinyBroker();
  const clock = new VirtualClock();
  const host = await belongings.serve(tiny.broker, { clock, socketGraceMs: GRACE_MS });
  const worker = await belongings.raw(host.url);
  worker.send([1, 0, "openSession", profile]);
  await worker.frame(1);
  const closed = once(worker.socket, "close");
  await host.close();
  assert.deepEqual((await closed)[0], 1012);
  await clock.advance(60_000);
  assert.equal(tiny.sessions.get("s1"), "live");
  assert.equal(clock.waiting, 0);
});

test("a client that never answers pings is cut off", async () => {
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker, { keepaliveMs: 10, socketGraceMs: 1 });
  const worker = await belongings.raw(host.url);
  worker.send([1, 0, "openSession", profile]);
  await worker.frame(1);
  worker.socket.pause();
  await tiny.until(() => tiny.sessions.get("s1") === "lost");
});

test("a failing closeSession harms nobody", async () => {
  let tried = 0;
  const tiny = new TinyBroker();
  const closeSession = (): Promise<void> => {
    tried += 1;
    return Promise.reject(new Error("the store is away"));
  };
  const host = await belongings.serve({ ...tiny.broker, closeSession }, { socketGraceMs: 1 });
  const worker = await belongings.raw(host.url);
  worker.send([1, 0, "openSession", profile]);
  await worker.frame(1);
  worker.socket.terminate();
  await eventually(() => tried === 1);
  assert.equal((await (await belongings.connect(host.url)).openSession(profile)).session, "s2");
});

test("a long wait adds up to what was asked, and ends early for a directive", async () => {
  const waits: number[] = [];
  const idle: ClaimReply = { leases: [], specs: {}, cancel: [], drain: false };
  let drain = false;
  const broker = brokerOf({
    claim: async ({ waitMs }) => {
      waits.push(waitMs);
      return { ...idle, drain };
    },
    commit: async ({ outcomes, claim }) => {
      waits.push(claim?.waitMs ?? -1);
      return { ...idle, verdicts: outcomes.map(() => "accepted") };
    },
  });
  const host = await belongings.serve(broker);
  const client = await belongings.connect(host.url);
  await client.claim({ session: "s", max: 1, waitMs: 1_700 });
  assert.deepEqual(waits.splice(0), [500, 500, 500, 200]);
  const lease = { executionId: "x", task: 0, token: "t" };
  const reply = await client.commit({
    session: "s",
    outcomes: [{ kind: "returned", lease }],
    claim: { max: 1, waitMs: 1_200 },
  });
  assert.deepEqual([waits.splice(0), reply.verdicts], [[500, 500, 200], ["accepted"]]);
  drain = true;
  await client.claim({ session: "s", max: 1, waitMs: 30_000 });
  assert.deepEqual(waits, [500]);
});

test("verdicts are not lost when the session dies during the wait after them", async () => {
  const broker = brokerOf({
    commit: async ({ outcomes }) => ({
      leases: [],
      specs: {},
      cancel: [],
      drain: false,
      verdicts: outcomes.map(() => "accepted"),
    }),
    claim: ({ session }) => Promise.reject(new HoldfastError("SESSION_LOST", { session })),
  });
  const host = await belongings.serve(broker);
  const client = await belongings.connect(host.url);
  const outcome = {
    kind: "completed",
    lease: { executionId: "x0", task: 0, token: "t" },
    durationMs: 1,
    result: "1",
  } as const;
  const reply = await client.commit({ session: "s", outcomes: [outcome], claim: { max: 1, waitMs: 1_000 } });
  assert.deepEqual([reply.verdicts, reply.leases], [["accepted"], []]);
  await assert.rejects(client.claim({ session: "s", max: 1, waitMs: 0 }), { code: "SESSION_LOST" });
});
