/**
 * The embedded broker: one file, one owning process, every promise of the contract.
 *
 * Calls that change something become operations of the group commit (group-commit.ts), which runs
 * the transitions (submit.ts, claim.ts, commit.ts, reconcile.ts, sessions.ts, control.ts, signals.ts,
 * edit.ts, timers.ts, purge.ts, verification.ts, state.ts) on file and memory together. Reads go to the file directly.
 *
 * When the process is killed, the file holds everything that was acknowledged; the next owner loads
 * it and goes on. Workers keep their sessions, and what they run, if they find the new owner before
 * they count as dead; leases that were granted and never told are found by reconcile.
 */
import { isExecutionEnded } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import * as contract from "../contract.ts";
import {
  checkClaim,
  checkHeld,
  checkLetters,
  checkOutcomes,
  checkPage,
  checkPoolLimits,
  checkProfile,
  checkSignal,
} from "../check-call.ts";
import { type BrokerSettings, DEFAULT_BROKER_SETTINGS } from "../settings.ts";
import { claim, mightClaim } from "./claim.ts";
import { commitOutcomes } from "./commit.ts";
import { cancel, limitPool, pause, pausePool, resume, resumePool } from "./control.ts";
import { Database } from "./database.ts";
import { edit, previewEdit } from "./edit.ts";
import { Engine } from "./engine.ts";
import { explainTask } from "./explain.ts";
import { GroupCommit } from "./group-commit.ts";
import { lead } from "./lead.ts";
import { listDeadLetters } from "./letters.ts";
import { load } from "./load.ts";
import type { SessionRecord } from "./model.ts";
import { purge } from "./purge.ts";
import { readEvents, readResults } from "./reads.ts";
import { reconcile } from "./reconcile.ts";
import { discard, retry } from "./replay.ts";
import { rerun } from "./rerun.ts";
import { callRescues } from "./rescue.ts";
import { giveSignal } from "./signals.ts";
import { SharedState } from "./state.ts";
import { closeSession, directives, drainSession, openSession, reapSessions } from "./sessions.ts";
import { extend, submit } from "./submit.ts";
import { promoteDue, reapOverdue } from "./timers.ts";
import { judge, pendingVerifications } from "./verification.ts";
import * as views from "./views.ts";
import { Waiters } from "./waiters.ts";
import { listPools, listSessions, poolNamed } from "./worker-views.ts";

export interface SqliteBrokerOptions {
  /** Path of the database, or `:memory:`. */
  readonly file: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Ids of executions and sessions. */
  readonly newId: () => string;
  readonly settings?: Partial<BrokerSettings>;
  /** Largest size of the file in pages of 4 KiB; more is refused with STORE_FULL. Absent: the disk's. */
  readonly maxPages?: number;
}

const NO_CLAIM: contract.ClaimRequest = { max: 0, waitMs: 0 };

type ClaimedOrWaiting =
  | { readonly reply: contract.ClaimReply; readonly later?: undefined }
  | { readonly reply?: undefined; readonly later: Promise<contract.ClaimReply> };

export class SqliteBroker implements contract.Broker {
  readonly features: contract.BrokerFeatures;
  readonly #engine: Engine;
  readonly #db: Database;
  readonly #commits: GroupCommit;
  readonly #claims: Waiters<contract.ClaimReply>;
  readonly #reads: Waiters<unknown>;
  /** For ends of executions. */
  readonly #ends: Waiters<contract.ExecutionView>;
  readonly #state: SharedState;
  #closed = false;

  constructor(options: SqliteBrokerOptions) {
    const { file, clock } = options;
    this.features = { name: "sqlite", durable: file !== ":memory:", needsCoordinator: true };
    this.#db = new Database(file, options.maxPages === undefined ? {} : { maxPages: options.maxPages });
    this.#claims = new Waiters(clock);
    this.#reads = new Waiters(clock);
    this.#ends = new Waiters(clock);
    this.#engine = new Engine({
      db: this.#db,
      settings: { ...DEFAULT_BROKER_SETTINGS, ...options.settings },
      now: () => clock.now(),
      random: options.random,
      newId: options.newId,
    });
    load(this.#engine);
    this.#commits = new GroupCommit({
      transaction: (durable, action) => this.#db.transaction(durable, action),
      finish: () => this.#finish(),
      committed: () => this.#committed(),
      rebuild: () => this.#rebuild(),
    });
    this.#state = new SharedState({ engine: this.#engine, clock, change: (run) => this.#change(run) });
  }

  // ── Transactions ────────────────────────────────────────────────────────────────────────────

  #wroteEvents = false;

  #finish(): void {
    this.#engine.endFailed();
    callRescues(this.#engine);
    this.#claims.serve();
    this.#state.waits.serve();
    this.#engine.settle();
    this.#wroteEvents = this.#engine.journal.write(this.#db, this.#engine.now);
  }

  #committed(): void {
    this.#claims.answer();
    this.#state.waits.answer();
    if (!this.#wroteEvents) return;
    this.#reads.serve();
    this.#reads.answer();
    this.#ends.serve();
    this.#ends.answer();
  }

  #rebuild(): void {
    this.#claims.forget();
    this.#state.waits.forget();
    const seen = new Map([...this.#engine.model.sessions].map(([id, session]) => [id, session.seenAt]));
    load(this.#engine, seen);
  }

  #change<T>(run: () => T, durable = true): Promise<T> {
    return this.#commits.submit({ durable, run });
  }

  async #read<T>(run: () => T): Promise<T> {
    this.#checkOpen();
    return run();
  }

  #checkOpen(): void {
    if (this.#closed) throw new HoldfastError("BROKER_CLOSED");
  }

  // ── Submitting and steering ─────────────────────────────────────────────────────────────────

  submit(params: contract.SubmitParams): Promise<{ executions: readonly contract.SubmitReceipt[] }> {
    return this.#change(() => ({ executions: submit(this.#engine, params) }));
  }

  extend(params: contract.ExtendParams): Promise<{ total: number }> {
    return this.#change(() => extend(this.#engine, params));
  }

  async pause(params: contract.SteerParams): Promise<contract.ExecutionView> {
    await this.#change(() => pause(this.#engine, params));
    return this.getExecution(params);
  }

  async resume(params: contract.SteerParams): Promise<contract.ExecutionView> {
    await this.#change(() => resume(this.#engine, params));
    return this.getExecution(params);
  }

  async cancel(params: { readonly executionId: string; readonly reason?: string }): Promise<contract.ExecutionView> {
    await this.#change(() => cancel(this.#engine, params));
    return this.getExecution(params);
  }

  async pausePool(params: contract.SteerPoolParams): Promise<contract.PoolView> {
    await this.#change(() => pausePool(this.#engine, params));
    return poolNamed(this.#engine, params.pool);
  }

  async resumePool(params: contract.SteerPoolParams): Promise<contract.PoolView> {
    await this.#change(() => resumePool(this.#engine, params));
    return poolNamed(this.#engine, params.pool);
  }

  async limitPool(params: contract.LimitPoolParams): Promise<contract.PoolView> {
    checkPoolLimits(params);
    await this.#change(() => limitPool(this.#engine, params));
    return poolNamed(this.#engine, params.pool);
  }

  async signal(params: contract.SignalParams): Promise<contract.SignalReply> {
    checkSignal(params);
    return this.#change(() => giveSignal(this.#engine, params));
  }

  async retry(params: contract.LettersParams): Promise<contract.LettersReply> {
    checkLetters(params);
    const changed = await this.#change(() => retry(this.#engine, params));
    return { changed, execution: await this.getExecution(params) };
  }

  async discard(params: contract.LettersParams): Promise<contract.LettersReply> {
    checkLetters(params);
    const changed = await this.#change(() => discard(this.#engine, params));
    return { changed, execution: await this.getExecution(params) };
  }

  async rerun(params: contract.RerunParams): Promise<contract.RerunReply> {
    const reset = await this.#change(() => rerun(this.#engine, params));
    return { reset, execution: await this.getExecution(params) };
  }

  async editExecution(params: contract.EditParams): Promise<contract.EditReply> {
    const edited = params.apply
      ? await this.#change(() => edit(this.#engine, params))
      : await this.#read(() => previewEdit(this.#engine, params));
    return { ...edited, execution: await this.getExecution(params) };
  }

  // ── Working ─────────────────────────────────────────────────────────────────────────────────

  async openSession(profile: contract.WorkerProfile): Promise<contract.OpenSessionReply> {
    checkProfile(profile);
    return this.#change(() => openSession(this.#engine, profile), false);
  }

  heartbeat({ session }: contract.HeartbeatParams): Promise<contract.Directives> {
    return this.#read(() => directives(this.#engine.liveSession(session)));
  }

  async claim(params: contract.ClaimParams): Promise<contract.ClaimReply> {
    checkClaim("claim", params);
    const now = await this.#change(() => this.#claimOrWait(this.#engine.liveSession(params.session), params), false);
    return now.reply ?? now.later;
  }

  async commit(params: contract.CommitParams): Promise<contract.CommitReply> {
    checkOutcomes(params);
    const { claim: request } = params;
    if (request !== undefined) checkClaim("commit", request);
    const { verdicts, now } = await this.#change(() => {
      const counted = commitOutcomes(this.#engine, params);
      return { verdicts: counted.verdicts, now: this.#claimOrWait(counted.session, request ?? NO_CLAIM) };
    }, params.outcomes.length > 0);
    return { verdicts, ...(now.reply ?? (await now.later)) };
  }

  /** Leases, or orders; or, where there is neither, the wait for them. Runs inside a transaction. */
  #claimOrWait(session: SessionRecord, request: contract.ClaimRequest): ClaimedOrWaiting {
    const reply = { ...claim(this.#engine, session, request), ...directives(session) };
    const isNews = reply.leases.length > 0 || reply.cancel.length > 0 || reply.drain;
    return isNews || request.waitMs <= 0 ? { reply } : { later: this.#waitForWork(session.id, request) };
  }

  #waitForWork(id: string, request: contract.ClaimRequest): Promise<contract.ClaimReply> {
    // Waiting is no sign of life: only what a worker says is.
    const find = (): SessionRecord => {
      const session = this.#engine.model.sessions.get(id);
      if (session === undefined) throw new HoldfastError("SESSION_LOST", { session: id });
      return session;
    };
    return this.#claims.wait({
      waitMs: request.waitMs,
      attempt: () => {
        const session = find();
        const isTold = session.draining || [...session.cancels.values()].some(({ told }) => told === 0);
        if (!isTold && !mightClaim(this.#engine, session)) return undefined;
        const claimed = claim(this.#engine, session, request);
        return claimed.leases.length === 0 && !isTold ? undefined : { ...claimed, ...directives(session) };
      },
      giveUp: () => ({ leases: [], specs: {}, ...directives(find()) }),
    });
  }

  async reconcile(params: contract.ReconcileParams): Promise<contract.ReconcileReply> {
    checkHeld(params);
    return this.#change(() => reconcile(this.#engine, params), false);
  }

  closeSession(params: contract.CloseSessionParams): Promise<void> {
    return this.#change(() => closeSession(this.#engine, params), false);
  }

  drainSession(params: { readonly session: string }): Promise<void> {
    return this.#change(() => drainSession(this.#engine, params));
  }

  // ── Looking ─────────────────────────────────────────────────────────────────────────────────

  async getExecution({ executionId, waitMs = 0 }: contract.GetExecutionParams): Promise<contract.ExecutionView> {
    const look = (): contract.ExecutionView => views.executionView(views.executionRow(this.#engine, executionId));
    const view = await this.#read(look);
    const { executionsById } = this.#engine.model;
    if (waitMs <= 0 || isExecutionEnded(view.state)) return view;
    return this.#ends.wait({
      waitMs,
      // In memory stand those that have not ended: no query for each who waits.
      attempt: () => (executionsById.has(executionId) ? undefined : look()),
      giveUp: () => (this.#closed ? view : look()),
    });
  }

  listExecutions(params: contract.ListExecutionsParams): Promise<contract.ListExecutionsReply> {
    return this.#read(() => views.listExecutions(this.#engine, checkPage("listExecutions", params)));
  }

  listTasks(params: contract.ListTasksParams): Promise<{ tasks: readonly contract.TaskView[] }> {
    return this.#read(() => ({ tasks: views.listTasks(this.#engine, checkPage("listTasks", params)) }));
  }

  listDeadLetters(params: contract.ListDeadLettersParams): Promise<contract.ListDeadLettersReply> {
    return this.#read(() => listDeadLetters(this.#engine, checkPage("listDeadLetters", params)));
  }

  listAttempts(params: {
    readonly executionId: string;
    readonly task?: number;
    readonly limit: number;
  }): Promise<{ attempts: readonly contract.AttemptLog[] }> {
    return this.#read(() => ({ attempts: views.listAttempts(this.#engine, checkPage("listAttempts", params)) }));
  }

  listSessions(params: contract.ListSessionsParams): Promise<contract.ListSessionsReply> {
    return this.#read(() => listSessions(this.#engine, checkPage("listSessions", params)));
  }

  listPools(): Promise<{ pools: readonly contract.PoolView[] }> {
    return this.#read(() => ({ pools: listPools(this.#engine) }));
  }

  explainTask(params: { readonly executionId: string; readonly task: number }): Promise<contract.TaskFacts> {
    return this.#read(() => explainTask(this.#engine, params));
  }

  readEvents(params: contract.ReadEventsParams): Promise<contract.ReadEventsReply> {
    return this.#readOrWait(params.waitMs, () => {
      const reply = readEvents(this.#engine, checkPage("readEvents", params));
      return { reply, isNews: reply.events.length > 0 || params.cursor === contract.FROM_NOW };
    });
  }

  readResults(params: contract.ReadResultsParams): Promise<contract.ReadResultsReply> {
    return this.#readOrWait(params.waitMs, () => {
      const reply = readResults(this.#engine, checkPage("readResults", params));
      return { reply, isNews: reply.rows.length > 0 || reply.done };
    });
  }

  async #readOrWait<T>(
    waitMs: number | undefined,
    read: () => { readonly reply: T; readonly isNews: boolean },
  ): Promise<T> {
    this.#checkOpen();
    const { reply, isNews } = read();
    if (isNews || waitMs === undefined || waitMs <= 0) return reply;
    const answer = this.#reads.wait({
      waitMs,
      attempt: () => {
        const again = read();
        return again.isNews ? again.reply : undefined;
      },
      giveUp: () => (this.#closed ? reply : read().reply),
    });
    return answer as Promise<T>;
  }

  // ── Shared state ────────────────────────────────────────────────────────────────────────────

  acquireLock(params: contract.AcquireLockParams): Promise<contract.AcquireLockReply> {
    return this.#state.acquireLock(params);
  }

  extendLock(params: contract.ExtendLockParams): Promise<contract.LockGrant> {
    return this.#state.extendLock(params);
  }

  releaseLock(params: contract.ReleaseLockParams): Promise<{ released: boolean }> {
    return this.#state.releaseLock(params);
  }

  readLock(params: { readonly lock: string }): Promise<{ lock?: contract.LockView }> {
    return this.#read(() => this.#state.readLock(params));
  }

  listLocks(params: contract.ListLocksParams): Promise<contract.ListLocksReply> {
    return this.#read(() => this.#state.listLocks(params));
  }

  writeValue(params: contract.WriteValueParams): Promise<{ version: number; expiresAt?: number }> {
    return this.#state.writeValue(params);
  }

  readValue(params: { readonly key: string }): Promise<{ value?: contract.ValueView }> {
    return this.#read(() => this.#state.readValue(params));
  }

  deleteValue(params: contract.DeleteValueParams): Promise<{ deleted: boolean }> {
    return this.#state.deleteValue(params);
  }

  listValues(params: contract.ListValuesParams): Promise<contract.ListValuesReply> {
    return this.#read(() => this.#state.listValues(params));
  }

  saveCheckpoint(params: contract.SaveCheckpointParams): Promise<{ version: number }> {
    return this.#state.saveCheckpoint(params);
  }

  readCheckpoint(params: contract.ReadCheckpointParams): Promise<{ checkpoint?: contract.CheckpointView }> {
    return this.#read(() => this.#state.readCheckpoint(params));
  }

  listCheckpoints(
    params: contract.ListCheckpointsParams,
  ): Promise<{ checkpoints: readonly contract.CheckpointInfo[] }> {
    return this.#read(() => this.#state.listCheckpoints(params));
  }

  deleteCheckpoints(params: contract.DeleteCheckpointsParams): Promise<{ deleted: number }> {
    return this.#state.deleteCheckpoints(params);
  }

  // ── Duties ──────────────────────────────────────────────────────────────────────────────────

  lead(params: contract.LeadParams): Promise<contract.LeadReply> {
    return this.#change(() => lead(this.#engine, params), false);
  }

  reapSessions(params: contract.DutyParams): Promise<contract.DutyReply> {
    return this.#change(() => reapSessions(this.#engine, params), false);
  }

  promoteDue(params: contract.DutyParams): Promise<contract.DutyReply> {
    return this.#change(() => promoteDue(this.#engine, params), false);
  }

  reapOverdue(params: contract.DutyParams): Promise<contract.DutyReply> {
    return this.#change(() => reapOverdue(this.#engine, params), false);
  }

  purge(params: contract.DutyParams): Promise<contract.DutyReply> {
    return this.#change(() => purge(this.#engine, params), false);
  }

  pendingVerifications(params: contract.DutyParams): Promise<{ pending: readonly contract.PendingVerification[] }> {
    return this.#change(() => ({ pending: pendingVerifications(this.#engine, params) }), false);
  }

  judgeVerifications(params: { readonly verdicts: readonly contract.VerificationVerdict[] }): Promise<void> {
    return this.#change(() => {
      for (const verdict of params.verdicts) judge(this.#engine, verdict);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#commits.close();
    this.#claims.close();
    this.#state.waits.close();
    this.#closed = true;
    this.#reads.close();
    this.#ends.close();
    this.#db.close();
  }
}
