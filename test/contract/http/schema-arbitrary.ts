/** Values that a JSON Schema of the OpenAPI document allows, and such that it does not. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DOCUMENT, type Json } from "./document.ts";

const MAX_TEXT = 24;
const MAX_ENTRIES = 3;
const MAX_DEPTH = 6;
const LARGEST = Number.MAX_SAFE_INTEGER;

/** Waits are short: thousands of requests are made. */
const SHORT_WAIT = fc.constantFrom("0s", "5ms", "10ms");

export function arbitraryOf(schema: Json, depth = 0): fc.Arbitrary<unknown> {
  const target = resolve(schema);
  if ("const" in target) return fc.constant(target["const"]);
  if (Array.isArray(target["enum"])) return fc.constantFrom(...(target["enum"] as unknown[]));
  const choices = (target["anyOf"] ?? target["oneOf"]) as Json[] | undefined;
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => arbitraryOf(choice, depth + 1)));
  const parts = target["allOf"] as Json[] | undefined;
  if (parts?.length === 1) return arbitraryOf(parts[0] as Json, depth + 1);
  return arbitraryOfType(target, depth);
}

function arbitraryOfType(schema: Json, depth: number): fc.Arbitrary<unknown> {
  const type = schema["type"];
  if (Array.isArray(type))
    return fc.oneof(...type.map((one) => arbitraryOfType({ ...schema, type: one as string }, depth)));
  switch (type) {
    case "string":
      return textOf(schema);
    case "integer":
    case "number":
      return numberOf(schema);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(arbitraryOf((schema["items"] ?? {}) as Json, depth + 1), {
        minLength: Number(schema["minItems"] ?? 0),
        maxLength: depth > MAX_DEPTH ? Number(schema["minItems"] ?? 0) : MAX_ENTRIES,
      });
    case "object":
      return objectOf(schema, depth);
    case undefined:
      return fc.jsonValue({ maxDepth: 2 });
    default:
      return assert.fail(`a schema of an unknown type: ${JSON.stringify(schema)}`);
  }
}

function textOf(schema: Json): fc.Arbitrary<string> {
  const {
    pattern,
    minLength = 0,
    maxLength = MAX_TEXT,
  } = schema as {
    readonly pattern?: string;
    readonly minLength?: number;
    readonly maxLength?: number;
  };
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  return fc.string({ unit: "grapheme", minLength, maxLength: Math.max(minLength, Math.min(maxLength, MAX_TEXT)) });
}

function numberOf(schema: Json): fc.Arbitrary<number> {
  const min = Number(schema["minimum"] ?? schema["exclusiveMinimum"] ?? -LARGEST);
  const max = Number(schema["maximum"] ?? LARGEST);
  if (schema["type"] === "integer") {
    const small = fc.integer({ min: Math.max(min, -5), max: Math.min(max, Math.max(min, 5)) });
    const any = fc.double({ min, max, noNaN: true }).map(Math.trunc);
    return fc.oneof(small, any, fc.constantFrom(min, max));
  }
  return fc.double({ min: Math.max(min, -1e9), max: Math.min(max, 1e9), noNaN: true });
}

function objectOf(schema: Json, depth: number): fc.Arbitrary<Json> {
  const properties = (schema["properties"] ?? {}) as Record<string, Json>;
  const required = (schema["required"] ?? []) as string[];
  const shape = Object.fromEntries(
    Object.entries(properties)
      .filter(([name]) => depth <= MAX_DEPTH || required.includes(name))
      .map(([name, property]) => [name, name === "wait" ? SHORT_WAIT : arbitraryOf(property, depth + 1)]),
  );
  const known = fc.record(shape, { requiredKeys: required.filter((name) => name in shape) }) as fc.Arbitrary<Json>;
  const others = schema["additionalProperties"];
  if (typeof others !== "object" || others === null || depth > MAX_DEPTH) return known;
  const extra = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), arbitraryOf(others as Json, depth + 1), {
    maxKeys: 2,
  });
  return fc.tuple(known, extra).map(([some, more]) => ({ ...more, ...some }));
}

function resolve(schema: Json): Json {
  const reference = schema["$ref"];
  if (typeof reference !== "string") return schema;
  const name = reference.replace("#/components/schemas/", "");
  return resolve(DOCUMENT.components.schemas[name] ?? assert.fail(`no schema ${reference}`));
}

/** Something that no field of the API is: neither text, number, list nor a known object. */
const MISFIT = fc.constantFrom<unknown>({ "no such field": 1 }, [[["deep"]]], 1.5e300, "\u0000", true, null);

/** A body with one thing about it that is wrong by its schema, or that may be. */
export function spoiled(schema: Json, body: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const target = resolve(schema);
  const required = (target["required"] ?? []) as string[];
  const names = Object.keys(target["properties"] ?? {});
  const changed = (change: (json: Json, name: string, misfit: unknown) => unknown, among: readonly string[]) =>
    fc
      .tuple(body, fc.constantFrom(...among), MISFIT)
      .map(([json, name, misfit]) =>
        typeof json === "object" && json !== null && !Array.isArray(json) ? change({ ...json }, name, misfit) : misfit,
      );
  return fc.oneof(
    MISFIT,
    changed((json, _, misfit) => ({ ...json, "no such field": misfit }), ["unused"]),
    ...(names.length === 0 ? [] : [changed((json, name, misfit) => ({ ...json, [name]: misfit }), names)]),
    ...(required.length === 0
      ? []
      : [
          changed((json, name) => {
            delete json[name];
            return json;
          }, required),
        ]),
  );
}
