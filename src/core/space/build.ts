/**
 * Builders: how a user's program writes down a space. Each returns the plain description, checked,
 * so a mistake shows at the line that made it.
 *
 * @example
 * grid({ k: range(1, 51), distance: ["euclidean", "manhattan"] })      // 100 points { k, distance }
 * random(1_000, { rate: logUniform(1e-4, 1), layers: integer(1, 5) }, { seed: 7 })
 */
import type { Dimensions, Distribution, Distributions, FileSpec, POINT, PointOf, Space, SpaceSpec } from "./spec.ts";
import { validateSpace } from "./validate.ts";

/** What a dimension can be given as: a space, or an array as a short form of `list`. */
export type DimensionInput = SpaceSpec | readonly unknown[];

/** The value that a dimension contributes to a point. */
export type DimensionValue<Input> = Input extends readonly (infer Value)[] ? Plain<Value> : PointOf<Input>;

/** The points of named dimensions. */
export type DimensionsPoint<Inputs> = { -readonly [Name in keyof Inputs]: DimensionValue<Inputs[Name]> };

/** Without the `readonly` that a literal's type carries: points may be changed. */
export type Plain<Value> = Value extends object ? { -readonly [Key in keyof Value]: Plain<Value[Key]> } : Value;

/** A distribution whose values are known to have type `Value`. */
export type Drawn<Value> = Distribution & { readonly [POINT]?: Value };

/** The points of random dimensions. */
export type DistributionsPoint<Inputs> = { -readonly [Name in keyof Inputs]: PointOf<Inputs[Name]> };

export interface SeedOptions {
  /** A whole number, 0 or more. Default 0. */
  readonly seed?: number;
}

function checked<Point>(spec: SpaceSpec): Space<Point> {
  return validateSpace(spec);
}

/** `start`, `start + step`, … before `stop`. `range(1, 4)` is 1, 2, 3; `range(0, 1, 0.25)` is 0, 0.25, 0.5, 0.75. */
export function range(start: number, stop: number, step = 1): Space<number> {
  return checked({ kind: "range", start, stop, step });
}

/** `count` evenly spaced numbers, both ends included. */
export function linspace(start: number, stop: number, count: number): Space<number> {
  return checked({ kind: "linspace", start, stop, count });
}

/** `count` numbers, both ends included, each the same multiple of the one before. `logspace(0.001, 1, 4)` is 0.001, 0.01, 0.1, 1. */
export function logspace(start: number, stop: number, count: number): Space<number> {
  return checked({ kind: "logspace", start, stop, count });
}

/** The values themselves: any JSON. */
export function list<const Values extends readonly unknown[]>(values: Values): Space<Plain<Values[number]>> {
  return checked({ kind: "list", values });
}

/** Every combination of the dimensions; the last one changes fastest. An array is short for `list`. */
export function grid<const Inputs extends Readonly<Record<string, DimensionInput>>>(
  dimensions: Inputs,
): Space<DimensionsPoint<Inputs>> {
  return checked({ kind: "grid", dimensions: spelledOut(dimensions) });
}

/** Dimensions of equal length, side by side: point i takes value i of each. An array is short for `list`. */
export function zip<const Inputs extends Readonly<Record<string, DimensionInput>>>(
  dimensions: Inputs,
): Space<DimensionsPoint<Inputs>> {
  return checked({ kind: "zip", dimensions: spelledOut(dimensions) });
}

function spelledOut(dimensions: Readonly<Record<string, DimensionInput>>): Dimensions {
  return Object.fromEntries(
    Object.entries(dimensions).map(([name, input]) => [name, isArray(input) ? { kind: "list", values: input } : input]),
  );
}

function isArray(input: DimensionInput): input is readonly unknown[] {
  return Array.isArray(input);
}

/** `count` points, each dimension drawn by itself; the same seed gives the same points. */
export function random<Inputs extends Distributions>(
  count: number,
  dimensions: Inputs,
  options: SeedOptions = {},
): Space<DistributionsPoint<Inputs>> {
  return checked({ kind: "random", count, seed: options.seed ?? 0, dimensions });
}

/** `count` points that fill the space evenly: along each dimension no two share one of `count` equally likely parts. */
export function latinHypercube<Inputs extends Distributions>(
  count: number,
  dimensions: Inputs,
  options: SeedOptions = {},
): Space<DistributionsPoint<Inputs>> {
  return checked({ kind: "latin-hypercube", count, seed: options.seed ?? 0, dimensions });
}

/** min ≤ x < max, all equally likely. */
export function uniform(min: number, max: number): Drawn<number> {
  return { kind: "uniform", min, max };
}

/** min ≤ x < max, both positive, the logarithm uniform. */
export function logUniform(min: number, max: number): Drawn<number> {
  return { kind: "log-uniform", min, max };
}

/** A whole number from `min` to `max`, both included. */
export function integer(min: number, max: number): Drawn<number> {
  return { kind: "integer", min, max };
}

/** One of the values, all equally likely. */
export function choice<const Values extends readonly unknown[]>(values: Values): Drawn<Plain<Values[number]>> {
  return { kind: "choice", values };
}

/** The bell curve around `mean`. */
export function normal(mean: number, stddev: number): Drawn<number> {
  return { kind: "normal", mean, stddev };
}

/** The rows of a parameter file that `scanRowFile` has read. */
export function rows(file: Omit<FileSpec, "kind">): Space<unknown> {
  const { path, format, bytes, sha256 } = file;
  return checked({ kind: "file", path, format, rows: file.rows, bytes, sha256 });
}
