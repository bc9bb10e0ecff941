/**
 * Distributions as quantile functions: a number u in [0, 1) → the value below which a share u of all
 * draws lies. Random and Latin hypercube spaces use the same functions and differ in u only.
 */
import { BELOW_ONE } from "../random.ts";
import { invalid } from "./invalid.ts";
import type { Distribution } from "./spec.ts";
import { pick } from "./values.ts";

export type Quantile = (share: number) => unknown;

export function compileDistribution(spec: Distribution, path: string): Quantile {
  switch (spec.kind) {
    case "uniform":
      return between(spec, path, (share) => spec.min + share * (spec.max - spec.min));
    case "log-uniform": {
      if (spec.min <= 0) throw invalid(`${path}.min`, `is ${spec.min}; a logarithm needs a positive number`);
      const from = Math.log(spec.min);
      const span = Math.log(spec.max) - from;
      return between(spec, path, (share) => Math.exp(from + share * span));
    }
    case "integer": {
      if (spec.max < spec.min) throw invalid(path, `has no whole numbers from ${spec.min} to ${spec.max}`);
      const size = spec.max - spec.min + 1;
      if (!Number.isSafeInteger(size)) throw invalid(path, `from ${spec.min} to ${spec.max} is wider than ${Number.MAX_SAFE_INTEGER}`);
      return (share) => spec.min + Math.floor(share * size);
    }
    case "choice": {
      const value = pick(spec.values, path);
      return (share) => value(Math.floor(share * spec.values.length));
    }
    case "normal":
      if (spec.stddev <= 0) throw invalid(`${path}.stddev`, `is ${spec.stddev}; expected a positive number`);
      return (share) => spec.mean + spec.stddev * standardNormal(share);
  }
}

/** Rounding must not reach `max`, which is excluded, nor fall below `min`. */
function between({ min, max }: { readonly min: number; readonly max: number }, path: string, value: (share: number) => number): Quantile {
  if (!(max > min)) throw invalid(path, `is empty: max ${max} is not above min ${min}`);
  if (!Number.isFinite(max - min)) throw invalid(path, `from ${min} to ${max} is further than a number can count`);
  return (share) => {
    const found = value(share);
    return found >= min && found < max ? found : min;
  };
}

/** Coefficients of Wichura's algorithm AS 241 (PPND16), highest power first. */
const CENTRE = [
  2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125,
  1971.5909503065514427, 133.14166789178437745, 3.387132872796366608,
];
const CENTRE_BELOW = [
  5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077,
  687.1870074920579083, 42.313330701600911252, 1,
];
const TAIL = [
  7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258, 3.64784832476320460504,
  5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734,
];
const TAIL_BELOW = [
  1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459, 0.68976733498510000455,
  1.6763848301838038494, 2.05319162663775882187, 1,
];
const FAR = [
  2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093, 0.29656057182850489123,
  1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772,
];
const FAR_BELOW = [
  2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4, 0.0148753612908506148525,
  0.13692988092273580531, 0.59983220655588793769, 1,
];

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0);
}

/** The quantile function of the standard normal distribution, good to about sixteen digits. */
export function standardNormal(share: number): number {
  const q = Math.min(BELOW_ONE, Math.max(2 ** -54, share)) - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * polynomial(CENTRE, r)) / polynomial(CENTRE_BELOW, r);
  }
  const r = Math.sqrt(-Math.log(q < 0 ? Math.max(2 ** -54, share) : 1 - Math.min(BELOW_ONE, share)));
  const distance = r <= 5 ? polynomial(TAIL, r - 1.6) / polynomial(TAIL_BELOW, r - 1.6) : polynomial(FAR, r - 5) / polynomial(FAR_BELOW, r - 5);
  return q < 0 ? -distance : distance;
}
