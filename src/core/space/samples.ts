/** Spaces of random points: independent ones, and Latin hypercubes. Point i is looked up, not drawn. */
import { BELOW_ONE, type IndexedNumber, permutation, uniformStream } from "../random.ts";
import { pathTo } from "../untrusted.ts";
import { compileDistribution, type Quantile } from "./distributions.ts";
import { invalid } from "./invalid.ts";
import type { CompiledSpace, Distributions, LatinHypercubeSpec, RandomSpec } from "./spec.ts";
import { MAX_LATIN_POINTS } from "./spec.ts";

export function compileRandom(spec: RandomSpec, path: string): CompiledSpace {
  return sampled(spec, path, (name) => uniformStream(spec.seed, name));
}

export function compileLatinHypercube(spec: LatinHypercubeSpec, path: string): CompiledSpace {
  const { count, seed } = spec;
  if (count > MAX_LATIN_POINTS)
    throw invalid(`${path}.count`, `is ${count}; a Latin hypercube has at most ${MAX_LATIN_POINTS} points`);
  return sampled(spec, path, (name) => {
    const within = uniformStream(seed, name);
    const stratum = permutation(seed, name, count);
    return (index) => Math.min(BELOW_ONE, (stratum(index) + within(index)) / count);
  });
}

interface SampleSpec {
  readonly count: number;
  readonly dimensions: Distributions;
}

function sampled(spec: SampleSpec, path: string, shareOf: (name: string) => IndexedNumber): CompiledSpace {
  const dimensions = Object.entries(spec.dimensions).map(
    ([name, distribution]): { name: string; share: IndexedNumber; value: Quantile } => ({
      name,
      share: shareOf(name),
      value: compileDistribution(distribution, pathTo(path, name)),
    }),
  );
  return {
    length: spec.count,
    at: (index) => {
      const point: Record<string, unknown> = {};
      for (const { name, share, value } of dimensions) point[name] = value(share(index));
      return point;
    },
  };
}
