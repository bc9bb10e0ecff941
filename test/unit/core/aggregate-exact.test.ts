import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { nearestDouble } from "../../../src/core/aggregate/exact-ratio.ts";
import { EXACT_UNIT, ExactSum } from "../../../src/core/aggregate/exact-sum.ts";
import { MAX_EXACT, QuantileSketch } from "../../../src/core/aggregate/quantile-sketch.ts";
import { seededRandom } from "../../support/seeded-random.ts";

const anyDouble = fc.double({ noNaN: true, noDefaultInfinity: true });
const bits = new DataView(new ArrayBuffer(8));

/** The double as a whole number of 2⁻¹⁰⁷⁴, read from its bits. */
function inLeastUnits(value: number): bigint {
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  const exponent = (raw >> 52n) & 0x7ffn;
  const fraction = raw & 0xf_ffff_ffff_ffffn;
  const magnitude = exponent === 0n ? fraction : (fraction | 0x10_0000_0000_0000n) << (exponent - 1n);
  return value < 0 ? -magnitude : magnitude;
}

function summed(values: readonly number[], how: "add" | "addSquare" = "add"): ExactSum {
  const sum = new ExactSum();
  for (const value of values) sum[how](value);
  return sum;
}

describe("nearestDouble", () => {
  it("finds every double from its exact value", () => {
    fc.assert(
      fc.property(anyDouble, (value) =>
        assert.equal(nearestDouble(inLeastUnits(value), 1n << 1_074n), value === 0 ? 0 : value),
      ),
      {
        numRuns: 500,
      },
    );
    for (const value of [5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, Number.MAX_VALUE, 1 - 2 ** -53]) {
      assert.equal(nearestDouble(inLeastUnits(value), 1n << 1_074n), value);
    }
  });

  it("divides as the processor does", () => {
    const whole = fc.integer({ min: -(2 ** 53), max: 2 ** 53 });
    fc.assert(
      fc.property(whole, fc.integer({ min: 1, max: 2 ** 53 }), (left, right) => {
        assert.equal(nearestDouble(BigInt(left), BigInt(right)), left === 0 ? 0 : left / right);
      }),
      { numRuns: 500 },
    );
  });

  it("rounds to nearest, ties to even, once", () => {
    const two53 = 2n ** 53n;
    assert.equal(nearestDouble(two53 + 1n, 1n), 2 ** 53);
    assert.equal(nearestDouble(two53 + 3n, 1n), 2 ** 53 + 4);
    assert.equal(nearestDouble((two53 + 1n) * 1_000n + 1n, 1_000n), 2 ** 53 + 2);
    assert.equal(nearestDouble(1n, 1n << 1_075n), 0);
    assert.equal(nearestDouble(3n, 1n << 1_075n), 2 * 5e-324);
    assert.equal(nearestDouble((1n << 1_024n) - (1n << 970n), 1n), Infinity);
    assert.equal(nearestDouble(-((1n << 1_024n) - (1n << 971n)), 1n), -Number.MAX_VALUE);
    assert.equal(nearestDouble(-(1n << 2_000n), 1n), -Infinity);
  });
});

describe("exact sum", () => {
  const scale = BigInt(-EXACT_UNIT - 1_074);

  it("loses no bit of any double", () => {
    fc.assert(
      fc.property(fc.array(anyDouble, { maxLength: 40 }), (values) => {
        const expected = values.reduce((sum, value) => sum + inLeastUnits(value), 0n);
        assert.equal(summed(values).toBigInt(), expected << scale);
      }),
      { numRuns: 300 },
    );
  });

  it("loses no bit of any square", () => {
    fc.assert(
      fc.property(fc.array(anyDouble, { maxLength: 40 }), (values) => {
        const expected = values.reduce((sum, value) => sum + inLeastUnits(value) ** 2n, 0n);
        assert.equal(summed(values, "addSquare").toBigInt(), expected << BigInt(-EXACT_UNIT - 2 * 1_074));
      }),
      { numRuns: 300 },
    );
    for (const value of [Number.MAX_VALUE, 5e-324, 2 ** 53 - 1, -1.1, 2.2250738585072014e-308]) {
      assert.equal(
        summed([value], "addSquare").toBigInt(),
        (inLeastUnits(value) ** 2n) << BigInt(-EXACT_UNIT - 2 * 1_074),
      );
    }
  });

  it("survives cancellation that a running double does not", () => {
    const sum = summed([1e308, 1, -1e308, 1e-300]);
    assert.equal(nearestDouble(sum.toBigInt(), 1n << BigInt(-EXACT_UNIT)), 1);
    assert.equal(summed([0.1, 0.2, 0.3, -0.3, -0.2, -0.1]).encode(), "0");
  });

  it("merges to the same in any grouping, and its text comes back", () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyDouble, { maxLength: 10 }), { maxLength: 6 }), (groups) => {
        const whole = summed(groups.flat()).encode();
        const merged = new ExactSum();
        for (const group of groups.toReversed()) merged.merge(ExactSum.decode(summed(group).encode()));
        assert.equal(merged.encode(), whole);
        assert.equal(ExactSum.decode(whole).encode(), whole);
      }),
    );
  });

  it("carries in time, however many are added", () => {
    const sum = new ExactSum();
    const count = 6_000_000;
    // The largest mantissa in the place where it changes the limbs most.
    const value = -(2 ** 53 - 1) * 2 ** 15;
    for (let added = 0; added < count; added += 1) sum.add(value);
    assert.equal(sum.toBigInt(), (BigInt(count) * BigInt(value)) << BigInt(-EXACT_UNIT));
    const both = new ExactSum();
    for (let merged = 0; merged < 50; merged += 1) both.merge(sum);
    assert.equal(both.toBigInt(), 50n * sum.toBigInt());
  });

  it("refuses a text that is none of its own", () => {
    for (const text of ["", "1", "1p", "p1", "1p-99999", "1p9999", "xp0", "1p0 ", `${"f".repeat(1_090)}p0`]) {
      assert.throws(() => ExactSum.decode(text), RangeError, text);
    }
  });
});

describe("quantile sketch", () => {
  function sketched(values: readonly number[]): QuantileSketch {
    const sketch = new QuantileSketch();
    for (const value of values) sketch.add(value);
    return sketch;
  }

  function quantiles(values: readonly number[], at: readonly number[]): number[] {
    return sketched(values).quantiles(at, {
      min: values.reduce((a, b) => Math.min(a, b)),
      max: values.reduce((a, b) => Math.max(a, b)),
    });
  }

  it("is exact while small, interpolating between ranks", () => {
    assert.deepEqual(quantiles([4, 1, 3, 2], [0, 0.5, 1, 1 / 3]), [1, 2.5, 4, 2]);
    assert.deepEqual(quantiles([7], [0, 0.3, 1]), [7, 7, 7]);
    assert.deepEqual(quantiles([-1e308, 1e308], [0.5]), [0]);
    const many = Array.from({ length: MAX_EXACT }, (_, place) => place * place);
    assert.deepEqual(quantiles(many.toReversed(), [0.25]), [511 ** 2 * 0.25 + 512 ** 2 * 0.75]);
  });

  it("keeps every rank within 2⁻⁹ beyond, over all magnitudes and both signs", () => {
    const random = seededRandom(5);
    const shapes: Record<string, () => number> = {
      "all magnitudes": () => (random() < 0.5 ? -1 : 1) * 10 ** (600 * random() - 300),
      "one decade": () => 1 + 9 * random(),
      "around zero": () => random() - 0.5,
      "few values": () => Math.floor(4 * random()) - 1,
      "very small": () => 5e-324 * Math.floor(1e6 * random()),
    };
    for (const [shape, draw] of Object.entries(shapes)) {
      const values = Array.from({ length: 3 * MAX_EXACT }, draw);
      const sorted = Float64Array.from(values).sort();
      const ranks = [0, 1, 10, 777, 3_000, 5_000, values.length - 2, values.length - 1];
      const found = quantiles(
        values,
        ranks.map((rank) => rank / (values.length - 1)),
      );
      for (const [place, rank] of ranks.entries()) {
        // The share of a rank may round to just beside it; then the neighbour is reported as well.
        const near = [rank - 1, rank, rank + 1].flatMap((there) => sorted[there] ?? []);
        const value = found[place] ?? Number.NaN;
        const slack = (there: number): number => Math.abs(there) * (2 ** -9 + 1e-9) + 2 ** -1_031;
        assert.ok(
          near.some((there) => Math.abs(value - there) <= slack(there)),
          `${shape}, rank ${rank}: ${value} for ${sorted[rank]}`,
        );
      }
    }
  });

  it("is a function of the multiset alone, across the change from values to buckets", () => {
    const random = seededRandom(8);
    for (const length of [MAX_EXACT - 1, MAX_EXACT, MAX_EXACT + 1, 3 * MAX_EXACT]) {
      const values = Array.from({ length }, () => random() * 10 ** (6 * random()) - 5);
      const whole = JSON.stringify(sketched(values).toJson());
      for (const parts of [2, 3, 40]) {
        const groups: number[][] = Array.from({ length: parts }, () => []);
        for (const value of values) groups[Math.floor(random() * parts)]?.push(value);
        const merged = new QuantileSketch();
        for (const group of groups) merged.merge(QuantileSketch.fromJson(sketched(group).toJson()));
        assert.equal(JSON.stringify(merged.toJson()), whole);
      }
      assert.equal("values" in (JSON.parse(whole) as object), length <= MAX_EXACT);
    }
  });

  it("stays small", () => {
    const random = seededRandom(2);
    const values = Array.from({ length: 100_000 }, () => 10 ** (10 * random()));
    const text = JSON.stringify(sketched(values).toJson());
    assert.ok(text.length < 60_000, `${text.length} characters`);
  });
});
