/**
 * One request on the host's broker.
 *
 * The contract has no way to break off a wait. So that a claim does not go on waiting for a worker
 * that has gone, and a host can end quickly, a long wait is cut into slices: after each slice that
 * found nothing the host looks whether anybody still wants the answer. Waits for locks likewise:
 * between two slices the owner keeps its place in line, and who has gone loses it soon. A lock that
 * was granted to somebody who had just gone is not taken back: the same owner may have asked again
 * on another stream and rely on it; its time to live ends it. Reads change nothing and are simply
 * let go.
 */
import type {
  AcquireLockParams,
  AcquireLockReply,
  Broker,
  BrokerMethod,
  ClaimReply,
  ClaimRequest,
  CommitParams,
  CommitReply,
} from "../contract.ts";
import type { ParamsOf } from "../schemas.ts";
import { leaseRef } from "./lease-ref.ts";
import type { Grant } from "./reply-log.ts";

/** How long a claim, or a place in line, may go on waiting for somebody who has gone. */
export const WAIT_SLICE_MS = 500;

type Call = (params: unknown) => Promise<unknown>;

/** Performs a request whose params have been parsed. Stops waiting soon after `wanted` turns false. */
export async function performCall(
  broker: Broker,
  request: { readonly method: BrokerMethod; readonly params: unknown },
  wanted: () => boolean,
): Promise<unknown> {
  const { method } = request;
  if (method === "claim") {
    const { session, ...claim } = request.params as ParamsOf<"claim">;
    const first = (slice: ClaimRequest): Promise<ClaimReply> => broker.claim({ session, ...slice });
    return claimInSlices(broker, { session, claim, first }, wanted);
  }
  if (method === "commit") {
    const params = request.params as CommitParams;
    const { session, claim } = params;
    if (claim === undefined || claim.waitMs <= WAIT_SLICE_MS) return broker.commit(params);
    const committed = await broker.commit({ ...params, claim: { ...claim, waitMs: WAIT_SLICE_MS } });
    const first = (): Promise<ClaimReply> => Promise.resolve(committed);
    // The verdicts stand whatever becomes of the wait: a session that dies now learns it from its next call.
    const reply = await claimInSlices(broker, { session, claim, first }, wanted).catch(() => committed);
    return { ...reply, verdicts: committed.verdicts } satisfies CommitReply;
  }
  if (method === "acquireLock") {
    const acquire: Broker["acquireLock"] = (params) => broker.acquireLock(params);
    return acquireInSlices(acquire, request.params as AcquireLockParams, wanted);
  }
  return (broker[method] as Call)(request.params);
}

interface SlicedClaim {
  readonly session: string;
  readonly claim: ClaimRequest;
  /** Makes the first of the claims, with the slice's wait. */
  readonly first: (slice: ClaimRequest) => Promise<ClaimReply>;
}

async function claimInSlices(
  broker: Broker,
  { session, claim, first }: SlicedClaim,
  wanted: () => boolean,
): Promise<ClaimReply> {
  let waitMs = Math.min(claim.waitMs, WAIT_SLICE_MS);
  let reply = await first({ max: claim.max, waitMs });
  // The waits are added up, not measured: only the broker's clock says when a wait is over.
  for (let waitedMs = waitMs; waitedMs < claim.waitMs && saysNothing(reply) && wanted(); waitedMs += waitMs) {
    waitMs = Math.min(claim.waitMs - waitedMs, WAIT_SLICE_MS);
    reply = await broker.claim({ session, max: claim.max, waitMs });
  }
  return reply;
}

/** Stands in line with `acquire`; between two slices the owner keeps its place. */
export async function acquireInSlices(
  acquire: Broker["acquireLock"],
  params: AcquireLockParams,
  wanted: () => boolean,
): Promise<AcquireLockReply> {
  let waitMs = Math.min(params.waitMs, WAIT_SLICE_MS);
  let reply = await acquire({ ...params, waitMs });
  for (let waitedMs = waitMs; waitedMs < params.waitMs; waitedMs += waitMs) {
    // Who asked again after the place was given back would stand in line anew, for nobody.
    if (reply.grant !== undefined || reply.gaveUp === true || !wanted()) break;
    waitMs = Math.min(params.waitMs - waitedMs, WAIT_SLICE_MS);
    reply = await acquire({ ...params, waitMs });
  }
  return reply;
}

function saysNothing(reply: ClaimReply): boolean {
  return reply.leases.length === 0 && reply.cancel.length === 0 && !reply.drain;
}

/** The leases that a reply hands out; undefined when it hands out none. */
export function grantOf(method: BrokerMethod, params: unknown, result: unknown): Grant | undefined {
  if (method !== "claim" && method !== "commit") return undefined;
  const { leases } = result as ClaimReply;
  if (leases.length === 0) return undefined;
  return { session: (params as ParamsOf<"claim">).session, leases };
}

/**
 * Gives leases back that nobody will run: no failure, no loss, the work runs again at once. It says
 * nothing of whether the worker lives.
 */
export async function handBack(broker: Broker, grant: Grant): Promise<void> {
  const outcomes = grant.leases.map((lease) => ({ kind: "returned", lease: leaseRef(lease) }) as const);
  await broker.commit({ session: grant.session, outcomes, isSign: false });
}

/** Requests that only read: their answer may be dropped at any time. */
export function isRead(method: BrokerMethod): boolean {
  return method === "readResults" || method === "readEvents";
}
