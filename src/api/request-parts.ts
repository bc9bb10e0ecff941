/** Pieces of requests that several operations share. Values of a query and of a path arrive as texts. */
import * as z from "zod";
import { MAX_WAIT_MS } from "../broker/limits.ts";
import { identifier } from "../broker/schema-parts.ts";
import { parseDurationMs } from "../util/units.ts";

/** Where the page before ended. */
export const cursor = identifier;

/** A whole number, written as text. */
export function integerText(min: number, max: number): z.ZodType<number, string> {
  return z
    .string()
    .regex(/^\d{1,16}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .meta(written({ type: "integer", minimum: min, maximum: max }));
}

/** What a text stands for, as the OpenAPI document tells it. */
function written(schema: Readonly<Record<string, unknown>>): { readonly openapi: Readonly<Record<string, unknown>> } {
  return { openapi: schema };
}

/** `true` or `false`. */
export const booleanText: z.ZodType<boolean, "true" | "false"> = z
  .enum(["true", "false"], "expected true or false")
  .transform((text) => text === "true")
  .meta(written({ type: "boolean" }));

const MAX_LIST = 100;

/** One or more of some words: separated by commas, or the parameter again and again. */
export function listText<T extends string>(words: readonly T[]): z.ZodType<T[], string | string[]> {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((given) => [given].flat().flatMap((text) => text.split(",", MAX_LIST)))
    .pipe(z.array(z.enum(words)).max(MAX_LIST))
    .meta(written({ type: "array", items: { type: "string", enum: words }, minItems: 1 }));
}

/** Entries of one page. */
export function pageLimit(max: number): z.ZodType<number, string> {
  return integerText(1, max);
}

const WAIT = /^(?:\d{1,5}ms|\d{1,2}(?:\.\d{1,3})?s)$/;
const EXPECTED_WAIT = `expected a wait up to ${MAX_WAIT_MS / 1_000}s, such as "20s" or "500ms"`;

/** How long to wait for something, as text; milliseconds once it is read. */
export const waitDuration: z.ZodType<number, string> = z
  .string()
  .regex(WAIT, EXPECTED_WAIT)
  .transform((text) => (WAIT.test(text) ? parseDurationMs(text, "wait") : 0))
  .pipe(z.number().max(MAX_WAIT_MS, EXPECTED_WAIT));
