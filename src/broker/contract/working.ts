/** What workers and brokers say to each other. */
import type { Failure } from "../../core/failure.ts";
import type { TaskGroup } from "./submitting.ts";

export interface WorkerProfile {
  /** Stable name of the worker; "different workers" of a verification are different names. */
  readonly worker: string;
  readonly host: string;
  readonly pid: number;
  readonly pools: readonly string[];
  readonly capabilities: readonly string[];
  /** Attempts it runs at the same time. */
  readonly slots: number;
  /** JSON text about the machine, for those who look. */
  readonly meta?: string;
  /**
   * A server speaks for this worker and watches its connection: that the server dies does not mean
   * that the worker has. Without, the store may take a lost connection for the worker's death.
   */
  readonly hosted?: boolean;
}

export interface OpenSessionReply {
  readonly session: string;
  /** Send a heartbeat this often. */
  readonly heartbeatMs: number;
  /** After this much silence the session is dead. */
  readonly deadAfterMs: number;
}

export interface HeartbeatParams {
  readonly session: string;
  /** Attempts running now. */
  readonly running: number;
}

/** What a worker must do; carried by every reply to its session. */
export interface Directives {
  /** Leases to stop: abort, and kill after the grace time. Their outcomes no longer count. */
  readonly cancel: readonly LeaseRef[];
  /** Finish what runs, claim nothing more, leave. */
  readonly drain: boolean;
}

/** Names one attempt. */
export interface LeaseRef {
  readonly executionId: string;
  readonly task: number;
  /** First item of the chunk; only for arrays. */
  readonly start?: number;
  /** 1 and up for replicas of a verified chunk; absent for the chunk itself. */
  readonly replica?: number;
  /** The fencing token: opaque, never given out twice for one task. */
  readonly token: string;
}

/** The right, and all that is needed, to run one attempt. */
export interface Lease extends LeaseRef {
  /** Key into ClaimReply.specs. */
  readonly spec: string;
  /** 1 for the first try. Counts failures and losses alike. */
  readonly attempt: number;
  /** End of the chunk, exclusive; only for arrays. */
  readonly end?: number;
  /** JSON text; only for separate tasks. */
  readonly input?: string;
  /** Results of the parents by task number, as JSON texts; only where there are parents. */
  readonly parents?: Readonly<Record<number, string>>;
  /** The runner must announce every item before it starts, because an earlier attempt died on one. */
  readonly careful?: boolean;
  /** The task's name (TaskList.labels). */
  readonly label?: string;
  /** The task has suspended itself before and goes on. A later attempt of the same stretch gets the same. */
  readonly resumed?: Resumption;
}

/** What a task that goes on finds. */
export interface Resumption {
  /** JSON text, of the suspension. */
  readonly state: string;
  /** JSON text, the signal's payload; absent where it waited for something else, and when the time was over first. */
  readonly signal?: string;
  /** First of the tasks that it has added; their results are in `parents`, but of those that failed and were to. */
  readonly first?: number;
  readonly count?: number;
}

/** What all leases of one task group share. */
export interface LeaseSpec {
  readonly name: string;
  readonly handler: string;
  readonly source?: string;
  readonly results?: "keep" | "discard";
  readonly timeoutMs?: number;
  readonly memoryLimitMb?: number;
}

export interface ClaimRequest {
  /** At most this many leases; a chunk is one lease. Fewer when their texts reach MAX_REPLY_PAYLOAD. */
  readonly max: number;
  /** Wait this long for work if there is none. 0: answer at once. At most MAX_WAIT_MS. */
  readonly waitMs: number;
}

export interface ClaimParams extends ClaimRequest {
  readonly session: string;
}

export interface ClaimReply extends Directives {
  readonly leases: readonly Lease[];
  readonly specs: Readonly<Record<string, LeaseSpec>>;
}

export type Outcome =
  | CompletedTask
  | CompletedChunk
  | FailedAttempt
  | SkippedTask
  | SuspendedTask
  /** Handed back unfinished (drain, prefetched but not started): no failure, no loss, runs again at once. */
  | { readonly kind: "returned"; readonly lease: LeaseRef };

interface RanAttempt {
  readonly lease: LeaseRef;
  readonly durationMs: number;
  readonly output?: CapturedOutput;
}

export interface CompletedTask extends RanAttempt {
  readonly kind: "completed";
  /** JSON text. */
  readonly result: string;
}

export interface CompletedChunk extends RanAttempt {
  readonly kind: "chunk";
  /** JSON text of an array: one entry per item in order, `null` for failed ones; absent when results are discarded. */
  readonly values?: string;
  /** JSON text: the chunk's aggregate, to be merged with the others. Covers only items that succeeded. */
  readonly partial?: string;
  /** Items that failed, ascending; each is retried by itself. */
  readonly failures: readonly ItemFailure[];
}

export interface ItemFailure {
  readonly item: number;
  readonly failure: Failure;
}

export interface FailedAttempt extends RanAttempt {
  readonly kind: "failed";
  readonly failure: Failure;
  /**
   * For chunks: the item that was running when the attempt died, if known. Known: that item alone
   * is charged and the rest runs again at once. Unknown: the chunk runs again carefully.
   */
  readonly culprit?: number;
}

/** The task's own condition says that it is not to run: it is `skipped`. Separate tasks only. */
export interface SkippedTask extends RanAttempt {
  readonly kind: "skipped";
  /** What comes after it is skipped too, or starts as if it had completed, with no result of it. */
  readonly dependents: "skip" | "release";
}

/**
 * The attempt ends, and the task goes on in another one when there is something to go on for. It holds
 * no worker meanwhile. Neither a failure nor a loss. Separate tasks only.
 */
export interface SuspendedTask extends RanAttempt {
  readonly kind: "suspended";
  /** JSON text, handed back when it goes on. */
  readonly state: string;
  readonly until: Awakening;
}

export type Awakening =
  /** `scheduled` for this long on the broker's clock, milliseconds. */
  | { readonly kind: "delay"; readonly delayMs: number }
  /** `blocked` until the execution gets the signal, at once if it has; `scheduled` if it waits no longer than `timeoutMs`. */
  | { readonly kind: "signal"; readonly signal: string; readonly timeoutMs?: number }
  /**
   * `blocked` until these have completed; they get the next numbers of the execution. Separate tasks.
   * `after` counts from the first of them (0), and names lower ones. If one fails for good and its
   * `onFailure` is not `continue`, the task is skipped, as for any parent. While the execution is open
   * the next numbers are its submitter's: then the attempt counts for nothing, and the task is
   * `scheduled` to be run again as it was, OPEN_AGAIN_MS later.
   */
  | { readonly kind: "tasks"; readonly groups: readonly TaskGroup[] };

/** What the user's code wrote, each cut to MAX_OUTPUT_BYTES (the end is kept). */
export interface CapturedOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
}

export interface CommitParams {
  readonly session: string;
  readonly outcomes: readonly Outcome[];
  /** Claims in the same step. */
  readonly claim?: ClaimRequest;
  /** False: said in the worker's place by somebody who does not know whether it lives, so it is no sign of life. */
  readonly isSign?: boolean;
}

export interface CommitReply extends ClaimReply {
  /** One per outcome, in order. `refused`: LEASE_LOST; nothing changed. */
  readonly verdicts: readonly ("accepted" | "refused")[];
}

export interface ReconcileParams {
  readonly session: string;
  /** All leases that the session knows of; at most MAX_HELD. */
  readonly held: readonly LeaseRef[];
}

export interface ReconcileReply {
  /** Leases handed back because the session does not know of them. */
  readonly returned: number;
  /** Those of `held` that the session does not hold: outcomes for them will not count. */
  readonly lost: readonly LeaseRef[];
}

export interface CloseSessionParams {
  readonly session: string;
  /**
   * `left`: the worker goes in order; leases it still holds are handed back.
   * `lost`: it died (its supervisor or its socket says so); leases it held count as lost attempts.
   */
  readonly reason: "left" | "lost";
  /**
   * Only if the session has not been heard of for this long, milliseconds: whoever lost sight of a
   * worker may not know that it goes on elsewhere. Absent: in any case.
   */
  readonly silentForMs?: number;
}
