/**
 * Which session was last used over which stream, and what happens to it when the stream is gone.
 *
 * A worker's death is seen at once by its socket: its stream is gone after the grace time, and the
 * sessions that have not been used over another stream meanwhile are declared lost, so that their
 * work is taken over without waiting for the session's silence. Leases that a client cannot know of
 * are handed back first, so that they do not count as lost attempts.
 *
 * The worker may have gone on with another host on the same store. So a session is declared lost only
 * if the broker has not heard of it since it heard the last call that this host passed on for it. A
 * host that stood still cannot know: a worker may have left it long before the host read the last it
 * said. After that, only silence tells who is dead.
 *
 * A session is used by its owner only (SocketRights.owner). A crash of the host loses this book:
 * sessions then die by silence only, or turn up again on the next host, which enters them, and their
 * owner, with the first call that succeeds. What keeps strangers off until then is that nobody else
 * is told the id of a session (veil.ts).
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Clock } from "../../util/clock.ts";
import type { Broker, BrokerMethod, OpenSessionReply } from "../contract.ts";
import { waitOf } from "./client-calls.ts";
import { handBack } from "./host-call.ts";
import type { Peer } from "./host-peer.ts";
import type { Grant } from "./reply-log.ts";

/**
 * A call that waits in the store has surely reached it after this long, milliseconds. Where one takes
 * longer, a death is told by silence.
 */
const LANDING_MS = 50;
/** What two clocks that cut off parts of milliseconds may differ by between two readings. */
const ROUNDING_MS = 2;

interface SessionUse {
  readonly peer: Peer;
  /** When the last of the calls that are over was heard by the store at the latest, on the host's clock. */
  heardBy: number;
  /** The same of each call that is under way, by its params. */
  readonly underWay: Map<unknown, number>;
}

const NEVER_USED: Pick<SessionUse, "heardBy" | "underWay"> = { heardBy: 0, underWay: new Map() };

export class SessionBook {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #uses = new Map<string, SessionUse>();

  constructor(parts: { readonly broker: Broker; readonly clock: Clock; readonly logger: Logger }) {
    this.#broker = parts.broker;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  /**
   * A request is about to be performed: a known session now belongs to the stream it came over.
   *
   * @throws HoldfastError FORBIDDEN where the session is another owner's.
   */
  noteRequest(peer: Peer, method: BrokerMethod, params: unknown): void {
    const session = sessionOf(method, params);
    const use = session === undefined ? undefined : this.#uses.get(session);
    if (session === undefined || use === undefined) return;
    if (use.peer.owner !== peer.owner && !peer.rights.seesAll) {
      throw new HoldfastError("FORBIDDEN", { problem: `${method}: this session was opened with another token.` });
    }
    this.#enter(session, peer).underWay.set(params, this.#clock.now() + LANDING_MS);
  }

  /** A request has succeeded: the session is real. */
  noteSuccess(
    peer: Peer,
    call: { readonly method: BrokerMethod; readonly params: unknown; readonly result: unknown },
  ): void {
    if (call.method === "openSession") {
      const { session } = call.result as OpenSessionReply;
      // Nobody has heard of this one.
      if (peer.gone) void this.#close(session, 0);
      else this.#enter(session, peer);
      return;
    }
    const session = sessionOf(call.method, call.params);
    if (session === undefined) return;
    this.#noteHeard(session, call.params);
    if (call.method === "closeSession") this.#strike(session);
    else if (!peer.gone && !this.#uses.has(session)) this.#enter(session, peer);
  }

  /** The broker knows no such session (any more). */
  noteFailure(method: BrokerMethod, params: unknown, error: HoldfastError): void {
    const session = sessionOf(method, params);
    if (session === undefined) return;
    this.#noteHeard(session, params);
    if (error.code === "SESSION_LOST") this.#strike(session);
  }

  /** For a request that waits one more call is made. */
  noteRepeat(method: BrokerMethod, params: unknown): void {
    const session = sessionOf(method, params);
    if (session !== undefined) this.#uses.get(session)?.underWay.set(params, this.#clock.now() + LANDING_MS);
  }

  /**
   * The stream is gone for good: leases that never arrived go back, and its sessions die, unless
   * `mayBeElsewhere`: then their silence decides.
   */
  async abandon(peer: Peer, { mayBeElsewhere }: { readonly mayBeElsewhere: boolean }): Promise<void> {
    const undelivered = peer.log.kept().flatMap((reply) => {
      // A reply that was written to a socket may have arrived: its leases may be what killed the worker.
      // They die with the session and count as lost, unless the session lives on over another stream.
      const keep = reply.grant !== undefined && (!reply.written || !peer.sessions.has(reply.grant.session));
      return keep && reply.grant !== undefined ? [reply.grant] : [];
    });
    await Promise.all(undelivered.map((grant) => this.undo(grant)));
    // Looked at only now: a session that has turned up on another stream meanwhile lives.
    await Promise.all([...peer.sessions].map((session) => this.#giveUp(session, mayBeElsewhere)));
  }

  /** Hands leases back that nobody has been told of. */
  async undo(grant: Grant): Promise<void> {
    try {
      await handBack(this.#broker, grant);
      this.#logger.debug(
        { session: grant.session, leases: grant.leases.length },
        "handed back leases that could not be delivered",
      );
    } catch (thrown) {
      // With the session dead, its leases are taken back anyway.
      const error = HoldfastError.from(thrown);
      const fields = { session: grant.session, leases: grant.leases.length, error };
      if (error.code === "SESSION_LOST") this.#logger.debug(fields, "undeliverable leases went with their session");
      else this.#logger.warn(fields, "leases that could not be delivered could not be handed back");
    }
  }

  async #giveUp(session: string, mayBeElsewhere: boolean): Promise<void> {
    const { heardBy, underWay } = this.#uses.get(session) ?? NEVER_USED;
    this.#strike(session);
    if (mayBeElsewhere)
      this.#logger.info({ session }, "a worker's connection is gone; it may have left while this host stood still");
    else {
      const silentForMs = this.#clock.now() - Math.max(heardBy, ...underWay.values()) - ROUNDING_MS;
      await this.#close(session, Math.max(0, silentForMs));
    }
  }

  async #close(session: string, silentForMs: number): Promise<void> {
    try {
      await this.#broker.closeSession({ session, reason: "lost", silentForMs });
      this.#logger.info(
        { session, silentForMs },
        "a worker's connection is gone; unless it was heard of elsewhere, its session is lost",
      );
    } catch (thrown) {
      // The session then dies by its silence.
      this.#logger.warn({ session, error: HoldfastError.from(thrown) }, "a session could not be declared lost");
    }
  }

  #enter(session: string, peer: Peer): SessionUse {
    const former = this.#uses.get(session);
    if (former?.peer === peer) return former;
    former?.peer.sessions.delete(session);
    const use = { peer, heardBy: former?.heardBy ?? this.#clock.now(), underWay: former?.underWay ?? new Map() };
    this.#uses.set(session, use);
    peer.sessions.add(session);
    return use;
  }

  /** A call is over: it cannot be heard any more. */
  #noteHeard(session: string, params: unknown): void {
    const use = this.#uses.get(session);
    const landedBy = use?.underWay.get(params);
    if (use === undefined || landedBy === undefined) return;
    use.underWay.delete(params);
    const overAt = this.#clock.now();
    use.heardBy = Math.max(use.heardBy, waitOf(params) > 0 ? Math.min(landedBy, overAt) : overAt);
  }

  #strike(session: string): void {
    this.#uses.get(session)?.peer.sessions.delete(session);
    this.#uses.delete(session);
  }
}

/** The session whose worker speaks; `drainSession` names a session, but anybody may call it. */
function sessionOf(method: BrokerMethod, params: unknown): string | undefined {
  switch (method) {
    case "heartbeat":
    case "claim":
    case "commit":
    case "reconcile":
    case "closeSession":
      return (params as { readonly session: string }).session;
    default:
      return undefined;
  }
}
