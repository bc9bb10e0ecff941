/**
 * The broker on Redis (6.2 and newer, or Valkey): every promise of the contract, kept by the server's
 * own data, so that workers connected straight to it need no server process of ours.
 *
 * Queues are streams with one consumer group per pool, pending entries are the leases, and every
 * transition is one Lua script (scripts/): it runs alone on the server's thread, so no crash of ours
 * lands between its steps, and the append-only file holds it whole or not at all. The process that
 * calls keeps nothing that matters: what it knows of sessions (sessions.ts) only tells which leases it
 * was told of, so that those of a lost reply can be handed back.
 *
 * Executions are spread over shards by their id. A shard's keys share a hash tag, so it lives on one
 * server of a cluster, and a transition never needs two.
 */
import { type Clock, sleep } from "../../util/clock.ts";
import { HoldfastError } from "../../errors/index.ts";
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
import { checkState } from "../check-state.ts";
import { ALL_POOLS, FROM_NOW } from "../contract.ts";
import type * as contract from "../contract.ts";
import { type BrokerSettings, DEFAULT_BROKER_SETTINGS } from "../settings.ts";
import { Duties } from "./duties.ts";
import { Ends } from "./ends.ts";
import { editExecution } from "./edits.ts";
import { Listings } from "./listings.ts";
import { Lookups } from "./lookups.ts";
import { Replays } from "./replays.ts";
import { Sessions } from "./sessions.ts";
import type { Shard } from "./shard.ts";
import { Spread } from "./spread.ts";
import { Checkpoints } from "./state-checkpoints.ts";
import { Locks } from "./state-locks.ts";
import { Values } from "./state-values.ts";
import { Steering } from "./steering.ts";
import { Wakes } from "./wakes.ts";

export interface RedisBrokerParts {
  readonly shards: readonly Shard[];
  readonly clock: Clock;
  readonly newId: () => string;
  readonly settings?: Partial<BrokerSettings & { readonly socketGraceMs: number }>;
  readonly durable: boolean;
  /** How long the server, and we with it, were there to hear a worker, milliseconds. */
  readonly listeningMs: (shard: Shard) => number;
}

const DEFAULT_SOCKET_GRACE_MS = 200;
/** After this time events of several shards are in their final order. */
const SETTLE_MS = 2;

type Execution = { readonly executionId: string };

export class RedisBroker implements contract.Broker {
  readonly features: contract.BrokerFeatures;
  readonly #shards: readonly Shard[];
  readonly #settings: BrokerSettings;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #wakes: readonly Wakes[];
  readonly #sessions: Sessions;
  readonly #lookups: Lookups;
  readonly #listings: Listings;
  readonly #steering: Steering;
  readonly #replays: Replays;
  readonly #duties: Duties;
  readonly #locks: Locks;
  readonly #values: Values;
  readonly #checkpoints: Checkpoints;
  readonly #spread: Spread;
  readonly #closing = new AbortController();
  readonly #ends: Ends;

  constructor(parts: RedisBrokerParts) {
    const { shards, clock, newId, durable, listeningMs } = parts;
    const { socketGraceMs = DEFAULT_SOCKET_GRACE_MS, ...settings } = parts.settings ?? {};
    this.features = { name: "redis", durable, needsCoordinator: true };
    this.#shards = shards;
    this.#settings = { ...DEFAULT_BROKER_SETTINGS, ...settings };
    this.#clock = clock;
    this.#newId = newId;
    this.#wakes = shards.map(({ link }) => new Wakes(link, clock));
    this.#spread = new Spread(shards);
    const shardOf = (executionId: string): Shard => this.#spread.shardOf(executionId);
    this.#lookups = new Lookups(shards, shardOf);
    this.#listings = new Listings(shards, shardOf);
    this.#steering = new Steering({ spread: this.#spread, settings: this.#settings, newId });
    this.#replays = new Replays({ spread: this.#spread, settings: this.#settings });
    this.#duties = new Duties({
      shards,
      clock,
      wakes: this.#wakes[0] as Wakes,
      settings: this.#settings,
      socketGraceMs,
      listeningMs,
    });
    const { signal: closing } = this.#closing;
    this.#ends = new Ends({ wakes: this.#wakes, clock, closing });
    this.#locks = new Locks({ shards, spread: this.#spread, wakes: this.#wakes, clock, newId, closing });
    this.#values = new Values(shards, this.#spread);
    this.#checkpoints = new Checkpoints(this.#spread);
    this.#sessions = new Sessions({
      shards,
      wakes: this.#wakes,
      clock,
      ageingMs: this.#settings.ageingMs,
      process: newId(),
      closing: this.#closing.signal,
      shardOf,
    });
  }

  // ── Submitting and steering ─────────────────────────────────────────────────────────────────

  async submit(params: contract.SubmitParams): Promise<{ executions: readonly contract.SubmitReceipt[] }> {
    this.#checkOpen();
    return { executions: await this.#steering.submit(params) };
  }

  async extend(params: contract.ExtendParams): Promise<{ total: number }> {
    this.#checkOpen();
    return this.#steering.extend(params);
  }

  async pause({ executionId, by }: contract.SteerParams): Promise<contract.ExecutionView> {
    return this.#steer("pause", executionId, by ?? "");
  }

  async resume({ executionId }: contract.SteerParams): Promise<contract.ExecutionView> {
    return this.#steer("resume", executionId);
  }

  async cancel({ executionId, reason }: Execution & { readonly reason?: string }): Promise<contract.ExecutionView> {
    return this.#steer("cancel", executionId, reason ?? "");
  }

  async #steer(
    name: "pause" | "resume" | "cancel",
    executionId: string,
    ...args: string[]
  ): Promise<contract.ExecutionView> {
    this.#checkOpen();
    await this.#steering.steer(name, executionId, args);
    return this.#lookups.execution(executionId);
  }

  async pausePool(params: contract.SteerPoolParams): Promise<contract.PoolView> {
    return this.#setPoolPaused(params, true);
  }

  async resumePool(params: contract.SteerPoolParams): Promise<contract.PoolView> {
    return this.#setPoolPaused(params, false);
  }

  async #setPoolPaused(params: contract.SteerPoolParams, isPaused: boolean): Promise<contract.PoolView> {
    this.#checkOpen();
    const slots = await this.#steering.setPoolPaused(params, isPaused);
    return params.pool === ALL_POOLS ? this.#lookups.allPools(slots) : this.#lookups.pool(params.pool);
  }

  async limitPool(params: contract.LimitPoolParams): Promise<contract.PoolView> {
    checkPoolLimits(params);
    this.#checkOpen();
    await this.#steering.limitPool(params);
    return this.#lookups.pool(params.pool);
  }

  async signal(params: contract.SignalParams): Promise<contract.SignalReply> {
    checkSignal(params);
    this.#checkOpen();
    return this.#steering.signal(params);
  }

  async retry(params: contract.LettersParams): Promise<contract.LettersReply> {
    checkLetters(params);
    this.#checkOpen();
    const changed = await this.#replays.retry(params);
    return { changed, execution: await this.#lookups.execution(params.executionId) };
  }

  async discard(params: contract.LettersParams): Promise<contract.LettersReply> {
    checkLetters(params);
    this.#checkOpen();
    const changed = await this.#replays.discard(params);
    return { changed, execution: await this.#lookups.execution(params.executionId) };
  }

  async rerun(params: contract.RerunParams): Promise<contract.RerunReply> {
    this.#checkOpen();
    const reset = await this.#replays.rerun(params);
    return { reset, execution: await this.#lookups.execution(params.executionId) };
  }

  async editExecution(params: contract.EditParams): Promise<contract.EditReply> {
    this.#checkOpen();
    const options = { spread: this.#spread, settings: this.#settings, newId: this.#newId };
    const edited = await editExecution(options, params);
    return { ...edited, execution: await this.#lookups.execution(params.executionId) };
  }

  // ── Working ─────────────────────────────────────────────────────────────────────────────────

  async openSession(profile: contract.WorkerProfile): Promise<contract.OpenSessionReply> {
    checkProfile(profile);
    this.#checkOpen();
    const session = this.#newId();
    await this.#sessions.open(session, profile);
    const { heartbeatMs, deadAfterMs } = this.#settings;
    return { session, heartbeatMs, deadAfterMs };
  }

  async heartbeat({ session }: contract.HeartbeatParams): Promise<contract.Directives> {
    this.#checkOpen();
    return this.#sessions.heartbeat(session);
  }

  async claim(params: contract.ClaimParams): Promise<contract.ClaimReply> {
    checkClaim("claim", params);
    this.#checkOpen();
    return this.#sessions.claim(params);
  }

  async commit(params: contract.CommitParams): Promise<contract.CommitReply> {
    checkOutcomes(params);
    if (params.claim !== undefined) checkClaim("commit", params.claim);
    this.#checkOpen();
    return this.#sessions.commit(params);
  }

  async reconcile(params: contract.ReconcileParams): Promise<contract.ReconcileReply> {
    checkHeld(params);
    this.#checkOpen();
    return this.#sessions.reconcile(params);
  }

  async closeSession({ session, ...how }: contract.CloseSessionParams): Promise<void> {
    this.#checkOpen();
    await this.#sessions.close(session, how);
  }

  async drainSession({ session }: { readonly session: string }): Promise<void> {
    this.#checkOpen();
    await this.#sessions.drain(session);
  }

  // ── Looking ─────────────────────────────────────────────────────────────────────────────────

  async getExecution({ executionId, waitMs = 0 }: contract.GetExecutionParams): Promise<contract.ExecutionView> {
    this.#checkOpen();
    const look = (): Promise<contract.ExecutionView> => this.#lookups.execution(executionId);
    return waitMs <= 0
      ? look()
      : this.#ends.wait({ shard: this.#spread.shardOf(executionId), executionId, waitMs, look });
  }

  async listExecutions(params: contract.ListExecutionsParams): Promise<contract.ListExecutionsReply> {
    this.#checkOpen();
    return this.#listings.executions(checkPage("listExecutions", params));
  }

  async listTasks(params: contract.ListTasksParams): Promise<{ tasks: readonly contract.TaskView[] }> {
    this.#checkOpen();
    return { tasks: await this.#lookups.tasks(checkPage("listTasks", params)) };
  }

  async listDeadLetters(params: contract.ListDeadLettersParams): Promise<contract.ListDeadLettersReply> {
    this.#checkOpen();
    return this.#listings.letters(checkPage("listDeadLetters", params));
  }

  async listAttempts(
    params: Execution & { readonly task?: number; readonly limit: number },
  ): Promise<{ attempts: readonly contract.AttemptLog[] }> {
    this.#checkOpen();
    const { executionId, task, limit } = checkPage("listAttempts", params);
    return { attempts: await this.#lookups.attempts(executionId, task, limit) };
  }

  async listSessions(params: contract.ListSessionsParams): Promise<contract.ListSessionsReply> {
    this.#checkOpen();
    return this.#listings.sessions(checkPage("listSessions", params));
  }

  async listPools(): Promise<{ pools: readonly contract.PoolView[] }> {
    this.#checkOpen();
    return { pools: await this.#lookups.pools() };
  }

  async explainTask({ executionId, task }: contract.RerunParams): Promise<contract.TaskFacts> {
    this.#checkOpen();
    return this.#lookups.explain(executionId, task);
  }

  async readEvents(params: contract.ReadEventsParams): Promise<contract.ReadEventsReply> {
    const checked = checkPage("readEvents", params);
    return this.#readOrWait(checked, async () => {
      const { reply, isUnsettled } = await this.#lookups.events(checked);
      return { reply, isNews: reply.events.length > 0 || checked.cursor === FROM_NOW, isUnsettled };
    });
  }

  async readResults(params: contract.ReadResultsParams): Promise<contract.ReadResultsReply> {
    const checked = checkPage("readResults", params);
    return this.#readOrWait(checked, async () => {
      const reply = await this.#lookups.results(checked);
      return { reply, isNews: reply.rows.length > 0 || reply.done };
    });
  }

  async #readOrWait<T>(
    params: { readonly executionId?: string; readonly waitMs?: number },
    read: () => Promise<{ readonly reply: T; readonly isNews: boolean; readonly isUnsettled?: boolean }>,
  ): Promise<T> {
    this.#checkOpen();
    const { executionId, waitMs = 0 } = params;
    if (waitMs <= 0) return (await read()).reply;
    const over = new AbortController();
    const cancelTimer = this.#clock.schedule(waitMs, () => over.abort());
    const signal = AbortSignal.any([over.signal, this.#closing.signal]);
    const told = this.#tellers(executionId).map(({ wakes, channel }) => wakes.listen(channel));
    try {
      for (;;) {
        const { reply, isNews, isUnsettled = false } = await read();
        if (isNews || signal.aborted) return reply;
        if (isUnsettled) await sleep(this.#clock, SETTLE_MS);
        else await Promise.race(told.map((channel) => channel.next(signal)));
      }
    } finally {
      cancelTimer();
      for (const channel of told) channel.end();
    }
  }

  /** Channels that tell of news of an execution, or of anything. */
  #tellers(executionId: string | undefined): { readonly wakes: Wakes; readonly channel: string }[] {
    const shards = executionId === undefined ? this.#shards : [this.#spread.shardOf(executionId)];
    return shards.map((shard) => ({
      wakes: this.#wakes[shard.no] as Wakes,
      channel: `${shard.prefix}told${executionId === undefined ? "" : `:${executionId}`}`,
    }));
  }

  // ── State ───────────────────────────────────────────────────────────────────────────────────

  async acquireLock(params: contract.AcquireLockParams): Promise<contract.AcquireLockReply> {
    checkState("acquireLock", params);
    this.#checkOpen();
    return this.#locks.acquire(params);
  }

  async extendLock(params: contract.ExtendLockParams): Promise<contract.LockGrant> {
    checkState("extendLock", params);
    this.#checkOpen();
    return this.#locks.extend(params);
  }

  async releaseLock(params: contract.ReleaseLockParams): Promise<{ released: boolean }> {
    checkState("releaseLock", params);
    this.#checkOpen();
    return { released: await this.#locks.release(params) };
  }

  async readLock(params: { readonly lock: string }): Promise<{ lock?: contract.LockView }> {
    checkState("readLock", params);
    this.#checkOpen();
    const lock = await this.#locks.read(params.lock);
    return lock === undefined ? {} : { lock };
  }

  async listLocks(params: contract.ListLocksParams): Promise<contract.ListLocksReply> {
    checkState("listLocks", params);
    this.#checkOpen();
    return this.#locks.list(params);
  }

  async writeValue(params: contract.WriteValueParams): Promise<{ version: number; expiresAt?: number }> {
    checkState("writeValue", params);
    this.#checkOpen();
    return this.#values.write(params);
  }

  async readValue(params: { readonly key: string }): Promise<{ value?: contract.ValueView }> {
    checkState("readValue", params);
    this.#checkOpen();
    const value = await this.#values.read(params.key);
    return value === undefined ? {} : { value };
  }

  async deleteValue(params: contract.DeleteValueParams): Promise<{ deleted: boolean }> {
    checkState("deleteValue", params);
    this.#checkOpen();
    return { deleted: await this.#values.delete(params) };
  }

  async listValues(params: contract.ListValuesParams): Promise<contract.ListValuesReply> {
    checkState("listValues", params);
    this.#checkOpen();
    return this.#values.list(params);
  }

  async saveCheckpoint(params: contract.SaveCheckpointParams): Promise<{ version: number }> {
    checkState("saveCheckpoint", params);
    this.#checkOpen();
    return { version: await this.#checkpoints.save(params) };
  }

  async readCheckpoint(params: contract.ReadCheckpointParams): Promise<{ checkpoint?: contract.CheckpointView }> {
    checkState("readCheckpoint", params);
    this.#checkOpen();
    const checkpoint = await this.#checkpoints.read(params);
    return checkpoint === undefined ? {} : { checkpoint };
  }

  async listCheckpoints(
    params: contract.ListCheckpointsParams,
  ): Promise<{ checkpoints: readonly contract.CheckpointInfo[] }> {
    checkState("listCheckpoints", params);
    this.#checkOpen();
    return { checkpoints: await this.#checkpoints.list(params.scope) };
  }

  async deleteCheckpoints(params: contract.DeleteCheckpointsParams): Promise<{ deleted: number }> {
    checkState("deleteCheckpoints", params);
    this.#checkOpen();
    return { deleted: await this.#checkpoints.delete(params) };
  }

  // ── Duties ──────────────────────────────────────────────────────────────────────────────────

  async lead(params: contract.LeadParams): Promise<contract.LeadReply> {
    this.#checkOpen();
    return this.#duties.lead(params);
  }

  async reapSessions({ limit }: contract.DutyParams): Promise<contract.DutyReply> {
    this.#checkOpen();
    return this.#duties.reapSessions(limit);
  }

  async promoteDue({ limit }: contract.DutyParams): Promise<contract.DutyReply> {
    this.#checkOpen();
    return this.#duties.promoteDue(limit);
  }

  async reapOverdue({ limit }: contract.DutyParams): Promise<contract.DutyReply> {
    this.#checkOpen();
    return this.#duties.reapOverdue(limit);
  }

  async purge({ limit }: contract.DutyParams): Promise<contract.DutyReply> {
    this.#checkOpen();
    return this.#duties.purge(limit);
  }

  async pendingVerifications({
    limit,
  }: contract.DutyParams): Promise<{ pending: readonly contract.PendingVerification[] }> {
    this.#checkOpen();
    return { pending: await this.#duties.pendingVerifications(limit) };
  }

  async judgeVerifications(params: { readonly verdicts: readonly contract.VerificationVerdict[] }): Promise<void> {
    this.#checkOpen();
    await this.#duties.judge(params.verdicts, (executionId) => this.#spread.shardOf(executionId));
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    for (const wakes of this.#wakes) wakes.close();
    await Promise.all(this.#shards.map(({ link }) => link.close()));
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new HoldfastError("BROKER_CLOSED");
  }
}
