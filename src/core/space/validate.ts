/**
 * Reads a space that came from outside: first the shape of each level, then every rule of its kind,
 * so that what passes can be compiled anywhere.
 */
import { z } from "zod";
import { expected, firstFault, isPlainObject, pathTo, shown } from "../untrusted.ts";
import { compileAt, SPACE_PATH } from "./compile.ts";
import { invalid } from "./invalid.ts";
import type { Distribution, FileSpec, SpaceSpec } from "./spec.ts";
import { MAX_POINTS, MAX_SPACE_DEPTH } from "./spec.ts";

const number = z.number(expected("a finite number"));
const whole = z.int(expected("a whole number"));
const count = z
  .int(expected("a whole number of points, 1 or more"))
  .min(1, expected("a whole number of points, 1 or more"));
const seed = z.int(expected("a whole number, 0 or more")).min(0, expected("a whole number, 0 or more"));
const values = z.array(z.unknown(), expected("an array of values"));
const text = z.string(expected("a text"));
/** Their entries are read one level at a time, each with its own path. */
const dimensions = z.record(z.string(), z.unknown(), expected("an object of named dimensions"));

const SPACES = {
  range: shape("range", { start: number, stop: number, step: number }),
  linspace: shape("linspace", { start: number, stop: number, count }),
  logspace: shape("logspace", { start: number, stop: number, count }),
  list: shape("list", { values }),
  grid: shape("grid", { dimensions }),
  zip: shape("zip", { dimensions }),
  random: shape("random", { count, seed, dimensions }),
  "latin-hypercube": shape("latin-hypercube", { count, seed, dimensions }),
  file: shape("file", {
    path: text.min(1, expected("the path of a file")),
    format: z.enum(["csv", "jsonl"], expected("csv or jsonl")),
    rows: count,
    bytes: count,
    sha256: z
      .string(expected("a SHA-256 in hexadecimal"))
      .regex(/^[0-9a-f]{64}$/, expected("a SHA-256 in hexadecimal")),
  }),
} satisfies Record<SpaceSpec["kind"], z.ZodType>;

const DISTRIBUTIONS = {
  uniform: shape("uniform", { min: number, max: number }),
  "log-uniform": shape("log-uniform", { min: number, max: number }),
  integer: shape("integer", { min: whole, max: whole }),
  choice: shape("choice", { values }),
  normal: shape("normal", { mean: number, stddev: number }),
} satisfies Record<Distribution["kind"], z.ZodType>;

function shape<Kind extends string, Fields extends z.ZodRawShape>(kind: Kind, fields: Fields) {
  const names = Object.keys(fields).join(", ");
  return z.strictObject({ kind: z.literal(kind), ...fields }, expected(`the fields ${names} of a ${kind}`));
}

/**
 * The space that `value` describes, checked down to the last rule.
 *
 * @throws HoldfastError INVALID_SPACE with the path of the first fault.
 */
export function validateSpace(value: unknown): SpaceSpec {
  const spec = readSpace(value, SPACE_PATH, 0);
  compileAt(spec, SPACE_PATH, unreadRows);
  return spec;
}

function readSpace(value: unknown, path: string, depth: number): SpaceSpec {
  if (depth > MAX_SPACE_DEPTH) throw invalid(path, `is nested deeper than ${MAX_SPACE_DEPTH} spaces`);
  const spec = readShape(value, path, { shapes: SPACES, what: "a space" });
  switch (spec.kind) {
    case "grid":
    case "zip":
      return {
        ...spec,
        dimensions: readDimensions(spec.dimensions, path, (inner, at) => readSpace(inner, at, depth + 1)),
      };
    case "random":
    case "latin-hypercube":
      return { ...spec, dimensions: readDimensions(spec.dimensions, path, readDistribution) };
    case "range":
    case "linspace":
    case "logspace":
    case "list":
    case "file":
      return spec;
  }
}

function readDistribution(value: unknown, path: string): Distribution {
  return readShape(value, path, { shapes: DISTRIBUTIONS, what: "a distribution" });
}

function readDimensions<Dimension>(
  given: Readonly<Record<string, unknown>>,
  path: string,
  read: (value: unknown, path: string) => Dimension,
): Readonly<Record<string, Dimension>> {
  const entries = Object.entries(given);
  if (entries.length === 0) throw invalid(path, "has no dimensions; name at least one");
  return Object.fromEntries(
    entries.map(([name, value]) => {
      if (name === "" || name === "__proto__") throw invalid(path, `${JSON.stringify(name)} cannot name a dimension`);
      return [name, read(value, pathTo(path, name))];
    }),
  );
}

interface Choice<Shapes> {
  readonly shapes: Shapes;
  readonly what: string;
}

function readShape<Shapes extends Readonly<Record<string, z.ZodType>>>(
  value: unknown,
  path: string,
  choice: Choice<Shapes>,
): z.output<Shapes[keyof Shapes]> {
  const kinds = Object.keys(choice.shapes);
  if (!isPlainObject(value))
    throw invalid(path, `is ${shown(value)}; expected ${choice.what}: an object with a kind of ${kinds.join(", ")}`);
  const { kind } = value;
  const found = typeof kind === "string" && Object.hasOwn(choice.shapes, kind) ? choice.shapes[kind] : undefined;
  if (found === undefined) throw invalid(`${path}.kind`, `is ${shown(kind)}; expected one of ${kinds.join(", ")}`);
  const read = found.safeParse(value);
  if (!read.success) {
    const fault = firstFault(read.error, path);
    throw invalid(fault.path, fault.problem);
  }
  return read.data as z.output<Shapes[keyof Shapes]>;
}

/** Stands for the rows while only the rules are checked: the file may be on another machine. */
function unreadRows(file: FileSpec): { readonly length: number; row(): never } {
  if (file.rows > MAX_POINTS) throw invalid(SPACE_PATH, `${file.path} has too many rows`);
  return {
    length: file.rows,
    row: () => {
      throw invalid(SPACE_PATH, `${file.path} was not opened`);
    },
  };
}
