/** What a run of the workflow demo will do: its size, its pace, its aims. Fixed before anything starts. */
import { DELIVERY } from "./delivery.ts";

export interface WorkflowDemoPlan {
  readonly mode: "quick" | "standard" | "performance";
  /** Deliveries that run at the same time. */
  readonly workflows: number;
  /** One unit of a node's effort. */
  readonly unitMs: number;
  /** Tasks that do nothing, to measure how many pass from end to end per second. */
  readonly messages: number;
  /** A killed worker's task must be back in its pool within this. */
  readonly recoveryAimMs: number;
  /** What a process may take. */
  readonly memoryAimMb: number;
}

const PLANS: Readonly<Record<WorkflowDemoPlan["mode"], Pick<WorkflowDemoPlan, "workflows" | "unitMs" | "messages">>> = {
  quick: { workflows: 4, unitMs: 6, messages: 10_000 },
  standard: { workflows: 12, unitMs: 12, messages: 20_000 },
  performance: { workflows: 100, unitMs: 6, messages: 100_000 },
};

export function planWorkflowDemo(mode: WorkflowDemoPlan["mode"]): WorkflowDemoPlan {
  return { mode, ...PLANS[mode], recoveryAimMs: 2_000, memoryAimMb: 300 };
}

/** A worker is killed when its task has run for about a third of the shortest node's time. */
export function intoTaskMs({ unitMs }: WorkflowDemoPlan): number {
  return Math.round((Math.min(...DELIVERY.map(({ effort }) => effort)) * unitMs) / 3);
}

/** The longest way through a delivery, milliseconds: no number of workers makes it shorter. */
export function criticalPathMs({ unitMs }: WorkflowDemoPlan): number {
  const ends = new Map<string, number>();
  for (const { id, effort, after } of DELIVERY) {
    ends.set(id, Math.max(0, ...after.map((parent) => ends.get(parent) ?? 0)) + effort * unitMs);
  }
  return Math.max(...ends.values());
}
