/**
 * A k-nearest-neighbour classifier with a weight per measurement.
 *
 * The distance between two birds is taken over scaled, weighted measurements; the k nearest known
 * birds vote. All ties fall to the lower bird and the lower class, so nothing depends on chance.
 */
import { ADD_GAPS, Smallest } from "./nearest.ts";
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
  /** One column per measurement: all birds, scaled and weighted by the last fit. */
  readonly #scaled: readonly Float64Array[];
  /** The same for the known birds only, in the order of `#known`. */
  readonly #knownScaled: readonly Float64Array[];
  readonly #known: Int32Array;
  #knownCount = 0;
  readonly #distances: Float64Array;
  readonly #nearest: Smallest;
  readonly #votes: Float64Array;

  constructor(data: PenguinData, settings: ClassifierSettings) {
    const columns = (): Float64Array[] => Array.from({ length: data.measurements }, () => new Float64Array(data.birds));
    this.#data = data;
    this.#settings = settings;
    this.#scaled = columns();
    this.#knownScaled = columns();
    this.#known = new Int32Array(data.birds);
    this.#distances = new Float64Array(data.birds);
    this.#nearest = new Smallest(settings.k);
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
    this.#findNearest(bird);
    const votes = this.#votes.fill(0);
    for (let n = 0; n < this.#nearest.count; n++) {
      const neighbour = this.#known[this.#nearest.places[n] as number] as number;
      const label = this.#data.labels[neighbour] as number;
      votes[label] = (votes[label] as number) + this.#weightOf(this.#nearest.values[n] as number);
    }
    let winner = 0;
    for (let label = 1; label < votes.length; label++) {
      if ((votes[label] as number) > (votes[winner] as number)) winner = label;
    }
    return winner;
  }

  #scaleMeasurement(m: number): void {
    const { features, measurements, birds } = this.#data;
    const scaled = this.#scaled[m] as Float64Array;
    const knownScaled = this.#knownScaled[m] as Float64Array;
    const known = new Float64Array(this.#knownCount);
    for (let n = 0; n < this.#knownCount; n++)
      known[n] = features[(this.#known[n] as number) * measurements + m] as number;
    const { centre, spread } = scaleOf(known, this.#settings.scaling);
    const factor = (this.#settings.weights[m] as number) / (spread === 0 ? 1 : spread);
    for (let bird = 0; bird < birds; bird++)
      scaled[bird] = ((features[bird * measurements + m] as number) - centre) * factor;
    for (let n = 0; n < this.#knownCount; n++) knownScaled[n] = scaled[this.#known[n] as number] as number;
  }

  #findNearest(bird: number): void {
    const addGaps = ADD_GAPS[this.#settings.distance];
    const distances = this.#distances.fill(0, 0, this.#knownCount);
    for (let m = 0; m < this.#data.measurements; m++) {
      const own = (this.#scaled[m] as Float64Array)[bird] as number;
      addGaps(distances, { own, others: this.#knownScaled[m] as Float64Array, count: this.#knownCount });
    }
    this.#nearest.select(distances, this.#knownCount);
  }

  /** The vote of a neighbour at this distance, which for the Euclidean kind is still squared. */
  #weightOf(measured: number): number {
    const { vote, distance: kind } = this.#settings;
    if (vote === "equal") return 1;
    const distance = Math.max(kind === "euclidean" ? Math.sqrt(measured) : measured, SMALLEST_DISTANCE);
    return vote === "inverse" ? 1 / distance : 1 / (distance * distance);
  }
}

/** Centre and spread of the values by the chosen kind of scaling. Sorts `values`. */
function scaleOf(
  values: Float64Array,
  scaling: ClassifierSettings["scaling"],
): { readonly centre: number; readonly spread: number } {
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
