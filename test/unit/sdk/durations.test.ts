import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { durationsKey, durationsText } from "../../../src/core/durations.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { measuredDurations } from "../../../src/sdk/workflow/durations.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function valuesOf(values: Readonly<Record<string, string>>): Pick<Broker, "readValue"> & { reads: string[] } {
  const reads: string[] = [];
  return {
    reads,
    readValue: async ({ key }) => {
      reads.push(key);
      const value = values[key];
      return value === undefined ? {} : { value: { key, value, version: 1, updatedAt: 0 } };
    },
  };
}

describe("measured durations of a workflow", () => {
  it("are read once in half a minute, also where there are none", async () => {
    const clock = new VirtualClock();
    const means = new Map([["a", 12]]);
    const broker = valuesOf({ [durationsKey("known")]: durationsText({ endedAt: 1, means }) });
    for (let submit = 0; submit < 3; submit += 1) {
      assert.deepEqual(await measuredDurations(broker, "known", clock), means);
      assert.deepEqual(await measuredDurations(broker, "unknown", clock), new Map());
    }
    assert.deepEqual(broker.reads, [durationsKey("known"), durationsKey("unknown")]);
    await clock.advance(30_000);
    await measuredDurations(broker, "known", clock);
    assert.equal(broker.reads.length, 3);
    assert.deepEqual(await measuredDurations(valuesOf({}), "known", clock), new Map(), "another broker knows others");
  });

  it("are nothing when they cannot be read", async () => {
    const broker = { readValue: () => Promise.reject(new HoldfastError("BROKER_CLOSED")) };
    assert.deepEqual(await measuredDurations(broker, "known", new VirtualClock()), new Map());
  });

  it("do not fill the memory when every workflow has a name of its own", async () => {
    const clock = new VirtualClock();
    const broker = valuesOf({});
    for (let name = 0; name <= 1_000; name += 1) await measuredDurations(broker, `name-${name}`, clock);
    await measuredDurations(broker, "name-1000", clock);
    assert.equal(broker.reads.length, 1_001);
    await measuredDurations(broker, "name-0", clock);
    assert.equal(broker.reads.length, 1_002, "the oldest was forgotten");
  });
});
