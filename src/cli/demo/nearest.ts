/**
 * The innermost loops of the demo's sweep: distances from one bird to many, and the k smallest of
 * them. Each kind of distance has a plain loop of its own, over columns, because that is several
 * times faster than one loop that asks at every number which kind it is.
 */

/** One measurement: our own value, and those of the others. */
export interface Gap {
  readonly own: number;
  readonly others: Float64Array;
  readonly count: number;
}

type AddGaps = (sums: Float64Array, gap: Gap) => void;

/** Adds one measurement's gaps to the distances. Euclidean ones stay squared until they are needed. */
export const ADD_GAPS = {
  euclidean: (sums, { own, others, count }) => {
    for (let n = 0; n < count; n++) {
      const gap = own - (others[n] as number);
      sums[n] = (sums[n] as number) + gap * gap;
    }
  },
  manhattan: (sums, { own, others, count }) => {
    for (let n = 0; n < count; n++) sums[n] = (sums[n] as number) + Math.abs(own - (others[n] as number));
  },
  chebyshev: (sums, { own, others, count }) => {
    for (let n = 0; n < count; n++) {
      const gap = Math.abs(own - (others[n] as number));
      if (gap > (sums[n] as number)) sums[n] = gap;
    }
  },
} as const satisfies Record<string, AddGaps>;

/** The smallest so far, ascending; ties in the order in which they came. */
export class Smallest {
  readonly places: Int32Array;
  readonly values: Float64Array;
  readonly #most: number;
  count = 0;

  constructor(most: number) {
    this.#most = most;
    this.places = new Int32Array(most);
    this.values = new Float64Array(most);
  }

  /** Finds the smallest of the first `count` values, by insertion. */
  select(from: Float64Array, count: number): void {
    const { places, values } = this;
    const most = this.#most;
    let held = 0;
    let limit = Infinity;
    for (let place = 0; place < count; place++) {
      const value = from[place] as number;
      if (value >= limit) continue;
      let at = held < most ? held++ : most - 1;
      while (at > 0 && (values[at - 1] as number) > value) {
        values[at] = values[at - 1] as number;
        places[at] = places[at - 1] as number;
        at--;
      }
      values[at] = value;
      places[at] = place;
      if (held === most) limit = values[most - 1] as number;
    }
    this.count = held;
  }
}
