import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  type ChunkPlan,
  DEFAULT_CHUNK_PLAN,
  fixedRanges,
  MAX_CHUNK_ITEMS,
  planChunk,
  updateAverage,
} from "../../../src/core/chunking.ts";
import { MAX_CHUNK_ITEMS as CONTRACT_LIMIT } from "../../../src/broker/limits.ts";
import { seededRandom } from "../../support/seeded-random.ts";

interface Simulation {
  readonly plan: ChunkPlan;
  /** Duration of each item. */
  readonly costsMs: readonly number[];
  readonly slots: number;
  /** What handing out one chunk costs. */
  readonly overheadMs: number;
}

interface Run {
  readonly makespanMs: number;
  /** The work divided evenly. */
  readonly idealMs: number;
  readonly chunks: number;
  readonly longestChunkMs: number;
  readonly sizes: readonly number[];
}

/** Workers that take the next chunk whenever a slot is free. */
function simulate({ plan, costsMs, slots, overheadMs }: Simulation): Run {
  const length = costsMs.length;
  const freeAt = Array.from({ length: slots }, () => ({ at: 0, items: 0, tookMs: 0 }));
  const sizes: number[] = [];
  let [next, longestChunkMs, makespanMs] = [0, 0, 0];
  let averageItemMs: number | undefined;
  for (;;) {
    const slot = freeAt.reduce((earliest, other) => (other.at < earliest.at ? other : earliest));
    if (slot.at === Infinity) break;
    makespanMs = Math.max(makespanMs, slot.at);
    if (slot.items > 0) averageItemMs = updateAverage(averageItemMs, { items: slot.items, durationMs: slot.tookMs });
    const size = planChunk(plan, { length, remaining: length - next, averageItemMs, slots });
    if (size === 0) {
      slot.at = Infinity;
      continue;
    }
    const tookMs = costsMs.slice(next, next + size).reduce((sum, cost) => sum + cost, 0);
    Object.assign(slot, { at: slot.at + tookMs + overheadMs, items: size, tookMs });
    next += size;
    sizes.push(size);
    longestChunkMs = Math.max(longestChunkMs, tookMs);
  }
  const idealMs = costsMs.reduce((sum, cost) => sum + cost, 0) / slots;
  return { makespanMs, idealMs, chunks: sizes.length, longestChunkMs, sizes };
}

const anyPlan = fc.oneof(
  fc.record({ kind: fc.constant("fixed" as const), size: fc.integer({ min: 1, max: 2 * MAX_CHUNK_ITEMS }) }),
  fc.record({
    kind: fc.constant("adaptive" as const),
    targetMs: fc.double({ min: 1, max: 1e6, noNaN: true }),
    min: fc.integer({ min: 1, max: 100 }),
    max: fc.integer({ min: 100, max: MAX_CHUNK_ITEMS }),
  }),
);

describe("chunk planning", () => {
  it("has the contract's limit", () => {
    assert.equal(MAX_CHUNK_ITEMS, CONTRACT_LIMIT);
    assert.deepEqual(DEFAULT_CHUNK_PLAN, { kind: "adaptive", targetMs: 1_000, min: 1, max: CONTRACT_LIMIT });
  });

  it("cuts fixed chunks of one size, the last one short", () => {
    const run = simulate({
      plan: { kind: "fixed", size: 30 },
      costsMs: Array<number>(100).fill(1),
      slots: 3,
      overheadMs: 0,
    });
    assert.deepEqual(run.sizes, [30, 30, 30, 10]);
  });

  it("gives at least one item while any remains, never more than remain, nor more than the limit", () => {
    const state = fc.record({
      length: fc.constant(Number.MAX_SAFE_INTEGER),
      remaining: fc.maxSafeNat(),
      averageItemMs: fc.option(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), { nil: undefined }),
      slots: fc.nat(10_000),
    });
    fc.assert(
      fc.property(anyPlan, state, (plan, given) => {
        const size = planChunk(plan, given);
        assert.ok(Number.isSafeInteger(size));
        if (given.remaining === 0) return assert.equal(size, 0);
        assert.ok(size >= 1 && size <= given.remaining && size <= MAX_CHUNK_ITEMS);
        if (plan.kind === "adaptive") assert.ok(size >= Math.min(plan.min, given.remaining) && size <= plan.max);
      }),
    );
  });

  it("probes with few items until something was measured", () => {
    const length = 1_000_000;
    let remaining = length;
    const sizes = Array.from({ length: 40 }, () => {
      const size = planChunk(DEFAULT_CHUNK_PLAN, { length, remaining, averageItemMs: undefined, slots: 4 });
      remaining -= size;
      return size;
    });
    assert.deepEqual(sizes.slice(0, 9), [1, 1, 1, 1, 1, 1, 1, 1, 2]);
    assert.equal(Math.max(...sizes), 16);
    assert.deepEqual(
      sizes,
      sizes.toSorted((left, right) => left - right),
    );
  });

  it("aims at the target once the average is known", () => {
    const state = { length: 10_000_000, remaining: 5_000_000, slots: 4 };
    assert.equal(planChunk(DEFAULT_CHUNK_PLAN, { ...state, averageItemMs: 2 }), 500);
    assert.equal(planChunk(DEFAULT_CHUNK_PLAN, { ...state, averageItemMs: 5_000 }), 1);
    assert.equal(planChunk(DEFAULT_CHUNK_PLAN, { ...state, averageItemMs: 0.0001 }), MAX_CHUNK_ITEMS);
  });

  it("does not let a few cheap first items cause a huge chunk", () => {
    const size = planChunk(DEFAULT_CHUNK_PLAN, {
      length: 1_000_000,
      remaining: 999_900,
      averageItemMs: 1e-6,
      slots: 2,
    });
    assert.equal(size, 50);
  });

  it("splits the tail", () => {
    const state = { length: 1_000, slots: 5, averageItemMs: 1 };
    assert.equal(planChunk(DEFAULT_CHUNK_PLAN, { ...state, remaining: 100 }), 10);
    assert.equal(planChunk(DEFAULT_CHUNK_PLAN, { ...state, remaining: 11 }), 2);
    assert.equal(planChunk(DEFAULT_CHUNK_PLAN, { ...state, remaining: 1 }), 1);
  });

  it("covers every item exactly once whatever the items cost", () => {
    fc.assert(
      fc.property(
        anyPlan,
        fc.array(fc.double({ min: 0, max: 5_000, noNaN: true }), { minLength: 1, maxLength: 300 }),
        fc.integer({ min: 1, max: 12 }),
        (plan, costsMs, slots) => {
          const run = simulate({ plan, costsMs, slots, overheadMs: 1 });
          assert.equal(
            run.sizes.reduce((sum, size) => sum + size, 0),
            costsMs.length,
          );
          assert.ok(
            run.makespanMs <= run.idealMs + run.longestChunkMs + run.chunks + 1e-6,
            "no slot waits while work remains",
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  /** Stated bound: 2% above even division, and three of the dearest items, and 30 chunks' overhead per slot. */
  it("ends within a small bound of even division, for items of very different cost", () => {
    const random = seededRandom(11);
    const shapes: Record<string, (place: number, length: number) => number> = {
      equal: () => 10,
      lognormal: () => 10 * Math.exp(2 * (random() + random() + random() - 1.5)),
      "one in a hundred is a thousand times dearer": () => (random() < 0.01 ? 1_000 : 1),
      rising: (place, length) => (20 * place) / length,
      falling: (place, length) => 20 * (1 - place / length),
      "cheap at first": (place, length) => (place < length / 100 ? 0.01 : 10),
      "a second and more each": () => 1_000 + 1_000 * random(),
    };
    const overheadMs = 2;
    for (const [shape, costOf] of Object.entries(shapes)) {
      for (const slots of [1, 3, 16]) {
        for (const length of [1_000, 10_000]) {
          const costsMs = Array.from({ length }, (_, place) => costOf(place, length));
          const run = simulate({ plan: DEFAULT_CHUNK_PLAN, costsMs, slots, overheadMs });
          const bound = run.idealMs * 1.02 + 3 * Math.max(...costsMs) + 30 * overheadMs;
          assert.ok(run.makespanMs <= bound, `${shape}, ${slots} slots, ${length} items: ${run.makespanMs} > ${bound}`);
        }
      }
    }
  });

  it("hands out many trivial items in few chunks", () => {
    const run = simulate({
      plan: DEFAULT_CHUNK_PLAN,
      costsMs: Array<number>(200_000).fill(0.002),
      slots: 4,
      overheadMs: 1,
    });
    assert.ok(run.chunks < 150, `${run.chunks} chunks`);
  });
});

describe("moving average", () => {
  it("starts with the first measurement and keeps still on nonsense", () => {
    assert.equal(updateAverage(undefined, { items: 4, durationMs: 100 }), 25);
    assert.equal(updateAverage(7, { items: 0, durationMs: 100 }), 7);
    assert.equal(updateAverage(7, { items: 3, durationMs: -1 }), 7);
    assert.equal(updateAverage(7, { items: 3, durationMs: Number.NaN }), 7);
    assert.equal(updateAverage(undefined, { items: 0, durationMs: 0 }), undefined);
  });

  it("stays positive when the clock did not move", () => {
    const average = updateAverage(undefined, { items: 100_000, durationMs: 0 }) ?? 0;
    assert.ok(average > 0);
  });

  it("is moved by at most a factor of two by one chunk", () => {
    assert.equal(updateAverage(10, { items: 1, durationMs: 3_600_000 }), 20);
    assert.equal(updateAverage(10, { items: 1_000_000, durationMs: 1 }), 5);
  });

  it("mends a first measurement that was wrong by a thousand within a dozen chunks", () => {
    let average: number | undefined = 1_000;
    for (let chunk = 0; chunk < 12; chunk += 1) average = updateAverage(average, { items: 10, durationMs: 10 });
    assert.ok(average !== undefined && average < 1.5 && average > 0.9, String(average));
  });
});

describe("fixed ranges", () => {
  it("gives the remainder to the last worker", () => {
    assert.deepEqual(fixedRanges(10, 3), [
      { start: 0, end: 3 },
      { start: 3, end: 6 },
      { start: 6, end: 10 },
    ]);
    assert.deepEqual(fixedRanges(2, 3), [
      { start: 0, end: 0 },
      { start: 0, end: 0 },
      { start: 0, end: 2 },
    ]);
  });

  it("covers everything once", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 50 }), (length, workers) => {
        const ranges = fixedRanges(length, workers);
        assert.equal(ranges.length, workers);
        let covered = 0;
        for (const { start, end } of ranges) {
          assert.equal(start, covered);
          assert.ok(end >= start);
          covered = end;
        }
        assert.equal(covered, length);
      }),
    );
  });
});
