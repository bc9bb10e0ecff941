/**
 * How much one caller may ask. All counters are in memory, per server, and bounded: of more callers
 * than are kept the one that was longest away is forgotten.
 */
import type { Clock } from "../../util/clock.ts";

/** What a server lets connections do, for the HTTP server that listens. */
export const CONNECTION_LIMITS = {
  /** Connections at the same time, sockets of workers among them. */
  maxConnections: 20_000,
  /** A request's head must be there within this time … */
  headersTimeoutMs: 10_000,
  /** … and its body within this one. */
  requestTimeoutMs: 60_000,
  /** An idle connection is closed after this long. */
  keepAliveTimeoutMs: 65_000,
  maxHeaderBytes: 16_384,
} as const;

const MAX_CALLERS = 10_000;

/** Entries by key; the one that was set longest ago goes first when there are too many. */
class BoundedMap<V> {
  readonly #entries = new Map<string, V>();

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= MAX_CALLERS) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  get size(): number {
    return this.#entries.size;
  }
}

/** Failures of a caller per window; above, the caller has to wait for its end. */
export class FailureLimit {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #windowMs: number;
  readonly #windows = new BoundedMap<{ readonly endsAt: number; failures: number }>();

  constructor(clock: Clock, limit: { readonly most: number; readonly windowMs: number }) {
    this.#clock = clock;
    this.#most = limit.most;
    this.#windowMs = limit.windowMs;
  }

  /** How long the caller must wait; 0: not at all. */
  waitMs(caller: string): number {
    const window = this.#windows.get(caller);
    if (window === undefined || window.failures < this.#most) return 0;
    return Math.max(0, window.endsAt - this.#clock.now());
  }

  fail(caller: string): void {
    const now = this.#clock.now();
    const window = this.#windows.get(caller);
    if (window !== undefined && window.endsAt > now) window.failures += 1;
    else this.#windows.set(caller, { endsAt: now + this.#windowMs, failures: 1 });
  }

  /** Callers that are remembered. */
  get callers(): number {
    return this.#windows.size;
  }
}

/** Requests per second of a caller, with one second's worth at once. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #perSecond: number;
  /** Since when the caller's allowance has been filling, as if it had been empty then. */
  readonly #emptyAt = new BoundedMap<number>();

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** Counts a request; how long its caller must wait before it may come again, 0 where it may pass. */
  take(caller: string): number {
    const now = this.#clock.now();
    const costMs = 1_000 / this.#perSecond;
    const emptyAt = Math.max(this.#emptyAt.get(caller) ?? 0, now - 1_000);
    if (emptyAt + costMs > now) return Math.ceil(emptyAt + costMs - now);
    this.#emptyAt.set(caller, emptyAt + costMs);
    return 0;
  }
}
