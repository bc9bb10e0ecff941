/**
 * The reference: this one process computes every point again, in order, after the workers have
 * ended. Between points it lets the event loop breathe, so that a progress line moves and Ctrl-C is
 * heard; nothing runs in parallel.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ResultBook } from "./proof.ts";

export interface SequentialParams {
  readonly points: number;
  readonly compute: (point: number) => unknown;
  readonly book: ResultBook;
  readonly onProgress: (done: number) => void;
  readonly signal: AbortSignal;
}

export interface SequentialOutcome {
  readonly identical: boolean;
  readonly firstDifference: number | undefined;
}

/** How long points are computed before the event loop gets a turn, milliseconds. */
const TURN_MS = 40;

/** Throws the signal's reason when interrupted. */
export async function checkAgainstOneProcess(params: SequentialParams): Promise<SequentialOutcome> {
  let firstDifference: number | undefined;
  let turnEndsAt = performance.now() + TURN_MS;
  for (let point = 0; point < params.points; point++) {
    if (JSON.stringify(params.compute(point)) !== params.book.textOf(point)) firstDifference ??= point;
    if (performance.now() < turnEndsAt) continue;
    params.onProgress(point + 1);
    await nextTurn();
    params.signal.throwIfAborted();
    turnEndsAt = performance.now() + TURN_MS;
  }
  params.onProgress(params.points);
  return { identical: firstDifference === undefined, firstDifference };
}
