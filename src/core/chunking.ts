/**
 * How much of an array a worker takes at a time.
 *
 * Large chunks cost little to hand out; small ones lose little when a worker dies and let all
 * workers finish together. `adaptive` aims at a duration and shrinks towards the end.
 *
 * The size of the next chunk is a pure function of the plan and of what is known now. A crash loses
 * nothing: a broker that forgot the measured average starts to probe again.
 */
export type ChunkPlan =
  | { readonly kind: "fixed"; readonly size: number }
  | {
      readonly kind: "adaptive";
      /** Work per chunk to aim for, milliseconds. */
      readonly targetMs: number;
      readonly min: number;
      readonly max: number;
    };

/** Items of one chunk at most: bounds what one commit carries. The contract's limit is the same number. */
export const MAX_CHUNK_ITEMS = 100_000;

/** About a second of work: a lost worker costs about that much, and handing out stays under a thousandth. */
export const DEFAULT_CHUNK_PLAN: ChunkPlan = { kind: "adaptive", targetMs: 1_000, min: 1, max: MAX_CHUNK_ITEMS };

/** What is known of an array when its next chunk is cut. */
export interface ChunkState {
  /** Items of the whole array. */
  readonly length: number;
  /** Items that wait for a worker. */
  readonly remaining: number;
  /** From `updateAverage`; undefined before the first chunk has come back. */
  readonly averageItemMs: number | undefined;
  /** Slots of live workers that serve this array. */
  readonly slots: number;
}

/** Largest chunk that is handed out before anything was measured. */
const MAX_PROBE_ITEMS = 16;
/** A chunk takes at most this share of one slot's part of what is left, so that the last ones end together. */
const TAIL_SPLIT = 2;

/**
 * Items of the next chunk: 1 or more while something remains, else 0.
 *
 * `adaptive` keeps four bounds, the tightest of which wins:
 *  - the target: as many items as take `targetMs` at the measured average;
 *  - growth: at most 16, or each slot's share of what was handed out before, so that a round of chunks
 *    at most doubles the work under way and a few cheap first items cannot cause one huge chunk;
 *  - the tail: half of one slot's share of what remains, rounded up;
 *  - `max`. `min` is stronger than all of these.
 * Before the first measurement the target is unknown and a chunk is 1…16 items.
 */
export function planChunk(plan: ChunkPlan, state: ChunkState): number {
  if (state.remaining <= 0) return 0;
  const wanted = plan.kind === "fixed" ? plan.size : adaptiveSize(plan, state);
  return Math.max(1, Math.min(wanted, state.remaining, MAX_CHUNK_ITEMS));
}

function adaptiveSize(plan: Extract<ChunkPlan, { kind: "adaptive" }>, state: ChunkState): number {
  const slots = Math.max(1, state.slots);
  const share = Math.floor((state.length - state.remaining) / slots);
  const tail = Math.ceil(state.remaining / (TAIL_SPLIT * slots));
  if (state.averageItemMs === undefined) return Math.max(plan.min, Math.min(share, MAX_PROBE_ITEMS, tail, plan.max));
  const target = Math.floor(plan.targetMs / state.averageItemMs);
  const growth = Math.max(share, MAX_PROBE_ITEMS);
  return Math.max(plan.min, Math.min(target, growth, tail, plan.max));
}

/** A chunk that came back. */
export interface ChunkTiming {
  readonly items: number;
  readonly durationMs: number;
}

/** No item is taken to be faster than a nanosecond: a clock that did not move says nothing better. */
const MIN_ITEM_MS = 1e-6;
/** One chunk counts as at most this many times slower or faster than the average. */
const MAX_SURPRISE = 4;

/**
 * The moving average of an item's duration after one more chunk.
 *
 * The geometric mean of the old average and the chunk's, whose distance is capped first: one chunk
 * moves the average by at most a factor of two, so a machine that slept for an hour does no lasting
 * harm, while a first measurement that was wrong by a thousand (a cold start) is mended by ten chunks.
 */
export function updateAverage(previous: number | undefined, timing: ChunkTiming): number | undefined {
  if (!(timing.items > 0) || !(timing.durationMs >= 0)) return previous;
  const measured = Math.max(MIN_ITEM_MS, timing.durationMs / timing.items);
  if (previous === undefined) return measured;
  const surprise = Math.min(MAX_SURPRISE, Math.max(1 / MAX_SURPRISE, measured / previous));
  return Math.max(MIN_ITEM_MS, previous * Math.sqrt(surprise));
}

/** Items `start` … `end`−1. */
export interface ItemRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The static split that chunks replace: one equal range per worker, the last worker takes the
 * remainder. With fewer items than workers the first ranges are empty.
 */
export function fixedRanges(length: number, workers: number): ItemRange[] {
  const each = Math.floor(length / workers);
  return Array.from({ length: workers }, (_, worker) => ({
    start: worker * each,
    end: worker === workers - 1 ? length : (worker + 1) * each,
  }));
}
