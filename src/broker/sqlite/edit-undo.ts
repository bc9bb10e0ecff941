/** What takes an edit back: noted as the edit is done, read when it is undone. */
import { HoldfastError } from "../../errors/index.ts";
import { undoRefused } from "../check-edits.ts";
import type { Draft, DraftTask, FormerTask } from "./edit-draft.ts";
import type { EditPlan, Sleep, Wishes } from "./edit-types.ts";
import type { Engine } from "./engine.ts";
import { type ExecutionRecord, TASK_ID_SPAN } from "./model.ts";
import { executionRow } from "./views.ts";

/** JSON of `executions.undo`. */
interface UndoRecord {
  readonly priority?: number;
  /** Number of the first task that was added, and how many there were. */
  readonly added?: readonly [first: number, count: number];
  readonly removed: readonly number[];
  /** Of those the ones that had suspended themselves. */
  readonly asleep: readonly (readonly [task: number, sleep: Sleep])[];
  /** Former parents of the tasks that were rewired. */
  readonly rewired: readonly (readonly [task: number, parents: readonly number[]])[];
  readonly ranks: readonly (readonly [task: number, rank: number])[];
  readonly held: readonly number[];
  readonly unheld: readonly number[];
}

/** Errors: INVALID_REQUEST where there is nothing to take back. */
function readUndo(engine: Engine, { id }: ExecutionRecord): UndoRecord {
  const text = executionRow(engine, id)["undo"];
  if (typeof text !== "string") throw undoRefused();
  return JSON.parse(text) as UndoRecord;
}

/** What taking the last edit back asks for. Errors: INVALID_REQUEST, EDIT_CONFLICT. */
export function undoWishes(engine: Engine, draft: Draft): Wishes {
  const { execution } = draft;
  const record = readUndo(engine, execution);
  const find = (task: number): DraftTask[] => {
    const found = draft.find(task);
    return found === undefined ? [] : [found];
  };
  const [first, count] = record.added ?? [0, 0];
  const added = Array.from({ length: count }, (_, at) => first + at).flatMap(find);
  const rewired = record.rewired.flatMap(([task]) => find(task));
  if ([...added, ...rewired].some((task) => draft.hasEnded(task)))
    throw new HoldfastError("EDIT_CONFLICT", { execution: execution.id });
  return {
    priority: record.priority,
    removals: added,
    restored: record.removed.flatMap(find),
    groups: [],
    rewires: new Map(record.rewired.flatMap(([task, parents]) => find(task).map((one) => [one, parents]))),
    ranks: new Map(record.ranks.flatMap(([task, rank]) => find(task).map((one) => [one, rank]))),
    holds: record.unheld.flatMap(find),
    unholds: record.held.flatMap(find),
    sleeps: new Map(record.asleep.flatMap(([task, sleep]) => find(task).map((one) => [one, sleep]))),
  };
}

/** What takes the edit back, asked before it is done; null for an undo, which is not taken back itself. */
export function undoText(plan: EditPlan): string | null {
  return plan.isUndo ? null : JSON.stringify(recordOf(plan));
}

/** Keeps it, once the edit is done, in the place of that of the edit before. */
export function keepUndo(engine: Engine, execution: ExecutionRecord, text: string | null): void {
  dropInputs(engine, execution);
  engine.db.run("UPDATE executions SET undo = ? WHERE no = ?", text, execution.no);
}

function recordOf({ execution, wishes, found, draft, implied }: EditPlan): UndoRecord {
  const removed = found.removed.filter(({ task }) => !implied.has(task));
  return {
    ...(wishes.priority === undefined ? {} : { priority: execution.priority }),
    ...(draft.added.length === 0 ? {} : { added: [execution.nextTask, draft.added.length] as const }),
    removed: removed.map(({ task }) => task),
    asleep: removed.flatMap(({ task, was }) => {
      const sleep = sleepOf(was);
      return sleep === undefined ? [] : [[task, sleep] as const];
    }),
    rewired: found.rewired.map(({ task, was }) => [task, was.parents]),
    ranks: found.ranked.map(({ task, was }) => [task, was.rank]),
    held: found.held.map(({ task }) => task),
    unheld: found.unheld.map(({ task }) => task),
  };
}

function sleepOf({ wake, awaits, notBefore }: FormerTask): Sleep | undefined {
  if (wake === undefined || wake.awake === true) return undefined;
  return { ...(awaits === undefined ? {} : { awaits }), ...(notBefore === undefined ? {} : { notBefore }) };
}

/** Tasks that the edit before has removed will not come back any more. */
function dropInputs({ db }: Engine, { no, keepInputs }: ExecutionRecord): void {
  if (keepInputs) return;
  db.run(
    `UPDATE tasks SET input = NULL WHERE removed = 1 AND id IN (
       SELECT x.no * ${TASK_ID_SPAN} + j.value FROM executions x, json_each(x.undo, '$.removed') j WHERE x.no = ?)`,
    no,
  );
}
