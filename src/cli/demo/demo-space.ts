/** The demo's points: a Latin hypercube over the settings of the classifier, from the seed. */
import { choice, integer, latinHypercube, uniform } from "../../core/space/build.ts";
import { compileSpace } from "../../core/space/compile.ts";
import type { Space } from "../../core/space/spec.ts";
import { type DemoPlan, FOLDS } from "./demo-plan.ts";
import type { PenguinPoint } from "./penguins-task.ts";

const LEAST_WEIGHT = 0.2;
const MOST_WEIGHT = 3;

export function demoSpace(plan: DemoPlan): Space<PenguinPoint> {
  const weight = uniform(LEAST_WEIGHT, MOST_WEIGHT);
  return latinHypercube(
    plan.points,
    {
      k: integer(1, 15),
      distance: choice(["euclidean", "manhattan", "chebyshev"]),
      vote: choice(["equal", "inverse", "inverse-square"]),
      scaling: choice(["standard", "min-max", "robust"]),
      billLength: weight,
      billDepth: weight,
      flipper: weight,
      mass: weight,
      validation: choice([{ folds: FOLDS, repeats: plan.repeats, seed: plan.seed }]),
    },
    { seed: plan.seed },
  );
}

/** Point by number, as the workers compute it too. */
export function demoPoints(plan: DemoPlan): (point: number) => PenguinPoint {
  const space = compileSpace(demoSpace(plan));
  return (point) => space.at(point) as PenguinPoint;
}
