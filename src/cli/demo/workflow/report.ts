/** What the workflow demo found: the data of its report files. Every figure was measured or counted in this run. */
import type { Kill, Recovery } from "./crisis.ts";
import type { PoolBalance } from "./balance.ts";
import type { WorkflowDemoPlan } from "./plan.ts";

export interface PhaseReport {
  readonly number: number;
  readonly name: string;
  /** Since the demo began. */
  readonly startedMs: number;
  readonly durationMs: number;
  readonly done: boolean;
  readonly facts: readonly string[];
}

export interface Criterion {
  readonly name: string;
  readonly met: boolean;
  readonly detail: string;
}

/** One check of the validation. */
export interface CheckReport {
  readonly name: string;
  readonly ok: boolean;
  readonly ms: number;
  readonly detail: string;
}

export interface ValidationReport {
  readonly ok: boolean;
  readonly ms: number;
  readonly checks: readonly CheckReport[];
  /** Left out by `--quick`, or because there was nothing to do it with. */
  readonly skipped: readonly string[];
}

/** Nearest-rank percentiles, milliseconds; null without any. */
export interface Spread {
  readonly count: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

export interface ThroughputReport {
  readonly messages: number;
  /** First submit until the last was accepted; and until the last was committed. */
  readonly sentMs: number;
  readonly doneMs: number;
  readonly perSecond: number;
  readonly workers: number;
}

export interface MemoryReport {
  /** Most that any worker, any runner and the process that serves the broker took, MB; null where the system does not tell. */
  readonly workerMb: number | null;
  readonly runnerMb: number | null;
  readonly serverMb: number;
}

/** A bar of the timeline, milliseconds since the deliveries began. */
export interface Bar {
  readonly worker: string;
  readonly pool: string;
  /** Number of the delivery, from 1. */
  readonly delivery: number;
  readonly node: string;
  readonly from: number;
  readonly to: number;
  readonly end: string;
  readonly attempt: number;
}

export interface DeliveriesReport {
  readonly count: number;
  readonly completed: number;
  readonly tasks: number;
  readonly committed: number;
  readonly attempts: number;
  readonly lostAttempts: number;
  readonly duplicateCommits: number;
  readonly orderViolations: number;
  readonly wrongOutputs: number;
  /** Most tasks of one delivery that ran at the same time. */
  readonly mostAtOnce: number;
  readonly criticalPathMs: number;
  /** Submit to end. */
  readonly makespanMs: Spread;
  readonly wallMs: number;
}

export type RecoveryReport = Recovery & { readonly takenBackMs: number | null; readonly recoveryMs: number | null };

export interface DemonstrationReport {
  readonly plan: WorkflowDemoPlan;
  readonly broker: string;
  readonly machine: {
    readonly cpus: number;
    readonly memoryMb: number;
    readonly node: string;
    readonly platform: string;
  };
  readonly startedAt: string;
  readonly wallMs: number;
  /** When the deliveries began, on the broker's clock; bars count from it. */
  readonly beganAt: number;
  readonly phases: readonly PhaseReport[];
  readonly deliveries: DeliveriesReport;
  readonly pools: readonly (PoolBalance & { readonly min: number; readonly max: number })[];
  readonly kills: readonly Kill[];
  readonly recoveries: readonly RecoveryReport[];
  /** SIGKILL until the broker gave the task back to its pool. */
  readonly takenBackMs: Spread;
  /** SIGKILL until the task ran on another worker: the time in line behind its pool's other work is in it. */
  readonly recoveryMs: Spread;
  readonly throughput: ThroughputReport | null;
  readonly memory: MemoryReport;
  readonly bars: readonly Bar[];
  readonly criteria: readonly Criterion[];
  readonly verdict: "passed" | "failed";
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (share: number): number | null => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? null };
}
