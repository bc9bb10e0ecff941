/**
 * Random numbers that are looked up, not drawn: number i of a stream is a pure function of the seed,
 * the stream's name and i. Every worker gets the same number for the same item, whichever items it
 * runs and in whatever order, and nothing has to be stored or skipped.
 *
 * The generator is Philox 4×32 with ten rounds (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", 2011): a small block cipher whose counter is the item and the stream and whose key is
 * the seed. It uses integer arithmetic only, so its output is the same on every machine.
 */

const TWO_32 = 4_294_967_296;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const KEY_STEP_0 = 0x9e3779b9;
const KEY_STEP_1 = 0xbb67ae85;
const ROUNDS = 10;

/** The largest double below 1. */
export const BELOW_ONE = 1 - 2 ** -53;

/** A function from an item's index to a number. */
export type IndexedNumber = (index: number) => number;

/** High 32 bits of the product of two 32-bit numbers taken as unsigned, by halves: no step exceeds 32 bits. */
function highProduct(left: number, right: number): number {
  const leftLow = left & 0xffff;
  const leftHigh = left >>> 16;
  const rightLow = right & 0xffff;
  const rightHigh = right >>> 16;
  const middle = (Math.imul(leftHigh, rightLow) + (Math.imul(leftLow, rightLow) >>> 16)) | 0;
  const carried = (Math.imul(leftLow, rightHigh) + (middle & 0xffff)) | 0;
  return (Math.imul(leftHigh, rightHigh) + (middle >>> 16) + (carried >>> 16)) | 0;
}

/**
 * Encrypts `block` (four 32-bit words) in place under the key's two words. All words are signed, as
 * JavaScript's integer operators leave them: converting in every round would double the time.
 */
export function philox4x32(block: Int32Array, key0: number, key1: number): void {
  let a = block[0] ?? 0;
  let b = block[1] ?? 0;
  let c = block[2] ?? 0;
  let d = block[3] ?? 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const high0 = highProduct(a, MULTIPLIER_0);
    const low0 = Math.imul(a, MULTIPLIER_0);
    const high1 = highProduct(c, MULTIPLIER_1);
    const low1 = Math.imul(c, MULTIPLIER_1);
    a = high1 ^ b ^ k0;
    b = low1;
    c = high0 ^ d ^ k1;
    d = low0;
    k0 = (k0 + KEY_STEP_0) | 0;
    k1 = (k1 + KEY_STEP_1) | 0;
  }
  block[0] = a;
  block[1] = b;
  block[2] = c;
  block[3] = d;
}

/**
 * The stream `name` of `seed`: uniform numbers in [0, 1) with 53 random bits, by index. Index and
 * seed are whole numbers from 0 to 2⁵³−1. Streams of different names are independent.
 */
export function uniformStream(seed: number, name: string): IndexedNumber {
  const block = new Int32Array(4);
  const stream = hashText(name);
  const key0 = seed >>> 0;
  const key1 = Math.floor(seed / TWO_32);
  return (index) => {
    block[0] = index;
    block[1] = index / TWO_32;
    block[2] = stream;
    block[3] = 0;
    philox4x32(block, key0, key1);
    const low = block[0] ?? 0;
    const high = block[1] ?? 0;
    return ((low >>> 5) * 67_108_864 + (high >>> 6)) / 9_007_199_254_740_992;
  };
}

/**
 * A random permutation of 0 … length−1, by index, without a table: an alternating Feistel network on
 * a rectangle that is just large enough, walked until it lands inside (Black and Rogaway, "Ciphers
 * with arbitrary finite domains", 2002). `length` is at most 2⁵².
 */
export function permutation(seed: number, name: string, length: number): IndexedNumber {
  const rows = Math.max(2, Math.ceil(Math.sqrt(length)));
  const columns = Math.max(2, Math.ceil(length / rows));
  const keys = roundKeys(seed, name);
  const step: IndexedNumber = (place) => {
    let column = place % columns;
    let row = (place - column) / columns;
    for (let round = 0; round < keys.length; round += 2) {
      row = shifted(row, scramble(column ^ (keys[round] ?? 0)), rows);
      column = shifted(column, scramble(row ^ (keys[round + 1] ?? 0)), columns);
    }
    return row * columns + column;
  };
  return (index) => {
    let place = step(index);
    while (place >= length) place = step(place);
    return place;
  };
}

const FEISTEL_ROUNDS = 8;

function roundKeys(seed: number, name: string): Uint32Array {
  const numbers = uniformStream(seed, `${name}#permutation`);
  return Uint32Array.from({ length: FEISTEL_ROUNDS }, (_, round) => Math.floor(numbers(round) * TWO_32));
}

/** `value` moved on by a share of `size` that `bits` (32 of them) choose, modulo `size`. */
function shifted(value: number, bits: number, size: number): number {
  const moved = value + Math.floor((bits / TWO_32) * size);
  return moved < size ? moved : moved - size;
}

/** A 32-bit mix in which every input bit reaches every output bit (the finalizer of MurmurHash3). */
function scramble(bits: number): number {
  let mixed = bits;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** 32 bits that stand for a name (FNV-1a over its UTF-16 code units, then mixed). */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return scramble(hash);
}
