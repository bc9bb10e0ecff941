/** The `ctx` of a task. Made for every attempt and every item of a chunk: what is rarely asked for is made when it is. */
import {
  checkpointScope,
  type CheckpointOptions,
  type HeldLock,
  type LockOptions,
  SharedState,
  type StateOrigin,
  takeLock,
  TaskCheckpoints,
} from "../../sdk/shared-state.ts";
import type { TaskContext } from "../../sdk/task.ts";
import type { Job } from "./job.ts";

/** What the context says of the node that the task is in a workflow. */
export interface NodeFacts {
  readonly id: string;
  readonly outputs: Readonly<Record<string, unknown>>;
}

export class AttemptContext implements TaskContext {
  readonly executionId: string;
  readonly index: number;
  readonly attempt: number;
  readonly worker: string;
  readonly #job: Job;
  readonly #node: NodeFacts | undefined;

  /** `index` is the point's in its sweep, or the task's number. */
  constructor(job: Job, index: number, node?: NodeFacts) {
    this.executionId = job.run.executionId;
    this.index = index;
    this.attempt = job.run.attempt;
    this.worker = job.worker;
    this.#job = job;
    this.#node = node;
  }

  get node(): string | undefined {
    return this.#node?.id;
  }

  get outputs(): Readonly<Record<string, unknown>> {
    return this.#node?.outputs ?? {};
  }

  /** Results of the tasks it comes after, by task number. */
  get parents(): Readonly<Record<number, unknown>> {
    const { parents = {} } = this.#job.run;
    const results = Object.entries(parents).map(([task, text]) => [task, JSON.parse(text) as unknown]);
    return Object.fromEntries(results) as Record<number, unknown>;
  }

  get signal(): AbortSignal {
    return this.#job.control.signal;
  }

  get state(): SharedState {
    return new SharedState(this.#origin);
  }

  lock(name: string, options: LockOptions = {}): Promise<HeldLock> {
    const signal = options.signal === undefined ? this.signal : AbortSignal.any([options.signal, this.signal]);
    const note = `task ${this.#scope}, attempt ${this.attempt}, worker ${this.worker}`;
    return takeLock(this.#origin, name, { note, ...options, signal });
  }

  checkpoint(data: unknown, options?: CheckpointOptions): Promise<{ readonly version: number }> {
    return this.#checkpoints.save(data, options);
  }

  restore<T>(): Promise<T | undefined> {
    return this.#checkpoints.newest<T>();
  }

  get #origin(): StateOrigin {
    return this.#job.calls.of(this.#job.run.id);
  }

  get #scope(): string {
    const { executionId, task, start } = this.#job.run;
    return checkpointScope({ executionId, task, item: start === undefined ? undefined : this.index });
  }

  get #checkpoints(): TaskCheckpoints {
    return new TaskCheckpoints(this.#origin, { scope: this.#scope, attempt: this.attempt });
  }
}
