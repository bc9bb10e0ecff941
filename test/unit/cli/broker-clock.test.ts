import assert from "node:assert/strict";
import { test } from "node:test";
import { brokerClock } from "../../../src/cli/demo/broker-clock.ts";
import { VIRTUAL_START, VirtualClock } from "../../support/virtual-clock.ts";

const askedAt = VIRTUAL_START;
const answeredAt = VIRTUAL_START + 10;

test("a call that was dated to its own time leaves the clock as it is", () => {
  for (const datedAt of [askedAt, askedAt + 4, answeredAt])
    assert.equal(brokerClock(new VirtualClock(), { askedAt, answeredAt, datedAt }).now(), VIRTUAL_START);
});

test("a broker that dates it otherwise has a clock of its own", async () => {
  const clock = new VirtualClock();
  assert.equal(brokerClock(clock, { askedAt, answeredAt, datedAt: askedAt + 5_005 }).now(), VIRTUAL_START + 5_000);
  const behind = brokerClock(clock, { askedAt, answeredAt, datedAt: askedAt - 95 });
  assert.equal(behind.now(), VIRTUAL_START - 100);
  let rang = false;
  behind.schedule(20, () => (rang = true));
  await clock.advance(20);
  assert.equal(rang, true);
});
