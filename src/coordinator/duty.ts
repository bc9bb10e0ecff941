/**
 * A duty: one piece of background work that keeps a promise of the broker when nobody looks.
 *
 * Each duty is one file: constants with units, a name, an interval, and `runOnce`, which does one
 * bounded portion and returns counts. Duties hold no state that matters: the broker does. So a duty may
 * run twice, in two processes, or die half-way, and the next run finishes the work.
 */
import type { Broker } from "../broker/contract.ts";

export interface Duty {
  readonly name: string;
  /** Time between two runs when there is nothing known to be due, milliseconds. */
  readonly intervalMs: number;
  /** What the counts of a run mean, for the log: "sessions declared dead". */
  readonly counts: string;
  /** Runs once more when the coordinator ends: what happened last may be of use to the next process. */
  readonly runsAtEnd?: boolean;
  runOnce(broker: Broker): Promise<DutyReport>;
}

export interface DutyReport {
  readonly handled: number;
  /** The portion was full: run again at once. */
  readonly more: boolean;
  /** When the next entry falls due, on the broker's clock, if known. */
  readonly nextAt?: number;
}
