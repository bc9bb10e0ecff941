/** What handlers of operations are given, and what they give back. */
import type { Readable } from "node:stream";
import type { InputOf, Operation, Operations, ReplyOf } from "../api/operation.ts";
import type { Broker } from "../broker/contract.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";
import type { Principal } from "./principal.ts";

/** What all handlers work with. */
export interface ServerParts {
  readonly broker: Broker;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly newId: () => string;
  readonly logger: Logger;
  /** Of this program. */
  readonly version: string;
  /** Aborted when the server ends: waits and streams end with it. */
  readonly closing: AbortSignal;
}

/** One request under way. */
export interface Call {
  readonly principal: Principal;
  readonly requestId: string;
  /** Aborted when the caller has gone, or the server ends. */
  readonly signal: AbortSignal;
  /** Value of a request header, lower case name. */
  readonly header: (name: string) => string | undefined;
}

/** An answer that is no JSON object: text, or a stream of it; or JSON text that is made already. */
export class RawReply {
  readonly contentType: string;
  readonly body: string | Readable;
  readonly headers: Readonly<Record<string, string>>;

  constructor(contentType: string, body: string | Readable, headers: Readonly<Record<string, string>> = {}) {
    this.contentType = contentType;
    this.body = body;
    this.headers = headers;
  }
}

/** A JSON answer with another status than the operation's usual one. */
export class StatusReply<T> {
  readonly status: number;
  readonly body: T;

  constructor(status: number, body: T) {
    this.status = status;
    this.body = body;
  }
}

export type Handler<O extends Operation> = (
  input: InputOf<O>,
  call: Call,
) => Promise<ReplyOf<O> | StatusReply<ReplyOf<O>> | RawReply>;

export type HandlersOf<T extends Operations> = { readonly [K in keyof T]: Handler<T[K]> };
