/**
 * Everybody who reads events over HTTP as they come.
 *
 * One topic per execution that is read, and one for all events; a topic follows the broker once, for
 * all of its readers. Nothing here outlives its readers for longer than one read at the broker.
 */
import type { Readable } from "node:stream";
import { FROM_NOW } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import { EventReader } from "./reader.ts";
import { type EventSource, Topic, type TopicLimits } from "./topic.ts";

export const HEARTBEAT_MS = 15_000;

export interface HubLimits extends TopicLimits {
  readonly maxReaders: number;
}

export const DEFAULT_HUB_LIMITS: HubLimits = {
  readWaitMs: 10_000,
  pageSize: 200,
  recentBytes: 262_144,
  maxReaders: 10_000,
};

const COME_BACK_AFTER_MS = 5_000;

/**
 * Nearly all that a stream costs is writing to its connection, about 20 µs each time. So the more
 * readers there are, the more events go out in one piece: 10,000 writes a second at most.
 */
const REST_PER_READER_MS = 0.1;
const LONGEST_REST_MS = 1_000;

export interface HubParts {
  readonly broker: EventSource;
  readonly clock: Clock;
  /** Ends all streams. */
  readonly closing: AbortSignal;
}

export interface OpenReaderParams {
  /** Absent: all events. */
  readonly executionId?: string;
  /** Events after this one; FROM_NOW: those to come. */
  readonly cursor: number;
  /** Ends the stream: its reader has gone. */
  readonly signal: AbortSignal;
}

export class EventHub {
  readonly #parts: HubParts;
  readonly #limits: HubLimits;
  readonly #topics = new Map<string | undefined, Promise<Topic>>();
  readonly #readers = new Set<EventReader>();
  #opening = 0;
  #cancelBeat: (() => void) | undefined;

  constructor(parts: HubParts, limits: Partial<HubLimits> = {}) {
    this.#parts = parts;
    this.#limits = { ...DEFAULT_HUB_LIMITS, ...limits };
    parts.closing.addEventListener("abort", () => this.#close(), { once: true });
  }

  /** Streams that are open. */
  get readers(): number {
    return this.#readers.size;
  }

  /** Followers at the broker. */
  get topics(): number {
    return this.#topics.size;
  }

  /** A stream of Server-Sent Events. Errors: EXECUTION_NOT_FOUND, RATE_LIMITED, those of the broker. */
  async open({ executionId, cursor, signal }: OpenReaderParams): Promise<Readable> {
    if (this.#readers.size + this.#opening >= this.#limits.maxReaders)
      throw new HoldfastError("RATE_LIMITED", {
        reason: `: ${this.#limits.maxReaders} streams of events are open already`,
        retryAfterMs: COME_BACK_AFTER_MS,
      });
    this.#opening += 1;
    try {
      const topic = await this.#topicOf(executionId);
      return this.#join({ topic, cursor: cursor === FROM_NOW ? topic.head : cursor, signal });
    } finally {
      this.#opening -= 1;
    }
  }

  #join(params: { readonly topic: Topic; readonly cursor: number; readonly signal: AbortSignal }): EventReader {
    const { topic, cursor, signal } = params;
    // A server that ends lets its readers go in order.
    const leave = (): void => (this.#parts.closing.aborted ? reader.cut() : void reader.destroy());
    const reader = new EventReader({
      topic,
      cursor,
      clock: this.#parts.clock,
      onGone: (gone) => {
        this.#readers.delete(gone);
        signal.removeEventListener("abort", leave);
        if (this.#readers.size === 0) this.#stopBeat();
      },
    });
    this.#readers.add(reader);
    this.#cancelBeat ??= this.#parts.clock.schedule(HEARTBEAT_MS, () => this.#beat());
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted || this.#parts.closing.aborted) leave();
    return reader;
  }

  #topicOf(executionId: string | undefined): Promise<Topic> {
    const known = this.#topics.get(executionId);
    if (known !== undefined) return known;
    const opened = Topic.open(executionId, {
      ...this.#parts,
      limits: this.#limits,
      restMs: () => Math.min(LONGEST_REST_MS, this.#readers.size * REST_PER_READER_MS),
      onStopped: () => this.#forget(executionId, opened),
    });
    this.#topics.set(executionId, opened);
    opened.catch(() => this.#forget(executionId, opened));
    return opened;
  }

  #forget(executionId: string | undefined, topic: Promise<Topic>): void {
    if (this.#topics.get(executionId) === topic) this.#topics.delete(executionId);
  }

  #beat(): void {
    this.#cancelBeat = this.#parts.clock.schedule(HEARTBEAT_MS, () => this.#beat());
    for (const reader of this.#readers) reader.beat();
  }

  #stopBeat(): void {
    this.#cancelBeat?.();
    this.#cancelBeat = undefined;
  }

  #close(): void {
    for (const reader of this.#readers) reader.cut();
    this.#stopBeat();
  }
}
