import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  type Aggregator,
  compileAggregator,
  count,
  max,
  mean,
  min,
  quantiles,
  type Reduce,
  type ReducedItem,
  type ReduceInput,
  type ReduceResult,
  type ReduceSpec,
  type StatsResult,
  stats,
  stddev,
  sum,
  topK,
  type TopResult,
  toReduceSpec,
  type UserReducer,
  validateReduce,
  variance,
} from "../../../src/core/aggregate.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { seededRandom } from "../../support/seeded-random.ts";

function items(values: readonly unknown[]): ReducedItem[] {
  return values.map((value, index) => ({ index, point: { i: index }, value }));
}

function folded(aggregator: Aggregator, given: readonly ReducedItem[]): unknown {
  const accumulator = aggregator.empty();
  for (const item of given) aggregator.add(accumulator, item);
  return accumulator;
}

function answer(input: ReduceInput, values: readonly unknown[]): unknown {
  const aggregator = compileAggregator(toReduceSpec(input));
  return aggregator.finish(folded(aggregator, items(values)));
}

/** Cuts the items as `cuts` says, folds each part, and merges the parts' texts in the order `order` says. */
function inParts(aggregator: Aggregator, given: readonly ReducedItem[], random: () => number): unknown {
  const parts: ReducedItem[][] = Array.from({ length: 1 + Math.floor(random() * 12) }, () => []);
  for (const item of given) parts[Math.floor(random() * parts.length)]?.push(item);
  let encoded = parts.map((part) => aggregator.encode(folded(aggregator, shuffled(part, random))));
  while (encoded.length > 1) {
    const [first = "", second = "", ...others] = shuffled(encoded, random);
    const into = aggregator.decode(first);
    aggregator.merge(into, aggregator.decode(second));
    encoded = [...others, aggregator.encode(into)];
  }
  return aggregator.decode(encoded[0] ?? aggregator.encode(aggregator.empty()));
}

function shuffled<Entry>(entries: readonly Entry[], random: () => number): Entry[] {
  return entries
    .map((entry) => ({ entry, key: random() }))
    .sort((left, right) => left.key - right.key)
    .map(({ entry }) => entry);
}

const EVERYTHING: ReduceInput = {
  items: count(),
  total: sum("score"),
  mean: mean("score"),
  least: min("score"),
  most: max("score"),
  variance: variance("score"),
  stddev: stddev("score"),
  median: quantiles("score", [0.5, 0.99]),
  all: stats("score", { quantiles: [0.1] }),
  best: topK("score", 3),
  worst: topK("score", 4, { order: "min" }),
  nested: { deep: { sum: sum("deep.0") } },
};

describe("aggregation", () => {
  it("answers", () => {
    assert.equal(answer(count(), ["a", null, 3]), 3);
    assert.deepEqual(answer(sum(), [1, 2, 4]), { value: 7, count: 3, ignored: 0 });
    assert.deepEqual(answer(mean("x"), [{ x: 1 }, { x: 2 }]), { value: 1.5, count: 2, ignored: 0 });
    assert.deepEqual(answer(min(), [3, -1, 2]), { value: -1, count: 3, ignored: 0 });
    assert.deepEqual(answer(max(), [3, -1, 2]), { value: 3, count: 3, ignored: 0 });
    assert.deepEqual(answer(variance(), [2, 4, 4, 4, 5, 5, 7, 9]), { value: 32 / 7, count: 8, ignored: 0 });
    assert.deepEqual(answer(stddev(), [1, 3]), { value: Math.SQRT2, count: 2, ignored: 0 });
    assert.deepEqual(answer(quantiles([0.5, 1]), [3, 1, 2]), {
      count: 3,
      ignored: 0,
      quantiles: [
        { at: 0.5, value: 2 },
        { at: 1, value: 3 },
      ],
    });
    assert.deepEqual(answer(stats("x", { quantiles: [0.5] }), [{ x: 1 }, { x: 3 }, {}]), {
      count: 2,
      ignored: 1,
      sum: 4,
      mean: 2,
      min: 1,
      max: 3,
      variance: 2,
      stddev: Math.SQRT2,
      quantiles: [{ at: 0.5, value: 2 }],
    });
  });

  it("names the best points; of equal ones the lower index is better", () => {
    const values = [{ s: 2 }, { s: 5 }, { s: 5 }, { s: 1 }, { s: 2 }, { s: "9" }];
    assert.deepEqual(answer(topK("s", 3), values), {
      count: 5,
      ignored: 1,
      entries: [
        { index: 1, point: { i: 1 }, value: { s: 5 }, score: 5 },
        { index: 2, point: { i: 2 }, value: { s: 5 }, score: 5 },
        { index: 0, point: { i: 0 }, value: { s: 2 }, score: 2 },
      ],
    });
    const lowest = answer(topK("s", 2, { order: "min" }), values) as TopResult;
    assert.deepEqual(
      lowest.entries.map(({ index }) => index),
      [3, 0],
    );
    assert.deepEqual((answer(topK(1), [1, 3, 2]) as TopResult).entries, [
      { index: 1, point: { i: 1 }, value: 3, score: 3 },
    ]);
  });

  it("ignores what is no finite number, and never lets it spoil the rest", () => {
    const odd = [
      undefined,
      null,
      "1",
      true,
      Number.NaN,
      Infinity,
      -Infinity,
      [1],
      { x: null },
      { x: { x: 1 } },
      { y: 1 },
    ];
    for (const input of [sum("x"), mean("x"), variance("x"), min("x")]) {
      const found = answer(input, [...odd, { x: 1 }, { x: 1 }]) as { count: number; ignored: number };
      assert.deepEqual([found.count, found.ignored], [2, odd.length]);
    }
    assert.deepEqual(answer(sum("toString.length"), [{}, []]), { value: 0, count: 0, ignored: 2 });
    assert.deepEqual(answer(sum("a.1.b"), [{ a: [0, { b: 5 }] }]), { value: 5, count: 1, ignored: 0 });
  });

  it("has an answer for nothing", () => {
    assert.deepEqual(answer(sum(), []), { value: 0, count: 0, ignored: 0 });
    for (const input of [mean(), min(), max(), variance(), stddev()])
      assert.deepEqual(answer(input, []), { value: null, count: 0, ignored: 0 });
    assert.deepEqual(answer(variance(), [1]), { value: null, count: 1, ignored: 0 });
    assert.deepEqual(answer(quantiles([0.5]), []), { count: 0, ignored: 0, quantiles: [{ at: 0.5, value: null }] });
    assert.deepEqual(answer(topK(3), []), { count: 0, ignored: 0, entries: [] });
    assert.equal(answer(count(), []), 0);
  });

  it("says null where the answer is too large for a number, and only there", () => {
    assert.deepEqual(answer(sum(), [Number.MAX_VALUE, Number.MAX_VALUE]), { value: null, count: 2, ignored: 0 });
    assert.deepEqual(answer(mean(), [Number.MAX_VALUE, Number.MAX_VALUE]), {
      value: Number.MAX_VALUE,
      count: 2,
      ignored: 0,
    });
    assert.deepEqual(answer(variance(), [-1e200, 1e200]), { value: null, count: 2, ignored: 0 });
    assert.deepEqual(answer(variance(), [1e-200, 3e-200]), { value: 0, count: 2, ignored: 0 });
    assert.deepEqual(answer(sum(), [Number.MAX_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE]), {
      value: Number.MAX_VALUE,
      count: 3,
      ignored: 0,
    });
  });

  it("keeps the variance of numbers that differ in their last digits only", () => {
    const far = 1e9;
    assert.deepEqual(answer(variance(), [far + 4, far + 7, far + 13, far + 16]), { value: 30, count: 4, ignored: 0 });
    assert.deepEqual(answer(variance(), Array<number>(1_000).fill(0.1)), { value: 0, count: 1_000, ignored: 0 });
  });
});

describe("aggregates of parts", () => {
  it("are the same, bit for bit, for every partition and order", () => {
    const aggregator = compileAggregator(toReduceSpec(EVERYTHING));
    const score = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, -0, 1, 1, 2, 0.1, 1e16, -1e16, 1e308, -1e308, 5e-324),
      fc.constantFrom(null, "text", undefined),
    );
    fc.assert(
      fc.property(fc.array(score, { maxLength: 60 }), fc.nat(), (scores, seed) => {
        const given = items(scores.map((value) => ({ score: value, deep: [value] })));
        const whole = folded(aggregator, given);
        const random = seededRandom(seed);
        const merged = inParts(aggregator, given, random);
        assert.equal(aggregator.encode(merged), aggregator.encode(whole));
        assert.deepEqual(JSON.stringify(aggregator.finish(merged)), JSON.stringify(aggregator.finish(whole)));
      }),
      { numRuns: 200 },
    );
  });

  it("are the same for many items too", () => {
    const aggregator = compileAggregator(toReduceSpec(EVERYTHING));
    const random = seededRandom(42);
    const given = items(
      Array.from({ length: 6_000 }, () => ({ score: Math.round(random() * 1_000) / 7 - 50, deep: [random()] })),
    );
    const expected = aggregator.encode(folded(aggregator, given));
    for (let repeat = 0; repeat < 5; repeat += 1)
      assert.equal(aggregator.encode(inParts(aggregator, given, random)), expected);
  });

  it("agree with fractions of any size", () => {
    const term = fc.integer({ min: -1_000_000, max: 1_000_000 });
    fc.assert(
      fc.property(fc.array(term, { minLength: 2, maxLength: 50 }), fc.integer({ min: 0, max: 40 }), (terms, power) => {
        // Multiples of 2^−power: exact as doubles, and as fractions of small whole numbers.
        const found = answer(
          stats(),
          terms.map((value) => value / 2 ** power),
        ) as StatsResult;
        const total = terms.reduce((left, right) => left + right, 0);
        const squares = terms.reduce((left, right) => left + BigInt(right) ** 2n, 0n);
        const n = BigInt(terms.length);
        assert.equal(found.sum, total / 2 ** power);
        assert.equal(found.mean, total / terms.length / 2 ** power);
        const numerator = n * squares - BigInt(total) ** 2n;
        const expected = Number(numerator) / Number(n * (n - 1n)) / 2 ** (2 * power);
        assert.ok(Math.abs((found.variance ?? Number.NaN) - expected) <= 2 ** -52 * expected);
      }),
    );
  });

  it("refuse a text that is no partial of theirs", () => {
    const aggregator = compileAggregator(toReduceSpec({ a: stats("x", { quantiles: [0.5] }), b: count(), c: topK(2) }));
    for (const text of [
      "",
      "null",
      "[]",
      "{}",
      "[1,2,3]",
      '[{"count":1,"ignored":0},1,{"count":0,"ignored":0,"entries":[]}]',
      "[{},{},{}]",
    ]) {
      assert.throws(
        () => aggregator.decode(text),
        (thrown) => HoldfastError.is(thrown, "INTERNAL"),
        text,
      );
    }
  });

  it("do not change what is merged into them", () => {
    const aggregator = compileAggregator(toReduceSpec(EVERYTHING));
    const part = folded(aggregator, items([{ score: 1 }, { score: 2 }]));
    const text = aggregator.encode(part);
    const into = aggregator.empty();
    aggregator.merge(into, part);
    aggregator.add(into, { index: 9, point: null, value: { score: 77 } });
    assert.equal(aggregator.encode(part), text);
  });
});

describe("user reducers", () => {
  const longest: UserReducer<{ text: string }, string> = {
    name: "longest",
    init: () => ({ text: "" }),
    add: (accumulator, { value }) =>
      String(value).length > accumulator.text.length ? { text: String(value) } : accumulator,
    merge: (left, right) => (right.text.length > left.text.length ? right : left),
    finish: ({ text }) => text,
  };
  const spec: ReduceSpec = { kind: "user", module: "file:///reducers.ts", name: "longest" };

  it("fold, travel and finish", () => {
    const aggregator = compileAggregator(spec, longest);
    const left = folded(aggregator, items(["a", "bbb"]));
    const right = aggregator.decode(aggregator.encode(folded(aggregator, items(["cc", "dddd"]))));
    aggregator.merge(left, right);
    assert.equal(aggregator.finish(left), "dddd");
  });

  it("stand beside built-in ones, found by name", () => {
    const total: UserReducer<number> = {
      name: "total",
      init: () => 0,
      add: (sumSoFar, { value }) => sumSoFar + Number(value),
      merge: (left, right) => left + right,
    };
    const record: ReduceSpec = {
      kind: "record",
      parts: { longest: spec, total: { ...spec, name: "total" }, items: count() },
    };
    const aggregator = compileAggregator(record, ({ name }) => (name === "total" ? total : longest));
    assert.deepEqual(aggregator.finish(folded(aggregator, items([1, 22]))), { longest: "22", total: 23, items: 2 });
  });

  it("must be there, and their accumulators must be JSON", () => {
    assert.throws(
      () => compileAggregator(spec),
      (thrown) => HoldfastError.is(thrown, "INTERNAL"),
    );
    const odd: UserReducer = {
      name: "odd",
      init: () => ({ seen: new Set() }),
      add: (accumulator) => accumulator,
      merge: (left) => left,
    };
    const aggregator = compileAggregator(spec, odd);
    assert.throws(
      () => aggregator.encode(aggregator.empty()),
      (thrown) =>
        HoldfastError.is(thrown, "INVALID_INPUT") && /reducer odd: accumulator\.seen: is a Set/.test(thrown.message),
    );
  });
});

describe("descriptions of aggregations", () => {
  it("come back from JSON, and records may be written as plain objects", () => {
    const spec = toReduceSpec(EVERYTHING);
    assert.deepEqual(validateReduce(JSON.parse(JSON.stringify(spec))), spec);
    assert.deepEqual(toReduceSpec({ best: topK("a.b", 2) }), {
      kind: "record",
      parts: { best: { kind: "top-k", field: "a.b", k: 2, order: "max" } },
    });
    assert.deepEqual(toReduceSpec(count()), { kind: "count" });
  });

  it("are refused with path and expectation", () => {
    const refused = (value: unknown, message: RegExp): void => {
      assert.throws(
        () => validateReduce(value),
        (thrown) => HoldfastError.is(thrown, "INVALID_INPUT") && message.test(thrown.message),
        String(message),
      );
    };
    refused(null, /^reduce: is null; expected an aggregation: an object with a kind of count, sum/);
    refused({ kind: "median" }, /^reduce\.kind: is "median"; expected one of count, sum/);
    refused({ kind: "sum", field: "" }, /^reduce\.field: is ""; expected a dotted path/);
    refused({ kind: "sum", field: "a..b" }, /^reduce\.field: is "a\.\.b"/);
    refused({ kind: "top-k", k: 0, order: "max" }, /^reduce\.k: is 0; expected a whole number from 1 to 1000/);
    refused({ kind: "top-k", k: 1, order: "up" }, /^reduce\.order: is "up"; expected max or min/);
    refused({ kind: "quantiles", at: [0.5, 50] }, /^reduce\.at\[1\]: is 50; expected 1 to 100 shares from 0 to 1/);
    refused({ kind: "quantiles", at: [] }, /^reduce\.at: is \[\]; expected 1 to 100 shares/);
    refused({ kind: "count", field: "x" }, /^reduce: has the unknown field field; expected nothing more in count/);
    refused({ kind: "record", parts: {} }, /^reduce: has no parts/);
    refused(
      { kind: "record", parts: { best: { kind: "sum", filed: "x" } } },
      /^reduce\.best: has the unknown field filed; expected field in sum/,
    );
    refused({ kind: "user", module: "", name: "x" }, /^reduce\.module: is ""/);
    let deep: unknown = { kind: "count" };
    for (let level = 0; level < 50_000; level += 1) deep = { kind: "record", parts: { a: deep } };
    refused(deep, /is nested deeper than 8 records/);
  });

  it("know the type of their answers", () => {
    const input = { best: topK("accuracy", 3), accuracy: stats("accuracy"), items: count() };
    type Answer = ReduceResult<typeof input>;
    const read = ({ best, accuracy, items: found }: Answer): [number | undefined, number | null, number] => [
      best.entries[0]?.score,
      accuracy.mean,
      found,
    ];
    assert.deepEqual(read(answer(input, [{ accuracy: 0.5 }]) as Answer), [0.5, 0.5, 1]);
    const typed: Reduce<TopResult> = topK("x", 1);
    assert.equal(typed.kind, "top-k");
  });
});
