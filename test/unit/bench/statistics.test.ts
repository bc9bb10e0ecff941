import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { quantile, spreadOf } from "../../../bench/statistics.ts";

describe("bench statistics", () => {
  it("find the middle, and what lies between two values", () => {
    assert.equal(quantile([3, 1, 2], 0.5), 2);
    assert.equal(quantile([4, 1, 2, 3], 0.5), 2.5);
    assert.equal(quantile([7], 0.99), 7);
    assert.equal(quantile([10, 20], 0.25), 12.5);
  });

  it("leave the values as they are", () => {
    const values = [3, 1, 2];
    assert.deepEqual(spreadOf(values), { median: 2, min: 1, max: 3 });
    assert.deepEqual(values, [3, 1, 2]);
  });
});
