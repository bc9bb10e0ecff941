/**
 * Calls that wait: claims for work, reads for news.
 *
 * A claim that found nothing begins to wait inside its own transaction, and is tried again at the end
 * of that and of every later one: no work can become ready unseen between the look and the wait, and
 * work goes to a waiting worker in the same step that made it ready. After a rollback the waits that
 * began in the transaction are forgotten, for it runs again. A waiting read is tried again after
 * every commit that wrote events.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";

interface Waiter<T> {
  /** The answer, or undefined when there is still nothing. A HoldfastError it throws is the answer. */
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
  /** Began to wait in the transaction under way. */
  readonly #fresh = new Set<Waiter<T>>();
  #answers: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wait({ waitMs, attempt, giveUp }: Wait<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const cancelTimer = this.#clock.schedule(waitMs, () => this.#giveUp(waiter));
      const waiter: Waiter<T> = { attempt, resolve, reject, cancelTimer };
      this.#waiting.set(waiter, giveUp);
      this.#fresh.add(waiter);
    });
  }

  /** Tries all; answers are held back until `answer` (after a commit) or `forget` (after a rollback). */
  serve(): void {
    for (const waiter of this.#waiting.keys()) {
      try {
        const answer = waiter.attempt();
        if (answer !== undefined) this.#answers.push(() => this.#end(waiter, () => waiter.resolve(answer)));
      } catch (error) {
        if (!HoldfastError.is(error)) throw error;
        this.#answers.push(() => this.#end(waiter, () => waiter.reject(error)));
      }
    }
  }

  answer(): void {
    const answers = this.#answers;
    this.#answers = [];
    this.#fresh.clear();
    for (const tell of answers) tell();
  }

  forget(): void {
    this.#answers = [];
    for (const waiter of this.#fresh) this.#remove(waiter);
    this.#fresh.clear();
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

  #end(waiter: Waiter<T>, tell: () => void): void {
    this.#remove(waiter);
    tell();
  }

  #remove(waiter: Waiter<T>): void {
    waiter.cancelTimer();
    this.#waiting.delete(waiter);
  }
}
