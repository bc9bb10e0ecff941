/** What people and programs see of a broker's state. */
import type { Failure } from "../../core/failure.ts";
import type { ExecutionState, TaskState } from "../../core/states.ts";
import type { ExecutionKind } from "./submitting.ts";
import type { VerificationReport } from "./verification.ts";
import type { CapturedOutput, WorkerProfile } from "./working.ts";

/** Numbers of items (a separate task is one item) by state. */
export interface Counters {
  readonly total: number;
  readonly blocked: number;
  readonly scheduled: number;
  readonly queued: number;
  readonly running: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly skipped: number;
}

export interface ExecutionView {
  readonly executionId: string;
  readonly key?: string;
  readonly name: string;
  readonly kind: ExecutionKind;
  readonly state: ExecutionState;
  readonly priority: number;
  readonly counters: Counters;
  /** Leases taken away from dead sessions so far. */
  readonly lostAttempts: number;
  /** Attempts that failed and were, or will be, tried again. */
  readonly retries: number;
  /** Outcomes refused because the lease had passed on. */
  readonly refusedOutcomes: number;
  readonly verification?: VerificationReport;
  readonly firstFailure?: Failure;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly meta?: string;
}

export interface ListExecutionsParams {
  readonly states?: readonly ExecutionState[];
  /** Executions whose id starts with this. */
  readonly idPrefix?: string;
  readonly limit: number;
  /** From the reply before; absent: from the newest. */
  readonly before?: string;
}

export interface ListExecutionsReply {
  readonly executions: readonly ExecutionView[];
  /** Pass as `before` for the next page; absent on the last page. */
  readonly next?: string;
}

export interface TaskView {
  readonly executionId: string;
  readonly task: number;
  readonly name: string;
  readonly pool: string;
  readonly state: TaskState;
  /** Items of an array by state; absent for a separate task. */
  readonly items?: Counters;
  /** Attempts and losses are those of a separate task; 0 for an array, whose ranges count for themselves. */
  readonly attempts: number;
  readonly failures: number;
  readonly losses: number;
  readonly worker?: string;
  readonly lastFailure?: Failure;
  readonly notBefore?: number;
  readonly result?: string;
}

export interface ListTasksParams {
  readonly executionId: string;
  readonly states?: readonly TaskState[];
  readonly limit: number;
  /** Tasks with a higher number than this. */
  readonly after?: number;
}

/** A dead letter: a task, or items of an array, that will not be retried by itself. */
export interface DeadLetter {
  readonly executionId: string;
  readonly task: number;
  /** Item range of an array, end exclusive. */
  readonly start?: number;
  readonly end?: number;
  readonly failures: number;
  readonly losses: number;
  readonly failure: Failure;
  readonly at: number;
}

export interface ReadResultsParams {
  readonly executionId: string;
  /** From the reply before; absent: from the first. */
  readonly cursor?: number;
  /** Most rows; a chunk is one row. At most MAX_PAGE. Fewer when their texts reach MAX_REPLY_PAYLOAD. */
  readonly limit: number;
  /** If there is nothing new and the execution runs, wait this long. */
  readonly waitMs?: number;
  /** Leave the values out: for merging aggregates. */
  readonly partialsOnly?: boolean;
}

/** One commit, in commit order. */
export interface ResultRow {
  readonly task: number;
  /** Range of a chunk, end exclusive. */
  readonly start?: number;
  readonly end?: number;
  /** JSON text of a separate task's result. */
  readonly result?: string;
  /** JSON text of an array: one entry per item of the chunk, in order. */
  readonly values?: string;
  readonly partial?: string;
  /** Items of the range that have no result in this row: they failed and were retried by themselves. */
  readonly missing?: readonly number[];
  readonly worker: string;
  readonly attempt: number;
  readonly durationMs: number;
  readonly at: number;
}

export interface ReadResultsReply {
  readonly rows: readonly ResultRow[];
  readonly cursor: number;
  /** The execution has ended and the cursor is at its end. */
  readonly done: boolean;
}

/**
 * A transition of an execution, a session, or one or more items. Not told one by one: the first state
 * of a task (its execution's first event says that it is there), the falling due of a delayed group,
 * and items that were cancelled because their execution ended.
 */
export interface BrokerEvent {
  /** Ascending; a reader continues with the last one it has seen. */
  readonly cursor: number;
  readonly at: number;
  readonly executionId?: string;
  readonly change: EventChange;
}

export type EventChange =
  | { readonly kind: "execution"; readonly state: ExecutionState; readonly reason?: string }
  /** `tasks`: separate tasks as number, chunks as [task, start, end]. */
  | {
      readonly kind: "tasks";
      readonly state: TaskState;
      readonly tasks: readonly (number | readonly [task: number, start: number, end: number])[];
      readonly worker?: string;
      /** Why they moved, where the state alone does not tell: `lost`, `returned`, `retry`, `released`. */
      readonly reason?: string;
    }
  | {
      readonly kind: "session";
      readonly session: string;
      readonly worker: string;
      readonly state: "opened" | "left" | "lost";
    };

export interface ReadEventsParams {
  /** Events after this one. 0: from the oldest kept. */
  readonly cursor: number;
  readonly executionId?: string;
  readonly limit: number;
  readonly waitMs?: number;
}

export interface ReadEventsReply {
  readonly events: readonly BrokerEvent[];
  readonly cursor: number;
}

export interface SessionView extends WorkerProfile {
  readonly session: string;
  readonly state: "live" | "draining" | "left" | "lost";
  readonly openedAt: number;
  readonly lastSeenAt: number;
  readonly leases: number;
  /** Items committed in this session. */
  readonly completed: number;
}

export interface PoolView {
  readonly pool: string;
  readonly paused: boolean;
  readonly queued: number;
  readonly running: number;
  readonly sessions: number;
}

export interface AttemptLog {
  readonly task: number;
  readonly start?: number;
  readonly end?: number;
  readonly attempt: number;
  readonly worker: string;
  readonly outcome: "completed" | "failed" | "lost" | "returned";
  readonly failure?: Failure;
  readonly output?: CapturedOutput;
  readonly at: number;
  readonly durationMs?: number;
}
