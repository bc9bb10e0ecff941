/**
 * One session of a worker at its broker, kept alive by a heartbeat on a timer of its own: how long
 * attempts take, and whether outcomes flow, has nothing to do with it.
 *
 * Silence is counted in beats that got no answer, not in time: a process that was stopped and goes
 * on has been silent itself, and must ask before it judges. Whether the session is still alive only
 * the broker can say; it says so with SESSION_LOST.
 */
import type { Broker, Directives, OpenSessionReply } from "../broker/contract.ts";
import type { Clock } from "../util/clock.ts";

export interface SessionEvents {
  directives(directives: Directives): void;
  /** A heartbeat failed. */
  failed(error: unknown): void;
  /** The broker has not answered for `patienceMs`. */
  silent(): void;
}

export interface SessionOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly patienceMs: number;
  /** Attempts running now. */
  readonly running: () => number;
}

export class Session {
  readonly id: string;
  readonly heartbeatMs: number;
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  #isBeating = false;
  #silentBeats = 0;
  #cancelBeat: (() => void) | undefined;
  #isEnded = false;

  constructor(opened: OpenSessionReply, options: SessionOptions, events: SessionEvents) {
    this.id = opened.session;
    this.heartbeatMs = opened.heartbeatMs;
    this.#options = options;
    this.#events = events;
    this.#scheduleBeat();
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The broker has answered something else than a heartbeat. */
  heard(): void {
    this.#silentBeats = 0;
  }

  end(): void {
    this.#isEnded = true;
    this.#cancelBeat?.();
  }

  #scheduleBeat(): void {
    this.#cancelBeat = this.#options.clock.schedule(this.heartbeatMs, () => {
      this.#scheduleBeat();
      void this.#beat();
    });
  }

  async #beat(): Promise<void> {
    this.#silentBeats += 1;
    if (this.#silentBeats * this.heartbeatMs > this.#options.patienceMs) {
      this.#events.silent();
      return;
    }
    if (this.#isBeating) return;
    this.#isBeating = true;
    try {
      const reply = await this.#options.broker.heartbeat({ session: this.id, running: this.#options.running() });
      this.#silentBeats = 0;
      if (!this.#isEnded) this.#events.directives(reply);
    } catch (thrown) {
      if (!this.#isEnded) this.#events.failed(thrown);
    } finally {
      this.#isBeating = false;
    }
  }
}
