/**
 * The demo's task, as workers load it: judge one setting of the classifier.
 *
 * It is an ordinary user module. Everything a point needs is in its input; the data and the folds
 * are made once per process and are the same in every process.
 */
import { z } from "zod";
import { defineTask } from "../../sdk/task.ts";
import { crossValidate, dealFolds, type ValidationPlan, type ValidationResult } from "./cross-validation.ts";
import type { ClassifierSettings } from "./neighbour-classifier.ts";
import { loadPenguins } from "./penguins.ts";

const weight = z.number().min(0).max(100);

export const penguinPoint = z.object({
  k: z.number().int().min(1).max(100),
  distance: z.enum(["euclidean", "manhattan", "chebyshev"]),
  vote: z.enum(["equal", "inverse", "inverse-square"]),
  scaling: z.enum(["standard", "min-max", "robust"]),
  billLength: weight,
  billDepth: weight,
  flipper: weight,
  mass: weight,
  validation: z.object({
    folds: z.number().int().min(2).max(100),
    repeats: z.number().int().min(1).max(1_000),
    seed: z.number().int(),
  }),
});

export type PenguinPoint = z.output<typeof penguinPoint>;

export const crossValidatePenguins = defineTask({
  name: "cross-validate-penguins",
  input: penguinPoint,
  requires: ["cpu"],
  run: (point) => judgePoint(point),
});

/** What the task answers; also called by the one process that checks the workers. */
export function judgePoint(point: PenguinPoint): ValidationResult {
  return crossValidate(loadPenguins(), classifierSettings(point), foldsFor(point.validation));
}

export function classifierSettings(point: PenguinPoint): ClassifierSettings {
  const { k, distance, vote, scaling, billLength, billDepth, flipper, mass } = point;
  return { k, distance, vote, scaling, weights: [billLength, billDepth, flipper, mass] };
}

let dealt: { readonly key: string; readonly folds: readonly Uint8Array[] } | undefined;

function foldsFor(plan: ValidationPlan): readonly Uint8Array[] {
  const key = JSON.stringify(plan);
  if (dealt?.key !== key) dealt = { key, folds: dealFolds(loadPenguins(), plan) };
  return dealt.folds;
}
