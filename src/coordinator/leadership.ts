/**
 * Whether this process leads: of all coordinators on one broker only the holder of the leader lease
 * runs duties, so that ten processes do not do the same work ten times.
 *
 * The lease saves work; it does not guard correctness. Every duty is harmless when two run it, as
 * may happen for a moment when a leader was stopped and wakes. A leader that dies is replaced when
 * its lease runs out. A leader that cannot reach the broker stops acting before the broker gives the
 * lease to somebody else: it counts the lease from the moment it *asked*.
 */
import type { Broker } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";

/** Longest time without a leader after one has died, milliseconds. */
export const LEADER_TTL_MS = 1_500;
/** A leader may miss one renewal and is still in time with the next. */
const RENEWALS_PER_TTL = 3;
/** The shortest lease there is: how a leader that leaves hands over at once. */
const HANDOVER_TTL_MS = 1;
const LEASE_NAME = "coordinator";

export interface LeadershipOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Names this process among all coordinators of the broker. */
  readonly holder: string;
  /** This process leads from now on, after another one did. */
  readonly onTakeOver?: () => void;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  #leadsUntil = -Infinity;
  #isLeader = false;
  /** Another one led when this one asked last. */
  #isFollower = false;
  #stopped = false;
  #cancelTimer: () => void = () => undefined;
  #inFlight: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  get isLeader(): boolean {
    return this.#isLeader && this.#options.clock.now() < this.#leadsUntil;
  }

  start(): void {
    this.#plan(0);
  }

  /** Hands the lease over if it is held. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.#inFlight;
    if (!this.isLeader) return;
    this.#isLeader = false;
    const { broker, holder, logger } = this.#options;
    try {
      await broker.lead({ lease: LEASE_NAME, holder, ttlMs: HANDOVER_TTL_MS });
    } catch (thrown) {
      logger.debug({ error: HoldfastError.from(thrown) }, "leader lease not handed over; it runs out by itself");
    }
  }

  #plan(delayMs: number): void {
    this.#cancelTimer = this.#options.clock.schedule(delayMs, () => {
      this.#inFlight = this.#ask();
    });
  }

  async #ask(): Promise<void> {
    const { broker, clock, holder, logger } = this.#options;
    const askedAt = clock.now();
    try {
      const { leader, term } = await broker.lead({ lease: LEASE_NAME, holder, ttlMs: LEADER_TTL_MS });
      if (leader !== this.#isLeader)
        logger.info({ term }, leader ? "this coordinator leads" : "another coordinator leads");
      this.#isLeader = leader;
      this.#leadsUntil = askedAt + LEADER_TTL_MS;
      if (!leader) this.#isFollower = true;
      else if (this.#isFollower) {
        this.#isFollower = false;
        this.#options.onTakeOver?.();
      }
    } catch (thrown) {
      logger.warn({ error: HoldfastError.from(thrown) }, "leader lease not renewed; trying again");
    }
    if (!this.#stopped) this.#plan(LEADER_TTL_MS / RENEWALS_PER_TTL);
  }
}
