/**
 * The broker contract: the durable heart that holds executions, tasks, leases and results.
 *
 * Verbs of the domain, one params object each, plain JSON-able results; no client, key or SQL leaks
 * through. Payloads (inputs, results, handlers) are JSON *texts* that a broker stores and hands
 * over but never reads. Every timestamp is milliseconds since 1970 on the broker's clock.
 *
 * The ten promises that the contract suite (test/contract) proves on every broker:
 *  1. Committed once: an outcome counts only with the token of the current lease.
 *  2. One atomic step from outcome to result + counters + dependents released + event.
 *  3. Nothing is stranded: a lease dies with its session and its task is queued again.
 *  4. Liveness is the session's: one heartbeat renews all leases of a worker.
 *  5. Order: priority, then fair between executions, then first in first out; ageing; capabilities.
 *  6. Control is real: pause, resume, cancel.
 *  7. Repeats are harmless: every call may be sent again after a lost connection.
 *  8. The broker's clock decides.
 *  9. Everything is bounded.
 * 10. Told as it happens: every transition is an event with a cursor.
 */
import type { ChunkPlan } from "../core/chunking.ts";
import type { Failure } from "../core/failure.ts";
import type { RetryPolicy } from "../core/retry.ts";
import type { ExecutionState, TaskState } from "../core/states.ts";

// ── Submitting ────────────────────────────────────────────────────────────────────────────────

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

// ── Working ───────────────────────────────────────────────────────────────────────────────────

export interface WorkerProfile {
  /** Stable name of the worker; "different workers" of a verification are different names. */
  readonly worker: string;
  readonly host: string;
  readonly pid: number;
  readonly pools: readonly string[];
  readonly capabilities: readonly string[];
  /** Attempts it runs at the same time. */
  readonly slots: number;
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
  /** At most this many leases; a chunk is one lease. */
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
}

export interface CommitReply extends ClaimReply {
  /** One per outcome, in order. `refused`: LEASE_LOST; nothing changed. */
  readonly verdicts: readonly ("accepted" | "refused")[];
}

export interface CloseSessionParams {
  readonly session: string;
  /**
   * `left`: the worker goes in order; leases it still holds are handed back.
   * `lost`: it died (its supervisor or its socket says so); leases it held count as lost attempts.
   */
  readonly reason: "left" | "lost";
}

// ── Looking ───────────────────────────────────────────────────────────────────────────────────

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
  /** Most rows; a chunk is one row. At most MAX_PAGE. */
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

/** A transition of an execution, a session, or one or more items. */
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
  | { readonly kind: "session"; readonly session: string; readonly worker: string; readonly state: "opened" | "left" | "lost" };

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

// ── Verification ──────────────────────────────────────────────────────────────────────────────

export interface VerificationReport {
  /** Chunks in the sample so far. */
  readonly sampled: number;
  readonly agreed: number;
  readonly disagreed: number;
  /** Not compared, because no second worker could run them. */
  readonly skipped: number;
  readonly pending: number;
  /** Per worker: chunks of its own that were compared, and those whose copies differed. */
  readonly byWorker: Readonly<Record<string, { readonly compared: number; readonly disagreed: number }>>;
  /** The first MAX_DISAGREEMENTS disagreements. */
  readonly disagreements: readonly Disagreement[];
}

export interface Disagreement {
  readonly task: number;
  readonly start: number;
  readonly end: number;
  /** The first item that differs. */
  readonly item: number;
  readonly workers: readonly string[];
}

/** A sampled chunk all of whose runs are in. */
export interface PendingVerification {
  readonly executionId: string;
  readonly task: number;
  readonly start: number;
  readonly end: number;
  readonly tolerance: number;
  /** The chunk's own run first. `values` is the JSON text of an array, in item order. */
  readonly copies: readonly { readonly worker: string; readonly values: string }[];
}

export interface VerificationVerdict {
  readonly executionId: string;
  readonly task: number;
  readonly start: number;
  /** Absent: all copies agree. Else the first item that differs and the workers that are not with the majority. */
  readonly disagreement?: { readonly item: number; readonly workers: readonly string[] };
}

// ── Duties (called by the coordinator) ────────────────────────────────────────────────────────

export interface LeadParams {
  /** Name of the lease, one per duty list. */
  readonly lease: string;
  readonly holder: string;
  readonly ttlMs: number;
}

export interface LeadReply {
  readonly leader: boolean;
  /** Grows with every change of leader. */
  readonly term: number;
}

export interface DutyParams {
  /** Most entries to handle in this call. */
  readonly limit: number;
}

export interface DutyReply {
  readonly handled: number;
  /** More is waiting already. */
  readonly more: boolean;
  /** When the next entry falls due, on the broker's clock, if known. */
  readonly nextAt?: number;
}

// ── The contract ──────────────────────────────────────────────────────────────────────────────

export interface BrokerFeatures {
  /** For messages only: `sqlite`, `redis`, `remote`. Nothing may branch on it. */
  readonly name: string;
  /** An acknowledged call survives the death of every process. */
  readonly durable: boolean;
  /** Whether this process must run the coordinator's duties for the broker to keep its promises. */
  readonly needsCoordinator: boolean;
}

export interface Broker {
  readonly features: BrokerFeatures;

  /** Errors: INVALID_REQUEST, PAYLOAD_TOO_LARGE, BATCH_TOO_LARGE, KEY_CONFLICT, QUEUE_FULL, STORE_FULL. All or nothing. */
  submit(params: SubmitParams): Promise<{ readonly executions: readonly SubmitReceipt[] }>;
  /** Errors: EXECUTION_NOT_FOUND, EXECUTION_SEALED, EXECUTION_ENDED and those of submit. */
  extend(params: ExtendParams): Promise<{ readonly total: number }>;
  /** No new claims; running attempts finish. Errors: EXECUTION_NOT_FOUND, EXECUTION_ENDED. */
  pause(params: { readonly executionId: string }): Promise<ExecutionView>;
  resume(params: { readonly executionId: string }): Promise<ExecutionView>;
  /** Ends the execution now; running attempts are told by directive and their outcomes refused. */
  cancel(params: { readonly executionId: string; readonly reason?: string }): Promise<ExecutionView>;
  pausePool(params: { readonly pool: string }): Promise<PoolView>;
  resumePool(params: { readonly pool: string }): Promise<PoolView>;

  openSession(params: WorkerProfile): Promise<OpenSessionReply>;
  /** Errors: SESSION_LOST (as for claim and commit). */
  heartbeat(params: HeartbeatParams): Promise<Directives>;
  claim(params: ClaimParams): Promise<ClaimReply>;
  commit(params: CommitParams): Promise<CommitReply>;
  /** Without effect when the session is gone already. */
  closeSession(params: CloseSessionParams): Promise<void>;
  /** Asks a live worker to finish and leave. */
  drainSession(params: { readonly session: string }): Promise<void>;

  getExecution(params: { readonly executionId: string }): Promise<ExecutionView>;
  listExecutions(params: ListExecutionsParams): Promise<ListExecutionsReply>;
  listTasks(params: ListTasksParams): Promise<{ readonly tasks: readonly TaskView[] }>;
  listDeadLetters(params: { readonly executionId: string; readonly limit: number }): Promise<{ readonly letters: readonly DeadLetter[] }>;
  listAttempts(params: { readonly executionId: string; readonly task?: number; readonly limit: number }): Promise<{ readonly attempts: readonly AttemptLog[] }>;
  readResults(params: ReadResultsParams): Promise<ReadResultsReply>;
  readEvents(params: ReadEventsParams): Promise<ReadEventsReply>;
  listSessions(params: { readonly limit: number }): Promise<{ readonly sessions: readonly SessionView[] }>;
  listPools(): Promise<{ readonly pools: readonly PoolView[] }>;

  /** Takes, renews or watches a leader lease. */
  lead(params: LeadParams): Promise<LeadReply>;
  /** Declares silent sessions dead and queues their tasks again. */
  reapSessions(params: DutyParams): Promise<DutyReply>;
  /** Queues scheduled tasks that are due. */
  promoteDue(params: DutyParams): Promise<DutyReply>;
  /** Takes leases back whose attempt has outlived its timeout by more than a worker needs to report it. */
  reapOverdue(params: DutyParams): Promise<DutyReply>;
  /** Deletes ended executions past their retention, and events, sessions and attempts with them. */
  purge(params: DutyParams): Promise<DutyReply>;
  /** Gives up verifications that no second worker can run; lists those that can be judged. */
  pendingVerifications(params: DutyParams): Promise<{ readonly pending: readonly PendingVerification[] }>;
  judgeVerifications(params: { readonly verdicts: readonly VerificationVerdict[] }): Promise<void>;

  /** Answers what is under way, then lets go of the store. Idempotent. */
  close(): Promise<void>;
}

/** The calls that travel: all verbs of the contract but `close`. */
export type BrokerMethod = Exclude<keyof Broker, "features" | "close">;

export const BROKER_METHODS = [
  "submit",
  "extend",
  "pause",
  "resume",
  "cancel",
  "pausePool",
  "resumePool",
  "openSession",
  "heartbeat",
  "claim",
  "commit",
  "closeSession",
  "drainSession",
  "getExecution",
  "listExecutions",
  "listTasks",
  "listDeadLetters",
  "listAttempts",
  "readResults",
  "readEvents",
  "listSessions",
  "listPools",
  "lead",
  "reapSessions",
  "promoteDue",
  "reapOverdue",
  "purge",
  "pendingVerifications",
  "judgeVerifications",
] as const satisfies readonly BrokerMethod[];
