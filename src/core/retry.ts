/**
 * Retry arithmetic: first attempt at once, then after 5, 10 and 20 s, then dead letter.
 *
 * Pure: the caller brings `random`. With `jitter: 0` the table is exact.
 */
import type { FailureClass } from "./failure.ts";

export interface RetryPolicy {
  /** Retries after the first attempt. */
  readonly limit: number;
  /** Delay before the first retry, milliseconds. */
  readonly baseMs: number;
  /** Each further delay is this many times the one before. */
  readonly factor: number;
  /** No delay is longer than this, milliseconds. */
  readonly maxMs: number;
  /** 0…1: the delay is shortened by a random share of up to this much, so that failures spread out. */
  readonly jitter: number;
  /** Classes that go straight to the dead letters. */
  readonly never: readonly FailureClass[];
}

export const DEFAULT_RETRY: RetryPolicy = {
  limit: 3,
  baseMs: 5_000,
  factor: 2,
  maxMs: 300_000,
  jitter: 0,
  never: ["invalid-input"],
};

/** Losses of a worker under one task after which the task is taken for a poison pill. */
export const DEFAULT_MAX_LOSSES = 3;

export type RetryDecision = { readonly kind: "retry"; readonly delayMs: number } | { readonly kind: "dead-letter" };

/**
 * What follows failure number `failures` (1 = the first attempt failed) of class `failureClass`.
 */
export function decideRetry(
  policy: RetryPolicy,
  failure: { readonly failures: number; readonly class: FailureClass },
  random: () => number,
): RetryDecision {
  if (policy.never.includes(failure.class) || failure.failures > policy.limit) return { kind: "dead-letter" };
  const full = Math.min(policy.maxMs, policy.baseMs * policy.factor ** (failure.failures - 1));
  const delayMs = policy.jitter === 0 ? full : Math.round(full * (1 - policy.jitter * random()));
  return { kind: "retry", delayMs };
}
