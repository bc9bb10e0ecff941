/**
 * Bounds of the calls that workers and readers make (promise 9), for brokers that are called in
 * process. Cheap on purpose: a commit is looked at per outcome, not per field. What comes over a wire
 * has passed the full schemas before (schemas.ts) and fails here with the same codes.
 */
import { HoldfastError } from "../errors/index.ts";
import {
  ALL_POOLS,
  type ClaimRequest,
  type CommitParams,
  type LettersParams,
  type LimitPoolParams,
  type Outcome,
  type ReconcileParams,
  type SignalParams,
  type WorkerProfile,
} from "./contract.ts";
import { MAX_BATCH, MAX_HELD, MAX_PAGE, MAX_PAYLOAD, MAX_POOL_WORKERS, MAX_WAIT_MS } from "./limits.ts";
import { MAX_CHUNK_VALUES } from "./schemas-working.ts";

/** Errors: INVALID_REQUEST. */
export function checkClaim(method: string, { max, waitMs }: ClaimRequest): void {
  checkWhole({ method, path: "max", value: max, least: 0, most: MAX_BATCH });
  checkWait(method, waitMs);
}

/** Errors: BATCH_TOO_LARGE, PAYLOAD_TOO_LARGE. */
export function checkOutcomes({ outcomes }: CommitParams): void {
  if (outcomes.length > MAX_BATCH) {
    throw new HoldfastError("BATCH_TOO_LARGE", { what: "outcomes", count: outcomes.length, limit: MAX_BATCH });
  }
  for (const outcome of outcomes) checkOutcome(outcome);
}

/** Errors: INVALID_REQUEST. */
export function checkProfile({ pools }: WorkerProfile): void {
  const at = pools.indexOf(ALL_POOLS);
  if (at >= 0) refuse("openSession", `pools[${at}]`, `is "${ALL_POOLS}", the name for all pools`);
}

/** Errors: INVALID_REQUEST. */
export function checkPoolLimits({ pool, min, max }: LimitPoolParams): void {
  if (pool === ALL_POOLS) refuse("limitPool", "pool", `is "${ALL_POOLS}", the name for all pools; limit one of them`);
  if (pool === "") refuse("limitPool", "pool", "is empty");
  checkWhole({ method: "limitPool", path: "min", value: min, least: 0, most: MAX_POOL_WORKERS });
  if (max === undefined) return;
  checkWhole({ method: "limitPool", path: "max", value: max, least: 0, most: MAX_POOL_WORKERS });
  if (max < min) refuse("limitPool", "max", `is ${max}, below min, which is ${min}`);
}

/** Errors: PAYLOAD_TOO_LARGE. */
export function checkSignal({ payload }: SignalParams): void {
  checkText("payload", payload, MAX_PAYLOAD);
}

/** Errors: BATCH_TOO_LARGE. */
export function checkLetters({ letters = [] }: LettersParams): void {
  if (letters.length > MAX_PAGE)
    throw new HoldfastError("BATCH_TOO_LARGE", { what: "letters", count: letters.length, limit: MAX_PAGE });
}

/** Errors: BATCH_TOO_LARGE. */
export function checkHeld({ held }: ReconcileParams): void {
  if (held.length > MAX_HELD)
    throw new HoldfastError("BATCH_TOO_LARGE", { what: "held", count: held.length, limit: MAX_HELD });
}

function checkOutcome(outcome: Outcome): void {
  if (outcome.kind === "completed") {
    checkText("result", outcome.result, MAX_PAYLOAD);
  } else if (outcome.kind === "chunk") {
    checkText("values", outcome.values, MAX_CHUNK_VALUES);
    checkText("partial", outcome.partial, MAX_PAYLOAD);
  } else if (outcome.kind === "suspended") {
    checkText("state", outcome.state, MAX_PAYLOAD);
  }
}

/** The params, if page and wait are within bounds. Errors: INVALID_REQUEST. */
export function checkPage<T extends { readonly limit: number; readonly waitMs?: number }>(
  method: string,
  params: T,
): T {
  checkWhole({ method, path: "limit", value: params.limit, least: 1, most: MAX_PAGE });
  if (params.waitMs !== undefined) checkWait(method, params.waitMs);
  return params;
}

function checkWait(method: string, waitMs: number): void {
  if (!(waitMs >= 0 && waitMs <= MAX_WAIT_MS)) refuse(method, "waitMs", `is ${waitMs}; expected 0 to ${MAX_WAIT_MS}`);
}

interface Whole {
  readonly method: string;
  readonly path: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
}

function checkWhole({ method, path, value, least, most }: Whole): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    refuse(method, path, `is ${value}; expected a whole number from ${least} to ${most}`);
  }
}

function checkText(what: string, text: string | undefined, limit: number): void {
  if (text !== undefined && text.length > limit)
    throw new HoldfastError("PAYLOAD_TOO_LARGE", { what, bytes: text.length, limit });
}

function refuse(method: string, path: string, problem: string): never {
  throw new HoldfastError("INVALID_REQUEST", { method, path, problem });
}
