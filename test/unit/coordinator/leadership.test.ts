import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Broker, LeadParams } from "../../../src/broker/contract.ts";
import { LEADER_TTL_MS, Leadership } from "../../../src/coordinator/leadership.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { scriptedBroker } from "./scripted-broker.ts";

/** One leader lease, as a broker keeps it. */
function leaseOn(clock: VirtualClock): { broker: Broker; calls: LeadParams[]; reachable: boolean } {
  let holder: string | undefined;
  let term = 0;
  let until = 0;
  const world = {
    calls: [] as LeadParams[],
    reachable: true,
    broker: scriptedBroker({
      lead: async (params) => {
        if (!world.reachable) throw new HoldfastError("BROKER_UNREACHABLE", { url: "ws://there", problem: "no route" });
        world.calls.push(params);
        const now = clock.now();
        if (holder !== params.holder && now < until) return { leader: false, term };
        if (holder !== params.holder) term += 1;
        holder = params.holder;
        until = now + params.ttlMs;
        return { leader: true, term };
      },
    }),
  };
  return world;
}

describe("leadership", () => {
  it("takes the lease at once and renews it three times per life", async () => {
    const clock = new VirtualClock();
    const { broker, calls } = leaseOn(clock);
    const one = new Leadership({ broker, clock, logger: silentLogger, holder: "one" });
    assert.equal(one.isLeader, false, "nothing is asked while it is made");
    one.start();
    await clock.advance(LEADER_TTL_MS);
    assert.equal(one.isLeader, true);
    assert.equal(calls.length, 4);
    await one.stop();
  });

  it("has one leader among several, and another when that one leaves", async () => {
    const clock = new VirtualClock();
    const { broker } = leaseOn(clock);
    const [one, two] = ["one", "two"].map((holder) => new Leadership({ broker, clock, logger: silentLogger, holder }));
    assert.ok(one !== undefined && two !== undefined);
    one.start();
    two.start();
    await clock.advance(LEADER_TTL_MS * 3);
    assert.deepEqual([one.isLeader, two.isLeader], [true, false]);
    await one.stop();
    assert.equal(one.isLeader, false);
    await clock.advance(LEADER_TTL_MS / 2);
    assert.equal(two.isLeader, true, "the lease was handed over, not left to run out");
    await two.stop();
  });

  it("stops acting before its lease can pass on when the broker is out of reach, and comes back", async () => {
    const clock = new VirtualClock();
    const world = leaseOn(clock);
    const one = new Leadership({ broker: world.broker, clock, logger: silentLogger, holder: "one" });
    one.start();
    await clock.advance(LEADER_TTL_MS);
    world.reachable = false;
    await clock.advance(LEADER_TTL_MS / 2);
    assert.equal(one.isLeader, true, "one missed renewal is no reason");
    await clock.advance(LEADER_TTL_MS / 2);
    assert.equal(one.isLeader, false);
    world.reachable = true;
    await clock.advance(LEADER_TTL_MS);
    assert.equal(one.isLeader, true);
    await one.stop();
  });

  it("leaves in order when the broker is gone", async () => {
    const clock = new VirtualClock();
    const world = leaseOn(clock);
    const one = new Leadership({ broker: world.broker, clock, logger: silentLogger, holder: "one" });
    one.start();
    await clock.advance(1);
    world.reachable = false;
    await one.stop();
    assert.equal(clock.waiting, 0);
  });
});
