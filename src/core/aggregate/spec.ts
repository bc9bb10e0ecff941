/**
 * The plain JSON description of an aggregation, and what comes out of one.
 *
 * `field` is a dotted path into an item's value (`scores.test`, `folds.0`); without it the value
 * itself is meant. Where the path leads to no finite number the item counts as `ignored`.
 */

interface OfField {
  readonly field?: string;
}

/** Statistics that are one number. */
export const STATISTICS = ["sum", "mean", "min", "max", "variance", "stddev"] as const;

export type Statistic = (typeof STATISTICS)[number];

/** One number about a field. `variance` and `stddev` are of a sample: they divide by count − 1. */
export interface StatisticSpec extends OfField {
  readonly kind: Statistic;
}

export interface QuantilesSpec extends OfField {
  readonly kind: "quantiles";
  /** Shares, 0…1: 0.5 is the median. */
  readonly at: readonly number[];
}

/** All statistics of a field at once. */
export interface StatsSpec extends OfField {
  readonly kind: "stats";
  /** Shares of the quantiles to add, 0…1. */
  readonly quantiles?: readonly number[];
}

export interface TopSpec extends OfField {
  readonly kind: "top-k";
  readonly k: number;
  /** Which end is best. */
  readonly order: "max" | "min";
}

/** The number of items that succeeded. */
export interface CountSpec {
  readonly kind: "count";
}

/** Several aggregations of the same items, by name. */
export interface RecordSpec {
  readonly kind: "record";
  readonly parts: Readonly<Record<string, ReduceSpec>>;
}

/** A reducer that a user's module exports as `name`. */
export interface UserSpec {
  readonly kind: "user";
  /** File URL of an ES module. */
  readonly module: string;
  readonly name: string;
}

export type ReduceSpec = CountSpec | StatisticSpec | QuantilesSpec | StatsSpec | TopSpec | RecordSpec | UserSpec;

/** `value` is null when there were too few numbers, or when it is too large for a number. */
export interface StatisticResult {
  readonly value: number | null;
  /** Numbers that were taken in. */
  readonly count: number;
  /** Items whose field was missing or no finite number. */
  readonly ignored: number;
}

export interface QuantileValue {
  readonly at: number;
  readonly value: number | null;
}

export interface QuantilesResult {
  readonly count: number;
  readonly ignored: number;
  readonly quantiles: readonly QuantileValue[];
}

export interface StatsResult extends QuantilesResult {
  readonly sum: number | null;
  readonly mean: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly variance: number | null;
  readonly stddev: number | null;
}

export interface TopEntry {
  readonly index: number;
  readonly point: unknown;
  readonly value: unknown;
  /** The field by which it was ranked. */
  readonly score: number;
}

export interface TopResult {
  readonly count: number;
  readonly ignored: number;
  /** Best first; of equal scores the lower index is better. */
  readonly entries: readonly TopEntry[];
}

/** Entries that one top-k keeps at most: they travel with every chunk. */
export const MAX_TOP = 1_000;
/** Quantiles of one aggregation at most. */
export const MAX_QUANTILES = 100;
/** Records within records. */
export const MAX_REDUCE_DEPTH = 8;

/** One item that succeeded. */
export interface ReducedItem {
  readonly index: number;
  readonly point: unknown;
  readonly value: unknown;
}

/**
 * A user's own aggregation. The accumulator must be JSON. Chunks are folded separately, in any
 * order, and merged; for a result that does not depend on that, `merge` must be associative and
 * commutative, and `init()` must change nothing when merged.
 */
export interface UserReducer<Accumulator = unknown, Result = unknown> {
  readonly name: string;
  init(): Accumulator;
  /** The accumulator with one more item; may be the same object, changed. */
  add(accumulator: Accumulator, item: ReducedItem): Accumulator;
  /** The accumulator of both; may be `left`, changed. */
  merge(left: Accumulator, right: Accumulator): Accumulator;
  /** The answer. Absent: the accumulator itself. */
  finish?(accumulator: Accumulator): Result;
}

/**
 * Folds items into an accumulator. `Accumulator` values are made by `empty` and `decode`, changed
 * by `add` and `merge`, and belong to the aggregator that made them.
 */
export interface Aggregator<Accumulator = unknown> {
  empty(): Accumulator;
  add(accumulator: Accumulator, item: ReducedItem): void;
  /** Takes in what `other` holds. Do not use `other` afterwards: a user's reducer may have taken it apart. */
  merge(into: Accumulator, other: Accumulator): void;
  /** The answer, JSON. */
  finish(accumulator: Accumulator): unknown;
  /** JSON text; equal accumulators have equal texts, however they came about. */
  encode(accumulator: Accumulator): string;
  /** @throws HoldfastError INTERNAL when the text is not one of `encode`. */
  decode(text: string): Accumulator;
}

/** The inside of an aggregator: as `Aggregator`, with plain JSON in place of text. */
export interface Fold<Accumulator = unknown> {
  empty(): Accumulator;
  add(accumulator: Accumulator, item: ReducedItem): void;
  merge(into: Accumulator, other: Accumulator): void;
  finish(accumulator: Accumulator): unknown;
  toJson(accumulator: Accumulator): unknown;
  /** @throws when `json` is not one of `toJson`. */
  fromJson(json: unknown): Accumulator;
}

/** Marks the type of an aggregation's answer for the compiler; no value ever carries it. */
export declare const RESULT: unique symbol;

/** An aggregation whose answer is known to have type `Result`. */
export type Reduce<Result> = ReduceSpec & { readonly [RESULT]?: Result };
