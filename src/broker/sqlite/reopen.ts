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
import { loadExecution } from "./load.ts";
import { type ExecutionRecord, groupOf, noItems, QUEUED, RUNNING, SCHEDULED, TASK_ID_SPAN } from "./model.ts";

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
}

export function familyOf(
  engine: Engine,
  { no, live }: Replayable,
): Family & { readonly groups: readonly GroupFacts[] } {
  if (live !== undefined) return { no, groups: live.groups.map((group) => ({ ...group, pool: group.spec.pool })) };
  const rows = engine.db.all("SELECT * FROM groups WHERE execution = ? ORDER BY no", no);
  const groups = rows.map((row) => ({
    first: Number(row["first"]),
    count: Number(row["count"]),
    linked: row["linked"] === 1,
    array: row["array"] ?? undefined,
    counts: { ...noItems(), ...(JSON.parse(String(row["counters"])) as Partial<GroupFacts["counts"]>) },
    pool: (JSON.parse(String(row["spec"])) as { readonly pool: string }).pool,
  }));
  return { no, groups };
}

/** The execution in memory, running if it had ended. */
export function reopen(engine: Engine, { live, row }: Replayable): ExecutionRecord {
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
    engine.move(group, { from: "running", to: "queued", items: group.counts.running });
    if (group.notBefore === undefined)
      engine.move(group, { from: "scheduled", to: "queued", items: group.counts.scheduled });
  }
  for (const entry of interrupted) {
    const task = typeof entry === "number" ? entry : entry[0];
    if (groupOf(execution, task) !== undefined)
      engine.journal.tasks(execution, { state: "queued", entry, reason: "reopened" });
  }
  return execution;
}

/** What ran or backed off at the end is queued in the file; its late outcomes do not count. */
function queueInterrupted(engine: Engine, no: number): (number | [number, number, number])[] {
  const { db, now } = engine;
  const [from, to] = [no * TASK_ID_SPAN, (no + 1) * TASK_ID_SPAN];
  const which = `state IN (${RUNNING}, ${SCHEDULED})`;
  const tasks = db.all(`SELECT id FROM tasks WHERE id >= ? AND id < ? AND ${which} ORDER BY id`, from, to);
  const ranges = db.all(`SELECT task, start, end FROM chunks WHERE execution = ? AND ${which}`, no);
  const change = `state = ${QUEUED}, token = NULL, session = NULL, not_before = NULL, at = ?`;
  db.run(`UPDATE tasks SET ${change} WHERE id >= ? AND id < ? AND ${which}`, now, from, to);
  db.run(`UPDATE chunks SET ${change} WHERE execution = ? AND ${which}`, now, no);
  return [
    ...tasks.map((row) => Number(row["id"]) - from),
    ...ranges.map((row): [number, number, number] => [Number(row["task"]), Number(row["start"]), Number(row["end"])]),
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
  counts.forgiven = hadEnded ? counts.failed : Math.min(counts.forgiven, counts.failed);
  if (counts.failed === 0) execution.firstFailure = undefined;
  engine.touch(execution);
}
