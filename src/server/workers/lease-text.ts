/**
 * A lease as the one opaque text that a worker over HTTP is given and gives back.
 *
 * It carries all that a server must know to take the outcome, so that any server may take it, also one
 * that has never heard of the claim: what names the attempt, a dot, and what is needed besides. An
 * order to stop names a lease by its part up to the dot, which is all that a broker tells.
 *
 * Whoever holds the text may change it, so it is read like any other input. It proves nothing: the
 * token in it does, to the broker.
 */
import * as z from "zod";
import { MAX_LEASE_TEXT } from "../../api/operations/workers.ts";
import type { LeaseRef } from "../../broker/contract.ts";
import { MAX_CHUNK_ITEMS } from "../../broker/limits.ts";
import { integer, itemIndex } from "../../broker/schema-parts.ts";
import { leaseRefSchema } from "../../broker/schemas-working.ts";
import { HoldfastError } from "../../errors/index.ts";

export interface LeaseFacts {
  /** When it was granted, on the server's clock. */
  readonly at: number;
  /** Only for a range of an array. */
  readonly range?: RangeFacts;
}

export interface RangeFacts {
  /** Exclusive. */
  readonly end: number;
  /** The array's results are kept one by one. */
  readonly keeps: boolean;
  /** JSON text of the array's source where its results are aggregated; null: no server can aggregate them. */
  readonly source?: string | null;
}

export interface ReadLease extends LeaseFacts {
  readonly ref: LeaseRef;
}

/** Sources up to this length, UTF-16 code units, travel in a lease. */
export const MAX_SOURCE_IN_LEASE = 2_048;

const factsSchema: z.ZodType<LeaseFacts> = z.strictObject({
  at: integer(0, Number.MAX_SAFE_INTEGER),
  range: z.exactOptional(
    z.strictObject({
      end: itemIndex,
      keeps: z.boolean(),
      source: z.exactOptional(z.string().max(MAX_SOURCE_IN_LEASE).nullable()),
    }),
  ),
});

const SEPARATOR = ".";

/** How every text of this lease begins, whatever else it carries. */
export function leaseBeginning(ref: LeaseRef): string {
  const { executionId, task, token, start, replica } = ref;
  return encode({ executionId, task, token, start, replica }) + SEPARATOR;
}

export function leaseText(ref: LeaseRef, facts: LeaseFacts): string {
  return leaseBeginning(ref) + encode(facts);
}

/** Errors: INVALID_REQUEST naming `path` when the text is none of `leaseText`. */
export function readLease(text: string, where: { readonly method: string; readonly path: string }): ReadLease {
  const [refPart = "", factsPart = "", ...more] = text.split(SEPARATOR);
  const ref = leaseRefSchema.safeParse(decode(refPart));
  const facts = factsSchema.safeParse(decode(factsPart));
  if (more.length > 0 || text.length > MAX_LEASE_TEXT || !ref.success || !facts.success) throw noLease(where);
  const { start } = ref.data;
  const { range } = facts.data;
  if ((start === undefined) !== (range === undefined)) throw noLease(where);
  if (start !== undefined && range !== undefined && !isRange(start, range.end)) throw noLease(where);
  return { ref: ref.data, ...facts.data };
}

function isRange(start: number, end: number): boolean {
  return end > start && end - start <= MAX_CHUNK_ITEMS;
}

function noLease(where: { readonly method: string; readonly path: string }): HoldfastError {
  return new HoldfastError("INVALID_REQUEST", { ...where, problem: "is no lease; hand back what a claim gave" });
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
}
