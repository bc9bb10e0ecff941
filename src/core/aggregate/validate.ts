/** Reads an aggregation that came from outside. */
import { z } from "zod";
import { HoldfastError } from "../../errors/index.ts";
import { expected, type Fault, firstFault, isPlainObject, pathTo, shown } from "../untrusted.ts";
import { MAX_QUANTILES, MAX_REDUCE_DEPTH, MAX_TOP, type ReduceSpec } from "./spec.ts";

/** Where faults of an aggregation are reported: the option of a sweep that holds it. */
const REDUCE_PATH = "reduce";

const FIELD = expected("a dotted path such as scores.test");
const field = z
  .string(FIELD)
  .regex(/^[^.]+(\.[^.]+)*$/, FIELD)
  .exactOptional();
const SHARES = expected(`1 to ${MAX_QUANTILES} shares from 0 to 1, such as [0.5, 0.9]`);
const shares = z
  .array(z.number(SHARES).min(0, SHARES).max(1, SHARES), SHARES)
  .min(1, SHARES)
  .max(MAX_QUANTILES, SHARES);
const TOP = expected(`a whole number from 1 to ${MAX_TOP}`);
const text = z.string(expected("a text")).min(1, expected("a text"));

const SHAPES = {
  count: shape("count", {}),
  sum: shape("sum", { field }),
  mean: shape("mean", { field }),
  min: shape("min", { field }),
  max: shape("max", { field }),
  variance: shape("variance", { field }),
  stddev: shape("stddev", { field }),
  quantiles: shape("quantiles", { field, at: shares }),
  stats: shape("stats", { field, quantiles: shares.exactOptional() }),
  "top-k": shape("top-k", {
    field,
    k: z.int(TOP).min(1, TOP).max(MAX_TOP, TOP),
    order: z.enum(["max", "min"], expected("max or min")),
  }),
  record: shape("record", { parts: z.record(z.string(), z.unknown(), expected("an object of named aggregations")) }),
  user: shape("user", { module: text, name: text }),
} satisfies Record<ReduceSpec["kind"], z.ZodType>;

function shape<Kind extends string, Fields extends z.ZodRawShape>(kind: Kind, fields: Fields) {
  const names = Object.keys(fields).join(", ");
  return z.strictObject(
    { kind: z.literal(kind), ...fields },
    expected(names === "" ? `nothing more in ${kind}` : `${names} in ${kind}`),
  );
}

/**
 * The aggregation that `value` describes.
 *
 * @throws HoldfastError INVALID_INPUT with the path of the first fault.
 */
export function validateReduce(value: unknown): ReduceSpec {
  return readReduce(value, REDUCE_PATH, 0);
}

function readReduce(value: unknown, path: string, depth: number): ReduceSpec {
  if (depth > MAX_REDUCE_DEPTH) throw invalid({ path, problem: `is nested deeper than ${MAX_REDUCE_DEPTH} records` });
  const kinds = Object.keys(SHAPES).join(", ");
  if (!isPlainObject(value))
    throw invalid({ path, problem: `is ${shown(value)}; expected an aggregation: an object with a kind of ${kinds}` });
  const { kind } = value;
  if (typeof kind !== "string" || !isKind(kind))
    throw invalid({ path: pathTo(path, "kind"), problem: `is ${shown(kind)}; expected one of ${kinds}` });
  const read = SHAPES[kind].safeParse(value);
  if (!read.success) throw invalid(firstFault(read.error, path));
  if (read.data.kind !== "record") return read.data;
  const parts = Object.entries(read.data.parts);
  if (parts.length === 0) throw invalid({ path, problem: "has no parts; name at least one aggregation" });
  if (Object.hasOwn(read.data.parts, "__proto__"))
    throw invalid({ path, problem: '"__proto__" cannot name an aggregation' });
  return {
    kind: "record",
    parts: Object.fromEntries(parts.map(([name, part]) => [name, readReduce(part, pathTo(path, name), depth + 1)])),
  };
}

function isKind(kind: string): kind is ReduceSpec["kind"] {
  return Object.hasOwn(SHAPES, kind);
}

function invalid({ path, problem }: Fault): HoldfastError {
  return new HoldfastError("INVALID_INPUT", { path, problem });
}
