/**
 * The last events of a topic, ready to be written: printed once, whoever reads them. Bounded: what
 * does not fit any more is forgotten, oldest first, and whoever is behind that asks the broker.
 */
import type { ReadEventsReply } from "../../broker/contract.ts";
import { eventFrame, type Frame } from "./frames.ts";

/** Frames of one page: all events after `after` up to `cursor`. */
export interface Block {
  readonly after: number;
  readonly cursor: number;
  readonly frames: readonly Frame[];
  readonly bytes: Buffer;
}

export function blockOf(after: number, page: ReadEventsReply): Block {
  const frames = page.events.map(eventFrame);
  return { after, cursor: page.cursor, frames, bytes: bytesOf(frames) };
}

function bytesOf(frames: readonly Frame[]): Buffer {
  return Buffer.from(frames.map(({ text }) => text).join(""));
}

export class RecentEvents {
  readonly #room: number;
  readonly #blocks: Block[] = [];
  #used = 0;
  #floor: number;
  #head: number;

  /** @param room bytes; the newest block is kept even if it is larger. */
  constructor(start: number, room: number) {
    this.#room = room;
    this.#floor = start;
    this.#head = start;
  }

  /** Cursor up to which all is known. */
  get head(): number {
    return this.#head;
  }

  append(page: ReadEventsReply): void {
    if (page.events.length === 0) {
      this.#head = page.cursor;
      return;
    }
    const block = blockOf(this.#head, page);
    this.#blocks.push(block);
    this.#used += block.bytes.length;
    this.#head = block.cursor;
    while (this.#used > this.#room && this.#blocks.length > 1) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#blocks.shift();
    if (oldest === undefined) return;
    this.#used -= oldest.bytes.length;
    this.#floor = oldest.cursor;
  }

  /** What comes next after a cursor: absent when nothing is there yet, `behind` when it was forgotten. */
  after(cursor: number): { readonly bytes: Buffer; readonly cursor: number } | "behind" | undefined {
    if (cursor < this.#floor) return "behind";
    if (cursor >= this.#head) return undefined;
    let next: Block | undefined;
    // Nearly every reader is at the end.
    for (let at = this.#blocks.length - 1; at >= 0; at -= 1) {
      const block = this.#blocks[at] as Block;
      if (block.cursor <= cursor) break;
      next = block;
    }
    if (next === undefined) return undefined;
    const isWhole = cursor <= next.after;
    const bytes = isWhole ? next.bytes : bytesOf(next.frames.filter((frame) => frame.cursor > cursor));
    return { bytes, cursor: next.cursor };
  }
}
