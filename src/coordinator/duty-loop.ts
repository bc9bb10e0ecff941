/**
 * Runs one duty again and again: after its interval, at once while a run leaves more to do, at the
 * moment the broker named if that comes first, and later and later while runs fail.
 *
 * Runs of one duty never overlap. A run that throws is logged and does not end the loop, whatever
 * it threw: a broker that is closed or out of reach today may be back with the next run.
 */
import type { Broker } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";
import type { Duty, DutyReport } from "./duty.ts";

/** Longest pause after failures in a row, unless the duty's own interval is longer, milliseconds. */
const MAX_BACKOFF_MS = 30_000;

export interface DutyLoopOptions {
  readonly duty: Duty;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly isLeader: () => boolean;
}

export class DutyLoop {
  readonly #options: DutyLoopOptions;
  #failuresInRow = 0;
  #stopped = false;
  #isRunning = false;
  #cancelTimer: () => void = () => undefined;
  #inFlight: Promise<void> = Promise.resolve();

  constructor(options: DutyLoopOptions) {
    this.#options = options;
  }

  /** The first run comes after a random part of the interval, so that not all duties run together. */
  start(): void {
    this.#plan(this.#options.random() * this.#options.duty.intervalMs);
  }

  /** The next run comes now, unless one is under way. */
  runSoon(): void {
    if (this.#stopped || this.#isRunning) return;
    this.#cancelTimer();
    this.#plan(0);
  }

  /** No run starts any more, but for a last one of a duty that has one; resolves when it, or the one under way, has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.#inFlight;
    const { duty, broker, logger, isLeader } = this.#options;
    if (duty.runsAtEnd !== true || !isLeader()) return;
    try {
      await duty.runOnce(broker);
    } catch (thrown) {
      logger.debug({ duty: duty.name, error: HoldfastError.from(thrown) }, "last run of the duty failed");
    }
  }

  #plan(delayMs: number): void {
    this.#cancelTimer = this.#options.clock.schedule(delayMs, () => {
      this.#inFlight = this.#tick();
    });
  }

  async #tick(): Promise<void> {
    const { duty, isLeader } = this.#options;
    this.#isRunning = true;
    const delayMs = isLeader() ? await this.#runAndDecideDelayMs() : duty.intervalMs;
    this.#isRunning = false;
    if (!this.#stopped) this.#plan(delayMs);
  }

  async #runAndDecideDelayMs(): Promise<number> {
    const { duty, broker, logger } = this.#options;
    try {
      const report = await duty.runOnce(broker);
      this.#failuresInRow = 0;
      if (report.handled > 0) logger.info({ duty: duty.name, handled: report.handled }, duty.counts);
      return this.#delayAfterMs(report);
    } catch (thrown) {
      this.#failuresInRow += 1;
      const delayMs = Math.max(duty.intervalMs, Math.min(MAX_BACKOFF_MS, duty.intervalMs * 2 ** this.#failuresInRow));
      logger.warn({ duty: duty.name, delayMs, error: HoldfastError.from(thrown) }, "duty failed; trying again");
      return delayMs;
    }
  }

  #delayAfterMs(report: DutyReport): number {
    const { duty, clock } = this.#options;
    if (report.more) return 0;
    const dueInMs = (report.nextAt ?? Infinity) - clock.now();
    return Math.min(duty.intervalMs, Math.max(1, dueInMs));
  }
}
