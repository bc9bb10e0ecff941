/** What a worker reports, built from the lease it holds. An item's value is its own number. */
import type {
  Awakening,
  CompletedChunk,
  CompletedTask,
  FailedAttempt,
  ItemFailure,
  Lease,
  LeaseRef,
  Outcome,
  SkippedTask,
  SuspendedTask,
  TaskGroup,
} from "../../src/broker/contract.ts";
import type { Failure, FailureClass } from "../../src/core/failure.ts";

/** The lease as a worker names it when it reports: without the work itself. */
export function refOf(lease: LeaseRef): LeaseRef {
  return {
    executionId: lease.executionId,
    task: lease.task,
    token: lease.token,
    ...(lease.start === undefined ? {} : { start: lease.start }),
    ...(lease.replica === undefined ? {} : { replica: lease.replica }),
  };
}

/** First item and end of a chunk's lease. */
export function rangeOf(lease: Lease): { readonly start: number; readonly end: number } {
  if (lease.start === undefined || lease.end === undefined) throw new Error(`task ${lease.task} is no chunk`);
  return { start: lease.start, end: lease.end };
}

export function isChunk(lease: Lease): boolean {
  return lease.end !== undefined;
}

export function completed(lease: Lease, result = JSON.stringify({ task: lease.task })): CompletedTask {
  return { kind: "completed", lease: refOf(lease), durationMs: 5, result };
}

/** The chunk is done but for `failures`. The partial is the number of items that succeeded. */
export function chunkDone(lease: Lease, failures: readonly ItemFailure[] = []): CompletedChunk {
  const { start, end } = rangeOf(lease);
  const failed = new Set(failures.map((one) => one.item));
  const values: (number | null)[] = [];
  for (let item = start; item < end; item += 1) values.push(failed.has(item) ? null : item);
  return {
    kind: "chunk",
    lease: refOf(lease),
    durationMs: 5,
    values: JSON.stringify(values),
    partial: String(end - start - failed.size),
    failures,
  };
}

/** The lease is done, whatever it is. */
export function done(lease: Lease): Outcome {
  return isChunk(lease) ? chunkDone(lease) : completed(lease);
}

export function failure(failureClass: FailureClass = "user-error", message = "it broke"): Failure {
  return { class: failureClass, message };
}

export function itemFailures(items: readonly number[], failureClass: FailureClass = "user-error"): ItemFailure[] {
  return items.map((item) => ({ item, failure: failure(failureClass, `item ${item} broke`) }));
}

export function failed(lease: Lease, why: Failure = failure(), culprit?: number): FailedAttempt {
  return {
    kind: "failed",
    lease: refOf(lease),
    durationMs: 5,
    failure: why,
    ...(culprit === undefined ? {} : { culprit }),
  };
}

export function returned(lease: Lease): Outcome {
  return { kind: "returned", lease: refOf(lease) };
}

/** The task's own condition says no. */
export function skipped(lease: Lease, dependents: SkippedTask["dependents"] = "skip"): SkippedTask {
  return { kind: "skipped", lease: refOf(lease), durationMs: 5, dependents };
}

export function suspended(lease: Lease, until: Awakening, state = '"state"'): SuspendedTask {
  return { kind: "suspended", lease: refOf(lease), durationMs: 5, state, until };
}

/** Suspended until these tasks, which it adds, have completed. */
export function untilTasks(lease: Lease, groups: readonly TaskGroup[], state?: string): SuspendedTask {
  return suspended(lease, { kind: "tasks", groups }, state);
}

export function untilSignal(lease: Lease, signal: string, timeoutMs?: number): SuspendedTask {
  return suspended(lease, { kind: "signal", signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}

export function untilDelay(lease: Lease, delayMs: number): SuspendedTask {
  return suspended(lease, { kind: "delay", delayMs });
}
