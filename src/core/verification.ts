/**
 * Verification: which chunks run more than once, and whether their copies agree.
 *
 * Both are pure. Whether a chunk is in the sample depends on its first item and the seed only, so it
 * stays in or out when the chunk is taken over; and whoever judges the same copies comes to the same
 * verdict, so a coordinator that dies between judging and reporting harms nothing.
 */
import { uniformStream } from "./random.ts";
import { isPlainObject } from "./untrusted.ts";

export interface Sampling {
  readonly seed: number;
  /** First item of the chunk. */
  readonly start: number;
  /** Share of chunks in the sample, 0…1. */
  readonly sample: number;
}

/** True when the chunk is to be run again for comparison. The first chunk always is: every sweep is checked somewhere. */
export function isSampled({ seed, start, sample }: Sampling): boolean {
  return start === 0 || uniformStream(seed, "verification")(start) < sample;
}

/** What one worker made of a chunk. */
export interface ChunkCopy {
  readonly worker: string;
  /** JSON text of an array, one entry per item in order. */
  readonly values: string;
}

export interface CopyComparison {
  /** First item of the chunk. */
  readonly start: number;
  /** Numbers may differ by this much, relative to the larger one. 0: no difference at all. */
  readonly tolerance: number;
  readonly copies: readonly ChunkCopy[];
}

export interface CopyDisagreement {
  /** The first item that differs. */
  readonly item: number;
  /** Workers that are not with the majority; all of them when there is none, as with two copies. */
  readonly workers: readonly string[];
}

/** Compares the copies of one chunk. Undefined: all agree. */
export function compareCopies({ start, tolerance, copies }: CopyComparison): CopyDisagreement | undefined {
  const [first, ...others] = copies;
  if (first === undefined || others.every(({ values }) => values === first.values)) return undefined;
  const read = copies.map(({ worker, values }) => ({ worker, values: readValues(values) }));
  const differences = read.map((left) => read.map((right) => firstDifference(left.values, right.values, tolerance)));
  // The copy with which most others agree speaks for the majority; of several such copies, the first.
  const support = differences.map((row) => row.filter((difference) => difference === undefined).length);
  const most = Math.max(...support);
  const reference = support.indexOf(most);
  const fromReference = differences[reference] ?? [];
  const differing = fromReference.filter((difference) => difference !== undefined);
  if (differing.length === 0) return undefined;
  const hasMajority = most > copies.length / 2;
  const workers = copies
    .filter((_, place) => !hasMajority || fromReference[place] !== undefined)
    .map(({ worker }) => worker);
  return { item: start + Math.min(...differing), workers };
}

/** Undefined when the text is no array: such a copy agrees with nothing. */
function readValues(text: string): readonly unknown[] | undefined {
  try {
    const values: unknown = JSON.parse(text);
    return Array.isArray(values) ? values : undefined;
  } catch {
    return undefined;
  }
}

/** Place of the first entry that differs; undefined when none does. */
function firstDifference(
  left: readonly unknown[] | undefined,
  right: readonly unknown[] | undefined,
  tolerance: number,
): number | undefined {
  if (left === right && left !== undefined) return undefined;
  if (left === undefined || right === undefined) return 0;
  const shared = Math.min(left.length, right.length);
  for (let place = 0; place < shared; place += 1) {
    if (!agrees(left[place], right[place], tolerance)) return place;
  }
  return left.length === right.length ? undefined : shared;
}

function agrees(left: unknown, right: unknown, tolerance: number): boolean {
  return tolerance === 0 ? JSON.stringify(left) === JSON.stringify(right) : isClose(left, right, tolerance);
}

/** Equal in shape, texts and truths; numbers within the tolerance. The order of an object's fields does not matter. */
function isClose(left: unknown, right: unknown, tolerance: number): boolean {
  if (typeof left === "number" && typeof right === "number") {
    return Math.abs(left - right) <= tolerance * Math.max(Math.abs(left), Math.abs(right));
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((value, place) => isClose(value, right[place], tolerance));
  }
  if (isPlainObject(left) && isPlainObject(right)) {
    const names = Object.keys(left);
    return (
      names.length === Object.keys(right).length &&
      names.every((name) => Object.hasOwn(right, name) && isClose(left[name], right[name], tolerance))
    );
  }
  return left === right;
}
