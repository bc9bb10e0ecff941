/**
 * The Standard Schema interface, version 1: what zod, valibot, arktype and others have in common.
 *
 * A task's input may be described by any of them. Only the types and one call are needed, so they
 * are written down here (as the specification invites) instead of bringing a dependency.
 */

/** A schema whose `validate` accepts an `Input` and hands out an `Output` (defaults filled in, text trimmed …). */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a caller of the schema writes. */
export type SchemaInput<Schema extends StandardSchema> = NonNullable<Schema["~standard"]["types"]>["input"];
/** What the schema makes of it. */
export type SchemaOutput<Schema extends StandardSchema> = NonNullable<Schema["~standard"]["types"]>["output"];

/** Where inside a value: `["layers", 2, "size"]`; empty for the value itself. */
export type IssuePath = readonly PropertyKey[];

/** The value as the schema hands it out, or the first thing that is wrong with it and where. */
export type Checked<Output> =
  | { readonly ok: true; readonly value: Output }
  | { readonly ok: false; readonly path: IssuePath; readonly problem: string };

/** Runs a schema over a value. Synchronous schemas answer at once, so that 10,000 points cost no 10,000 promises. */
export function checkAgainst<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
): Checked<Output> | Promise<Checked<Output>> {
  const result = schema["~standard"].validate(value);
  return result instanceof Promise ? result.then(toChecked<Output>) : toChecked(result);
}

function toChecked<Output>(result: SchemaResult<Output>): Checked<Output> {
  if (result.issues === undefined) return { ok: true, value: result.value };
  const first = result.issues[0];
  return {
    ok: false,
    path: (first?.path ?? []).map((part) => (typeof part === "object" ? part.key : part)),
    problem: first?.message ?? "is not accepted by the task's input schema",
  };
}
