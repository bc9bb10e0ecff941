import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  choice,
  compileSpace,
  grid,
  integer,
  latinHypercube,
  linspace,
  list,
  logspace,
  logUniform,
  normal,
  type PointOf,
  random,
  range,
  type Space,
  uniform,
  validateSpace,
  zip,
} from "../../../src/core/space.ts";
import { HoldfastError } from "../../../src/errors/index.ts";

/** The sentence with which something is refused. */
function refusal(attempt: () => unknown): string {
  try {
    attempt();
  } catch (thrown) {
    assert.ok(HoldfastError.is(thrown, "INVALID_SPACE"), String(thrown));
    return thrown.message;
  }
  return assert.fail("was accepted");
}

function of(value: unknown): string {
  return refusal(() => validateSpace(value)).replace("Parameter space at ", "");
}

describe("validation of spaces", () => {
  it("gives back what the builders make, also after a journey as JSON", () => {
    const spaces = [
      range(0, 5),
      linspace(0, 1, 3),
      logspace(1, 10, 3),
      list([1, { a: [null] }]),
      grid({ a: [1, 2], b: zip({ c: [1], d: ["x"] }) }),
      random(
        5,
        { u: uniform(0, 1), l: logUniform(1, 2), i: integer(0, 3), c: choice([1, "b"]), n: normal(0, 1) },
        { seed: 3 },
      ),
      latinHypercube(5, { u: uniform(0, 1) }),
    ];
    for (const space of spaces) {
      assert.deepEqual(validateSpace(space), space);
      assert.deepEqual(validateSpace(JSON.parse(JSON.stringify(space))), space);
    }
  });

  it("says where the fault is and what was expected", () => {
    assert.equal(of({ kind: "range", start: 0, stop: 1, step: "x" }), 'over.step: is "x"; expected a finite number');
    assert.equal(of({ kind: "range", start: 0, stop: 1 }), "over.step: is missing; expected a finite number");
    assert.equal(
      of({ kind: "range", start: 0, stop: 1, step: 1, stpe: 2 }),
      "over: has the unknown field stpe; expected the fields start, stop, step of a range",
    );
    assert.match(
      of({ kind: "grit", dimensions: {} }),
      /^over\.kind: is "grit"; expected one of range, linspace, .*grid/,
    );
    assert.match(of([1, 2]), /^over: is \[1,2\]; expected a space: an object with a kind/);
    assert.match(of(null), /^over: is null; expected a space/);
    assert.equal(
      of({ kind: "grid", dimensions: { k: { kind: "list", values: [1, [2, { deep: Number.NaN }]] } } }),
      "over.k.values[1][1].deep: is NaN; expected a finite number",
    );
    assert.match(
      of({ kind: "grid", dimensions: { "my dim": { kind: "linspace", start: 0, stop: 1, count: 0 } } }),
      /^over\["my dim"\]\.count: is 0; expected a whole number of points, 1 or more/,
    );
    assert.match(
      of({ kind: "random", count: 5, seed: 0, dimensions: { x: { kind: "gauss" } } }),
      /^over\.x\.kind: is "gauss"; expected one of uniform, log-uniform, integer, choice, normal/,
    );
    assert.match(
      of({ kind: "random", count: 5, seed: -1, dimensions: { x: uniform(0, 1) } }),
      /^over\.seed: is -1; expected a whole number, 0 or more/,
    );
    assert.match(
      of({ kind: "file", path: "/a.csv", format: "csv", rows: 1, bytes: 2, sha256: "nothing" }),
      /^over\.sha256: is "nothing"; expected a SHA-256/,
    );
  });

  it("refuses empty spaces", () => {
    assert.match(
      refusal(() => range(5, 1)),
      /over: has no points: step 1 does not lead from 5 to 1 .*; use step -1/,
    );
    assert.match(
      refusal(() => range(1, 1)),
      /over: has no points/,
    );
    assert.match(
      refusal(() => range(0, 1, 0)),
      /over\.step: is 0/,
    );
    assert.match(
      refusal(() => list([])),
      /over\.values: is empty/,
    );
    assert.match(
      refusal(() => grid({})),
      /over: has no dimensions/,
    );
    assert.match(
      refusal(() => grid({ a: [1], b: [] })),
      /over\.b\.values: is empty/,
    );
    assert.match(
      refusal(() => random(0, { a: uniform(0, 1) })),
      /over\.count: is 0/,
    );
    assert.match(
      refusal(() => random(5, {})),
      /over: has no dimensions/,
    );
  });

  it("refuses more points than can be numbered", () => {
    const most = Number.MAX_SAFE_INTEGER;
    assert.match(
      refusal(() => range(-most, most)),
      /has more than 9007199254740991 points/,
    );
    assert.match(
      refusal(() => range(0, 1, 1e-300)),
      /has more than 9007199254740991 points/,
    );
    assert.match(
      refusal(() => grid({ a: range(0, 3e9), b: range(0, 3e9) })),
      /over: has 9000000000000000000 combinations \(3000000000 × 3000000000\); the limit is 9007199254740991/,
    );
    assert.match(
      refusal(() => latinHypercube(most, { a: uniform(0, 1) })),
      /over\.count: .* at most 4503599627370496/,
    );
    assert.match(
      refusal(() => linspace(0, 1, 1e300)),
      /over\.count/,
    );
    assert.equal(compileSpace(random(most, { a: uniform(0, 1) })).length, most);
  });

  it("refuses what cannot be computed", () => {
    assert.match(
      refusal(() => zip({ a: [1, 2], b: [1, 2, 3] })),
      /over\.b: has 3 values but a has 2; the dimensions of a zip are equally long/,
    );
    assert.match(
      refusal(() => range(1e15, 1e15 + 100, 0.01)),
      /over\.step: 0.01 is too small to tell neighbouring points/,
    );
    assert.match(
      refusal(() => logspace(-4, 0, 5)),
      /over\.start: is -4; expected a positive number \(the value itself/,
    );
    assert.match(
      refusal(() => logspace(1, 0, 5)),
      /over\.stop: is 0/,
    );
    assert.match(
      refusal(() => linspace(-1e308, 1e308, 3)),
      /further than a number can count/,
    );
    assert.match(
      refusal(() => random(1, { a: uniform(1, 1) })),
      /over\.a: is empty: max 1 is not above min 1/,
    );
    assert.match(
      refusal(() => random(1, { a: logUniform(0, 1) })),
      /over\.a\.min: is 0; a logarithm needs a positive number/,
    );
    assert.match(
      refusal(() => random(1, { a: integer(3, 2) })),
      /over\.a: has no whole numbers from 3 to 2/,
    );
    assert.match(
      refusal(() => random(1, { a: integer(0.5, 2) })),
      /over\.a\.min: is 0.5; expected a whole number/,
    );
    assert.match(
      refusal(() => random(1, { a: normal(0, 0) })),
      /over\.a\.stddev: is 0; expected a positive number/,
    );
    assert.match(
      refusal(() => random(1, { a: choice([]) })),
      /over\.a\.values: is empty/,
    );
    assert.match(
      refusal(() => list([new Date(0)])),
      /over\.values\[0\]: is a Date; expected JSON/,
    );
    assert.match(
      refusal(() => list([{ a: undefined }])),
      /over\.values\[0\]\.a: is undefined; expected JSON/,
    );
    assert.match(
      refusal(() => list([() => 1])),
      /over\.values\[0\]: is a function; expected JSON/,
    );
    assert.match(
      refusal(() => list([1n])),
      /over\.values\[0\]: is a bigint; expected JSON/,
    );
    assert.match(
      of(JSON.parse('{"kind":"grid","dimensions":{"__proto__":{"kind":"list","values":[1]}}}')),
      /cannot name a dimension|has no dimensions/,
    );
  });

  it("refuses endless nesting instead of overflowing the stack", () => {
    let deep: unknown = { kind: "list", values: [1] };
    for (let level = 0; level < 50_000; level += 1) deep = { kind: "grid", dimensions: { a: deep } };
    assert.match(of(deep), /is nested deeper than 8 spaces/);
    let value: unknown = 1;
    for (let level = 0; level < 50_000; level += 1) value = [value];
    assert.match(of({ kind: "list", values: [value] }), /is nested deeper than 64 levels/);
  });

  it("shows in the sentence whatever was there, however odd", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    let deep: unknown = 1;
    for (let level = 0; level < 50_000; level += 1) deep = [deep];
    const odd: [value: unknown, text: string][] = [
      [cyclic, "an Object"],
      [deep, "an Array"],
      [5n, "a bigint"],
      [Number.NaN, "NaN"],
      [() => 1, "a function"],
      ["x".repeat(100), `"${"x".repeat(56)}...`],
      [null, "null"],
    ];
    for (const [step, text] of odd) {
      assert.equal(of({ kind: "range", start: 0, stop: 1, step }), `over.step: is ${text}; expected a finite number`);
    }
  });

  it("either accepts or refuses any JSON, and what it accepts can be compiled", () => {
    const kinds = [
      "range",
      "linspace",
      "logspace",
      "list",
      "grid",
      "zip",
      "random",
      "latin-hypercube",
      "uniform",
      "choice",
    ];
    const leaf = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.string(),
      fc.boolean(),
      fc.constant(null),
      fc.constantFrom(...kinds),
    );
    const { spaceLike } = fc.letrec((tie) => ({
      spaceLike: fc.dictionary(
        fc.constantFrom("kind", "start", "stop", "step", "count", "seed", "values", "dimensions", "min", "max", "x"),
        fc.oneof({ depthSize: "small" }, leaf, fc.array(leaf, { maxLength: 3 }), tie("spaceLike")),
      ),
    }));
    fc.assert(
      fc.property(spaceLike, fc.constantFrom(...kinds), (value, kind) => {
        try {
          const space = compileSpace(validateSpace({ ...(value as object), kind }));
          space.at(0);
          space.at(space.length - 1);
        } catch (thrown) {
          assert.ok(HoldfastError.is(thrown, "INVALID_SPACE"), String(thrown));
        }
      }),
      { numRuns: 300 },
    );
  });
});

type Same<Left, Right> = [Left, Right] extends [Right, Left] ? true : false;

describe("types of points", () => {
  it("follow from what was written", () => {
    const sweep = grid({
      k: range(1, 51),
      distance: ["euclidean", "manhattan"],
      at: list([
        [1, 2],
        [3, 4],
      ]),
    });
    const drawn = random(3, { rate: uniform(0, 1), kind: choice(["a", "b"]) });
    type Point = PointOf<typeof sweep>;
    // The compiler is the test: a claim that does not hold cannot be given the value true.
    const claims: [
      Same<Point["k"], number>,
      Same<Point["distance"], "euclidean" | "manhattan">,
      Same<Point["at"], [1, 2] | [3, 4]>,
      Same<PointOf<typeof drawn>, { rate: number; kind: "a" | "b" }>,
    ] = [true, true, true, true];
    const isTaken: Space<number> extends Space<string> ? true : false = false;
    assert.ok(claims.every(Boolean) && !isTaken);
  });
});
