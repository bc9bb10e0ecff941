/**
 * How much work ends per second, pool by pool: looks at the broker's totals now and then and
 * compares. Keeps what a minute needs; knows nothing before its second look.
 */
import type { Broker } from "../broker/contract.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";

const LOOK_EVERY_MS = 5_000;
const WINDOW_MS = 60_000;
/** Looks that are kept: a window, and the one that it is measured from. */
const MOST_LOOKS = WINDOW_MS / LOOK_EVERY_MS + 1;
/** Pools that are measured; there is no bound on pools that were ever named. */
const MOST_POOLS = 10_000;
/** A rate from fewer items than this takes a longer window, if there is one. */
const ENOUGH_ITEMS = 10;

interface Totals {
  readonly completed: number;
  readonly failed: number;
}

interface Look {
  readonly at: number;
  readonly pools: ReadonlyMap<string, Totals>;
}

/** What ended within a span of time. */
export interface Ended extends Totals {
  readonly spanMs: number;
}

export interface ThroughputParts {
  readonly broker: Pick<Broker, "listPools">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly closing: AbortSignal;
}

export class Throughput {
  readonly #parts: ThroughputParts;
  #looks: readonly Look[] = [];
  #cancel: (() => void) | undefined;

  constructor(parts: ThroughputParts) {
    this.#parts = parts;
  }

  /** Looks from now on, until the server ends. */
  start(): void {
    const { closing } = this.#parts;
    if (closing.aborted) return;
    closing.addEventListener("abort", () => this.#cancel?.(), { once: true });
    void this.#lookOn();
  }

  async #lookOn(): Promise<void> {
    await this.look();
    if (this.#parts.closing.aborted) return;
    this.#cancel = this.#parts.clock.schedule(LOOK_EVERY_MS, () => void this.#lookOn());
  }

  /** One look. What is measured goes on with the next one when the broker does not answer. */
  async look(): Promise<void> {
    const { broker, clock, logger } = this.#parts;
    try {
      const { pools } = await broker.listPools();
      const totals = pools
        .slice(0, MOST_POOLS)
        .map(({ pool, completed, failed }) => [pool, { completed, failed }] as const);
      this.#looks = [...this.#looks.slice(-(MOST_LOOKS - 1)), { at: clock.now(), pools: new Map(totals) }];
    } catch (error) {
      logger.debug({ error }, "throughput was not measured");
    }
  }

  /** Items of a pool that end per second; absent before anything is known. */
  rate(pool: string): number | undefined {
    // The shortest time that says enough: an hour of silence before it does not count.
    for (let back = 1; back < this.#looks.length; back += 1) {
      const ended = this.#between(back, pool);
      const items = ended.completed + ended.failed;
      if (ended.spanMs > 0 && (items >= ENOUGH_ITEMS || back === this.#looks.length - 1))
        return (items * 1_000) / ended.spanMs;
    }
    return undefined;
  }

  /** What ended within the last minute, or as much of it as was seen; absent before anything is known. */
  lastMinute(pool?: string): Ended | undefined {
    return this.#looks.length < 2 ? undefined : this.#between(this.#looks.length - 1, pool);
  }

  #between(back: number, pool: string | undefined): Ended {
    const last = this.#looks.at(-1);
    const first = this.#looks.at(-1 - back);
    const ended = { completed: 0, failed: 0, spanMs: (last?.at ?? 0) - (first?.at ?? 0) };
    for (const [name, now] of last?.pools ?? []) {
      if (pool !== undefined && name !== pool) continue;
      // A pool that was not there yet had nothing.
      const before = first?.pools.get(name) ?? { completed: 0, failed: 0 };
      ended.completed += Math.max(0, now.completed - before.completed);
      ended.failed += Math.max(0, now.failed - before.failed);
    }
    return ended;
  }
}
