/** What a fixed-range worker is told and what it tells, over Node's process channel. */
import type { DemoPlan } from "./demo-plan.ts";

/** Its one range, decided before the start. */
export interface StaticAssignment {
  readonly plan: DemoPlan;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export type StaticMessage =
  | { readonly kind: "ready" }
  /** Points of its range computed so far. */
  | { readonly kind: "progress"; readonly computed: number }
  /** Its whole range: JSON texts in order. Like any fixed-range job, it hands in its work at the end. */
  | { readonly kind: "results"; readonly values: readonly string[] };
