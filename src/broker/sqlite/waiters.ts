/**
 * Calls that wait: claims for work, reads for news.
 *
 * A waiting claim is tried again inside every transaction, so work goes to a waiting worker in the
 * same step that made it ready. A waiting read is tried again after every commit that wrote events.
 */
import type { Clock } from "../../util/clock.ts";

interface Waiter<T> {
  /** The answer, or undefined when there is still nothing. */
  readonly attempt: () => T | undefined;
  readonly resolve: (answer: T) => void;
  readonly reject: (error: unknown) => void;
  readonly cancelTimer: () => void;
}

export interface Wait<T> {
  readonly waitMs: number;
  readonly attempt: () => T | undefined;
  /** The answer when the time is up, or the broker closes. */
  readonly giveUp: () => T;
}

export class Waiters<T> {
  readonly #clock: Clock;
  readonly #waiting = new Map<Waiter<T>, () => T>();
  #answers: { readonly waiter: Waiter<T>; readonly answer: T }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wait({ waitMs, attempt, giveUp }: Wait<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const cancelTimer = this.#clock.schedule(waitMs, () => this.#giveUp(waiter));
      const waiter: Waiter<T> = { attempt, resolve, reject, cancelTimer };
      this.#waiting.set(waiter, giveUp);
    });
  }

  /** Tries all; answers are held back until `answer` (after a commit) or `forget` (after a rollback). */
  serve(): void {
    for (const waiter of this.#waiting.keys()) {
      const answer = waiter.attempt();
      if (answer !== undefined) this.#answers.push({ waiter, answer });
    }
  }

  answer(): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const { waiter, answer } of answers) {
      this.#remove(waiter);
      waiter.resolve(answer);
    }
  }

  forget(): void {
    this.#answers = [];
  }

  close(): void {
    for (const waiter of [...this.#waiting.keys()]) this.#giveUp(waiter);
  }

  #giveUp(waiter: Waiter<T>): void {
    const giveUp = this.#waiting.get(waiter);
    if (giveUp === undefined) return;
    this.#remove(waiter);
    try {
      waiter.resolve(giveUp());
    } catch (error) {
      waiter.reject(error);
    }
  }

  #remove(waiter: Waiter<T>): void {
    waiter.cancelTimer();
    this.#waiting.delete(waiter);
  }
}
