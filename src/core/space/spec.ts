/**
 * The plain JSON description of a parameter space. It travels with the submission and is all that a
 * worker needs: point i is computed from i, so a space of 10⁹ points is as small as one of 10.
 */

/** Numbers `start`, `start + step`, … before `stop`. */
export interface RangeSpec {
  readonly kind: "range";
  readonly start: number;
  /** Exclusive. */
  readonly stop: number;
  /** Negative to count down; never 0. */
  readonly step: number;
}

/** `count` evenly spaced numbers from `start` to `stop`, both included. */
export interface LinspaceSpec {
  readonly kind: "linspace";
  readonly start: number;
  readonly stop: number;
  readonly count: number;
}

/** `count` numbers from `start` to `stop`, both included and positive, each the same multiple of the one before. */
export interface LogspaceSpec {
  readonly kind: "logspace";
  readonly start: number;
  readonly stop: number;
  readonly count: number;
}

/** The values themselves: any JSON. */
export interface ListSpec {
  readonly kind: "list";
  readonly values: readonly unknown[];
}

export type Dimensions = Readonly<Record<string, SpaceSpec>>;

/** Every combination; the last dimension changes fastest. */
export interface GridSpec {
  readonly kind: "grid";
  readonly dimensions: Dimensions;
}

/** Dimensions of equal length, side by side. */
export interface ZipSpec {
  readonly kind: "zip";
  readonly dimensions: Dimensions;
}

/** What one random dimension is drawn from. */
export type Distribution =
  /** min ≤ x < max, all equally likely. */
  | { readonly kind: "uniform"; readonly min: number; readonly max: number }
  /** min ≤ x < max, both positive, the logarithm uniform: as many points from 0.01 to 0.1 as from 0.1 to 1. */
  | { readonly kind: "log-uniform"; readonly min: number; readonly max: number }
  /** Whole numbers from min to max, both included. */
  | { readonly kind: "integer"; readonly min: number; readonly max: number }
  /** One of the values: any JSON. */
  | { readonly kind: "choice"; readonly values: readonly unknown[] }
  | { readonly kind: "normal"; readonly mean: number; readonly stddev: number };

export type Distributions = Readonly<Record<string, Distribution>>;

/** `count` points, each dimension drawn by itself. A dimension's numbers depend on its name, the seed and the index only. */
export interface RandomSpec {
  readonly kind: "random";
  readonly count: number;
  readonly seed: number;
  readonly dimensions: Distributions;
}

/**
 * `count` points that fill the space evenly: each dimension is cut into `count` equally likely parts,
 * and every part holds exactly one point.
 */
export interface LatinHypercubeSpec {
  readonly kind: "latin-hypercube";
  readonly count: number;
  readonly seed: number;
  readonly dimensions: Distributions;
}

/** The rows of a parameter file, as it was when the sweep was submitted. */
export interface FileSpec {
  readonly kind: "file";
  /** Absolute. */
  readonly path: string;
  readonly format: "csv" | "jsonl";
  readonly rows: number;
  /** Size of the file. */
  readonly bytes: number;
  /** Of the file's content, lower-case hexadecimal. */
  readonly sha256: string;
}

export type SpaceSpec =
  | RangeSpec
  | LinspaceSpec
  | LogspaceSpec
  | ListSpec
  | GridSpec
  | ZipSpec
  | RandomSpec
  | LatinHypercubeSpec
  | FileSpec;

/** Random access to a parameter file's rows. `src/util/row-file.ts` makes one. */
export interface RowSource {
  readonly length: number;
  /** A fresh value at every call. */
  row(index: number): unknown;
}

/** Finds the rows of a file space. */
export type OpenRows = (file: FileSpec) => RowSource;

/** A space that is ready to be asked for its points. */
export interface CompiledSpace {
  /** Points: 1 … 2⁵³−1. */
  readonly length: number;
  /** The point of `index`. Objects and arrays are fresh at every call; whoever gets one may change it. */
  at(index: number): unknown;
}

/** Points of one space at most. */
export const MAX_POINTS = Number.MAX_SAFE_INTEGER;
/** A Latin hypercube's strata are halves of a double's precision apart beyond this. */
export const MAX_LATIN_POINTS = 2 ** 52;
/** Spaces within spaces. */
export const MAX_SPACE_DEPTH = 8;

/** Marks the type of a space's points for the compiler; no value ever carries it. */
export declare const POINT: unique symbol;

/** A space whose points are known to have type `Point`. */
export type Space<Point> = SpaceSpec & { readonly [POINT]?: Point };

/** The type of a space's points; `unknown` where the compiler does not know it. */
export type PointOf<S> = S extends { readonly [POINT]?: infer Point } ? Point : unknown;
