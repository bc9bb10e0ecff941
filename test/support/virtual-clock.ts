/**
 * A clock that a test moves by hand. Timers run in the order in which they fall due, at exactly
 * their time, and everything that a timer sets in motion settles before the next one runs.
 */
import type { Clock } from "../../src/util/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
}

/** A round number, so that times in a failure message are easy to read. */
export const VIRTUAL_START = 1_700_000_000_000;

export class VirtualClock implements Clock {
  #now = VIRTUAL_START;
  #order = 0;
  readonly #timers = new Set<Timer>();
  readonly #settle: () => Promise<void>;

  /** `settle` waits until what a timer has set in motion is done; by default some turns of the event loop. */
  constructor(settle: () => Promise<void> = turnsOfTheLoop) {
    this.#settle = settle;
  }

  now(): number {
    return this.#now;
  }

  schedule(delayMs: number, action: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, delayMs), order: this.#order, action };
    this.#order += 1;
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves time on by `ms`, running on the way what falls due. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.#settle();
    for (let timer = this.#nextUntil(end); timer !== undefined; timer = this.#nextUntil(end)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.action();
      await this.#settle();
    }
    this.#now = end;
    await this.#settle();
  }

  #nextUntil(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    return next;
  }
}

/** Lets promises and the immediates that they lead to run. */
export async function turnsOfTheLoop(turns = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
