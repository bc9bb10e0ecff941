/** What people change about executions that are there. */
import type { TaskState } from "../../core/states.ts";
import type { ExecutionView } from "./looking.ts";
import type { TaskGroup } from "./submitting.ts";

export interface SteerParams {
  readonly executionId: string;
  /** Who wants it, for those who ask later why nothing runs. */
  readonly by?: string;
}

/** The name under which `pausePool` and `resumePool` mean every pool, those to come included. */
export const ALL_POOLS = "*";

/** A named value that tasks of the execution may wait for. */
export interface SignalParams {
  readonly executionId: string;
  readonly signal: string;
  /** JSON text. */
  readonly payload: string;
}

export interface SignalReply {
  /** False: it was given before, with another payload, which stays. The same again changes nothing. */
  readonly accepted: boolean;
  /** Tasks that go on because of it. */
  readonly released: number;
}

export interface LimitPoolParams {
  readonly pool: string;
  /** Workers that it should have: fewer are told by those who look. 0: none. */
  readonly min: number;
  /** Of its workers only so many get its work, those that came first; the others stand by for one to leave. Absent: all. */
  readonly max?: number;
}

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

// ── Edits ─────────────────────────────────────────────────────────────────────────────────────

export type Edit = PriorityEdit | AdditionEdit | RemovalEdit | RewireEdit | RankEdit | HoldEdit | UnholdEdit | UndoEdit;

export interface PriorityEdit {
  readonly kind: "priority";
  /** 1…10. */
  readonly priority: number;
}

/** More tasks, also for an execution that takes no more parts. They get the next numbers, in the order given. */
export interface AdditionEdit {
  readonly kind: "add";
  /**
   * Separate tasks only. `after` may name any task of the execution and those of this call before its
   * own: a parent that has completed is none to wait for; because of one that failed, was skipped or
   * is removed by this call, the task is skipped.
   */
  readonly groups: readonly TaskGroup[];
}

/** Tasks that are not wanted any more. */
export interface RemovalEdit {
  readonly kind: "remove";
  /**
   * Separate tasks. They become `skipped`, for good: neither retry nor rerun brings them back. An attempt
   * that runs is stopped by directive and its outcome refused; what comes after them is skipped. Those
   * that have ended are passed over.
   */
  readonly tasks: readonly number[];
}

/**
 * A task gets other parents. It must not have ended (`skipped` because of a parent is allowed, and it waits
 * again), nor be an array. A running attempt is stopped, and the task runs again when its parents have completed.
 */
export interface RewireEdit {
  readonly kind: "rewire";
  readonly task: number;
  /** All its parents from now on. Any task of the execution that does not come after it, and any that this call adds. */
  readonly after: readonly number[];
}

/** Separate tasks get other ranks (TaskList.ranks). Those that have ended are passed over. */
export interface RankEdit {
  readonly kind: "rank";
  readonly tasks: readonly number[];
  /** One per task. */
  readonly ranks: readonly number[];
}

/** Separate tasks are not started until they are let go; what runs, runs on. A held task is `blocked` where it would be `queued`. */
export interface HoldEdit {
  readonly kind: "hold";
  readonly tasks: readonly number[];
}

export interface UnholdEdit {
  readonly kind: "unhold";
  readonly tasks: readonly number[];
}

/**
 * Takes the execution's last edit back: alone in its call, and only once. Tasks that it removed, or skipped,
 * come back and run (again); tasks that it added are removed; priority, ranks, holds and parents are as before.
 * Where that cannot be done any more (an added task has completed, a rewired one has ended): EDIT_CONFLICT.
 */
export interface UndoEdit {
  readonly kind: "undo";
}

export interface EditParams {
  readonly executionId: string;
  /**
   * One step, whatever their order: tasks are removed first, then added, then rewired, ranked, held, let go.
   * At most one priority; a task may be rewired once.
   */
  readonly edits: readonly Edit[];
  /** False: nothing is changed, the reply says what would be. */
  readonly apply: boolean;
  /**
   * With `apply`: of the preview. It is done only if it does what that one said. The version of the
   * execution's last edit is answered as that edit was, and changes nothing. Absent: whatever it does.
   */
  readonly version?: string;
  /** Names this edit of the execution. The same again is answered as the first time, and changes nothing. */
  readonly editId?: string;
}

/** What an edit does, or would do. */
export interface EditChanges {
  readonly priority?: { readonly from: number; readonly to: number };
  /** Tasks that are added, `firstAdded` and those that follow it; among them those that are skipped at once. */
  readonly added: number;
  readonly firstAdded?: number;
  readonly addedSkipped: number;
  /** Tasks that are removed, and what they were: the first MAX_CHANGES_TOLD of them, and how many there are. */
  readonly removed: readonly { readonly task: number; readonly state: TaskState }[];
  readonly removedCount: number;
  /** Tasks that are skipped because they come after those, likewise. */
  readonly skipped: readonly number[];
  readonly skippedCount: number;
  /** Tasks that get other parents; among them those whose running attempt is stopped, to run again: `rerun`. */
  readonly rewired: number;
  readonly rerun: readonly number[];
  readonly rerunCount: number;
  /** Tasks whose rank changes; that are held from now on; that are let go. */
  readonly ranked: number;
  readonly held: number;
  readonly unheld: number;
  /** Tasks that had been removed or skipped and come back: by an undo, or because they are rewired. */
  readonly restored: readonly number[];
  readonly restoredCount: number;
  /** The execution ends by it, because nothing is left to do. */
  readonly ends?: "completed" | "failed";
}

export interface EditReply {
  /** Stands for the edits and all that they do: the same while they would do the same. */
  readonly version: string;
  readonly changes: EditChanges;
  /** As it is now. */
  readonly execution: ExecutionView;
}
