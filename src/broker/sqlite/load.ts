/**
 * Reads memory from the file: at opening, and after a failed transaction. What had not ended goes on
 * where it stood; sessions get a fresh span of silence, so workers that outlived their owner keep
 * their leases if they come back in time.
 */
import { ALL_POOLS, type Pause, type WorkerProfile } from "../contract.ts";
import type { Engine } from "./engine.ts";
import { offer } from "./lanes.ts";
import type { Row } from "./database.ts";
import {
  type ArrayState,
  chunkKey,
  type ExecutionRecord,
  type GroupRecord,
  groupOf,
  Model,
  noCounts,
  noItems,
  QUEUED,
  RUNNING,
  taskId,
  verificationKey,
} from "./model.ts";
import { newGroup } from "./records.ts";
import { newSession } from "./sessions.ts";

/** `seen`: when sessions were last heard of, where the caller knows better than the file. */
export function load(engine: Engine, seen: ReadonlyMap<string, number> = new Map()): void {
  engine.reset();
  engine.model = new Model(engine.settings.ageingMs);
  loadPools(engine);
  loadSessions(engine, seen);
  for (const row of engine.db.all("SELECT * FROM executions WHERE ended_at IS NULL ORDER BY no"))
    loadExecution(engine, row);
}

function loadPools(engine: Engine): void {
  for (const row of engine.db.all("SELECT * FROM pools")) {
    const pause = row["paused"] === 1 ? pauseOf(row) : undefined;
    if (row["name"] === ALL_POOLS) {
      engine.model.allPaused = pause;
      continue;
    }
    const pool = engine.model.pool(String(row["name"]));
    pool.pause = pause;
    pool.min = Number(row["min_workers"]);
    pool.max = optionalNumber(row["max_workers"]);
    pool.items.completed = Number(row["completed"]);
    pool.items.failed = Number(row["failed"]);
  }
}

/** Of a row with `paused_by` and `paused_at`. */
export function pauseOf(row: Row): Pause {
  const by = optionalText(row["paused_by"]);
  return { at: Number(row["paused_at"]), ...(by === undefined ? {} : { by }) };
}

function loadSessions(engine: Engine, seen: ReadonlyMap<string, number>): void {
  for (const row of engine.db.all("SELECT * FROM sessions WHERE state IN ('live', 'draining') ORDER BY no")) {
    const id = String(row["id"]);
    const session = newSession({
      no: Number(row["no"]),
      id,
      profile: JSON.parse(String(row["profile"])) as WorkerProfile,
      openedAt: Number(row["opened_at"]),
      seenAt: seen.get(id) ?? engine.now,
      draining: row["state"] === "draining",
      completed: Number(row["completed"]),
    });
    engine.model.addSession(session);
  }
}

/** The row's execution, as one that has not ended. */
export function loadExecution(engine: Engine, row: Row): ExecutionRecord {
  const execution: ExecutionRecord = {
    no: Number(row["no"]),
    id: String(row["id"]),
    key: optionalText(row["key"]),
    name: String(row["name"]),
    kind: String(row["kind"]) as ExecutionRecord["kind"],
    priority: Number(row["priority"]),
    maxFailures: optionalNumber(row["max_failures"]),
    retentionMs: Number(row["retention_ms"]),
    verify: optionalJson(row["verify"]) as ExecutionRecord["verify"],
    keepInputs: row["keep_inputs"] === 1,
    meta: optionalText(row["meta"]),
    createdAt: Number(row["created_at"]),
    state: String(row["state"]) as ExecutionRecord["state"],
    pause: row["state"] === "paused" ? pauseOf(row) : undefined,
    open: row["open"] === 1,
    parts: Number(row["parts"]),
    nextTask: Number(row["next_task"]),
    startedAt: optionalNumber(row["started_at"]),
    endedAt: undefined,
    firstFailure: optionalJson(row["first_failure"]) as ExecutionRecord["firstFailure"],
    verification: optionalJson(row["verification"]) as ExecutionRecord["verification"],
    counts: { ...noCounts(), ...(JSON.parse(String(row["counters"])) as ExecutionRecord["counts"]) },
    groups: [],
    rescues: [],
    signals: undefined,
    attemptsNoted: 0,
    dirty: false,
  };
  engine.model.executions.set(execution.no, execution);
  engine.model.executionsById.set(execution.id, execution);
  for (const group of engine.db.all("SELECT * FROM groups WHERE execution = ? ORDER BY no", execution.no))
    loadGroup(engine, execution, group);
  loadVerifications(engine, execution);
  loadChunks(engine, execution);
  for (const group of execution.groups) offer(group, engine.now);
  return execution;
}

function loadGroup(engine: Engine, execution: ExecutionRecord, row: Row): void {
  const spec = JSON.parse(String(row["spec"])) as GroupRecord["spec"];
  const array = optionalJson(row["array"]) as Pick<ArrayState, "length" | "chunk" | "results"> | undefined;
  const group = newGroup({
    execution,
    no: Number(row["no"]),
    first: Number(row["first"]),
    count: Number(row["count"]),
    spec,
    linked: row["linked"] === 1,
    ranked: row["ranked"] === 1,
    pool: engine.model.pool(spec.pool),
    notBefore: optionalNumber(row["not_before"]),
    source: optionalText(row["source"]),
    array:
      array === undefined
        ? undefined
        : { ...array, cursor: Number(row["cursor"]), averageItemMs: optionalNumber(row["average_item_ms"]) },
    counts: { ...noItems(), ...(JSON.parse(String(row["counters"])) as GroupRecord["counts"]) },
  });
  execution.groups.push(group);
  if (spec.when === "failed") execution.rescues.push(group);
  engine.model.addGroup(group);
  if (array === undefined && group.counts.running > 0) loadRunningTasks(engine, group);
}

function loadRunningTasks(engine: Engine, group: GroupRecord): void {
  const base = taskId(group.execution, 0);
  const rows = engine.db.all(
    "SELECT id, attempt, failures, losses, token, session, at FROM tasks WHERE id >= ? AND id < ? AND state = ?",
    base + group.first,
    base + group.first + group.count,
    RUNNING,
  );
  for (const row of rows) {
    const id = Number(row["id"]);
    addStoredLease(engine, { group, row, key: id, task: id - base, start: -1, end: -1, replica: 0 });
  }
}

function loadVerifications(engine: Engine, execution: ExecutionRecord): void {
  for (const row of engine.db.all("SELECT * FROM verifications WHERE execution = ?", execution.no)) {
    const [task, start] = [Number(row["task"]), Number(row["start"])];
    const group = groupOf(execution, task);
    if (group === undefined) continue;
    const copies = engine.db.all(
      "SELECT worker FROM copies WHERE execution = ? AND task = ? AND start = ?",
      execution.no,
      task,
      start,
    );
    engine.model.verifications.set(verificationKey(execution.no, task, start), {
      group,
      start,
      end: Number(row["end"]),
      wanted: Number(row["wanted"]),
      at: Number(row["at"]),
      workers: new Set(copies.map((copy) => String(copy["worker"]))),
      copies: copies.length,
    });
  }
}

function loadChunks(engine: Engine, execution: ExecutionRecord): void {
  for (const row of engine.db.all("SELECT * FROM chunks WHERE execution = ?", execution.no)) {
    const group = groupOf(execution, Number(row["task"]));
    if (group !== undefined) loadChunk(engine, group, row);
  }
}

function loadChunk(engine: Engine, group: GroupRecord, row: Row): void {
  const [start, end, replica, state] = [row["start"], row["end"], row["replica"], row["state"]].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const tries = {
    attempt: Number(row["attempt"]),
    failures: Number(row["failures"]),
    losses: Number(row["losses"]),
    careful: row["careful"] === 1,
  };
  const verification = engine.model.verifications.get(verificationKey(group.execution.no, group.first, start));
  if (state === RUNNING) {
    const id = taskId(group.execution, group.first);
    addStoredLease(engine, { group, row, key: chunkKey(id, start, replica), task: group.first, start, end, replica });
    const worker = engine.model.sessionsByNo.get(Number(row["session"]))?.profile.worker;
    if (replica > 0 && worker !== undefined) verification?.workers.add(worker);
  } else if (replica > 0) {
    if (verification !== undefined) group.pool.replicas.add({ verification, replica, ...tries });
  } else if (state === QUEUED) {
    group.ranges.push({ start, end, ...tries });
  }
  // Scheduled ranges are found by the timers when they are due; dead letters stay in the file.
}

interface StoredLease {
  readonly group: GroupRecord;
  readonly row: Row;
  readonly key: number | string;
  readonly task: number;
  readonly start: number;
  readonly end: number;
  readonly replica: number;
}

function addStoredLease(engine: Engine, { row, ...place }: StoredLease): void {
  const session = engine.model.sessionsByNo.get(Number(row["session"]));
  if (session === undefined)
    throw new Error(`lease ${place.key} belongs to session ${String(row["session"])}, which is not live`);
  engine.model.addLease({
    ...place,
    attempt: Number(row["attempt"]),
    failures: Number(row["failures"]),
    losses: Number(row["losses"]),
    careful: row["careful"] === 1,
    token: Number(row["token"]),
    session,
    claimedAt: Number(row["at"]),
  });
}

function optionalText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function optionalNumber(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function optionalJson(value: unknown): unknown {
  return typeof value === "string" ? JSON.parse(value) : undefined;
}
