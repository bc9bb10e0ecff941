/**
 * One socket of a remote client, from dialling to its end.
 *
 * Events: `down` alone (it never opened), or `welcome`, any number of `frame`, then `down`. `down`
 * comes exactly once. A link is not used again; client.ts makes the next one.
 */
import { WebSocket } from "ws";
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import { gatherWrites } from "./gather-writes.ts";
import {
  BROKER_PATH,
  type Hello,
  helloFrame,
  MAX_REPLY_BYTES,
  readWelcome,
  RESTART_CODE,
  type Welcome,
} from "./wire.ts";

export interface BrokerAddress {
  /** ws://, wss://, http:// or https://; without a path, BROKER_PATH is meant. */
  readonly url: string;
  readonly token: string;
}

export type LinkEnd =
  /** The connection failed or broke; another attempt may do better. */
  | { readonly kind: "lost"; readonly problem: string }
  /** The host ended in order: everything that it answered has arrived. */
  | { readonly kind: "restarting" }
  /** Trying again is of no use. */
  | { readonly kind: "refused"; readonly error: HoldfastError };

export interface LinkEvents {
  welcome(welcome: Welcome): void;
  frame(text: string): void;
  down(end: LinkEnd): void;
}

export class Link {
  /** Where it leads, without anything secret. */
  readonly url: string;
  /** When anything was last heard from the host. */
  heardAt: number;
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  #open = false;
  #down = false;
  #beforeWrite: () => void = () => undefined;

  /** Throws INVALID_BROKER_URL. */
  constructor(options: {
    readonly address: BrokerAddress;
    readonly hello: Hello;
    readonly clock: Clock;
    readonly events: LinkEvents;
  }) {
    const { address, hello, clock, events } = options;
    const target = socketUrl(address.url);
    this.url = shown(target);
    this.heardAt = clock.now();
    this.#clock = clock;
    this.#events = events;
    this.#socket = new WebSocket(target, {
      headers: { authorization: `Bearer ${address.token}` },
      perMessageDeflate: false,
      maxPayload: MAX_REPLY_BYTES,
      followRedirects: false,
    });
    this.#listen(hello);
  }

  send(frame: string): void {
    this.#beforeWrite();
    this.#socket.send(frame);
  }

  /** Closes in order; `down` follows. */
  close(): void {
    if (this.#open) this.#socket.close(1000);
    else this.terminate("closed");
  }

  /** Cuts the connection; `down` follows at once. */
  terminate(problem: string): void {
    this.#end({ kind: "lost", problem });
    this.#socket.terminate();
  }

  #listen(hello: Hello): void {
    const socket = this.#socket;
    socket.on("upgrade", (response) => {
      this.#beforeWrite = gatherWrites(response.socket);
    });
    socket.on("open", () => socket.send(helloFrame(hello)));
    socket.on("message", (data: Buffer) => {
      this.heardAt = this.#clock.now();
      if (this.#down) return;
      if (this.#open) this.#events.frame(data.toString());
      else this.#onWelcome(data.toString());
    });
    socket.on("ping", () => {
      this.heardAt = this.#clock.now();
    });
    socket.on("unexpected-response", (request, response) => {
      const status = response.statusCode ?? 0;
      this.#end(
        status === 401 || status === 403
          ? { kind: "refused", error: new HoldfastError("UNAUTHORIZED", { url: this.url }) }
          : { kind: "lost", problem: `it answers with HTTP status ${status}` },
      );
      request.destroy();
    });
    socket.on("error", (error) => this.#end({ kind: "lost", problem: problemOf(error) }));
    socket.on("close", (code) => {
      const restarting = code === RESTART_CODE && this.#open;
      this.#end(restarting ? { kind: "restarting" } : { kind: "lost", problem: `the connection was closed (${code})` });
    });
  }

  #onWelcome(text: string): void {
    let welcome: Welcome;
    try {
      welcome = readWelcome(text, this.url);
    } catch (thrown) {
      const error = HoldfastError.from(thrown);
      this.#end(error.retryable ? { kind: "lost", problem: error.message } : { kind: "refused", error });
      this.#socket.terminate();
      return;
    }
    this.#open = true;
    this.#events.welcome(welcome);
  }

  #end(end: LinkEnd): void {
    if (this.#down) return;
    this.#down = true;
    this.#open = false;
    this.#events.down(end);
  }
}

function socketUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new HoldfastError("INVALID_BROKER_URL", { url: text });
  }
  if (url.protocol === "http:") url.protocol = "ws:";
  if (url.protocol === "https:") url.protocol = "wss:";
  if (url.protocol !== "ws:" && url.protocol !== "wss:")
    throw new HoldfastError("INVALID_BROKER_URL", { url: shown(url) });
  if (url.pathname === "/") url.pathname = BROKER_PATH;
  url.hash = "";
  return url;
}

function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Node reports a failed dial of several addresses as an AggregateError without a message. */
function problemOf(error: Error): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(String).join("; ");
  return error.message;
}
