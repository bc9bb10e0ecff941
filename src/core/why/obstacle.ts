/** What may keep a task from running, one entry per code; and what is said about each. */
import type { Failure } from "../failure.ts";
import type { ExecutionState, TaskState } from "../states.ts";

export interface ItemCountsOpen {
  readonly queued: number;
  readonly scheduled: number;
  readonly running: number;
  readonly failed: number;
  readonly total: number;
}

/** A task, as a broker shows it. */
export interface TaskLook {
  readonly executionId: string;
  readonly task: number;
  readonly name: string;
  readonly pool: string;
  readonly state: TaskState;
  /** Of an array. */
  readonly items?: ItemCountsOpen;
  readonly failures: number;
  readonly losses: number;
  readonly worker?: string;
  readonly lastFailure?: Failure;
  readonly notBefore?: number;
  /** Skipped because a person removed it. */
  readonly removed?: boolean;
  /** Its name among those of its execution, where it has one. */
  readonly label?: string;
  readonly attempts?: number;
  readonly held?: boolean;
  readonly suspended?: { readonly until: "delay" | "signal" | "tasks"; readonly signal?: string };
}

interface PauseLook {
  readonly by?: string;
  readonly at: number;
}

/** All that a broker knows of why a task does not run. */
export interface FactsLook {
  readonly task: TaskLook;
  readonly execution: {
    readonly executionId: string;
    readonly state: ExecutionState;
    readonly paused?: PauseLook;
  };
  readonly requires: readonly string[];
  readonly pool: {
    readonly pool: string;
    readonly paused: boolean;
    readonly pause?: PauseLook;
    /** Workers that get its work at most: the first that opened their sessions. */
    readonly max?: number;
  };
  readonly waitsFor: readonly Parent[];
  readonly waitsForCount: number;
  /** Items that come first. */
  readonly ahead: number;
  readonly notBefore?: number;
  /** While it runs. */
  readonly runningSince?: number;
  /** Retries that its policy allows. */
  readonly retryLimit?: number;
}

/** A live worker. */
export interface WorkerLook {
  readonly worker: string;
  readonly pools: readonly string[];
  readonly capabilities: readonly string[];
  readonly slots: number;
  readonly leases: number;
  readonly state: string;
  readonly openedAt?: number;
}

export interface Parent {
  readonly task: number;
  readonly name: string;
  readonly label?: string;
  readonly state: TaskState;
}

export type Obstacle =
  | {
      readonly code: "ended";
      readonly state: "completed" | "cancelled" | "skipped";
      /** Of a task that was skipped: those that it needed and that did not complete, as far as they are told. */
      readonly parents: readonly Parent[];
    }
  | {
      readonly code: "dead-letter";
      readonly failures: number;
      readonly losses: number;
      readonly failure?: Failure;
      /** Dead items of an array. */
      readonly items?: number;
    }
  | {
      readonly code: "running";
      readonly worker?: string;
      readonly since?: number;
      /** Of an array: how many items run, and how many of it wait. */
      readonly items?: { readonly running: number; readonly waiting: number };
    }
  | { readonly code: "execution-paused"; readonly by?: string; readonly since?: number }
  | { readonly code: "pool-paused"; readonly pool: string; readonly by?: string; readonly since?: number }
  | { readonly code: "waits-for-parents"; readonly parents: readonly Parent[]; readonly more: number }
  | { readonly code: "held" }
  /** It has suspended itself: for a time, for a signal, for tasks that it has added. */
  | { readonly code: "sleeping"; readonly until: number }
  | { readonly code: "waits-for-signal"; readonly signal: string; readonly until?: number }
  | { readonly code: "waits-for-added"; readonly parents: readonly Parent[]; readonly more: number }
  /** It is there for when something fails. */
  | { readonly code: "waits-for-failure" }
  | { readonly code: "delayed"; readonly until: number }
  | {
      readonly code: "backing-off";
      readonly until: number;
      readonly failures: number;
      /** Attempts that may fail before it is given up. */
      readonly limit?: number;
      readonly failure?: Failure;
    }
  | { readonly code: "no-worker"; readonly pool: string; readonly otherPools: readonly string[] }
  | {
      readonly code: "no-capable-worker";
      readonly pool: string;
      /** What no worker of the pool has; all that is required, where each has a part of it. */
      readonly missing: readonly string[];
      readonly requires: readonly string[];
      readonly workers: readonly string[];
      readonly workerCount: number;
    }
  | {
      /** Those that could run it stand by. */
      readonly code: "pool-full";
      readonly pool: string;
      readonly max: number;
      readonly workers: readonly string[];
      readonly workerCount: number;
    }
  | {
      readonly code: "workers-draining";
      readonly pool: string;
      readonly requires: readonly string[];
      readonly workers: readonly string[];
      readonly workerCount: number;
    }
  | {
      readonly code: "slots-busy" | "in-line";
      readonly pool: string;
      readonly slots: number;
      readonly busy: number;
      readonly ahead: number;
      /** Absent while nothing was measured. */
      readonly estimateMs?: number;
    }
  | { readonly code: "next-in-line"; readonly pool: string; readonly freeSlots: number };

export type WhyCode = Obstacle["code"];

/** An obstacle in words: what it is, and what would have the task start. */
export type Reason = Obstacle & { readonly sentence: string; readonly startsWhen: string };

/** The strongest reason, and those that would keep the task waiting even without it. */
export type Why = Reason & { readonly also: readonly Reason[] };
