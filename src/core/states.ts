/**
 * States and transitions of executions and tasks, as one table.
 *
 * Every broker moves state only along these edges; the contract suite walks them. A task that
 * stands for an array is `queued` or `running` as long as any of its items is, and ends when the
 * last item has.
 */

export const EXECUTION_STATES = ["pending", "running", "paused", "completed", "failed", "cancelled"] as const;

export type ExecutionState = (typeof EXECUTION_STATES)[number];

export const TASK_STATES = [
  "blocked",
  "scheduled",
  "queued",
  "running",
  "completed",
  "failed",
  "cancelled",
  "skipped",
] as const;

export type TaskState = (typeof TASK_STATES)[number];

/** From each execution state, the states that may follow it. */
export const EXECUTION_TRANSITIONS: Readonly<Record<ExecutionState, readonly ExecutionState[]>> = {
  pending: ["running", "paused", "completed", "failed", "cancelled"],
  running: ["paused", "completed", "failed", "cancelled"],
  paused: ["pending", "running", "completed", "failed", "cancelled"],
  completed: [],
  failed: [],
  cancelled: [],
};

/** What a person's retry or rerun adds: what has ended runs again. */
export const EXECUTION_REOPENINGS: Readonly<Record<ExecutionState, readonly ExecutionState[]>> = {
  pending: [],
  running: [],
  paused: [],
  completed: ["running"],
  failed: ["running"],
  cancelled: [],
};

/** From each task state, the states that may follow it by itself. */
export const TASK_TRANSITIONS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  blocked: ["queued", "scheduled", "cancelled", "skipped"],
  scheduled: ["queued", "cancelled"],
  queued: ["running", "cancelled"],
  running: ["completed", "failed", "queued", "scheduled", "blocked", "skipped", "cancelled"],
  completed: [],
  failed: [],
  cancelled: [],
  skipped: [],
};

/**
 * What a person's retry or rerun adds: dead letters are queued again, what was skipped because of them
 * waits again, what comes after a task that is run again waits for it, and what was cancelled because
 * its execution failed waits as it did before.
 */
export const TASK_REPLAYS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  blocked: [],
  scheduled: ["blocked"],
  queued: ["blocked"],
  running: [],
  completed: ["blocked", "queued"],
  failed: ["blocked", "queued"],
  cancelled: ["blocked", "scheduled", "queued"],
  skipped: ["blocked", "queued"],
};

/**
 * What a person's edit adds: rewired tasks wait again or no longer, held ones wait to be let go, removed
 * or skipped ones come back. (A removal skips whatever has not ended.)
 */
export const TASK_EDITS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  blocked: ["queued", "scheduled", "skipped"],
  scheduled: ["blocked", "queued", "skipped"],
  queued: ["blocked", "scheduled", "skipped"],
  running: ["blocked", "queued", "skipped"],
  completed: [],
  failed: [],
  cancelled: [],
  skipped: ["blocked", "queued", "scheduled"],
};

export const TERMINAL_EXECUTION_STATES = [
  "completed",
  "failed",
  "cancelled",
] as const satisfies readonly ExecutionState[];
export const TERMINAL_TASK_STATES = [
  "completed",
  "failed",
  "cancelled",
  "skipped",
] as const satisfies readonly TaskState[];

/** True when no further transition happens by itself. */
export function isExecutionEnded(state: ExecutionState): boolean {
  return EXECUTION_TRANSITIONS[state].length === 0;
}

/** True when the task holds a final outcome (a `failed` task is a dead letter: only a person moves it). */
export function isTaskEnded(state: TaskState): boolean {
  return (TERMINAL_TASK_STATES as readonly TaskState[]).includes(state);
}

export function canExecutionMove(from: ExecutionState, to: ExecutionState): boolean {
  return EXECUTION_TRANSITIONS[from].includes(to);
}

/** True when a person may remove the task from its execution, upon which it is skipped. */
export function canTaskBeRemoved(state: TaskState): boolean {
  return !isTaskEnded(state);
}

export function canTaskMove(from: TaskState, to: TaskState): boolean {
  return TASK_TRANSITIONS[from].includes(to);
}
