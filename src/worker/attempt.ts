import type { Lease, LeaseRef, LeaseSpec } from "../broker/contract.ts";

/** What attempts of one task group share, with what has been learnt about them. */
export interface AttemptSpec extends LeaseSpec {
  /** Names the spec on the wires to runners. */
  readonly number: number;
  /** Moving average of how long attempts take; undefined before the first has ended. */
  averageMs: number | undefined;
}

/** Why this worker stops an attempt. All but `timeout` leave no outcome that counts. */
export type StopReason = "timeout" | "cancelled" | "session-lost" | "drained";

/** One lease on its way through this worker. */
export interface Attempt {
  /** Names the attempt on the wire to its runner. */
  readonly id: number;
  readonly lease: Lease;
  readonly spec: AttemptSpec;
  /** Shares its runner with no other, because one that did died there and nobody knows which. */
  alone: boolean;
  stop: StopReason | undefined;
  /** When its runner came to it; monotonic milliseconds. */
  startedAt: number;
  /** Since when the item it is at has been at work; for separate tasks the same as `startedAt`. */
  since: number;
  /** Of a chunk: the item last announced, and whether it is surely the one at work. */
  item: number | undefined;
  exact: boolean;
}

let lastId = 0;

export function newAttempt(lease: Lease, spec: AttemptSpec): Attempt {
  lastId += 1;
  return {
    id: lastId,
    lease,
    spec,
    alone: lease.careful === true,
    stop: undefined,
    startedAt: 0,
    since: 0,
    item: lease.start,
    exact: true,
  };
}

/** The lease's name without its payload. */
export function refOf(lease: Lease): LeaseRef {
  return {
    executionId: lease.executionId,
    task: lease.task,
    token: lease.token,
    ...(lease.start === undefined ? {} : { start: lease.start }),
    ...(lease.replica === undefined ? {} : { replica: lease.replica }),
  };
}

export function isSameLease(one: LeaseRef, other: LeaseRef): boolean {
  return (
    one.token === other.token &&
    one.task === other.task &&
    one.executionId === other.executionId &&
    one.start === other.start &&
    one.replica === other.replica
  );
}

/** The item of a chunk that is surely at work; undefined for separate tasks or when it is not known. */
export function itemAtWork(attempt: Attempt): number | undefined {
  const { start, end } = attempt.lease;
  if (start !== undefined && end === start + 1) return start;
  return attempt.exact ? attempt.item : undefined;
}
