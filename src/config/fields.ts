/**
 * Building blocks of the settings schema: each makes a zod type that reads both typed JSON and the
 * text of an environment variable or a flag, and carries what a person must be told about it.
 */
import { z } from "zod";
import { HoldfastError } from "../errors/index.ts";
import { parseDurationMs } from "../util/units.ts";

/** What is told about one setting in `--help`, in messages and in docs/settings.md. */
export interface SettingFacts {
  /** One sentence. */
  readonly about: string;
  /** Kind of value, for the docs' table. */
  readonly type: string;
  /** Completes "expected …". */
  readonly expected: string;
  readonly unit?: string;
  /** The default as the docs state it, where the machine decides or nothing is set. */
  readonly defaultText?: string;
  /** Never printed. */
  readonly secret?: boolean;
  /** A variable by which other programs know the same thing; it counts where ours is not set. */
  readonly alsoFrom?: string;
}

export const settingFacts = z.registry<SettingFacts>();

interface Options<Default> {
  /** `undefined`: nothing is set unless somebody sets it. */
  readonly default: Default;
  readonly defaultText?: string;
  readonly alsoFrom?: string;
}

/** A setting without a default is `undefined` when nobody sets it. */
type Setting<Value, Default> = z.ZodType<Default extends undefined ? Value | undefined : Value>;

const NAME = /^[\w.-]{1,64}$/;
export const ORIGIN = /^https?:\/\/(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;
export const ADDRESS_OR_RANGE = /^[\da-f:.]+(?:\/\d{1,3})?$/i;
const HOST_AND_PORT = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;

/** Longest time that a timer of the platform can wait: a little more than three weeks. */
const MAX_TIMER_MS = 2_147_483_647;

export function text<const Default extends string | undefined>(
  about: string,
  options: Options<Default> & { readonly secret?: boolean },
): Setting<string, Default> {
  const { default: byDefault, ...facts } = options;
  return setting(z.string().min(1), byDefault, { about, ...facts, type: "text", expected: "some text" });
}

export function choice<const Value extends string>(
  about: string,
  values: readonly Value[],
  options: Options<NoInfer<Value>>,
): Setting<Value, Value> {
  const { default: byDefault, ...facts } = options;
  const type = values.map((value) => `\`${value}\``).join(", ");
  const expected = `one of ${values.join(", ")}`;
  return setting(z.enum(values) as z.ZodType<Value>, byDefault, { about, ...facts, type, expected });
}

export function wholeNumber<const Default extends number | undefined>(
  about: string,
  options: Options<Default> & { readonly min: number; readonly max: number; readonly unit?: string },
): Setting<number, Default> {
  const { default: byDefault, min, max, ...facts } = options;
  const schema = z.preprocess(numberFromText, z.number().int().min(min).max(max));
  const expected = `a whole number from ${min} to ${max}`;
  return setting(schema, byDefault, { about, ...facts, type: "whole number", expected });
}

/** Milliseconds, or text with a unit: `250ms`, `5s`, `10m`, `2h`, `7d`. */
export function duration<const Default extends number | undefined>(
  about: string,
  options: Options<Default> & { readonly min: number; readonly max?: number },
): Setting<number, Default> {
  const { default: byDefault, min, max = MAX_TIMER_MS, ...facts } = options;
  const schema = z.preprocess(durationFromText, z.number().int().min(min).max(max));
  const expected = `a time of at least ${min} ms, such as 250ms, 5s, 10m, 2h or 7d`;
  return setting(schema, byDefault, { about, ...facts, type: "duration", unit: "ms", expected });
}

/** Yes or no, as people write it. */
export function yesOrNo<const Default extends boolean | undefined>(
  about: string,
  options: Options<Default>,
): Setting<boolean, Default> {
  const { default: byDefault, ...facts } = options;
  const schema = z.preprocess(booleanFromText, z.boolean());
  return setting(schema, byDefault, { about, ...facts, type: "yes or no", expected: "yes or no" });
}

/** One name. */
export function name<const Default extends string | undefined>(
  about: string,
  options: Options<Default>,
): Setting<string, Default> {
  const { default: byDefault, ...facts } = options;
  const expected = "up to 64 letters, digits, dots, dashes and underscores";
  return setting(z.string().regex(NAME), byDefault, { about, ...facts, type: "name", expected });
}

/** `HOST`, `HOST:PORT` or `[IPv6]:PORT`, several; as text separated by commas. */
export function addresses<const Default extends readonly string[] | undefined>(
  about: string,
  options: Options<Default>,
): Setting<readonly string[], Default> {
  const { default: byDefault, ...facts } = options;
  const schema = z.preprocess(listFromText, z.array(z.string().regex(HOST_AND_PORT)).min(1));
  const expected = "addresses such as host:6379, separated by commas";
  return setting(schema as z.ZodType<readonly string[]>, byDefault, { about, ...facts, type: "addresses", expected });
}

/** A list of texts of one form; as text separated by commas. Nobody has to give one. */
export function texts(
  about: string,
  options: { readonly type: string; readonly pattern: RegExp; readonly expected: string },
): Setting<readonly string[], readonly string[]> {
  const { type, pattern, expected } = options;
  const schema = z.preprocess(listFromText, z.array(z.string().regex(pattern)));
  const facts = { about, type, expected: `${expected}, separated by commas`, defaultText: "none" };
  return setting(schema as z.ZodType<readonly string[]>, [], facts);
}

/** A list of names; as text separated by commas. */
export function names(
  about: string,
  options: Options<readonly string[]>,
): Setting<readonly string[], readonly string[]> {
  const { default: byDefault, ...facts } = options;
  const schema = z.preprocess(listFromText, z.array(z.string().regex(NAME)).min(1));
  const expected = "names of letters, digits, dots, dashes and underscores, separated by commas";
  return setting(schema as z.ZodType<readonly string[]>, byDefault, { about, ...facts, type: "names", expected });
}

function setting<Value, Default extends Value | undefined>(
  schema: z.ZodType<Value>,
  byDefault: Default,
  facts: SettingFacts,
): Setting<Value, Default> {
  const complete =
    byDefault === undefined ? schema.optional() : schema.default(byDefault as z.core.util.NoUndefined<Value>);
  settingFacts.add(complete, facts);
  return complete as unknown as Setting<Value, Default>;
}

function numberFromText(value: unknown): unknown {
  const isNumber = typeof value === "string" && /^\s*-?[\d_]+(\.\d+)?\s*$/.test(value);
  return isNumber ? Number(value.replaceAll("_", "")) : value;
}

function booleanFromText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (/^\s*(?:1|true|yes|on)\s*$/i.test(value)) return true;
  return /^\s*(?:0|false|no|off)\s*$/i.test(value) ? false : value;
}

/** The name of a duration says its unit, so a bare number in an environment variable is clear. */
function durationFromText(value: unknown): unknown {
  const bare = numberFromText(value);
  if (typeof bare !== "string") return bare;
  try {
    return parseDurationMs(bare, "");
  } catch (thrown) {
    if (HoldfastError.is(thrown, "INVALID_OPTION")) return value; // the schema refuses it, with the setting's name
    throw thrown;
  }
}

function listFromText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const parts = value.split(",").map((name) => name.trim());
  return parts.filter((name) => name !== "");
}
