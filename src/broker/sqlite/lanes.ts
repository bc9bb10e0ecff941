/**
 * What of a group is ready to be claimed, and how it gets there.
 *
 * Separate tasks are read from the file a page at a time, in order; those that come back after their
 * number was passed wait in a small heap. An array needs its cursor and the ranges that came back.
 * So memory holds a page per group and what is in flight, however many tasks wait.
 *
 * Where tasks have ranks, all that are ready stand in a heap, number and rank of each. What it says of
 * a task is checked against the file when it is taken: a task that was removed, held or ranked anew
 * since is passed over there, and nobody need look for it before.
 */
import type { RankedTask } from "../../core/ready-queue.ts";
import { Heap } from "../../util/heap.ts";
import { type Database, type Row } from "./database.ts";
import { type GroupRecord, QUEUED, taskId, type WaitingRange, type WaitingTask } from "./model.ts";

/** Tasks read ahead at a time: few at first, then as many as the text they bring allows. */
export const FIRST_PAGE_TASKS = 32;
const MAX_PAGE_TASKS = 512;
const MIN_PAGE_TASKS = 4;
const PAGE_TEXT = 4_194_304;

export function hasWork(group: GroupRecord): boolean {
  const { array } = group;
  if (array !== undefined) return group.ranges.size > 0 || array.cursor < array.length;
  if (group.ranked !== undefined && group.ranked.size > 0) return true;
  return group.again.size > 0 || group.pageAt < group.page.length || group.nextToRead < group.first + group.count;
}

/** Puts the group into its pool's ready queue if it has work and may run. */
export function offer(group: GroupRecord, now: number): void {
  if (group.notBefore !== undefined || group.execution.state === "paused" || !hasWork(group)) return;
  group.pool.ready.add(group, now);
}

/**
 * What is ready of separate tasks is read from the file anew: many came back, or what was read ahead
 * is not ready any more.
 */
export function rewind(group: GroupRecord, now: number): void {
  group.nextToRead = group.first;
  group.page = [];
  group.pageAt = 0;
  while (group.again.pop() !== undefined);
  if (group.ranked !== undefined) group.ranked = rankedTasks();
  offer(group, now);
}

export function rankedTasks(): Heap<RankedTask> {
  return new Heap<RankedTask>(
    ({ rank }) => -rank,
    ({ task }) => task,
  );
}

/** From now on tasks of the group go by their ranks, which are in the file. */
export function startRanking(group: GroupRecord, now: number): void {
  if (group.ranked !== undefined) return;
  group.ranked = rankedTasks();
  group.dirty = true;
  // Its place is another one among the lanes of its execution.
  group.pool.ready.remove(group);
  rewind(group, now);
}

/**
 * What decides when the group's turn comes among those of its execution. What was not read yet may be
 * anything, and is looked at first.
 */
export function bestOf(group: GroupRecord): RankedTask | undefined {
  if (group.ranked === undefined) return { task: group.first, rank: 0 };
  if (isUnread(group)) return { task: group.first, rank: Infinity };
  return group.ranked.peek();
}

function isUnread(group: GroupRecord): boolean {
  return group.again.size > 0 || group.nextToRead < group.first + group.count;
}

/** Brings the heap of a ranked group up to date. */
export function readRanks(db: Database, group: GroupRecord): void {
  const { ranked, execution } = group;
  if (ranked === undefined) return;
  const end = group.first + group.count;
  const base = taskId(execution, 0);
  if (group.nextToRead < end) {
    const rows = db.all(
      "SELECT id, rank FROM tasks WHERE id >= ? AND id < ? AND state = ?",
      base + group.nextToRead,
      base + end,
      QUEUED,
    );
    for (const row of rows) ranked.push({ task: Number(row["id"]) - base, rank: Number(row["rank"]) });
    group.nextToRead = end;
  }
  for (let task = group.again.pop(); task !== undefined; task = group.again.pop()) {
    const row = db.get("SELECT rank FROM tasks WHERE id = ?", base + task);
    ranked.push({ task, rank: Number(row?.["rank"] ?? 0) });
  }
}

/** Tasks that are not queued in the file any more are not handed out. */
export function withdraw(group: GroupRecord, tasks: ReadonlySet<number>): void {
  group.page = group.page.slice(group.pageAt).filter(({ task }) => !tasks.has(task));
  group.pageAt = 0;
}

/** A separate task, queued in the file, is ready (again). */
export function offerTask(group: GroupRecord, task: number, now: number): void {
  if (task < group.nextToRead) group.again.push(task);
  offer(group, now);
}

export function offerRange(group: GroupRecord, range: WaitingRange, now: number): void {
  group.ranges.push(range);
  offer(group, now);
}

/** The best of the heap if it is ready as it says; undefined when it is not, or nothing is left. */
export function takeRanked(db: Database, group: GroupRecord): WaitingTask | undefined {
  const next = group.ranked?.pop();
  if (next === undefined) return undefined;
  const row = db.get(
    `SELECT id, attempt, failures, losses, input, parents, label, wake FROM tasks
     WHERE id = ? AND state = ? AND rank = ?`,
    taskId(group.execution, next.task),
    QUEUED,
    next.rank,
  );
  return row === undefined ? undefined : waitingTask(row, next.task);
}

/** Next ready task in order of number, or undefined when none is ready. */
export function takeTask(db: Database, group: GroupRecord): WaitingTask | undefined {
  if (group.pageAt >= group.page.length) readPage(db, group);
  const read = group.page[group.pageAt];
  const again = group.again.peek();
  if (again !== undefined && (read === undefined || again < read.task)) {
    // One that was held and let go since may stand there twice.
    while (group.again.peek() === again) group.again.pop();
    const row = db.get(
      "SELECT id, attempt, failures, losses, input, parents, label, wake FROM tasks WHERE id = ? AND state = ?",
      taskId(group.execution, again),
      QUEUED,
    );
    return row === undefined ? takeTask(db, group) : waitingTask(row, again);
  }
  if (read !== undefined) group.pageAt += 1;
  return read;
}

function readPage(db: Database, group: GroupRecord): void {
  const end = group.first + group.count;
  if (group.nextToRead >= end) return;
  const base = taskId(group.execution, 0);
  const rows = db.all(
    `SELECT id, attempt, failures, losses, input, parents, label, wake FROM tasks
     WHERE id >= ? AND id < ? AND state = ? ORDER BY id LIMIT ?`,
    base + group.nextToRead,
    base + end,
    QUEUED,
    group.pageTasks,
  );
  group.page = rows.map((row) => waitingTask(row, Number(row["id"]) - base));
  group.pageAt = 0;
  const last = group.page.at(-1);
  const isLast = rows.length < group.pageTasks || last === undefined;
  group.nextToRead = isLast ? end : last.task + 1;
  group.pageTasks = nextPage(group.page);
}

/** Tasks of the next page, by the text that one of this page brings. */
function nextPage(page: readonly WaitingTask[]): number {
  const text = page.reduce((sum, { input, parents }) => sum + (input?.length ?? 0) + (parents?.length ?? 0), 1);
  return Math.max(MIN_PAGE_TASKS, Math.min(MAX_PAGE_TASKS, Math.floor((PAGE_TEXT * page.length) / text)));
}

function waitingTask(row: Row, task: number): WaitingTask {
  return {
    task,
    attempt: Number(row["attempt"]),
    failures: Number(row["failures"]),
    losses: Number(row["losses"]),
    input: row["input"] as string | null,
    parents: row["parents"] as string | null,
    label: row["label"] as string | null,
    wake: row["wake"] as string | null,
  };
}
