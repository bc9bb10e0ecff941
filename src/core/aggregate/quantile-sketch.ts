/**
 * Quantiles of any number of values in bounded room, the same whatever the order.
 *
 * Up to MAX_EXACT values are kept as they are and quantiles are exact. Beyond, values are counted in
 * buckets of logarithmic size, as DDSketch and HdrHistogram do: a bucket is the sign, the exponent
 * and the first 8 bits of the mantissa of a double, and stands for its middle. A value is then
 * reported with a relative error of at most 2⁻⁹ (0.2 %); below 2⁻¹⁰²² with an absolute one of 2⁻¹⁰³¹.
 *
 * Why order does not matter: the state is a function of the multiset of values alone. Which of the
 * two forms it has depends on the number of values only, and the buckets of a multiset are the same
 * whether its values were put into them one by one, after being kept, or by merging. Buckets are cut
 * from the bits of the number; no logarithm, whose last digit may vary, is involved. There are no
 * more than 2²⁰ buckets, and a sweep whose values span ten decades fills 8,500 of them.
 */

/** Values that are kept exactly. All of them travel with a chunk, so this also bounds that text. */
export const MAX_EXACT = 2_048;

const BUCKET_BITS = 12;
const HALF_BUCKET = 1 << (BUCKET_BITS - 1);

const bits = new DataView(new ArrayBuffer(8));

/** The bucket of a finite number; ascending with it. */
function bucketOf(value: number): number {
  bits.setFloat64(0, value);
  const high = bits.getInt32(0);
  const magnitude = (high & 0x7fff_ffff) >>> BUCKET_BITS;
  return high < 0 ? -magnitude - 1 : magnitude;
}

/** The middle of a bucket; 0 for the two around 0. */
function middleOf(bucket: number): number {
  const magnitude = bucket < 0 ? -bucket - 1 : bucket;
  if (magnitude === 0) return 0;
  bits.setInt32(0, (magnitude << BUCKET_BITS) | HALF_BUCKET);
  bits.setInt32(4, 0);
  const middle = bits.getFloat64(0);
  return bucket < 0 ? -middle : middle;
}

/** As JSON: the values ascending, or bucket and count in turn, each bucket as the distance from the one before. */
export type SketchJson = { readonly values: readonly number[] } | { readonly buckets: readonly number[] };

export class QuantileSketch {
  #values: number[] = [];
  /** Undefined as long as the values themselves are kept. */
  #buckets: Map<number, number> | undefined;
  #count = 0;

  /** Adds a finite number other than −0. */
  add(value: number): void {
    this.#count += 1;
    if (this.#buckets !== undefined) increase(this.#buckets, bucketOf(value), 1);
    else {
      this.#values.push(value);
      if (this.#count > MAX_EXACT) this.#intoBuckets();
    }
  }

  merge(other: QuantileSketch): void {
    this.#count += other.#count;
    if (this.#buckets === undefined && (this.#count > MAX_EXACT || other.#buckets !== undefined)) this.#intoBuckets();
    if (this.#buckets === undefined) {
      for (const value of other.#values) this.#values.push(value);
      return;
    }
    for (const value of other.#values) increase(this.#buckets, bucketOf(value), 1);
    for (const [bucket, count] of other.#buckets ?? []) increase(this.#buckets, bucket, count);
  }

  /**
   * Values below which the shares `at` of all values lie, interpolated between the two nearest ranks
   * (the default of NumPy and R). The least and greatest value are exact in either form; there must
   * be at least one value.
   */
  quantiles(at: readonly number[], ends: { readonly min: number; readonly max: number }): number[] {
    const last = this.#count - 1;
    const valueAt = this.#ranks();
    const clamped = (rank: number): number => {
      if (rank <= 0) return ends.min;
      return rank >= last ? ends.max : Math.min(ends.max, Math.max(ends.min, valueAt(rank)));
    };
    return at.map((share) => {
      const rank = share * last;
      const below = Math.floor(rank);
      const [low, high] = [clamped(below), clamped(Math.ceil(rank))];
      return low === high ? low : low * (1 - (rank - below)) + high * (rank - below);
    });
  }

  toJson(): SketchJson {
    if (this.#buckets === undefined) return { values: [...this.#sorted()] };
    let before = 0;
    const buckets = this.#sortedBuckets().flatMap(([bucket, count]) => {
      const distance = bucket - before;
      before = bucket;
      return [distance, count];
    });
    return { buckets };
  }

  static fromJson(json: SketchJson): QuantileSketch {
    const sketch = new QuantileSketch();
    if ("values" in json) {
      sketch.#values = [...json.values];
      sketch.#count = json.values.length;
      return sketch;
    }
    sketch.#buckets = new Map();
    let bucket = 0;
    for (let place = 0; place + 1 < json.buckets.length; place += 2) {
      const count = json.buckets[place + 1] ?? 0;
      bucket += json.buckets[place] ?? 0;
      sketch.#buckets.set(bucket, count);
      sketch.#count += count;
    }
    return sketch;
  }

  #intoBuckets(): void {
    this.#buckets = new Map();
    for (const value of this.#values) increase(this.#buckets, bucketOf(value), 1);
    this.#values = [];
  }

  /** Value by rank, 0 the least. */
  #ranks(): (rank: number) => number {
    if (this.#buckets === undefined) {
      const sorted = this.#sorted();
      return (rank) => sorted[rank] ?? 0;
    }
    const buckets = this.#sortedBuckets();
    return (rank) => {
      let passed = 0;
      for (const [bucket, count] of buckets) {
        passed += count;
        if (rank < passed) return middleOf(bucket);
      }
      return 0;
    };
  }

  #sorted(): Float64Array {
    return Float64Array.from(this.#values).sort();
  }

  #sortedBuckets(): [bucket: number, count: number][] {
    return [...(this.#buckets ?? [])].sort(([left], [right]) => left - right);
  }
}

function increase(buckets: Map<number, number>, bucket: number, by: number): void {
  buckets.set(bucket, (buckets.get(bucket) ?? 0) + by);
}
