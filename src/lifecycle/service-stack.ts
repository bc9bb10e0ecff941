/**
 * Services that were started one on top of the other, and are stopped in reverse.
 *
 * Each stop gets a time limit, so that one stuck service cannot keep the ones below it from
 * stopping. Failures do not stop the stopping; the first is thrown at the end.
 */
import { type Clock, sleep } from "../util/clock.ts";

export interface ServiceStackOptions {
  readonly clock: Clock;
  /** How long one service may take to stop, milliseconds. */
  readonly stopTimeoutMs: number;
  /** Told of a service that failed to stop or took too long. */
  readonly onTrouble: (service: string, error: Error) => void;
}

export class ServiceStack {
  readonly #options: ServiceStackOptions;
  readonly #services: { readonly name: string; readonly stop: () => Promise<void> }[] = [];
  #stopping: Promise<void> | undefined;

  constructor(options: ServiceStackOptions) {
    this.#options = options;
  }

  /** Adds what was just started. Added after a stop began, it is stopped by the next `stop`. */
  add(name: string, stop: () => Promise<void> | void): void {
    this.#services.push({ name, stop: async () => stop() });
  }

  /** Stops everything, the latest first. Called again, it waits for the same stop. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll().finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    const troubles: Error[] = [];
    for (let service = this.#services.pop(); service !== undefined; service = this.#services.pop()) {
      try {
        await this.#within(service.name, service.stop());
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown : new Error(String(thrown));
        troubles.push(error);
        this.#options.onTrouble(service.name, error);
      }
    }
    if (troubles[0] !== undefined) throw troubles[0];
  }

  async #within(name: string, stopped: Promise<void>): Promise<void> {
    const { clock, stopTimeoutMs } = this.#options;
    const giveUp = new AbortController();
    const tooLong = sleep(clock, stopTimeoutMs, giveUp.signal).then(() => {
      throw new Error(`${name} did not stop within ${stopTimeoutMs} ms.`);
    });
    try {
      await Promise.race([stopped, tooLong]);
    } finally {
      tooLong.catch(ignoreGivenUp);
      giveUp.abort(new Error("stopped in time"));
    }
  }
}

function ignoreGivenUp(): void {
  // Either the race has told of it already, or the service stopped in time.
}
