/**
 * Transition suspend: a running task lets its worker go and waits: for a time, for a signal, or for
 * tasks that it adds.
 *
 * Invariant: what it waits for, the tasks that it adds and their edges are written in the transaction
 * that ends its attempt. Of several suspensions of a task only the last one is in the file.
 */
import type { Awakening, SuspendedTask, TaskGroup } from "../contract.ts";
import { MAX_TASKS_PER_EXECUTION, OPEN_AGAIN_MS } from "../limits.ts";
import { rememberAttempt } from "./attempts.ts";
import { failTask } from "./commit-task.ts";
import { skipDependents } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { offerTask, withdraw } from "./lanes.ts";
import {
  BLOCKED,
  countedAs,
  type ExecutionRecord,
  groupOf,
  type LeaseRecord,
  QUEUED,
  SCHEDULED,
  SKIPPED,
  STORED_STATES,
  taskId,
} from "./model.ts";
import { isTaskEnded } from "../../core/states.ts";
import { signalOf } from "./signals.ts";
import { addGroups } from "./submit.ts";
import { addedBy, type Wake, wakeIn } from "./wake.ts";

/** What keeps the task from going on. */
interface Sleep {
  readonly wake: Wake;
  /** Things that must come, its being held not among them. */
  readonly waitingOn: number;
  readonly notBefore: number | null;
  readonly awaits: string | null;
  readonly reason: "suspended" | "signal";
}

export function suspendTask(engine: Engine, lease: LeaseRecord, outcome: SuspendedTask): void {
  const { group, task } = lease;
  const { execution } = group;
  if (outcome.output !== undefined) rememberAttempt(engine, lease, outcome);
  const tooMany = checkCount(execution, outcome.until);
  if (tooMany !== undefined) {
    failTask(engine, lease, { class: "invalid-input", code: "BATCH_TOO_LARGE", message: tooMany });
    return;
  }
  const id = taskId(execution, task);
  if (outcome.until.kind === "tasks" && execution.open) {
    putOff(engine, lease);
    return;
  }
  const row = engine.db.get("SELECT held, wake FROM tasks WHERE id = ?", id);
  disownAdded(engine, execution, { task, wake: wakeIn(row?.["wake"]) });
  const sleep = fallAsleep(engine, lease, outcome);
  const waitingOn = sleep.waitingOn + Number(row?.["held"] ?? 0);
  const state = waitingOn > 0 ? BLOCKED : sleep.notBefore === null ? QUEUED : SCHEDULED;
  engine.db.run(
    "UPDATE tasks SET state = ?, waiting_on = ?, not_before = ?, wake = ?, awaits = ?, at = ? WHERE id = ?",
    state,
    waitingOn,
    sleep.notBefore,
    JSON.stringify(sleep.wake),
    sleep.awaits,
    engine.now,
    id,
  );
  const to = countedAs(group, state);
  engine.move(group, { from: "running", to });
  engine.journal.tasks(execution, { state: to, entry: task, reason: sleep.reason });
  if (state === QUEUED) offerTask(group, task, engine.now);
}

/** The next numbers of an open execution are its submitter's: the task is run again later, as if it had been handed back. */
function putOff(engine: Engine, { group, task, attempt }: LeaseRecord): void {
  const row = engine.db.get(
    `UPDATE tasks SET state = iif(held, ${BLOCKED}, ${SCHEDULED}), not_before = iif(held, NULL, ?), attempt = ?, at = ?
     WHERE id = ? RETURNING state`,
    engine.now + OPEN_AGAIN_MS,
    attempt - 1,
    engine.now,
    taskId(group.execution, task),
  );
  const to = countedAs(group, Number(row?.["state"]));
  engine.move(group, { from: "running", to });
  engine.journal.tasks(group.execution, { state: to, entry: task, reason: "suspended" });
}

/** What is wrong with the number of tasks, if anything is; all else was checked before (sound-outcome.ts). */
function checkCount({ nextTask }: ExecutionRecord, until: Awakening): string | undefined {
  if (until.kind !== "tasks" || nextTask + countOf(until.groups) <= MAX_TASKS_PER_EXECUTION) return undefined;
  return `The execution would have ${nextTask + countOf(until.groups)} tasks; the limit is ${MAX_TASKS_PER_EXECUTION}.`;
}

function countOf(groups: readonly TaskGroup[]): number {
  return groups.reduce((sum, { work }) => sum + (work.kind === "array" ? 1 : work.inputs.length), 0);
}

function fallAsleep(engine: Engine, lease: LeaseRecord, { state, until }: SuspendedTask): Sleep {
  const { now } = engine;
  switch (until.kind) {
    case "delay": {
      const { delayMs } = until;
      const wake: Wake = { until: "delay", state, ...(delayMs > 0 ? {} : { awake: true }) };
      return {
        wake,
        waitingOn: 0,
        notBefore: delayMs > 0 ? now + delayMs : null,
        awaits: null,
        reason: "suspended",
      };
    }
    case "signal": {
      const { signal, timeoutMs } = until;
      const payload = signalOf(engine, lease.group.execution.no, signal);
      const wake: Wake = { until: "signal", state, signal };
      if (payload !== undefined) {
        const awake: Wake = { ...wake, payload, awake: true };
        return { wake: awake, waitingOn: 0, notBefore: null, awaits: null, reason: "signal" };
      }
      const hasTimeout = timeoutMs !== undefined;
      return {
        wake,
        waitingOn: hasTimeout ? 0 : 1,
        notBefore: hasTimeout ? now + timeoutMs : null,
        awaits: signal,
        reason: "suspended",
      };
    }
    case "tasks": {
      const added = addTasks(engine, lease, until.groups);
      return {
        wake: { until: "tasks", state, ...added },
        waitingOn: added.count,
        notBefore: null,
        awaits: null,
        reason: "suspended",
      };
    }
  }
}

/** They are parents of the task that adds them. */
function addTasks(
  engine: Engine,
  { group, task }: LeaseRecord,
  groups: readonly TaskGroup[],
): { readonly first: number; readonly count: number } {
  const { execution } = group;
  const first = execution.nextTask;
  addGroups(
    engine,
    execution,
    groups.map((added) => numbered(added, first)),
  );
  const count = execution.nextTask - first;
  const child = taskId(execution, task);
  for (let added = first; added < first + count; added += 1)
    engine.db.run("INSERT INTO edges (parent, child) VALUES (?, ?)", taskId(execution, added), child);
  group.linked = true;
  group.dirty = true;
  return { first, count };
}

/** With numbers of the execution in `after`. */
function numbered(group: TaskGroup, first: number): TaskGroup {
  const { work } = group;
  if (work.kind === "array" || work.after === undefined) return group;
  return { ...group, work: { ...work, after: work.after.map((parents) => parents.map((parent) => parent + first)) } };
}

// ── What it had added before ──────────────────────────────────────────────────────────────────

interface Adder {
  readonly task: number;
  readonly wake: Wake | undefined;
}

/** What the task has added is no parent of it any more. */
function disownAdded(engine: Engine, execution: ExecutionRecord, { task, wake }: Adder): number[] {
  const added = addedBy(wake);
  for (const parent of added)
    engine.db.run(
      "DELETE FROM edges WHERE parent = ? AND child = ?",
      taskId(execution, parent),
      taskId(execution, task),
    );
  return added;
}

/** The task starts from its beginning: what it has added and has not ended is removed, with what that has added. */
export function forgetAdded(engine: Engine, execution: ExecutionRecord, adder: Adder): void {
  const tasks = disownAdded(engine, execution, adder);
  for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) {
    const group = groupOf(execution, task);
    const row = engine.db.get("SELECT state, wake FROM tasks WHERE id = ?", taskId(execution, task));
    const was = Number(row?.["state"]);
    if (group === undefined || isTaskEnded(STORED_STATES[was] ?? "skipped")) continue;
    tasks.push(...addedBy(wakeIn(row?.["wake"])));
    const id = taskId(execution, task);
    const lease = engine.model.leases.get(id);
    if (lease !== undefined) engine.revoke(lease);
    engine.db.run(
      `UPDATE tasks SET state = ${SKIPPED}, removed = 1, token = NULL, session = NULL, at = ?, not_before = NULL,
         awaits = NULL WHERE id = ?`,
      engine.now,
      id,
    );
    withdraw(group, new Set([task]));
    engine.move(group, { from: countedAs(group, was), to: "skipped" });
    engine.journal.tasks(execution, { state: "skipped", entry: task, reason: "removed" });
    skipDependents(engine, execution, task);
  }
}
