import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crossValidate, dealFolds } from "../../../src/cli/demo/cross-validation.ts";
import { type ClassifierSettings, NeighbourClassifier } from "../../../src/cli/demo/neighbour-classifier.ts";
import { loadPenguins, parsePenguins } from "../../../src/cli/demo/penguins.ts";
import { seededRandom } from "../../../src/cli/seeded-random.ts";

const settings: ClassifierSettings = {
  k: 1,
  distance: "euclidean",
  vote: "equal",
  scaling: "standard",
  weights: [1, 1, 1, 1],
};

describe("the penguins", () => {
  test("333 birds are complete, in six classes", () => {
    const data = loadPenguins();
    assert.equal(data.birds, 333);
    assert.equal(data.features.length, 333 * 4);
    assert.ok(data.features.every((value) => value > 0));
    assert.deepEqual(data.classes, [
      "Adelie female",
      "Adelie male",
      "Chinstrap female",
      "Chinstrap male",
      "Gentoo female",
      "Gentoo male",
    ]);
  });

  test("rows with a missing value are dropped", () => {
    const head = "species,island,culmen_length_mm,culmen_depth_mm,flipper_length_mm,body_mass_g,sex\n";
    const data = parsePenguins(
      `${head}Adelie,Dream,1,2,3,4,MALE\nAdelie,Dream,NaN,2,3,4,MALE\nAdelie,Dream,1,2,3,4,\nGentoo,Dream,5,6,7,8,FEMALE\n`,
    );
    assert.deepEqual([...data.features], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.deepEqual([...data.labels], [0, 1]);
  });
});

describe("the classifier", () => {
  // Eight points on a line: four of class 0 below, four of class 1 above.
  const line = {
    birds: 8,
    measurements: 1,
    features: Float64Array.of(0, 1, 2, 3, 10, 11, 12, 13),
    labels: Uint8Array.of(0, 0, 0, 0, 1, 1, 1, 1),
    classes: ["low", "high"],
  };

  test("the nearest neighbours decide, under every distance, vote and scaling", () => {
    for (const distance of ["euclidean", "manhattan", "chebyshev"] as const) {
      for (const vote of ["equal", "inverse", "inverse-square"] as const) {
        for (const scaling of ["standard", "min-max", "robust"] as const) {
          const classifier = new NeighbourClassifier(line, { k: 3, distance, vote, scaling, weights: [1] });
          for (let bird = 0; bird < line.birds; bird++) {
            classifier.fit((other) => other !== bird);
            assert.equal(classifier.predict(bird), line.labels[bird]);
          }
        }
      }
    }
  });

  test("a near neighbour outvotes two far ones only when votes fall with distance", () => {
    const data = { ...line, birds: 4, features: Float64Array.of(0, 1, 8, 9), labels: Uint8Array.of(0, 0, 1, 1) };
    const predict = (vote: ClassifierSettings["vote"]): number => {
      const classifier = new NeighbourClassifier(data, {
        k: 3,
        distance: "euclidean",
        vote,
        scaling: "min-max",
        weights: [1],
      });
      classifier.fit((bird) => bird !== 0);
      return classifier.predict(0);
    };
    assert.equal(predict("equal"), 1);
    assert.equal(predict("inverse"), 0);
  });
});

describe("cross-validation", () => {
  const data = loadPenguins();

  test("folds are dealt class by class and depend on the seed alone", () => {
    const [folds] = dealFolds(data, { folds: 10, repeats: 1, seed: 7 });
    assert.ok(folds !== undefined);
    const sizes = Array.from({ length: 10 }, (_, fold) => folds.filter((of) => of === fold).length);
    assert.ok(
      sizes.every((size) => size === 33 || size === 34),
      String(sizes),
    );
    assert.deepEqual(dealFolds(data, { folds: 10, repeats: 2, seed: 7 })[0], folds);
    assert.notDeepEqual(dealFolds(data, { folds: 10, repeats: 1, seed: 8 })[0], folds);
  });

  test("tells most penguins, and gives the same bits each time", () => {
    const folds = dealFolds(data, { folds: 10, repeats: 2, seed: 7 });
    const result = crossValidate(data, { ...settings, k: 9 }, folds);
    assert.ok(result.accuracy > 0.85 && result.accuracy < 1, String(result.accuracy));
    assert.ok(result.balancedAccuracy > 0.8 && result.deviation >= 0);
    assert.deepEqual(crossValidate(data, { ...settings, k: 9 }, folds), result);
  });

  test("without the measurements it can only guess", () => {
    const folds = dealFolds(data, { folds: 10, repeats: 1, seed: 7 });
    assert.ok(crossValidate(data, { ...settings, weights: [0, 0, 0, 0] }, folds).accuracy < 0.3);
  });
});

test("the seeded generator is the same everywhere", () => {
  const random = seededRandom(42);
  assert.deepEqual(
    [random(), random(), random()].map((value) => Math.floor(value * 1e9)),
    [601_103_751, 448_290_558, 852_465_793],
  );
});
