/**
 * The client's side of a stream (wire.ts): calls go out, replies come in, and lost connections are
 * made again underneath them (client-connection.ts).
 *
 * A call waits through a lost connection and is sent again where the host has not read it. It fails
 * when there was no connection for `giveUpAfterMs`, or when there is one and no answer for
 * `requestTimeoutMs` beyond the call's own wait. One periodic sweep judges both, so that a call
 * costs no timer.
 *
 * A crash of this process ends its stream: the host declares its sessions lost. After a crash of the
 * host the sessions are repaired (client-repair.ts) and go on.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { BrokerMethod, ClaimReply } from "../contract.ts";
import type { ParamsOf } from "../schemas.ts";
import { CallTable, claimantOf, type PendingCall, waitOf } from "./client-calls.ts";
import { Connection, type ConnectionOptions } from "./client-connection.ts";
import { LeaseBook } from "./client-leases.ts";
import { Repairs } from "./client-repair.ts";
import { leaseRef } from "./lease-ref.ts";
import { checkReply, type ReplyOf } from "./replies.ts";
import {
  acknowledgementFrame,
  PROTOCOL_VERSION,
  readReply,
  type ReplyFrame,
  requestFrame,
  requestTail,
  type Welcome,
} from "./wire.ts";

export interface ClientOptions extends ConnectionOptions {
  /** Name of the stream, never used before. */
  readonly name: string;
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
}

const SWEEP_MS = 250;
/** A sweep that comes this long after the one before judges nobody. */
const LATE_SWEEP_MS = 4 * SWEEP_MS;
/** Replies of this size in sum are acknowledged even when there is nothing else to say. */
const ACKNOWLEDGE_SIZE = 1_048_576;
/** Bytes of a request besides its tail: the id and the count. */
const REQUEST_HEAD_BYTES = 64;

export class RemoteClient {
  readonly #options: ClientOptions;
  readonly #connection: Connection;
  readonly #calls = new CallTable();
  readonly #leases = new LeaseBook();
  readonly #repairs: Repairs;
  #welcome: Welcome | undefined;
  /** Replies that arrived on the stream. */
  #received = 0;
  #acknowledged = 0;
  #unacknowledgedSize = 0;
  #cancelSweep: () => void = () => undefined;
  #sweptAt: number;
  #closing: Promise<void> | undefined;
  /** Settles `connect`. */
  #connected: { resolve(welcome: Welcome): void; reject(error: HoldfastError): void } | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#sweptAt = options.clock.now();
    this.#connection = new Connection(options, {
      hello: () => ({ protocol: PROTOCOL_VERSION, client: options.name, received: this.#received }),
      welcome: (welcome) => this.#onWelcome(welcome),
      frame: (text) => this.#onFrame(text),
      lost: (inOrder) => {
        if (inOrder) this.#calls.markUndone();
      },
      refused: (error) => {
        this.#calls.giveUpAll(error);
        this.#connected?.reject(error);
      },
    });
    this.#repairs = new Repairs({
      calls: this.#calls,
      leases: this.#leases,
      logger: options.logger,
      reconcile: (params) => this.#request("reconcile", params, { isPatient: true }),
      send: (call) => this.#sendWhenOpen(call),
      close: (session) => this.#giveBack("closeSession", { session, reason: "left" }),
    });
  }

  /** Most bytes that the host takes in one request. */
  get maxRequestBytes(): number {
    return (this.#welcome?.maxRequestBytes ?? Number.POSITIVE_INFINITY) - REQUEST_HEAD_BYTES;
  }

  /** Resolves with what the host says of itself once it is reached. Call it once. */
  connect(): Promise<Welcome> {
    return new Promise((resolve, reject) => {
      this.#connected = { resolve, reject };
      this.#sweep();
      this.#connection.start();
    });
  }

  call<M extends BrokerMethod>(method: M, params: ParamsOf<M>): Promise<ReplyOf<M>> {
    return this.#request(method, params, { isPatient: false });
  }

  #request<M extends BrokerMethod>(
    method: M,
    params: ParamsOf<M>,
    { isPatient }: { readonly isPatient: boolean },
  ): Promise<ReplyOf<M>> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) throw new HoldfastError("BROKER_CLOSED");
      const tail = requestTail(method, params);
      this.#refuseOversized(method, tail);
      const now = this.#options.clock.now();
      const call = this.#calls.add({
        method,
        tail,
        waitMs: waitOf(params),
        claimsFor: claimantOf(method, params),
        isPatient,
        startedAt: now,
        sentAt: now,
        sentTo: undefined,
        settle: {
          resolve: (result) => {
            try {
              resolve(this.#leases.note(method, params, checkReply(method, result)));
            } catch (thrown) {
              reject(HoldfastError.from(thrown));
            }
          },
          reject: (error) => {
            this.#leases.noteFailure(params, error);
            reject(error);
          },
        },
      });
      this.#sendWhenOpen(call);
    });
  }

  /** Calls without a reply fail with BROKER_CLOSED. Idempotent. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#cancelSweep();
      this.#closing = this.#connection.close();
      this.#calls.giveUpAll(new HoldfastError("BROKER_CLOSED"));
    }
    return this.#closing;
  }

  // ── The stream ──────────────────────────────────────────────────────────────────────────────

  #onWelcome(welcome: Welcome): void {
    const isOtherHost = this.#welcome !== undefined && this.#welcome.host !== welcome.host;
    this.#welcome = welcome;
    if (!welcome.resumed) {
      this.#received = 0;
      if (isOtherHost) this.#repairs.begin();
      this.#calls.forgetGivenUp();
    }
    this.#noteAcknowledged();
    const now = this.#options.clock.now();
    for (const call of this.#calls.all()) {
      call.sentAt = now;
      if (call.id <= welcome.taken) continue;
      if (call.settle === undefined) this.#calls.take(call.id);
      else if (!this.#repairs.holdsBack(call)) this.#resend(call);
    }
    this.#repairs.ask();
    this.#connected?.resolve(welcome);
  }

  /** What is not sent now will be at the next welcome, or when its session is repaired. */
  #sendWhenOpen(call: PendingCall): void {
    if (!this.#connection.isOpen) this.#connection.wake();
    else if (!this.#repairs.holdsBack(call)) this.#send(call);
  }

  #send(call: PendingCall): void {
    call.sentAt = this.#options.clock.now();
    call.sentTo = this.#welcome?.host;
    this.#connection.send(requestFrame(call.id, this.#received, call.tail));
    this.#noteAcknowledged();
  }

  /** Another host may take less than the one before. */
  #resend(call: PendingCall): void {
    try {
      this.#refuseOversized(call.method, call.tail);
      this.#send(call);
    } catch (thrown) {
      call.sentTo = undefined;
      this.#calls.giveUp(call, HoldfastError.from(thrown));
    }
  }

  #refuseOversized(method: BrokerMethod, tail: string): void {
    const limit = this.maxRequestBytes;
    // A code unit is at most three bytes: most texts need no counting.
    if (tail.length * 3 <= limit) return;
    const bytes = Buffer.byteLength(tail);
    if (bytes > limit) throw new HoldfastError("PAYLOAD_TOO_LARGE", { what: `The call of ${method}`, bytes, limit });
  }

  #onFrame(text: string): void {
    this.#received += 1;
    this.#unacknowledgedSize += text.length;
    this.#connection.noteProgress();
    try {
      this.#onReply(readReply(text));
    } catch (thrown) {
      this.#options.logger.warn(
        { url: this.#connection.url, error: HoldfastError.from(thrown) },
        "the broker's host said something unknown",
      );
    }
    if (this.#unacknowledgedSize > ACKNOWLEDGE_SIZE) this.#acknowledge();
  }

  #onReply(reply: ReplyFrame): void {
    const call = this.#calls.take(reply.id);
    if (call?.settle === undefined) this.#onLateReply(call, reply);
    else if (reply.body.ok) call.settle.resolve(reply.body.result);
    else call.settle.reject(reply.body.error);
  }

  /** Nobody waits for it any more: leases in it go back. */
  #onLateReply(call: PendingCall | undefined, reply: ReplyFrame): void {
    const { logger } = this.#options;
    if (!reply.body.ok) {
      logger.debug(
        { url: this.#connection.url, error: reply.body.error },
        "the broker's host reported an error nobody waits for",
      );
      return;
    }
    const session = call?.claimsFor;
    if (call === undefined || session === undefined) return;
    const { leases } = checkReply(call.method, reply.body.result) as ClaimReply;
    if (leases.length === 0) return;
    const outcomes = leases.map((lease) => ({ kind: "returned", lease: leaseRef(lease) }) as const);
    this.#giveBack("commit", { session, outcomes });
  }

  /** Gives back what nobody here will run. Patient: nobody else could. */
  #giveBack<M extends "commit" | "closeSession">(method: M, params: ParamsOf<M>): void {
    this.#request(method, params, { isPatient: true }).catch((thrown: unknown) => {
      const error = HoldfastError.from(thrown);
      this.#options.logger.debug({ session: params.session, error }, "what nobody will run could not be handed back");
    });
  }

  #acknowledge(): void {
    if (!this.#connection.isOpen || this.#acknowledged === this.#received) return;
    this.#connection.send(acknowledgementFrame(this.#received));
    this.#noteAcknowledged();
  }

  #noteAcknowledged(): void {
    this.#acknowledged = this.#received;
    this.#unacknowledgedSize = 0;
  }

  // ── Time ────────────────────────────────────────────────────────────────────────────────────

  #sweep(): void {
    this.#cancelSweep = this.#options.clock.schedule(SWEEP_MS, () => this.#sweep());
    const now = this.#options.clock.now();
    const late = now - this.#sweptAt > LATE_SWEEP_MS;
    this.#sweptAt = now;
    // This process stood still: what the host said meanwhile has not been read yet.
    if (late) return;
    this.#connection.checkSilence(now);
    if (this.#connection.isOpen) {
      this.#repairs.ask();
      this.#timeOut(now);
      this.#acknowledge();
    } else {
      this.#giveUpWaiting(now);
    }
  }

  #timeOut(now: number): void {
    const { requestTimeoutMs } = this.#options;
    for (const call of this.#calls.all()) {
      const timeoutMs = requestTimeoutMs + call.waitMs;
      if (call.settle === undefined || call.isPatient || now - call.sentAt <= timeoutMs) continue;
      this.#calls.giveUp(
        call,
        new HoldfastError("BROKER_TIMEOUT", { method: call.method, url: this.#connection.url, timeoutMs }),
      );
    }
  }

  #giveUpWaiting(now: number): void {
    const { giveUpAfterMs } = this.#options;
    const { disconnectedAt, problem, url } = this.#connection;
    const unreachable = (): HoldfastError => new HoldfastError("BROKER_UNREACHABLE", { url, problem });
    if (this.#welcome === undefined && now - disconnectedAt >= giveUpAfterMs) this.#connected?.reject(unreachable());
    for (const call of this.#calls.all()) {
      if (call.settle === undefined || call.isPatient) continue;
      if (now - Math.max(call.startedAt, disconnectedAt) < giveUpAfterMs) continue;
      this.#calls.giveUp(call, unreachable());
    }
  }
}
