/** Dead letters as people look at them: of one execution or of all, in order, page by page. */
import type { Failure } from "../../core/failure.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { DeadLetter, ListDeadLettersParams, ListDeadLettersReply } from "../contract.ts";
import { MAX_REPLY_PAYLOAD } from "../limits.ts";
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import { splitTaskId } from "./journal.ts";
import { TASK_ID_SPAN } from "./model.ts";
import { IS_LETTER } from "./schema.ts";
import { executionRow, optional } from "./views.ts";

/** Of a letter in the list: by execution, task and first item (−1 for a separate task). */
interface Place {
  readonly execution: number;
  readonly task: number;
  readonly start: number;
}

interface Found extends Place {
  readonly row: Row;
}

/** Before all letters of an execution. */
const FIRST = { task: -1, start: -1 };

export function listDeadLetters(engine: Engine, params: ListDeadLettersParams): ListDeadLettersReply {
  const only = params.executionId === undefined ? undefined : Number(executionRow(engine, params.executionId)["no"]);
  const after = placeIn(params.after) ?? { execution: only ?? 0, ...FIRST };
  const end = only ?? Number.MAX_SAFE_INTEGER;
  const limit = params.limit + 1;
  const found = [...tasksAfter(engine, after, { end, limit }), ...rangesAfter(engine, after, { end, limit })];
  found.sort(inOrder);
  const letters: DeadLetter[] = [];
  /** The letter that uses it up is the last one of the page. */
  let room = MAX_REPLY_PAYLOAD;
  for (const one of found) {
    if (letters.length >= params.limit || room <= 0) break;
    const letter = describe(engine, one, params.inputs === true);
    letters.push(letter);
    room -= letter.input?.length ?? 0;
  }
  const last = found[letters.length - 1];
  return { letters, ...(found.length > letters.length && last !== undefined ? { next: nameOf(last) } : {}) };
}

interface Bounds {
  /** Number of the last execution. */
  readonly end: number;
  readonly limit: number;
}

function tasksAfter({ db }: Engine, after: Place, { end, limit }: Bounds): Found[] {
  // Behind a range of an array comes the next task; behind the place before all, the first one.
  const rows = db.all(
    `SELECT id FROM tasks WHERE id > ? AND id < ? AND ${IS_LETTER} ORDER BY id LIMIT ?`,
    after.execution * TASK_ID_SPAN + after.task,
    Math.min((end + 1) * TASK_ID_SPAN, Number.MAX_SAFE_INTEGER),
    limit,
  );
  return rows.map((row) => ({ ...splitTaskId(Number(row["id"])), start: -1, row }));
}

function rangesAfter({ db }: Engine, { execution, task, start }: Place, { end, limit }: Bounds): Found[] {
  const rows = db.all(
    `SELECT * FROM chunks WHERE (execution, task, start) > (?, ?, ?) AND execution <= ? AND ${IS_LETTER}
     ORDER BY execution, task, start LIMIT ?`,
    execution,
    task,
    start,
    end,
    limit,
  );
  return rows.map((row) => ({
    execution: Number(row["execution"]),
    task: Number(row["task"]),
    start: Number(row["start"]),
    row,
  }));
}

function inOrder(one: Place, other: Place): number {
  return one.execution - other.execution || one.task - other.task || one.start - other.start;
}

function describe({ db }: Engine, { execution, task, start, row }: Found, withInput: boolean): DeadLetter {
  const isTask = start < 0;
  const facts = isTask
    ? db.get(
        "SELECT failures, losses, failure, at, iif(?, input, NULL) AS input FROM tasks WHERE id = ?",
        withInput ? 1 : 0,
        execution * TASK_ID_SPAN + task,
      )
    : row;
  const { failures, losses, failure, at, input } = facts ?? row;
  return {
    executionId: String(db.get("SELECT id FROM executions WHERE no = ?", execution)?.["id"]),
    task,
    ...(isTask ? {} : { start, end: Number(row["end"]) }),
    failures: Number(failures),
    losses: Number(losses),
    failure: JSON.parse(String(failure)) as Failure,
    at: Number(at),
    ...optional("input", input),
  };
}

function nameOf({ execution, task, start }: Place): string {
  return `${execution}.${task}.${start}`;
}

function placeIn(after: string | undefined): Place | undefined {
  if (after === undefined) return undefined;
  const [execution, task, start] = after.split(".").map(Number);
  const isPlace = [execution, task, start].every((part) => Number.isSafeInteger(part));
  if (isPlace && execution !== undefined && task !== undefined && start !== undefined)
    return { execution, task, start };
  const problem = `is ${after}, which no reply has given as next`;
  throw new HoldfastError("INVALID_REQUEST", { method: "listDeadLetters", path: "after", problem });
}
