/**
 * A file of version 1 dropped the ranges of an array that waited or ran when its execution failed. To
 * run such an execution again they are found as what is neither committed nor dead, and queued.
 */
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import { type GroupRecord, QUEUED } from "./model.ts";

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Of a group in memory whose execution has just been loaded. */
export function queueDropped(engine: Engine, group: GroupRecord): void {
  const { array, counts, execution } = group;
  if (array === undefined) return;
  const stored = engine.db.get(
    "SELECT coalesce(sum(end - start), 0) AS n FROM chunks WHERE execution = ? AND task = ? AND replica = 0",
    execution.no,
    group.first,
  );
  const expected = counts.queued + counts.scheduled + counts.running + counts.failed - (array.length - array.cursor);
  if (Number(stored?.["n"]) === expected) return;
  for (const { start, end } of gaps(knownRanges(engine, group), array.cursor)) {
    engine.db.run(
      `INSERT INTO chunks (execution, task, start, replica, end, state, attempt, failures, losses, careful, at)
       VALUES (?, ?, ?, 0, ?, ?, 0, 0, 0, 0, ?)`,
      execution.no,
      group.first,
      start,
      end,
      QUEUED,
      engine.now,
    );
    group.ranges.push({ start, end, attempt: 0, failures: 0, losses: 0, careful: false });
  }
}

/** Committed and dead ranges in order; items that are missing in a committed one are not part of it. */
function knownRanges({ db }: Engine, { execution, first }: GroupRecord): Range[] {
  const results = db.all(
    "SELECT start, end, missing FROM results WHERE execution = ? AND task = ?",
    execution.no,
    first,
  );
  const chunks = db.all(
    "SELECT start, end, NULL AS missing FROM chunks WHERE execution = ? AND task = ? AND replica = 0",
    execution.no,
    first,
  );
  return [...results, ...chunks].flatMap(withoutMissing).toSorted((one, other) => one.start - other.start);
}

function withoutMissing(row: Row): Range[] {
  const missing = typeof row["missing"] === "string" ? (JSON.parse(row["missing"]) as number[]) : [];
  const parts: Range[] = [];
  let start = Number(row["start"]);
  for (const end of [...missing, Number(row["end"])]) {
    if (end > start) parts.push({ start, end });
    start = end + 1;
  }
  return parts;
}

function gaps(known: readonly Range[], end: number): Range[] {
  const found: Range[] = [];
  let from = 0;
  for (const range of [...known, { start: end, end }]) {
    if (range.start > from) found.push({ start: from, end: range.start });
    from = Math.max(from, range.end);
  }
  return found;
}
