/**
 * Builders: how a user's program says what to make of the results. Fields are dotted paths into a
 * task's result; without one the result itself is meant.
 *
 * @example
 * topK("accuracy", 10)
 * { best: topK("accuracy", 3), accuracy: stats("accuracy", { quantiles: [0.5, 0.9] }) }
 */
import { isPlainObject } from "../untrusted.ts";
import type {
  QuantilesResult,
  Reduce,
  ReduceSpec,
  RESULT,
  Statistic,
  StatisticResult,
  StatsResult,
  TopResult,
} from "./spec.ts";
import { validateReduce } from "./validate.ts";

function checked<Result>(spec: ReduceSpec): Reduce<Result> {
  return validateReduce(spec);
}

function statistic(kind: Statistic, field: string | undefined): Reduce<StatisticResult> {
  return checked({ kind, ...(field === undefined ? {} : { field }) });
}

/** The number of items that succeeded. */
export function count(): Reduce<number> {
  return checked({ kind: "count" });
}

/** The sum of the field's numbers, rounded once. */
export function sum(field?: string): Reduce<StatisticResult> {
  return statistic("sum", field);
}

export function mean(field?: string): Reduce<StatisticResult> {
  return statistic("mean", field);
}

export function min(field?: string): Reduce<StatisticResult> {
  return statistic("min", field);
}

export function max(field?: string): Reduce<StatisticResult> {
  return statistic("max", field);
}

/** The variance of a sample: divided by count − 1. */
export function variance(field?: string): Reduce<StatisticResult> {
  return statistic("variance", field);
}

/** The standard deviation of a sample: the root of `variance`. */
export function stddev(field?: string): Reduce<StatisticResult> {
  return statistic("stddev", field);
}

/**
 * Quantiles by share: `quantiles("seconds", [0.5, 0.99])`. Exact for up to 2,048 numbers, beyond
 * that each within 0.2 % of the true value.
 */
export function quantiles(field: string, at: readonly number[]): Reduce<QuantilesResult>;
export function quantiles(at: readonly number[]): Reduce<QuantilesResult>;
export function quantiles(fieldOrAt: string | readonly number[], at?: readonly number[]): Reduce<QuantilesResult> {
  return checked(
    typeof fieldOrAt === "string"
      ? { kind: "quantiles", field: fieldOrAt, at: at ?? [] }
      : { kind: "quantiles", at: fieldOrAt },
  );
}

/** Count, sum, mean, min, max, variance and stddev at once, and quantiles if asked for. */
export function stats(field?: string, options: { readonly quantiles?: readonly number[] } = {}): Reduce<StatsResult> {
  const { quantiles: at } = options;
  return checked({
    kind: "stats",
    ...(field === undefined ? {} : { field }),
    ...(at === undefined ? {} : { quantiles: at }),
  });
}

export interface TopOptions {
  /** Which end is best. Default `max`. */
  readonly order?: "max" | "min";
}

/** The `k` best items with their points: `topK("accuracy", 10)`, `topK("loss", 5, { order: "min" })`. */
export function topK(field: string, k: number, options?: TopOptions): Reduce<TopResult>;
export function topK(k: number, options?: TopOptions): Reduce<TopResult>;
export function topK(
  fieldOrK: string | number,
  kOrOptions?: number | TopOptions,
  options?: TopOptions,
): Reduce<TopResult> {
  const [k, chosen] = typeof kOrOptions === "number" ? [kOrOptions, options] : [Number(fieldOrK), kOrOptions];
  const field = typeof fieldOrK === "string" ? { field: fieldOrK } : {};
  return checked({ kind: "top-k", ...field, k, order: chosen?.order ?? "max" });
}

/** What a sweep takes as its `reduce`: one aggregation, or several by name. */
export type ReduceInput = ReduceSpec | { readonly [name: string]: ReduceInput };

/** The type of the answer to a `ReduceInput`. */
export type ReduceResult<Input> = Input extends { readonly [RESULT]?: infer Result }
  ? Result
  : Input extends { readonly kind: string }
    ? unknown
    : { readonly [Name in keyof Input]: ReduceResult<Input[Name]> };

/**
 * The description for what a user wrote.
 *
 * @throws HoldfastError INVALID_INPUT with the path of the first fault.
 */
export function toReduceSpec(input: ReduceInput): ReduceSpec {
  return validateReduce(spelledOut(input));
}

function spelledOut(input: unknown): unknown {
  if (!isPlainObject(input) || typeof input["kind"] === "string") return input;
  return {
    kind: "record",
    parts: Object.fromEntries(Object.entries(input).map(([name, part]) => [name, spelledOut(part)])),
  };
}
