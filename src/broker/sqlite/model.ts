/**
 * What the owner of the file keeps in memory: executions that have not ended, their groups, live
 * sessions and running leases. Waiting tasks stay in the file; a group keeps one page of them.
 *
 * Memory is a copy: every change is made to both in one operation, and after a failed transaction
 * memory is thrown away and loaded again (load.ts).
 */
import type { ChunkPlan } from "../../core/chunking.ts";
import type { Failure } from "../../core/failure.ts";
import type { RankedTask, ReadyLane } from "../../core/ready-queue.ts";
import { ReadyQueue } from "../../core/ready-queue.ts";
import type { ExecutionState, TaskState } from "../../core/states.ts";
import type {
  ExecutionKind,
  LeaseRef,
  Pause,
  TaskGroup,
  VerificationReport,
  VerifyPlan,
  WorkerProfile,
} from "../contract.ts";
import type { Heap } from "../../util/heap.ts";

/** Tasks per execution fit into this many bits of a task's id. */
export const TASK_ID_SPAN = 2 ** 24;

/**
 * How states are stored: the index in this list. A list of its own, because its order is part of the
 * file's format.
 */
export const STORED_STATES: readonly TaskState[] = [
  "blocked",
  "scheduled",
  "queued",
  "running",
  "completed",
  "failed",
  "cancelled",
  "skipped",
];
export const BLOCKED = 0;
export const SCHEDULED = 1;
export const QUEUED = 2;
export const RUNNING = 3;
export const COMPLETED = 4;
export const FAILED = 5;
export const SKIPPED = 7;

/** Items by state. `cancelled` is not counted here: it is what has not ended when the execution is cancelled. */
export type ItemCounts = Record<Exclude<TaskState, "cancelled">, number>;

export function noItems(): ItemCounts {
  return { blocked: 0, scheduled: 0, queued: 0, running: 0, completed: 0, failed: 0, skipped: 0 };
}

export interface ExecutionCounts extends ItemCounts {
  lost: number;
  retries: number;
  refused: number;
  /** Dead letters that `maxFailures` does not count: they stayed when the execution was run again. */
  forgiven: number;
  /** Dead letters that count nowhere: their group goes on without them (`onFailure: "continue"`). */
  borne: number;
}

export function noCounts(): ExecutionCounts {
  return { ...noItems(), lost: 0, retries: 0, refused: 0, forgiven: 0, borne: 0 };
}

/** Items that have not ended. */
export function leftOf({ queued, running, scheduled, blocked }: ItemCounts): number {
  return queued + running + scheduled + blocked;
}

/** Failures that count against the execution. */
export function failuresOf({ failed, borne }: Pick<ExecutionCounts, "failed" | "borne">): number {
  return failed - borne;
}

export interface ExecutionRecord {
  readonly no: number;
  readonly id: string;
  readonly key: string | undefined;
  readonly name: string;
  readonly kind: ExecutionKind;
  priority: number;
  readonly maxFailures: number | undefined;
  readonly retentionMs: number;
  readonly verify: VerifyPlan | undefined;
  readonly keepInputs: boolean;
  readonly meta: string | undefined;
  readonly createdAt: number;
  state: ExecutionState;
  /** While it is paused. */
  pause: Pause | undefined;
  open: boolean;
  parts: number;
  nextTask: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  firstFailure: Failure | undefined;
  verification: VerificationReport | undefined;
  readonly counts: ExecutionCounts;
  readonly groups: GroupRecord[];
  /** Those of its groups that start when the rest has failed (rescue.ts). */
  readonly rescues: GroupRecord[];
  /** Signals that it was given; absent until somebody asks. */
  signals: number | undefined;
  /** Attempts remembered since the file was opened; prunes now and then. */
  attemptsNoted: number;
  dirty: boolean;
}

/** The part of a TaskGroup that all its leases share. */
export type GroupSpec = Omit<TaskGroup, "work">;

export interface ArrayState {
  readonly length: number;
  readonly chunk: ChunkPlan;
  readonly results: "keep" | "discard";
  /** First item never carved. */
  cursor: number;
  averageItemMs: number | undefined;
}

/** A waiting task that was read ahead. */
export interface WaitingTask {
  readonly task: number;
  readonly attempt: number;
  readonly failures: number;
  readonly losses: number;
  readonly input: string | null;
  readonly parents: string | null;
  readonly label: string | null;
  /** JSON of its suspension (wake.ts). */
  readonly wake: string | null;
}

/** A range handed back, due again after a failure, or split off one. */
export interface WaitingRange {
  readonly start: number;
  readonly end: number;
  readonly attempt: number;
  readonly failures: number;
  readonly losses: number;
  readonly careful: boolean;
}

/** A task group and what of it is ready; the lane of its pool's ready queue. */
export interface GroupRecord extends ReadyLane {
  /** Its execution's. Changed only while it is in no queue. */
  priority: number;
  readonly execution: ExecutionRecord;
  readonly no: number;
  readonly first: number;
  readonly count: number;
  readonly spec: GroupSpec;
  readonly source: string | undefined;
  /** Key of its LeaseSpec in replies. */
  readonly specKey: string;
  linked: boolean;
  readonly pool: PoolRecord;
  readonly array: ArrayState | undefined;
  readonly counts: ItemCounts;
  /** Where some of its tasks have ranks: what is ready, as far as it was read. */
  ranked: Heap<RankedTask> | undefined;
  notBefore: number | undefined;
  /** Separate tasks: the first that was never read ahead; everything ready below it is in `page` or `again`. */
  nextToRead: number;
  page: WaitingTask[];
  pageAt: number;
  /** Tasks of the next page. */
  pageTasks: number;
  /** Ready tasks below `nextToRead` that came back, by number. */
  readonly again: Heap<number>;
  /** Ready ranges of an array, by start. */
  readonly ranges: Heap<WaitingRange>;
  dirty: boolean;
}

export interface SessionRecord {
  readonly no: number;
  readonly id: string;
  readonly profile: WorkerProfile;
  readonly capabilities: ReadonlySet<string>;
  readonly openedAt: number;
  readonly leases: Set<LeaseRecord>;
  /** Leases to stop, told with every reply until the worker reports them; with the number of tellings. */
  readonly cancels: Map<LeaseKey, { readonly ref: LeaseRef; told: number }>;
  seenAt: number;
  lastCommitAt: number;
  draining: boolean;
  completed: number;
}

/** Task id, or for a chunk `task id:start:replica`. */
export type LeaseKey = number | string;

export interface LeaseRecord {
  readonly key: LeaseKey;
  readonly group: GroupRecord;
  readonly task: number;
  /** −1 for separate tasks. */
  readonly start: number;
  readonly end: number;
  readonly replica: number;
  readonly attempt: number;
  readonly failures: number;
  readonly losses: number;
  readonly careful: boolean;
  readonly token: number;
  readonly session: SessionRecord;
  readonly claimedAt: number;
}

export interface PoolRecord {
  readonly name: string;
  /** While it is paused itself, whatever holds for all pools. */
  pause: Pause | undefined;
  readonly ready: ReadyQueue<GroupRecord>;
  /** Replicas of verified chunks that wait for a worker that did not run the chunk yet. */
  readonly replicas: Set<ReplicaRecord>;
  /** Separate tasks that wait; an array counts as one. */
  depth: number;
  /** Items by state of live executions; those that ended so, since the file was made. */
  readonly items: ItemCounts;
  /** Live sessions that serve it, in the order in which they came, and their slots. */
  readonly sessions: Set<SessionRecord>;
  slots: number;
  /** Workers that it should have, and the most that get its work. */
  min: number;
  max: number | undefined;
  /** With a `max`: those that get its work; the others stand by. */
  active: ReadonlySet<SessionRecord>;
}

/** States of items that their pool counts only as long as they are in them. */
const OPEN_STATES = ["blocked", "scheduled", "queued", "running"] as const;

/** A sampled chunk whose copies are not all in. */
export interface VerificationRecord {
  readonly group: GroupRecord;
  readonly start: number;
  readonly end: number;
  readonly wanted: number;
  readonly at: number;
  /** Worker names that ran, or run, a copy. */
  readonly workers: Set<string>;
  copies: number;
}

export interface ReplicaRecord {
  readonly verification: VerificationRecord;
  readonly replica: number;
  readonly attempt: number;
  readonly failures: number;
  readonly losses: number;
  readonly careful: boolean;
}

export class Model {
  readonly executions = new Map<number, ExecutionRecord>();
  readonly executionsById = new Map<string, ExecutionRecord>();
  readonly sessions = new Map<string, SessionRecord>();
  readonly sessionsByNo = new Map<number, SessionRecord>();
  readonly leases = new Map<LeaseKey, LeaseRecord>();
  readonly pools = new Map<string, PoolRecord>();
  /** While all pools are paused, those to come included. */
  allPaused: Pause | undefined;
  readonly verifications = new Map<string, VerificationRecord>();
  /** Groups that start later. */
  readonly delayedGroups = new Set<GroupRecord>();
  readonly #ageingMs: number;

  constructor(ageingMs: number) {
    this.#ageingMs = ageingMs;
  }

  pool(name: string): PoolRecord {
    let pool = this.pools.get(name);
    if (pool === undefined) {
      pool = {
        name,
        pause: undefined,
        ready: new ReadyQueue(this.#ageingMs),
        replicas: new Set(),
        depth: 0,
        items: noItems(),
        sessions: new Set(),
        slots: 0,
        min: 0,
        max: undefined,
        active: new Set(),
      };
      this.pools.set(name, pool);
    }
    return pool;
  }

  addSession(session: SessionRecord): void {
    this.sessions.set(session.id, session);
    this.sessionsByNo.set(session.no, session);
    this.#serve(session, 1);
  }

  removeSession(session: SessionRecord): void {
    this.sessions.delete(session.id);
    this.sessionsByNo.delete(session.no);
    this.#serve(session, -1);
  }

  #serve(session: SessionRecord, sign: 1 | -1): void {
    const { profile } = session;
    for (const name of new Set(profile.pools)) {
      const pool = this.pool(name);
      if (sign === 1) pool.sessions.add(session);
      else pool.sessions.delete(session);
      pool.slots += sign * profile.slots;
      chooseActive(pool);
    }
  }

  /** Whether the pool may give out work to this session. */
  isOpen(pool: PoolRecord, session: SessionRecord): boolean {
    if (this.allPaused !== undefined || pool.pause !== undefined) return false;
    return pool.max === undefined || pool.active.has(session);
  }

  addLease(lease: LeaseRecord): void {
    this.leases.set(lease.key, lease);
    lease.session.leases.add(lease);
  }

  removeLease(lease: LeaseRecord): void {
    this.leases.delete(lease.key);
    lease.session.leases.delete(lease);
  }

  /** Forgets an execution that has ended. */
  removeExecution(execution: ExecutionRecord): void {
    this.executions.delete(execution.no);
    this.executionsById.delete(execution.id);
    for (const group of execution.groups) {
      group.pool.ready.remove(group);
      this.delayedGroups.delete(group);
      this.#count(group, -1);
    }
  }

  /** A group of a live execution, with the counts that it has. */
  addGroup(group: GroupRecord): void {
    if (group.notBefore !== undefined) this.delayedGroups.add(group);
    this.#count(group, 1);
  }

  #count(group: GroupRecord, sign: 1 | -1): void {
    const { pool, counts } = group;
    pool.depth += sign * groupDepth(group);
    for (const state of OPEN_STATES) pool.items[state] += sign * counts[state];
  }
}

/** Its sessions or its `max` have changed: those that came first get its work. */
export function chooseActive(pool: PoolRecord): void {
  if (pool.max !== undefined) pool.active = new Set([...pool.sessions].slice(0, pool.max));
}

/** Items of a pool leave one state for another. Those that have ended so before stay counted. */
export function moveInPool({ items }: PoolRecord, { from, to, count }: ItemMove): void {
  if ((OPEN_STATES as readonly string[]).includes(from)) items[from] -= count;
  items[to] += count;
}

interface ItemMove {
  readonly from: keyof ItemCounts;
  readonly to: keyof ItemCounts;
  readonly count: number;
}

/** What a group adds to its pool's depth. */
export function groupDepth(group: { readonly counts: ItemCounts; readonly array: unknown }): number {
  const { counts } = group;
  const waiting = counts.queued + counts.blocked + counts.scheduled;
  return group.array === undefined ? waiting : Math.min(1, waiting);
}

export function groupOf(execution: ExecutionRecord, task: number): GroupRecord | undefined {
  return groupIn(execution.groups, task);
}

/** The group of a task among the groups of its execution, which are in order. */
export function groupIn<G extends { readonly first: number; readonly count: number }>(
  groups: readonly G[],
  task: number,
): G | undefined {
  let low = 0;
  let high = groups.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const group = groups[middle] as G;
    if (task < group.first) high = middle - 1;
    else if (task >= group.first + group.count) low = middle + 1;
    else return group;
  }
  return undefined;
}

/** The state that a stored one counts as: what is ready in a delayed group is stored as queued. */
export function countedAs(group: GroupRecord, stored: number): keyof ItemCounts {
  if (stored === QUEUED && group.notBefore !== undefined) return "scheduled";
  return STORED_STATES[stored] as keyof ItemCounts;
}

export function taskId(execution: ExecutionRecord, task: number): number {
  return execution.no * TASK_ID_SPAN + task;
}

export function chunkKey(id: number, start: number, replica: number): LeaseKey {
  return `${id}:${start}:${replica}`;
}

export function verificationKey(execution: number, task: number, start: number): string {
  return `${execution}:${task}:${start}`;
}
