/**
 * Transition rerun: a separate task and all that come after it lose what they have and run again.
 *
 * Invariant (promises 1 and 2): afterwards each of them waits for exactly the parents that have not
 * completed, and nothing of their former attempts counts: leases are taken away, tokens cleared, and
 * results named by events up to now are not read any more (`taken_back`).
 */
import { HoldfastError } from "../../errors/index.ts";
import type { RerunParams } from "../contract.ts";
import { descendants, parentsIn, parentState, RESCUE_GATE } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { rewind } from "./lanes.ts";
import {
  BLOCKED,
  COMPLETED,
  countedAs,
  type ExecutionRecord,
  FAILED,
  groupIn,
  type GroupRecord,
  groupOf,
  QUEUED,
  SKIPPED,
  TASK_ID_SPAN,
  taskId,
} from "./model.ts";
import { lastCursor } from "./reads.ts";
import { familyOf, findReplayable, forgive, reopen, type Replayable } from "./reopen.ts";
import { forgetAdded } from "./suspend.ts";
import { addedBy, type Wake, wakeIn } from "./wake.ts";

/**
 * Returns how many tasks will be run again. Errors: EXECUTION_NOT_FOUND, EXECUTION_CANCELLED,
 * TASK_UNKNOWN, INPUTS_NOT_KEPT, INVALID_REQUEST.
 */
export function rerun(engine: Engine, params: RerunParams): number {
  const found = findReplayable(engine, params.executionId);
  check(engine, found, params);
  // Results of this very transaction are among those that are taken back: their events come first.
  engine.journal.flush(engine.db, engine.now);
  const execution = reopen(engine, found, "rerun");
  const all = descendants(engine.db, execution, { seeds: [params.task] });
  const renewal: Renewal = {
    engine,
    execution,
    from: params.task,
    all: new Set(all),
    takenBack: lastCursor(engine),
    touched: new Set(),
  };
  let reset = 0;
  for (const task of all) if (renew(renewal, task)) reset += 1;
  for (const group of renewal.touched) rewind(group, engine.now);
  forgive(engine, execution, { hadEnded: found.live === undefined });
  return reset;
}

function check(engine: Engine, found: Replayable, { executionId, task }: RerunParams): void {
  const family = familyOf(engine, found);
  const group = groupIn(family.groups, task);
  if (group === undefined) throw new HoldfastError("TASK_UNKNOWN", { execution: executionId, task });
  if (found.row["keep_inputs"] !== 1) throw new HoldfastError("INPUTS_NOT_KEPT", { execution: executionId });
  if (group.array !== undefined) refuse(`${task} is an array; its dead letters can be retried`);
  const row = engine.db.get("SELECT parents, removed FROM tasks WHERE id = ?", found.no * TASK_ID_SPAN + task);
  if (row?.["removed"] === 1) refuse(`${task} was removed from its execution`);
  if (group.isRescue) return;
  const dead = parentsIn(row?.["parents"]).find((parent) => parentState(engine.db, family, parent) === "dead");
  if (dead !== undefined) refuse(`${task} comes after ${dead}, which did not complete; run that one again first`);
}

function refuse(problem: string): never {
  throw new HoldfastError("INVALID_REQUEST", { method: "rerun", path: "task", problem });
}

interface Renewal {
  readonly engine: Engine;
  readonly execution: ExecutionRecord;
  /** The task that is run again, and all that come after it. */
  readonly from: number;
  readonly all: ReadonlySet<number>;
  /** Cursor of the newest event before this. */
  readonly takenBack: number;
  /** Groups whose ready tasks are to be read anew. */
  readonly touched: Set<GroupRecord>;
}

/** The task as it was born, but for its attempts; false if a dead parent keeps it skipped, or it was removed. */
function renew(renewal: Renewal, task: number): boolean {
  const { engine, execution, takenBack, touched } = renewal;
  const group = groupOf(execution, task);
  const id = taskId(execution, task);
  const row = engine.db.get("SELECT state, parents, removed, held, wake FROM tasks WHERE id = ?", id);
  if (group === undefined || row === undefined || row["removed"] === 1) return false;
  const own = parentsIn(row["parents"]);
  const wake = keptWake(renewal, task, { own, wake: wakeIn(row["wake"]) });
  if (wake === undefined) forgetAdded(engine, execution, { task, wake: wakeIn(row["wake"]) });
  const isRescue = group.spec.when === "failed";
  const parents = isRescue ? [] : [...own, ...addedBy(wake)];
  const states = parents.map((parent) => parentState(engine.db, execution, parent));
  const waitingOn =
    states.filter((state) => state === "open").length + Number(row["held"]) + (isRescue ? RESCUE_GATE : 0);
  const was = Number(row["state"]);
  if (was === FAILED && group.spec.onFailure === "continue") execution.counts.borne -= 1;
  const state = states.includes("dead") ? SKIPPED : waitingOn > 0 ? BLOCKED : QUEUED;
  const lease = engine.model.leases.get(id);
  if (lease !== undefined) engine.revoke(lease);
  engine.db.run(
    `UPDATE tasks SET state = ?, failures = 0, losses = 0, token = NULL, session = NULL, at = ?, not_before = NULL,
       waiting_on = ?, wake = ?, awaits = NULL, passes = 0, result = NULL, duration_ms = NULL, failure = NULL,
       discarded = 0,
       taken_back = iif(state = ${COMPLETED}, ?, taken_back) WHERE id = ?`,
    state,
    engine.now,
    waitingOn,
    wake === undefined ? null : JSON.stringify(wake),
    takenBack,
    id,
  );
  touched.add(group);
  const [from, to] = [countedAs(group, was), countedAs(group, state)];
  if (from === to) return state !== SKIPPED;
  engine.move(group, { from, to });
  engine.journal.tasks(execution, { state: to, entry: task, reason: "rerun" });
  return state !== SKIPPED;
}

interface Suspended {
  readonly own: readonly number[];
  readonly wake: Wake | undefined;
}

/**
 * A task that is run again starts from its beginning. But where only tasks that it has added itself are
 * run again, it waits for those, and goes on from there once more.
 */
function keptWake({ from, all }: Renewal, task: number, { own, wake }: Suspended): Wake | undefined {
  if (wake?.until !== "tasks" || task === from || own.some((parent) => all.has(parent))) return undefined;
  return { ...wake, awake: false };
}
