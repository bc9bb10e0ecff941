/**
 * The host: offers a broker to remote clients over authenticated sockets.
 *
 * Its duties beyond passing calls on, all for promise 3 (nothing is stranded):
 * - It keeps streams alive over lost sockets (wire.ts), so that no reply, and with it no lease, is
 *   lost on the way.
 * - A stream without a socket for `socketGraceMs` is gone: its worker is taken for dead, its
 *   sessions are declared lost (host-sessions.ts). A claim that is answered after that is handed
 *   back. So a killed worker's work is taken over at once, and a short loss of the connection costs
 *   nothing.
 * - `close` ends in order: it reads no more, answers what is under way except reads, and tells the
 *   clients to come back. It declares nobody dead: sessions go on with the next host.
 *
 * A crash of the host closes all sockets. Nothing of the host's own needs to be saved: sessions
 * live in the broker, and clients send again what was under way and compare their leases with those
 * that the broker holds (client-repair.ts).
 */
import type { WebSocket } from "ws";
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Clock } from "../../util/clock.ts";
import type { Broker, BrokerMethod, WorkerProfile } from "../contract.ts";
import { isBrokerMethod, parseParams, unknownMethod } from "../schemas.ts";
import { grantOf, isRead, performCall } from "./host-call.ts";
import { type Entrance, Peer, type PeerLimits } from "./host-peer.ts";
import { SessionBook } from "./host-sessions.ts";
import type { Grant } from "./reply-log.ts";
import type { SocketRights } from "./token.ts";
import { veiled } from "./veil.ts";
import {
  errorFrame,
  PROTOCOL_VERSION,
  readHello,
  readRequest,
  refusedFrame,
  type RequestFrame,
  RESTART_CODE,
  resultFrame,
  VIOLATION_CODE,
  type Welcome,
  welcomeFrame,
} from "./wire.ts";

export interface HostLimits extends PeerLimits {
  readonly maxRequestBytes: number;
  /** UTF-16 code units of one reply. */
  readonly maxReplySize: number;
  /** Replies kept per stream until the client acknowledges them, UTF-16 code units. */
  readonly maxKeptSize: number;
  /** Streams at the same time. */
  readonly maxPeers: number;
}

export interface HostOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hostId: string;
  readonly socketGraceMs: number;
  readonly keepaliveMs: number;
  readonly limits: HostLimits;
}

/** A socket must say hello within this time. */
const HELLO_WITHIN_MS = 10_000;
/** A client that was silent for this many keepalives has no connection any more. */
const SILENT_KEEPALIVES = 10;
/** Clients give up a host that was silent for this many keepalives (client-connection.ts). */
const PATIENT_KEEPALIVES = 3;
/** How long `close` waits for calls under way, and then for sockets to close. */
const CLOSE_WITHIN_MS = 2_000;

/** A request that is to be performed. */
interface HostCall {
  readonly id: number;
  readonly method: BrokerMethod;
  readonly params: unknown;
}

interface Answer {
  /** Absent where there is nothing to say. */
  readonly frame?: string;
  readonly grant?: Grant | undefined;
}

/** A request that was let go because the host ends: it gets no reply. */
const LET_GO = Symbol("let go");

export class BrokerHost {
  readonly #options: HostOptions;
  readonly #sessions: SessionBook;
  readonly #peers = new Map<string, Peer>();
  readonly #sockets = new Set<WebSocket>();
  readonly #letGo: Promise<typeof LET_GO>;
  #endReads: () => void = () => undefined;
  #cancelKeepalive: () => void;
  #keptAliveAt: number;
  /** When this process last went on after it had stood still. */
  #wokeAt = -Infinity;
  #closing: Promise<void> | undefined;
  /** Called whenever a call has ended or a socket has closed; `close` waits by it. */
  #changed: () => void = () => undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#sessions = new SessionBook(options);
    this.#letGo = new Promise((resolve) => {
      this.#endReads = () => resolve(LET_GO);
    });
    this.#keptAliveAt = options.clock.now();
    this.#cancelKeepalive = options.clock.schedule(options.keepaliveMs, () => this.#keepAlive());
  }

  /** Takes over a socket whose upgrade was authenticated. */
  accept(entrance: Entrance): void {
    const { socket } = entrance;
    if (this.#closing !== undefined) {
      socket.terminate();
      return;
    }
    this.#sockets.add(socket);
    let peer: Peer | undefined;
    const cancelHelloTimer = this.#options.clock.schedule(HELLO_WITHIN_MS, () => socket.terminate());
    socket.on("message", (data: Buffer) => {
      if (this.#closing !== undefined) return;
      const text = data.toString();
      if (peer === undefined) {
        cancelHelloTimer();
        peer = this.#greet(entrance, text);
      } else if (peer.socket === socket && !peer.gone) {
        this.#read(peer, text);
      }
    });
    socket.on("pong", () => {
      if (peer !== undefined) peer.heardAt = this.#options.clock.now();
    });
    socket.on("error", (error) => this.#options.logger.debug({ error }, "a client's socket failed"));
    socket.on("close", () => {
      cancelHelloTimer();
      this.#sockets.delete(socket);
      if (peer?.detach(socket) === true) this.#startGrace(peer);
      this.#changed();
    });
  }

  /** Ends in order; see the head of this file. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  // ── Streams ─────────────────────────────────────────────────────────────────────────────────

  #greet(entrance: Entrance, text: string): Peer | undefined {
    const { socket, rights } = entrance;
    try {
      const hello = readHello(text);
      // Two owners may give one name; neither can take the other's stream over by it.
      const key = `${rights.owner} ${hello.client}`;
      const known = this.#peers.get(key);
      const resumed = known !== undefined && known.log.canContinueAt(hello.received);
      if (known !== undefined && !resumed) this.#abandon(known);
      const peer = resumed ? known : this.#newPeer(key, rights);
      peer.cancelGrace?.();
      peer.cancelGrace = undefined;
      peer.heardAt = this.#options.clock.now();
      peer.log.acknowledge(hello.received);
      peer.attach(entrance, this.#welcome(peer, resumed));
      return peer;
    } catch (thrown) {
      const error = HoldfastError.from(thrown);
      this.#options.logger.warn({ error }, "refused a client");
      socket.send(refusedFrame(error));
      socket.close(VIOLATION_CODE);
      return undefined;
    }
  }

  #newPeer(key: string, rights: SocketRights): Peer {
    const { limits } = this.#options;
    if (this.#peers.size >= limits.maxPeers) {
      throw new HoldfastError("BROKER_UNREACHABLE", {
        url: "the host",
        problem: `it serves ${limits.maxPeers} clients already`,
      });
    }
    const peer = new Peer(key, rights, limits);
    this.#peers.set(key, peer);
    return peer;
  }

  #welcome(peer: Peer, resumed: boolean): string {
    const { broker, hostId, keepaliveMs, limits } = this.#options;
    const welcome: Welcome = {
      protocol: PROTOCOL_VERSION,
      host: hostId,
      durable: broker.features.durable,
      resumed,
      taken: peer.taken,
      maxRequestBytes: limits.maxRequestBytes,
      keepaliveMs,
    };
    return welcomeFrame(welcome);
  }

  #startGrace(peer: Peer): void {
    if (peer.gone || this.#closing !== undefined) return;
    const mayBeElsewhere = this.#stoodStill();
    const giveUp = (): void => this.#abandon(peer, { mayBeElsewhere });
    peer.cancelGrace = this.#options.clock.schedule(this.#options.socketGraceMs, giveUp);
  }

  /** The stream is gone for good. */
  #abandon(peer: Peer, { mayBeElsewhere = false } = {}): void {
    if (peer.gone || this.#closing !== undefined) return;
    peer.gone = true;
    peer.cancelGrace?.();
    this.#peers.delete(peer.key);
    peer.socket?.terminate();
    void this.#sessions.abandon(peer, { mayBeElsewhere });
  }

  /** Whether this process has just gone on after a pause in which clients gave it up, or is about to notice that. */
  #stoodStill(): boolean {
    const { clock, keepaliveMs } = this.#options;
    const now = clock.now();
    return this.#isLate(now) || now - this.#wokeAt < keepaliveMs;
  }

  #isLate(now: number): boolean {
    return now - this.#keptAliveAt > PATIENT_KEEPALIVES * this.#options.keepaliveMs;
  }

  #keepAlive(): void {
    const { clock, keepaliveMs } = this.#options;
    const now = clock.now();
    // After a pause of this process itself, what the clients said meanwhile has not been read yet.
    const late = this.#isLate(now);
    if (late) this.#wokeAt = now;
    this.#keptAliveAt = now;
    const silentSince = now - SILENT_KEEPALIVES * keepaliveMs;
    for (const peer of this.#peers.values()) {
      // From a socket that is not read nothing can be heard.
      if (peer.socket?.isPaused === true) peer.heardAt = now;
      if (peer.heardAt < silentSince && !late) peer.socket?.terminate();
      else peer.socket?.ping();
      if (peer.rights.stillHold !== undefined) void this.#checkRights(peer, peer.rights.stillHold());
    }
    this.#cancelKeepalive = clock.schedule(keepaliveMs, () => this.#keepAlive());
  }

  /** Ends the stream of one whose rights are gone: its sessions die, and their work goes to others. */
  async #checkRights(peer: Peer, stillHold: Promise<boolean>): Promise<void> {
    try {
      if (await stillHold) return;
    } catch (thrown) {
      // Who cannot be asked about it now is asked again with the next keepalive.
      this.#options.logger.debug({ error: HoldfastError.from(thrown) }, "a client's rights could not be checked");
      return;
    }
    this.#options.logger.info({ owner: peer.owner }, "a client's rights are gone; its connection is ended");
    this.#abandon(peer);
  }

  // ── Requests ────────────────────────────────────────────────────────────────────────────────

  #read(peer: Peer, text: string): void {
    peer.heardAt = this.#options.clock.now();
    let request: RequestFrame;
    try {
      request = readRequest(text);
    } catch (thrown) {
      peer.say(errorFrame(0, HoldfastError.from(thrown)));
      return;
    }
    peer.log.acknowledge(request.received);
    if (request.id === 0) return;
    if (request.id <= peer.taken) {
      const problem = `id ${request.id} after id ${peer.taken}`;
      peer.say(errorFrame(0, new HoldfastError("INVALID_REQUEST", { method: "wire", path: "frame", problem })));
      return;
    }
    peer.taken = request.id;
    void this.#answer(peer, request);
  }

  /** Never rejects: whatever goes wrong is the reply. */
  async #answer(peer: Peer, request: RequestFrame): Promise<void> {
    const { id, method } = request;
    peer.begin();
    let reply: Answer;
    try {
      if (!isBrokerMethod(method)) throw unknownMethod(method);
      const params = parseParams(method, request.params);
      reply = await this.#permitted(peer, { id, method, params });
    } catch (thrown) {
      reply = { frame: errorFrame(id, HoldfastError.from(thrown)) };
    }
    if (peer.gone && reply.grant !== undefined) await this.#sessions.undo(reply.grant);
    peer.end(peer.gone ? undefined : reply.frame, reply.grant);
    if (peer.log.size > this.#options.limits.maxKeptSize) {
      this.#options.logger.warn({ owner: peer.owner }, "a client does not take its replies; its connection is ended");
      this.#abandon(peer);
    }
    this.#changed();
  }

  /** Performs what the client may call, and says what came of it to whoever keeps account. */
  async #permitted(peer: Peer, call: HostCall): Promise<Answer> {
    const { method, params } = call;
    const { rights } = peer;
    try {
      rights.check(method, params);
      const answer = await this.#perform(peer, { ...call, params: asHosted(method, params) });
      rights.note?.({ method, params });
      return answer;
    } catch (thrown) {
      const error = HoldfastError.from(thrown);
      rights.note?.({ method, params, error });
      throw error;
    }
  }

  async #perform(peer: Peer, call: HostCall): Promise<Answer> {
    const { id, method, params } = call;
    this.#sessions.noteRequest(peer, method, params);
    const performed = performCall(this.#options.broker, call, () => this.#isWanted(peer, call));
    let result: unknown;
    try {
      result = isRead(method) ? await Promise.race([performed, this.#letGo]) : await performed;
    } catch (thrown) {
      const error = HoldfastError.from(thrown);
      this.#sessions.noteFailure(method, params, error);
      throw error;
    }
    if (result === LET_GO) return {};
    this.#sessions.noteSuccess(peer, { method, params, result });
    const grant = grantOf(method, params, result);
    try {
      const shown = peer.rights.seesAll ? result : veiled(method, result, peer.sessions);
      return { frame: this.#fit(method, resultFrame(id, shown)), grant };
    } catch (thrown) {
      if (grant !== undefined) await this.#sessions.undo(grant);
      throw thrown;
    }
  }

  /**
   * Whether a request goes on waiting. A claim does only while its worker is connected: each slice is a
   * sign of life, which must not be given for one that may be dead. A lock's place in line outlasts a
   * short loss of the connection.
   */
  #isWanted(peer: Peer, { method, params }: HostCall): boolean {
    if (peer.gone || this.#closing !== undefined) return false;
    if (method !== "acquireLock" && peer.socket === undefined) return false;
    this.#sessions.noteRepeat(method, params);
    return true;
  }

  #fit(method: BrokerMethod, frame: string): string {
    const limit = this.#options.limits.maxReplySize;
    if (frame.length <= limit) return frame;
    throw new HoldfastError("PAYLOAD_TOO_LARGE", { what: `The reply to ${method}`, bytes: frame.length, limit });
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────

  async #end(): Promise<void> {
    this.#cancelKeepalive();
    for (const peer of this.#peers.values()) peer.cancelGrace?.();
    this.#endReads();
    const attached = [...this.#peers.values()].filter((peer) => peer.socket !== undefined);
    await this.#until(() => attached.every((peer) => peer.inFlight === 0 || peer.socket === undefined));
    for (const peer of attached) {
      // Only a client that has been told everything may hear of an orderly end.
      if (peer.inFlight === 0) peer.socket?.close(RESTART_CODE, "the host ends");
      else peer.socket?.terminate();
    }
    for (const socket of this.#sockets) {
      if (!attached.some((peer) => peer.socket === socket)) socket.terminate();
    }
    await this.#until(() => this.#sockets.size === 0);
    for (const socket of this.#sockets) socket.terminate();
  }

  /** Waits until `condition` holds, at most CLOSE_WITHIN_MS. */
  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.schedule(CLOSE_WITHIN_MS, resolve);
      this.#changed = () => {
        if (!condition()) return;
        cancel();
        resolve();
      };
      this.#changed();
    });
  }
}

/** What is opened here is watched here, whatever the client says. */
function asHosted(method: BrokerMethod, params: unknown): unknown {
  return method === "openSession" ? ({ ...(params as WorkerProfile), hosted: true } satisfies WorkerProfile) : params;
}
