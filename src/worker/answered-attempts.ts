/**
 * Attempts that their runner has answered and whose output has not been read to its end. They leave
 * in order, as soon as it has been, or after OUTPUT_WAIT_MS: bytes may never come.
 */
import type { CapturedOutput } from "../broker/contract.ts";
import type { Clock } from "../util/clock.ts";
import type { Attempt } from "./attempt.ts";
import type { OutputTap } from "./output-tap.ts";
import type { Answer } from "./runner-wire.ts";

const OUTPUT_WAIT_MS = 200;

export interface AnsweredAttemptsOptions {
  readonly clock: Clock;
  readonly stdout: OutputTap;
  readonly stderr: OutputTap;
  /** Whether the runner has nothing else to do, so that all that was read belongs to the last answer. */
  readonly isRunnerIdle: () => boolean;
  readonly onComplete: (attempt: Attempt, answer: Answer, output: CapturedOutput | undefined) => void;
}

export class AnsweredAttempts {
  readonly #options: AnsweredAttemptsOptions;
  #waiting: { readonly attempt: Attempt; readonly answer: Answer }[] = [];
  #cancelWait: (() => void) | undefined;

  constructor(options: AnsweredAttemptsOptions) {
    this.#options = options;
  }

  add(attempt: Attempt, answer: Answer): void {
    this.#waiting.push({ attempt, answer });
    this.#advance(false);
  }

  /** More output has been read. */
  outputRead(): void {
    if (this.#waiting.length > 0) this.#advance(false);
  }

  /** No more output will come. */
  close(): void {
    this.#advance(true);
  }

  /** What was read since the last answer: the output of an attempt that will not be answered. */
  restOfOutput(): CapturedOutput | undefined {
    return this.#cut({ out: Infinity, err: Infinity }, true);
  }

  #advance(withoutWaiting: boolean): void {
    const { stdout, stderr, clock, isRunnerIdle, onComplete } = this.#options;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const { attempt, answer } = next;
      if (!withoutWaiting && !(stdout.hasRead(answer.out) && stderr.hasRead(answer.err))) {
        this.#cancelWait ??= clock.schedule(OUTPUT_WAIT_MS, () => this.#advance(true));
        return;
      }
      this.#waiting.shift();
      onComplete(attempt, answer, this.#cut(answer, this.#waiting.length === 0 && isRunnerIdle()));
    }
    this.#cancelWait?.();
    this.#cancelWait = undefined;
  }

  #cut(counted: { readonly out: number; readonly err: number }, all: boolean): CapturedOutput | undefined {
    const stdout = this.#options.stdout.cut(counted.out, all);
    const stderr = this.#options.stderr.cut(counted.err, all);
    if (stdout.text === "" && stderr.text === "") return undefined;
    return { stdout: stdout.text, stderr: stderr.text, truncated: stdout.truncated || stderr.truncated };
  }
}
