/**
 * A measure: one question about speed or size, asked several times.
 *
 * A measure yields samples; the program gathers the samples of one series and reports their median
 * and spread. Where there is something bare to compare with, the same round measures both, one
 * after the other, so that ratios hold although the machine has good and bad minutes.
 */

export interface Sample {
  /** What was measured: `holdfast`, or the bare thing beside it. */
  readonly system: string;
  /** The size and shape of the run: "batches of 100, 4 in flight". */
  readonly setting: string;
  readonly unit: string;
  readonly value: number;
}

export interface BenchContext {
  /** A new, empty folder on a real disk, removed when the program ends. */
  folder(): string;
  /** Something for a person who waits. */
  progress(text: string): void;
}

export interface Measure {
  readonly name: string;
  /** One sentence for `--help`. */
  readonly about: string;
  /** Rounds that are enough when nobody says how many. */
  readonly rounds: number;
  /** Throws when the system under test did something wrong: a wrong answer has no speed. */
  round(context: BenchContext): Promise<readonly Sample[]>;
}

export interface Row {
  readonly measure: string;
  readonly system: string;
  readonly setting: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
  readonly note?: string;
}

/** Monotonic time that processes of one machine share, milliseconds. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export async function timedMs(action: () => Promise<unknown>): Promise<number> {
  const startedAt = nowMs();
  await action();
  return nowMs() - startedAt;
}
