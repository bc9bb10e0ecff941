/** Server-Sent Events, taken apart as a browser would. */
import assert from "node:assert/strict";
import type { Readable } from "node:stream";
import type { BrokerEvent } from "../../src/broker/contract.ts";

export interface SentEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: string;
}

/** Events of a text, and how many comments stood between them. */
export function parseSse(text: string): { readonly events: readonly SentEvent[]; readonly comments: number } {
  const events: SentEvent[] = [];
  let comments = 0;
  for (const block of text.split("\n\n")) {
    const fields = new Map<string, string>();
    for (const line of block.split("\n")) {
      if (line === "") continue;
      if (line.startsWith(":")) {
        comments += 1;
        continue;
      }
      const at = line.indexOf(": ");
      assert.notEqual(at, -1, `a line of an event is not understood: ${line}`);
      fields.set(line.slice(0, at), line.slice(at + 2));
    }
    const data = fields.get("data");
    if (data === undefined) continue;
    const [id, event] = [fields.get("id"), fields.get("event")];
    events.push({ data, ...(id === undefined ? {} : { id }), ...(event === undefined ? {} : { event }) });
  }
  return { events, comments };
}

/** Reads a stream, as fast as it comes or not at all, and keeps what came. */
export class SseReader {
  readonly stream: Readable;
  #text = "";
  #hasEnded = false;
  #isClosed = false;
  #isReading = false;

  constructor(stream: Readable, { paused = false }: { readonly paused?: boolean } = {}) {
    this.stream = stream;
    stream.once("end", () => (this.#hasEnded = true));
    stream.once("close", () => (this.#isClosed = true));
    if (!paused) this.go();
  }

  go(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.stream.on("data", (chunk: Buffer) => (this.#text += chunk.toString("utf8")));
  }

  get text(): string {
    return this.#text;
  }

  /** All was handed over, in order. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** By whichever side. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  get events(): readonly SentEvent[] {
    return parseSse(this.#text).events;
  }

  get comments(): number {
    return parseSse(this.#text).comments;
  }

  /** Cursors of the broker's events. */
  get cursors(): readonly number[] {
    return this.events
      .filter(({ event }) => event !== "end")
      .map(({ id, data }) => {
        const { cursor } = JSON.parse(data) as BrokerEvent;
        assert.equal(String(cursor), id);
        return cursor;
      });
  }
}
