import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Broker, PendingVerification, VerificationVerdict } from "../../../src/broker/contract.ts";
import { dutiesOf, startCoordinator } from "../../../src/coordinator/index.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { scriptedBroker } from "./scripted-broker.ts";

const NOTHING = { handled: 0, more: false };

function countingBroker(extra: Partial<Broker> = {}): { broker: Broker; calls: Map<string, number[]> } {
  const calls = new Map<string, number[]>();
  const duty = (name: string) => async (params: { readonly limit: number }) => {
    calls.set(name, [...(calls.get(name) ?? []), params.limit]);
    return NOTHING;
  };
  const broker = scriptedBroker({
    lead: async () => ({ leader: true, term: 1 }),
    reapSessions: duty("reapSessions"),
    promoteDue: duty("promoteDue"),
    reapOverdue: duty("reapOverdue"),
    purge: duty("purge"),
    pendingVerifications: async () => {
      calls.set("pendingVerifications", [...(calls.get("pendingVerifications") ?? []), 0]);
      return { pending: [] };
    },
    ...extra,
  });
  return { broker, calls };
}

function start(broker: Broker, clock: VirtualClock): ReturnType<typeof startCoordinator> {
  return startCoordinator({ broker, clock, random: () => 0.5, logger: silentLogger, holder: "test" });
}

describe("coordinator", () => {
  it("runs every duty at its pace", async () => {
    const clock = new VirtualClock();
    const { broker, calls } = countingBroker();
    const coordinator = start(broker, clock);
    await clock.advance(60_000);
    const runs = Object.fromEntries([...calls].map(([name, limits]) => [name, limits.length]));
    assert.deepEqual(runs, {
      reapSessions: 240,
      promoteDue: 240,
      reapOverdue: 60,
      pendingVerifications: 120,
      purge: 1,
    });
    await coordinator.stop();
    assert.equal(clock.waiting, 0, "no timer outlives it");
  });

  it("bounds the work of every run", async () => {
    const clock = new VirtualClock();
    const { broker, calls } = countingBroker();
    const coordinator = start(broker, clock);
    await clock.advance(60_000);
    for (const [name, limits] of calls) {
      assert.ok(
        limits.every((limit) => limit <= 1_000),
        `${name} asks for at most 1,000 entries`,
      );
    }
    await coordinator.stop();
  });

  it("survives a broker that is closed under it", async () => {
    const clock = new VirtualClock();
    const closed = (): Promise<never> => Promise.reject(new HoldfastError("BROKER_CLOSED"));
    const coordinator = start(scriptedBroker({ lead: closed, reapSessions: closed }), clock);
    await clock.advance(10_000);
    assert.equal(coordinator.isLeader, false);
    await coordinator.stop();
  });

  it("lets one duty fail without holding up the others", async () => {
    const clock = new VirtualClock();
    const { broker, calls } = countingBroker({ reapSessions: () => Promise.reject(new Error("broken")) });
    const coordinator = start(broker, clock);
    await clock.advance(10_000);
    assert.equal(calls.get("promoteDue")?.length, 40);
    await coordinator.stop();
  });

  it("runs a duty by name and refuses a name it does not know", async () => {
    const clock = new VirtualClock();
    const { broker } = countingBroker({ purge: async () => ({ handled: 3, more: true }) });
    const coordinator = start(broker, clock);
    assert.deepEqual(await coordinator.runOnce("retention"), { handled: 3, more: true });
    await assert.rejects(coordinator.runOnce("sweeping"), /no duty sweeping/);
    await coordinator.stop();
  });

  it("has duties with names of their own", () => {
    const duties = dutiesOf(new VirtualClock());
    assert.equal(new Set(duties.map((duty) => duty.name)).size, duties.length);
  });
});

describe("verification duty", () => {
  const chunk = { executionId: "e1", task: 0, start: 0, end: 2, tolerance: 0 };
  const agreeing: PendingVerification = {
    ...chunk,
    copies: [
      { worker: "a", values: "[1,2]" },
      { worker: "b", values: "[1,2]" },
    ],
  };
  const differing: PendingVerification = {
    ...chunk,
    start: 2,
    end: 4,
    copies: [
      { worker: "a", values: "[1,2]" },
      { worker: "b", values: "[1,3]" },
      { worker: "c", values: "[1,2]" },
    ],
  };

  it("judges copies that agree and copies that do not", async () => {
    const judged: VerificationVerdict[] = [];
    const { broker } = countingBroker({
      pendingVerifications: async () => ({ pending: [agreeing, differing] }),
      judgeVerifications: async ({ verdicts }) => void judged.push(...verdicts),
    });
    const coordinator = start(broker, new VirtualClock());
    assert.deepEqual(await coordinator.runOnce("verification"), { handled: 2, more: false });
    assert.deepEqual(judged, [
      { executionId: "e1", task: 0, start: 0 },
      { executionId: "e1", task: 0, start: 2, disagreement: { item: 3, workers: ["b"] } },
    ]);
    await coordinator.stop();
  });

  it("says nothing when nothing is pending", async () => {
    const { broker } = countingBroker();
    const coordinator = start(broker, new VirtualClock());
    assert.deepEqual(await coordinator.runOnce("verification"), NOTHING);
    await coordinator.stop();
  });
});
