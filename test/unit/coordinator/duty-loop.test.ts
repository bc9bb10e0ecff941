import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import type { Duty, DutyReport } from "../../../src/coordinator/duty.ts";
import { DutyLoop } from "../../../src/coordinator/duty-loop.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import type { Logger } from "../../../src/telemetry/log.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { VIRTUAL_START, VirtualClock } from "../../support/virtual-clock.ts";
import { scriptedBroker } from "./scripted-broker.ts";

const INTERVAL_MS = 1_000;
const NOTHING: DutyReport = { handled: 0, more: false };

interface Setup {
  readonly random?: number;
  readonly isLeader?: () => boolean;
  readonly logger?: Logger;
  readonly runsAtEnd?: boolean;
  readonly run?: (runNumber: number) => Promise<DutyReport>;
}

function loopOf(setup: Setup): { clock: VirtualClock; loop: DutyLoop; runsAtMs: number[] } {
  const clock = new VirtualClock();
  const runsAtMs: number[] = [];
  const duty: Duty = {
    name: "probe",
    intervalMs: INTERVAL_MS,
    counts: "things done",
    runsAtEnd: setup.runsAtEnd ?? false,
    runOnce: (_broker: Broker) => {
      runsAtMs.push(clock.now() - VIRTUAL_START);
      return setup.run?.(runsAtMs.length) ?? Promise.resolve(NOTHING);
    },
  };
  const loop = new DutyLoop({
    duty,
    broker: scriptedBroker({}),
    clock,
    random: () => setup.random ?? 0,
    logger: setup.logger ?? silentLogger,
    isLeader: setup.isLeader ?? (() => true),
  });
  return { clock, loop, runsAtMs };
}

describe("duty loop", () => {
  it("starts after a random part of the interval, then runs once per interval", async () => {
    const { clock, loop, runsAtMs } = loopOf({ random: 0.25 });
    loop.start();
    await clock.advance(3_000);
    assert.deepEqual(runsAtMs, [250, 1_250, 2_250]);
    await loop.stop();
  });

  it("runs again at once while there is more", async () => {
    const { clock, loop, runsAtMs } = loopOf({ run: async (run) => ({ handled: 5, more: run < 3 }) });
    loop.start();
    await clock.advance(1_500);
    assert.deepEqual(runsAtMs, [0, 0, 0, 1_000]);
    await loop.stop();
  });

  it("runs at the moment the broker names, but never later than its interval", async () => {
    const dueAtMs = [400, 90_000, 0];
    const { clock, loop, runsAtMs } = loopOf({
      run: async (run) => ({ ...NOTHING, nextAt: VIRTUAL_START + (dueAtMs[run - 1] ?? Infinity) }),
    });
    loop.start();
    await clock.advance(1_401);
    assert.deepEqual(runsAtMs, [0, 400, 1_400, 1_401]);
    await loop.stop();
  });

  it("does nothing while another coordinator leads", async () => {
    let leads = false;
    const { clock, loop, runsAtMs } = loopOf({ isLeader: () => leads });
    loop.start();
    await clock.advance(2_500);
    assert.deepEqual(runsAtMs, []);
    leads = true;
    await clock.advance(1_000);
    assert.deepEqual(runsAtMs, [3_000]);
    await loop.stop();
  });

  it("goes on after failures, later and later, and as usual after a success", async () => {
    const { clock, loop, runsAtMs } = loopOf({
      run: (run) => (run <= 3 ? Promise.reject(new HoldfastError("BROKER_CLOSED")) : Promise.resolve(NOTHING)),
    });
    loop.start();
    await clock.advance(15_500);
    assert.deepEqual(runsAtMs, [0, 2_000, 6_000, 14_000, 15_000]);
    await loop.stop();
  });

  it("never pauses longer than half a minute, however often it fails", async () => {
    const { clock, loop, runsAtMs } = loopOf({ run: () => Promise.reject(new Error("disk on fire")) });
    loop.start();
    await clock.advance(600_000);
    const pauses = runsAtMs.slice(1).map((at, index) => at - (runsAtMs[index] ?? 0));
    assert.equal(Math.max(...pauses), 30_000);
    await loop.stop();
  });

  it("logs what a run did and why one failed", async () => {
    const lines: string[] = [];
    const note = (_fields: object, message: string): void => void lines.push(message);
    const logger: Logger = { ...silentLogger, info: note, warn: note };
    const { clock, loop } = loopOf({
      logger,
      run: (run) => (run === 1 ? Promise.resolve({ handled: 2, more: false }) : Promise.reject(new Error("no"))),
    });
    loop.start();
    await clock.advance(1_000);
    assert.deepEqual(lines, ["things done", "duty failed; trying again"]);
    await loop.stop();
  });

  it("stops after the run under way and plans none", async () => {
    const { promise, resolve } = Promise.withResolvers<DutyReport>();
    const { clock, loop, runsAtMs } = loopOf({ run: () => promise });
    loop.start();
    await clock.advance(0);
    let stopped = false;
    const stopping = loop.stop().then(() => {
      stopped = true;
    });
    await clock.advance(5_000);
    assert.equal(stopped, false, "the run has not ended");
    resolve({ handled: 1, more: true });
    await stopping;
    await clock.advance(5_000);
    assert.deepEqual(runsAtMs, [0]);
    assert.equal(clock.waiting, 0);
  });

  it("runs a last time at the end, if the duty says so and leads, and whatever comes of it", async () => {
    for (const { leads, runs } of [
      { leads: true, runs: [0, 500] },
      { leads: false, runs: [] },
    ]) {
      const { clock, loop, runsAtMs } = loopOf({
        runsAtEnd: true,
        isLeader: () => leads,
        run: (run) => (run === 1 ? Promise.resolve(NOTHING) : Promise.reject(new HoldfastError("BROKER_CLOSED"))),
      });
      loop.start();
      await clock.advance(500);
      await loop.stop();
      assert.deepEqual(runsAtMs, runs);
      assert.equal(clock.waiting, 0);
    }
  });
});
