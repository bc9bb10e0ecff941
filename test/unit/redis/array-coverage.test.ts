import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ArrayFacts, coverArray } from "../../../src/broker/redis/doctor/array-coverage.ts";

const NOTHING: ArrayFacts = {
  length: 100,
  cursor: 0,
  isDelayed: false,
  rows: [],
  letters: [],
  chunks: [],
  later: [],
  ranges: [],
};

const lease = (start: number, end: number) => ({ start, end, entry: `${start}-0`, isReplica: false, isHeld: true });
const back = (start: number, end: number) => ({ start, end, member: `${start}:${end}` });

describe("where the items of an array stand", () => {
  it("is one place for each", () => {
    const { counts, mends } = coverArray({
      ...NOTHING,
      cursor: 60,
      rows: [{ start: 0, end: 20, missing: [3, 19] }],
      letters: [{ start: 3, end: 4 }],
      later: [{ start: 19, end: 20, hasTimer: true }],
      chunks: [lease(20, 30), { ...lease(0, 20), isReplica: true }],
      ranges: [back(30, 60)],
    });
    assert.deepEqual(counts, { completed: 18, failed: 1, running: 10, scheduled: 1, queued: 70 });
    assert.deepEqual(mends, []);
  });

  it("is all scheduled while the group is delayed", () => {
    const { counts } = coverArray({ ...NOTHING, isDelayed: true });
    assert.deepEqual(counts, { completed: 0, failed: 0, running: 0, scheduled: 100, queued: 0 });
  });

  it("is nowhere between what is known", () => {
    const { mends } = coverArray({ ...NOTHING, cursor: 50, rows: [{ start: 10, end: 20, missing: [] }] });
    assert.deepEqual(mends, [
      { kind: "lost", start: 0, end: 10 },
      { kind: "lost", start: 20, end: 50 },
    ]);
  });

  it("counts for what has gone furthest, and the rest leaves", () => {
    const { counts, mends } = coverArray({
      ...NOTHING,
      cursor: 40,
      rows: [{ start: 0, end: 10, missing: [] }],
      chunks: [lease(0, 10), lease(10, 20), { ...lease(20, 25), isHeld: false }],
      later: [
        { start: 12, end: 14, hasTimer: true },
        { start: 20, end: 25, hasTimer: false },
      ],
      ranges: [back(5, 40)],
    });
    assert.deepEqual(counts, { completed: 10, failed: 0, running: 10, scheduled: 5, queued: 75 });
    assert.deepEqual(mends, [
      { kind: "drop", entry: "0-0" },
      { kind: "drop", entry: "20-0" },
      { kind: "forget", start: 12 },
      { kind: "timer", start: 20 },
      { kind: "cut", member: "5:40" },
      { kind: "add", start: 25, end: 40 },
    ]);
  });

  it("adds up to all items, however the array was cut into pieces", () => {
    const places = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(4)), { maxLength: 30 });
    fc.assert(
      fc.property(places, fc.infiniteStream(fc.nat(1_000)), (pieces, keys) => {
        const facts = { rows: [], letters: [], chunks: [], later: [], ranges: [] } as Record<string, object[]>;
        let cursor = 0;
        for (const [size, place] of pieces) {
          const [start, end] = [cursor, cursor + size];
          const piece = { missing: [], hasTimer: true, ...lease(start, end), ...back(start, end) };
          facts[["rows", "letters", "chunks", "later", "ranges"][place] as string]?.push(piece);
          cursor = end;
        }
        const shuffled = Object.fromEntries(
          Object.entries(facts).map(([name, list]) => [name, list.toSorted(() => (keys.next().value ?? 0) - 500)]),
        );
        const { counts, mends } = coverArray({ ...NOTHING, length: cursor + 7, cursor, ...shuffled });
        assert.deepEqual(mends, []);
        assert.equal(
          Object.values(counts).reduce((left, right) => left + right, 0),
          cursor + 7,
        );
      }),
    );
  });
});
