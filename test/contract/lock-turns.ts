/** What the cases about locks do: ask for one lock, stand in its line, give it back. */
import assert from "node:assert/strict";
import type { AcquireLockParams, AcquireLockReply, LockGrant } from "../../src/broker/contract.ts";
import { MAX_WAIT_MS } from "../../src/broker/limits.ts";
import { PendingCall } from "../support/pending-call.ts";
import type { World } from "./world.ts";

export const LOCK = "door";
export const TTL_MS = 10_000;
/** Longer than any case lasts. */
export const LONG_TTL_MS = 3_600_000;

export type LockChanges = Partial<Omit<AcquireLockParams, "owner">>;

export function ask(world: World, owner: string, changes: LockChanges = {}): Promise<AcquireLockReply> {
  return world.broker.acquireLock({ lock: LOCK, owner, ttlMs: TTL_MS, waitMs: 0, ...changes });
}

/** The owner asks, and has the lock now. */
export async function take(world: World, owner: string, changes: LockChanges = {}): Promise<LockGrant> {
  const reply = await ask(world, owner, changes);
  assert.ok(reply.grant !== undefined, `${owner} is granted the lock`);
  assert.deepEqual([reply.ahead, reply.holder], [0, undefined]);
  return reply.grant;
}

/** The owner stands in line. */
export async function standInLine(
  world: World,
  owner: string,
  changes: LockChanges = {},
): Promise<{ readonly owner: string; readonly call: PendingCall<AcquireLockReply> }> {
  const call = new PendingCall(ask(world, owner, { waitMs: MAX_WAIT_MS, ...changes }));
  await world.settle();
  assert.equal(call.state, "waiting", `${owner} waits`);
  return { owner, call };
}

export async function granted(call: PendingCall<AcquireLockReply>): Promise<LockGrant> {
  const { grant } = await call.promise;
  assert.ok(grant !== undefined, "the wait ends with the lock");
  return grant;
}

export async function release(world: World, owner: string, lock = LOCK): Promise<boolean> {
  return (await world.broker.releaseLock({ lock, owner })).released;
}

export async function holderOf(world: World, lock = LOCK): Promise<string | undefined> {
  return (await world.broker.readLock({ lock })).lock?.owner;
}
