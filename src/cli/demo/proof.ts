/**
 * The proof after a run: every point once, and the same bits as one process computing all points in
 * order. Works on the results as the broker hands them out, not on counters.
 */
import type { ResultRow } from "../../broker/contract.ts";

/** Results by point, as the JSON text of each value. */
export class ResultBook {
  readonly #texts: (string | undefined)[];
  #commits = 0;
  #distinct = 0;

  constructor(points: number) {
    this.#texts = Array.from({ length: points });
  }

  add(row: ResultRow): void {
    if (row.values === undefined || row.start === undefined) return;
    const missing = new Set(row.missing ?? []);
    const values = JSON.parse(row.values) as readonly unknown[];
    values.forEach((value, offset) => {
      const point = (row.start as number) + offset;
      if (missing.has(point)) return;
      this.#commits++;
      if (this.#texts[point] !== undefined) return;
      this.#distinct++;
      this.#texts[point] = JSON.stringify(value);
    });
  }

  /** Points with a result. */
  get distinct(): number {
    return this.#distinct;
  }

  /** Results beyond the first of a point. */
  get duplicates(): number {
    return this.#commits - this.#distinct;
  }

  textOf(point: number): string | undefined {
    return this.#texts[point];
  }
}

export interface Findings {
  readonly points: number;
  readonly completed: number;
  readonly pending: number;
  readonly lost: number;
  readonly duplicateCommits: number;
  /** Take-overs after the fault; undefined when no fault was asked for. */
  readonly takeovers: number | undefined;
  readonly identicalToSequential: boolean;
  readonly firstDifference: number | undefined;
}

/** What is wrong, one sentence each; empty when everything is proved. */
export function problemsOf(findings: Findings): string[] {
  const problems: string[] = [];
  const { points, completed, pending, lost, duplicateCommits, takeovers, firstDifference } = findings;
  if (pending > 0) problems.push(`${pending} of ${points} points are still pending.`);
  if (lost > 0) problems.push(`${lost} of ${points} points have no result.`);
  if (completed > points) problems.push(`${completed} results for ${points} points.`);
  if (duplicateCommits > 0) problems.push(`${duplicateCommits} points were committed more than once.`);
  if (takeovers === 0) problems.push("No chunk was taken over from the killed worker, so nothing was shown.");
  if (!findings.identicalToSequential) {
    problems.push(
      firstDifference === undefined
        ? "The results were not compared with those of one process."
        : `Point ${firstDifference} differs from what one process computes.`,
    );
  }
  return problems;
}
