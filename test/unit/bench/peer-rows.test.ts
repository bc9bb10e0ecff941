import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertEachOnce, PAYLOAD_BYTES, payloadOf, taskOf } from "../../../bench/peers/peer.ts";
import { type PeerSample, rowsOf } from "../../../bench/peers/rows.ts";

const sample = (system: string, round: number, value: number): PeerSample => ({
  measure: "process",
  system,
  setting: "aof=no",
  unit: "tasks/s",
  round,
  value,
});

describe("rows of the comparison", () => {
  it("take ratios within a round, not between medians", () => {
    const rows = rowsOf(
      [
        ...[sample("holdfast", 1, 100), sample("bullmq", 1, 10)],
        ...[sample("bullmq", 2, 40), sample("holdfast", 2, 200)],
        ...[sample("holdfast", 3, 300), sample("bullmq", 3, 20)],
      ],
      ["process"],
    );
    const medians = Object.fromEntries(rows.map(({ system, median, rounds }) => [system, { median, rounds }]));
    assert.deepEqual(medians, {
      holdfast: { median: 200, rounds: 3 },
      bullmq: { median: 20, rounds: 3 },
      "holdfast / bullmq": { median: 10, rounds: 3 },
    });
    const ratio = rows.find(({ system }) => system === "holdfast / bullmq");
    assert.deepEqual([ratio?.min, ratio?.max, ratio?.unit], [5, 15, "ratio"]);
  });

  it("keep the measures' order and say nothing of what was not measured", () => {
    const latency: PeerSample = { ...sample("raw", 1, 0.4), measure: "add-to-start-p50", unit: "ms" };
    const rows = rowsOf([latency, sample("raw", 1, 5)], ["process", "bulk-add", "add-to-start-p50"]);
    assert.deepEqual(
      rows.map(({ measure, system }) => [measure, system]),
      [
        ["process", "raw"],
        ["add-to-start-p50", "raw"],
      ],
    );
  });
});

describe("exact delivery", () => {
  it("accepts each task once, in any order", () => {
    assertEachOnce([2, 0, 1], 3, "runs");
  });

  it("refuses a lost, a doubled and an unknown task", () => {
    assert.throws(() => assertEachOnce([0, 2], 3, "runs"), /runs: task 1 is there 0 times/);
    assert.throws(() => assertEachOnce([0, 1, 2, 1], 3, "results"), /results: task 1 is there 2 times/);
    assert.throws(() => assertEachOnce([0, 1, Number.NaN], 3, "results"), /no task NaN/);
  });

  it("knows a task by its payload of the size that others publish figures for", () => {
    assert.equal(taskOf(payloadOf(99_999)), 99_999);
    assert.equal(JSON.stringify(payloadOf(7)).length, PAYLOAD_BYTES);
  });
});
