/** Spaces made of named dimensions: grid and zip. Their points are objects. */
import { pathTo } from "../untrusted.ts";
import { invalid } from "./invalid.ts";
import type { CompiledSpace } from "./spec.ts";
import { MAX_POINTS } from "./spec.ts";

export interface NamedSpace extends CompiledSpace {
  readonly name: string;
}

/** Every combination; the last dimension changes fastest. */
export function compileGrid(dimensions: readonly NamedSpace[], path: string): CompiledSpace {
  let length = 1;
  // How far apart, in points, two values of a dimension are.
  const strides = dimensions.map(() => 1);
  for (const [place, dimension] of [...dimensions.entries()].toReversed()) {
    strides[place] = length;
    if (length > MAX_POINTS / dimension.length) throw tooManyCombinations(dimensions, path);
    length *= dimension.length;
  }
  return {
    length,
    at: (index) => {
      const point: Record<string, unknown> = {};
      let rest = index;
      let place = 0;
      for (const dimension of dimensions) {
        const stride = strides[place] ?? 1;
        // Subtracting the remainder first keeps the division exact up to 2⁵³, where a floor would not be.
        const below = rest % stride;
        point[dimension.name] = dimension.at((rest - below) / stride);
        rest = below;
        place += 1;
      }
      return point;
    },
  };
}

function tooManyCombinations(dimensions: readonly NamedSpace[], path: string): Error {
  const product = dimensions.reduce((points, dimension) => points * BigInt(dimension.length), 1n);
  return invalid(
    path,
    `has ${product} combinations (${dimensions.map(({ length }) => length).join(" × ")}); the limit is ${MAX_POINTS}`,
  );
}

/** Dimensions of equal length, side by side. */
export function compileZip(dimensions: readonly NamedSpace[], path: string): CompiledSpace {
  const [first] = dimensions;
  const length = first?.length ?? 0;
  for (const dimension of dimensions) {
    if (dimension.length !== length) {
      const problem = `has ${dimension.length} values but ${first?.name ?? ""} has ${length}; the dimensions of a zip are equally long`;
      throw invalid(pathTo(path, dimension.name), problem);
    }
  }
  return {
    length,
    at: (index) => {
      const point: Record<string, unknown> = {};
      for (const dimension of dimensions) point[dimension.name] = dimension.at(index);
      return point;
    },
  };
}
