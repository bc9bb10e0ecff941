/**
 * A reader of events as a browser is one: it reads a stream, and when that breaks comes back with the
 * id of the last event, here to the next server.
 */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { parseSse } from "./sse.ts";

const CLOCK = systemClock({ keepAlive: true });
const RETRY_MS = 100;

export class SseFollower {
  /** Ids of all events that it was told, in the order in which it was. */
  readonly ids: number[] = [];
  /** Streams that it read. */
  streams = 0;
  readonly #urls: readonly string[];
  readonly #path: string;
  readonly #ended: Promise<void>;
  #lastId: string | undefined;
  #isOver = false;
  #endStream: () => void = () => undefined;

  constructor(urls: readonly string[], streamPath: string) {
    this.#urls = urls;
    this.#path = streamPath;
    this.#ended = this.#follow();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#endStream();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    for (let at = 0; !this.#isOver; at = (at + 1) % this.#urls.length) {
      try {
        await this.#read(this.#urls[at] as string);
      } catch {
        // It comes back, as it would after a stream that has ended.
      }
      if (!this.#isOver) await sleep(CLOCK, RETRY_MS);
    }
  }

  async #read(url: string): Promise<void> {
    const request = get(url + this.#path, {
      headers: {
        accept: "text/event-stream",
        ...(this.#lastId === undefined ? {} : { "last-event-id": this.#lastId }),
      },
    });
    this.#endStream = () => request.destroy();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`answered with ${response.statusCode}`);
    this.streams += 1;
    let unread = "";
    for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
      unread += chunk;
      // What was cut off in the middle was not told.
      const end = unread.lastIndexOf("\n\n") + 2;
      if (end < 2) continue;
      this.#take(unread.slice(0, end));
      unread = unread.slice(end);
    }
  }

  #take(text: string): void {
    for (const { id } of parseSse(text).events) {
      if (id === undefined) continue;
      this.#lastId = id;
      this.ids.push(Number(id));
    }
  }
}
