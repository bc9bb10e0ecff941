import assert from "node:assert/strict";
import { test } from "node:test";
import { HoldfastError } from "../../../src/errors/index.ts";
import { Session } from "../../../src/worker/session.ts";
import { FakeBroker } from "../../fixtures/worker/fake-broker.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

async function openSession(patienceMs = 5_000) {
  const broker = new FakeBroker();
  broker.heartbeatMs = 1_000;
  const clock = new VirtualClock();
  const heard: string[] = [];
  const opened = await broker
    .asBroker()
    .openSession({ worker: "w", host: "h", pid: 1, pools: [], capabilities: [], slots: 1 });
  const session = new Session(
    opened,
    { broker: broker.asBroker(), clock, patienceMs, running: () => 3 },
    {
      directives: ({ drain }) => heard.push(drain ? "drain" : "fine"),
      failed: (error) => heard.push(HoldfastError.from(error).code),
      silent: () => heard.push("silent"),
    },
  );
  return { broker, clock, heard, session };
}

test("a heartbeat goes out at the interval that the broker asked for", async () => {
  const { broker, clock, heard } = await openSession();
  await clock.advance(999);
  assert.equal(broker.heartbeats.length, 0);
  await clock.advance(3_001);
  assert.deepEqual(
    broker.heartbeats,
    Array.from({ length: 4 }, () => ({ session: "s1", running: 3 })),
  );
  assert.deepEqual(heard, ["fine", "fine", "fine", "fine"]);
});

test("what the broker asks for is passed on", async () => {
  const { broker, clock, heard } = await openSession();
  broker.directives = { cancel: [], drain: true };
  await clock.advance(1_000);
  broker.loseSession();
  await clock.advance(1_000);
  assert.deepEqual(heard, ["drain", "SESSION_LOST"]);
});

test("silence is counted in beats without an answer", async () => {
  const { broker, clock, heard } = await openSession();
  for (let beat = 0; beat < 6; beat += 1) broker.failNext("heartbeat", new HoldfastError("BROKER_UNREACHABLE"));
  await clock.advance(5_000);
  assert.ok(!heard.includes("silent"));
  await clock.advance(1_000);
  assert.equal(heard.at(-1), "silent");
});

test("any answer breaks the silence", async () => {
  const { broker, clock, heard, session } = await openSession();
  for (let beat = 0; beat < 9; beat += 1) broker.failNext("heartbeat", new HoldfastError("BROKER_UNREACHABLE"));
  await clock.advance(4_000);
  session.heard();
  await clock.advance(4_000);
  assert.ok(!heard.includes("silent"));
});

test("an ended session is silent itself", async () => {
  const { broker, clock, heard, session } = await openSession();
  session.end();
  await clock.advance(10_000);
  assert.equal(broker.heartbeats.length, 0);
  assert.deepEqual(heard, []);
});
