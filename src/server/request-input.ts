/** Params, query and body of a request, parsed by the schemas of its operation. */
import type * as z from "zod";
import type { InputOf, Operation } from "../api/operation.ts";
import { HoldfastError } from "../errors/index.ts";
import { InvalidRequest, refusalOf } from "./invalid-request.ts";

export interface RawInput {
  readonly params: Readonly<Record<string, string>>;
  /** What follows the question mark. */
  readonly query: string;
  readonly body: unknown;
}

/** Errors: INVALID_REQUEST, BATCH_TOO_LARGE, PAYLOAD_TOO_LARGE; each names its field. */
export function parseInput(id: string, operation: Operation, raw: RawInput): InputOf<Operation> {
  const parts = {
    params: parsePart(operation.params, { operation: id, part: "params", value: raw.params }),
    query: parsePart(operation.query, { operation: id, part: "query", value: queryFields(raw.query) }),
    body: parseBody(id, operation, raw.body),
  };
  return parts as InputOf<Operation>;
}

function parseBody(id: string, operation: Operation, body: unknown): unknown {
  // Many clients send an empty object where there is nothing to say.
  const isEmpty = typeof body === "object" && body !== null && Object.keys(body).length === 0 && !Array.isArray(body);
  if (operation.body === undefined && isEmpty) return undefined;
  return parsePart(operation.body, { operation: id, part: "body", value: body });
}

interface Part {
  readonly operation: string;
  readonly part: string;
  readonly value: unknown;
}

function parsePart(schema: z.ZodType | undefined, { operation, part, value }: Part): unknown {
  if (schema === undefined) {
    const first = part === "body" ? "" : Object.keys(value as object)[0];
    if (value === undefined || first === undefined) return undefined;
    throw new InvalidRequest(operation, [
      { path: first === "" ? part : `${part}.${first}`, problem: first === "" ? "is not taken here" : "is not known" },
    ]);
  }
  let parsed: z.ZodSafeParseResult<unknown>;
  try {
    parsed = schema.safeParse(value);
  } catch (thrown) {
    // Only a schema that follows the value into its depths overflows.
    if (!(thrown instanceof RangeError)) throw thrown;
    throw new InvalidRequest(operation, [{ path: part, problem: "is nested too deep" }]);
  }
  if (parsed.success) return parsed.data;
  throw refusalOf({ operation, part, value, error: parsed.error });
}

/** A parameter that is there once is a text, one that is there more often a list of texts. */
function queryFields(query: string): Record<string, string | string[]> {
  const fields = new Map<string, string | string[]>();
  for (const [key, value] of new URLSearchParams(query)) {
    const found = fields.get(key);
    if (found === undefined) fields.set(key, value);
    else if (typeof found === "string") fields.set(key, [found, value]);
    else found.push(value);
  }
  return Object.fromEntries(fields);
}

/** The broker's answer to a call; what it says of the call's params is said of the request. */
export async function asRequest<T>(answer: Promise<T>, rename: (path: string) => string): Promise<T> {
  try {
    return await answer;
  } catch (thrown) {
    throw inRequest(thrown, rename);
  }
}

/** The error, with a path of the call told as a path of the request. */
export function inRequest(thrown: unknown, rename: (path: string) => string): unknown {
  if (!(thrown instanceof HoldfastError)) return thrown;
  const { code, details } = thrown;
  const named = ["path", "what"].flatMap((field) => {
    const path = details[field];
    return typeof path === "string" ? [[field, rename(path)] as const] : [];
  });
  return named.length === 0
    ? thrown
    : new HoldfastError(code, { ...details, ...Object.fromEntries(named) }, { cause: thrown });
}
