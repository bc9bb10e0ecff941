/**
 * Transition edit: what a person changes about an execution that has not ended.
 *
 * Invariant: what it does is found out first (edit-plan.ts), told by a preview, and done only if it is
 * that (edit-apply.ts); all in one transaction. The last edits are remembered with what they did, so
 * that the same one sent again changes nothing (promise 7).
 */
import { HoldfastError } from "../../errors/index.ts";
import type { EditChanges, EditParams } from "../contract.ts";
import { MAX_EDITS_KNOWN } from "../limits.ts";
import { applyPlan } from "./edit-apply.ts";
import { changesOf, checkRoom, planEdit, versionOf } from "./edit-plan.ts";
import { keepUndo, undoText } from "./edit-undo.ts";
import type { Engine } from "./engine.ts";
import type { ExecutionRecord } from "./model.ts";
import { executionRow } from "./views.ts";

export interface Edited {
  readonly version: string;
  readonly changes: EditChanges;
}

interface KnownEdit extends Edited {
  readonly editId?: string;
}

/** What the edit would do. Errors: as `edit`, but for EDIT_CONFLICT of a version. */
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
  const undo = undoText(plan);
  applyPlan(engine, plan);
  keepUndo(engine, plan.execution, undo);
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
