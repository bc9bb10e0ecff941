/** What `demo --json FILE` writes. Every figure in it was measured or counted in this run. */
import type { ChunkRange } from "./chunk-ledger.ts";
import type { DemoPlan } from "./demo-plan.ts";
import type { ClassifierSettings } from "./neighbour-classifier.ts";

export interface DemoReport {
  readonly scale: DemoPlan["scale"];
  /** `queue`: Holdfast. `static`: one fixed range per worker, the baseline. */
  readonly mode: DemoPlan["mode"];
  readonly seed: number;
  readonly points: number;
  readonly chunks: number;
  readonly chunkSize: number;
  readonly workers: number;
  /** Points with a result. */
  readonly completed: number;
  /** Points that still wait or run. */
  readonly pending: number;
  /** Points that have no result and will get none. */
  readonly lost: number;
  readonly lostPercent: number;
  /** Results stored beyond the first of a point. */
  readonly duplicateCommits: number;
  /** Chunks of the killed worker that another worker took over. */
  readonly takeovers: number;
  /** SIGKILL until the chunk that was being computed was running on another worker; null without a take-over. */
  readonly recoveryMs: number | null;
  /** SIGKILL until that chunk was computed again and committed; null without a take-over. */
  readonly recomputedMs: number | null;
  /** Submit until the last commit. */
  readonly wallMs: number;
  readonly pointsPerSecond: number;
  /** Every result equals, bit for bit, that of one process which computed all points in order; null when not compared. */
  readonly identicalToSequential: boolean | null;
  /** How long that one process took. */
  readonly sequentialMs: number | null;
  readonly killedWorker: string | null;
  readonly killedPid: number | null;
  readonly killedChunk: (ChunkRange & { readonly takenOverBy: string | null }) | null;
  /** How long the chunk had been running when its worker was killed. */
  readonly killedIntoChunkMs: number | null;
  /** Share of chunks that were done at the kill. */
  readonly killedAtShare: number | null;
  readonly best: { readonly point: number; readonly accuracy: number; readonly settings: ClassifierSettings } | null;
  /** `passed`, `failed`, or in static mode `loss-shown`. */
  readonly verdict: "passed" | "failed" | "loss-shown";
  /** One sentence for each thing that is wrong. */
  readonly problems: readonly string[];
}

/** The report of a run in which nothing has happened yet. */
export function emptyReport(plan: DemoPlan): DemoReport {
  return {
    scale: plan.scale,
    mode: plan.mode,
    seed: plan.seed,
    points: plan.points,
    chunks: plan.chunks,
    chunkSize: plan.chunkSize,
    workers: plan.workers,
    completed: 0,
    pending: plan.points,
    lost: 0,
    lostPercent: 0,
    duplicateCommits: 0,
    takeovers: 0,
    recoveryMs: null,
    recomputedMs: null,
    wallMs: 0,
    pointsPerSecond: 0,
    identicalToSequential: null,
    sequentialMs: null,
    killedWorker: null,
    killedPid: null,
    killedChunk: null,
    killedIntoChunkMs: null,
    killedAtShare: null,
    best: null,
    verdict: "failed",
    problems: [],
  };
}

/** One decimal is enough for a figure that another run will not repeat. */
export function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
