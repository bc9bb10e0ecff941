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
  /** While it is paused. */
  readonly paused?: Pause;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly meta?: string;
}

/** Who stopped claims, and when. Pausing what is paused changes neither. */
export interface Pause {
  readonly by?: string;
  readonly at: number;
}

export interface GetExecutionParams {
  readonly executionId: string;
  /** If it has not ended, wait this long for its end. */
  readonly waitMs?: number;
}

export interface ListExecutionsParams {
  readonly states?: readonly ExecutionState[];
  readonly kinds?: readonly ExecutionKind[];
  /** Executions whose name contains this. */
  readonly name?: string;
  /** Default `newest` first. */
  readonly order?: "newest" | "oldest";
  /** Executions whose id starts with this. */
  readonly idPrefix?: string;
  readonly limit: number;
  /** The reply's `next` before; absent: from the first in that order. */
  readonly after?: string;
}

export interface ListExecutionsReply {
  readonly executions: readonly ExecutionView[];
  /** Pass as `after` for the next page; absent on the last page. A page may be short, even empty, and have one. */
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
  /** Skipped because a person removed it. */
  readonly removed?: boolean;
  /** Its name (TaskList.labels). */
  readonly label?: string;
  /** Above 0 (TaskList.ranks). */
  readonly rank?: number;
  /** Of the attempt that completed it. */
  readonly durationMs?: number;
  /** Not started until it is let go. */
  readonly held?: boolean;
  /** It has suspended itself, and waits for this. */
  readonly suspended?: { readonly until: "delay" | "signal" | "tasks"; readonly signal?: string };
  /** Tasks that wait for it, or did; where the call asked for them, of an execution that has not ended. */
  readonly children?: readonly number[];
}

export interface ListTasksParams {
  readonly executionId: string;
  readonly states?: readonly TaskState[];
  readonly limit: number;
  /** Tasks with a higher number than this. */
  readonly after?: number;
  readonly children?: boolean;
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
  /** JSON text of a separate task's input, where the call asked for inputs. */
  readonly input?: string;
}

export interface ListDeadLettersParams {
  /** Absent: of all executions that are kept. */
  readonly executionId?: string;
  readonly inputs?: boolean;
  /** Fewer when inputs reach MAX_REPLY_PAYLOAD. */
  readonly limit: number;
  /** The reply's `next` before. */
  readonly after?: string;
}

export interface ListDeadLettersReply {
  readonly letters: readonly DeadLetter[];
  /** Pass as `after` for the next page; absent on the last page. A page may be short, even empty, and have one. */
  readonly next?: string;
}

/** All that decides why a task does not run, but for the workers that are there (listSessions). */
export interface TaskFacts {
  readonly task: TaskView;
  readonly execution: Pick<ExecutionView, "executionId" | "name" | "state" | "priority" | "paused">;
  /** Capabilities that a worker must all have. */
  readonly requires: readonly string[];
  /** Name, state and counts of its pool; `paused` also when every pool is. */
  readonly pool: PoolView;
  /** Tasks that must complete first and have not: the first MAX_PARENTS_TOLD of them, and how many there are. */
  readonly waitsFor: readonly Pick<TaskView, "task" | "name" | "state" | "label">[];
  readonly waitsForCount: number;
  /**
   * About how many items of its pool come first: those of more urgent executions, those that are
   * ahead in its own, and its fair share of the turns of those as urgent.
   */
  readonly ahead: number;
  /** Starts not before this: a delay or a backoff. */
  readonly notBefore?: number;
  /** While a separate task runs: since when. */
  readonly runningSince?: number;
  /** Retries that its policy allows after the first attempt. */
  readonly retryLimit?: number;
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
 * items that were cancelled because their execution ended, and those of them that wait as before when
 * it runs again.
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
      /**
       * Why they moved, where the state alone does not tell: `lost`, `returned`, `retry`, `due`, `released`,
       * `condition` (skipped by itself), `suspended`, `signal` (it came); by hand: `replayed` (retry), `rerun`,
       * `removed`, `rewired`, `held`, `unheld`, `undone` (edits), `reopened` (they ran or backed off when their
       * execution failed).
       */
      readonly reason?: string;
    }
  | {
      readonly kind: "session";
      readonly session: string;
      readonly worker: string;
      readonly state: "opened" | "left" | "lost";
    };

/** In place of a cursor. */
export const FROM_NOW = -1;

export interface ReadEventsParams {
  /** Events after this one. 0: from the oldest kept; FROM_NOW: none yet, answered at once with the cursor of the newest. */
  readonly cursor: number;
  readonly executionId?: string;
  readonly limit: number;
  readonly waitMs?: number;
}

export interface ReadEventsReply {
  readonly events: readonly BrokerEvent[];
  readonly cursor: number;
}

export interface ListSessionsParams {
  readonly limit: number;
  /** Only those that live. Default: live ones first, then those that ended last. */
  readonly live?: boolean;
  /** The reply's `next` before. */
  readonly after?: string;
}

export interface ListSessionsReply {
  readonly sessions: readonly SessionView[];
  /** Pass as `after` for the next page of live sessions; absent when there are no more. */
  readonly next?: string;
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
  /** Itself, or as one of all pools. */
  readonly paused: boolean;
  readonly pause?: Pause;
  /** Items by state now, of executions that have not ended. */
  readonly blocked: number;
  readonly scheduled: number;
  readonly queued: number;
  readonly running: number;
  /** Items that ended so since the store was made; one that is run again by hand may end more than once. */
  readonly completed: number;
  readonly failed: number;
  /** Live workers that serve it, and their slots in sum. */
  readonly sessions: number;
  readonly slots: number;
  /** Of those, the ones that stand by because the pool has its `max`. */
  readonly standby: number;
  /** LimitPoolParams. */
  readonly min: number;
  readonly max?: number;
}

export interface AttemptLog {
  readonly task: number;
  readonly start?: number;
  readonly end?: number;
  readonly attempt: number;
  readonly worker: string;
  readonly outcome: "completed" | "failed" | "lost" | "returned" | "skipped" | "suspended";
  readonly failure?: Failure;
  readonly output?: CapturedOutput;
  readonly at: number;
  readonly durationMs?: number;
}
