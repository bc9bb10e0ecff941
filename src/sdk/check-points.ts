/**
 * Checks a sweep's points against its task's input schema before anything is submitted.
 *
 * Up to MAX_CHECKED points every one is checked. So is every row of a parameter file and every value
 * of a list, however many: somebody typed or exported them, and the one bad value may be anywhere.
 * Computed values are regular, so of a larger sweep few tell of all, and the check costs the same
 * for 10⁹ points as for 10⁵: its first and last point; of a grid the values of each dimension (with
 * the other dimensions at their first value, so that only real points are judged), spread evenly
 * over it, ends included; of anything else points spread evenly. What slips through is refused by
 * the worker as `invalid-input`, which is not retried.
 */
import { compileSpace, type CompiledSpace, type FileSpec, type SpaceSpec } from "../core/space.ts";
import { pathTo, shown } from "../core/untrusted.ts";
import { HoldfastError } from "../errors/index.ts";
import { checkAgainst, type Checked, type IssuePath, type StandardSchema } from "./standard-schema.ts";

/** Points up to which every one is checked. */
const MAX_CHECKED = 10_000;
/** Values checked of a computed dimension of a larger grid. */
const MAX_CHECKED_PER_DIMENSION = 200;
/** Points checked of any other larger sweep. */
const MAX_SPREAD = 1_000;
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
    const value = verdict.path.reduce<unknown>(
      (inner, key) => (Object(inner) as Record<PropertyKey, unknown>)[key],
      point,
    );
    const problem = `${verdict.problem} (it is ${shown(value)})`;
    throw new HoldfastError("INVALID_INPUT", { path: pathInSpace(spec, index, verdict.path), problem });
  }
}

/** Which points of a space of `length` are checked. */
export function* indicesToCheck(spec: SpaceSpec, length: number): Generator<number, void> {
  if (length <= MAX_CHECKED || isWrittenOut(spec)) {
    for (let index = 0; index < length; index++) yield index;
    return;
  }
  yield 0;
  yield length - 1;
  if (spec.kind !== "grid") {
    yield* spread(length, MAX_SPREAD);
    return;
  }
  for (const { spec: inner, length: values, stride } of gridDimensions(spec.dimensions)) {
    for (const place of spread(values, isWrittenOut(inner) ? values : MAX_CHECKED_PER_DIMENSION)) yield place * stride;
  }
}

/** Whether a space's values are somebody's own, not computed by rule. */
function isWrittenOut(spec: SpaceSpec): boolean {
  if (spec.kind === "zip") return Object.values(spec.dimensions).some(isWrittenOut);
  return spec.kind === "list" || spec.kind === "file";
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
  readonly spec: SpaceSpec;
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
      const dimension = { name, spec, length, stride };
      stride *= length;
      return dimension;
    })
    .reverse();
}

function lengthOf(spec: SpaceSpec): number {
  // Only the length is wanted: files inside stay closed.
  return compileSpace(spec, (file) => ({ length: file.rows, row: () => undefined })).length;
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

function badRow(
  spec: FileSpec,
  index: number,
  verdict: { readonly path: IssuePath; readonly problem: string },
): HoldfastError {
  const [column, ...inner] = verdict.path;
  const where = column === undefined ? "" : `${joined(String(column), inner)}: `;
  // People count rows from 1. A CSV's head line is not counted: it is no row of parameters.
  return new HoldfastError("INVALID_PARAMETER_FILE", {
    file: spec.path,
    row: index + 1,
    problem: `${where}${verdict.problem}`,
  });
}

/** A path as one text: `over` and `["layers", 2]` as `over.layers[2]`. */
export function joined(start: string, path: IssuePath): string {
  return path.reduce<string>((parent, key) => pathTo(parent, key), start);
}
