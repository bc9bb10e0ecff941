/**
 * Transition edit: priority, tasks removed, tasks added, of an execution that has not ended.
 *
 * Invariant: what it does is found out first (edit-plan.ts), told by a preview, and done only if it is
 * that; all in one transaction. The last edits are remembered with what they did, so that the same one
 * sent again changes nothing (promise 7).
 */
import { HoldfastError } from "../../errors/index.ts";
import type { EditChanges, EditParams } from "../contract.ts";
import { MAX_EDITS_KNOWN } from "../limits.ts";
import { skipDependents } from "./dependents.ts";
import { changesOf, checkRoom, type EditPlan, planEdit, versionOf } from "./edit-plan.ts";
import type { Engine } from "./engine.ts";
import { offer, withdraw } from "./lanes.ts";
import { type ExecutionRecord, groupOf, type GroupRecord, type ItemCounts, SKIPPED, taskId } from "./model.ts";
import { addGroups } from "./submit.ts";
import { executionRow } from "./views.ts";

export interface Edited {
  readonly version: string;
  readonly changes: EditChanges;
}

interface KnownEdit extends Edited {
  readonly editId?: string;
}

/** What the edit would do. Errors: as `edit`, but for EDIT_CONFLICT. */
export function previewEdit(engine: Engine, params: EditParams): Edited {
  const plan = planEdit(engine, engine.liveExecution(params.executionId), params);
  checkRoom(engine, plan);
  return { version: versionOf(params, plan), changes: changesOf(plan) };
}

/** Errors: EXECUTION_NOT_FOUND, EXECUTION_ENDED, EDIT_CONFLICT, TASK_UNKNOWN, INVALID_REQUEST, QUEUE_FULL and those of submit. */
export function edit(engine: Engine, params: EditParams): Edited {
  const known = knownEdits(engine, params.executionId);
  const earlier = known.find(({ editId, version }, age) => {
    const isLast = age === 0;
    return (editId !== undefined && editId === params.editId) || (isLast && version === params.version);
  });
  if (earlier !== undefined) return { version: earlier.version, changes: earlier.changes };
  const plan = planEdit(engine, engine.liveExecution(params.executionId), params);
  const edited = { version: versionOf(params, plan), changes: changesOf(plan) };
  if (params.version !== undefined && params.version !== edited.version)
    throw new HoldfastError("EDIT_CONFLICT", { execution: params.executionId });
  checkRoom(engine, plan);
  apply(engine, plan);
  remember(engine, plan.execution, [
    { ...edited, ...(params.editId === undefined ? {} : { editId: params.editId }) },
    ...known,
  ]);
  return edited;
}

/** Newest first. Errors: EXECUTION_NOT_FOUND. */
function knownEdits(engine: Engine, executionId: string): readonly KnownEdit[] {
  const text = executionRow(engine, executionId)["edits"];
  return typeof text === "string" ? (JSON.parse(text) as KnownEdit[]) : [];
}

function remember({ db }: Engine, { no }: ExecutionRecord, edits: readonly KnownEdit[]): void {
  db.run("UPDATE executions SET edits = ? WHERE no = ?", JSON.stringify(edits.slice(0, MAX_EDITS_KNOWN)), no);
}

function apply(engine: Engine, plan: EditPlan): void {
  const { execution, edits } = plan;
  if (edits.priority !== undefined) setPriority(engine, execution, edits.priority);
  remove(engine, plan);
  addGroups(engine, execution, edits.groups);
  engine.touch(execution);
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

function remove(engine: Engine, { execution, removed }: EditPlan): void {
  const gone = new Set(removed.map(({ task }) => task));
  const groups = new Set<GroupRecord>();
  for (const { task, state } of removed) {
    const group = groupOf(execution, task);
    if (group === undefined) continue;
    groups.add(group);
    removeTask(engine, group, { task, was: state as keyof ItemCounts });
  }
  for (const group of groups) withdraw(group, gone);
  for (const task of gone) skipDependents(engine, execution, task);
}

function removeTask(
  engine: Engine,
  group: GroupRecord,
  { task, was }: { readonly task: number; readonly was: keyof ItemCounts },
): void {
  const { execution } = group;
  const id = taskId(execution, task);
  const lease = engine.model.leases.get(id);
  if (lease !== undefined) engine.revoke(lease);
  engine.db.run(
    `UPDATE tasks SET state = ${SKIPPED}, removed = 1, token = NULL, session = NULL, at = ?, not_before = NULL,
       input = iif(?, input, NULL) WHERE id = ?`,
    engine.now,
    execution.keepInputs ? 1 : 0,
    id,
  );
  engine.move(group, { from: was, to: "skipped" });
  engine.journal.tasks(execution, { state: "skipped", entry: task, reason: "removed" });
}
