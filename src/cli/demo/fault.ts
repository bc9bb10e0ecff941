/**
 * The fault: SIGKILL for worker 1 while it is in the middle of a chunk.
 *
 * "In the middle" is decided from the broker's book: enough of the sweep is done, worker 1 has
 * committed before, and its present chunk has been running for between a third and two thirds of
 * what a chunk usually takes. A moment that is missed costs nothing: the next chunk brings another.
 */
import type { ChunkLedger, HeldChunk, Takeover } from "./chunk-ledger.ts";
import { sameChunk } from "./chunk-ledger.ts";
import { FAULT_AT_SHARE } from "./demo-plan.ts";

const EARLIEST_SHARE_OF_CHUNK = 0.33;
const LATEST_SHARE_OF_CHUNK = 0.66;

export type Aim =
  /** Nothing to aim at; look again after the next event. */
  | { readonly kind: "wait" }
  /** Look again in so many milliseconds. */
  | { readonly kind: "soon"; readonly inMs: number }
  | { readonly kind: "now"; readonly chunk: HeldChunk; readonly intoChunkMs: number };

export interface AimParams {
  readonly victim: string;
  readonly totalChunks: number;
  /** On the broker's clock. */
  readonly now: number;
}

/** Whether now is the moment. Pure. */
export function takeAim(ledger: ChunkLedger, params: AimParams): Aim {
  if (ledger.doneChunks < Math.ceil(FAULT_AT_SHARE * params.totalChunks)) return { kind: "wait" };
  const chunk = ledger.runningChunk(params.victim);
  const typicalMs = ledger.typicalChunkMs();
  if (chunk === undefined || typicalMs === undefined) return { kind: "wait" };
  const intoChunkMs = params.now - chunk.since;
  if (intoChunkMs > LATEST_SHARE_OF_CHUNK * typicalMs) return { kind: "wait" };
  const earliestMs = EARLIEST_SHARE_OF_CHUNK * typicalMs;
  if (intoChunkMs < earliestMs) return { kind: "soon", inMs: Math.ceil(earliestMs - intoChunkMs) };
  return { kind: "now", chunk, intoChunkMs };
}

export interface Kill {
  readonly worker: string;
  readonly pid: number;
  readonly chunk: HeldChunk;
  readonly intoChunkMs: number;
  /** Just before the signal was sent, on the broker's clock. */
  readonly at: number;
}

/** The take-over of exactly the chunk that was being computed when its worker was killed. */
export function takeoverOf(kill: Kill, ledger: ChunkLedger): Takeover | undefined {
  return ledger.takeovers.find((takeover) => takeover.from === kill.worker && sameChunk(takeover, kill.chunk));
}
