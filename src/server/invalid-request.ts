/** What is wrong with a request, field by field, in the words of its sender. */
import type * as z from "zod";
import { pathTo } from "../core/untrusted.ts";
import { MAX_OUTPUT_BYTES } from "../broker/limits.ts";
import { HoldfastError } from "../errors/index.ts";

/** `path` begins with what it is in: `body.groups[0].pool`, `query.limit`, `params.task`, `header idempotency-key`. */
export interface FieldProblem {
  readonly path: string;
  readonly problem: string;
}

/** Problems told in one answer; of a body with more, the first ones. */
const MAX_PROBLEMS = 50;

/** INVALID_REQUEST with every problem that was found. */
export class InvalidRequest extends HoldfastError {
  readonly problems: readonly FieldProblem[];

  constructor(operation: string, problems: readonly FieldProblem[]) {
    const [first = { path: "request", problem: "not understood" }] = problems;
    super("INVALID_REQUEST", { method: operation, ...first });
    this.problems = problems.slice(0, MAX_PROBLEMS);
  }
}

interface Refused {
  readonly operation: string;
  /** `body`, `query` or `params`. */
  readonly part: string;
  readonly value: unknown;
  readonly error: z.ZodError;
}

/**
 * The error for a part of a request that its schema refused. A list or a text that is too long has the
 * code that the broker would give it.
 */
export function refusalOf({ operation, part, value, error }: Refused): HoldfastError {
  const [first] = error.issues;
  if (first?.code === "too_big") {
    const found = first.path.reduce<unknown>(
      (parent, key) =>
        typeof parent === "object" && parent !== null ? (parent as Record<PropertyKey, unknown>)[key] : undefined,
      value,
    );
    const what = first.path.reduce<string>(pathTo, part);
    const limit = Number(first.maximum);
    if (Array.isArray(found)) return new HoldfastError("BATCH_TOO_LARGE", { what, count: found.length, limit });
    if (typeof found === "string" && limit >= MAX_OUTPUT_BYTES)
      return new HoldfastError("PAYLOAD_TOO_LARGE", { what, bytes: found.length, limit });
  }
  return new InvalidRequest(
    operation,
    error.issues.slice(0, MAX_PROBLEMS).flatMap((issue) => problemsOf(issue, part)),
  );
}

function problemsOf(issue: z.core.$ZodIssue, part: string): FieldProblem[] {
  const path = issue.path.reduce<string>(pathTo, part);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({ path: pathTo(path, key), problem: "is not known" }));
  return [{ path, problem: issue.message }];
}
