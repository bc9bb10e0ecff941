/**
 * Transition claim: ready work → leases of one session.
 *
 * Invariant: a task or range is either ready (in a lane) or leased, never both; each lease gets a
 * token that was never given out before. Tasks that follow each other are claimed by one range
 * update. Claims need not be synced: after a power cut the work is simply ready again, and the
 * token's epoch keeps the old lease from committing.
 */
import { planChunk } from "../../core/chunking.ts";
import { hasAll, nextTurn, type Turn } from "../../core/ready-queue.ts";
import type { ClaimRequest, Lease, LeaseSpec } from "../contract.ts";
import { MAX_REPLY_PAYLOAD } from "../limits.ts";
import type { Engine } from "./engine.ts";
import { leaseRef } from "./engine.ts";
import { hasWork, readRanks, takeRanked, takeTask } from "./lanes.ts";
import {
  type ArrayState,
  chunkKey,
  COMPLETED,
  type GroupRecord,
  type LeaseRecord,
  type PoolRecord,
  QUEUED,
  type ReplicaRecord,
  RUNNING,
  type SessionRecord,
  taskId,
  type WaitingRange,
  type WaitingTask,
} from "./model.ts";
import { parentsIn } from "./dependents.ts";
import { addedBy, resumption, type Wake, wakeIn } from "./wake.ts";

export interface Claimed {
  readonly leases: Lease[];
  readonly specs: Record<string, LeaseSpec>;
}

interface Taking {
  readonly engine: Engine;
  readonly session: SessionRecord;
  /** Shared by the separate tasks of this claim: with a task's number it is unique. Chunks get their own. */
  readonly token: number;
  readonly now: number;
  readonly claimed: Claimed;
  /** Texts that the reply may still carry, UTF-16 code units. The lease that uses it up is the last one. */
  room: number;
}

export function claim(engine: Engine, session: SessionRecord, request: ClaimRequest): Claimed {
  const claimed: Claimed = { leases: [], specs: {} };
  if (session.draining || request.max <= 0) return claimed;
  const taking: Taking = {
    engine,
    session,
    token: engine.nextToken(),
    now: engine.now,
    claimed,
    room: MAX_REPLY_PAYLOAD,
  };
  const pools = session.profile.pools
    .map((name) => engine.model.pool(name))
    .filter((pool) => engine.model.isOpen(pool, session));
  takeReplicas(taking, pools, request.max);
  takeTurns(taking, pools, request.max);
  return claimed;
}

/** Whether a claim of this session could find anything; cheap enough to ask for every waiter. */
export function mightClaim(engine: Engine, session: SessionRecord): boolean {
  if (session.draining) return false;
  return session.profile.pools.some((name) => {
    const pool = engine.model.pool(name);
    return engine.model.isOpen(pool, session) && (!pool.ready.isEmpty || pool.replicas.size > 0);
  });
}

function takeTurns(taking: Taking, pools: readonly PoolRecord[], max: number): void {
  const { leases } = taking.claimed;
  const queues = pools.map((pool) => pool.ready);
  while (leases.length < max && taking.room > 0) {
    const wanted = max - leases.length;
    const turn = nextTurn(queues, {
      capabilities: taking.session.capabilities,
      wanted,
      now: taking.now,
      turn: taking.engine.nextTurn(),
    });
    if (turn === undefined) return;
    takeTurn(taking, turn, Math.min(turn.quota, wanted));
  }
}

/** A turn is one lane's, or, where tasks have ranks, as many lanes' as it takes to keep their order. */
function takeTurn(taking: Taking, turn: Turn<GroupRecord>, quota: number): void {
  const { leases } = taking.claimed;
  const end = leases.length + quota;
  for (let lane: GroupRecord | undefined = turn.lane; lane !== undefined; lane = turn.best()) {
    const before = leases.length;
    if (lane.array !== undefined) takeChunks(taking, { group: lane, array: lane.array }, end - before);
    else takeTasks(taking, lane, { quota: end - before, isBest: () => turn.best() === lane });
    if (!hasWork(lane)) lane.pool.ready.remove(lane);
    if (leases.length > before) note(taking, lane);
    if (leases.length >= end || taking.room <= 0) return;
  }
}

function note(taking: Taking, group: GroupRecord): void {
  const { specs } = taking.claimed;
  if (specs[group.specKey] === undefined) {
    specs[group.specKey] = leaseSpec(group);
    taking.room -= group.spec.handler.length + (group.source?.length ?? 0);
  }
  if (group.execution.state === "pending") taking.engine.changeState(group.execution, "running");
}

function leaseSpec(group: GroupRecord): LeaseSpec {
  const { spec, array } = group;
  return {
    name: spec.name,
    handler: spec.handler,
    ...(group.source === undefined ? {} : { source: group.source }),
    ...(array === undefined ? {} : { results: array.results }),
    ...(spec.timeoutMs === undefined ? {} : { timeoutMs: spec.timeoutMs }),
    ...(spec.memoryLimitMb === undefined ? {} : { memoryLimitMb: spec.memoryLimitMb }),
  };
}

// ── Separate tasks ────────────────────────────────────────────────────────────────────────────

interface TaskTurn {
  readonly quota: number;
  /** Whether the lane still has the best task of its entry; only where it has ranks. */
  readonly isBest: () => boolean;
}

function takeTasks(taking: Taking, group: GroupRecord, { quota, isBest }: TaskTurn): void {
  const { engine, session, token, now } = taking;
  let runFirst = -1;
  let runLast = -2;
  let taken = 0;
  const endRun = (): void => {
    if (runFirst < 0) return;
    engine.db.run(
      "UPDATE tasks SET state = ?, attempt = attempt + 1, token = ?, session = ?, at = ? WHERE id BETWEEN ? AND ?",
      RUNNING,
      token,
      session.no,
      now,
      taskId(group.execution, runFirst),
      taskId(group.execution, runLast),
    );
  };
  while (taken < quota && taking.room > 0) {
    const waiting = group.ranked === undefined ? takeTask(engine.db, group) : takeBest(engine, group, isBest);
    if (waiting === undefined) break;
    // What came back more than once may be leased in this very turn, of which the file does not know yet.
    if (engine.model.leases.has(taskId(group.execution, waiting.task))) continue;
    if (waiting.task !== runLast + 1) {
      endRun();
      runFirst = waiting.task;
    }
    runLast = waiting.task;
    taken += 1;
    leaseTask(taking, group, waiting);
  }
  endRun();
  if (taken > 0) engine.move(group, { from: "queued", to: "running", items: taken });
}

/** Undefined: another lane's task goes first, or nothing is left. */
function takeBest(engine: Engine, group: GroupRecord, isBest: () => boolean): WaitingTask | undefined {
  readRanks(engine.db, group);
  while (hasWork(group) && isBest()) {
    const waiting = takeRanked(engine.db, group);
    if (waiting !== undefined) return waiting;
  }
  return undefined;
}

function leaseTask(taking: Taking, group: GroupRecord, waiting: WaitingTask): void {
  const { engine, session, token, now, claimed } = taking;
  const { task } = waiting;
  const attempt = waiting.attempt + 1;
  engine.model.addLease({
    key: taskId(group.execution, task),
    group,
    task,
    start: -1,
    end: -1,
    replica: 0,
    attempt,
    failures: waiting.failures,
    losses: waiting.losses,
    careful: false,
    token,
    session,
    claimedAt: now,
  });
  const wake = wakeIn(waiting.wake);
  const parents = parentsOf(waiting, wake);
  const lease: Lease = {
    executionId: group.execution.id,
    task,
    token: String(token),
    spec: group.specKey,
    attempt,
    ...(waiting.input === null ? {} : { input: waiting.input }),
    ...(parents === undefined ? {} : { parents: parentResults(taking, group, parents) }),
    ...(waiting.label === null ? {} : { label: waiting.label }),
    ...(wake === undefined ? {} : { resumed: resumption(wake) }),
  };
  claimed.leases.push(lease);
  taking.room -= textLength(lease);
  engine.journal.tasks(group.execution, { state: "running", entry: task, worker: session.profile.worker });
}

function textLength({ input, parents, resumed }: Lease): number {
  let length = (input?.length ?? 0) + (resumed?.state.length ?? 0) + (resumed?.signal?.length ?? 0);
  if (parents !== undefined) for (const result of Object.values(parents)) length += result.length;
  return length;
}

/** Its own, and those that it added as it suspended itself; undefined where there are none. */
function parentsOf({ parents }: WaitingTask, wake: Wake | undefined): number[] | undefined {
  if (wake === undefined) return parents === null ? undefined : parentsIn(parents);
  const all = [...parentsIn(parents), ...addedBy(wake)];
  return all.length === 0 ? undefined : all;
}

/** Of those that have completed: it may go on without the others. An array's results are read elsewhere. */
function parentResults(taking: Taking, group: GroupRecord, parents: readonly number[]): Record<number, string> {
  const results: Record<number, string> = {};
  for (const parent of parents) {
    const row = taking.engine.db.get("SELECT state, result FROM tasks WHERE id = ?", taskId(group.execution, parent));
    if (row?.["state"] === COMPLETED) results[parent] = (row["result"] as string | null) ?? "null";
  }
  return results;
}

// ── Chunks of an array ────────────────────────────────────────────────────────────────────────

interface ArrayLane {
  readonly group: GroupRecord;
  readonly array: ArrayState;
}

function takeChunks(taking: Taking, lane: ArrayLane, quota: number): void {
  const { engine } = taking;
  const { group, array } = lane;
  for (let taken = 0; taken < quota && hasWork(group); taken += 1) {
    const size = planChunk(array.chunk, {
      length: array.length,
      remaining: group.counts.queued,
      averageItemMs: array.averageItemMs,
      slots: Math.max(1, group.pool.slots),
    });
    const range = group.ranges.pop();
    const lease =
      range === undefined ? carve(taking, lane, size) : leaseRange(taking, group, cut(taking, group, { range, size }));
    engine.move(group, { from: "queued", to: "running", items: lease.end - lease.start });
    pushChunk(taking, lease);
  }
}

function carve(taking: Taking, { group, array }: ArrayLane, size: number): LeaseRecord {
  const start = array.cursor;
  const end = Math.min(array.length, start + Math.max(1, size));
  const token = taking.engine.nextToken();
  array.cursor = end;
  taking.engine.db.run(
    `INSERT INTO chunks (execution, task, start, replica, end, state, attempt, failures, losses, careful, token, session, at)
     VALUES (?, ?, ?, 0, ?, ?, 1, 0, 0, 0, ?, ?, ?)`,
    group.execution.no,
    group.first,
    start,
    end,
    RUNNING,
    token,
    taking.session.no,
    taking.now,
  );
  return addChunkLease(taking, group, {
    token,
    start,
    end,
    replica: 0,
    attempt: 1,
    failures: 0,
    losses: 0,
    careful: false,
  });
}

/** A range that came back may be larger than what one chunk should be by now: the rest stays ready. */
function cut(
  { engine, now }: Taking,
  group: GroupRecord,
  { range, size }: { readonly range: WaitingRange; readonly size: number },
): WaitingRange {
  const keep = Math.max(1, size);
  if (range.end - range.start <= keep || range.careful) return range;
  const rest: WaitingRange = { ...range, start: range.start + keep };
  engine.db.run(
    `INSERT INTO chunks (execution, task, start, replica, end, state, attempt, failures, losses, careful, at)
     VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)`,
    group.execution.no,
    group.first,
    rest.start,
    rest.end,
    QUEUED,
    rest.attempt,
    rest.failures,
    rest.losses,
    0,
    now,
  );
  group.ranges.push(rest);
  return { ...range, end: rest.start };
}

function leaseRange(taking: Taking, group: GroupRecord, range: WaitingRange): LeaseRecord {
  const attempt = range.attempt + 1;
  const token = taking.engine.nextToken();
  taking.engine.db.run(
    `UPDATE chunks SET end = ?, state = ?, attempt = ?, token = ?, session = ?, at = ?
     WHERE execution = ? AND task = ? AND start = ? AND replica = 0`,
    range.end,
    RUNNING,
    attempt,
    token,
    taking.session.no,
    taking.now,
    group.execution.no,
    group.first,
    range.start,
  );
  return addChunkLease(taking, group, { ...range, token, replica: 0, attempt });
}

type ChunkLease = Pick<
  LeaseRecord,
  "token" | "start" | "end" | "replica" | "attempt" | "failures" | "losses" | "careful"
>;

function addChunkLease(taking: Taking, group: GroupRecord, chunk: ChunkLease): LeaseRecord {
  const lease: LeaseRecord = {
    key: chunkKey(taskId(group.execution, group.first), chunk.start, chunk.replica),
    group,
    task: group.first,
    ...chunk,
    session: taking.session,
    claimedAt: taking.now,
  };
  taking.engine.model.addLease(lease);
  return lease;
}

function pushChunk(taking: Taking, lease: LeaseRecord): void {
  const { group, session } = { group: lease.group, session: taking.session };
  taking.claimed.leases.push({
    ...leaseRef(lease),
    spec: group.specKey,
    attempt: lease.attempt,
    end: lease.end,
    ...(lease.careful ? { careful: true } : {}),
  });
  if (lease.replica > 0) return;
  taking.engine.journal.tasks(group.execution, {
    state: "running",
    entry: [lease.task, lease.start, lease.end],
    worker: session.profile.worker,
  });
}

// ── Replicas of verified chunks ───────────────────────────────────────────────────────────────

function takeReplicas(taking: Taking, pools: readonly PoolRecord[], max: number): void {
  for (const pool of pools) {
    for (const replica of pool.replicas) {
      if (taking.claimed.leases.length >= max || taking.room <= 0) return;
      if (mayReplicate(taking.session, replica)) takeReplica(taking, pool, replica);
    }
  }
}

function mayReplicate(session: SessionRecord, replica: ReplicaRecord): boolean {
  const { group, workers } = replica.verification;
  return (
    group.execution.state !== "paused" &&
    !workers.has(session.profile.worker) &&
    hasAll(session.capabilities, group.requires)
  );
}

function takeReplica(taking: Taking, pool: PoolRecord, replica: ReplicaRecord): void {
  const { verification } = replica;
  const { group, start, end } = verification;
  pool.replicas.delete(replica);
  verification.workers.add(taking.session.profile.worker);
  const attempt = replica.attempt + 1;
  const token = taking.engine.nextToken();
  taking.engine.db.run(
    `UPDATE chunks SET state = ?, attempt = ?, token = ?, session = ?, at = ?
     WHERE execution = ? AND task = ? AND start = ? AND replica = ?`,
    RUNNING,
    attempt,
    token,
    taking.session.no,
    taking.now,
    group.execution.no,
    group.first,
    start,
    replica.replica,
  );
  const { failures, losses, careful } = replica;
  pushChunk(
    taking,
    addChunkLease(taking, group, { token, start, end, replica: replica.replica, attempt, failures, losses, careful }),
  );
  note(taking, group);
}
