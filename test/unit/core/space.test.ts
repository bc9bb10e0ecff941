import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  compileSpace,
  type FileSpec,
  grid,
  linspace,
  list,
  logspace,
  range,
  type RowSource,
  rows,
  type SpaceSpec,
  zip,
} from "../../../src/core/space.ts";
import { HoldfastError } from "../../../src/errors/index.ts";

function points(spec: SpaceSpec): unknown[] {
  const space = compileSpace(spec);
  return Array.from({ length: space.length }, (_, index) => space.at(index));
}

/** `0.1` as the fraction that its digits say, in units of 10⁻²⁰. */
function decimal(text: string): bigint {
  const [whole = "0", fraction = ""] = text.replace("-", "").split(".");
  const magnitude = BigInt(whole + fraction.padEnd(20, "0"));
  return text.startsWith("-") ? -magnitude : magnitude;
}

describe("range", () => {
  it("counts as anybody would", () => {
    assert.deepEqual(points(range(1, 4)), [1, 2, 3]);
    assert.equal(compileSpace(range(0, 1, 0.1)).length, 10);
    assert.equal(compileSpace(range(1, 1.3, 0.1)).length, 3);
    assert.equal(compileSpace(range(0, 0.3, 0.1)).length, 3);
    assert.equal(compileSpace(range(0, 1, 0.3)).length, 4);
    assert.deepEqual(points(range(5, 0, -2)), [5, 3, 1]);
    assert.deepEqual(points(range(0, 1, 0.25)), [0, 0.25, 0.5, 0.75]);
    assert.deepEqual(points(range(0, 1, 7)), [0]);
  });

  it("has point i at start + i·step", () => {
    const space = compileSpace(range(0, 1, 0.1));
    for (let index = 0; index < 10; index += 1) assert.equal(space.at(index), index * 0.1);
  });

  it("counts decimal steps exactly as their digits say", () => {
    const term = fc.integer({ min: -100_000, max: 100_000 });
    fc.assert(
      fc.property(
        term,
        fc.integer({ min: 1, max: 5_000 }),
        fc.integer({ min: 1, max: 3_000 }),
        fc.integer({ min: 0, max: 6 }),
        (start, step, count, places) => {
          const [from, by] = [(start / 10 ** places).toFixed(places), (step / 10 ** places).toFixed(places)];
          for (const distance of [count * step, count * step - 1]) {
            const to = ((start + distance) / 10 ** places).toFixed(places);
            if (distance === 0) continue;
            const [length, rest] = [
              (decimal(to) - decimal(from)) / decimal(by),
              (decimal(to) - decimal(from)) % decimal(by),
            ];
            const expected = Number(length) + (rest === 0n ? 0 : 1);
            const spec: SpaceSpec = { kind: "range", start: Number(from), stop: Number(to), step: Number(by) };
            assert.equal(compileSpace(spec).length, expected, `${from} to ${to} by ${by}`);
          }
        },
      ),
    );
  });

  it("counts whole numbers exactly up to 2⁵³", () => {
    const most = Number.MAX_SAFE_INTEGER;
    const space = compileSpace(range(0, most));
    assert.equal(space.length, most);
    assert.equal(space.at(most - 1), most - 1);
    assert.equal(compileSpace(range(-most, most, 3)).length, Math.ceil(2 * (most / 3)));
    assert.equal(compileSpace(range(0, most, 2)).length, 2 ** 52);
  });
});

describe("linspace and logspace", () => {
  it("include both ends", () => {
    assert.deepEqual(points(linspace(0, 1, 5)), [0, 0.25, 0.5, 0.75, 1]);
    assert.deepEqual(points(linspace(3, 3, 1)), [3]);
    assert.deepEqual(points(linspace(1, 0, 3)), [1, 0.5, 0]);
    assert.deepEqual(points(logspace(0.0001, 1, 5)), [0.0001, 0.001, 0.01, 0.1, 1]);
    assert.deepEqual(points(logspace(100, 1, 3)), [100, 10, 1]);
    assert.deepEqual(points(logspace(2, 2, 1)), [2]);
    assert.deepEqual(
      points(linspace(0, 100, 101)),
      Array.from({ length: 101 }, (_, place) => place),
    );
    assert.equal(points(linspace(0, 0.7, 8)).at(-1), 0.7);
  });

  it("rise steadily, tabulated or not", () => {
    for (const spec of [linspace(-5, 7.3, 6_000), logspace(1e-9, 1e9, 4_096), logspace(1e-9, 1e9, 6_000)]) {
      const found = points(spec) as number[];
      for (let index = 1; index < found.length; index += 1) assert.ok((found[index] ?? 0) > (found[index - 1] ?? 0));
    }
  });
});

describe("list", () => {
  it("gives its values, each time fresh, so that a task may change its input", () => {
    const spec = list([1, "a", null, true, { deep: [1, 2] }]);
    const space = compileSpace(spec);
    assert.deepEqual(points(spec), [1, "a", null, true, { deep: [1, 2] }]);
    const first = space.at(4) as { deep: number[] };
    first.deep.push(3);
    assert.deepEqual(space.at(4), { deep: [1, 2] });
  });
});

describe("grid", () => {
  it("has every combination, the last dimension fastest", () => {
    assert.deepEqual(points(grid({ k: range(1, 3), distance: ["near", "far"], on: [true] })), [
      { k: 1, distance: "near", on: true },
      { k: 1, distance: "far", on: true },
      { k: 2, distance: "near", on: true },
      { k: 2, distance: "far", on: true },
    ]);
  });

  it("keeps the order of its names and gives fresh objects", () => {
    const space = compileSpace(grid({ z: [1, 2], a: [3] }));
    const point = space.at(0) as Record<string, unknown>;
    assert.deepEqual(Object.keys(point), ["z", "a"]);
    point["z"] = 99;
    assert.deepEqual(space.at(0), { z: 1, a: 3 });
  });

  it("nests spaces", () => {
    assert.deepEqual(points(grid({ pair: zip({ a: [1, 2], b: ["x", "y"] }), c: [0, 1] })), [
      { pair: { a: 1, b: "x" }, c: 0 },
      { pair: { a: 1, b: "x" }, c: 1 },
      { pair: { a: 2, b: "y" }, c: 0 },
      { pair: { a: 2, b: "y" }, c: 1 },
    ]);
  });

  it("computes any point of a space near 2⁵³ exactly", () => {
    const [a, b, c] = [94_906_265, 94_906_263, 1];
    const space = compileSpace(grid({ a: range(0, a), b: range(0, b), c: range(0, c) }));
    assert.equal(space.length, a * b);
    fc.assert(
      fc.property(fc.nat(a - 1), fc.nat(b - 1), (first, second) => {
        assert.deepEqual(space.at(first * b + second), { a: first, b: second, c: 0 });
      }),
    );
  });

  it("numbers every combination once", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }), (sizes) => {
        const spec = grid(Object.fromEntries(sizes.map((size, place) => [`d${place}`, range(0, size)])));
        const texts = points(spec).map((point) => JSON.stringify(point));
        assert.equal(
          texts.length,
          sizes.reduce((product, size) => product * size, 1),
        );
        assert.equal(new Set(texts).size, texts.length);
        assert.deepEqual(texts, texts.toSorted(), "in ascending order, because no number here has two digits");
      }),
      { numRuns: 50 },
    );
  });
});

describe("zip", () => {
  it("takes dimensions side by side", () => {
    assert.deepEqual(points(zip({ a: range(0, 2), b: ["x", "y"] })), [
      { a: 0, b: "x" },
      { a: 1, b: "y" },
    ]);
  });
});

describe("file", () => {
  const file: Omit<FileSpec, "kind"> = {
    path: "/data/points.csv",
    format: "csv",
    rows: 3,
    bytes: 20,
    sha256: "0".repeat(64),
  };
  const source: RowSource = { length: 3, row: (index) => ({ index }) };

  it("reads its rows from the source it is given, once opened", () => {
    const opened: string[] = [];
    const space = compileSpace(grid({ row: rows(file), seed: [7, 8] }), ({ path }) => {
      opened.push(path);
      return source;
    });
    assert.equal(space.length, 6);
    assert.deepEqual(space.at(3), { row: { index: 1 }, seed: 8 });
    assert.deepEqual(opened, ["/data/points.csv"]);
  });

  it("refuses a source with another number of rows", () => {
    assert.throws(
      () => compileSpace(rows(file), () => ({ ...source, length: 4 })),
      (thrown) => HoldfastError.is(thrown, "PARAMETER_FILE_CHANGED"),
    );
  });

  it("cannot be compiled without a reader", () => {
    assert.throws(
      () => compileSpace(rows(file)),
      (thrown) => HoldfastError.is(thrown, "INTERNAL"),
    );
  });
});

describe("a compiled space", () => {
  it("refuses an index that is none", () => {
    const space = compileSpace(range(0, 10));
    for (const index of [-1, 10, 1.5, Number.NaN, Infinity]) {
      assert.throws(
        () => space.at(index),
        (thrown) => HoldfastError.is(thrown, "INVALID_SPACE"),
        String(index),
      );
    }
  });

  it("is the same on the other side of the wire", () => {
    const spec = grid({ a: linspace(0, 1, 7), b: logspace(1, 9, 3), c: [{ x: 1 }, null] });
    assert.deepEqual(points(JSON.parse(JSON.stringify(spec)) as SpaceSpec), points(spec));
  });

  it("costs no more to make for 10⁹ points than for 10", () => {
    const started = performance.now();
    for (let repeat = 0; repeat < 100; repeat += 1) compileSpace(grid({ a: range(0, 100_000), b: range(0, 10_000) }));
    assert.ok(performance.now() - started < 500);
  });
});
