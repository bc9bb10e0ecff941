/** What is submitted to a broker. */
import type { ChunkPlan } from "../../core/chunking.ts";
import type { RetryPolicy } from "../../core/retry.ts";

/** One piece of work to run. Becomes an execution. */
export interface Submission {
  /** Two submissions with the same key are one execution (promise 7). Without a key each is new. */
  readonly key?: string;
  readonly name: string;
  readonly kind: ExecutionKind;
  /** 1…10, 10 most urgent. */
  readonly priority: number;
  readonly groups: readonly TaskGroup[];
  /** More tasks may follow by `extend`; the execution cannot complete before it is sealed. */
  readonly open?: boolean;
  /** Dead letters after which the rest of the execution is cancelled and it fails. Absent: never. */
  readonly maxFailures?: number;
  readonly verify?: VerifyPlan;
  /** How long the ended execution is kept, milliseconds. */
  readonly retentionMs?: number;
  /** JSON text of the submitter (aggregation, labels …), handed back with the execution. */
  readonly meta?: string;
  /** Keep the inputs of tasks that completed, so that they can be run again by `rerun`. Default false: they go. */
  readonly keepInputs?: boolean;
}

export type ExecutionKind = "sweep" | "workflow" | "batch" | "experiment";

/** Tasks that share everything but their input. Tasks are numbered through the execution from 0. */
export interface TaskGroup {
  readonly name: string;
  /** JSON text that tells a worker's runner what to call. */
  readonly handler: string;
  readonly pool: string;
  /** Capabilities that a worker must all have. */
  readonly requires: readonly string[];
  readonly retry: RetryPolicy;
  /** Losses of a worker after which a task is a poison pill. */
  readonly maxLosses: number;
  /** Per task; for an array per item. Absent: no limit. */
  readonly timeoutMs?: number;
  /** Per runner process. Absent: the worker's own limit. */
  readonly memoryLimitMb?: number;
  /** First start not before this long after submission, milliseconds. */
  readonly delayMs?: number;
  /**
   * What it means when one of its tasks fails for good. `fail` (default): what comes after it is
   * skipped, and the execution fails. `continue`: it is a dead letter like any other, but what comes
   * after it starts as if it had completed, with no result of it; neither the execution's end nor
   * `maxFailures` counts it. Separate tasks only.
   */
  readonly onFailure?: "fail" | "continue";
  /**
   * When its tasks start. `completed` (default): when their parents have completed. `failed`: when
   * nothing else of the execution is left and a failure for good counts against it; else they are
   * skipped. Their `after` then names those whose results they get, as far as there are any; nothing
   * may come after them. Separate tasks only; not with `maxFailures`.
   */
  readonly when?: "completed" | "failed";
  readonly work: TaskList | ItemArray;
}

/** Separate tasks, one per input. */
export interface TaskList {
  readonly kind: "tasks";
  /** JSON texts, one per task. */
  readonly inputs: readonly string[];
  /**
   * For each task the numbers (in the execution, lower than its own) of the tasks that must have
   * completed before it starts. Absent or empty: starts at once. If a parent fails for good, is
   * cancelled or skipped, the task is skipped.
   */
  readonly after?: readonly (readonly number[])[];
  /** Names of the tasks for those who look (ids of a workflow's nodes), one per task. */
  readonly labels?: readonly string[];
  /**
   * One per task, 0 or more, default 0: of an execution's ready tasks that the same workers may run,
   * those with the highest go first, then those with the lowest number. For a workflow the length of
   * the longest way from the task's start to the end.
   */
  readonly ranks?: readonly number[];
}

/** One task that stands for items 0…length−1; chunks are carved off as workers claim. */
export interface ItemArray {
  readonly kind: "array";
  readonly length: number;
  readonly chunk: ChunkPlan;
  /** JSON text from which a runner computes the input of item i. */
  readonly source: string;
  /** `discard` keeps only the chunks' partials, so that a huge sweep needs no room per item. */
  readonly results: "keep" | "discard";
}

/** Runs a sample of chunks more than once, on different workers, and compares. Arrays only. */
export interface VerifyPlan {
  /** Share of chunks, 0…1. The first chunk is always in the sample. */
  readonly sample: number;
  /** Runs per sampled chunk, the first one included: 2 or more. */
  readonly replicas: number;
  /** Numbers may differ by this much, relative to the larger one. 0: bit for bit. */
  readonly tolerance: number;
  readonly seed: number;
}

export interface SubmitParams {
  readonly submissions: readonly Submission[];
}

export interface SubmitReceipt {
  readonly executionId: string;
  /** False when the key was known and this is the earlier execution. */
  readonly created: boolean;
}

/** Adds tasks to an open execution. */
export interface ExtendParams {
  readonly executionId: string;
  /** 1, 2, 3 … in order. A part that was already taken is accepted again without effect. */
  readonly part: number;
  readonly groups: readonly TaskGroup[];
  /** No part follows. */
  readonly seal: boolean;
}
