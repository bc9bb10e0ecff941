/**
 * Readers with a cursor: events, and results in the order of their commits (promise 10).
 *
 * Results are found through the events that name them. A result cursor is `event * 1024 + entries of
 * that event already read`, so a page may end within an event.
 */
import { isExecutionEnded } from "../../core/states.ts";
import {
  type BrokerEvent,
  type EventChange,
  FROM_NOW,
  type ReadEventsParams,
  type ReadEventsReply,
  type ReadResultsParams,
  type ReadResultsReply,
  type ResultRow,
} from "../contract.ts";
import { MAX_REPLY_PAYLOAD } from "../limits.ts";
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import type { EventEntry } from "./journal.ts";
import { COMPLETED, TASK_ID_SPAN } from "./model.ts";
import { executionRow } from "./views.ts";

const ENTRIES_PER_EVENT = 1_024;

export function readEvents(engine: Engine, params: ReadEventsParams): ReadEventsReply {
  if (params.cursor === FROM_NOW) {
    if (params.executionId !== undefined) executionRow(engine, params.executionId);
    return { events: [], cursor: lastCursor(engine) };
  }
  const rows =
    params.executionId === undefined
      ? engine.db.all(
          "SELECT e.*, x.id AS execution_id FROM events e LEFT JOIN executions x ON x.no = e.execution WHERE e.cursor > ? ORDER BY e.cursor LIMIT ?",
          params.cursor,
          params.limit,
        )
      : engine.db.all(
          "SELECT e.*, ? AS execution_id FROM events e WHERE e.execution = ? AND e.cursor > ? ORDER BY e.cursor LIMIT ?",
          params.executionId,
          Number(executionRow(engine, params.executionId)["no"]),
          params.cursor,
          params.limit,
        );
  const events = rows.map(event);
  return { events, cursor: events.at(-1)?.cursor ?? params.cursor };
}

/** Of the newest event that was written, be it kept or not. */
export function lastCursor(engine: Engine): number {
  return Number(engine.db.get("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?.["seq"] ?? 0);
}

function event(row: Row): BrokerEvent {
  return {
    cursor: Number(row["cursor"]),
    at: Number(row["at"]),
    change: JSON.parse(String(row["change"])) as EventChange,
    ...(typeof row["execution_id"] === "string" ? { executionId: row["execution_id"] } : {}),
  };
}

export function readResults(engine: Engine, params: ReadResultsParams): ReadResultsReply {
  const execution = executionRow(engine, params.executionId);
  const no = Number(execution["no"]);
  const from = params.cursor ?? 0;
  const rows: ResultRow[] = [];
  /** The row that uses it up is the last one of the page. */
  let room = MAX_REPLY_PAYLOAD;
  let cursor = from;
  const isFull = (): boolean => rows.length >= params.limit || room <= 0;
  const events = engine.db.all(
    "SELECT cursor, change, results FROM events WHERE execution = ? AND cursor >= ? AND results IS NOT NULL ORDER BY cursor LIMIT ?",
    no,
    Math.floor(from / ENTRIES_PER_EVENT),
    params.limit + 1,
  );
  for (const row of events) {
    const change = JSON.parse(String(row["change"])) as Extract<EventChange, { kind: "tasks" }>;
    const named = JSON.parse(String(row["results"])) as readonly EventEntry[];
    const entries = named.length === 0 ? change.tasks : named;
    const base = Number(row["cursor"]) * ENTRIES_PER_EVENT;
    for (let at = Math.max(0, from - base); at < entries.length && !isFull(); at += 1) {
      const place = {
        no,
        entry: entries[at] as EventEntry,
        worker: change.worker ?? "",
        cursor: Number(row["cursor"]),
      };
      const result = resultRow(engine, place, params);
      if (result !== undefined) {
        rows.push(result);
        room -= textLength(result);
      }
      cursor = base + at + 1;
    }
    if (isFull()) return { rows, cursor, done: false };
  }
  return { rows, cursor, done: isExecutionEnded(String(execution["state"]) as "running") };
}

function textLength({ values, result, partial }: ResultRow): number {
  return (values?.length ?? 0) + (result?.length ?? 0) + (partial?.length ?? 0);
}

interface ResultPlace {
  readonly no: number;
  readonly entry: EventEntry;
  readonly worker: string;
  /** Of the event that names it. */
  readonly cursor: number;
}

/** Undefined where the result was taken back since. */
function resultRow(engine: Engine, place: ResultPlace, params: ReadResultsParams): ResultRow | undefined {
  const { no, entry, worker, cursor } = place;
  if (typeof entry === "number") {
    const row = engine.db.get(
      "SELECT result, attempt, duration_ms, at FROM tasks WHERE id = ? AND state = ? AND coalesce(taken_back, 0) < ?",
      no * TASK_ID_SPAN + entry,
      COMPLETED,
      cursor,
    );
    if (row === undefined) return undefined;
    const result = params.partialsOnly === true ? {} : { result: (row["result"] as string | null) ?? "null" };
    return { task: entry, worker, ...result, ...ran(row) };
  }
  const [task, start, end] = entry;
  const row =
    params.partialsOnly === true
      ? engine.db.get(
          "SELECT partial, missing, attempt, duration_ms, at FROM results WHERE execution = ? AND task = ? AND start = ? AND end = ?",
          no,
          task,
          start,
          end,
        )
      : engine.db.get(
          "SELECT * FROM results WHERE execution = ? AND task = ? AND start = ? AND end = ?",
          no,
          task,
          start,
          end,
        );
  if (row === undefined) return undefined;
  return {
    task,
    start,
    end,
    worker,
    ...ran(row),
    ...(typeof row["item_values"] === "string" ? { values: row["item_values"] } : {}),
    ...(typeof row["partial"] === "string" ? { partial: row["partial"] } : {}),
    ...(typeof row["missing"] === "string" ? { missing: JSON.parse(row["missing"]) as number[] } : {}),
  };
}

function ran(row: Row): Pick<ResultRow, "attempt" | "durationMs" | "at"> {
  return { attempt: Number(row["attempt"]), durationMs: Number(row["duration_ms"]), at: Number(row["at"]) };
}
