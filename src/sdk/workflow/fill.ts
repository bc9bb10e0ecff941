/** Fills in templates (node.ts). Pure: a template is never changed, as it may be filled in again. */
import { HoldfastError } from "../../errors/index.ts";
import type { Json, Template } from "./node.ts";

/** What references stand for. Without one of them its references are left as they are, for a later filling. */
export interface Filling {
  /** Output of a node by its id. */
  readonly output?: (node: string) => Json;
  readonly input?: () => Json;
}

/** Keys that alone in an object mean something in a template. */
export const TEMPLATE_MARKS: readonly string[] = ["$output", "$input", "$text", "$literal"];

const QUOTED_MARKS = TEMPLATE_MARKS.map((mark) => `"${mark}"`);

/** Whether there may be something to fill in the JSON text. */
export function isTemplateText(text: string): boolean {
  return text.includes('"$') && QUOTED_MARKS.some((mark) => text.includes(mark));
}

/** @throws HoldfastError INVALID_INPUT for a reference that is none; whatever `filling` throws. */
export function fill(template: Template, filling: Filling): Json {
  if (typeof template !== "object" || template === null) return template;
  if (isList(template)) return template.map((entry) => fill(entry, filling));
  const keys = Object.keys(template);
  const [only = ""] = keys;
  const inner = keys.length === 1 ? template[only] : undefined;
  if (inner !== undefined && only.startsWith("$") && TEMPLATE_MARKS.includes(only))
    return fillReference({ [only]: inner }, filling);
  const filled: Record<string, Json> = {};
  for (const key of keys) put(filled, key, fill(template[key] ?? null, filling));
  return filled;
}

/** A plain assignment to `__proto__` would set the prototype. */
function put(object: Record<string, Json>, key: string, value: Json): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

/** Whether nothing in it is left to be filled in. */
export function isConstant(template: Template): boolean {
  if (typeof template !== "object" || template === null) return true;
  if (isList(template)) return template.every(isConstant);
  const keys = Object.keys(template);
  const [only = ""] = keys;
  if (keys.length === 1 && TEMPLATE_MARKS.includes(only)) return only === "$literal";
  return Object.values(template).every(isConstant);
}

/** Data as they may stand in a template: what looks like a reference is kept from being taken for one. */
export function quoted(data: Json): Template {
  return isTemplateText(JSON.stringify(data)) ? { $literal: data } : data;
}

/** What lies in a value; `null` where there is nothing. */
export function valueAt(value: Json, path: readonly Json[]): Json {
  let found: Json = value;
  for (const key of path) {
    if (typeof found !== "object" || found === null || !isKey(key) || !Object.hasOwn(found, key)) return null;
    if (key === "length" && isList(found)) return null; // JSON's lists have no such thing
    found = (found as Readonly<Record<string | number, Json>>)[key] ?? null;
  }
  return found;
}

type Reference = Readonly<Record<string, Json>>;

function fillReference(reference: Reference, filling: Filling): Json {
  const { $output, $input, $text, $literal } = reference;
  if ($text !== undefined) return fillText(listOf($text, "$text"), filling);
  if ($literal !== undefined) return filling.output === undefined ? reference : $literal;
  if ($output !== undefined) {
    const [node, ...path] = listOf($output, "$output");
    if (typeof node !== "string") throw faulty("$output", "names no node");
    return filling.output === undefined ? reference : valueAt(filling.output(node), path);
  }
  const path = listOf($input ?? null, "$input");
  if (filling.input === undefined) return reference;
  const found = valueAt(filling.input(), path);
  // What is filled in now must not be taken for a reference when the rest is.
  return filling.output === undefined ? quoted(found) : found;
}

/** One text where all its parts are known; until then what is known of it. */
function fillText(parts: readonly Template[], filling: Filling): Json {
  const filled = parts.map((part) => fill(part, filling));
  if (filling.output !== undefined) return filled.map(asText).join("");
  return filled.every(isConstant) ? filled.map((part) => asText(fill(part, NOTHING))).join("") : { $text: filled };
}

/** Fills in what is constant. */
const NOTHING: Filling = { output: () => null };

/** A text as it is, nothing for `null`, all else as JSON. */
function asText(value: Json): string {
  if (typeof value === "string") return value;
  return value === null ? "" : JSON.stringify(value);
}

function listOf(value: Json, mark: string): readonly Json[] {
  if (isList(value)) return value;
  throw faulty(mark, "is no list");
}

function faulty(mark: string, problem: string): HoldfastError {
  return new HoldfastError("INVALID_INPUT", { path: mark, problem });
}

function isKey(key: Json): key is string | number {
  return typeof key === "string" || typeof key === "number";
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
