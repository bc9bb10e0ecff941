/** What becomes of the items of a chunk that did not complete: ready again, ready later, or dead. */
import type { Failure } from "../../core/failure.ts";
import type { Engine } from "./engine.ts";
import { offerRange } from "./lanes.ts";
import { FAILED, type LeaseRecord, QUEUED, SCHEDULED, type WaitingRange } from "./model.ts";

interface RangeEnding {
  readonly range: WaitingRange;
  /**
   * The attempt's token, by which its outcome is recognised when it is sent again; negative when it
   * was handed back, null when it was taken away and nothing its holder says may count.
   */
  readonly token: number | null;
  readonly failure?: Failure;
}

export interface Requeue extends RangeEnding {
  readonly reason: string;
}

/** Running items are ready again. */
export function requeueRange(engine: Engine, lease: LeaseRecord, { reason, ...ending }: Requeue): void {
  const { range } = ending;
  putChunk(engine, lease, { ...ending, state: QUEUED });
  engine.move(lease.group, { from: "running", to: "queued", items: range.end - range.start });
  engine.journal.tasks(lease.group.execution, { state: "queued", entry: [lease.task, range.start, range.end], reason });
  offerRange(lease.group, range, engine.now);
}

/** Running items will be ready later. */
export function scheduleRange(
  engine: Engine,
  lease: LeaseRecord,
  { reason, ...ending }: Requeue & { readonly notBefore: number },
): void {
  const { range } = ending;
  putChunk(engine, lease, { ...ending, state: SCHEDULED });
  engine.move(lease.group, { from: "running", to: "scheduled", items: range.end - range.start });
  engine.journal.tasks(lease.group.execution, {
    state: "scheduled",
    entry: [lease.task, range.start, range.end],
    reason,
  });
}

/** Running items are dead letters. */
export function buryRange(
  engine: Engine,
  lease: LeaseRecord,
  ending: RangeEnding & { readonly failure: Failure },
): void {
  const { range, failure } = ending;
  putChunk(engine, lease, { ...ending, state: FAILED });
  engine.move(lease.group, { from: "running", to: "failed", items: range.end - range.start });
  engine.noteDeadLetter(lease.group.execution, failure);
  engine.journal.tasks(lease.group.execution, { state: "failed", entry: [lease.task, range.start, range.end] });
}

function putChunk(
  engine: Engine,
  { group }: LeaseRecord,
  row: RangeEnding & { readonly state: number; readonly notBefore?: number },
): void {
  const { range } = row;
  engine.db.run(
    `INSERT OR REPLACE INTO chunks
       (execution, task, start, replica, end, state, attempt, failures, losses, careful, token, at, not_before, failure)
     VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    group.execution.no,
    group.first,
    range.start,
    range.end,
    row.state,
    range.attempt,
    range.failures,
    range.losses,
    range.careful ? 1 : 0,
    row.token,
    engine.now,
    row.notBefore ?? null,
    row.failure === undefined ? null : JSON.stringify(row.failure),
  );
}
