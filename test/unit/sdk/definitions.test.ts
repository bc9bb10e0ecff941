import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import {
  batch,
  csvFile,
  type Definition,
  defineReducer,
  defineTask,
  grid,
  type HoldfastError,
  integer,
  jsonlFile,
  list,
  random,
  range,
  stats,
  sweep,
  topK,
  type TopResult,
  type StatsResult,
  zip,
} from "../../../src/index.ts";
import type { ArraySource } from "../../../src/core/handler.ts";
import { compileSpace } from "../../../src/core/space.ts";
import { inCalls } from "../../../src/sdk/batch.ts";
import { indicesToCheck, pathInSpace } from "../../../src/sdk/check-points.ts";
import { readNotes } from "../../../src/sdk/notes.ts";
import { square } from "../../fixtures/sdk/tasks.ts";
import { type Same, typeIs } from "../../fixtures/sdk/type-equality.ts";

const fit = defineTask({
  name: "fit",
  module: "file:///tasks.js",
  input: z.object({ k: z.number().int().min(1), distance: z.enum(["euclidean", "manhattan"]) }),
  timeout: "30s",
  memoryLimit: "256MB",
  retry: 1,
  pool: "fast",
  requires: ["ssd"],
  priority: "validation",
  run: (point) => ({ accuracy: 1 / point.k }),
});

async function refusal(definition: Definition): Promise<HoldfastError> {
  try {
    await definition.prepare();
  } catch (thrown) {
    return thrown as HoldfastError;
  }
  return assert.fail("was not refused");
}

test("a sweep becomes one array with its space, chunk plan and notes", async () => {
  const over = grid({ k: range(1, 51), distance: ["euclidean", "manhattan"] });
  const definition = sweep(fit, {
    over,
    reduce: topK("accuracy", 10),
    verify: { sample: 0.01 },
    chunk: "2s",
    maxFailures: 5,
    retention: "1h",
    key: "nightly",
    name: "tuning",
  });
  const { submission, rest } = await definition.prepare();
  assert.deepEqual(rest, []);
  const [group] = submission.groups;
  assert.ok(group?.work.kind === "array");
  const { source, ...work } = group.work;
  assert.deepEqual(work, {
    kind: "array",
    length: 100,
    chunk: { kind: "adaptive", targetMs: 2_000, min: 1, max: 10_000 },
    results: "keep",
  });
  assert.deepEqual(JSON.parse(source) as ArraySource, {
    space: over,
    reduce: { kind: "top-k", field: "accuracy", k: 10, order: "max" },
  });
  assert.deepEqual(
    { ...submission, groups: [{ ...group, work: undefined }], meta: readNotes(submission.meta) },
    {
      kind: "sweep",
      name: "tuning",
      key: "nightly",
      priority: 7,
      maxFailures: 5,
      retentionMs: 3_600_000,
      verify: { sample: 0.01, replicas: 2, tolerance: 0, seed: 0 },
      groups: [
        {
          name: "fit",
          handler: JSON.stringify({ kind: "function", module: "file:///tasks.js", task: "fit" }),
          pool: "fast",
          requires: ["ssd"],
          retry: fit.retry,
          maxLosses: 3,
          timeoutMs: 30_000,
          memoryLimitMb: 256,
          work: undefined,
        },
      ],
      meta: {
        task: { module: "file:///tasks.js", name: "fit" },
        space: over,
        reduce: { kind: "top-k", field: "accuracy", k: 10, order: "max" },
      },
    },
  );
});

test("types of points, values and aggregate follow from what was written", () => {
  const grids = sweep(fit, {
    over: grid({ k: range(1, 51), distance: ["euclidean", "manhattan"] }),
    reduce: topK("accuracy", 10),
  });
  typeIs(
    true satisfies Same<
      typeof grids,
      Definition<{ k: number; distance: "euclidean" | "manhattan" }, { accuracy: number }, TopResult>
    >,
  );
  const named = sweep(fit, {
    over: csvFile("points.csv"),
    reduce: { best: topK("accuracy", 1), all: stats("accuracy") },
  });
  typeIs(
    true satisfies Same<
      typeof named,
      Definition<
        { k: number; distance: "euclidean" | "manhattan" },
        { accuracy: number },
        { readonly best: TopResult; readonly all: StatsResult }
      >
    >,
  );
  const inputs = batch(square, [{ x: 1 }, { x: 2, shift: 3 }]);
  typeIs(
    true satisfies Same<
      typeof inputs,
      Definition<{ x: number; shift?: number | undefined }, { squared: number }, never>
    >,
  );
  // @ts-expect-error a point of this space is no input of the task
  void sweep(fit, { over: grid({ k: range(1, 51), distance: ["chebyshev"] }) });
  // @ts-expect-error an input lacks what the task needs
  void batch(fit, [{ k: 1 }]);
});

test("a wrong value is refused with the place where it was written", async () => {
  const distance = ["euclidean"] as const;
  const cases: readonly [Definition, string][] = [
    [sweep(fit, { over: grid({ k: [3, 2, 1, 0], distance }) }), "over.k[3]"],
    [sweep(fit, { over: grid({ distance, k: range(-2, 3) }) }), "over.k[0]"],
    [sweep(fit, { over: zip({ k: [1, 2.5], distance: ["manhattan", "euclidean"] }) }), "over.k[1]"],
    [
      sweep(fit, {
        over: random(50, { k: integer(-1, 0), distance: { kind: "choice", values: ["euclidean"] } }) as never,
      }),
      "over[0].k",
    ],
    [
      sweep(fit, {
        over: list([
          { k: 1, distance: "euclidean" },
          { k: 1, distance: "taxi" },
        ]) as never,
      }),
      "over[1].distance",
    ],
    [
      batch(fit, [
        ...Array.from({ length: 17 }, (_, k) => ({ k: k + 1, distance: distance[0] })),
        { k: 1, distance: "taxi" as "euclidean" },
      ]),
      "inputs[17].distance",
    ],
    [batch(defineTask({ name: "any", run: (input: unknown) => input }), [1, { when: new Date(0) }]), "inputs[1].when"],
    [batch(fit, []), "inputs"],
  ];
  for (const [definition, expected] of cases) {
    const error = await refusal(definition);
    assert.equal(error.code, "INVALID_INPUT");
    assert.equal(error.details["path"], expected, error.message);
  }
});

test("a large grid is checked by every value of every dimension, cheaply", async () => {
  const wide = grid({ k: range(1, 3_001), distance: ["euclidean", "manhattan"], again: range(0, 1_000_000) });
  assert.equal([...indicesToCheck(wide, 6_000_000_000)].length, 2 + 200 + 2 + 200);
  assert.equal([...indicesToCheck(range(0, 1e9), 1e9)].length, 1_002);
  assert.equal([...indicesToCheck({ kind: "list", values: [] }, 20_000)].length, 20_000);
  const values = [...Array.from({ length: 2_999 }, (_, at) => at + 1), 0];
  const bad = sweep(fit, {
    over: grid({ k: values, distance: ["euclidean", "manhattan"], again: range(0, 1_000) }) as never,
  });
  assert.equal((await refusal(bad)).details["path"], "over.k[2999]");
  const huge = defineTask({ name: "huge", input: z.object({ x: z.number(), y: z.number() }), run: () => 0 });
  const { submission } = await sweep(huge, {
    over: grid({ x: range(0, 100_000), y: range(0, 10_000) }),
    results: "discard",
    reduce: { kind: "count" },
  }).prepare();
  assert.equal(submission.groups[0]?.work.kind === "array" && submission.groups[0].work.length, 1_000_000_000);
});

test("a point's dimension is named by the place of its value, in any grid", () => {
  const lengths = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.integer({ min: 1, max: 7 }), { minKeys: 1 });
  fc.assert(
    fc.property(lengths, fc.nat(), (wanted, seed) => {
      const spec = grid(Object.fromEntries(Object.entries(wanted).map(([name, length]) => [name, range(0, length)])));
      const space = compileSpace(spec);
      const index = seed % space.length;
      for (const [name, value] of Object.entries(space.at(index) as Record<string, number>)) {
        assert.equal(pathInSpace(spec, index, [name, "inner"]), `over.${name}[${value}].inner`);
      }
      assert.equal(pathInSpace(spec, index, []), `over[${index}]`);
    }),
  );
});

test("every row of a parameter file is checked, and named by its number", async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), "holdfast-rows-"));
  t.after(() => rm(dir, { recursive: true }));
  const csv = path.join(dir, "points.csv");
  await writeFile(csv, "k,distance\n1,euclidean\n2,manhattan\n3,taxi\n");
  const error = await refusal(sweep(fit, { over: csvFile(csv) }));
  assert.equal(error.code, "INVALID_PARAMETER_FILE");
  assert.match(error.message, /points\.csv, row 3: distance: /);
  const lines = path.join(dir, "points.jsonl");
  await writeFile(lines, '{"k":1,"distance":"euclidean"}\n{"k":2,"distance":"manhattan"}\n');
  const { submission, reader } = await sweep(fit, { over: jsonlFile(lines) }).prepare();
  assert.equal(submission.groups[0]?.work.kind === "array" && submission.groups[0].work.length, 2);
  const points = await reader.openPoints();
  assert.deepEqual(points.at(1), { k: 2, distance: "manhattan" });
  points.close();
});

test("options out of range are refused by name", async () => {
  const over = range(0, 10);
  const one = defineTask({ name: "one", module: "file:///one.js", run: (x: number) => x });
  const cases: readonly [() => Definition, RegExp][] = [
    [() => sweep(one, { over, chunk: 0 }), /^chunk is 0; expected a whole number of points, 1 to 100000/],
    [() => sweep(one, { over, chunk: { min: 10, max: 5 } }), /^chunk\.max is 5; expected at least chunk\.min \(10\)/],
    [() => sweep(one, { over, chunk: { target: "5 parsecs" as "5s" } }), /^chunk\.target is "5 parsecs"/],
    [() => sweep(one, { over, verify: { sample: 2 } }), /^verify\.sample is 2/],
    [() => sweep(one, { over, verify: { replicas: 1 } }), /^verify\.replicas is 1/],
    [() => sweep(one, { over, results: "discard" }), /^results is "discard"; expected "keep", or a `reduce`/],
    [() => sweep(one, { over, maxFailures: 0 }), /^maxFailures is 0/],
    [() => sweep(one, { over, priority: 0 as 1 }), /^priority is 0/],
    [() => batch(one, [1], { retention: "soon" as "1s" }), /^retention is "soon"/],
    [
      () => batch({ ...one, module: undefined }, [1]),
      /^module of task one is unknown; expected a task defined in a file/,
    ],
  ];
  for (const [define, message] of cases) {
    const error = await refusal(define());
    assert.equal(error.code, "INVALID_OPTION");
    assert.match(error.message, message);
  }
});

test("a reducer of the user's own travels as its module and name", async () => {
  const worst = defineReducer({
    name: "worst",
    init: () => ({ loss: -1 }),
    add: (worst, item) => ((item.value as number) > worst.loss ? { loss: item.value as number } : worst),
    merge: (left, right) => (left.loss >= right.loss ? left : right),
  });
  const one = defineTask({ name: "one", run: (x: number) => x });
  const definition = sweep(one, { over: range(0, 3), reduce: { worst, best: topK(1) } });
  typeIs(
    true satisfies Same<
      typeof definition,
      Definition<number, number, { readonly worst: { loss: number }; readonly best: TopResult }>
    >,
  );
  const { reader } = await definition.prepare();
  assert.deepEqual(reader.reduce, {
    kind: "record",
    parts: {
      worst: { kind: "user", module: import.meta.url, name: "worst" },
      best: { kind: "top-k", k: 1, order: "max" },
    },
  });
  assert.deepEqual(reader.reducers, [worst]);
});

test("a large batch is cut into calls, alike every time", async () => {
  const texts = Array.from({ length: 45_000 }, (_, index) => String(index));
  const calls = inCalls(texts);
  assert.deepEqual(
    calls.map(({ length }) => length),
    [20_000, 20_000, 5_000],
  );
  assert.deepEqual(calls.flat(), texts);
  const big = Array.from({ length: 5 }, () => "x".repeat(1_500_000));
  assert.deepEqual(
    inCalls(big).map(({ length }) => length),
    [2, 2, 1],
  );
  const one = defineTask({ name: "one", run: (x: number) => x });
  const { submission, rest } = await batch(
    one,
    Array.from({ length: 20_001 }, (_, index) => index),
  ).prepare();
  assert.equal(submission.open, true);
  assert.equal(rest.length, 1);
});
