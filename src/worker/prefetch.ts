/**
 * How many leases to hold beyond the slots. Pure.
 *
 * Enough that no slot waits for the broker's answer, and no more: what one worker holds another
 * cannot run, and if the worker dies its leases count as lost attempts.
 */

/** Work to hold ahead of each slot, milliseconds. An answer takes a few at most; longer attempts are not claimed ahead at all. */
const WORK_AHEAD_MS = 50;

export function prefetchCount(facts: {
  readonly slots: number;
  /** Moving average of an attempt; undefined while nothing is known. */
  readonly averageMs: number | undefined;
  /** Most that is allowed. */
  readonly prefetch: number;
}): number {
  if (facts.averageMs === undefined) return 0;
  const enough = facts.slots * Math.floor(WORK_AHEAD_MS / Math.max(facts.averageMs, 0.001));
  return Math.min(facts.prefetch, enough);
}
