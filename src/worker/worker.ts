/**
 * A worker: claims leases, has them run, reports the outcomes. This process supervises; user code
 * runs in runners (runner-pool.ts), so nothing that user code does keeps the heartbeat from beating.
 *
 * Where to read on: exchange.ts is the main loop between broker and pool; session.ts the heartbeat;
 * runner-pool.ts, runner.ts and runner-process.ts lead to the code of the user.
 *
 * States: `new` → `working` → `draining` (claims nothing more) → `ended`.
 *
 * What a crash does. This process dies: its session falls silent, the broker gives its leases to
 * others, the guard kills the runners. A runner dies: one attempt fails. The broker is gone:
 * outcomes are kept and offered again; after brokerPatienceMs the worker gives up. The session is
 * lost (this process was stopped for too long): its attempts belong to others, so they are killed,
 * and the worker goes on with a new session.
 */
import { hostname } from "node:os";
import type { Broker, Directives, Outcome, WorkerProfile } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Clock, sleep } from "../util/clock.ts";
import { Exchange, FIRST_RETRY_DELAY_MS, MAX_RETRY_DELAY_MS } from "./exchange.ts";
import { RunnerPool } from "./runner-pool.ts";
import { Session } from "./session.ts";
import { noneSilent } from "./silent-others.ts";
import { SpecBook } from "./spec-book.ts";
import { completeSettings, type GivenWorkerSettings, type WorkerSettings } from "./worker-settings.ts";

/** Telling the broker goodbye, and what was handed back last, may take this long. */
const LEAVE_MS = 5_000;

export interface WorkerOptions {
  readonly broker: Broker;
  readonly profile: Omit<WorkerProfile, "host" | "pid">;
  readonly settings: GivenWorkerSettings;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface WorkerEnd {
  /**
   * `drained`: asked to leave. `idle`: without work for idleExitMs. `broker-lost`: the broker is
   * closed or has not answered for too long. `failed`: of no use here; see `error`.
   */
  readonly reason: "drained" | "idle" | "broker-lost" | "failed";
  /** Attempts whose outcome was accepted; those that ended for now, or because the task is not to run, are neither. */
  readonly completed: number;
  readonly failed: number;
  readonly error?: HoldfastError;
}

type EndReason = Pick<WorkerEnd, "reason" | "error">;

interface Link {
  readonly session: Session;
  readonly exchange: Exchange;
}

export class Worker {
  /** Resolves, never rejects, when the worker has left and its last process is gone. */
  readonly ended: Promise<WorkerEnd>;
  readonly #resolveEnded: (end: WorkerEnd) => void;
  readonly #options: WorkerOptions;
  readonly #settings: WorkerSettings;
  readonly #pool: RunnerPool;
  readonly #specs: SpecBook;
  #started: Promise<void> | undefined;
  #state: "new" | "working" | "draining" | "ended" = "new";
  /** The live session, if there is one. */
  #link: Link | undefined;
  /** By `drain`; the broker may have asked for it before. */
  #isToldToDrain = false;
  #completed = 0;
  #failed = 0;
  #cancelIdleExit: (() => void) | undefined;
  #cancelDrain: (() => void) | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#settings = completeSettings(options.settings);
    this.#specs = new SpecBook(this.#settings.jobsModule);
    const { promise, resolve } = Promise.withResolvers<WorkerEnd>();
    this.ended = promise;
    this.#resolveEnded = resolve;
    const { broker, profile, clock, logger } = options;
    this.#pool = new RunnerPool(
      { worker: profile.worker, slots: profile.slots, settings: this.#settings, clock, logger, state: broker },
      {
        finished: (attempt, outcome) => this.#link?.exchange.finished(attempt, outcome),
        unusable: (error) => void this.#end({ reason: "failed", error }),
      },
    );
  }

  /**
   * Opens a session and begins to claim. Waits for a broker that cannot be reached yet, up to
   * brokerPatienceMs. Called again, it waits for the same start.
   *
   * @throws HoldfastError what then also stands in `ended`.
   */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    if (this.#state !== "new") return; // drained before it began
    this.#state = "working";
    this.#pool.warmUp();
    await this.#openSession();
    if (this.#link !== undefined) return;
    const { error } = await this.ended;
    if (error !== undefined) throw error;
  }

  /**
   * Finishes what runs, hands back what has not started, leaves. After drainMs, or at the second
   * call, what still runs is killed and handed back. A chunk is published whole or not at all.
   */
  drain(): Promise<WorkerEnd> {
    if (this.#isToldToDrain) this.#stopAndLeave();
    this.#isToldToDrain = true;
    this.#beginDrain();
    return this.ended;
  }

  /** Process ids of its runners. */
  get runnerPids(): readonly number[] {
    return this.#pool.pids;
  }

  // ── The session ─────────────────────────────────────────────────────────────────────────────

  /** Tries until it succeeds, patience ends, or the worker is no longer wanted. */
  async #openSession(): Promise<void> {
    const { broker, clock, profile, logger } = this.#options;
    let waitedMs = 0;
    for (
      let delayMs = FIRST_RETRY_DELAY_MS;
      this.#state === "working";
      delayMs = Math.min(MAX_RETRY_DELAY_MS, delayMs * 2)
    ) {
      try {
        const opened = await broker.openSession({ ...profile, host: hostname(), pid: process.pid });
        if (this.#state === "working") this.#use(opened);
        else void this.#closeSession(opened.session); // too late
        return;
      } catch (thrown) {
        const error = HoldfastError.from(thrown);
        if (!error.retryable || error.code === "BROKER_CLOSED" || waitedMs >= this.#settings.brokerPatienceMs) {
          void this.#end(endFor(error));
          return;
        }
        logger.warn({ error, retryInMs: delayMs }, "no session could be opened yet");
        await sleep(clock, delayMs);
        waitedMs += delayMs;
      }
    }
  }

  #use(opened: Awaited<ReturnType<Broker["openSession"]>>): void {
    const { broker, clock, logger, profile } = this.#options;
    const session = new Session(
      opened,
      { broker, clock, patienceMs: this.#settings.brokerPatienceMs, running: () => this.#pool.running },
      {
        directives: (directives) => this.#obey(directives),
        failed: (thrown) => this.#beatFailed(HoldfastError.from(thrown)),
        silent: () => void this.#end({ reason: "broker-lost" }),
      },
    );
    const exchange = new Exchange(
      {
        session: session.id,
        broker,
        pool: this.#pool,
        specs: this.#specs,
        slots: profile.slots,
        settings: this.#settings,
        clock,
        logger,
      },
      {
        heard: (directives) => {
          session.heard();
          this.#obey(directives);
        },
        accepted: (outcome) => this.#count(outcome),
        failed: (error) => this.#callFailed(error),
        idle: (isIdle) => this.#idle(isIdle),
      },
    );
    logger.info({ session: session.id }, "session opened");
    this.#link = { session, exchange };
    exchange.start();
  }

  /** Its attempts belong to others now. */
  #sessionLost({ session, exchange }: Link): void {
    this.#options.logger.warn({ session: session.id }, "the session was declared dead; what it ran is stopped");
    this.#unlink();
    session.end();
    exchange.abandon();
    this.#pool.stopAll("session-lost");
    if (this.#state === "working") void this.#openSession();
    else void this.#end({ reason: "drained" });
  }

  #unlink(): void {
    this.#link = undefined;
    this.#cancelIdleExit?.();
    this.#cancelIdleExit = undefined;
  }

  #obey({ cancel, drain }: Directives): void {
    if (cancel.length > 0) this.#pool.cancel(cancel);
    if (drain) this.#beginDrain();
  }

  #beatFailed(error: HoldfastError): void {
    // Anything that may pass is left to the count of beats without an answer.
    if (!error.retryable || error.code === "BROKER_CLOSED") this.#callFailed(error);
  }

  #callFailed(error: HoldfastError): void {
    if (this.#link === undefined) return;
    if (error.code === "SESSION_LOST") this.#sessionLost(this.#link);
    else void this.#end(endFor(error));
  }

  #count(outcome: Outcome): void {
    if (outcome.kind === "failed") this.#failed += 1;
    else if (outcome.kind === "completed" || outcome.kind === "chunk") this.#completed += 1;
  }

  // ── Leaving ─────────────────────────────────────────────────────────────────────────────────

  /** Called whenever the exchange has changed. */
  #idle(isIdle: boolean): void {
    const { idleExitMs } = this.#settings;
    if (!isIdle) {
      this.#cancelIdleExit?.();
      this.#cancelIdleExit = undefined;
    } else if (this.#state === "draining") {
      void this.#end({ reason: "drained" });
    } else if (idleExitMs !== undefined) {
      this.#cancelIdleExit ??= this.#planIdleExit(idleExitMs);
    }
  }

  /** However short the idle time is: not while a silent worker's tasks may come back, as its death is noticed later. */
  #planIdleExit(idleExitMs: number): () => void {
    const { clock, broker, profile } = this.#options;
    const over = new AbortController();
    const leave = async (): Promise<void> => {
      const { session } = this.#link ?? {};
      if (session === undefined) return;
      const { id, heartbeatMs: lookEveryMs } = session;
      await noneSilent({ broker, clock, session: id, pools: profile.pools, lookEveryMs, signal: over.signal });
      await this.#end({ reason: "idle" });
    };
    const cancelTimer = clock.schedule(idleExitMs, () => {
      // It rejects only when there is work again.
      leave().catch(() => undefined);
    });
    return () => {
      cancelTimer();
      over.abort(new Error("not idle any more"));
    };
  }

  #beginDrain(): void {
    if (this.#state === "ended" || this.#state === "draining") return;
    this.#state = "draining";
    this.#options.logger.info({}, "draining");
    if (this.#link === undefined) {
      void this.#end({ reason: "drained" });
      return;
    }
    this.#cancelDrain = this.#options.clock.schedule(this.#settings.drainMs, () => this.#stopAndLeave());
    this.#link.exchange.stopClaiming();
    this.#pool.returnUnstarted();
  }

  #stopAndLeave(): void {
    if (this.#state !== "draining") return;
    this.#pool.stopAll("drained");
    this.#cancelDrain?.();
    this.#cancelDrain = this.#options.clock.schedule(LEAVE_MS, () => void this.#end({ reason: "broker-lost" }));
  }

  async #end(reason: EndReason): Promise<void> {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#cancelDrain?.();
    const link = this.#link;
    this.#unlink();
    // What still runs ends before its leases go back: nothing is run twice at the same time.
    this.#pool.stopAll("session-lost");
    const closed = this.#pool.close();
    link?.session.end();
    link?.exchange.abandon();
    if (link !== undefined) await this.#closeSession(link.session.id);
    await closed;
    this.#resolveEnded({ ...reason, completed: this.#completed, failed: this.#failed });
  }

  /** Leases that it may still hold go back to the broker with this. */
  async #closeSession(session: string): Promise<void> {
    const { broker, clock, logger } = this.#options;
    const giveUp = new AbortController();
    const tooLong = sleep(clock, LEAVE_MS, giveUp.signal).catch(() => undefined);
    const closed = broker.closeSession({ session, reason: "left" }).catch((thrown: unknown) => {
      logger.debug({ error: thrown }, "the session could not be closed; it will be found dead");
    });
    await Promise.race([closed, tooLong]);
    giveUp.abort(new Error("closed in time"));
  }
}

function endFor(error: HoldfastError): EndReason {
  return error.retryable ? { reason: "broker-lost", error } : { reason: "failed", error };
}
