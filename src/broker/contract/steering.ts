/** What people change about executions that are there. */
import type { ExecutionView } from "./looking.ts";

export interface SteerParams {
  readonly executionId: string;
  /** Who wants it, for those who ask later why nothing runs. */
  readonly by?: string;
}

/** The name under which `pausePool` and `resumePool` mean every pool, those to come included. */
export const ALL_POOLS = "*";

export interface SteerPoolParams {
  /** ALL_POOLS: every pool; the reply tells of them in sum. A pool runs when neither it nor every pool is paused. */
  readonly pool: string;
  readonly by?: string;
}

/** Names a dead letter: a task, or the range of an array that starts at an item. */
export interface LetterRef {
  readonly task: number;
  /** First item of the range; only for arrays. */
  readonly start?: number;
}

export interface LettersParams {
  readonly executionId: string;
  /** Absent: all dead letters of the execution. What is no dead letter (any more) is passed over. At most MAX_PAGE. */
  readonly letters?: readonly LetterRef[];
}

export interface LettersReply {
  /** Items that were dead and are no longer. */
  readonly changed: number;
  readonly execution: ExecutionView;
}

export interface RerunParams {
  readonly executionId: string;
  /** This separate task, and all that come after it, are run again; all others keep their results. */
  readonly task: number;
}

export interface RerunReply {
  /** Tasks that will be run again. */
  readonly reset: number;
  readonly execution: ExecutionView;
}
