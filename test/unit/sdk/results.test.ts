import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Broker, ReadResultsParams, ResultRow } from "../../../src/broker/contract.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { pointsFrom } from "../../../src/sdk/points.ts";
import { collect } from "../../fixtures/sdk/collect.ts";
import { streamResults } from "../../../src/sdk/results.ts";

/** A broker that holds these commits and nothing else. */
function scripted(rows: readonly ResultRow[]): { readonly broker: Broker; readonly reads: ReadResultsParams[] } {
  const reads: ReadResultsParams[] = [];
  const readResults: Broker["readResults"] = (params) => {
    reads.push(params);
    const from = params.cursor ?? 0;
    const page = rows.slice(from, from + params.limit);
    return Promise.resolve({ rows: page, cursor: from + page.length, done: from + page.length >= rows.length });
  };
  return { broker: { readResults } as Broker, reads };
}

function chunk(start: number, end: number, missing: readonly number[] = []): ResultRow {
  const values = Array.from({ length: end - start }, (_, at) =>
    missing.includes(start + at) ? null : `v${start + at}`,
  );
  return {
    task: 0,
    start,
    end,
    values: JSON.stringify(values),
    worker: "w",
    attempt: 1,
    durationMs: 1,
    at: 0,
    ...(missing.length > 0 ? { missing } : {}),
  };
}

function stream(broker: Broker, options: { readonly ordered: boolean; readonly bufferedItems?: number }) {
  return collect(
    streamResults<number, string>({
      broker,
      executionId: "e",
      openPoints: pointsFrom((index) => index * 10),
      follow: true,
      bufferedItems: 1_000,
      ...options,
    }),
  );
}

test("commit order is the order of commits", async () => {
  const { broker } = scripted([chunk(4, 6), chunk(0, 4, [1]), chunk(1, 2)]);
  const results = await stream(broker, { ordered: false });
  assert.deepEqual(
    results.map(({ index, point, value }) => [index, point, value]),
    [
      [4, 40, "v4"],
      [5, 50, "v5"],
      [0, 0, "v0"],
      [2, 20, "v2"],
      [3, 30, "v3"],
      [1, 10, "v1"],
    ],
  );
});

test("index order holds for any cut, any order of commits, any gaps and any buffer", async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(
      cuts,
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      fc.integer({ min: 0, max: 40 }),
      async (lengths, chance, bufferedItems) => {
        const draw = (): number => chance.next().value ?? 0;
        const rows: ResultRow[] = [];
        const expected: number[] = [];
        let start = 0;
        for (const length of lengths) {
          const missing: number[] = [];
          for (let index = start; index < start + length; index++) {
            const fate = draw();
            if (fate < 0.15) missing.push(index);
            if (fate < 0.05) continue; // failed for good
            expected.push(index);
            if (fate < 0.15) rows.push(chunk(index, index + 1)); // retried alone
          }
          rows.push(chunk(start, start + length, missing));
          start += length;
        }
        const order = rows.map((row) => ({ row, key: draw() })).sort((a, b) => a.key - b.key);
        const { broker } = scripted(order.map(({ row }) => row));
        const results = await stream(broker, { ordered: true, bufferedItems });
        assert.deepEqual(
          results.map(({ index }) => index),
          expected,
        );
        assert.ok(results.every(({ index, value, point }) => value === `v${index}` && point === index * 10));
      },
    ),
    { numRuns: 60 },
  );
});

test("what is ahead of its turn beyond the buffer is read again, page by page", async () => {
  const late = chunk(0, 10);
  const rows = [...Array.from({ length: 999 }, (_, at) => chunk(10 * (at + 1), 10 * (at + 2))), late];
  const { broker, reads } = scripted(rows);
  const results = await stream(broker, { ordered: true, bufferedItems: 2_500 });
  assert.deepEqual(
    results.map(({ index }) => index),
    Array.from({ length: 10_000 }, (_, index) => index),
  );
  assert.ok(reads.length <= 12, `${reads.length} reads`);
});

test("pages that are too large are asked for in smaller ones", async () => {
  const rows = Array.from({ length: 300 }, (_, at) => chunk(2 * at, 2 * at + 2));
  const { broker, reads } = scripted(rows);
  const readResults: Broker["readResults"] = (params) =>
    params.limit > 7
      ? Promise.reject(new HoldfastError("PAYLOAD_TOO_LARGE", { what: "The reply", bytes: 9, limit: 7 }))
      : broker.readResults(params);
  const results = await stream({ readResults } as Broker, { ordered: false });
  assert.equal(results.length, 600);
  assert.ok(reads.every(({ limit }) => limit <= 7));
  const never: Broker["readResults"] = () =>
    Promise.reject(new HoldfastError("PAYLOAD_TOO_LARGE", { what: "The reply", bytes: 9, limit: 7 }));
  await assert.rejects(stream({ readResults: never } as Broker, { ordered: false }), { code: "PAYLOAD_TOO_LARGE" });
});
