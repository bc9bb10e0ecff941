/**
 * The books of a broker must balance, whatever a case has done to it. After every case each
 * execution is recounted from three sides that have to agree: its counters, its results, and its
 * events replayed from the first one along the transitions table.
 */
import assert from "node:assert/strict";
import type { Broker, BrokerEvent, Counters, ExecutionView, ResultRow, TaskView } from "../../src/broker/contract.ts";
import {
  canExecutionMove,
  canTaskBeRemoved,
  EXECUTION_REOPENINGS,
  isTaskEnded,
  TASK_EDITS,
  TASK_REPLAYS,
  TASK_TRANSITIONS,
  type ExecutionState,
  type TaskState,
} from "../../src/core/states.ts";
import { ItemStates } from "./item-states.ts";

/** Checks every execution that the broker knows. */
export async function auditBroker(broker: Broker): Promise<void> {
  for (const view of await allExecutions(broker)) await auditExecution(broker, view);
}

export async function auditExecution(broker: Broker, view: ExecutionView): Promise<void> {
  const about = `execution ${view.executionId} (${view.name})`;
  auditCounters(view, about);
  const tasks = await allTasks(broker, view.executionId);
  auditTasks(tasks, view, about);
  auditResults(await allResults(broker, view.executionId), { tasks, view, about });
  auditReplay(replayEvents(await allEvents(broker, view.executionId), about), view, about);
}

/**
 * Two things go without saying, so that they need no room in the events: the state that a task is
 * born in (blocked, scheduled, queued; or skipped, when its parent is dead already), and that the
 * end of an execution cancels what has not ended by then.
 */
function auditReplay(replay: Replay, view: ExecutionView, about: string): void {
  assert.equal(replay.state, view.state, `${about}: state by its events`);
  const told = replay.items.count();
  for (const state of ["completed", "failed"] as const) {
    assert.equal(told[state], view.counters[state], `${about}: ${state} by its events`);
  }
  assert.ok(told.skipped <= view.counters.skipped, `${about}: skipped by its events`);
  if (view.endedAt !== undefined) return;
  assert.equal(told.running, view.counters.running, `${about}: running by its events`);
  assert.ok(told.scheduled <= view.counters.scheduled, `${about}: scheduled by its events`);
  assert.ok(told.queued <= view.counters.queued, `${about}: queued by its events`);
}

function auditCounters(view: ExecutionView, about: string): void {
  const { total, ...byState } = view.counters;
  const sum = Object.values(byState).reduce((left, right) => left + right, 0);
  assert.equal(sum, total, `${about}: the states add up to the total`);
  for (const [state, count] of Object.entries(byState)) assert.ok(count >= 0, `${about}: ${state} is ${count}`);
  const { blocked, scheduled, queued, running } = byState;
  if (["completed", "failed", "cancelled"].includes(view.state)) {
    assert.equal(blocked + scheduled + queued + running, 0, `${about} has ended with nothing left to do`);
    assert.ok(view.endedAt !== undefined, `${about} has an end`);
  }
  if (view.state === "completed") {
    assert.equal(byState.cancelled, 0, `${about} completed, and cancelled nothing`);
    assert.equal(view.firstFailure, undefined, `${about} completed, so that no failure counted`);
  }
  if (view.state === "failed") assert.ok(byState.failed > 0, `${about} has a failure`);
}

function auditTasks(tasks: readonly TaskView[], view: ExecutionView, about: string): void {
  const recount: Record<TaskState, number> = noItems();
  let total = 0;
  for (const task of tasks) {
    if (task.items === undefined) {
      recount[task.state] += 1;
      total += 1;
      continue;
    }
    total += task.items.total;
    for (const state of TASK_STATES) recount[state] += task.items[state];
    const left = task.items.blocked + task.items.scheduled + task.items.queued + task.items.running;
    assert.equal(
      isTaskEnded(task.state),
      left === 0,
      `${about}: array ${task.task} is ${task.state} with ${left} items left`,
    );
  }
  assert.equal(total, view.counters.total, `${about}: total by its tasks`);
  assert.deepEqual(recount, withoutTotal(view.counters), `${about}: counters by its tasks`);
}

/** Every completed item has exactly one result, except where the results are discarded. */
function auditResults(
  rows: readonly ResultRow[],
  facts: { readonly tasks: readonly TaskView[]; readonly view: ExecutionView; readonly about: string },
): void {
  const arrays = new Set(facts.tasks.filter((task) => task.items !== undefined).map((task) => task.task));
  const seen = new ItemStates();
  for (const row of rows) {
    assert.ok(arrays.has(row.task) === (row.end !== undefined), `${facts.about}: row of task ${row.task}`);
    const missing = row.missing ?? [];
    const start = row.start ?? 0;
    const end = row.end ?? 1;
    for (const [from, to] of gaps(start, end, missing)) {
      seen.move({ task: row.task, start: from, end: to, to: "completed" }, (was) => {
        assert.equal(was, undefined, `${facts.about}: items ${from}–${to} of task ${row.task} have one result`);
      });
    }
    if (row.values !== undefined) auditValues(row, facts.about);
  }
  assert.equal(seen.count().completed, facts.view.counters.completed, `${facts.about}: completed items by its results`);
}

function auditValues(row: ResultRow, about: string): void {
  const values = JSON.parse(row.values ?? "[]") as readonly unknown[];
  const start = row.start ?? 0;
  assert.equal(values.length, (row.end ?? 0) - start, `${about}: one value per item from ${start}`);
  for (const item of row.missing ?? []) assert.equal(values[item - start], null, `${about}: item ${item} is missing`);
}

/** The parts of start…end between the missing items. */
function gaps(start: number, end: number, missing: readonly number[]): readonly (readonly [number, number])[] {
  const parts: [number, number][] = [];
  let from = start;
  for (const item of [...missing, end]) {
    if (item > from) parts.push([from, item]);
    from = item + 1;
  }
  return parts;
}

export interface Replay {
  readonly state: ExecutionState | undefined;
  readonly items: ItemStates;
}

/** What the first event of a task may tell: its birth, or what follows on it. */
const BIRTH: readonly TaskState[] = ["blocked", "scheduled", "queued"];
/** That a delayed group falls due is not told. */
const AFTER_DELAY: readonly TaskState[] = [...TASK_TRANSITIONS.scheduled, ...TASK_TRANSITIONS.queued];
/** Reasons of moves that an edit makes. */
const EDITED: ReadonlySet<string> = new Set(["rewired", "held", "unheld", "undone"]);
const AFTER_BIRTH: readonly TaskState[] = [...BIRTH, ...BIRTH.flatMap((state) => TASK_TRANSITIONS[state])];

/** Walks one execution's events; an edge that the transitions table does not have fails. */
export function replayEvents(events: readonly BrokerEvent[], about: string): Replay {
  const items = new ItemStates();
  let state: ExecutionState | undefined;
  let cursor = 0;
  let at = 0;
  for (const event of events) {
    assert.ok(event.cursor > cursor, `${about}: cursors ascend (${event.cursor} after ${cursor})`);
    assert.ok(event.at >= at, `${about}: times do not run backwards`);
    cursor = event.cursor;
    at = event.at;
    const change = event.change;
    if (change.kind === "execution") {
      if (state === undefined) assert.equal(change.state, "pending", `${about}: first state`);
      else {
        const isLegal = canExecutionMove(state, change.state) || EXECUTION_REOPENINGS[state].includes(change.state);
        assert.ok(isLegal, `${about}: ${state} → ${change.state}`);
      }
      state = change.state;
    } else if (change.kind === "tasks") {
      for (const entry of change.tasks) {
        const [task, start, end] = typeof entry === "number" ? [entry, 0, 1] : entry;
        items.move({ task, start, end, to: change.state }, (was) => {
          const legal = was === undefined ? AFTER_BIRTH : was === "scheduled" ? AFTER_DELAY : TASK_TRANSITIONS[was];
          const isByHand = change.reason === "replayed" || change.reason === "rerun";
          if (change.reason === "removed" && change.state === "skipped") {
            assert.ok(was === undefined || canTaskBeRemoved(was), `${about}: ${JSON.stringify(entry)} had ended`);
            return;
          }
          const byHand = isByHand ? TASK_REPLAYS : EDITED.has(change.reason ?? "") ? TASK_EDITS : undefined;
          const isLegalByHand = was === undefined ? byHand !== undefined : byHand?.[was].includes(change.state);
          assert.ok(
            legal.includes(change.state) || isLegalByHand === true,
            `${about}: task ${JSON.stringify(entry)} ${was ?? "new"} → ${change.state} (${change.reason ?? "no reason"})`,
          );
        });
      }
    }
  }
  return { state, items };
}

const TASK_STATES = Object.keys(TASK_TRANSITIONS) as TaskState[];

function noItems(): Record<TaskState, number> {
  return { blocked: 0, scheduled: 0, queued: 0, running: 0, completed: 0, failed: 0, cancelled: 0, skipped: 0 };
}

function withoutTotal(counters: Counters): Record<TaskState, number> {
  const { total: _total, ...byState } = counters;
  return byState;
}

const PAGE = 1_000;

async function allExecutions(broker: Broker): Promise<readonly ExecutionView[]> {
  const views: ExecutionView[] = [];
  let after: string | undefined;
  do {
    const page = await broker.listExecutions({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    views.push(...page.executions);
    after = page.next;
  } while (after !== undefined);
  return views;
}

export async function allTasks(broker: Broker, executionId: string): Promise<readonly TaskView[]> {
  const tasks: TaskView[] = [];
  for (;;) {
    const last = tasks.at(-1);
    const page = await broker.listTasks({
      executionId,
      limit: PAGE,
      ...(last === undefined ? {} : { after: last.task }),
    });
    tasks.push(...page.tasks);
    if (page.tasks.length < PAGE) return tasks;
  }
}

export async function allResults(broker: Broker, executionId: string): Promise<readonly ResultRow[]> {
  const rows: ResultRow[] = [];
  let cursor: number | undefined;
  for (;;) {
    const page = await broker.readResults({ executionId, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    rows.push(...page.rows);
    if (page.rows.length === 0) return rows;
    cursor = page.cursor;
  }
}

/** All events, or those of one execution, from the oldest kept. */
export async function allEvents(broker: Broker, executionId?: string): Promise<readonly BrokerEvent[]> {
  const events: BrokerEvent[] = [];
  let cursor = 0;
  for (;;) {
    const page = await broker.readEvents({
      cursor,
      limit: PAGE,
      ...(executionId === undefined ? {} : { executionId }),
    });
    events.push(...page.events);
    if (page.events.length === 0) return events;
    cursor = page.cursor;
  }
}
