/**
 * The replies of one stream that its client has not acknowledged, in the order in which they were
 * given. They are sent again on the client's next socket.
 */
import type { LeaseRef } from "../contract.ts";

/** Leases that a reply hands out, and whom to. */
export interface Grant {
  readonly session: string;
  readonly leases: readonly LeaseRef[];
}

export interface LoggedReply {
  readonly frame: string;
  /** Present when the reply hands out leases. */
  readonly grant?: Grant;
  /** It was written to a socket: the client may have it. */
  written: boolean;
}

export class ReplyLog {
  readonly #replies: LoggedReply[] = [];
  /** Replies acknowledged since the stream began. */
  #acknowledged = 0;
  #size = 0;

  /** Sum of the kept frames' lengths, UTF-16 code units. */
  get size(): number {
    return this.#size;
  }

  add(reply: LoggedReply): void {
    this.#replies.push(reply);
    this.#size += reply.frame.length;
  }

  /** Whether a client that has `received` replies of this stream can go on from there. */
  canContinueAt(received: number): boolean {
    return received >= this.#acknowledged && received <= this.#acknowledged + this.#replies.length;
  }

  /** Forgets the first `received` replies of the stream. A count that cannot be is ignored. */
  acknowledge(received: number): void {
    if (received === this.#acknowledged || !this.canContinueAt(received)) return;
    for (const reply of this.#replies.splice(0, received - this.#acknowledged)) this.#size -= reply.frame.length;
    this.#acknowledged = received;
  }

  /** What the client has not acknowledged, oldest first. */
  kept(): readonly LoggedReply[] {
    return this.#replies;
  }
}
