/**
 * Repeated k-fold cross-validation of a weighted nearest-neighbour classifier.
 *
 * Every repeat shuffles the birds anew and deals them into folds, class by class, so that each fold
 * has its share of every class. Each fold is predicted from all the others; what is fitted (the
 * scaling of the measurements) is fitted on those others only. The folds depend on the seed alone,
 * so all points of the sweep are judged on the same ones.
 *
 * Only + − × ÷, comparisons and sqrt are used on numbers. IEEE 754 defines their result to the last
 * bit, so that a point has one result, whichever process or machine computes it.
 */
import { seededRandom, shuffle } from "../seeded-random.ts";
import { NeighbourClassifier, type ClassifierSettings } from "./neighbour-classifier.ts";
import type { PenguinData } from "./penguins.ts";

export interface ValidationPlan {
  readonly folds: number;
  readonly repeats: number;
  readonly seed: number;
}

export interface ValidationResult {
  /** Share of birds told rightly, over all repeats. */
  readonly accuracy: number;
  /** Mean over the classes of the share told rightly: a small class counts as much as a large one. */
  readonly balancedAccuracy: number;
  /** Standard deviation of the repeats' accuracies. */
  readonly deviation: number;
}

/** For each repeat, the fold of each bird. */
export function dealFolds(data: PenguinData, plan: ValidationPlan): readonly Uint8Array[] {
  const random = seededRandom(plan.seed);
  return Array.from({ length: plan.repeats }, () => dealOnce(data, plan.folds, random));
}

function dealOnce(data: PenguinData, folds: number, random: () => number): Uint8Array {
  const foldOf = new Uint8Array(data.birds);
  let next = 0;
  for (let label = 0; label < data.classes.length; label++) {
    const members: number[] = [];
    for (let bird = 0; bird < data.birds; bird++) if (data.labels[bird] === label) members.push(bird);
    shuffle(members, random);
    for (const bird of members) foldOf[bird] = next++ % folds;
  }
  return foldOf;
}

/** Judges one point of the sweep. `folds` are those of `dealFolds`. */
export function crossValidate(
  data: PenguinData,
  settings: ClassifierSettings,
  folds: readonly Uint8Array[],
): ValidationResult {
  const classifier = new NeighbourClassifier(data, settings);
  const rightByClass = new Float64Array(data.classes.length);
  const accuracies = folds.map((foldOf) => {
    const right = validateOnce({ data, classifier, foldOf }, rightByClass);
    return right / data.birds;
  });
  return {
    accuracy: mean(accuracies),
    balancedAccuracy: balanced(data, rightByClass, folds.length),
    deviation: deviation(accuracies),
  };
}

interface ValidationPass {
  readonly data: PenguinData;
  readonly classifier: NeighbourClassifier;
  readonly foldOf: Uint8Array;
}

/** One pass over all folds; returns how many birds were told rightly and adds them to `rightByClass`. */
function validateOnce(pass: ValidationPass, rightByClass: Float64Array): number {
  const { data, classifier, foldOf } = pass;
  const folds = 1 + foldOf.reduce((highest, fold) => Math.max(highest, fold), 0);
  let right = 0;
  for (let fold = 0; fold < folds; fold++) {
    classifier.fit((bird) => foldOf[bird] !== fold);
    for (let bird = 0; bird < data.birds; bird++) {
      if (foldOf[bird] !== fold) continue;
      const label = data.labels[bird] as number;
      if (classifier.predict(bird) !== label) continue;
      right++;
      rightByClass[label] = (rightByClass[label] as number) + 1;
    }
  }
  return right;
}

function balanced(data: PenguinData, rightByClass: Float64Array, repeats: number): number {
  const members = new Float64Array(data.classes.length);
  for (const label of data.labels) members[label] = (members[label] as number) + 1;
  return mean(Array.from(rightByClass, (right, label) => right / ((members[label] as number) * repeats)));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - centre) * (value - centre))));
}
