/**
 * Outcomes on their way to the broker: they wait while a commit is in flight, and come back if it
 * fails. Counted and measured, so that a worker whose broker does not answer stops claiming.
 */
import type { Awakening, Outcome } from "../broker/contract.ts";
import { MAX_BATCH } from "../broker/limits.ts";

/** Characters of results that travel in one commit; a larger outcome travels alone. */
const MAX_BATCH_LENGTH = 8 * 1_048_576;

export class Outbox {
  #waiting: Outcome[] = [];
  #length = 0;
  /** Outcomes in the next batch at most; 1 while one that the broker refuses to read is looked for. */
  #batchLimit = MAX_BATCH;

  get count(): number {
    return this.#waiting.length;
  }

  /** Characters that wait, about. */
  get length(): number {
    return this.#length;
  }

  add(outcome: Outcome): void {
    this.#waiting.push(outcome);
    this.#length += lengthOf(outcome);
  }

  /** The next batch, oldest first. */
  take(): readonly Outcome[] {
    let count = 0;
    let length = 0;
    for (const outcome of this.#waiting) {
      length += lengthOf(outcome);
      if (count > 0 && (count >= this.#batchLimit || length > MAX_BATCH_LENGTH)) break;
      count += 1;
    }
    const batch = count === this.#waiting.length ? this.#waiting : this.#waiting.slice(0, count);
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count);
    for (const outcome of batch) this.#length -= lengthOf(outcome);
    return batch;
  }

  /** A batch that was not taken in; it goes first again. */
  putBack(batch: readonly Outcome[]): void {
    this.#waiting = [...batch, ...this.#waiting];
    for (const outcome of batch) this.#length += lengthOf(outcome);
  }

  /** From now on one at a time, until `sendTogether`. */
  sendSingly(): void {
    this.#batchLimit = 1;
  }

  sendTogether(): void {
    this.#batchLimit = MAX_BATCH;
  }

  clear(): void {
    this.#waiting = [];
    this.#length = 0;
    this.#batchLimit = MAX_BATCH;
  }
}

function lengthOf(outcome: Outcome): number {
  switch (outcome.kind) {
    case "completed":
      return outcome.result.length + outputLength(outcome.output);
    case "chunk":
      return (outcome.values?.length ?? 0) + (outcome.partial?.length ?? 0) + outputLength(outcome.output);
    case "failed":
    case "skipped":
      return outputLength(outcome.output);
    case "suspended":
      return outcome.state.length + awakeningLength(outcome.until) + outputLength(outcome.output);
    case "returned":
      return 0;
  }
}

function awakeningLength(until: Awakening): number {
  return until.kind === "tasks" ? JSON.stringify(until.groups).length : 0;
}

function outputLength(output: { readonly stdout: string; readonly stderr: string } | undefined): number {
  return output === undefined ? 0 : output.stdout.length + output.stderr.length;
}
