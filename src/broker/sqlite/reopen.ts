/**
 * An execution that has ended runs again, because a person wants parts of it again (replay.ts,
 * rerun.ts). One that failed at its `maxFailures` left work behind that was cancelled: it waits again
 * where it stood, and what ran or backed off at the end is queued. Memory and file change together,
 * in the transaction of the call; a crash leaves the execution ended or running, whole.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Row } from "./database.ts";
import type { Family, FamilyGroup } from "./dependents.ts";
import { queueDropped } from "./dropped-ranges.ts";
import type { Engine } from "./engine.ts";
import type { EventEntry } from "./journal.ts";
import { loadExecution } from "./load.ts";
import {
  BLOCKED,
  type ExecutionRecord,
  failuresOf,
  groupOf,
  type GroupSpec,
  noItems,
  QUEUED,
  RUNNING,
  SCHEDULED,
  TASK_ID_SPAN,
} from "./model.ts";
import { awaitRescue } from "./rescue.ts";
import { groupSpec } from "./views.ts";
import { AWAKE, IS_ASLEEP } from "./wake.ts";

/** An execution that may be run again, in part: one of memory, or the row of one that has ended. */
export interface Replayable {
  readonly no: number;
  readonly live: ExecutionRecord | undefined;
  readonly row: Row;
}

/**
 * What is over its retention may be half purged already and is not found.
 * Errors: EXECUTION_NOT_FOUND, EXECUTION_CANCELLED.
 */
export function findReplayable(engine: Engine, executionId: string): Replayable {
  const live = engine.model.executionsById.get(executionId);
  const row = engine.db.get("SELECT * FROM executions WHERE id = ?", executionId);
  if (row === undefined || (live === undefined && isOver(engine, row)))
    throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
  if (live === undefined && row["state"] === "cancelled")
    throw new HoldfastError("EXECUTION_CANCELLED", { execution: executionId });
  return { no: Number(row["no"]), live, row };
}

function isOver(engine: Engine, row: Row): boolean {
  const purgeAt = row["purge_at"];
  return typeof purgeAt === "number" && purgeAt <= engine.now;
}

/** A task group as the file or memory has it. */
export interface GroupFacts extends FamilyGroup {
  readonly pool: string;
  /** Starts when the rest has failed. */
  readonly isRescue: boolean;
}

export function familyOf(
  engine: Engine,
  { no, live }: Replayable,
): Family & { readonly groups: readonly GroupFacts[] } {
  if (live !== undefined) return { no, groups: live.groups.map((group) => ({ ...group, ...specFacts(group.spec) })) };
  const rows = engine.db.all("SELECT * FROM groups WHERE execution = ? ORDER BY no", no);
  const groups = rows.map((row) => ({
    first: Number(row["first"]),
    count: Number(row["count"]),
    linked: row["linked"] === 1,
    array: row["array"] ?? undefined,
    counts: { ...noItems(), ...(JSON.parse(String(row["counters"])) as Partial<GroupFacts["counts"]>) },
    ...specFacts(groupSpec(row)),
  }));
  return { no, groups };
}

function specFacts({ pool, when }: GroupSpec): Pick<GroupFacts, "pool" | "isRescue"> {
  return { pool, isRescue: when === "failed" };
}

/** The execution in memory, running if it had ended. `reason`: why tasks wait again. */
export function reopen(engine: Engine, { live, row }: Replayable, reason: "replayed" | "rerun"): ExecutionRecord {
  if (live !== undefined) return live;
  const interrupted = queueInterrupted(engine, Number(row["no"]));
  const execution = loadExecution(engine, row);
  const { verification } = execution;
  if (verification !== undefined && verification.pending > 0) {
    // Copies that had not come are not waited for: they went with the end.
    const { pending, skipped } = verification;
    execution.verification = { ...verification, pending: 0, skipped: skipped + pending };
  }
  engine.changeState(execution, "running");
  for (const group of execution.groups) {
    queueDropped(engine, group);
    if (group.array === undefined) continue;
    engine.move(group, { from: "running", to: "queued", items: group.counts.running });
    if (group.notBefore === undefined)
      engine.move(group, { from: "scheduled", to: "queued", items: group.counts.scheduled });
  }
  awaitRescue(engine, execution, reason);
  for (const one of interrupted) tellInterrupted(engine, execution, one);
  return execution;
}

function tellInterrupted(engine: Engine, execution: ExecutionRecord, { entry, was, held }: Interrupted): void {
  const group = groupOf(execution, typeof entry === "number" ? entry : entry[0]);
  if (group === undefined) return;
  const state = held ? "blocked" : "queued";
  // The items of an array were counted together.
  if (group.array === undefined) engine.move(group, { from: was === RUNNING ? "running" : "scheduled", to: state });
  engine.journal.tasks(execution, { state, entry, reason: "reopened" });
}

/** What has suspended itself waits on for its time, unless that was over while the execution had ended. */
const IS_AWAITED = `state = ${SCHEDULED} AND not_before IS NOT NULL AND wake IS NOT NULL AND ${IS_ASLEEP}`;

interface Interrupted {
  readonly entry: EventEntry;
  readonly was: number;
  readonly held: boolean;
}

/** What ran or backed off at the end is queued in the file, or blocked if it is held; its late outcomes do not count. */
function queueInterrupted(engine: Engine, no: number): Interrupted[] {
  const { db, now } = engine;
  const [from, to] = [no * TASK_ID_SPAN, (no + 1) * TASK_ID_SPAN];
  const which = `state IN (${RUNNING}, ${SCHEDULED})`;
  const whichTasks = `${which} AND NOT (${IS_AWAITED})`;
  const tasks = db.all(
    `SELECT id, state, held FROM tasks WHERE id >= ? AND id < ? AND ${whichTasks} ORDER BY id`,
    from,
    to,
  );
  const ranges = db.all(`SELECT task, start, end, state FROM chunks WHERE execution = ? AND ${which}`, no);
  const change = `token = NULL, session = NULL, not_before = NULL, at = ?`;
  db.run(
    `UPDATE tasks SET state = iif(held, ${BLOCKED}, ${QUEUED}), ${change}, awaits = NULL, wake = ${AWAKE} WHERE id >= ? AND id < ? AND ${whichTasks}`,
    now,
    from,
    to,
  );
  db.run(`UPDATE chunks SET state = ${QUEUED}, ${change} WHERE execution = ? AND ${which}`, now, no);
  return [
    ...tasks.map((row) => ({
      entry: Number(row["id"]) - from,
      was: Number(row["state"]),
      held: row["held"] === 1,
    })),
    ...ranges.map((row) => ({
      entry: [Number(row["task"]), Number(row["start"]), Number(row["end"])] as const,
      was: Number(row["state"]),
      held: false,
    })),
  ];
}

/**
 * Dead letters that stay when it is run again are not counted by `maxFailures`, and an execution
 * without any has no first failure.
 */
export function forgive(
  engine: Engine,
  execution: ExecutionRecord,
  { hadEnded }: { readonly hadEnded: boolean },
): void {
  const { counts } = execution;
  const failures = failuresOf(counts);
  counts.forgiven = hadEnded ? failures : Math.min(counts.forgiven, failures);
  if (failures === 0) execution.firstFailure = undefined;
  engine.touch(execution);
}
