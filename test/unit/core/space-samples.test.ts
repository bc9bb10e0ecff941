import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  choice,
  compileSpace,
  type Distribution,
  integer,
  latinHypercube,
  logUniform,
  normal,
  random,
  uniform,
} from "../../../src/core/space.ts";
import { standardNormal } from "../../../src/core/space/distributions.ts";

function column(spec: Parameters<typeof compileSpace>[0], name: string): unknown[] {
  const space = compileSpace(spec);
  return Array.from({ length: space.length }, (_, index) => (space.at(index) as Record<string, unknown>)[name]);
}

const EVERY = {
  rate: logUniform(1e-4, 1),
  share: uniform(-2, 3),
  layers: integer(1, 5),
  kind: choice(["a", "b", { c: 1 }]),
  noise: normal(10, 2),
};

describe("random space", () => {
  it("gives the same points for the same seed, in any order, and others for another", () => {
    const [one, same, other] = [1, 1, 2].map((seed) => compileSpace(random(1_000, EVERY, { seed })));
    const indices = [999, 0, 500, 3];
    assert.deepEqual(
      indices.map((index) => one?.at(index)),
      indices
        .toReversed()
        .map((index) => same?.at(index))
        .toReversed(),
    );
    assert.notDeepEqual(one?.at(0), other?.at(0));
  });

  it("keeps these very points for ever: a sweep that is continued after an upgrade must not change", () => {
    const space = compileSpace(random(10, EVERY, { seed: 7 }));
    assert.deepEqual(space.at(3), PINNED_RANDOM);
    const latin = compileSpace(latinHypercube(10, { share: uniform(0, 1), layers: integer(1, 10) }, { seed: 7 }));
    assert.deepEqual(latin.at(3), PINNED_LATIN);
  });

  it("does not change a dimension when another one is added or the count grows", () => {
    const alone = compileSpace(random(10, { rate: EVERY.rate }, { seed: 4 }));
    const together = compileSpace(random(1_000_000, EVERY, { seed: 4 }));
    for (const index of [0, 5, 9]) {
      assert.equal((together.at(index) as { rate: number }).rate, (alone.at(index) as { rate: number }).rate);
    }
  });

  it("stays within its distributions and follows them", () => {
    const spec = random(20_000, EVERY);
    const rates = column(spec, "rate") as number[];
    assert.ok(rates.every((rate) => rate >= 1e-4 && rate < 1));
    const perDecade = [-4, -3, -2, -1].map(
      (power) => rates.filter((rate) => rate >= 10 ** power && rate < 10 ** (power + 1)).length,
    );
    for (const found of perDecade) assert.ok(Math.abs(found - 5_000) < 300, perDecade.join());
    const shares = column(spec, "share") as number[];
    assert.ok(shares.every((share) => share >= -2 && share < 3));
    const layers = column(spec, "layers") as number[];
    for (const layer of [1, 2, 3, 4, 5])
      assert.ok(Math.abs(layers.filter((found) => found === layer).length - 4_000) < 300);
    assert.deepEqual(new Set(layers), new Set([1, 2, 3, 4, 5]));
    const kinds = column(spec, "kind");
    assert.ok(Math.abs(kinds.filter((kind) => kind === "a").length - 6_667) < 300);
    const noise = column(spec, "noise") as number[];
    const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
    const variance = noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / noise.length;
    assert.ok(Math.abs(mean - 10) < 0.06 && Math.abs(variance - 4) < 0.2, `${mean} ${variance}`);
  });

  it("holds the whole range of integers and the ends of intervals", () => {
    const ends = fc
      .tuple(fc.maxSafeInteger(), fc.maxSafeInteger())
      .filter(([a, b]) => a <= b && b - a < Number.MAX_SAFE_INTEGER);
    fc.assert(
      fc.property(ends, fc.nat(1_000_000), ([min, max], index) => {
        const { n } = compileSpace(random(1_000_001, { n: integer(min, max) })).at(index) as { n: number };
        assert.ok(Number.isSafeInteger(n) && n >= min && n <= max);
      }),
    );
    const narrow: Distribution = { kind: "uniform", min: 1, max: 1 + Number.EPSILON };
    for (const value of column(random(200, { narrow }), "narrow")) assert.equal(value, 1);
  });
});

describe("Latin hypercube", () => {
  it("puts exactly one point into each of n equally likely parts of every dimension", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.maxSafeNat(), (count, seed) => {
        const spec = latinHypercube(count, { a: uniform(0, 1), b: uniform(0, 1) }, { seed });
        for (const name of ["a", "b"]) {
          const strata = (column(spec, name) as number[]).map((value) => Math.floor(value * count));
          assert.equal(new Set(strata).size, count);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("deals whole numbers and choices evenly", () => {
    const spec = latinHypercube(300, { layers: integer(1, 3), kind: choice(["a", "b"]) }, { seed: 5 });
    for (const layer of [1, 2, 3]) assert.equal(column(spec, "layers").filter((found) => found === layer).length, 100);
    assert.equal(column(spec, "kind").filter((found) => found === "a").length, 150);
  });

  it("mixes the dimensions independently", () => {
    const spec = latinHypercube(1_000, { a: uniform(-1, 1), b: uniform(-1, 1) }, { seed: 6 });
    const [a, b] = [column(spec, "a") as number[], column(spec, "b") as number[]];
    const correlation = a.reduce((sum, value, index) => sum + (value * (b[index] ?? 0) * 3) / a.length, 0);
    assert.ok(Math.abs(correlation) < 0.12, String(correlation));
  });

  it("needs no table: a point of 10¹² costs no more than one of 10", () => {
    const started = performance.now();
    const space = compileSpace(latinHypercube(1e12, { a: uniform(0, 1) }));
    for (let index = 0; index < 1_000; index += 1) space.at(index * 999_999_937);
    assert.ok(performance.now() - started < 500);
  });
});

describe("normal quantile", () => {
  it("has the tabulated values", () => {
    const table: [number, number][] = [
      [0.5, 0],
      [0.975, 1.959963984540054],
      [0.025, -1.959963984540054],
      [0.8413447460685429, 1],
      [0.999, 3.090232306167813],
      [1e-10, -6.361340902404056],
      [1e-15, -7.941345326170998],
    ];
    for (const [share, expected] of table) {
      assert.ok(
        Math.abs(standardNormal(share) - expected) <= 2e-14 * Math.max(1, Math.abs(expected)),
        `${share}: ${standardNormal(share)}`,
      );
    }
  });

  it("is finite at both ends and rises", () => {
    const shares = [0, 2 ** -54, 1e-12, 0.07, 0.075, 0.3, 0.5, 0.7, 0.925, 0.93, 1 - 1e-12, 1 - 2 ** -53];
    const values = shares.map(standardNormal);
    assert.ok(values.every(Number.isFinite));
    assert.deepEqual(
      values,
      values.toSorted((left, right) => left - right),
    );
  });
});

const PINNED_RANDOM = {
  rate: 0.03426017533119221,
  share: 0.3673144789402589,
  layers: 2,
  kind: "a",
  noise: 10.220743385547713,
};
const PINNED_LATIN = { share: 0.8473462895788051, layers: 4 };
