/**
 * One follower of events, of an execution or of all, for however many readers.
 *
 * opening → following → over. It asks the broker where its events end, and reads on from there by
 * long reads. An execution that has ended, and of which a further read finds nothing, is over: its
 * readers are told and leave. Without readers it stops after the read that is under way; the next
 * reader makes a new one. A broker that cannot be reached is asked again until it answers; nothing
 * is lost by that, because the cursor only moves with what was read.
 */
import { type Broker, FROM_NOW, type ReadEventsReply } from "../../broker/contract.ts";
import { isExecutionEnded } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import { type Clock, sleep } from "../../util/clock.ts";
import type { StreamEnd } from "./frames.ts";
import { type Block, blockOf, RecentEvents } from "./recent.ts";

export interface TopicLimits {
  /** How long one read waits for news, milliseconds. */
  readonly readWaitMs: number;
  /** Events of one read. */
  readonly pageSize: number;
  /** Events kept for readers that are a little behind, bytes. */
  readonly recentBytes: number;
}

/** A broker that did not answer is asked again after this long, milliseconds. */
const RETRY_MS = 1_000;

/** What is asked of a broker. */
export type EventSource = Pick<Broker, "readEvents" | "getExecution">;

export interface TopicParts {
  readonly broker: EventSource;
  readonly clock: Clock;
  readonly closing: AbortSignal;
  readonly limits: TopicLimits;
  /** Pause between two reads that found something: what happens meanwhile is told in one piece. */
  readonly restMs: () => number;
  /** It follows nothing any more. */
  readonly onStopped: (topic: Topic) => void;
}

/** Who is told that there may be more. */
export interface TopicReader {
  wake(): void;
  /** The broker is closed: there is nothing more to come. */
  cut(): void;
}

export type NextEvents =
  | { readonly kind: "events"; readonly bytes: Buffer; readonly cursor: number }
  /** Nothing yet: it wakes the reader. */
  | { readonly kind: "none" }
  /** Not kept here: read it by `catchUp`. */
  | { readonly kind: "behind" }
  | { readonly kind: "over"; readonly end: StreamEnd };

export class Topic {
  readonly executionId: string | undefined;
  readonly #parts: TopicParts;
  readonly #readers = new Set<TopicReader>();
  /** Reads under way for readers that are behind, by the cursor they start from. */
  readonly #catchingUp = new Map<number, Promise<Block>>();
  readonly #recent: RecentEvents;
  #hasEnded = false;
  #end: StreamEnd | undefined;
  #isFollowing = false;

  private constructor(executionId: string | undefined, parts: TopicParts, start: number) {
    this.executionId = executionId;
    this.#parts = parts;
    this.#recent = new RecentEvents(start, parts.limits.recentBytes);
  }

  /** Errors: EXECUTION_NOT_FOUND, those of a broker that does not answer. */
  static async open(executionId: string | undefined, parts: TopicParts): Promise<Topic> {
    const { cursor } = await parts.broker.readEvents({ ...of(executionId), cursor: FROM_NOW, limit: 1 });
    const topic = new Topic(executionId, parts, cursor);
    topic.#hasEnded = await topic.#lookWhetherEnded();
    return topic;
  }

  /** Cursor of the newest event that is known. */
  get head(): number {
    return this.#recent.head;
  }

  join(reader: TopicReader): void {
    this.#readers.add(reader);
    if (this.#isFollowing || this.#end !== undefined) return;
    this.#isFollowing = true;
    void this.#follow();
  }

  leave(reader: TopicReader): void {
    this.#readers.delete(reader);
  }

  next(cursor: number): NextEvents {
    const found = this.#recent.after(cursor);
    if (found === "behind") return { kind: "behind" };
    if (found !== undefined) return { kind: "events", ...found };
    return this.#end === undefined ? { kind: "none" } : { kind: "over", end: this.#end };
  }

  /** The events after a cursor that are no longer kept here. Readers that ask for the same share one read. */
  catchUp(cursor: number): Promise<Block> {
    const underWay = this.#catchingUp.get(cursor);
    if (underWay !== undefined) return underWay;
    const read = this.#readAfter(cursor).finally(() => this.#catchingUp.delete(cursor));
    this.#catchingUp.set(cursor, read);
    return read;
  }

  async #readAfter(cursor: number): Promise<Block> {
    const { head } = this;
    const page = await this.#read(cursor, 0);
    // Nothing there after the cursor means nothing up to what was known when it was asked for.
    return page.events.length > 0
      ? blockOf(cursor, page)
      : blockOf(cursor, { events: [], cursor: Math.max(cursor, page.cursor, head) });
  }

  #read(cursor: number, waitMs: number): Promise<ReadEventsReply> {
    const { broker, limits } = this.#parts;
    return broker.readEvents({ ...of(this.executionId), cursor, limit: limits.pageSize, waitMs });
  }

  async #follow(): Promise<void> {
    const { clock, closing } = this.#parts;
    while (this.#readers.size > 0 && this.#end === undefined && !closing.aborted) {
      try {
        await this.#step();
      } catch (thrown) {
        if (HoldfastError.is(thrown, "EXECUTION_NOT_FOUND")) this.#finish("gone");
        else if (HoldfastError.is(thrown, "BROKER_CLOSED")) break;
        else await sleep(clock, RETRY_MS, closing).catch(() => undefined);
      }
    }
    this.#isFollowing = false;
    this.#parts.onStopped(this);
    if (this.#end === undefined) for (const reader of this.#readers) reader.cut();
  }

  async #step(): Promise<void> {
    const page = await this.#read(this.head, this.#hasEnded ? 0 : this.#parts.limits.readWaitMs);
    this.#recent.append(page);
    this.#wakeAll();
    const isEmpty = page.events.length === 0;
    if (!isEmpty) await this.#rest();
    if (this.executionId === undefined) return;
    if (isEmpty && this.#hasEnded) {
      this.#finish((await this.#parts.broker.getExecution({ executionId: this.executionId })).state);
    } else if (isEmpty || page.events.some(({ change }) => change.kind === "execution")) {
      this.#hasEnded = await this.#lookWhetherEnded();
    }
  }

  async #rest(): Promise<void> {
    const { clock, closing, restMs } = this.#parts;
    const pauseMs = restMs();
    if (pauseMs >= 1) await sleep(clock, pauseMs, closing).catch(() => undefined);
  }

  async #lookWhetherEnded(): Promise<boolean> {
    const { executionId } = this;
    if (executionId === undefined) return false;
    return isExecutionEnded((await this.#parts.broker.getExecution({ executionId })).state);
  }

  #finish(state: StreamEnd["state"]): void {
    if (this.executionId === undefined) return;
    // It was made to run again in between.
    if (state !== "gone" && !isExecutionEnded(state)) {
      this.#hasEnded = false;
      return;
    }
    this.#end = { executionId: this.executionId, state };
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const reader of this.#readers) reader.wake();
  }
}

function of(executionId: string | undefined): { readonly executionId?: string } {
  return executionId === undefined ? {} : { executionId };
}
