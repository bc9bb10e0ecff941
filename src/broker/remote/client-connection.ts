/**
 * Keeps a client connected: dials, dials again when the connection is lost, gives up when it is
 * refused.
 *
 * States: connecting (an attempt, or the pause before the next) ⇄ open → connecting … ; resting
 * (the host refused us, trying again by ourselves is of no use: `wake` does) ; closed. The first
 * attempt after a good connection comes at once, the next ones after growing, jittered pauses.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Clock } from "../../util/clock.ts";
import { type BrokerAddress, Link, type LinkEnd } from "./client-link.ts";
import type { Hello, Welcome } from "./wire.ts";

/**
 * Where the host is; asked before every attempt, because it may have moved. `isReturn`: a good
 * connection has just been cut. The host at its other end keeps what was said on it for a moment, so
 * where several hosts serve one store the same one is the best to try.
 */
export type Whereabouts = (attempt: { readonly isReturn: boolean }) => BrokerAddress | Promise<BrokerAddress>;

export interface ConnectionOptions {
  readonly url: Whereabouts;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** For finding the address, dialling and being welcomed together. */
  readonly connectTimeoutMs: number;
  readonly reconnect: { readonly baseMs: number; readonly maxMs: number };
}

export interface ConnectionEvents {
  /** What to say first on a new socket. */
  hello(): Hello;
  welcome(welcome: Welcome): void;
  frame(text: string): void;
  /** `inOrder`: the host ended in order, so it has answered all that it took. */
  lost(inOrder: boolean): void;
  refused(error: HoldfastError): void;
}

/** A connection on which the host was silent for this many keepalives is dead. */
const SILENT_KEEPALIVES = 3;
/** A connection that lasted this long was a good one. */
const LASTING_MS = 1_000;
const CLOSE_WITHIN_MS = 1_000;

export class Connection {
  /** Where the host is, without anything secret. */
  url = "the broker";
  /** Why there is no connection. */
  problem = "no attempt was made yet";
  /** Since when there is none. */
  disconnectedAt: number;
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  #state: "connecting" | "open" | "resting" | "closed" = "connecting";
  #link: Link | undefined;
  #keepaliveMs = 0;
  #openedAt = 0;
  /** Failed attempts since the last good connection. */
  #failures = 0;
  /** The next attempt is the first after a connection that was cut. */
  #isReturn = false;
  /** The host has fallen silent: it is not the one to go back to. */
  #isSilent = false;
  /** Stops the timer of the attempt, or of the pause before it. */
  #cancelTimer: () => void = () => undefined;
  #linkIsDown: () => void = () => undefined;

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options;
    this.#events = events;
    this.disconnectedAt = options.clock.now();
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Makes the first attempt. */
  start(): void {
    this.#attempt();
  }

  /** Somebody needs the connection: after a refusal, try once more. */
  wake(): void {
    if (this.#state !== "resting") return;
    this.#state = "connecting";
    this.disconnectedAt = this.#options.clock.now();
    this.#attempt();
  }

  /** Only while open; what is sent to a dying socket is lost. */
  send(frame: string): void {
    this.#link?.send(frame);
  }

  /** The other side works: the next loss is the first again. */
  noteProgress(): void {
    this.#failures = 0;
  }

  /** Cuts a connection on which nothing is heard any more. */
  checkSilence(now: number): void {
    const silentMs = SILENT_KEEPALIVES * this.#keepaliveMs;
    if (this.#state === "open" && this.#link !== undefined && now - this.#link.heardAt > silentMs) {
      this.#isSilent = true;
      this.#link.terminate(`it was silent for ${silentMs} ms`);
    }
  }

  /** Resolves when the socket is closed. */
  close(): Promise<void> {
    this.#state = "closed";
    this.#cancelTimer();
    const link = this.#link;
    if (link === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.schedule(CLOSE_WITHIN_MS, () => link.terminate("closed"));
      this.#linkIsDown = () => {
        cancel();
        resolve();
      };
      link.close();
    });
  }

  #attempt(): void {
    const { clock, connectTimeoutMs, url } = this.#options;
    let over = false;
    const end = (how: LinkEnd): void => {
      if (over) return;
      over = true;
      this.#cancelTimer();
      this.#onEnd(how);
    };
    this.#cancelTimer = clock.schedule(connectTimeoutMs, () => {
      const problem = `no connection within ${connectTimeoutMs} ms`;
      if (this.#link === undefined) end({ kind: "lost", problem });
      else this.#link.terminate(problem);
    });
    const isReturn = this.#isReturn;
    this.#isReturn = false;
    const dialHost = async (): Promise<void> => {
      const address = await url({ isReturn });
      if (!over && this.#state !== "closed") this.#dial(address, end);
    };
    dialHost().catch((thrown: unknown) => end(endOf(thrown)));
  }

  #dial(address: BrokerAddress, end: (how: LinkEnd) => void): void {
    const link = new Link({
      address,
      clock: this.#options.clock,
      hello: this.#events.hello(),
      events: {
        welcome: (welcome) => this.#onWelcome(welcome),
        frame: (text) => this.#events.frame(text),
        down: (how) => {
          this.#link = undefined;
          end(how);
        },
      },
    });
    this.url = link.url;
    this.#link = link;
  }

  #onWelcome(welcome: Welcome): void {
    if (this.#state === "closed") return;
    this.#cancelTimer();
    this.#state = "open";
    this.#openedAt = this.#options.clock.now();
    this.#keepaliveMs = welcome.keepaliveMs;
    this.#events.welcome(welcome);
  }

  #onEnd(how: LinkEnd): void {
    if (this.#state === "closed") {
      this.#linkIsDown();
      return;
    }
    const now = this.#options.clock.now();
    if (this.#state === "open") {
      this.disconnectedAt = now;
      this.#isReturn = how.kind === "lost" && !this.#isSilent;
      this.#isSilent = false;
      if (now - this.#openedAt >= LASTING_MS) this.#failures = 0;
    }
    if (how.kind === "refused") {
      this.#state = "resting";
      this.problem = how.error.message;
      this.#events.refused(how.error);
      return;
    }
    this.#state = "connecting";
    this.problem = how.kind === "restarting" ? "its host is restarting" : how.problem;
    this.#pause();
    this.#events.lost(how.kind === "restarting");
  }

  #pause(): void {
    const { clock, logger, random, reconnect } = this.#options;
    const full = Math.min(reconnect.maxMs, reconnect.baseMs * 2 ** (this.#failures - 1));
    const delayMs = this.#failures === 0 ? 0 : full * (0.5 + 0.5 * random());
    logger.debug(
      { url: this.url, problem: this.problem, failures: this.#failures, delayMs },
      "not connected to the broker",
    );
    this.#failures += 1;
    this.#cancelTimer = clock.schedule(delayMs, () => this.#attempt());
  }
}

function endOf(thrown: unknown): LinkEnd {
  // An address that cannot be found now may be there later; one that makes no sense never will.
  if (HoldfastError.is(thrown) && !thrown.retryable) return { kind: "refused", error: thrown };
  return { kind: "lost", problem: thrown instanceof Error ? thrown.message : String(thrown) };
}
