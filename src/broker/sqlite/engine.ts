/**
 * What every transition works with: the file, memory, the journal, and the few changes that all
 * transitions share: counting, ending an execution, taking a lease away.
 *
 * All of it runs inside one transaction of the group commit, on one `now`.
 */
import type { Failure } from "../../core/failure.ts";
import type { ExecutionState } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { LeaseRef } from "../contract.ts";
import type { BrokerSettings } from "../settings.ts";
import type { Database } from "./database.ts";
import { Journal } from "./journal.ts";
import {
  type ExecutionCounts,
  type ExecutionRecord,
  FAILED,
  failuresOf,
  type GroupRecord,
  groupDepth,
  type ItemCounts,
  type LeaseRecord,
  leftOf,
  Model,
  moveInPool,
  type PoolRecord,
  type SessionRecord,
} from "./model.ts";

/** Claims per opening of the file that tokens leave room for; the opening's number stands above. */
const TOKENS_PER_EPOCH = 2 ** 32;

export interface EngineOptions {
  readonly db: Database;
  readonly settings: BrokerSettings;
  readonly now: () => number;
  readonly random: () => number;
  readonly newId: () => string;
}

/** Items (default 1) that leave one state for another. */
interface Move {
  readonly from: keyof ItemCounts;
  readonly to: keyof ItemCounts;
  readonly items?: number;
}

export class Engine {
  readonly db: Database;
  readonly settings: BrokerSettings;
  readonly random: () => number;
  readonly newId: () => string;
  readonly journal = new Journal();
  model: Model;
  readonly #clock: () => number;
  readonly #touched = new Set<ExecutionRecord>();
  /** Pools whose totals changed. */
  readonly #touchedPools = new Set<PoolRecord>();
  readonly #epoch: number;
  #tokens = 0;
  #turns = 0;

  constructor(options: EngineOptions) {
    this.db = options.db;
    this.settings = options.settings;
    this.random = options.random;
    this.newId = options.newId;
    this.#clock = options.now;
    this.model = new Model(this.settings.ageingMs);
    this.#epoch = this.#nextEpoch();
  }

  /** A token of an earlier opening of the file is never given out again, whatever was not synced then. */
  #nextEpoch(): number {
    let epoch = 1;
    this.db.transaction(true, () => {
      epoch = Number(this.db.get("SELECT value FROM meta WHERE key = 'epoch'")?.["value"] ?? 0) + 1;
      this.db.run("INSERT INTO meta VALUES ('epoch', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", epoch);
    });
    return epoch;
  }

  get now(): number {
    return this.#clock();
  }

  nextToken(): number {
    this.#tokens += 1;
    return this.#epoch * TOKENS_PER_EPOCH + this.#tokens;
  }

  /** Numbers the turns of the ready queues, to tell which waited longer within a millisecond. */
  nextTurn(): number {
    this.#turns += 1;
    return this.#turns;
  }

  liveExecution(executionId: string): ExecutionRecord {
    const execution = this.model.executionsById.get(executionId);
    if (execution !== undefined) return execution;
    const state = this.db.get("SELECT state FROM executions WHERE id = ?", executionId)?.["state"];
    if (state === undefined) throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
    throw new HoldfastError("EXECUTION_ENDED", { execution: executionId, state: String(state) });
  }

  liveSession(session: string): SessionRecord {
    const record = this.model.sessions.get(session);
    if (record === undefined) throw new HoldfastError("SESSION_LOST", { session });
    record.seenAt = this.now;
    return record;
  }

  /** Counts items of a group from one state to another. */
  move(group: GroupRecord, { from, to, items = 1 }: Move): void {
    const before = groupDepth(group);
    group.counts[from] -= items;
    group.counts[to] += items;
    group.pool.depth += groupDepth(group) - before;
    group.execution.counts[from] -= items;
    group.execution.counts[to] += items;
    moveInPool(group.pool, { from, to, count: items });
    if (to === "completed" || to === "failed") this.#touchedPools.add(group.pool);
    group.dirty = true;
    this.touch(group.execution);
  }

  /** The execution's row is written, and its end is looked for, before the transaction commits. */
  touch(execution: ExecutionRecord): void {
    execution.dirty = true;
    this.#touched.add(execution);
  }

  noteDeadLetter(execution: ExecutionRecord, failure: Failure): void {
    execution.firstFailure ??= failure;
    this.touch(execution);
  }

  changeState(execution: ExecutionRecord, state: ExecutionState, reason?: string): void {
    if (execution.state === state) return;
    execution.state = state;
    if (state !== "paused") execution.pause = undefined;
    if (state === "running") execution.startedAt ??= this.now;
    this.journal.execution(execution, state, reason);
    this.touch(execution);
  }

  /** Takes a running lease away and tells its worker to stop. */
  revoke(lease: LeaseRecord): void {
    this.model.removeLease(lease);
    lease.session.cancels.set(lease.key, { ref: leaseRef(lease), told: 0 });
  }

  /** Ends an execution: its leases go, memory forgets it, the file keeps it until its retention is over. */
  end(execution: ExecutionRecord, state: "completed" | "failed" | "cancelled", reason?: string): void {
    execution.endedAt = this.now;
    for (const lease of this.model.leases.values()) if (lease.group.execution === execution) this.revoke(lease);
    this.changeState(execution, state, reason);
    this.#write(execution);
    this.#touched.delete(execution);
    // What failed may be run again (reopen.ts), and then the rest goes on where it stood.
    if (state === "failed") this.db.run("DELETE FROM chunks WHERE execution = ? AND replica > 0", execution.no);
    else this.db.run("DELETE FROM chunks WHERE execution = ? AND state <> ?", execution.no, FAILED);
    for (const table of ["verifications", "copies"] as const) this.#forget(table, execution.no);
    for (const [key, verification] of this.model.verifications) {
      if (verification.group.execution === execution) this.model.verifications.delete(key);
    }
    for (const group of execution.groups) {
      for (const replica of group.pool.replicas) {
        if (replica.verification.group === group) group.pool.replicas.delete(replica);
      }
    }
    this.model.removeExecution(execution);
  }

  #forget(table: "verifications" | "copies", execution: number): void {
    if (table === "copies") this.db.run("DELETE FROM copies WHERE execution = ?", execution);
    else this.db.run("DELETE FROM verifications WHERE execution = ?", execution);
  }

  /** Executions that changed in the transaction under way and have not ended. */
  get touched(): Iterable<ExecutionRecord> {
    return this.#touched;
  }

  /** Ends executions that have reached their `maxFailures`, before more of them is claimed. */
  endFailed(): void {
    for (const execution of this.#touched) if (hasFailed(execution)) this.#endFailed(execution);
  }

  #endFailed(execution: ExecutionRecord): void {
    this.end(execution, "failed", `${failuresOf(execution.counts)} dead letters`);
  }

  /** Ends what has ended and writes every row that changed; the last act of a transaction. */
  settle(): void {
    for (const execution of this.#touched) this.#settleOne(execution);
    for (const execution of this.#touched) this.#write(execution);
    this.#touched.clear();
    for (const pool of this.#touchedPools) this.#writePool(pool);
    this.#touchedPools.clear();
  }

  #settleOne(execution: ExecutionRecord): void {
    const { counts } = execution;
    if (hasFailed(execution)) {
      this.#endFailed(execution);
      return;
    }
    if (execution.open || leftOf(counts) > 0) return;
    if ((execution.verification?.pending ?? 0) > 0) return;
    this.end(execution, endOf(counts));
  }

  #write(execution: ExecutionRecord): void {
    if (execution.dirty) {
      const { endedAt } = execution;
      this.db.run(
        `UPDATE executions SET state = ?, open = ?, parts = ?, next_task = ?, counters = ?, first_failure = ?,
           verification = ?, paused_by = ?, paused_at = ?, started_at = ?, ended_at = ?, purge_at = ? WHERE no = ?`,
        execution.state,
        execution.open ? 1 : 0,
        execution.parts,
        execution.nextTask,
        JSON.stringify(execution.counts),
        jsonOrNull(execution.firstFailure),
        jsonOrNull(execution.verification),
        execution.pause?.by ?? null,
        execution.pause?.at ?? null,
        execution.startedAt ?? null,
        endedAt ?? null,
        endedAt === undefined ? null : endedAt + execution.retentionMs,
        execution.no,
      );
      execution.dirty = false;
    }
    for (const group of execution.groups) if (group.dirty) this.#writeGroup(group);
  }

  #writeGroup(group: GroupRecord): void {
    this.db.run(
      `UPDATE groups SET cursor = ?, average_item_ms = ?, counters = ?, not_before = ?, linked = ?, ranked = ?
       WHERE execution = ? AND no = ?`,
      group.array?.cursor ?? 0,
      group.array?.averageItemMs ?? null,
      JSON.stringify(group.counts),
      group.notBefore ?? null,
      group.linked ? 1 : 0,
      group.ranked === undefined ? 0 : 1,
      group.execution.no,
      group.no,
    );
    group.dirty = false;
  }

  #writePool({ name, items: { completed, failed } }: PoolRecord): void {
    this.db.run(
      `INSERT INTO pools (name, paused, completed, failed) VALUES (?, 0, ?, ?)
       ON CONFLICT (name) DO UPDATE SET completed = excluded.completed, failed = excluded.failed`,
      name,
      completed,
      failed,
    );
  }

  /** Drops what the failed transaction had noted. */
  reset(): void {
    this.journal.clear();
    this.#touched.clear();
    this.#touchedPools.clear();
  }
}

function hasFailed({ maxFailures, counts }: ExecutionRecord): boolean {
  const failed = failuresOf(counts) - counts.forgiven;
  return maxFailures !== undefined && failed > 0 && failed >= maxFailures;
}

/**
 * How an execution ends when nothing is left to do. What was skipped without any failure was removed, or came
 * after what was: a person wanted it so.
 */
export function endOf(counts: Pick<ExecutionCounts, "failed" | "borne">): "completed" | "failed" {
  return failuresOf(counts) > 0 ? "failed" : "completed";
}

export function leaseRef(lease: LeaseRecord): LeaseRef {
  return {
    executionId: lease.group.execution.id,
    task: lease.task,
    token: String(lease.token),
    ...(lease.start < 0 ? {} : { start: lease.start }),
    ...(lease.replica === 0 ? {} : { replica: lease.replica }),
  };
}

function jsonOrNull(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
