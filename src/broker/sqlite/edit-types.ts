/** What an edit asks for, and what was found out that it does. */
import type { EditChanges, TaskGroup } from "../contract.ts";
import type { Draft, DraftTask } from "./edit-draft.ts";
import type { ExecutionRecord } from "./model.ts";

/** What is asked, each task looked up. */
export interface Wishes {
  readonly priority: number | undefined;
  readonly removals: readonly DraftTask[];
  /** Tasks that were removed and come back. */
  readonly restored: readonly DraftTask[];
  readonly groups: readonly TaskGroup[];
  readonly rewires: ReadonlyMap<DraftTask, readonly number[]>;
  readonly ranks: ReadonlyMap<DraftTask, number>;
  readonly holds: readonly DraftTask[];
  readonly unholds: readonly DraftTask[];
  /** What those of the restored ones waited for that had suspended themselves. */
  readonly sleeps: ReadonlyMap<DraftTask, Sleep>;
}

/** What a suspended task waits for, but for tasks that it has added. */
export interface Sleep {
  readonly awaits?: string;
  readonly notBefore?: number;
}

/** Tasks by what happens to them, ascending. */
export interface Found {
  readonly removed: readonly DraftTask[];
  readonly skipped: readonly DraftTask[];
  readonly restored: readonly DraftTask[];
  readonly rewired: readonly DraftTask[];
  /** Those of them whose running attempt is stopped, to run again. */
  readonly rerun: readonly DraftTask[];
  readonly ranked: readonly DraftTask[];
  readonly held: readonly DraftTask[];
  readonly unheld: readonly DraftTask[];
}

export interface EditPlan {
  readonly execution: ExecutionRecord;
  readonly isUndo: boolean;
  readonly wishes: Wishes;
  readonly draft: Draft;
  readonly found: Found;
  /** Of the removed tasks those that others had added, which begin anew: an undo does not bring them back. */
  readonly implied: ReadonlySet<number>;
  readonly ends: EditChanges["ends"];
}
