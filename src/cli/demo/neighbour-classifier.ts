/**
 * A k-nearest-neighbour classifier with a weight per measurement.
 *
 * The distance between two birds is taken over scaled, weighted measurements; the k nearest known
 * birds vote. All ties fall to the lower bird and the lower class, so nothing depends on chance.
 */
import type { PenguinData } from "./penguins.ts";

export interface ClassifierSettings {
  /** Neighbours that vote. */
  readonly k: number;
  readonly distance: "euclidean" | "manhattan" | "chebyshev";
  /** How a neighbour's vote falls with its distance. */
  readonly vote: "equal" | "inverse" | "inverse-square";
  /** What brings the measurements onto one scale. */
  readonly scaling: "standard" | "min-max" | "robust";
  /** One per measurement, applied after scaling. */
  readonly weights: readonly number[];
}

/** Keeps the vote of a bird at distance 0 finite. */
const SMALLEST_DISTANCE = 1e-9;

export class NeighbourClassifier {
  readonly #data: PenguinData;
  readonly #settings: ClassifierSettings;
  /** All birds, scaled and weighted by the last fit. */
  readonly #scaled: Float64Array;
  readonly #known: Int32Array;
  #knownCount = 0;
  readonly #distances: Float64Array;
  /** The nearest so far, nearest first. */
  readonly #nearest: Int32Array;
  readonly #nearestDistance: Float64Array;
  readonly #votes: Float64Array;

  constructor(data: PenguinData, settings: ClassifierSettings) {
    this.#data = data;
    this.#settings = settings;
    this.#scaled = new Float64Array(data.features.length);
    this.#known = new Int32Array(data.birds);
    this.#distances = new Float64Array(data.birds);
    this.#nearest = new Int32Array(settings.k);
    this.#nearestDistance = new Float64Array(settings.k);
    this.#votes = new Float64Array(data.classes.length);
  }

  /** Learns from the birds that `isKnown` accepts; the scale is fitted on them alone. */
  fit(isKnown: (bird: number) => boolean): void {
    this.#knownCount = 0;
    for (let bird = 0; bird < this.#data.birds; bird++) {
      if (isKnown(bird)) this.#known[this.#knownCount++] = bird;
    }
    for (let m = 0; m < this.#data.measurements; m++) this.#scaleMeasurement(m);
  }

  /** The class that the nearest known birds vote for. */
  predict(bird: number): number {
    const found = this.#findNearest(bird);
    const votes = this.#votes.fill(0);
    for (let n = 0; n < found; n++) {
      const label = this.#data.labels[this.#nearest[n] as number] as number;
      votes[label] = (votes[label] as number) + this.#weightOf(this.#nearestDistance[n] as number);
    }
    let winner = 0;
    for (let label = 1; label < votes.length; label++) {
      if ((votes[label] as number) > (votes[winner] as number)) winner = label;
    }
    return winner;
  }

  #scaleMeasurement(m: number): void {
    const { features, measurements, birds } = this.#data;
    const column = new Float64Array(this.#knownCount);
    for (let n = 0; n < this.#knownCount; n++) column[n] = features[(this.#known[n] as number) * measurements + m] as number;
    const { centre, spread } = scaleOf(column, this.#settings.scaling);
    const factor = (this.#settings.weights[m] as number) / (spread === 0 ? 1 : spread);
    for (let bird = 0; bird < birds; bird++) {
      const at = bird * measurements + m;
      this.#scaled[at] = ((features[at] as number) - centre) * factor;
    }
  }

  /** Fills `#nearest` by insertion and returns how many there are. */
  #findNearest(bird: number): number {
    const { k } = this.#settings;
    const nearest = this.#nearest;
    const nearestDistance = this.#nearestDistance;
    const distances = this.#measureDistances(bird);
    let found = 0;
    let farthest = Infinity;
    for (let n = 0; n < this.#knownCount; n++) {
      const distance = distances[n] as number;
      if (distance >= farthest) continue;
      let at = found < k ? found++ : k - 1;
      while (at > 0 && (nearestDistance[at - 1] as number) > distance) {
        nearestDistance[at] = nearestDistance[at - 1] as number;
        nearest[at] = nearest[at - 1] as number;
        at--;
      }
      nearestDistance[at] = distance;
      nearest[at] = this.#known[n] as number;
      if (found === k) farthest = nearestDistance[k - 1] as number;
    }
    return found;
  }

  /** Distances from a bird to all known ones, in the order of `#known`. The innermost loop of the whole sweep. */
  #measureDistances(bird: number): Float64Array {
    const { measurements } = this.#data;
    const { distance: kind } = this.#settings;
    const scaled = this.#scaled;
    const known = this.#known;
    const distances = this.#distances;
    const from = bird * measurements;
    for (let n = 0; n < this.#knownCount; n++) {
      const to = (known[n] as number) * measurements;
      let sum = 0;
      for (let m = 0; m < measurements; m++) {
        const gap = Math.abs((scaled[from + m] as number) - (scaled[to + m] as number));
        sum = kind === "euclidean" ? sum + gap * gap : kind === "manhattan" ? sum + gap : Math.max(sum, gap);
      }
      distances[n] = kind === "euclidean" ? Math.sqrt(sum) : sum;
    }
    return distances;
  }

  #weightOf(distance: number): number {
    if (this.#settings.vote === "equal") return 1;
    const held = Math.max(distance, SMALLEST_DISTANCE);
    return this.#settings.vote === "inverse" ? 1 / held : 1 / (held * held);
  }
}

/** Centre and spread of the values by the chosen kind of scaling. Sorts `values`. */
function scaleOf(values: Float64Array, scaling: ClassifierSettings["scaling"]): { readonly centre: number; readonly spread: number } {
  if (scaling === "standard") return standardScale(values);
  values.sort();
  const lowest = values[0] as number;
  const highest = values[values.length - 1] as number;
  if (scaling === "min-max") return { centre: lowest, spread: highest - lowest };
  return { centre: quantile(values, 0.5), spread: quantile(values, 0.75) - quantile(values, 0.25) };
}

function standardScale(values: Float64Array): { readonly centre: number; readonly spread: number } {
  let sum = 0;
  for (const value of values) sum += value;
  const centre = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - centre) * (value - centre);
  return { centre, spread: Math.sqrt(squares / values.length) };
}

/** Linear between the two neighbours. `sorted` ascends. */
function quantile(sorted: Float64Array, share: number): number {
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (high - low) * (position - below);
}
