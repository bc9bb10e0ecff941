/**
 * The main loop of a worker: leases in, outcomes out, for the life of one session.
 *
 * `#advance` is called whenever anything has changed: an outcome has arrived, a call was answered.
 * It keeps at most one commit and one waiting claim in flight:
 *  - a commit carries all outcomes gathered so far and claims for the room that they made. What
 *    arrives meanwhile goes with the next one. So batches form by themselves, as large as the broker
 *    is slow, and nothing waits for a timer;
 *  - when there is nothing to commit, a claim waits at the broker until there is work. Outcomes that
 *    arrive meanwhile do not wait for it.
 * Leases held and asked for together never exceed the slots plus the prefetch (prefetch.ts).
 *
 * When the session is lost, `abandon` ends the exchange with everything in it: its leases belong to
 * others, and answers that are still under way are ignored. A broker that does not answer well is
 * asked again after a pause; outcomes wait here meanwhile, and claiming stops when there are too many.
 */
import type { Broker, ClaimReply, Directives, Outcome } from "../broker/contract.ts";
import { MAX_BATCH } from "../broker/limits.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";
import { type Attempt, newAttempt } from "./attempt.ts";
import { Outbox } from "./outbox.ts";
import { failureOf, returned } from "./outcome.ts";
import { prefetchCount } from "./prefetch.ts";
import type { RunnerPool } from "./runner-pool.ts";
import type { SpecBook } from "./spec-book.ts";
import type { WorkerSettings } from "./worker-settings.ts";

/** After a call that failed and may succeed later; doubles up to the maximum. */
export const FIRST_RETRY_DELAY_MS = 100;
export const MAX_RETRY_DELAY_MS = 5_000;
/** A waiting claim that came back with nothing sooner than this is not repeated at once. */
const EMPTY_CLAIM_PAUSE_MS = 20;

export interface ExchangeOptions {
  readonly session: string;
  readonly broker: Broker;
  readonly pool: RunnerPool;
  readonly specs: SpecBook;
  readonly slots: number;
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ExchangeEvents {
  /** A call was answered: the session lives. */
  heard(directives: Directives): void;
  /** An outcome was accepted. */
  accepted(outcome: Outcome): void;
  /** A call failed, and asking again is of no use. */
  failed(error: HoldfastError): void;
  /** Nothing is held and nothing waits to be told, or again something is. */
  idle(isIdle: boolean): void;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #events: ExchangeEvents;
  readonly #outbox = new Outbox();
  /** Leases held and not yet finished. */
  readonly #attempts = new Set<Attempt>();
  #isClaimingAllowed = true;
  #isAbandoned = false;
  /** Leases asked for by calls in flight. */
  #asked = 0;
  #isCommitting = false;
  #isClaiming = false;
  #isAdvanceDue = false;
  #failuresInARow = 0;
  #cancelPause: (() => void) | undefined;

  constructor(options: ExchangeOptions, events: ExchangeEvents) {
    this.#options = options;
    this.#events = events;
  }

  start(): void {
    this.#advance();
  }

  /** From now on leases only go; those that still arrive are handed back. */
  stopClaiming(): void {
    this.#isClaimingAllowed = false;
    this.#advanceSoon();
  }

  /** Nothing that it holds or hears counts any more. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#cancelPause?.();
    this.#attempts.clear();
    this.#outbox.clear();
  }

  /** The pool is done with an attempt. */
  finished(attempt: Attempt, outcome: Outcome | undefined): void {
    if (!this.#attempts.delete(attempt)) return; // of an earlier session
    if (outcome !== undefined) this.#outbox.add(outcome);
    this.#advanceSoon();
  }

  #advance(): void {
    if (this.#isAbandoned || this.#cancelPause !== undefined) return;
    if (this.#outbox.count > 0 && !this.#isCommitting) void this.#commit();
    if (this.#room() > 0 && !this.#isCommitting && !this.#isClaiming) void this.#claim();
    this.#events.idle(this.#attempts.size === 0 && this.#outbox.count === 0 && !this.#isCommitting);
  }

  /** Once for all that happens in one turn, so that outcomes read together travel together. */
  #advanceSoon(): void {
    if (this.#isAdvanceDue) return;
    this.#isAdvanceDue = true;
    queueMicrotask(() => {
      this.#isAdvanceDue = false;
      this.#advance();
    });
  }

  /** Leases to ask for now. */
  #room(): number {
    const { slots, pool, settings } = this.#options;
    const isOutboxFull =
      this.#outbox.count >= settings.maxUnsentOutcomes || this.#outbox.length >= settings.maxUnsentLength;
    if (!this.#isClaimingAllowed || isOutboxFull) return 0;
    const ahead = prefetchCount({ slots, averageMs: pool.averageMs, prefetch: settings.prefetch });
    return Math.max(0, Math.min(MAX_BATCH, slots + ahead - this.#attempts.size - this.#asked));
  }

  async #commit(): Promise<void> {
    const { broker, session } = this.#options;
    const outcomes = this.#outbox.take();
    const max = this.#room();
    this.#isCommitting = true;
    this.#asked += max;
    try {
      const reply = await broker.commit({ session, outcomes, ...(max > 0 ? { claim: { max, waitMs: 0 } } : {}) });
      if (this.#isAbandoned) return;
      this.#outbox.sendTogether();
      for (const [index, outcome] of outcomes.entries()) {
        if (reply.verdicts[index] === "accepted") this.#events.accepted(outcome);
      }
      this.#admit(reply);
    } catch (thrown) {
      if (!this.#isAbandoned) this.#commitFailed(outcomes, HoldfastError.from(thrown));
    } finally {
      this.#isCommitting = false;
      this.#asked -= max;
      this.#advanceSoon();
    }
  }

  async #claim(): Promise<void> {
    const { broker, session, settings, clock } = this.#options;
    const max = this.#room();
    const since = clock.now();
    this.#isClaiming = true;
    this.#asked += max;
    try {
      const reply = await broker.claim({ session, max, waitMs: settings.claimWaitMs });
      if (this.#isAbandoned) return;
      this.#admit(reply);
      if (reply.leases.length === 0 && clock.now() - since < EMPTY_CLAIM_PAUSE_MS) this.#pause(EMPTY_CLAIM_PAUSE_MS);
    } catch (thrown) {
      if (!this.#isAbandoned) this.#callFailed(HoldfastError.from(thrown));
    } finally {
      this.#isClaiming = false;
      this.#asked -= max;
      this.#advanceSoon();
    }
  }

  #admit(reply: ClaimReply): void {
    this.#failuresInARow = 0;
    const specs = this.#options.specs.admit(reply.specs);
    const attempts: Attempt[] = [];
    for (const lease of reply.leases) {
      const spec = specs.get(lease.spec);
      // Draining; or the broker has not said what to run, which some other worker may know.
      if (!this.#isClaimingAllowed || spec === undefined) this.#outbox.add(returned(lease));
      else attempts.push(newAttempt(lease, spec));
    }
    for (const attempt of attempts) this.#attempts.add(attempt);
    if (attempts.length > 0) this.#options.pool.run(attempts);
    this.#events.heard(reply);
  }

  #commitFailed(outcomes: readonly Outcome[], error: HoldfastError): void {
    if (error.retryable || error.code === "SESSION_LOST" || error.code === "UNAUTHORIZED") {
      this.#outbox.putBack(outcomes);
      this.#callFailed(error);
      return;
    }
    // This batch will never be taken: the outcome that the broker cannot take is found and replaced.
    this.#options.logger.error({ error, outcomes: outcomes.length }, "the broker refuses a batch of outcomes");
    this.#outbox.sendSingly();
    const [first] = outcomes;
    if (outcomes.length > 1) this.#outbox.putBack(outcomes);
    else if (first !== undefined) this.#replaceRefused(first, error);
  }

  #replaceRefused(outcome: Outcome, error: HoldfastError): void {
    const failure = failureOf(error, "invalid-input");
    const isReplacement = outcome.kind === "failed" && outcome.failure.code === failure.code;
    if (isReplacement) this.#events.failed(error);
    else this.#outbox.putBack([{ kind: "failed", lease: outcome.lease, durationMs: 0, failure }]);
  }

  #callFailed(error: HoldfastError): void {
    if (!error.retryable || error.code === "BROKER_CLOSED") {
      this.#events.failed(error);
      return;
    }
    const delayMs = Math.min(MAX_RETRY_DELAY_MS, FIRST_RETRY_DELAY_MS * 2 ** this.#failuresInARow);
    this.#failuresInARow += 1;
    this.#options.logger.warn({ error, retryInMs: delayMs }, "the broker cannot do its work; it is asked again");
    this.#pause(delayMs);
  }

  #pause(delayMs: number): void {
    this.#cancelPause ??= this.#options.clock.schedule(delayMs, () => {
      this.#cancelPause = undefined;
      this.#advance();
    });
  }
}
