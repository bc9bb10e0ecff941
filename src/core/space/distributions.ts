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
      if (!Number.isSafeInteger(size))
        throw invalid(path, `from ${spec.min} to ${spec.max} is wider than ${Number.MAX_SAFE_INTEGER}`);
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
function between(
  { min, max }: { readonly min: number; readonly max: number },
  path: string,
  value: (share: number) => number,
): Quantile {
  if (!(max > min)) throw invalid(path, `is empty: max ${max} is not above min ${min}`);
  if (!Number.isFinite(max - min)) throw invalid(path, `from ${min} to ${max} is further than a number can count`);
  return (share) => {
    const found = value(share);
    return found >= min && found < max ? found : min;
  };
}

/** Coefficients of Wichura's algorithm AS 241 (PPND16), highest power first. */
const CENTRE = [
  2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946, 1971.5909503065513,
  133.14166789178438, 3.3871328727963665,
];
const CENTRE_BELOW = [
  5226.495278852546, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751, 687.1870074920579,
  42.31333070160091, 1,
];
const TAIL = [
  0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045,
  5.769497221460691, 4.630337846156546, 1.4234371107496835,
];
const TAIL_BELOW = [
  1.0507500716444169e-9, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851,
  1.6763848301838038, 2.053191626637759, 1,
];
const FAR = [
  2.0103343992922881e-7, 2.7115555687434876e-5, 0.0012426609473880784, 0.026532189526576124, 0.29656057182850487,
  1.7848265399172913, 5.463784911164114, 6.657904643501103,
];
const FAR_BELOW = [
  2.0442631033899397e-15, 1.421511758316446e-7, 1.8463183175100548e-5, 0.0007868691311456133, 0.014875361290850615,
  0.1369298809227358, 0.599832206555888, 1,
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
  const distance =
    r <= 5
      ? polynomial(TAIL, r - 1.6) / polynomial(TAIL_BELOW, r - 1.6)
      : polynomial(FAR, r - 5) / polynomial(FAR_BELOW, r - 5);
  return q < 0 ? -distance : distance;
}
