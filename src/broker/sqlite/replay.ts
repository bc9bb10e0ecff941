/**
 * Transitions retry and discard: dead letters are queued again, or struck off the list.
 *
 * Invariant: a refused call changes nothing. What a replay will do is found out first (which letters,
 * which dependents wait again, how full it makes the pools), then done, all in one transaction.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { LetterRef, LettersParams } from "../contract.ts";
import type { Row } from "./database.ts";
import { descendants, type Family, parentsIn, parentState } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { offerRange, rewind } from "./lanes.ts";
import {
  BLOCKED,
  type ExecutionRecord,
  groupDepth,
  groupIn,
  groupOf,
  type GroupRecord,
  QUEUED,
  SKIPPED,
  TASK_ID_SPAN,
  taskId,
} from "./model.ts";
import { familyOf, findReplayable, forgive, type GroupFacts, type Replayable, reopen } from "./reopen.ts";
import { IS_LETTER } from "./schema.ts";
import { executionRow } from "./views.ts";
import { addedBy, wakeIn } from "./wake.ts";

/** Dead letters of one execution. */
interface Letters {
  /** Numbers of separate tasks, ascending. */
  readonly tasks: readonly number[];
  /** Rows of `chunks`. */
  readonly ranges: readonly Row[];
}

/** A skipped task that will wait again, and for how many parents. */
type Waiters = ReadonlyMap<number, number>;

/** Returns the number of items that are queued. Errors: EXECUTION_NOT_FOUND, EXECUTION_CANCELLED, QUEUE_FULL. */
export function retry(engine: Engine, params: LettersParams): number {
  const found = findReplayable(engine, params.executionId);
  const letters = findLetters(engine, found.no, params.letters);
  if (letters.tasks.length + letters.ranges.length === 0) return 0;
  const family = familyOf(engine, found);
  const waiters = findWaiters(engine, family, letters);
  checkDepth(engine, { found, groups: family.groups, letters, waiters });
  const execution = reopen(engine, found, "replayed");
  queueTasks(engine, execution, letters.tasks);
  queueRanges(engine, execution, letters.ranges);
  blockWaiters(engine, execution, waiters);
  forgive(engine, execution, { hadEnded: found.live === undefined });
  return countItems(letters);
}

/** Returns the number of items that are struck off. Errors: EXECUTION_NOT_FOUND. */
export function discard(engine: Engine, params: LettersParams): number {
  const no = Number(executionRow(engine, params.executionId)["no"]);
  const letters = findLetters(engine, no, params.letters);
  for (const task of letters.tasks)
    engine.db.run("UPDATE tasks SET discarded = 1 WHERE id = ?", no * TASK_ID_SPAN + task);
  for (const { task = null, start = null } of letters.ranges) {
    engine.db.run(
      "UPDATE chunks SET discarded = 1 WHERE execution = ? AND task = ? AND start = ? AND replica = 0",
      no,
      task,
      start,
    );
  }
  return countItems(letters);
}

function countItems({ tasks, ranges }: Letters): number {
  return ranges.reduce((sum, row) => sum + Number(row["end"]) - Number(row["start"]), tasks.length);
}

// ── Finding out ───────────────────────────────────────────────────────────────────────────────

function findLetters(engine: Engine, no: number, refs: readonly LetterRef[] | undefined): Letters {
  return refs === undefined ? allLetters(engine, no) : namedLetters(engine, no, refs);
}

function allLetters({ db }: Engine, no: number): Letters {
  const base = no * TASK_ID_SPAN;
  const tasks = db.all(
    `SELECT id FROM tasks WHERE id >= ? AND id < ? AND ${IS_LETTER} ORDER BY id`,
    base,
    base + TASK_ID_SPAN,
  );
  const ranges = db.all(`SELECT * FROM chunks WHERE execution = ? AND ${IS_LETTER} ORDER BY task, start`, no);
  return { tasks: tasks.map((row) => Number(row["id"]) - base), ranges };
}

/** What is named twice counts once; what is no letter is passed over. */
function namedLetters({ db }: Engine, no: number, refs: readonly LetterRef[]): Letters {
  const tasks = new Set<number>();
  const ranges = new Map<string, Row>();
  for (const { task, start } of refs) {
    if (task < 0 || task >= TASK_ID_SPAN) continue;
    if (start === undefined) {
      const id = no * TASK_ID_SPAN + task;
      if (db.get(`SELECT 1 FROM tasks WHERE id = ? AND ${IS_LETTER}`, id) !== undefined) tasks.add(task);
      continue;
    }
    const row = db.get(
      `SELECT * FROM chunks WHERE execution = ? AND task = ? AND start = ? AND replica = 0 AND ${IS_LETTER}`,
      no,
      task,
      start,
    );
    if (row !== undefined) ranges.set(`${task}/${start}`, row);
  }
  return { tasks: [...tasks].sort((one, other) => one - other), ranges: [...ranges.values()] };
}

/**
 * Skipped tasks that come after the letters and are held up by no other dead one, nor removed. What came
 * after a letter whose failure was borne has been let go and does not wait for it.
 */
function findWaiters({ db }: Engine, family: Family, letters: Letters): Waiters {
  const rowOf = (task: number): Row | undefined =>
    db.get(
      "SELECT state, parents, removed, passes, held, wake FROM tasks WHERE id = ?",
      family.no * TASK_ID_SPAN + task,
    );
  const seeds = [
    ...letters.tasks.filter((task) => rowOf(task)?.["passes"] !== 1),
    ...letters.ranges.map((row) => Number(row["task"])),
  ];
  const alive = new Set(seeds);
  const waiters = new Map<number, number>();
  const isSkipped = (task: number): boolean => {
    const row = rowOf(task);
    return row?.["state"] === SKIPPED && row["removed"] !== 1;
  };
  for (const task of descendants(db, family, { seeds: [...alive], follows: isSkipped })) {
    if (alive.has(task)) continue;
    const row = rowOf(task);
    const parents = [...parentsIn(row?.["parents"]), ...addedBy(wakeIn(row?.["wake"]))];
    const states = parents.map((parent) => (alive.has(parent) ? "open" : parentState(db, family, parent)));
    if (states.includes("dead")) continue;
    alive.add(task);
    waiters.set(task, states.filter((state) => state === "open").length + Number(row?.["held"] ?? 0));
  }
  return waiters;
}

interface Plan {
  readonly found: Replayable;
  readonly groups: readonly GroupFacts[];
  readonly letters: Letters;
  readonly waiters: Waiters;
}

/** Errors: QUEUE_FULL. */
function checkDepth(engine: Engine, { found, groups, letters, waiters }: Plan): void {
  const added = new Map<GroupFacts, number>();
  const tasks = [...letters.tasks, ...letters.ranges.map((row) => Number(row["task"])), ...waiters.keys()];
  for (const task of tasks) {
    const group = groupIn(groups, task);
    if (group !== undefined) added.set(group, (added.get(group) ?? 0) + 1);
  }
  const byPool = new Map<string, number>();
  for (const group of groups) {
    const { counts, array } = group;
    // A live group is in its pool's depth already; one that ended comes back with all that it left.
    const before = found.live === undefined ? 0 : groupDepth(group);
    const again = found.live === undefined ? counts.running : 0;
    const after = groupDepth({ array, counts: { ...counts, queued: counts.queued + again + (added.get(group) ?? 0) } });
    byPool.set(group.pool, (byPool.get(group.pool) ?? 0) + after - before);
  }
  const limit = engine.settings.maxQueueDepth;
  for (const [pool, more] of byPool) {
    const { depth } = engine.model.pool(pool);
    if (more > 0 && depth + more > limit) throw new HoldfastError("QUEUE_FULL", { pool, depth, limit });
  }
}

// ── Doing it ──────────────────────────────────────────────────────────────────────────────────

/** Letters of separate tasks are queued as if they had not been tried yet. */
function queueTasks(engine: Engine, execution: ExecutionRecord, tasks: readonly number[]): void {
  const groups = new Set<GroupRecord>();
  for (const [first, last] of runsOf(tasks)) {
    engine.db.run(
      `UPDATE tasks SET state = ${QUEUED}, failures = 0, losses = 0, token = NULL, session = NULL, at = ?
       WHERE id BETWEEN ? AND ?`,
      engine.now,
      taskId(execution, first),
      taskId(execution, last),
    );
  }
  for (const task of tasks) {
    const group = groupOf(execution, task);
    if (group === undefined) continue;
    engine.move(group, { from: "failed", to: "queued" });
    if (group.spec.onFailure === "continue") execution.counts.borne -= 1;
    engine.journal.tasks(execution, { state: "queued", entry: task, reason: "replayed" });
    groups.add(group);
  }
  for (const group of groups) rewind(group, engine.now);
}

/** Numbers that follow each other, as first and last. */
function runsOf(numbers: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run?.[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  return runs;
}

function queueRanges(engine: Engine, execution: ExecutionRecord, ranges: readonly Row[]): void {
  for (const row of ranges) {
    const [task, start, end] = [Number(row["task"]), Number(row["start"]), Number(row["end"])];
    const group = groupOf(execution, task);
    if (group === undefined) continue;
    engine.db.run(
      `UPDATE chunks SET state = ${QUEUED}, failures = 0, losses = 0, careful = 0, token = NULL, session = NULL,
         failure = NULL, at = ? WHERE execution = ? AND task = ? AND start = ? AND replica = 0`,
      engine.now,
      execution.no,
      task,
      start,
    );
    engine.move(group, { from: "failed", to: "queued", items: end - start });
    engine.journal.tasks(execution, { state: "queued", entry: [task, start, end], reason: "replayed" });
    const attempt = Number(row["attempt"]);
    offerRange(group, { start, end, attempt, failures: 0, losses: 0, careful: false }, engine.now);
  }
}

function blockWaiters(engine: Engine, execution: ExecutionRecord, waiters: Waiters): void {
  for (const [task, waitingOn] of waiters) {
    const group = groupOf(execution, task);
    if (group === undefined) continue;
    engine.db.run(
      `UPDATE tasks SET state = ${BLOCKED}, waiting_on = ?, at = ? WHERE id = ?`,
      waitingOn,
      engine.now,
      taskId(execution, task),
    );
    engine.move(group, { from: "skipped", to: "blocked" });
    engine.journal.tasks(execution, { state: "blocked", entry: task, reason: "replayed" });
  }
}
