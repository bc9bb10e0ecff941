/** Chunks that are run more than once, and what came of it. */

export interface VerificationReport {
  /** Chunks in the sample so far. */
  readonly sampled: number;
  readonly agreed: number;
  readonly disagreed: number;
  /** Not compared, because no second worker could run them. */
  readonly skipped: number;
  readonly pending: number;
  /** Per worker: chunks of its own that were compared, and those whose copies differed. */
  readonly byWorker: Readonly<Record<string, { readonly compared: number; readonly disagreed: number }>>;
  /** The first MAX_DISAGREEMENTS disagreements. */
  readonly disagreements: readonly Disagreement[];
}

export interface Disagreement {
  readonly task: number;
  readonly start: number;
  readonly end: number;
  /** The first item that differs. */
  readonly item: number;
  readonly workers: readonly string[];
}

/** A sampled chunk all of whose runs are in. */
export interface PendingVerification {
  readonly executionId: string;
  readonly task: number;
  readonly start: number;
  readonly end: number;
  readonly tolerance: number;
  /** The chunk's own run first. `values` is the JSON text of an array, in item order. */
  readonly copies: readonly { readonly worker: string; readonly values: string }[];
}

export interface VerificationVerdict {
  readonly executionId: string;
  readonly task: number;
  readonly start: number;
  /** Absent: all copies agree. Else the first item that differs and the workers that are not with the majority. */
  readonly disagreement?: { readonly item: number; readonly workers: readonly string[] };
}
