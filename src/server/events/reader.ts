/**
 * One caller that reads events as they come.
 *
 * It has a place, its cursor, and takes what comes next from the topic whenever the connection has
 * room. A slow one is left behind: nothing is kept for it but its place, and what the topic has
 * forgotten by then it reads from the broker. One that takes nothing at all for STALLED_AFTER_MS is
 * cut off and may come back with its cursor.
 */
import { Readable } from "node:stream";
import { HoldfastError } from "../../errors/index.ts";
import { type Clock, sleep } from "../../util/clock.ts";
import { endFrame, greeting, HEARTBEAT, type StreamEnd } from "./frames.ts";
import type { Topic, TopicReader } from "./topic.ts";

/** Bytes that wait for the connection before the reader stops taking more. */
const BUFFER_BYTES = 65_536;
export const STALLED_AFTER_MS = 60_000;
const RETRY_MS = 1_000;

export interface ReaderParams {
  readonly topic: Topic;
  /** Events after this one. */
  readonly cursor: number;
  readonly clock: Clock;
  readonly onGone: (reader: EventReader) => void;
}

export class EventReader extends Readable implements TopicReader {
  readonly #topic: Topic;
  readonly #clock: Clock;
  readonly #onGone: (reader: EventReader) => void;
  readonly #gone = new AbortController();
  #cursor: number;
  #hasRoom = true;
  #stuckSince: number | undefined;
  #isCatchingUp = false;
  #isFinished = false;

  constructor({ topic, cursor, clock, onGone }: ReaderParams) {
    super({ highWaterMark: BUFFER_BYTES });
    this.#topic = topic;
    this.#cursor = cursor;
    this.#clock = clock;
    this.#onGone = onGone;
    topic.join(this);
    this.#send(Buffer.from(greeting(cursor)));
  }

  override _read(): void {
    if (!this.#isOpen) return;
    this.#hasRoom = true;
    this.#stuckSince = undefined;
    this.wake();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#gone.abort();
    this.#topic.leave(this);
    this.#onGone(this);
    done(error);
  }

  wake(): void {
    while (this.#hasRoom && !this.#isCatchingUp && this.#isOpen) {
      const next = this.#topic.next(this.#cursor);
      if (next.kind === "none") return;
      if (next.kind === "over") this.#end(next.end);
      else if (next.kind === "behind") void this.#catchUp();
      else this.#take(next);
    }
  }

  /** Every now and then: a sign of life, or the end of a reader that takes nothing. */
  beat(): void {
    if (this.#stuckSince !== undefined) {
      if (this.#clock.now() - this.#stuckSince >= STALLED_AFTER_MS) this.destroy();
    } else if (this.#isOpen) this.#send(HEARTBEAT);
  }

  /** Ends the stream without an `end` event: the reader comes back, perhaps elsewhere. */
  cut(): void {
    if (!this.#isOpen) return;
    if (this.#hasRoom) this.#finish();
    else this.destroy();
  }

  get #isOpen(): boolean {
    return !this.destroyed && !this.#isFinished;
  }

  #take({ bytes, cursor }: { readonly bytes: Buffer; readonly cursor: number }): void {
    this.#cursor = Math.max(this.#cursor, cursor);
    if (bytes.length > 0) this.#send(bytes);
  }

  #send(bytes: Buffer): void {
    this.#hasRoom = this.push(bytes);
    if (!this.#hasRoom) this.#stuckSince ??= this.#clock.now();
  }

  #end(end: StreamEnd): void {
    this.push(endFrame(end, this.#cursor));
    this.#finish();
  }

  /** Nothing more is written. Who does not take the rest is cut off as well. */
  #finish(): void {
    this.#isFinished = true;
    this.#stuckSince ??= this.#clock.now();
    this.push(null);
  }

  async #catchUp(): Promise<void> {
    this.#isCatchingUp = true;
    try {
      this.#take(await this.#topic.catchUp(this.#cursor));
    } catch (thrown) {
      if (HoldfastError.is(thrown, "EXECUTION_NOT_FOUND") && this.#topic.executionId !== undefined)
        this.#end({ executionId: this.#topic.executionId, state: "gone" });
      else if (HoldfastError.is(thrown, "BROKER_CLOSED")) this.cut();
      else await sleep(this.#clock, RETRY_MS, this.#gone.signal).catch(() => undefined);
    }
    this.#isCatchingUp = false;
    this.wake();
  }
}
