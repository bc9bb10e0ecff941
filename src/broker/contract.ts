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
 *  5. Order: priority, then fair between executions, then by rank and first in first out; ageing; capabilities. An
 *     execution whose work was lost with a worker has the next turn among its equals.
 *  6. Control is real: pause, resume, cancel.
 *  7. Repeats are harmless: every call may be sent again after a lost connection.
 *  8. The broker's clock decides.
 *  9. Everything is bounded.
 * 10. Told as it happens: every transition is an event with a cursor.
 */
import type { DutyParams, DutyReply, LeadParams, LeadReply } from "./contract/duties.ts";
import type {
  AttemptLog,
  ExecutionView,
  GetExecutionParams,
  ListDeadLettersParams,
  ListDeadLettersReply,
  ListExecutionsParams,
  ListExecutionsReply,
  ListSessionsParams,
  ListSessionsReply,
  ListTasksParams,
  PoolView,
  ReadEventsParams,
  ReadEventsReply,
  ReadResultsParams,
  ReadResultsReply,
  TaskFacts,
  TaskView,
} from "./contract/looking.ts";
import type {
  AcquireLockParams,
  AcquireLockReply,
  CheckpointInfo,
  CheckpointView,
  DeleteCheckpointsParams,
  DeleteValueParams,
  ExtendLockParams,
  ListCheckpointsParams,
  ListLocksParams,
  ListLocksReply,
  ListValuesParams,
  ListValuesReply,
  LockGrant,
  LockView,
  ReadCheckpointParams,
  ReleaseLockParams,
  SaveCheckpointParams,
  ValueView,
  WriteValueParams,
} from "./contract/state.ts";
import type {
  EditParams,
  EditReply,
  LettersParams,
  LettersReply,
  LimitPoolParams,
  RerunParams,
  RerunReply,
  SignalParams,
  SignalReply,
  SteerParams,
  SteerPoolParams,
} from "./contract/steering.ts";
import type { ExtendParams, SubmitParams, SubmitReceipt } from "./contract/submitting.ts";
import type { PendingVerification, VerificationVerdict } from "./contract/verification.ts";
import type {
  ClaimParams,
  ClaimReply,
  CloseSessionParams,
  CommitParams,
  CommitReply,
  Directives,
  HeartbeatParams,
  OpenSessionReply,
  ReconcileParams,
  ReconcileReply,
  WorkerProfile,
} from "./contract/working.ts";

export type * from "./contract/duties.ts";
export * from "./contract/looking.ts";
export type * from "./contract/state.ts";
export * from "./contract/steering.ts";
export type * from "./contract/submitting.ts";
export type * from "./contract/verification.ts";
export type * from "./contract/working.ts";

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
  pause(params: SteerParams): Promise<ExecutionView>;
  resume(params: SteerParams): Promise<ExecutionView>;
  /** Ends the execution now; running attempts are told by directive and their outcomes refused. */
  cancel(params: { readonly executionId: string; readonly reason?: string }): Promise<ExecutionView>;
  pausePool(params: SteerPoolParams): Promise<PoolView>;
  resumePool(params: SteerPoolParams): Promise<PoolView>;
  /** Errors: INVALID_REQUEST when `max` is below `min`, or for ALL_POOLS. */
  limitPool(params: LimitPoolParams): Promise<PoolView>;
  /**
   * Gives the execution a named value, once: tasks that wait for it go on, and those that will. Errors:
   * EXECUTION_NOT_FOUND, EXECUTION_ENDED, BATCH_TOO_LARGE for more than MAX_SIGNALS.
   */
  signal(params: SignalParams): Promise<SignalReply>;
  /**
   * Dead letters are queued again, as if they had not been tried yet; attempts go on counting. Tasks
   * that were skipped because of them wait for them again. An execution that had failed runs again:
   * what was cancelled at its end waits again, and `maxFailures` does not count the letters that stay.
   * All or nothing where it is refused. Errors: EXECUTION_NOT_FOUND, EXECUTION_CANCELLED, QUEUE_FULL.
   */
  retry(params: LettersParams): Promise<LettersReply>;
  /** Dead letters are struck off the list; their tasks stay failed. Errors: EXECUTION_NOT_FOUND. */
  discard(params: LettersParams): Promise<LettersReply>;
  /**
   * A task and all its descendants lose what they have (a running attempt is stopped, a result is no
   * longer read) and run again, in order; attempts go on counting. Descendants that another dead
   * letter holds up stay skipped. Needs an execution whose inputs are kept. An ended execution runs
   * again. Errors: EXECUTION_NOT_FOUND, EXECUTION_CANCELLED, TASK_UNKNOWN, INPUTS_NOT_KEPT,
   * INVALID_REQUEST for an array and for a task that a dead letter holds up.
   */
  rerun(params: RerunParams): Promise<RerunReply>;
  /**
   * Changes an execution that has not ended: its priority, tasks added, removed, rewired, ranked, held; all or
   * nothing, in one step. Removed tasks, and those skipped because of them, do not make it fail. Errors:
   * EXECUTION_NOT_FOUND, EXECUTION_ENDED, EDIT_CONFLICT, TASK_UNKNOWN, INVALID_REQUEST for an array, and
   * those of submit for what is added.
   */
  editExecution(params: EditParams): Promise<EditReply>;

  openSession(params: WorkerProfile): Promise<OpenSessionReply>;
  /** Errors: SESSION_LOST (as for claim, commit and reconcile). */
  heartbeat(params: HeartbeatParams): Promise<Directives>;
  claim(params: ClaimParams): Promise<ClaimReply>;
  commit(params: CommitParams): Promise<CommitReply>;
  /**
   * A client tells which leases the session still knows of, after a break in which a reply may have
   * been lost: leases of the session that are not among `held` are handed back (cost nothing), and
   * the reply names those of `held` that the session does not hold (any more). Until it is answered
   * the client claims nothing for the session: `held` could not name it. Idempotent.
   * Errors: SESSION_LOST, BATCH_TOO_LARGE.
   */
  reconcile(params: ReconcileParams): Promise<ReconcileReply>;
  /** Without effect when the session is gone already. */
  closeSession(params: CloseSessionParams): Promise<void>;
  /** Asks a live worker to finish and leave. */
  drainSession(params: { readonly session: string }): Promise<void>;

  getExecution(params: GetExecutionParams): Promise<ExecutionView>;
  listExecutions(params: ListExecutionsParams): Promise<ListExecutionsReply>;
  listTasks(params: ListTasksParams): Promise<{ readonly tasks: readonly TaskView[] }>;
  listDeadLetters(params: ListDeadLettersParams): Promise<ListDeadLettersReply>;
  listAttempts(params: {
    readonly executionId: string;
    readonly task?: number;
    readonly limit: number;
  }): Promise<{ readonly attempts: readonly AttemptLog[] }>;
  readResults(params: ReadResultsParams): Promise<ReadResultsReply>;
  readEvents(params: ReadEventsParams): Promise<ReadEventsReply>;
  listSessions(params: ListSessionsParams): Promise<ListSessionsReply>;
  listPools(): Promise<{ readonly pools: readonly PoolView[] }>;
  /** What a task waits for, whatever its state. Errors: EXECUTION_NOT_FOUND, TASK_UNKNOWN. */
  explainTask(params: { readonly executionId: string; readonly task: number }): Promise<TaskFacts>;

  /** Errors: LINE_FULL. */
  acquireLock(params: AcquireLockParams): Promise<AcquireLockReply>;
  /** Errors: LOCK_LOST. */
  extendLock(params: ExtendLockParams): Promise<LockGrant>;
  /** Gives the lock, or the place in its line, back. False when the owner had neither (any more). */
  releaseLock(params: ReleaseLockParams): Promise<{ readonly released: boolean }>;
  /** Absent when nobody holds it. */
  readLock(params: { readonly lock: string }): Promise<{ readonly lock?: LockView }>;
  listLocks(params: ListLocksParams): Promise<ListLocksReply>;
  /** Errors: VERSION_CONFLICT, STORE_FULL. */
  writeValue(params: WriteValueParams): Promise<{ readonly version: number; readonly expiresAt?: number }>;
  /** Absent when there is none (any more). */
  readValue(params: { readonly key: string }): Promise<{ readonly value?: ValueView }>;
  /** Errors: VERSION_CONFLICT. */
  deleteValue(params: DeleteValueParams): Promise<{ readonly deleted: boolean }>;
  listValues(params: ListValuesParams): Promise<ListValuesReply>;
  /** Errors: CHECKPOINT_FENCED, STORE_FULL. */
  saveCheckpoint(params: SaveCheckpointParams): Promise<{ readonly version: number }>;
  /** Absent when there is none (any more). */
  readCheckpoint(params: ReadCheckpointParams): Promise<{ readonly checkpoint?: CheckpointView }>;
  /** Newest first. */
  listCheckpoints(params: ListCheckpointsParams): Promise<{ readonly checkpoints: readonly CheckpointInfo[] }>;
  deleteCheckpoints(params: DeleteCheckpointsParams): Promise<{ readonly deleted: number }>;

  /** Takes, renews or watches a leader lease. */
  lead(params: LeadParams): Promise<LeadReply>;
  /** Declares silent sessions dead and queues their tasks again. */
  reapSessions(params: DutyParams): Promise<DutyReply>;
  /** Queues scheduled tasks that are due. */
  promoteDue(params: DutyParams): Promise<DutyReply>;
  /** Takes leases back whose attempt has outlived its timeout by more than a worker needs to report it. */
  reapOverdue(params: DutyParams): Promise<DutyReply>;
  /** Deletes ended executions past their retention, events, sessions and attempts with them, and state that has expired. */
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
  "limitPool",
  "signal",
  "retry",
  "discard",
  "rerun",
  "editExecution",
  "openSession",
  "heartbeat",
  "claim",
  "commit",
  "reconcile",
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
  "explainTask",
  "acquireLock",
  "extendLock",
  "releaseLock",
  "readLock",
  "listLocks",
  "writeValue",
  "readValue",
  "deleteValue",
  "listValues",
  "saveCheckpoint",
  "readCheckpoint",
  "listCheckpoints",
  "deleteCheckpoints",
  "lead",
  "reapSessions",
  "promoteDue",
  "reapOverdue",
  "purge",
  "pendingVerifications",
  "judgeVerifications",
] as const satisfies readonly BrokerMethod[];
