/**
 * Events of the transaction under way (promise 10). Transitions of one kind that follow each other
 * share a row; the rows are written with the changes they tell of.
 */
import type { ExecutionState, TaskState } from "../../core/states.ts";
import type { EventChange } from "../contract.ts";
import type { Database } from "./database.ts";
import { type ExecutionRecord, TASK_ID_SPAN } from "./model.ts";

/** Entries of one event: a reader's cursor counts them in ten bits (see reads.ts). */
export const MAX_EVENT_ENTRIES = 1_000;

export type EventEntry = number | readonly [task: number, start: number, end: number];

interface Draft {
  readonly execution: number | null;
  readonly change: EventChange;
  /** Only for `tasks` changes: what must be equal to share the row. */
  readonly sameness: string;
  readonly entries: EventEntry[];
  /** Result rows that this commit made, where they are not the entries themselves. */
  readonly results: EventEntry[];
  /** Result rows and entries part ways: items of a chunk failed. */
  split: boolean;
}

export interface TaskMove {
  readonly state: TaskState;
  readonly entry: EventEntry;
  readonly worker?: string | undefined;
  readonly reason?: string | undefined;
  /**
   * The result row of a `completed` entry, where it covers more than the entry; null: an earlier
   * entry has named it already.
   */
  readonly result?: EventEntry | null | undefined;
}

export class Journal {
  #drafts: Draft[] = [];
  /** The last draft of each execution, the only one a further transition may join. */
  readonly #last = new Map<number, Draft>();
  /** Some of the transaction's events are written already. */
  #flushed = false;

  get isEmpty(): boolean {
    return this.#drafts.length === 0;
  }

  tasks(execution: ExecutionRecord, move: TaskMove): void {
    const sameness = `${move.state}|${move.worker ?? ""}|${move.reason ?? ""}`;
    const last = this.#last.get(execution.no);
    if (last !== undefined && last.sameness === sameness && last.entries.length < MAX_EVENT_ENTRIES) {
      last.entries.push(move.entry);
      noteResult(last, move);
      return;
    }
    const entries = [move.entry];
    const change: EventChange = {
      kind: "tasks",
      state: move.state,
      tasks: entries,
      ...(move.worker === undefined ? {} : { worker: move.worker }),
      ...(move.reason === undefined ? {} : { reason: move.reason }),
    };
    const draft: Draft = { execution: execution.no, change, sameness, entries, results: [], split: false };
    noteResult(draft, move);
    this.#push(draft);
  }

  execution(execution: ExecutionRecord, state: ExecutionState, reason?: string): void {
    const change: EventChange = { kind: "execution", state, ...(reason === undefined ? {} : { reason }) };
    this.#push({ execution: execution.no, change, sameness: "", entries: [], results: [], split: false });
  }

  session(session: string, worker: string, state: "opened" | "left" | "lost"): void {
    const change: EventChange = { kind: "session", session, worker, state };
    this.#push({ execution: null, change, sameness: "", entries: [], results: [], split: false });
  }

  #push(draft: Draft): void {
    this.#drafts.push(draft);
    if (draft.execution !== null) this.#last.set(draft.execution, draft);
  }

  /** Writes the drafts at the end of a transaction; returns whether it had any. */
  write(db: Database, at: number): boolean {
    this.flush(db, at);
    const wrote = this.#flushed;
    this.clear();
    return wrote;
  }

  /** Writes the drafts so far: what follows in the transaction gets later cursors. */
  flush(db: Database, at: number): void {
    if (this.#drafts.length === 0) return;
    for (const draft of this.#drafts) {
      db.run(
        "INSERT INTO events (at, execution, results, change) VALUES (?, ?, ?, ?)",
        at,
        draft.execution,
        resultsText(draft),
        JSON.stringify(draft.change),
      );
    }
    this.clear();
    this.#flushed = true;
  }

  clear(): void {
    this.#drafts = [];
    this.#last.clear();
    this.#flushed = false;
  }
}

function noteResult(draft: Draft, move: TaskMove): void {
  if (move.state !== "completed") return;
  if (move.result !== undefined) draft.split = true;
  if (move.result !== null) draft.results.push(move.result ?? move.entry);
}

function resultsText(draft: Draft): string | null {
  if (draft.results.length === 0) return null;
  return draft.split ? JSON.stringify(draft.results) : "[]";
}

/** Splits a task id into the execution's number and the task's. */
export function splitTaskId(id: number): { readonly execution: number; readonly task: number } {
  const execution = Math.floor(id / TASK_ID_SPAN);
  return { execution, task: id - execution * TASK_ID_SPAN };
}
