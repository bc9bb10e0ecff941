/**
 * What of a group is ready to be claimed, and how it gets there.
 *
 * Separate tasks are read from the file a page at a time, in order; those that come back after their
 * number was passed wait in a small heap. An array needs its cursor and the ranges that came back.
 * So memory holds a page per group and what is in flight, however many tasks wait.
 */
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
  offer(group, now);
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

/** Next ready task in order of number, or undefined when none is ready. */
export function takeTask(db: Database, group: GroupRecord): WaitingTask | undefined {
  if (group.pageAt >= group.page.length) readPage(db, group);
  const read = group.page[group.pageAt];
  const again = group.again.peek();
  if (again !== undefined && (read === undefined || again < read.task)) {
    group.again.pop();
    const row = db.get(
      "SELECT id, attempt, failures, losses, input, parents FROM tasks WHERE id = ? AND state = ?",
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
    `SELECT id, attempt, failures, losses, input, parents FROM tasks
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
  };
}
