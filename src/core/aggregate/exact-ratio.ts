/** From exact integers to the nearest double: rounding happens once, here, to nearest and ties to even. */

const MANTISSA_BITS = 53;
const LEAST_EXPONENT = -1074;
const GREATEST_EXPONENT = 1023;

/** `numerator / denominator`, correctly rounded. `denominator` is positive. */
export function nearestDouble(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const sign = numerator < 0n ? -1 : 1;
  const magnitude = numerator < 0n ? -numerator : numerator;
  // The quotient gets two bits more than a double has, and the remainder makes them honest.
  const shift = bitLength(denominator) - bitLength(magnitude) + MANTISSA_BITS + 2;
  const scaled = shift > 0 ? magnitude << BigInt(shift) : magnitude;
  const divisor = shift < 0 ? denominator << BigInt(-shift) : denominator;
  const quotient = scaled / divisor;
  const inexact = scaled % divisor !== 0n;
  // Subnormal numbers have fewer bits: their last one never stands for less than 2⁻¹⁰⁷⁴.
  const dropped = Math.max(bitLength(quotient) - MANTISSA_BITS, LEAST_EXPONENT + shift);
  const kept = roundedShift(quotient, dropped, inexact);
  const exponent = dropped - shift;
  return exponent > GREATEST_EXPONENT ? sign * Infinity : sign * kept * 2 ** exponent;
}

/** `value / 2^bits` rounded to nearest, ties to even; `inexact`: the true value is a little larger. */
function roundedShift(value: bigint, bits: number, inexact: boolean): number {
  const width = BigInt(bits);
  const kept = value >> width;
  const twiceRest = (value - (kept << width)) << 1n;
  const one = 1n << width;
  const up = twiceRest > one || (twiceRest === one && (inexact || (kept & 1n) === 1n));
  return Number(up ? kept + 1n : kept);
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}
