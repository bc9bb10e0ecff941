/** From a description to something that can be asked for points. Every rule of a space is checked here. */
import { HoldfastError } from "../../errors/index.ts";
import { pathTo } from "../untrusted.ts";
import { invalid } from "./invalid.ts";
import { compileGrid, compileZip, type NamedSpace } from "./products.ts";
import { compileLatinHypercube, compileRandom } from "./samples.ts";
import type { CompiledSpace, Dimensions, FileSpec, OpenRows, SpaceSpec } from "./spec.ts";
import { compileLinspace, compileList, compileLogspace, compileRange } from "./values.ts";

/** Where faults of a space are reported: the option of a sweep that holds it. */
export const SPACE_PATH = "over";

/**
 * Prepares a space. `openRows` is needed for spaces that read a parameter file.
 *
 * `at(index)` refuses an index that is no whole number from 0 to length−1.
 *
 * @throws HoldfastError INVALID_SPACE, PARAMETER_FILE_CHANGED, and what `openRows` throws.
 */
export function compileSpace(spec: SpaceSpec, openRows?: OpenRows): CompiledSpace {
  const space = compileAt(spec, SPACE_PATH, openRows ?? refuseFiles);
  const { length } = space;
  return {
    length,
    at: (index) => {
      if (!(index >= 0 && index < length && Number.isInteger(index))) throw noSuchPoint(index, length);
      return space.at(index);
    },
  };
}

/** As `compileSpace`, for a space at `path`; its `at` trusts the index. */
export function compileAt(spec: SpaceSpec, path: string, openRows: OpenRows): CompiledSpace {
  switch (spec.kind) {
    case "range":
      return compileRange(spec, path);
    case "linspace":
      return compileLinspace(spec, path);
    case "logspace":
      return compileLogspace(spec, path);
    case "list":
      return compileList(spec, path);
    case "grid":
      return compileGrid(compileDimensions(spec.dimensions, path, openRows), path);
    case "zip":
      return compileZip(compileDimensions(spec.dimensions, path, openRows), path);
    case "random":
      return compileRandom(spec, path);
    case "latin-hypercube":
      return compileLatinHypercube(spec, path);
    case "file":
      return compileFile(spec, openRows);
  }
}

function compileDimensions(dimensions: Dimensions, path: string, openRows: OpenRows): NamedSpace[] {
  return Object.entries(dimensions).map(([name, spec]) => {
    return { name, ...compileAt(spec, pathTo(path, name), openRows) };
  });
}

function compileFile(spec: FileSpec, openRows: OpenRows): CompiledSpace {
  const source = openRows(spec);
  if (source.length !== spec.rows) throw new HoldfastError("PARAMETER_FILE_CHANGED", { file: spec.path });
  return { length: spec.rows, at: (index) => source.row(index) };
}

function refuseFiles(file: FileSpec): never {
  throw new HoldfastError("INTERNAL", { problem: `no reader was given for the parameter file ${file.path}` });
}

function noSuchPoint(index: number, length: number): HoldfastError {
  return invalid(SPACE_PATH, `there is no point ${index}; the points are 0 to ${length - 1}`);
}
