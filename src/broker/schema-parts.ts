/** Pieces that the schemas of params are made of, and how a broken one is told. */
import * as z from "zod";
import { HoldfastError } from "../errors/index.ts";
import { MAX_ARRAY_LENGTH, MAX_OUTPUT_BYTES } from "./limits.ts";

/** Names of tasks, pools, workers, capabilities and leases, UTF-16 code units. */
export const MAX_NAME = 256;
/** Submit keys, and the ids, tokens and cursors that a broker hands out. */
export const MAX_IDENTIFIER = 512;
/** Delays, timeouts, retention and times to live: a hundred years. Longer is a mistake. */
export const MAX_DURATION_MS = 3_155_760_000_000;
/** A sentence for a person. */
export const MAX_MESSAGE = 2_000;

export const name = z.string().min(1).max(MAX_NAME);
export const identifier = z.string().min(1).max(MAX_IDENTIFIER);
/** Index of an item, or the end of a range of items. */
export const itemIndex = z.int().min(0).max(MAX_ARRAY_LENGTH);

export function integer(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max);
}

type Shape<T> = { readonly [K in keyof T]-?: z.ZodType<T[K]> };

/**
 * A strict object for the contract's type T: the compiler asks for every key of T, also for the
 * optional ones, and for a fitting schema in each.
 */
export function strict<T extends object>(): <S extends Shape<T>>(
  shape: S & Record<Exclude<keyof S, keyof T>, never>,
) => z.ZodObject<S, z.core.$strict> {
  return (shape) => z.strictObject(shape);
}

/**
 * An array of at most `limit` entries. The length is looked at before the entries: an array of
 * millions is refused without parsing any of them.
 */
export function boundedArray<S extends z.ZodType>(entry: S, limit: number): z.ZodPipe<z.ZodType, z.ZodArray<S>> {
  const bounded = z.unknown().superRefine((value, context) => {
    if (!Array.isArray(value)) {
      context.addIssue({ code: "invalid_type", expected: "array", input: value, continue: false });
    } else if (value.length > limit) {
      context.addIssue({
        code: "too_big",
        origin: "array",
        maximum: limit,
        inclusive: true,
        input: value,
        continue: false,
      });
    }
  });
  return bounded.pipe(z.array(entry));
}

interface Broken {
  readonly method: string;
  readonly value: unknown;
  readonly issue: z.core.$ZodIssue | undefined;
}

/** Throws the error of the catalogue that says what was wrong. */
export function raise({ method, value, issue }: Broken): never {
  const path = pathText(issue?.path ?? []);
  if (issue?.code === "too_big") {
    const found = valueAt(value, issue.path);
    const limit = Number(issue.maximum);
    const what = `${method}: ${path}`;
    if (Array.isArray(found)) throw new HoldfastError("BATCH_TOO_LARGE", { what, count: found.length, limit });
    // Short texts (a name, a message) are no payloads: too long a one is a mistake, not a matter of size.
    if (typeof found === "string" && limit >= MAX_OUTPUT_BYTES) {
      throw new HoldfastError("PAYLOAD_TOO_LARGE", { what, bytes: found.length, limit });
    }
  }
  throw new HoldfastError("INVALID_REQUEST", { method, path, problem: issue?.message ?? "not understood" });
}

/** `submissions[0].groups[2].pool` */
function pathText(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return text === "" ? "params" : text.replace(/^\./, "");
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Record<PropertyKey, unknown>)[key];
  }
  return found;
}
