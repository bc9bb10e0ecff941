/**
 * Load on a broker, made for a death in the middle of it: clients that submit, extend and cancel,
 * workers that claim and report, and the coordinator's duties, all in this process on real time.
 *
 * Whatever the broker has acknowledged is appended to a file, one line per call, after the answer
 * and before anything else. The operating system keeps the line when the process is killed, so the
 * file holds no more, and but for the last instant no less, than was acknowledged.
 */
import { openSync, writeSync } from "node:fs";
import type { Broker, Lease, Outcome, Submission } from "../../src/broker/contract.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import { type Clock, sleep } from "../../src/util/clock.ts";
import { FakeWorker } from "../support/fake-worker.ts";
import { chunkDone, done, failed, failure, isChunk, itemFailures, rangeOf, returned } from "../support/outcomes.ts";
import { wholeBetween } from "../support/seeded-random.ts";
import { array, group, submission, tasks } from "../support/submissions.ts";
import type { Acknowledgement } from "./acknowledged.ts";

export interface LoadOrders {
  readonly acknowledged: string;
  readonly seed: number;
  /** Submit keys of this life begin with it. */
  readonly name: string;
  /** False: submit nothing more, finish what there is, and end. */
  readonly submits: boolean;
  /** Between two submits; default 4 ms. */
  readonly submitPauseMs?: number;
  /** The store may forget what it acknowledged last: sessions are opened again, and what is gone is no error. */
  readonly mayForget?: boolean;
}

export interface LoadParts {
  readonly orders: LoadOrders;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: () => number;
}

/** What the parent waits for on stdout. */
export const READY = "ready";

const WORKERS = 3;
const MOST_UNFINISHED = 40;
const SUBMIT_PAUSE_MS = 4;
const DUTY_PAUSE_MS = 20;
const CLAIM_WAIT_MS = 20;
/** Being killed over and over is this test's doing, not the tasks'. */
const PATIENT = {
  maxLosses: 1_000_000,
  retry: { limit: 2, baseMs: 5, factor: 2, maxMs: 50, jitter: 0, never: ["invalid-input"] },
} as const;

export class Load {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #orders: LoadOrders;
  readonly #lines: number;
  #isOver = false;

  constructor(parts: LoadParts) {
    this.#orders = parts.orders;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#broker = parts.broker;
    this.#lines = openSync(parts.orders.acknowledged, "a");
  }

  /** Until it is told to stop; without submitting, until everything has ended. */
  async run(): Promise<void> {
    const running = [this.#duties(), ...Array.from({ length: WORKERS }, (_, index) => this.#work(`w${index}`))];
    if (this.#orders.submits) running.push(this.#submit());
    else await this.#untilAllHasEnded();
    await Promise.all(running);
  }

  /** Submits nothing more; workers report what they hold and leave. */
  stop(): void {
    this.#isOver = true;
  }

  #note(acknowledgement: Acknowledgement): void {
    writeSync(this.#lines, `${JSON.stringify(acknowledgement)}\n`);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  // ── Clients ───────────────────────────────────────────────────────────────────────────────

  async #submit(): Promise<void> {
    for (let count = 0; !this.#isOver; count += 1) {
      await sleep(this.#clock, this.#orders.submitPauseMs ?? SUBMIT_PAUSE_MS);
      if (await this.#isCrowded()) continue;
      const submissions = Array.from({ length: wholeBetween(this.#random, 1, 3) }, (_, index) =>
        this.#invent(`${this.#orders.name}-${count}-${index}`),
      );
      const { executions } = await this.#broker.submit({ submissions });
      for (const [index, { executionId }] of executions.entries()) {
        const { key = "", open, groups } = submissions[index] as Submission;
        this.#note({ kind: "submit", executionId, key, total: totalOf(groups) });
        if (open === true) await this.#unlessForgotten(() => this.#extend(executionId));
        else if (this.#chance(0.03)) await this.#unlessForgotten(() => this.#cancel(executionId));
      }
    }
  }

  async #unlessForgotten(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      if (this.#orders.mayForget !== true || !HoldfastError.is(error)) throw error;
    }
  }

  async #isCrowded(): Promise<boolean> {
    const page = await this.#broker.listExecutions({
      states: ["pending", "running", "paused"],
      limit: MOST_UNFINISHED,
    });
    return page.executions.length >= MOST_UNFINISHED;
  }

  #invent(key: string): Submission {
    const shape = this.#random();
    if (shape < 0.3) return submission([group(tasks(wholeBetween(this.#random, 1, 40)), PATIENT)], { key });
    if (shape < 0.5)
      return submission([group(tasks(6, [[], [0], [0], [1, 2], [], [3, 4]]), PATIENT)], { key, kind: "workflow" });
    if (shape < 0.65) return submission([group(tasks(2), PATIENT)], { key, kind: "experiment", open: true });
    const length = wholeBetween(this.#random, 1, 600);
    return submission([group(array(length, wholeBetween(this.#random, 5, 60)), PATIENT)], { key, kind: "sweep" });
  }

  async #extend(executionId: string): Promise<void> {
    const parts = wholeBetween(this.#random, 1, 3);
    for (let part = 1; part <= parts; part += 1) {
      const { total } = await this.#broker.extend({
        executionId,
        part,
        groups: [group(tasks(2, [[0], []]), PATIENT)],
        seal: part === parts,
      });
      this.#note({ kind: "extend", executionId, total });
    }
  }

  async #cancel(executionId: string): Promise<void> {
    try {
      await this.#broker.cancel({ executionId });
    } catch (error) {
      // The workers were quicker.
      if (HoldfastError.is(error, "EXECUTION_ENDED")) return;
      throw error;
    }
    this.#note({ kind: "cancel", executionId });
  }

  // ── Workers ───────────────────────────────────────────────────────────────────────────────

  /** Lives, if need be more than once. */
  async #work(name: string): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#liveAs(name);
      } catch (error) {
        if (this.#orders.mayForget !== true || !HoldfastError.is(error, "SESSION_LOST")) throw error;
      }
    }
  }

  async #liveAs(name: string): Promise<void> {
    const worker = await FakeWorker.join(this.#broker, { worker: name });
    let leases: readonly Lease[] = [];
    while (!this.#isOver) {
      const outcomes = leases.map((lease) => this.#decide(lease));
      const reply = await worker.reportAndClaim(outcomes, wholeBetween(this.#random, 1, 20), CLAIM_WAIT_MS);
      for (const [index, outcome] of outcomes.entries()) {
        if (reply.verdicts[index] === "accepted") this.#noteCommit(leases[index] as Lease, outcome);
      }
      leases = reply.leases;
    }
    await worker.leave();
  }

  #decide(lease: Lease): Outcome {
    if (this.#chance(0.03)) return returned(lease);
    if (this.#chance(0.03)) return failed(lease, failure(this.#chance(0.1) ? "invalid-input" : "user-error"));
    if (!isChunk(lease) || !this.#chance(0.1)) return done(lease);
    const { start, end } = rangeOf(lease);
    const culprit = wholeBetween(this.#random, start, end - 1);
    return this.#chance(0.3) ? failed(lease, failure(), culprit) : chunkDone(lease, itemFailures([culprit]));
  }

  #noteCommit(lease: Lease, outcome: Outcome): void {
    const { executionId, task } = lease;
    if (outcome.kind === "completed") this.#note({ kind: "commit", executionId, task });
    if (outcome.kind !== "chunk") return;
    const { start, end } = rangeOf(lease);
    this.#note({
      kind: "commit",
      executionId,
      task,
      items: [start, end],
      missing: outcome.failures.map(({ item }) => item),
    });
  }

  // ── The coordinator's part ────────────────────────────────────────────────────────────────

  async #duties(): Promise<void> {
    while (!this.#isOver) {
      await this.#broker.promoteDue({ limit: 100 });
      await this.#broker.reapSessions({ limit: 100 });
      await sleep(this.#clock, DUTY_PAUSE_MS);
    }
  }

  async #untilAllHasEnded(): Promise<void> {
    for (;;) {
      const { executions } = await this.#broker.listExecutions({ states: ["pending", "running", "paused"], limit: 1 });
      const [first] = executions;
      if (first === undefined) break;
      // An owner killed between submit and extend leaves its execution open: nobody else will seal it.
      await this.#seal(first.executionId);
      await sleep(this.#clock, DUTY_PAUSE_MS);
    }
    this.#isOver = true;
  }

  async #seal(executionId: string): Promise<void> {
    for (let part = 1; part <= 4; part += 1) {
      try {
        await this.#broker.extend({ executionId, part, groups: [], seal: true });
      } catch (error) {
        // Sealed, or ended, in the meantime: that is what is wanted.
        if (HoldfastError.is(error)) return;
        throw error;
      }
    }
  }
}

function totalOf(groups: Submission["groups"]): number {
  return groups.reduce((sum, { work }) => sum + (work.kind === "array" ? work.length : work.inputs.length), 0);
}
