/**
 * Transitions submit and extend: definitions → rows that wait.
 *
 * Invariant: everything is checked before the first row is written, so a refused call leaves nothing.
 * A key that was used before for the same thing answers with the earlier execution (promise 7).
 */
import { HoldfastError } from "../../errors/index.ts";
import { checkExtension, checkRescues, checkSubmissions } from "../check-submission.ts";
import type { ExtendParams, Submission, SubmitParams, SubmitReceipt, TaskGroup, TaskList } from "../contract.ts";
import { fingerprint } from "../fingerprint.ts";
import type { Engine } from "./engine.ts";
import { type ParentState, parentState, RESCUE_GATE } from "./dependents.ts";
import { offer } from "./lanes.ts";
import {
  BLOCKED,
  type ExecutionRecord,
  type GroupRecord,
  type ItemCounts,
  noCounts,
  noItems,
  QUEUED,
  SKIPPED,
  taskId,
} from "./model.ts";
import { newGroup } from "./records.ts";

export function submit(engine: Engine, params: SubmitParams): SubmitReceipt[] {
  checkSubmissions(params);
  const known = params.submissions.map((submission) => findByKey(engine, submission));
  checkDepth(
    engine,
    params.submissions.flatMap((submission, index) => (known[index] === undefined ? submission.groups : [])),
  );
  const createdHere = new Map<string, string>();
  return params.submissions.map((submission, index) => {
    const earlier = known[index] ?? (submission.key === undefined ? undefined : createdHere.get(submission.key));
    if (earlier !== undefined) return { executionId: earlier, created: false };
    const executionId = create(engine, submission).id;
    if (submission.key !== undefined) createdHere.set(submission.key, executionId);
    return { executionId, created: true };
  });
}

function findByKey(engine: Engine, submission: Submission): string | undefined {
  if (submission.key === undefined) return undefined;
  const row = engine.db.get("SELECT id, fingerprint FROM executions WHERE key = ?", submission.key);
  if (row === undefined) return undefined;
  if (row["fingerprint"] !== fingerprint(submission)) throw new HoldfastError("KEY_CONFLICT", { key: submission.key });
  return String(row["id"]);
}

function checkDepth(engine: Engine, groups: readonly TaskGroup[]): void {
  const added = new Map<string, number>();
  for (const { pool, work } of groups) {
    added.set(pool, (added.get(pool) ?? 0) + (work.kind === "array" ? 1 : work.inputs.length));
  }
  const limit = engine.settings.maxQueueDepth;
  for (const [pool, tasks] of added) {
    const { depth } = engine.model.pool(pool);
    if (depth + tasks > limit) throw new HoldfastError("QUEUE_FULL", { pool, depth, limit });
  }
}

function create(engine: Engine, submission: Submission): ExecutionRecord {
  const { db, model, now } = engine;
  const id = engine.newId();
  const retentionMs = submission.retentionMs ?? engine.settings.retentionMs;
  const counts = noCounts();
  const no = db.insert(
    `INSERT INTO executions (id, key, fingerprint, name, kind, state, priority, open, parts, next_task, max_failures,
       retention_ms, verify, keep_inputs, meta, counters, created_at)
     VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    submission.key ?? null,
    fingerprint(submission),
    submission.name,
    submission.kind,
    submission.priority,
    submission.open === true ? 1 : 0,
    submission.maxFailures ?? null,
    retentionMs,
    submission.verify === undefined ? null : JSON.stringify(submission.verify),
    submission.keepInputs === true ? 1 : 0,
    submission.meta ?? null,
    JSON.stringify(counts),
    now,
  );
  const execution: ExecutionRecord = {
    no,
    id,
    key: submission.key,
    name: submission.name,
    kind: submission.kind,
    priority: submission.priority,
    maxFailures: submission.maxFailures,
    retentionMs,
    verify: submission.verify,
    keepInputs: submission.keepInputs === true,
    meta: submission.meta,
    createdAt: now,
    state: "pending",
    pause: undefined,
    open: submission.open === true,
    parts: 0,
    nextTask: 0,
    startedAt: undefined,
    endedAt: undefined,
    firstFailure: undefined,
    verification: undefined,
    counts,
    groups: [],
    rescues: [],
    signals: 0,
    attemptsNoted: 0,
    dirty: true,
  };
  model.executions.set(no, execution);
  model.executionsById.set(id, execution);
  engine.journal.execution(execution, "pending");
  engine.touch(execution);
  addGroups(engine, execution, submission.groups);
  return execution;
}

export function extend(engine: Engine, params: ExtendParams): { readonly total: number } {
  if (!Number.isInteger(params.part) || params.part < 1) {
    throw new HoldfastError("INVALID_REQUEST", {
      method: "extend",
      path: "part",
      problem: `is ${params.part}; parts are numbered from 1`,
    });
  }
  const ended = endedTotal(engine, params);
  if (ended !== undefined) return { total: ended };
  const execution = engine.liveExecution(params.executionId);
  if (params.part <= execution.parts) return { total: total(execution.counts) };
  if (!execution.open) throw new HoldfastError("EXECUTION_SEALED", { execution: params.executionId });
  if (params.part !== execution.parts + 1) {
    const problem = `is ${params.part}; the next part is ${execution.parts + 1}`;
    throw new HoldfastError("INVALID_REQUEST", { method: "extend", path: "part", problem });
  }
  checkExtension(params, execution.nextTask);
  const { rescues, maxFailures } = execution;
  checkRescues({ rescues, maxFailures, groups: params.groups, method: "extend" });
  checkDepth(engine, params.groups);
  execution.parts = params.part;
  if (params.seal) execution.open = false;
  engine.touch(execution);
  addGroups(engine, execution, params.groups);
  return { total: total(execution.counts) };
}

/** A part sent again after the execution has ended: it was taken, perhaps it was the last. */
function endedTotal(engine: Engine, { executionId, part }: ExtendParams): number | undefined {
  if (engine.model.executionsById.has(executionId)) return undefined;
  const row = engine.db.get("SELECT counters FROM executions WHERE id = ? AND parts >= ?", executionId, part);
  return row === undefined ? undefined : total(JSON.parse(String(row["counters"])) as ItemCounts);
}

function total(counts: ItemCounts): number {
  return (
    counts.blocked +
    counts.scheduled +
    counts.queued +
    counts.running +
    counts.completed +
    counts.failed +
    counts.skipped
  );
}

/** Groups get the next numbers of tasks. They must have been checked. */
export function addGroups(engine: Engine, execution: ExecutionRecord, groups: readonly TaskGroup[]): void {
  const adding: Adding = { engine, execution, first: execution.nextTask, skipped: new Set() };
  for (const group of groups) addGroup(adding, group);
}

/** Tasks that are added together: what they are to each other is known without looking into the file. */
interface Adding {
  readonly engine: Engine;
  readonly execution: ExecutionRecord;
  /** Number of the first of them. */
  readonly first: number;
  /** Those of them that are skipped at once. */
  readonly skipped: Set<number>;
}

function standOf({ engine, execution, first, skipped }: Adding, parent: number): ParentState {
  if (parent < first) return parentState(engine.db, execution, parent);
  return skipped.has(parent) ? "dead" : "open";
}

function addGroup(adding: Adding, definition: TaskGroup): void {
  const { engine, execution } = adding;
  const { work, ...spec } = definition;
  const notBefore = spec.delayMs === undefined || spec.delayMs <= 0 ? undefined : engine.now + spec.delayMs;
  const isLinked = work.kind === "tasks" && work.after?.some((parents) => parents.length > 0) === true;
  const isRescue = spec.when === "failed";
  const group = newGroup({
    execution,
    no: execution.groups.length,
    first: execution.nextTask,
    count: work.kind === "array" ? 1 : work.inputs.length,
    spec,
    // What starts on failure waits for no parent of its own.
    linked: isLinked && !isRescue,
    ranked: work.kind === "tasks" && work.ranks?.some((rank) => rank > 0) === true,
    pool: engine.model.pool(spec.pool),
    notBefore,
    source: work.kind === "array" ? work.source : undefined,
    array:
      work.kind === "array"
        ? { length: work.length, chunk: work.chunk, results: work.results, cursor: 0, averageItemMs: undefined }
        : undefined,
    counts: noItems(),
  });
  execution.groups.push(group);
  execution.nextTask += group.count;
  insertGroup(engine, group);
  if (isRescue) execution.rescues.push(group);
  if (work.kind === "array") count(group, notBefore === undefined ? "queued" : "scheduled", work.length);
  else if (isRescue) insertRescues(engine, group, work);
  else insertTasks(adding, group, work);
  engine.model.addGroup(group);
  group.dirty = true;
  offer(group, engine.now);
}

function insertGroup(engine: Engine, group: GroupRecord): void {
  const { execution, array } = group;
  engine.db.run(
    `INSERT INTO groups (execution, no, first, count, spec, linked, ranked, not_before, array, source, cursor, counters)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '{}')`,
    execution.no,
    group.no,
    group.first,
    group.count,
    JSON.stringify(group.spec),
    group.linked ? 1 : 0,
    group.ranked === undefined ? 0 : 1,
    group.notBefore ?? null,
    array === undefined ? null : JSON.stringify({ length: array.length, chunk: array.chunk, results: array.results }),
    group.source ?? null,
  );
}

function insertTasks(adding: Adding, group: GroupRecord, work: TaskList): void {
  const { engine } = adding;
  const base = taskId(group.execution, group.first);
  const waitingState = group.notBefore === undefined ? "queued" : "scheduled";
  let waiting = 0;
  work.inputs.forEach((input, index) => {
    const parents = group.linked ? [...new Set(work.after?.[index])] : [];
    if (parents.length === 0) {
      waiting += 1;
      engine.db.run(
        "INSERT INTO tasks (id, state, attempt, failures, losses, input, label, rank) VALUES (?, ?, 0, 0, 0, ?, ?, ?)",
        base + index,
        QUEUED,
        input,
        work.labels?.[index] ?? null,
        work.ranks?.[index] ?? 0,
      );
      return;
    }
    insertLinked(adding, group, { work, index, parents });
  });
  count(group, waitingState, waiting);
}

/** Their parents are those whose results they get, and not waited for. */
function insertRescues(engine: Engine, group: GroupRecord, work: TaskList): void {
  for (const index of work.inputs.keys()) {
    const parents = [...new Set(work.after?.[index])];
    insertWaiting(engine, group, { work, index, parents, state: BLOCKED, waitingOn: RESCUE_GATE });
  }
  count(group, "blocked", work.inputs.length);
}

interface LinkedTask {
  readonly work: TaskList;
  /** Of the task in the list. */
  readonly index: number;
  readonly parents: readonly number[];
}

function insertLinked(adding: Adding, group: GroupRecord, link: LinkedTask): void {
  const { engine, execution, skipped } = adding;
  const task = group.first + link.index;
  const states = link.parents.map((parent) => standOf(adding, parent));
  const waitingOn = states.filter((state) => state === "open").length;
  const isSkipped = states.includes("dead");
  const state = isSkipped ? SKIPPED : waitingOn > 0 ? BLOCKED : QUEUED;
  if (isSkipped) skipped.add(task);
  insertWaiting(engine, group, { ...link, state, waitingOn });
  for (const parent of link.parents) {
    engine.db.run(
      "INSERT INTO edges (parent, child) VALUES (?, ?)",
      taskId(execution, parent),
      taskId(execution, task),
    );
  }
  const ready = group.notBefore === undefined ? "queued" : "scheduled";
  count(group, state === SKIPPED ? "skipped" : state === BLOCKED ? "blocked" : ready, 1);
}

function insertWaiting(
  { db }: Engine,
  group: GroupRecord,
  { work, index, parents, ...task }: LinkedTask & { readonly state: number; readonly waitingOn: number },
): void {
  db.run(
    `INSERT INTO tasks (id, state, attempt, failures, losses, waiting_on, parents, input, label, rank)
     VALUES (?, ?, 0, 0, 0, ?, ?, ?, ?, ?)`,
    taskId(group.execution, group.first + index),
    task.state,
    task.waitingOn,
    parents.length === 0 ? null : JSON.stringify(parents),
    work.inputs[index] ?? null,
    work.labels?.[index] ?? null,
    work.ranks?.[index] ?? 0,
  );
}

function count(group: GroupRecord, state: "queued" | "scheduled" | "blocked" | "skipped", items: number): void {
  group.counts[state] += items;
  group.execution.counts[state] += items;
}
