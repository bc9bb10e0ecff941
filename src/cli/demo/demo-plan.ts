/** What a demo run will do: its size, its cost per point, its fault. Fixed before anything starts. */

export const DEMO_SCALES = ["small", "medium", "large"] as const;
export type DemoScale = (typeof DEMO_SCALES)[number];

/** `cli`: what each worker does, live. */
export const DEMO_MONITORS = ["none", "cli"] as const;
export type DemoMonitor = (typeof DEMO_MONITORS)[number];

export interface ScalePlan {
  readonly points: number;
  /** Points per chunk. */
  readonly chunkSize: number;
  /**
   * Repeats of the cross-validation per point. More points get fewer repeats, so that every scale
   * ends within minutes; the computation is the same, its accuracies are less exact.
   */
  readonly repeats: number;
}

export const SCALE_PLANS: Readonly<Record<DemoScale, ScalePlan>> = {
  small: { points: 1_000, chunkSize: 10, repeats: 8 },
  medium: { points: 10_000, chunkSize: 100, repeats: 2 },
  large: { points: 100_000, chunkSize: 100, repeats: 1 },
};

export const FOLDS = 10;
export const DEFAULT_DEMO_SEED = 20_260_203;
export const DEFAULT_DEMO_WORKERS = 3;
export const MOST_DEMO_WORKERS = 64;

/** Share of the chunks that must be done before the fault. */
export const FAULT_AT_SHARE = 0.3;
/** Worker 1, as in "kill worker 1". */
export const VICTIM = 1;

export interface DemoPlan extends ScalePlan {
  readonly scale: DemoScale;
  readonly chunks: number;
  readonly workers: number;
  readonly fault: boolean;
  readonly mode: "queue" | "static";
  readonly seed: number;
}

export interface DemoChoices {
  readonly scale: DemoScale;
  readonly workers: number;
  readonly fault: boolean;
  readonly mode: "queue" | "static";
  readonly seed: number;
}

export function planDemo(choices: DemoChoices): DemoPlan {
  const size = SCALE_PLANS[choices.scale];
  return { ...choices, ...size, chunks: Math.ceil(size.points / size.chunkSize) };
}

export const WORKER_PREFIX = "worker";

export function workerName(number: number): string {
  return `${WORKER_PREFIX}-${number}`;
}

/** `worker-2` → `Worker 2`. */
export function workerTitle(name: string): string {
  const number = /^worker-(\d+)$/.exec(name)?.[1];
  return number === undefined ? name : `Worker ${number}`;
}
