import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { compareCopies, type CopyDisagreement, isSampled } from "../../../src/core/verification.ts";

function compared(tolerance: number, values: Readonly<Record<string, unknown>>): CopyDisagreement | undefined {
  const copies = Object.entries(values).map(([worker, value]) => ({
    worker,
    values: typeof value === "string" ? value : JSON.stringify(value),
  }));
  return compareCopies({ start: 100, tolerance, copies });
}

describe("sampling", () => {
  it("always takes the first chunk, and takes all or nothing at the ends", () => {
    for (const seed of [0, 1, 77]) {
      assert.equal(isSampled({ seed, start: 0, sample: 0 }), true);
      for (let start = 1; start < 200; start += 1) {
        assert.equal(isSampled({ seed, start, sample: 1 }), true);
        assert.equal(isSampled({ seed, start, sample: 0 }), false);
      }
    }
  });

  it("depends on seed and start only, and takes about the share that was asked for", () => {
    const taken = (seed: number, sample: number): number[] =>
      Array.from({ length: 20_000 }, (_, chunk) => chunk * 50).filter((start) => isSampled({ seed, start, sample }));
    assert.deepEqual(taken(3, 0.05), taken(3, 0.05));
    assert.notDeepEqual(taken(3, 0.05), taken(4, 0.05));
    assert.ok(Math.abs(taken(3, 0.05).length - 1_000) < 120);
    const small = new Set(taken(3, 0.2));
    assert.ok(
      taken(3, 0.05).every((start) => small.has(start)),
      "a larger sample holds the smaller one",
    );
  });
});

describe("comparison of copies", () => {
  it("agrees on equal texts, and on one copy", () => {
    assert.equal(compared(0, { a: [1, 2], b: [1, 2] }), undefined);
    assert.equal(compared(0, { a: [1] }), undefined);
    assert.equal(compared(0, {}), undefined);
    assert.equal(compared(0, { a: "[1, 2]", b: "[1,2]" }), undefined);
  });

  it("names both workers when two copies differ, and the first item that does", () => {
    assert.deepEqual(compared(0, { a: [1, 2, 3, 4], b: [1, 2, 0, 0] }), { item: 102, workers: ["a", "b"] });
  });

  it("names who is not with the majority", () => {
    assert.deepEqual(compared(0, { a: [1, 9], b: [1, 2], c: [1, 2] }), { item: 101, workers: ["a"] });
    assert.deepEqual(compared(0, { a: [1, 2], b: [1, 2], c: [1, 2], d: [7, 2], e: [1, 8] }), {
      item: 100,
      workers: ["d", "e"],
    });
    assert.deepEqual(compared(0, { a: [1], b: [2], c: [3] }), { item: 100, workers: ["a", "b", "c"] });
    assert.deepEqual(compared(0, { a: [1], b: [1], c: [2], d: [2] }), { item: 100, workers: ["a", "b", "c", "d"] });
  });

  it("takes the tolerance relative to the larger number, anywhere inside a value", () => {
    const [left, right] = [[{ loss: [100, "x"], ok: true }], [{ ok: true, loss: [100.9, "x"] }]];
    assert.equal(compared(0.01, { a: left, b: right }), undefined);
    assert.deepEqual(compared(0.001, { a: left, b: right }), { item: 100, workers: ["a", "b"] });
    assert.deepEqual(compared(0, { a: left, b: right }), { item: 100, workers: ["a", "b"] });
    assert.equal(compared(0.01, { a: [0], b: [0] }), undefined);
    assert.deepEqual(compared(0.01, { a: [0], b: [1e-9] })?.item, 100);
  });

  it("does not bend for what is no number", () => {
    const others: [unknown, unknown][] = [
      ["1", 1],
      [null, 0],
      [true, 1],
      [[1], { 0: 1 }],
      [[1, 2], [1]],
      [{ a: 1 }, { a: 1, b: 2 }],
      [{ a: 1 }, { b: 1 }],
      ["x", "y"],
      [null, {}],
    ];
    for (const [left, right] of others) {
      assert.deepEqual(
        compared(0.5, { a: [0, left], b: [0, right] }),
        { item: 101, workers: ["a", "b"] },
        JSON.stringify([left, right]),
      );
    }
  });

  it("reports copies of different length, and copies that are no array", () => {
    assert.deepEqual(compared(0.1, { a: [1, 2], b: [1, 2, 3] }), { item: 102, workers: ["a", "b"] });
    assert.deepEqual(compared(0, { a: [1, 2], b: "{", c: [1, 2] }), { item: 100, workers: ["b"] });
    assert.deepEqual(compared(0, { a: "{", b: "null", c: "[" }), { item: 100, workers: ["a", "b", "c"] });
  });

  it("finds exactly the one copy and item that were changed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 3, max: 6 }),
        fc.nat(),
        fc.constantFrom(0, 1e-9, 0.1),
        (values, replicas, chosen, tolerance) => {
          const text = JSON.stringify(values);
          const copies = Array.from({ length: replicas }, (_, place) => ({ worker: `w${place}`, values: text }));
          assert.equal(compareCopies({ start: 5, tolerance, copies }), undefined);
          const [item, place] = [chosen % values.length, chosen % replicas];
          copies[place] = { worker: `w${place}`, values: JSON.stringify(values.with(item, { changed: true })) };
          assert.deepEqual(compareCopies({ start: 5, tolerance, copies }), { item: 5 + item, workers: [`w${place}`] });
        },
      ),
    );
  });
});
