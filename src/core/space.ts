/**
 * Parameter spaces: what a sweep runs over.
 *
 * A space is a plain JSON description (`SpaceSpec`) that travels with the submission. Compiled, it
 * has a length and computes point i from i alone; no list of points exists anywhere, so a worker
 * that takes over a chunk from a dead one computes the very same points from the same few bytes.
 */
export {
  choice,
  grid,
  integer,
  latinHypercube,
  linspace,
  list,
  logspace,
  logUniform,
  normal,
  random,
  range,
  rows,
  uniform,
  zip,
  type DimensionInput,
  type DimensionsPoint,
  type DistributionsPoint,
  type Drawn,
  type SeedOptions,
} from "./space/build.ts";
export { compileSpace } from "./space/compile.ts";
export {
  MAX_POINTS,
  type POINT,
  type CompiledSpace,
  type Distribution,
  type FileSpec,
  type OpenRows,
  type PointOf,
  type RowSource,
  type Space,
  type SpaceSpec,
} from "./space/spec.ts";
export { validateSpace } from "./space/validate.ts";
