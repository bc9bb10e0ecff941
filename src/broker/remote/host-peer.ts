/**
 * The host's side of one stream (wire.ts): what the client has asked, what it was told.
 *
 * States: attached (has a socket) ⇄ detached (none; the host's grace timer runs) → gone (for good).
 * A crash of the host forgets all of it: clients notice by the host's name in the next welcome.
 */
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { gatherWrites } from "./gather-writes.ts";
import { type Grant, type LoggedReply, ReplyLog } from "./reply-log.ts";
import type { SocketRights } from "./token.ts";

export interface PeerLimits {
  /** Requests under way per stream; above, its socket is not read. A read's last block may overshoot. */
  readonly maxInFlight: number;
  /** Bytes that wait to be written to a socket; above, it is not read. */
  readonly maxUnsentBytes: number;
}

/** A socket of somebody who was let in. */
export interface Entrance {
  readonly socket: WebSocket;
  /** The connection below the WebSocket. */
  readonly connection: Duplex;
  readonly rights: SocketRights;
}

interface Attachment {
  readonly socket: WebSocket;
  readonly beforeWrite: () => void;
}

export class Peer {
  /** Names the stream among all: its owner, and the name that the client gave it. */
  readonly key: string;
  readonly owner: string;
  /** Those of the socket that the stream goes over now, or went over last. */
  rights: SocketRights;
  /** Sessions that were last used over this stream. */
  readonly sessions = new Set<string>();
  readonly log = new ReplyLog();
  /** Id of the last request that was read. */
  taken = 0;
  /** When anything was last heard from the client, on the host's clock. */
  heardAt = 0;
  gone = false;
  /** Stops the grace timer of a detached peer. */
  cancelGrace: (() => void) | undefined;
  #inFlight = 0;
  #attachment: Attachment | undefined;
  readonly #limits: PeerLimits;

  constructor(key: string, rights: SocketRights, limits: PeerLimits) {
    this.key = key;
    this.owner = rights.owner;
    this.rights = rights;
    this.#limits = limits;
  }

  get socket(): WebSocket | undefined {
    return this.#attachment?.socket;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** The stream goes on over this socket. The first frame (the welcome) precedes what was kept. */
  attach({ socket, connection, rights }: Entrance, welcome: string): void {
    const former = this.#attachment?.socket;
    this.rights = rights;
    this.#attachment = { socket, beforeWrite: gatherWrites(connection) };
    former?.terminate();
    connection.on("drain", () => this.#throttle());
    this.#write(welcome);
    for (const reply of this.log.kept()) this.#writeReply(reply);
    this.#throttle();
  }

  /** The socket has closed. False when it was not this stream's any more. */
  detach(socket: WebSocket): boolean {
    if (this.#attachment?.socket !== socket) return false;
    this.#attachment = undefined;
    return true;
  }

  begin(): void {
    this.#inFlight += 1;
    this.#throttle();
  }

  /** Ends a request that `begin` counted. Without a frame there is nothing to say. */
  end(frame?: string, grant?: Grant): void {
    this.#inFlight -= 1;
    if (frame !== undefined) this.say(frame, grant);
    this.#throttle();
  }

  /** Tells the client something that it must get, now or on its next socket. */
  say(frame: string, grant?: Grant): void {
    const reply: LoggedReply = grant === undefined ? { frame, written: false } : { frame, grant, written: false };
    this.log.add(reply);
    this.#writeReply(reply);
  }

  #writeReply(reply: LoggedReply): void {
    if (this.#attachment === undefined) return;
    this.#write(reply.frame);
    reply.written = true;
  }

  #write(frame: string): void {
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    attachment.beforeWrite();
    attachment.socket.send(frame);
  }

  /** Reads no more from a client that asks faster than it is answered, or does not read its answers. */
  #throttle(): void {
    const socket = this.#attachment?.socket;
    if (socket === undefined) return;
    const tooMuch = this.#inFlight >= this.#limits.maxInFlight || socket.bufferedAmount > this.#limits.maxUnsentBytes;
    if (tooMuch && !socket.isPaused) socket.pause();
    else if (!tooMuch && socket.isPaused) socket.resume();
  }
}
