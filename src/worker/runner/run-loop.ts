/**
 * The runner's main loop: takes runs from the wire in order, one at a time, and answers each.
 *
 * Between the end of an attempt and its answer lies one turn of the event loop, in which promises
 * that it left rejected, or errors in what it scheduled, come to light and are charged to it.
 *
 * Answers of attempts shorter than a millisecond are gathered for about one; before anything is
 * waited for they are written.
 */
import { HoldfastError } from "../../errors/index.ts";
import {
  type AbortCommand,
  REMEMBERED_SPECS,
  type RunCommand,
  type RunnerCommand,
  type SpecCommand,
} from "../runner-wire.ts";
import { runChunk } from "./chunk-run.ts";
import { failureFromThrown } from "./failure.ts";
import { type Ending, failed, type FailedEnding, type Job, newJob } from "./job.ts";
import type { OutputCount } from "./output-count.ts";
import { StateCalls } from "./state-calls.ts";
import type { SupervisorChannel } from "./supervisor-channel.ts";
import { LoadedSpec } from "./task-loader.ts";
import { runTask } from "./task-run.ts";

const GATHER_MS = 1;

export class RunLoop {
  readonly #channel: SupervisorChannel;
  readonly #output: OutputCount;
  readonly #worker: string;
  readonly #calls: StateCalls;
  readonly #specs = new Map<number, LoadedSpec>();
  #queue: Job[] = [];
  #current: Job | undefined;
  /** How `#current` has ended, until it is answered. */
  #ending: { readonly ending: Ending; readonly ms: number } | undefined;
  #turnIsDue = false;

  constructor(options: { readonly channel: SupervisorChannel; readonly output: OutputCount; readonly worker: string }) {
    this.#channel = options.channel;
    this.#output = options.output;
    this.#worker = options.worker;
    this.#calls = new StateCalls((report) => options.channel.tell(report));
  }

  get isRunning(): boolean {
    return this.#current !== undefined;
  }

  get isBusy(): boolean {
    return this.isRunning || this.#queue.length > 0;
  }

  /** The process exits, whoever wanted it: says what was at work. */
  sayExiting(): void {
    const { run, item } = this.#current ?? {};
    this.#channel.tell({
      type: "exiting",
      ...(run === undefined ? {} : { id: run.id }),
      ...(item === undefined ? {} : { item }),
    });
  }

  take(command: RunnerCommand): void {
    switch (command.type) {
      case "spec":
        this.#remember(command);
        return;
      case "run":
        this.#enqueue(command);
        return;
      case "abort":
        this.#abort(command);
        return;
      case "revoke":
        this.#revoke(() => true);
        return;
      case "answer":
        this.#calls.settle(command);
        return;
    }
  }

  /** User code threw where nobody catches: in a timer, an event, a promise nobody waits for. */
  failCurrent(thrown: unknown): void {
    const job = this.#current;
    if (job === undefined) return;
    const culprit = job.isItemSure ? job.item : undefined;
    const ending: FailedEnding = {
      ...failed(failureFromThrown(thrown)),
      ...(culprit === undefined ? {} : { culprit }),
    };
    this.#answer(job, ending, performance.now() - job.startedAt);
    this.#channel.flush();
  }

  // ── One attempt after the other ─────────────────────────────────────────────────────────────

  #scheduleTurn(): void {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    setImmediate(() => {
      this.#turnIsDue = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#current !== undefined) {
      if (this.#ending === undefined) return; // at work
      this.#answer(this.#current, this.#ending.ending, this.#ending.ms);
    }
    const now = performance.now();
    if (this.#queue.length === 0 || this.#channel.gatheredForMs(now) >= GATHER_MS) this.#channel.flush();
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#current = job;
    job.startedAt = now;
    const ending = job.run.start === undefined ? runTask(job) : runChunk(job, this.#channel);
    if (!(ending instanceof Promise)) {
      this.#end(job, ending);
      return;
    }
    this.#channel.flush();
    ending.then(
      (late) => this.#end(job, late),
      (thrown: unknown) => this.#end(job, failed(failureFromThrown(thrown))),
    );
  }

  #end(job: Job, ending: Ending): void {
    if (this.#current !== job) return; // answered already, by an error that nobody caught
    this.#ending = { ending, ms: performance.now() - job.startedAt };
    this.#scheduleTurn();
  }

  #answer(job: Job, ending: Ending, ms: number): void {
    this.#current = undefined;
    this.#ending = undefined;
    job.spec.release();
    this.#channel.gather({ ...ending, id: job.run.id, ms, out: this.#output.out, err: this.#output.err });
  }

  // ── What the supervisor says ────────────────────────────────────────────────────────────────

  #remember(command: SpecCommand): void {
    this.#specs.set(command.spec, new LoadedSpec(command));
    if (this.#specs.size <= REMEMBERED_SPECS) return;
    const [oldest] = this.#specs;
    if (oldest === undefined) return;
    this.#specs.delete(oldest[0]);
    oldest[1].forget();
  }

  #enqueue(run: RunCommand): void {
    const spec = this.#specs.get(run.spec);
    if (spec === undefined)
      throw new HoldfastError("INTERNAL", { problem: `a run refers to the unknown spec ${run.spec}` });
    spec.hold();
    this.#queue.push(newJob(run, spec, { worker: this.#worker, calls: this.#calls }));
    this.#scheduleTurn();
  }

  #abort({ id, reason }: AbortCommand): void {
    const job = this.#current;
    if (job?.run.id !== id) {
      this.#revoke((queued) => queued.run.id === id);
    } else if (reason === "timeout" && job.onTimeout !== undefined) {
      job.onTimeout();
    } else {
      job.control.isStopped = true;
      job.control.abort(stopReason(job, reason));
    }
  }

  #revoke(isMeant: (job: Job) => boolean): void {
    const revoked = this.#queue.filter(isMeant);
    if (revoked.length === 0) return;
    this.#queue = this.#queue.filter((job) => !isMeant(job));
    for (const job of revoked) job.spec.release();
    this.#channel.tell({ type: "revoked", ids: revoked.map((job) => job.run.id) });
  }
}

function stopReason(job: Job, reason: AbortCommand["reason"]): Error {
  const { executionId } = job.run;
  return reason === "timeout"
    ? new HoldfastError("TASK_TIMEOUT", { timeoutMs: job.spec.command.timeoutMs })
    : new HoldfastError("EXECUTION_CANCELLED", { execution: executionId });
}
