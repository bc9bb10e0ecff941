import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { permutation, philox4x32, uniformStream } from "../../../src/core/random.ts";

function encrypted(words: readonly number[], key: readonly [number, number]): string {
  const block = Int32Array.from(words, (word) => word | 0);
  philox4x32(block, key[0], key[1]);
  return [...block].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join(" ");
}

const anySeed = fc.maxSafeNat();

describe("Philox", () => {
  it("gives the published answers (Random123, kat_vectors)", () => {
    const ones = 0xffff_ffff;
    assert.equal(encrypted([0, 0, 0, 0], [0, 0]), "6627e8d5 e169c58d bc57ac4c 9b00dbd8");
    assert.equal(encrypted([ones, ones, ones, ones], [ones, ones]), "408f276d 41c83b0e a20bc7c6 6d5451fd");
    assert.equal(
      encrypted([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
      "d16cfe09 94fdcceb 5001e420 24126ea1",
    );
  });
});

describe("uniform stream", () => {
  it("is a pure function of seed, name and index", () => {
    fc.assert(
      fc.property(
        anySeed,
        fc.string(),
        fc.array(fc.maxSafeNat(), { minLength: 1, maxLength: 20 }),
        (seed, name, indices) => {
          const forwards = indices.map(uniformStream(seed, name));
          const other = uniformStream(seed, name);
          const backwards = indices.toReversed().map((index) => other(index));
          assert.deepEqual(backwards.toReversed(), forwards);
          for (const number of forwards) assert.ok(number >= 0 && number < 1);
        },
      ),
    );
  });

  it("tells neighbouring seeds, names and indices apart, also beyond 32 bits", () => {
    const big = 2 ** 40;
    const numbers = [
      uniformStream(1, "a")(0),
      uniformStream(2, "a")(0),
      uniformStream(1 + 2 ** 32, "a")(0),
      uniformStream(1, "b")(0),
      uniformStream(1, "ab")(0),
      uniformStream(1, "a")(1),
      uniformStream(1, "a")(big),
      uniformStream(1, "a")(big + 2 ** 32),
    ];
    assert.equal(new Set(numbers).size, numbers.length);
  });

  it("fills [0, 1) evenly and shows no correlation between neighbours or streams", () => {
    const [left, right] = [uniformStream(9, "left"), uniformStream(9, "right")];
    const count = 40_000;
    const bins = Array.from({ length: 50 }, () => 0);
    let [mean, serial, cross] = [0, 0, 0];
    for (let index = 0; index < count; index += 1) {
      const number = left(index);
      const bin = Math.floor(number * bins.length);
      bins[bin] = (bins[bin] ?? 0) + 1;
      mean += number / count;
      serial += ((number - 0.5) * (left(index + 1) - 0.5) * 12) / count;
      cross += ((number - 0.5) * (right(index) - 0.5) * 12) / count;
    }
    const chiSquare = bins.reduce((sum, found) => sum + (found - count / bins.length) ** 2 / (count / bins.length), 0);
    assert.ok(chiSquare < 90, `chi-square ${chiSquare} with 49 degrees of freedom`);
    assert.ok(Math.abs(mean - 0.5) < 0.006);
    assert.ok(Math.abs(serial) < 0.02 && Math.abs(cross) < 0.02, `${serial} ${cross}`);
  });
});

describe("permutation", () => {
  it("reaches every place exactly once", () => {
    fc.assert(
      fc.property(anySeed, fc.integer({ min: 1, max: 2_000 }), (seed, length) => {
        const at = permutation(seed, "x", length);
        const places = new Set(Array.from({ length }, (_, index) => at(index)));
        assert.equal(places.size, length);
        for (const place of places) assert.ok(Number.isInteger(place) && place >= 0 && place < length);
      }),
      { numRuns: 40 },
    );
  });

  it("is one at every small length", () => {
    for (let length = 1; length <= 64; length += 1) {
      const at = permutation(3, "x", length);
      assert.equal(new Set(Array.from({ length }, (_, index) => at(index))).size, length);
    }
  });

  it("depends on seed and name, and leaves no visible order", () => {
    const length = 1_000;
    const places = (seed: number, name: string): number[] =>
      Array.from({ length }, (_, index) => permutation(seed, name, length)(index));
    const shuffled = places(1, "x");
    assert.notDeepEqual(shuffled, places(2, "x"));
    assert.notDeepEqual(shuffled, places(1, "y"));
    const middle = (length - 1) / 2;
    const variance = (length ** 2 - 1) / 12;
    const correlation = shuffled.reduce(
      (sum, place, index) => sum + ((place - middle) * (index - middle)) / variance / length,
      0,
    );
    assert.ok(Math.abs(correlation) < 0.12, String(correlation));
  });

  it("works without a table at the largest length", () => {
    const length = 2 ** 52;
    const at = permutation(1, "x", length);
    const indices = [0, 1, 2, length / 2, length - 2, length - 1];
    const places = indices.map((index) => at(index));
    assert.equal(new Set(places).size, indices.length);
    for (const place of places) assert.ok(Number.isSafeInteger(place) && place >= 0 && place < length);
  });
});
