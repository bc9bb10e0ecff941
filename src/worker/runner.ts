/**
 * One runner as its worker sees it: a process with a short queue of attempts. The first is at work,
 * the others were sent ahead so that the runner need not wait for a round trip between short ones.
 *
 * States: `starting` (nothing is sent yet) → `ready` → `leaving` (takes nothing more, exits when
 * its queue is empty) → gone.
 *
 * When the process dies, the attempt at work is charged with it, and those that had not started run
 * elsewhere. Which one was at work is certain when there was only one, or when the runner said so
 * on its way out. Otherwise nobody is charged: a runner gathers answers of very short attempts, so
 * the first in the queue may have been finished. Then all of them run again, each alone in a runner,
 * and the one that kills again is found out. Their leases are held all the while.
 */
import type { Outcome } from "../broker/contract.ts";
import type { StateBroker } from "../sdk/shared-state.ts";
import type { Clock } from "../util/clock.ts";
import { AnsweredAttempts } from "./answered-attempts.ts";
import { type Attempt, type AttemptSpec, itemAtWork, type StopReason } from "./attempt.ts";
import { AttemptWatch } from "./attempt-watch.ts";
import type { OrphanGuard } from "./orphan-guard.ts";
import { outcomeOf, outcomeOfDeath, returned } from "./outcome.ts";
import { failureOfDeath } from "./runner-death.ts";
import { type ProcessDeath, RunnerProcess } from "./runner-process.ts";
import { type Answer, type ExitingReport, REMEMBERED_SPECS, type RunnerReport } from "./runner-wire.ts";
import { StateDesk } from "./state-desk.ts";

/** Attempts in one runner's queue at most, and the work they may amount to, milliseconds. */
const MAX_QUEUED = 128;
const QUEUED_WORK_MS = 2;
/** Share of the newest duration in a spec's moving average. */
const NEWEST_WEIGHT = 0.2;
const STDERR_TAIL_BYTES = 4_096;

export interface RunnerOptions {
  readonly worker: string;
  readonly memoryLimitMb: number | undefined;
  readonly graceMs: number;
  readonly startTimeoutMs: number;
  readonly maxAttempts: number;
  readonly clock: Clock;
  readonly guard: OrphanGuard;
  /** What user code may call for. */
  readonly state: StateBroker;
}

export interface RunnerEvents {
  started(): void;
  /** It may have room for more attempts now. */
  advanced(): void;
  /** An attempt is over; without an outcome it does not count any more. */
  finished(attempt: Attempt, outcome: Outcome | undefined): void;
  /** These did not run, or must run again; in their order. */
  handedBack(attempts: readonly Attempt[]): void;
  /** The process is gone and holds nothing. `startProblem`: it never became ready. */
  gone(runner: Runner, startProblem: string | undefined): void;
}

export class Runner {
  readonly memoryLimitMb: number | undefined;
  readonly #options: RunnerOptions;
  readonly #events: RunnerEvents;
  readonly #process: RunnerProcess;
  readonly #answered: AnsweredAttempts;
  readonly #watch: AttemptWatch;
  readonly #desk: StateDesk;
  readonly #knownSpecs = new Set<number>();
  #state: "starting" | "ready" | "leaving" = "starting";
  #queue: Attempt[] = [];
  #queuedMs = 0;
  #attemptsLeft: number;
  #cancelStartTimeout: () => void;
  #startTimedOut = false;
  #exiting: ExitingReport | undefined;
  #killedForMemory = false;

  constructor(options: RunnerOptions, events: RunnerEvents) {
    this.#options = options;
    this.#events = events;
    this.memoryLimitMb = options.memoryLimitMb;
    this.#attemptsLeft = options.maxAttempts;
    this.#process = new RunnerProcess(options, {
      report: (report) => this.#hear(report),
      output: () => this.#answered.outputRead(),
      died: (death) => this.#died(death),
    });
    this.#desk = new StateDesk({ broker: options.state, answer: (command) => this.#process.send(command) });
    this.#answered = new AnsweredAttempts({
      clock: options.clock,
      stdout: this.#process.stdout,
      stderr: this.#process.stderr,
      isRunnerIdle: () => this.isIdle,
      onComplete: (attempt, answer, output) => events.finished(attempt, outcomeOf(attempt, answer, output)),
    });
    this.#watch = new AttemptWatch(
      { ...options, pid: () => this.#process.pid },
      {
        timedOut: (attempt) => this.stop(attempt, "timeout"),
        graceOver: () => this.kill(),
        overMemory: () => {
          this.#killedForMemory = true;
          this.kill();
        },
      },
    );
    this.#cancelStartTimeout = options.clock.schedule(options.startTimeoutMs, () => {
      this.#startTimedOut = true;
      this.kill();
    });
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  get isStarting(): boolean {
    return this.#state === "starting";
  }

  get isIdle(): boolean {
    return this.#queue.length === 0;
  }

  /** Work in its queue, as far as it is known; milliseconds. */
  get queuedMs(): number {
    return this.#queuedMs;
  }

  /** The first is at work. */
  get attempts(): readonly Attempt[] {
    return this.#queue;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Whether the attempt may be sent now. */
  canTake(attempt: Attempt): boolean {
    if (this.#state !== "ready") return false;
    const first = this.#queue[0];
    if (first === undefined) return true;
    if (first.alone || attempt.alone || this.#queue.length >= MAX_QUEUED) return false;
    const { averageMs } = attempt.spec;
    return averageMs !== undefined && this.#queuedMs + averageMs <= QUEUED_WORK_MS;
  }

  send(attempt: Attempt): void {
    const { spec, lease } = attempt;
    if (!this.#knownSpecs.has(spec.number)) this.#introduce(spec);
    this.#process.send({
      type: "run",
      id: attempt.id,
      spec: spec.number,
      executionId: lease.executionId,
      task: lease.task,
      attempt: lease.attempt,
      ...(lease.start === undefined
        ? { input: lease.input ?? "null" }
        : { start: lease.start, end: lease.end ?? lease.start + 1 }),
      ...(lease.parents === undefined ? {} : { parents: lease.parents }),
      ...(lease.resumed === undefined ? {} : { resumed: lease.resumed }),
      ...(lease.careful === undefined ? {} : { careful: lease.careful }),
    });
    this.#queue.push(attempt);
    this.#queuedMs += spec.averageMs ?? 0;
    if (this.#queue.length === 1) this.#watch.begin(attempt);
    this.#attemptsLeft -= 1;
    if (this.#attemptsLeft <= 0) this.leave();
  }

  /**
   * Stops an attempt of this runner's. Where only time is lost by waiting (its lease is gone
   * already, or is to be handed back now) the process is killed; otherwise it has the grace time.
   */
  stop(attempt: Attempt, reason: StopReason): void {
    if (attempt.stop !== undefined && attempt.stop !== "timeout") return;
    attempt.stop = reason;
    if (reason === "session-lost" || reason === "drained") {
      this.kill();
      return;
    }
    this.#process.send({ type: "abort", id: attempt.id, reason: reason === "timeout" ? "timeout" : "stopped" });
    if (attempt === this.#queue[0]) this.#watch.grantGrace();
  }

  /** Asks for those that have not started; they come by `handedBack`. */
  takeBack(): void {
    if (this.#queue.length > 1) this.#process.send({ type: "revoke" });
  }

  /** Takes nothing more and exits when it is done. */
  leave(): void {
    if (this.#state === "starting") this.kill();
    this.#state = "leaving";
    this.#endIfDone();
  }

  kill(): void {
    this.#process.kill();
  }

  #hear(report: RunnerReport): void {
    switch (report.type) {
      case "ready":
        this.#cancelStartTimeout();
        if (this.#state !== "starting") return;
        this.#state = "ready";
        this.#events.started();
        return;
      case "progress": {
        const first = this.#queue[0];
        if (first?.id !== report.id) return;
        first.item = report.item;
        first.exact = report.exact;
        this.#watch.nextItem();
        return;
      }
      case "completed":
      case "chunk":
      case "failed":
      case "skipped":
      case "suspended":
        this.#hearAnswer(report);
        return;
      case "revoked":
        this.#hearRevoked(new Set(report.ids));
        return;
      case "call":
        void this.#desk.call(report);
        return;
      case "exiting":
        this.#exiting = report;
        return;
    }
  }

  #hearAnswer(answer: Answer): void {
    const attempt = this.#queue[0];
    if (attempt?.id !== answer.id) {
      this.kill(); // out of step: nothing it says can be trusted
      return;
    }
    this.#queue.shift();
    this.#forgetWork(attempt);
    this.#desk.attemptEnded(attempt.id);
    learnDuration(attempt.spec, answer.ms);
    this.#watch.begin(this.#queue[0]);
    this.#answered.add(attempt, answer);
    if (this.isReady && this.#watch.isRunnerBloated()) {
      // What it still holds must not be charged to the next attempt.
      this.takeBack();
      this.leave();
    }
    this.#endIfDone();
    this.#events.advanced();
  }

  #hearRevoked(ids: ReadonlySet<number>): void {
    const first = this.#queue[0];
    const back = this.#queue.filter((attempt) => ids.has(attempt.id));
    this.#queue = this.#queue.filter((attempt) => !ids.has(attempt.id));
    for (const attempt of back) this.#forgetWork(attempt);
    if (this.#queue[0] !== first) this.#watch.begin(this.#queue[0]);
    this.#release(back);
    this.#endIfDone();
    this.#events.advanced();
  }

  #forgetWork(attempt: Attempt): void {
    // The average moves meanwhile, so the sum is only about right; an empty queue makes it exact.
    this.#queuedMs = this.isIdle ? 0 : Math.max(0, this.#queuedMs - (attempt.spec.averageMs ?? 0));
  }

  #endIfDone(): void {
    if (this.#state === "leaving" && this.isIdle) this.#process.end();
  }

  #died(death: ProcessDeath): void {
    this.#cancelStartTimeout();
    this.#watch.close();
    this.#desk.close();
    const neverReady = this.#state === "starting" || this.#startTimedOut;
    this.#state = "leaving";
    this.#answered.close();
    const attempts = this.#queue;
    this.#queue = [];
    this.#queuedMs = 0;
    const guilty = this.#exiting === undefined ? soleOf(attempts) : attempts.find(({ id }) => id === this.#exiting?.id);
    const isCertain = this.#exiting !== undefined || guilty !== undefined;
    const others = attempts.filter((attempt) => attempt !== guilty);
    for (const attempt of others) attempt.alone ||= !isCertain;
    if (guilty !== undefined) this.#charge(guilty, death);
    this.#release(others);
    this.#events.gone(this, neverReady ? this.#startProblem(death) : undefined);
  }

  #charge(attempt: Attempt, death: ProcessDeath): void {
    if (attempt.stop !== undefined && attempt.stop !== "timeout") {
      this.#release([attempt]);
      return;
    }
    const failure = failureOfDeath({
      death,
      exitedByItself: this.#exiting !== undefined,
      killedForMemory: this.#killedForMemory,
      memoryLimitMb: this.memoryLimitMb,
      stderr: this.#process.stderr.tail(STDERR_TAIL_BYTES),
    });
    const output = this.#answered.restOfOutput();
    const culprit = this.#exiting?.item ?? itemAtWork(attempt);
    this.#events.finished(attempt, outcomeOfDeath(attempt, { failure, culprit, output }));
  }

  /** Attempts that this runner will not run: those that nobody wants any more end here, the others go back. */
  #release(attempts: readonly Attempt[]): void {
    const back: Attempt[] = [];
    for (const attempt of attempts) {
      if (attempt.stop === "cancelled" || attempt.stop === "session-lost") this.#events.finished(attempt, undefined);
      else if (attempt.stop === "drained") this.#events.finished(attempt, returned(attempt.lease));
      else back.push(attempt);
    }
    for (const attempt of back) {
      attempt.stop = undefined;
      attempt.item = attempt.lease.start;
      attempt.exact = true;
    }
    if (back.length > 0) this.#events.handedBack(back);
  }

  #startProblem(death: ProcessDeath): string {
    if (this.#startTimedOut) return `it was not ready within ${this.#options.startTimeoutMs} ms`;
    if (death.spawnError !== undefined) return death.spawnError.message;
    const how = death.signal === null ? `exit code ${death.code ?? "unknown"}` : `signal ${death.signal}`;
    const said = this.#process.stderr.tail(STDERR_TAIL_BYTES).trim();
    return said === "" ? how : `${how}: ${said}`;
  }

  #introduce(spec: AttemptSpec): void {
    const { number, handler, source, results, timeoutMs } = spec;
    this.#process.send({
      type: "spec",
      spec: number,
      handler,
      ...(source === undefined ? {} : { source }),
      ...(results === undefined ? {} : { results }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    this.#knownSpecs.add(number);
    if (this.#knownSpecs.size <= REMEMBERED_SPECS) return;
    const [oldest] = this.#knownSpecs;
    if (oldest !== undefined) this.#knownSpecs.delete(oldest);
  }
}

function soleOf(attempts: readonly Attempt[]): Attempt | undefined {
  return attempts.length === 1 ? attempts[0] : undefined;
}

function learnDuration(spec: AttemptSpec, ms: number): void {
  spec.averageMs = spec.averageMs === undefined ? ms : spec.averageMs + NEWEST_WEIGHT * (ms - spec.averageMs);
}
