/**
 * One HTTP connection that is kept, with as little around it as can be: what is measured is the
 * server, and it shares the machine with whoever asks.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

const END_OF_HEAD = "\r\n\r\n";
/** What each event has once. */
const EVENT_MARK = "\nevent: ";

export class HttpConnection {
  readonly #socket: Socket;
  #received = "";
  #waiting: { resolve(body: string): void; reject(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("error", (error) => this.#waiting?.reject(error));
    socket.on("close", () => this.#waiting?.reject(new Error("The server closed a connection.")));
  }

  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    return new HttpConnection(socket);
  }

  /** One request after the other; its body, if there is one, is ASCII. Rejects unless it succeeds. */
  ask(method: string, path: string, body?: object): Promise<string> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const type = body === undefined ? "" : `content-type: application/json\r\ncontent-length: ${text.length}\r\n`;
    this.#socket.write(`${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${type}\r\n${text}`);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    const head = this.#received.indexOf(END_OF_HEAD);
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#received.slice(0, head))?.[1] ?? 0);
    const end = head + END_OF_HEAD.length + length;
    if (this.#received.length < end) return;
    const body = this.#received.slice(head + END_OF_HEAD.length, end);
    const status = this.#received.slice(9, 12);
    this.#received = this.#received.slice(end);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (status.startsWith("2")) waiting?.resolve(body);
    else waiting?.reject(new Error(`HTTP ${status}: ${body}`));
  }
}

/** A stream of events; tells how many have come. */
export class EventReader {
  events = 0;
  readonly #socket: Socket;
  /** The end of what was read: a mark may be cut between two pieces. */
  #rest = "";

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      const whole = this.#rest + text;
      this.events += whole.split(EVENT_MARK).length - 1;
      this.#rest = whole.slice(-(EVENT_MARK.length - 1));
    });
    socket.on("error", () => undefined);
  }

  static async open(url: string, path: string): Promise<EventReader> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n`);
    await once(socket, "data");
    return new EventReader(socket);
  }

  close(): void {
    this.#socket.destroy();
  }
}
