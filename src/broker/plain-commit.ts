/**
 * The short way through the schema of `commit`.
 *
 * A commit of 100 plain outcomes costs the full schema about as much as JSON.parse costs to read
 * it. This predicate says yes, at a tenth of that, to the commits that make up nearly all of the
 * traffic: completed tasks, chunks without failures and returned leases, without captured output.
 * Where it says no it judges nothing: the schema decides, and names what is wrong. Invariant (a
 * property test holds it): whatever is accepted here, the schema accepts unchanged.
 */
import type { CommitParams } from "./contract.ts";
import { MAX_BATCH, MAX_PAYLOAD, MAX_TASKS_PER_EXECUTION, MAX_WAIT_MS } from "./limits.ts";
import { MAX_IDENTIFIER } from "./schema-parts.ts";
import { MAX_CHUNK_VALUES, MAX_REPLICA } from "./schemas-working.ts";

type Fields = Readonly<Record<string, unknown>>;

export function isPlainCommit(value: unknown): value is CommitParams {
  if (!isFields(value)) return false;
  const { session, outcomes, claim } = value as { session?: unknown; outcomes?: unknown; claim?: unknown };
  if (!isIdentifier(session) || !Array.isArray(outcomes) || outcomes.length > MAX_BATCH) return false;
  if (Object.keys(value).length !== (claim === undefined ? 2 : 3)) return false;
  if (claim !== undefined && !isClaimRequest(claim)) return false;
  return outcomes.every(isPlainOutcome);
}

function isClaimRequest(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { max, waitMs } = value as { max?: unknown; waitMs?: unknown };
  return (
    isInteger(max, 0, MAX_BATCH) &&
    typeof waitMs === "number" &&
    waitMs >= 0 &&
    waitMs <= MAX_WAIT_MS &&
    hasKeys(value, 2)
  );
}

function isPlainOutcome(value: unknown): boolean {
  if (!isFields(value)) return false;
  const outcome = value as { kind?: unknown; lease?: unknown; durationMs?: unknown; result?: unknown };
  if (!isLeaseRef(outcome.lease)) return false;
  switch (outcome.kind) {
    case "completed":
      return isDuration(outcome.durationMs) && isText(outcome.result, MAX_PAYLOAD) && hasKeys(value, 4);
    case "chunk":
      return isDuration(outcome.durationMs) && isPlainChunk(value);
    case "returned":
      return hasKeys(value, 2);
    default:
      return false;
  }
}

function isPlainChunk(value: Fields): boolean {
  const { values, partial, failures } = value as { values?: unknown; partial?: unknown; failures?: unknown };
  if (!Array.isArray(failures) || failures.length > 0) return false;
  let keys = 4;
  if (values !== undefined) {
    if (!isText(values, MAX_CHUNK_VALUES)) return false;
    keys += 1;
  }
  if (partial !== undefined) {
    if (!isText(partial, MAX_PAYLOAD)) return false;
    keys += 1;
  }
  return hasKeys(value, keys);
}

function isLeaseRef(value: unknown): boolean {
  if (!isFields(value)) return false;
  const lease = value as { executionId?: unknown; task?: unknown; start?: unknown; replica?: unknown; token?: unknown };
  let keys = 3;
  if (lease.start !== undefined) {
    if (!isInteger(lease.start, 0, Number.MAX_SAFE_INTEGER)) return false;
    keys += 1;
  }
  if (lease.replica !== undefined) {
    if (!isInteger(lease.replica, 1, MAX_REPLICA)) return false;
    keys += 1;
  }
  return (
    isIdentifier(lease.executionId) &&
    isInteger(lease.task, 0, MAX_TASKS_PER_EXECUTION) &&
    isIdentifier(lease.token) &&
    hasKeys(value, keys)
  );
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function hasKeys(value: Fields, count: number): boolean {
  return Object.keys(value).length === count;
}

function isText(value: unknown, max: number): boolean {
  return typeof value === "string" && value.length <= max;
}

function isIdentifier(value: unknown): boolean {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_IDENTIFIER;
}

function isInteger(value: unknown, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isDuration(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value < Number.POSITIVE_INFINITY;
}
