/**
 * Checks a sweep's points against its task's input schema before anything is submitted.
 *
 * Up to MAX_CHECKED points every one is checked. A larger sweep gets a check whose cost does not
 * grow with it: its first and last point; for a grid every value of every dimension (with the other
 * dimensions at their first value, so that only real points are judged); for anything else points
 * spread evenly over it. Dimensions too long for their share are sampled evenly, ends included. What
 * slips through is refused by the worker as `invalid-input`, which is not retried.
 *
 * A parameter file is checked row by row, whatever its size: its rows were typed or exported by
 * somebody, and the one bad row is as likely to be anywhere.
 */
import { compileSpace, type CompiledSpace, type FileSpec, type SpaceSpec } from "../core/space.ts";
import { pathTo, shown } from "../core/untrusted.ts";
import { HoldfastError } from "../errors/index.ts";
import { checkAgainst, type Checked, type IssuePath, type StandardSchema } from "./standard-schema.ts";

/** Points up to which every one is checked, and about as many as are checked of a larger sweep. */
export const MAX_CHECKED = 10_000;
const SPACE_PATH = "over";

export interface PointsToCheck {
  readonly schema: StandardSchema;
  readonly spec: SpaceSpec;
  readonly space: CompiledSpace;
}

/**
 * @throws HoldfastError INVALID_INPUT with the path of the first value that is refused, such as
 * `over.k[3]`, or INVALID_PARAMETER_FILE with the row.
 */
export async function checkPoints({ schema, spec, space }: PointsToCheck): Promise<void> {
  for (const index of indicesToCheck(spec, space.length)) {
    const point = space.at(index);
    const checked = checkAgainst(schema, point);
    const verdict: Checked<unknown> = checked instanceof Promise ? await checked : checked;
    if (verdict.ok) continue;
    if (spec.kind === "file") throw badRow(spec, index, verdict);
    const value = verdict.path.reduce<unknown>((inner, key) => (Object(inner) as Record<PropertyKey, unknown>)[key], point);
    const problem = `${verdict.problem} (it is ${shown(value)})`;
    throw new HoldfastError("INVALID_INPUT", { path: pathInSpace(spec, index, verdict.path), problem });
  }
}

/** Which points of a space of `length` are checked. */
export function* indicesToCheck(spec: SpaceSpec, length: number): Generator<number, void> {
  if (length <= MAX_CHECKED || spec.kind === "file") {
    for (let index = 0; index < length; index++) yield index;
    return;
  }
  yield 0;
  yield length - 1;
  if (spec.kind !== "grid") {
    yield* spread(length, MAX_CHECKED);
    return;
  }
  const dimensions = gridDimensions(spec.dimensions);
  const share = Math.max(2, Math.floor(MAX_CHECKED / dimensions.length));
  for (const dimension of dimensions) {
    for (const place of spread(dimension.length, share)) yield place * dimension.stride;
  }
}

/** At most `most` of 0 … length−1, evenly, first and last included. */
function* spread(length: number, most: number): Generator<number, void> {
  const count = Math.min(length, most);
  for (let step = 0; step < count; step++) {
    yield count === 1 ? 0 : Math.min(length - 1, Math.round((step / (count - 1)) * (length - 1)));
  }
}

interface GridDimension {
  readonly name: string;
  readonly length: number;
  /** How far apart, in points, two neighbouring values are. */
  readonly stride: number;
}

function gridDimensions(dimensions: Readonly<Record<string, SpaceSpec>>): readonly GridDimension[] {
  let stride = 1;
  return Object.entries(dimensions)
    .reverse()
    .map(([name, spec]) => {
      const length = lengthOf(spec);
      const dimension = { name, length, stride };
      stride *= length;
      return dimension;
    })
    .reverse();
}

function lengthOf(spec: SpaceSpec): number {
  return spec.kind === "file" ? spec.rows : compileSpace(spec).length;
}

/** Where the user wrote the value that `path` leads to inside point `index`. */
export function pathInSpace(spec: SpaceSpec, index: number, path: IssuePath): string {
  const [dimension, ...inner] = path;
  if (typeof dimension === "string" && spec.kind === "grid") {
    const found = gridDimensions(spec.dimensions).find(({ name }) => name === dimension);
    if (found !== undefined) {
      const place = Math.floor(index / found.stride) % found.length;
      return joined(pathTo(SPACE_PATH, dimension), [place, ...inner]);
    }
  }
  if (typeof dimension === "string" && spec.kind === "zip" && Object.hasOwn(spec.dimensions, dimension)) {
    return joined(pathTo(SPACE_PATH, dimension), [index, ...inner]);
  }
  return joined(SPACE_PATH, [index, ...path]);
}

function badRow(spec: FileSpec, index: number, verdict: { readonly path: IssuePath; readonly problem: string }): HoldfastError {
  const [column, ...inner] = verdict.path;
  const where = column === undefined ? "" : `${joined(String(column), inner)}: `;
  // People count rows from 1. A CSV's head line is not counted: it is no row of parameters.
  return new HoldfastError("INVALID_PARAMETER_FILE", { file: spec.path, row: index + 1, problem: `${where}${verdict.problem}` });
}

/** A path as one text: `over` and `["layers", 2]` as `over.layers[2]`. */
export function joined(start: string, path: IssuePath): string {
  return path.reduce<string>((parent, key) => pathTo(parent, key), start);
}
