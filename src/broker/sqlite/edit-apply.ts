/**
 * Does what an edit's plan says (edit-plan.ts): rows, counts, events and what is ready, task by task.
 *
 * Invariant: afterwards each task that waits waits for exactly the parents that hold it up, and its hold;
 * a lease that the edit takes away counts no longer (promise 1).
 */
import type { DraftTask } from "./edit-draft.ts";
import type { EditPlan, Sleep } from "./edit-types.ts";
import { RESCUE_GATE } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { offer, offerTask, startRanking, withdraw } from "./lanes.ts";
import {
  BLOCKED,
  countedAs,
  type ExecutionRecord,
  type GroupRecord,
  QUEUED,
  RUNNING,
  SCHEDULED,
  SKIPPED,
  TASK_ID_SPAN,
  taskId,
} from "./model.ts";
import { signalOf } from "./signals.ts";
import { addGroups } from "./submit.ts";
import { addedBy } from "./wake.ts";

export function applyPlan(engine: Engine, plan: EditPlan): void {
  const { execution, wishes, draft } = plan;
  if (wishes.priority !== undefined) setPriority(engine, execution, wishes.priority);
  const tasks = [...draft.tasks.values()].filter(isChanged).toSorted((one, other) => order(one) - order(other));
  const lanes = new Lanes(engine);
  for (const task of tasks) {
    const state = changeTask(engine, plan, task);
    lanes.note(task, state);
  }
  addGroups(engine, execution, wishes.groups);
  lanes.settle();
  engine.touch(execution);
}

/** What was removed is told before what follows from it. */
function order({ task, fate, isRewired }: DraftTask): number {
  return fate === "dead" && !isRewired ? task + TASK_ID_SPAN : task;
}

function isChanged({ fate, held, rank, isRewired, was }: DraftTask): boolean {
  return fate !== was.fate || held !== was.held || rank !== was.rank || isRewired;
}

/** What is ready stands in line anew, at the end of those as urgent. */
function setPriority(engine: Engine, execution: ExecutionRecord, priority: number): void {
  if (priority === execution.priority) return;
  const { groups } = execution;
  for (const group of groups) group.pool.ready.remove(group);
  execution.priority = priority;
  for (const group of groups) {
    group.priority = priority;
    offer(group, engine.now);
  }
  engine.db.run("UPDATE executions SET priority = ? WHERE no = ?", priority, execution.no);
}

// ── One task ──────────────────────────────────────────────────────────────────────────────────

/** Where it is afterwards, as it is stored. */
interface Standing {
  readonly state: number;
  readonly waitingOn: number;
  readonly notBefore: number | undefined;
  /** The signal that it waits for from now on; undefined: the same as before, as long as it waits. */
  readonly awaits?: string;
  /** JSON of its suspension, where that has changed. */
  readonly wake?: string;
}

/** Returns its state as it is stored. */
function changeTask(engine: Engine, plan: EditPlan, task: DraftTask): number {
  const { group, was } = task;
  const { execution } = group;
  const id = taskId(execution, task.task);
  const after = standingOf(engine, plan, task);
  const lease = engine.model.leases.get(id);
  const isStopped = lease !== undefined && after.state !== RUNNING;
  if (isStopped) engine.revoke(lease);
  engine.db.run(
    `UPDATE tasks SET state = ?1, waiting_on = ?2, not_before = ?3, held = ?4, rank = ?5, removed = ?6, parents = ?7,
       token = iif(?8, NULL, token), session = iif(?8, NULL, session), at = iif(?1 = ${RUNNING}, at, ?9),
       wake = iif(?10, NULL, iif(?1 = ${QUEUED}, json_set(coalesce(?11, wake), '$.awake', json('true')), coalesce(?11, wake))),
       awaits = iif(?1 IN (${QUEUED}, ${SKIPPED}) OR ?10, NULL, coalesce(?12, awaits)) WHERE id = ?13`,
    after.state,
    after.waitingOn,
    after.notBefore ?? null,
    task.held ? 1 : 0,
    task.rank,
    task.fate === "removed" ? 1 : 0,
    task.parents.length === 0 ? null : JSON.stringify(task.parents),
    isStopped || task.fate === "removed" ? 1 : 0,
    engine.now,
    task.isRewired ? 1 : 0,
    after.wake ?? null,
    after.awaits ?? null,
    id,
  );
  if (task.isRewired) link(engine, task);
  const [from, to] = [was.state, countedAs(group, after.state)];
  if (from !== to) {
    engine.move(group, { from, to });
    engine.journal.tasks(execution, { state: to, entry: task.task, reason: reasonOf(plan, task) });
  }
  return after.state;
}

function standingOf(engine: Engine, { draft, wishes }: EditPlan, task: DraftTask): Standing {
  const { was, isRescue, isRewired } = task;
  const held = task.held ? 1 : 0;
  const isBack = was.fate !== "alive";
  const isAnew = isBack || (isRewired && !isRescue);
  const open = isAnew && !isRescue ? draft.openParents(task) : 0;
  const before = was.waitingOn + held - (was.held ? 1 : 0);
  if (task.fate !== "alive") return { state: SKIPPED, waitingOn: before, notBefore: undefined };
  if (was.state === "running" && !isRewired) return { state: RUNNING, waitingOn: before, notBefore: undefined };
  const sleep = isBack ? sleepAgain(engine, wishes.sleeps.get(task), task) : undefined;
  const waitsForSignal = sleep?.awaits !== undefined && sleep.notBefore === undefined ? 1 : 0;
  const waitingOn = isAnew ? (isRescue ? RESCUE_GATE : open) + held + waitsForSignal : before;
  const notBefore = open === 0 ? (sleep?.notBefore ?? timeOf(engine, task)) : undefined;
  const ready = notBefore === undefined ? QUEUED : SCHEDULED;
  return { ...sleep, state: waitingOn > 0 ? BLOCKED : ready, waitingOn, notBefore };
}

/** A task that had suspended itself waits on as it did, but not for a signal that has come meanwhile. */
function sleepAgain(
  engine: Engine,
  sleep: Sleep | undefined,
  { group, was: { wake } }: DraftTask,
): (Sleep & { readonly wake?: string }) | undefined {
  const payload = sleep?.awaits === undefined ? undefined : signalOf(engine, group.execution.no, sleep.awaits);
  return payload === undefined ? sleep : { wake: JSON.stringify({ ...wake, payload, awake: true }) };
}

/** What is left of its backoff, or of the time that it sleeps: that goes on while it is held. */
function timeOf(engine: Engine, { was, isRewired }: DraftTask): number | undefined {
  const { notBefore, wake } = was;
  const isAsleep = wake !== undefined && wake.awake !== true;
  if (notBefore === undefined || was.fate !== "alive" || (isRewired && isAsleep)) return undefined;
  return was.state === "scheduled" || notBefore > engine.now ? notBefore : undefined;
}

function reasonOf({ isUndo, wishes }: EditPlan, task: DraftTask): string | undefined {
  if (task.fate === "dead" && !task.isRewired) return undefined;
  if (isUndo) return "undone";
  if (task.fate === "removed") return "removed";
  if (task.isRewired || (task.was.fate !== "alive" && wishes.rewires.size > 0)) return "rewired";
  return task.held && !task.was.held ? "held" : "unheld";
}

/** It waits for its new parents, and no longer for the former ones, nor for what it had added. */
function link({ db }: Engine, { task, isRescue, group, was, parents }: DraftTask): void {
  const { execution } = group;
  for (const parent of [...was.parents, ...addedBy(was.wake)])
    db.run("DELETE FROM edges WHERE parent = ? AND child = ?", taskId(execution, parent), taskId(execution, task));
  if (isRescue) return;
  for (const parent of parents)
    db.run("INSERT INTO edges (parent, child) VALUES (?, ?)", taskId(execution, parent), taskId(execution, task));
  if (group.linked || parents.length === 0) return;
  group.linked = true;
  group.dirty = true;
}

// ── What is ready ─────────────────────────────────────────────────────────────────────────────

/** Takes out of the lanes what is not ready any more, and puts in what is. */
class Lanes {
  readonly #engine: Engine;
  /** By group; tasks that were ready. */
  readonly #gone = new Map<GroupRecord, Set<number>>();
  readonly #ready: DraftTask[] = [];
  readonly #ranked = new Set<GroupRecord>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  note(task: DraftTask, state: number): void {
    const { group, was, rank, isRewired } = task;
    if (rank !== was.rank && rank > 0) this.#ranked.add(group);
    const wasReady = was.state === "queued" || (was.state === "scheduled" && group.notBefore !== undefined);
    // What was read ahead knows the former parents.
    if (wasReady && (state !== QUEUED || isRewired)) {
      const gone = this.#gone.get(group);
      if (gone === undefined) this.#gone.set(group, new Set([task.task]));
      else gone.add(task.task);
    }
    if (state === QUEUED && (!wasReady || rank !== was.rank || isRewired)) this.#ready.push(task);
  }

  settle(): void {
    const { now } = this.#engine;
    for (const [group, tasks] of this.#gone) withdraw(group, tasks);
    for (const group of this.#ranked) startRanking(group, now);
    for (const { group, task } of this.#ready) offerTask(group, task, now);
  }
}
