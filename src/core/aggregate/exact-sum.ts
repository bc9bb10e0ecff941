/**
 * A sum of doubles, or of their squares, without any rounding: a fixed-point number wide enough for
 * every bit that a double or its square can have.
 *
 * Addition of exact numbers is associative and commutative, so the sum of a sweep does not depend on
 * how it was cut into chunks, which workers ran them, or in which order they came back. A running
 * double would differ in its last bits from run to run.
 *
 * The number is Σ limb[i] · 2^(16·i + LOWEST_BIT). A limb may leave 0…65535 between two
 * normalizations; all but the last are inside afterwards, and the last carries the sign.
 */

const LIMB_BITS = 16;
const LIMB_BASE = 65_536;
/** The square of the least double is 2⁻²¹⁴⁸, and written as a double it trails 52 zero bits; in whole limbs. */
const LOWEST_BIT = -2_208;
/** Up to 2²⁰⁴⁸ for the largest square, and 2⁶⁴ of them, and the sign. */
const LIMB_COUNT = 272;
/** One addition changes a limb by less than 2³¹; a limb must stay below 2⁵³. */
const ADDITIONS_BETWEEN_CARRIES = 2 ** 19;
/** Splits a 53-bit mantissa into halves whose products are exact (Dekker 1971). */
const SPLITTER = 134_217_729;

const bits = new DataView(new ArrayBuffer(8));

export class ExactSum {
  readonly #limbs = new Float64Array(LIMB_COUNT);
  #additions = 0;

  /** Adds a finite double. */
  add(value: number): void {
    this.#addScaled(value, 0);
  }

  /** Adds the exact square of a finite double. */
  addSquare(value: number): void {
    bits.setFloat64(0, value);
    const high = bits.getInt32(0) & 0x7fff_ffff;
    const exponent = high >>> 20;
    const top = exponent === 0 ? high : (high & 0xf_ffff) | 0x10_0000;
    // A whole number below 2⁵³, so that neither its square nor the error of that can overflow.
    const mantissa = top * 4_294_967_296 + bits.getUint32(4);
    const scale = 2 * (Math.max(exponent, 1) - 1_075);
    const square = mantissa * mantissa;
    const spread = SPLITTER * mantissa;
    const upper = spread - (spread - mantissa);
    const lower = mantissa - upper;
    const error = lower * lower - (square - upper * upper - 2 * upper * lower);
    this.#addScaled(square, scale);
    this.#addScaled(error, scale);
  }

  /** Adds everything that `other` holds. */
  merge(other: ExactSum): void {
    other.#carry();
    this.#carry();
    const limbs = this.#limbs;
    for (let place = 0; place < LIMB_COUNT; place += 1) limbs[place] = (limbs[place] ?? 0) + (other.#limbs[place] ?? 0);
    this.#additions = 1;
  }

  /** The sum, in units of 2^EXACT_UNIT. */
  toBigInt(): bigint {
    this.#carry();
    let hex = "";
    for (let place = LIMB_COUNT - 2; place >= 0; place -= 1)
      hex += (this.#limbs[place] ?? 0).toString(16).padStart(4, "0");
    const top = BigInt(this.#limbs[LIMB_COUNT - 1] ?? 0);
    return (top << BigInt(LIMB_BITS * (LIMB_COUNT - 1))) + BigInt(`0x${hex}`);
  }

  /** The sum as text, `-1f4p-3` for −0x1f4 · 2⁻³; one text per number. */
  encode(): string {
    const sum = this.toBigInt();
    if (sum === 0n) return "0";
    const sign = sum < 0n ? "-" : "";
    let magnitude = sum < 0n ? -sum : sum;
    let exponent = LOWEST_BIT;
    for (let step = 1_024n; step > 0n; step >>= 1n) {
      while ((magnitude & ((1n << step) - 1n)) === 0n) {
        magnitude >>= step;
        exponent += Number(step);
      }
    }
    return `${sign}${magnitude.toString(16)}p${exponent}`;
  }

  /** @throws RangeError when the text is none of `encode`. */
  static decode(text: string): ExactSum {
    const sum = new ExactSum();
    if (text === "0") return sum;
    const [, sign, hex = "", power = ""] = /^(-?)([0-9a-f]{1,1100})p(-?\d{1,4})$/.exec(text) ?? [];
    const shift = Number(power) - LOWEST_BIT;
    if (hex === "" || shift < 0 || hex.length * 4 + shift > LIMB_BITS * (LIMB_COUNT - 1))
      throw new RangeError(`${text} is no exact sum`);
    let rest = BigInt(`0x${hex}`) << BigInt(shift);
    for (let place = 0; rest !== 0n; place += 1, rest >>= 16n) {
      sum.#limbs[place] = Number(rest & 0xffffn) * (sign === "-" ? -1 : 1);
    }
    sum.#additions = 1;
    return sum;
  }

  /** Adds value · 2^scale. */
  #addScaled(value: number, scale: number): void {
    if (value === 0) return;
    bits.setFloat64(0, value);
    const high = bits.getInt32(0);
    const low = bits.getUint32(4);
    const exponent = (high >>> 20) & 0x7ff;
    const top = exponent === 0 ? high & 0xf_ffff : (high & 0xf_ffff) | 0x10_0000;
    const lowestBit = Math.max(exponent, 1) - 1_075 + scale - LOWEST_BIT;
    const place = lowestBit >> 4;
    const factor = (high < 0 ? -1 : 1) * (1 << (lowestBit & 15));
    const limbs = this.#limbs;
    limbs[place] = (limbs[place] ?? 0) + (low & 0xffff) * factor;
    limbs[place + 1] = (limbs[place + 1] ?? 0) + (low >>> 16) * factor;
    limbs[place + 2] = (limbs[place + 2] ?? 0) + (top & 0xffff) * factor;
    limbs[place + 3] = (limbs[place + 3] ?? 0) + (top >>> 16) * factor;
    this.#additions += 1;
    if (this.#additions >= ADDITIONS_BETWEEN_CARRIES) this.#carry();
  }

  /** Brings every limb but the last into 0…65535. */
  #carry(): void {
    if (this.#additions === 0) return;
    const limbs = this.#limbs;
    let carry = 0;
    for (let place = 0; place < LIMB_COUNT - 1; place += 1) {
      const limb = (limbs[place] ?? 0) + carry;
      carry = Math.floor(limb / LIMB_BASE);
      limbs[place] = limb - carry * LIMB_BASE;
    }
    limbs[LIMB_COUNT - 1] = (limbs[LIMB_COUNT - 1] ?? 0) + carry;
    this.#additions = 0;
  }
}

/** What one unit of `toBigInt` is worth: 2 to this power. */
export const EXACT_UNIT = LOWEST_BIT;
