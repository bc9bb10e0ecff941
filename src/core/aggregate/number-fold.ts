/**
 * Statistics of the numbers in a field: each needs some of sum, squares, extremes and quantiles, all
 * of which are kept so exactly that no order of adding or merging can show.
 */
import { z } from "zod";
import { nearestDouble } from "./exact-ratio.ts";
import { EXACT_UNIT, ExactSum } from "./exact-sum.ts";
import { compileField } from "./field.ts";
import { QuantileSketch } from "./quantile-sketch.ts";
import type { Fold, QuantilesSpec, QuantileValue, StatisticSpec, StatsSpec } from "./spec.ts";

interface Numbers {
  count: number;
  ignored: number;
  /** Infinite as long as there is no number. */
  min: number;
  max: number;
  readonly sum: ExactSum | undefined;
  readonly squares: ExactSum | undefined;
  readonly sketch: QuantileSketch | undefined;
}

interface Needs {
  readonly sum: boolean;
  readonly squares: boolean;
  readonly quantiles: readonly number[] | undefined;
}

type NumberSpec = StatisticSpec | QuantilesSpec | StatsSpec;

const whole = z.int().min(0);
const numbersJson = z.strictObject({
  count: whole,
  ignored: whole,
  min: z.number().optional(),
  max: z.number().optional(),
  sum: z.string().optional(),
  squares: z.string().optional(),
  sketch: z
    .union([z.strictObject({ values: z.array(z.number()) }), z.strictObject({ buckets: z.array(z.int()) })])
    .optional(),
});

export function numberFold(spec: NumberSpec): Fold<Numbers> {
  const read = compileField(spec.field);
  const needs = needsOf(spec);
  return {
    empty: () => ({
      count: 0,
      ignored: 0,
      min: Infinity,
      max: -Infinity,
      sum: needs.sum ? new ExactSum() : undefined,
      squares: needs.squares ? new ExactSum() : undefined,
      sketch: needs.quantiles === undefined ? undefined : new QuantileSketch(),
    }),
    add(numbers, { value }) {
      const found = read(value);
      if (found === undefined) numbers.ignored += 1;
      else addNumber(numbers, found);
    },
    merge: mergeNumbers,
    finish: (numbers) => finish(spec, numbers),
    toJson,
    fromJson: (json) => fromJson(json, needs),
  };
}

function needsOf(spec: NumberSpec): Needs {
  switch (spec.kind) {
    case "sum":
    case "mean":
      return { sum: true, squares: false, quantiles: undefined };
    case "min":
    case "max":
      return { sum: false, squares: false, quantiles: undefined };
    case "variance":
    case "stddev":
      return { sum: true, squares: true, quantiles: undefined };
    case "quantiles":
      return { sum: false, squares: false, quantiles: spec.at };
    case "stats":
      return { sum: true, squares: true, quantiles: spec.quantiles };
  }
}

function addNumber(numbers: Numbers, value: number): void {
  numbers.count += 1;
  if (value < numbers.min) numbers.min = value;
  if (value > numbers.max) numbers.max = value;
  numbers.sum?.add(value);
  numbers.squares?.addSquare(value);
  numbers.sketch?.add(value);
}

function mergeNumbers(into: Numbers, other: Numbers): void {
  into.count += other.count;
  into.ignored += other.ignored;
  into.min = Math.min(into.min, other.min);
  into.max = Math.max(into.max, other.max);
  if (other.sum !== undefined) into.sum?.merge(other.sum);
  if (other.squares !== undefined) into.squares?.merge(other.squares);
  if (other.sketch !== undefined) into.sketch?.merge(other.sketch);
}

function toJson(numbers: Numbers): unknown {
  return {
    count: numbers.count,
    ignored: numbers.ignored,
    ...(numbers.count === 0 ? {} : { min: numbers.min, max: numbers.max }),
    ...(numbers.sum === undefined ? {} : { sum: numbers.sum.encode() }),
    ...(numbers.squares === undefined ? {} : { squares: numbers.squares.encode() }),
    ...(numbers.sketch === undefined ? {} : { sketch: numbers.sketch.toJson() }),
  };
}

function fromJson(json: unknown, needs: Needs): Numbers {
  const read = numbersJson.parse(json);
  return {
    count: read.count,
    ignored: read.ignored,
    min: read.min ?? Infinity,
    max: read.max ?? -Infinity,
    sum: needs.sum ? ExactSum.decode(read.sum ?? "") : undefined,
    squares: needs.squares ? ExactSum.decode(read.squares ?? "") : undefined,
    sketch: needs.quantiles === undefined ? undefined : QuantileSketch.fromJson(read.sketch ?? { values: [] }),
  };
}

function finish(spec: NumberSpec, numbers: Numbers): unknown {
  const { count, ignored } = numbers;
  switch (spec.kind) {
    case "quantiles":
      return { count, ignored, quantiles: quantilesOf(numbers, spec.at) };
    case "stats":
      return {
        count,
        ignored,
        sum: sumOf(numbers),
        mean: meanOf(numbers),
        min: extreme(numbers.min),
        max: extreme(numbers.max),
        variance: varianceOf(numbers),
        stddev: stddevOf(numbers),
        quantiles: quantilesOf(numbers, spec.quantiles ?? []),
      };
    case "sum":
    case "mean":
    case "min":
    case "max":
    case "variance":
    case "stddev":
      return { value: STATISTIC[spec.kind](numbers), count, ignored };
  }
}

const STATISTIC = {
  sum: sumOf,
  mean: meanOf,
  min: (numbers: Numbers) => extreme(numbers.min),
  max: (numbers: Numbers) => extreme(numbers.max),
  variance: varianceOf,
  stddev: stddevOf,
} as const;

const UNIT = BigInt(-EXACT_UNIT);

function sumOf({ sum }: Numbers): number | null {
  return sum === undefined ? null : extreme(nearestDouble(sum.toBigInt(), 1n << UNIT));
}

function meanOf({ sum, count }: Numbers): number | null {
  return sum === undefined || count === 0 ? null : nearestDouble(sum.toBigInt(), BigInt(count) << UNIT);
}

/** (n·Σx² − (Σx)²) / (n·(n−1)): exact up to the one rounding at the end, so nothing cancels. */
function varianceOf({ sum, squares, count }: Numbers): number | null {
  if (sum === undefined || squares === undefined || count < 2) return null;
  const n = BigInt(count);
  const total = sum.toBigInt();
  const numerator = ((n * squares.toBigInt()) << UNIT) - total * total;
  return extreme(nearestDouble(numerator, (n * (n - 1n)) << (2n * UNIT)));
}

function stddevOf(numbers: Numbers): number | null {
  const variance = varianceOf(numbers);
  return variance === null ? null : Math.sqrt(variance);
}

function quantilesOf(numbers: Numbers, at: readonly number[]): QuantileValue[] {
  const found = numbers.count === 0 ? undefined : numbers.sketch?.quantiles(at, numbers);
  return at.map((share, place) => ({ at: share, value: found?.[place] ?? null }));
}

/** Infinite: there was no number, or the result is too large for one. */
function extreme(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
