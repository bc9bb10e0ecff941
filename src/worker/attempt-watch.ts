/**
 * Watches the attempt at work in one runner: its timeout (per item for a chunk), the grace time once
 * it has been told to stop, the memory of its process. Blocked user code can judge none of these.
 *
 * One timer per runner, and it is not moved when the next attempt comes to work: when it fires it
 * may find that there is nothing to do yet. So short attempts cost no timers.
 */
import type { Clock } from "../util/clock.ts";
import type { Attempt } from "./attempt.ts";
import { isOverLimit, MEMORY_LOOK_INTERVAL_MS } from "./memory.ts";
import { PROGRESS_INTERVAL_MS } from "./runner-wire.ts";

/** An attempt that has timed out and does not heed the abort is killed after this long, or the grace time if that is shorter. */
const TIMEOUT_GRACE_MS = 500;
/** After an attempt, memory is looked at unless it was this recently. */
const MEMORY_LOOK_GAP_MS = 20;
/** A timer that comes later than this says that this process stood still: what its runner said meanwhile waits to be read. */
const LATE_MS = 20;

export interface AttemptWatchOptions {
  readonly clock: Clock;
  readonly graceMs: number;
  readonly memoryLimitMb: number | undefined;
  /** Of the runner. */
  readonly pid: () => number | undefined;
}

export interface AttemptWatchEvents {
  timedOut(attempt: Attempt): void;
  /** It was told to stop and its grace time is over. */
  graceOver(): void;
  overMemory(): void;
}

export class AttemptWatch {
  readonly #options: AttemptWatchOptions;
  readonly #events: AttemptWatchEvents;
  #attempt: Attempt | undefined;
  /** When the runner is killed because the attempt has been told to stop. */
  #killAt = Infinity;
  #lookAt = Infinity;
  #cancelLook: (() => void) | undefined;
  #wasLate = false;
  #memoryLookedAt = 0;

  constructor(options: AttemptWatchOptions, events: AttemptWatchEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** This attempt is the one at work now. */
  begin(attempt: Attempt | undefined): void {
    this.#attempt = attempt;
    this.#killAt = Infinity;
    if (attempt === undefined) return;
    attempt.startedAt = performance.now();
    attempt.since = attempt.startedAt;
    if (attempt.stop !== undefined) this.grantGrace();
    else this.#arm();
  }

  /** The attempt at work has come to its next item. */
  nextItem(): void {
    if (this.#attempt === undefined) return;
    this.#attempt.since = performance.now();
    if (this.#attempt.stop !== "timeout") return;
    // The item that was out of time has ended after all, by itself or because it heeded the abort.
    this.#attempt.stop = undefined;
    this.#killAt = Infinity;
    this.#arm();
  }

  /** The attempt at work has been told to stop. */
  grantGrace(): void {
    const { graceMs } = this.#options;
    const timedOut = this.#attempt?.stop === "timeout";
    this.#killAt = performance.now() + (timedOut ? Math.min(graceMs, TIMEOUT_GRACE_MS) : graceMs);
    this.#arm();
  }

  /** Asked after an attempt: whether the runner holds more than its limit. */
  isRunnerBloated(): boolean {
    const { memoryLimitMb } = this.#options;
    if (memoryLimitMb === undefined) return false;
    const now = performance.now();
    if (now - this.#memoryLookedAt < MEMORY_LOOK_GAP_MS) return false;
    this.#memoryLookedAt = now;
    return this.#isOverMemory();
  }

  close(): void {
    this.#attempt = undefined;
    this.#cancelLook?.();
  }

  #dueAt(attempt: Attempt): number {
    const { timeoutMs } = attempt.spec;
    if (timeoutMs === undefined || attempt.stop !== undefined) return Infinity;
    return attempt.since + timeoutMs + (attempt.exact ? 0 : PROGRESS_INTERVAL_MS);
  }

  #arm(): void {
    if (this.#attempt === undefined) return;
    const now = performance.now();
    const memoryAt = this.#options.memoryLimitMb === undefined ? Infinity : now + MEMORY_LOOK_INTERVAL_MS;
    const at = Math.min(this.#killAt, this.#dueAt(this.#attempt), memoryAt);
    if (at >= this.#lookAt) return;
    this.#cancelLook?.();
    this.#lookAt = at;
    this.#cancelLook = this.#options.clock.schedule(Math.max(1, Math.ceil(at - now)), () => this.#look());
  }

  #look(): void {
    const now = performance.now();
    const isLate = now - this.#lookAt > LATE_MS && !this.#wasLate;
    this.#lookAt = Infinity;
    this.#wasLate = isLate;
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    if (isLate) {
      // The runner may have ended, or gone on, in time: it is heard first.
      this.#arm();
      return;
    }
    if (this.#isOverMemory()) this.#events.overMemory();
    else if (now >= this.#killAt) this.#events.graceOver();
    else if (now >= this.#dueAt(attempt)) this.#events.timedOut(attempt);
    else this.#arm();
  }

  #isOverMemory(): boolean {
    const pid = this.#options.pid();
    return pid !== undefined && isOverLimit(pid, this.#options.memoryLimitMb);
  }
}
