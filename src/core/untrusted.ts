/**
 * Helpers for reading JSON from outside: where a fault is, in the words a user knows, and what was
 * expected there.
 */
import type { z } from "zod";

/** `over` and `k` → `over.k`; names that are no identifiers are quoted in brackets. */
export function pathTo(parent: string, key: PropertyKey): string {
  if (typeof key === "number") return `${parent}[${key}]`;
  const name = String(key);
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `${parent}.${name}` : `${parent}[${JSON.stringify(name)}]`;
}

export interface Fault {
  readonly path: string;
  readonly problem: string;
}

/** The first fault that a schema found, with its full path. */
export function firstFault(error: z.ZodError, path: string): Fault {
  const issue = error.issues[0];
  if (issue === undefined) return { path, problem: "is invalid" };
  return { path: issue.path.reduce<string>((parent, key) => pathTo(parent, key), path), problem: issue.message };
}

/** An error setting for a zod schema: one sentence that says what is there and what was expected. */
export function expected(what: string): { readonly error: (issue: z.core.$ZodRawIssue) => string } {
  return {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? `has the unknown field ${issue.keys.join(", ")}; expected ${what}`
        : `is ${shown(issue.input)}; expected ${what}`,
  };
}

/** A value in a sentence, short enough to read. */
export function shown(value: unknown): string {
  if (value === undefined) return "missing";
  const text = typeof value === "number" ? String(value) : (jsonText(value) ?? className(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Undefined for what JSON cannot say: functions and the like, and what is cyclic or too deep. */
function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** Values within values. Deeper JSON would overflow the stack of whoever walks it. */
const MAX_JSON_DEPTH = 64;

/** The first thing at or under `path` that is no JSON, if there is one. */
export function jsonFault(value: unknown, path: string, depth = 0): Fault | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number") {
    return Number.isFinite(value) ? undefined : { path, problem: `is ${value}; expected a finite number` };
  }
  if (depth >= MAX_JSON_DEPTH) return { path, problem: `is nested deeper than ${MAX_JSON_DEPTH} levels` };
  if (Array.isArray(value)) return firstOf(value.entries(), path, depth);
  if (isPlainObject(value)) return firstOf(Object.entries(value), path, depth);
  return {
    path,
    problem: `is ${className(value)}; expected JSON (text, number, true, false, null, array or plain object)`,
  };
}

function firstOf(
  entries: Iterable<readonly [number | string, unknown]>,
  path: string,
  depth: number,
): Fault | undefined {
  for (const [key, value] of entries) {
    const fault = jsonFault(value, pathTo(path, key), depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** True for what JSON calls an object. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function className(value: unknown): string {
  if (value === undefined) return "undefined";
  const name =
    typeof value === "object" ? Object.prototype.toString.call(value).slice("[object ".length, -1) : typeof value;
  return `${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
}

/** A copy that shares nothing with the JSON value. */
export function copyJson(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyJson);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copyJson(inner)]));
}
