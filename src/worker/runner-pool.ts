/**
 * The runners of a worker: at most one process per slot, started when there is work for it, kept
 * warm, replaced when it dies, has done enough, or has grown too large.
 *
 * Attempts wait here in the order in which they were claimed and go to the runner with the least to
 * do. A runner belongs to one memory limit; when the next attempt needs another one, an idle runner
 * makes room.
 */
import type { LeaseRef, Outcome } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";
import type { StateBroker } from "../sdk/shared-state.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";
import { type Attempt, isSameLease, refOf } from "./attempt.ts";
import { OrphanGuard } from "./orphan-guard.ts";
import { failureOf, returned } from "./outcome.ts";
import { Runner } from "./runner.ts";
import type { WorkerSettings } from "./worker-settings.ts";

/** Delay before the next start after failed ones: doubles from the first to the last. */
const FIRST_START_DELAY_MS = 100;
const MAX_START_DELAY_MS = 5_000;
/** Failed starts in a row after which waiting attempts, or the worker, are given up. */
const MAX_START_FAILURES = 5;
/** Attempts that are stuck behind a long one are taken back if a runner is idle for this long. */
const REBALANCE_MS = 20;
/** Share of the newest duration in the moving average of all attempts. */
const NEWEST_WEIGHT = 0.1;

export interface RunnerPoolOptions {
  readonly worker: string;
  readonly slots: number;
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Shared state that user code may call for. */
  readonly state: StateBroker;
}

export interface RunnerPoolEvents {
  /** An attempt is over; without an outcome it does not count any more. */
  finished(attempt: Attempt, outcome: Outcome | undefined): void;
  /** No runner could be started, ever. */
  unusable(error: HoldfastError): void;
}

export class RunnerPool {
  readonly #options: RunnerPoolOptions;
  readonly #events: RunnerPoolEvents;
  readonly #guard = new OrphanGuard();
  readonly #runners = new Set<Runner>();
  #waiting: Attempt[] = [];
  #averageMs: number | undefined;
  /** Nothing is started any more; what has not started is handed back. */
  #returning = false;
  #closed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #startFailures = 0;
  #hasEverStarted = false;
  #cancelStartDelay: (() => void) | undefined;
  #cancelRebalance: (() => void) | undefined;

  constructor(options: RunnerPoolOptions, events: RunnerPoolEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** How long attempts take, as a moving average; undefined before the first has ended. */
  get averageMs(): number | undefined {
    return this.#averageMs;
  }

  /** Attempts at work. */
  get running(): number {
    let count = 0;
    for (const runner of this.#runners) if (!runner.isIdle) count += 1;
    return count;
  }

  /** Process ids of the runners, for a person who looks. */
  get pids(): readonly number[] {
    return [...this.#runners].flatMap(({ pid }) => pid ?? []);
  }

  /** Starts one runner ahead of the first attempt. */
  warmUp(): void {
    if (this.#runners.size === 0) this.#start(this.#options.settings.memoryLimitMb);
  }

  run(attempts: readonly Attempt[]): void {
    this.#waiting.push(...attempts);
    this.#place();
  }

  /** Their leases are gone: those that wait are dropped, those at work get the grace time. */
  cancel(refs: readonly LeaseRef[]): void {
    const isMeant = ({ lease }: Attempt): boolean => refs.some((ref) => isSameLease(ref, lease));
    for (const attempt of this.#takeWaiting(isMeant)) this.#events.finished(attempt, undefined);
    for (const runner of this.#runners) {
      for (const attempt of runner.attempts.filter(isMeant)) runner.stop(attempt, "cancelled");
    }
  }

  /** From now on attempts that have not started are handed back instead of run. */
  returnUnstarted(): void {
    this.#returning = true;
    this.#handBack(this.#takeWaiting(() => true));
    for (const runner of this.#runners) runner.takeBack();
  }

  /** Kills what runs and gives up what waits. `drained`: handed back; `session-lost`: it does not count any more. */
  stopAll(reason: "drained" | "session-lost"): void {
    for (const attempt of this.#takeWaiting(() => true)) {
      this.#events.finished(attempt, reason === "drained" ? returned(attempt.lease) : undefined);
    }
    for (const runner of this.#runners) for (const attempt of [...runner.attempts]) runner.stop(attempt, reason);
  }

  /** Ends the runners; resolves when the last process is gone. Attempts must have been stopped before. */
  close(): Promise<void> {
    this.#returning = true;
    this.#cancelStartDelay?.();
    this.#cancelRebalance?.();
    this.#closed ??= Promise.withResolvers<void>();
    for (const runner of this.#runners) runner.leave();
    this.#closeIfEmpty();
    return this.#closed.promise;
  }

  // ── Placing attempts ────────────────────────────────────────────────────────────────────────

  #place(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const runner = this.#runnerFor(next);
      if (runner === undefined) break;
      this.#waiting.shift();
      runner.send(next);
    }
    if (this.#waiting.length > 0) this.#makeRoom();
    else this.#watchForStuck();
  }

  #limitOf(attempt: Attempt): number | undefined {
    return attempt.spec.memoryLimitMb ?? this.#options.settings.memoryLimitMb;
  }

  #runnerFor(attempt: Attempt): Runner | undefined {
    const limitMb = this.#limitOf(attempt);
    let best: Runner | undefined;
    for (const runner of this.#runners) {
      if (runner.memoryLimitMb !== limitMb || !runner.canTake(attempt)) continue;
      if (runner.isIdle) return runner;
      if (best === undefined || runner.queuedMs < best.queuedMs) best = runner;
    }
    return best;
  }

  /** Starts runners for attempts that wait, as far as slots allow. */
  #makeRoom(): void {
    if (this.#cancelStartDelay !== undefined || this.#returning) return;
    const starting = [...this.#runners].filter((runner) => runner.isStarting).length;
    for (const attempt of this.#waiting.slice(starting, starting + this.#options.slots)) {
      const limitMb = this.#limitOf(attempt);
      if (this.#slotsTaken() >= this.#options.slots) this.#dismissIdle(limitMb);
      if (this.#slotsTaken() >= this.#options.slots) return;
      this.#start(limitMb);
    }
  }

  /** A runner that has nothing to do and only waits for its exit takes no slot. */
  #slotsTaken(): number {
    let taken = 0;
    for (const runner of this.#runners) if (runner.isReady || runner.isStarting || !runner.isIdle) taken += 1;
    return taken;
  }

  /** Ends an idle runner whose memory limit is not the one that is needed. */
  #dismissIdle(limitMb: number | undefined): void {
    for (const runner of this.#runners) {
      if (!runner.isReady || !runner.isIdle || runner.memoryLimitMb === limitMb) continue;
      runner.leave();
      return;
    }
  }

  #takeWaiting(isMeant: (attempt: Attempt) => boolean): Attempt[] {
    const taken = this.#waiting.filter(isMeant);
    if (taken.length > 0) this.#waiting = this.#waiting.filter((attempt) => !isMeant(attempt));
    return taken;
  }

  #handBack(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) this.#events.finished(attempt, returned(attempt.lease));
  }

  /** What was expected to be short may be long: what was sent after it need not wait for it while another runner is idle. */
  #watchForStuck(): void {
    if (this.#cancelRebalance !== undefined || !this.#isAnyStuck()) return;
    this.#cancelRebalance = this.#options.clock.schedule(REBALANCE_MS, () => {
      this.#cancelRebalance = undefined;
      if (!this.#isAnyStuck()) return;
      for (const runner of this.#runners) runner.takeBack();
      this.#watchForStuck();
    });
  }

  #isAnyStuck(): boolean {
    let idle = false;
    let queued = false;
    for (const runner of this.#runners) {
      idle ||= runner.isReady && runner.isIdle;
      queued ||= runner.attempts.length > 1;
    }
    return idle && queued;
  }

  // ── Runners come and go ─────────────────────────────────────────────────────────────────────

  #start(memoryLimitMb: number | undefined): void {
    const { worker, settings, clock, state } = this.#options;
    const runner = new Runner(
      {
        worker,
        memoryLimitMb,
        graceMs: settings.graceMs,
        startTimeoutMs: settings.runnerStartTimeoutMs,
        maxAttempts: settings.runnerMaxAttempts,
        clock,
        guard: this.#guard,
        state,
      },
      {
        started: () => this.#started(),
        advanced: () => this.#place(),
        finished: (attempt, outcome) => this.#finished(attempt, outcome),
        handedBack: (attempts) => this.#handedBack(attempts),
        gone: (gone, startProblem) => this.#gone(gone, startProblem),
      },
    );
    this.#runners.add(runner);
  }

  #started(): void {
    this.#startFailures = 0;
    this.#hasEverStarted = true;
    this.#place();
  }

  #finished(attempt: Attempt, outcome: Outcome | undefined): void {
    if (outcome !== undefined && outcome.kind !== "returned") {
      const average = this.#averageMs ?? outcome.durationMs;
      this.#averageMs = average + NEWEST_WEIGHT * (outcome.durationMs - average);
    }
    this.#events.finished(attempt, outcome);
  }

  #handedBack(attempts: readonly Attempt[]): void {
    if (this.#returning) this.#handBack(attempts);
    else this.#waiting.unshift(...attempts);
  }

  #gone(runner: Runner, startProblem: string | undefined): void {
    this.#runners.delete(runner);
    if (startProblem !== undefined && this.#closed === undefined) this.#startFailed(startProblem);
    this.#closeIfEmpty();
    this.#place();
  }

  #startFailed(problem: string): void {
    this.#startFailures += 1;
    const error = new HoldfastError("RUNNER_START_FAILED", { problem });
    const delayMs = Math.min(MAX_START_DELAY_MS, FIRST_START_DELAY_MS * 2 ** (this.#startFailures - 1));
    this.#options.logger.error(
      { error, failures: this.#startFailures, retryInMs: delayMs },
      "a runner could not be started",
    );
    if (this.#startFailures >= MAX_START_FAILURES) this.#giveUpStarting(error);
    this.#cancelStartDelay ??= this.#options.clock.schedule(delayMs, () => {
      this.#cancelStartDelay = undefined;
      this.#place();
    });
  }

  /** Where no runner has ever started, this worker is of no use; otherwise it is the next attempt's settings that do not work. */
  #giveUpStarting(error: HoldfastError): void {
    this.#startFailures = 0;
    if (!this.#hasEverStarted) {
      this.#events.unusable(error);
      return;
    }
    const attempt = this.#waiting.shift();
    if (attempt === undefined) return;
    const failure = failureOf(error, "unknown");
    this.#events.finished(attempt, { kind: "failed", lease: refOf(attempt.lease), durationMs: 0, failure });
  }

  #closeIfEmpty(): void {
    if (this.#closed === undefined || this.#runners.size > 0) return;
    this.#guard.close();
    this.#closed.resolve();
  }
}
