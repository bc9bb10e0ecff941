/**
 * The owner of a SQLite file under load, made to be killed: clients that submit, extend and cancel,
 * workers that claim and report, and the coordinator's duties, all in this process on real time.
 *
 * Whatever the broker has acknowledged is appended to a file, one line per call, after the answer
 * and before anything else. The operating system keeps the line when the process is killed, so the
 * file holds no more, and but for the last instant no less, than was acknowledged.
 *
 * Arguments: one JSON text, OwnerOrders.
 */
import { randomUUID } from "node:crypto";
import { openSync, writeSync } from "node:fs";
import type { Broker, Lease, Outcome, Submission } from "../../src/broker/contract.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import { type Clock, sleep, systemClock } from "../../src/util/clock.ts";
import { FakeWorker } from "../support/fake-worker.ts";
import { chunkDone, done, failed, failure, isChunk, itemFailures, rangeOf, returned } from "../support/outcomes.ts";
import { seededRandom, wholeBetween } from "../support/seeded-random.ts";
import { array, group, submission, tasks } from "../support/submissions.ts";

export interface OwnerOrders {
  readonly file: string;
  readonly acknowledged: string;
  readonly seed: number;
  /** Submit keys of this life begin with it. */
  readonly name: string;
  /** False: submit nothing more, finish what there is, and end. */
  readonly submits: boolean;
}

/** One call that the broker has acknowledged. */
export type Acknowledgement =
  | { readonly kind: "submit"; readonly executionId: string; readonly key: string; readonly total: number }
  | { readonly kind: "extend"; readonly executionId: string; readonly total: number }
  | { readonly kind: "cancel"; readonly executionId: string }
  | {
      readonly kind: "commit";
      readonly executionId: string;
      readonly task: number;
      readonly items?: readonly [start: number, end: number];
      readonly missing?: readonly number[];
    };

/** What the parent waits for on stdout. */
export const READY = "ready";

const WORKERS = 3;
const MOST_UNFINISHED = 40;
const SUBMIT_PAUSE_MS = 4;
const DUTY_PAUSE_MS = 20;
const CLAIM_WAIT_MS = 20;
/** Sessions of an owner that was killed are soon dead; those of this one are heard of all the time. */
const SETTINGS = { heartbeatMs: 50, deadAfterMs: 300 };
/** Being killed over and over is this test's doing, not the tasks'. */
const PATIENT = {
  maxLosses: 1_000_000,
  retry: { limit: 2, baseMs: 5, factor: 2, maxMs: 50, jitter: 0, never: ["invalid-input"] },
} as const;

class Owner {
  readonly #broker: Broker;
  readonly #clock: Clock = systemClock({ keepAlive: true });
  readonly #random: () => number;
  readonly #orders: OwnerOrders;
  readonly #lines: number;
  #isOver = false;

  constructor(orders: OwnerOrders) {
    this.#orders = orders;
    this.#random = seededRandom(orders.seed);
    this.#lines = openSync(orders.acknowledged, "a");
    this.#broker = openSqliteBroker({
      file: orders.file,
      clock: this.#clock,
      random: this.#random,
      newId: randomUUID,
      settings: SETTINGS,
    });
  }

  async run(): Promise<void> {
    const running = [this.#duties(), ...Array.from({ length: WORKERS }, (_, index) => this.#work(`w${index}`))];
    if (this.#orders.submits) running.push(this.#submit());
    else await this.#untilAllHasEnded();
    await Promise.all(running);
    await this.#broker.close();
  }

  #note(acknowledgement: Acknowledgement): void {
    writeSync(this.#lines, `${JSON.stringify(acknowledgement)}\n`);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  // ── Clients ───────────────────────────────────────────────────────────────────────────────

  async #submit(): Promise<void> {
    for (let count = 0; ; count += 1) {
      await sleep(this.#clock, SUBMIT_PAUSE_MS);
      if (await this.#isCrowded()) continue;
      const submissions = Array.from({ length: wholeBetween(this.#random, 1, 3) }, (_, index) =>
        this.#invent(`${this.#orders.name}-${count}-${index}`),
      );
      const { executions } = await this.#broker.submit({ submissions });
      for (const [index, { executionId }] of executions.entries()) {
        const { key = "", open, groups } = submissions[index] as Submission;
        this.#note({ kind: "submit", executionId, key, total: totalOf(groups) });
        if (open === true) await this.#extend(executionId);
        else if (this.#chance(0.03)) await this.#cancel(executionId);
      }
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
    const { state } = await this.#broker.getExecution({ executionId });
    if (state === "completed" || state === "failed") return;
    await this.#broker.cancel({ executionId });
    this.#note({ kind: "cancel", executionId });
  }

  // ── Workers ───────────────────────────────────────────────────────────────────────────────

  async #work(name: string): Promise<void> {
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

const orders = process.argv[2];
if (orders !== undefined) {
  const owner = new Owner(JSON.parse(orders) as OwnerOrders);
  process.stdout.write(`${READY}\n`);
  await owner.run();
}
