/**
 * Standing in line for a lock on behalf of a caller who may go away meanwhile.
 *
 * The wait is cut into slices, as that of a claim is: between two of them the owner keeps its place.
 * When the caller goes away: an owner that the server made is known to nobody else, so the lock, or
 * the place in line, is given back at once. One that the caller named may be asked for again over
 * another connection, and then it is the same acquisition: its place is kept as long as the broker
 * keeps any, and a lock that it got until its time is over, as with any holder that dies.
 */
import type { AcquireLockParams, AcquireLockReply } from "../broker/contract.ts";
import { acquireInSlices } from "../broker/remote/host-call.ts";
import type { UserState } from "./user-state.ts";

interface Caller {
  /** Aborted when it has gone. */
  readonly signal: AbortSignal;
  /** It named the owner itself. */
  readonly isOwnerKnown: boolean;
}

export async function acquireForCaller(
  state: UserState,
  params: AcquireLockParams,
  { signal, isOwnerKnown }: Caller,
): Promise<AcquireLockReply> {
  const reply = await acquireInSlices(
    (slice) => state("acquireLock", slice),
    params,
    () => !signal.aborted,
  );
  if (!signal.aborted || isOwnerKnown) return reply;
  await state("releaseLock", { lock: params.lock, owner: params.owner });
  const { grant: _givenBack, ...rest } = reply;
  return rest;
}
