/**
 * Calls that wait: for a message on a channel, for the link to come back, or for time.
 *
 * A message can be missed: while the link is down, or when it was published just before the server
 * heard of our subscription. So whoever waits looks again when the link comes up, and every
 * `LOOK_AGAIN_MS` in any case. Looking again after a message that was not meant for us is harmless.
 * A subscription is kept for a while after its last use, because readers come back.
 */
import type { Clock } from "../../util/clock.ts";
import type { Link } from "./link/link.ts";

/** An idle worker costs one look and one heartbeat in this time. */
const LOOK_AGAIN_MS = 1_000;
const LINGER_MS = 5_000;

interface Channel {
  readonly waiters: Set<() => void>;
  readonly receivers: Set<(message: string) => void>;
  readonly unsubscribe: () => void;
  /** Subscriptions that must stay whether somebody waits or not. */
  holds: number;
  /** Messages so far: tells whether one came while nobody was waiting yet. */
  messages: number;
  cancelEnd: (() => void) | undefined;
}

export class Wakes {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #channels = new Map<string, Channel>();
  readonly #forgetUp: () => void;

  constructor(link: Link, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
    this.#forgetUp = link.onUp(() => {
      for (const channel of this.#channels.values()) wake(channel);
    });
  }

  /** Keeps a channel open; `receive` gets the messages that say something. Returns its end. */
  hold(name: string, receive?: (message: string) => void): () => void {
    const channel = this.#open(name);
    channel.holds += 1;
    if (receive !== undefined) channel.receivers.add(receive);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (receive !== undefined) channel.receivers.delete(receive);
      channel.holds -= 1;
      this.#endSoon(name, channel);
    };
  }

  /**
   * Listens from now on; `next` resolves at the first message, link or look since the last `next`, or
   * when `signal` is aborted.
   */
  listen(name: string): { next(signal: AbortSignal): Promise<void>; end(): void } {
    const channel = this.#open(name);
    const release = this.hold(name);
    let seen = channel.messages;
    return {
      next: async (signal) => {
        if (channel.messages === seen) await this.#wait(channel, signal);
        seen = channel.messages;
      },
      end: release,
    };
  }

  /** Wakes those who wait for a message on the channel, as if one had come. */
  wake(name: string): void {
    const channel = this.#channels.get(name);
    if (channel !== undefined) wake(channel);
  }

  close(): void {
    this.#forgetUp();
    for (const channel of this.#channels.values()) {
      channel.cancelEnd?.();
      channel.unsubscribe();
      wake(channel);
    }
    this.#channels.clear();
  }

  #open(name: string): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      const opened: Channel = {
        waiters: new Set(),
        receivers: new Set(),
        unsubscribe: this.#link.subscribe(name, (message) => {
          if (message !== "") for (const receive of opened.receivers) receive(message);
          wake(opened);
        }),
        holds: 0,
        messages: 0,
        cancelEnd: undefined,
      };
      channel = opened;
      this.#channels.set(name, channel);
    }
    channel.cancelEnd?.();
    channel.cancelEnd = undefined;
    return channel;
  }

  #wait(channel: Channel, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        channel.waiters.delete(end);
        cancelLook();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const cancelLook = this.#clock.schedule(LOOK_AGAIN_MS, end);
      channel.waiters.add(end);
      signal.addEventListener("abort", end, { once: true });
    });
  }

  #endSoon(name: string, channel: Channel): void {
    if (channel.holds > 0 || this.#channels.get(name) !== channel) return;
    channel.cancelEnd = this.#clock.schedule(LINGER_MS, () => {
      this.#channels.delete(name);
      channel.unsubscribe();
    });
  }
}

function wake(channel: Channel): void {
  channel.messages += 1;
  for (const waiter of [...channel.waiters]) waiter();
}
