/**
 * Which session was last used over which stream, and what happens to it when the stream is gone.
 *
 * A worker's death is seen at once by its socket: its stream is gone after the grace time, and the
 * sessions that have not been used over another stream meanwhile are declared lost, so that their
 * work is taken over without waiting for the session's silence. Leases that a client cannot know of
 * are handed back first, so that they do not count as lost attempts.
 *
 * A session is used by its owner only (SocketRights.owner). A crash of the host loses this book:
 * sessions then die by silence only, or turn up again on the next host, which enters them, and their
 * owner, with the first call that succeeds. What keeps strangers off until then is that nobody else
 * is told the id of a session (veil.ts).
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Broker, BrokerMethod, OpenSessionReply } from "../contract.ts";
import { handBack } from "./host-call.ts";
import type { Peer } from "./host-peer.ts";
import type { Grant } from "./reply-log.ts";

export class SessionBook {
  readonly #broker: Broker;
  readonly #logger: Logger;
  readonly #users = new Map<string, Peer>();

  constructor(broker: Broker, logger: Logger) {
    this.#broker = broker;
    this.#logger = logger;
  }

  /**
   * A request is about to be performed: a known session now belongs to the stream it came over.
   *
   * @throws HoldfastError FORBIDDEN where the session is another owner's.
   */
  noteRequest(peer: Peer, method: BrokerMethod, params: unknown): void {
    const session = sessionOf(method, params);
    const user = session === undefined ? undefined : this.#users.get(session);
    if (session === undefined || user === undefined) return;
    if (user.owner !== peer.owner && !peer.rights.seesAll) {
      throw new HoldfastError("FORBIDDEN", { problem: `${method}: this session was opened with another token.` });
    }
    this.#enter(session, peer);
  }

  /** A request has succeeded: the session is real. */
  noteSuccess(
    peer: Peer,
    call: { readonly method: BrokerMethod; readonly params: unknown; readonly result: unknown },
  ): void {
    if (call.method === "openSession") {
      const { session } = call.result as OpenSessionReply;
      if (peer.gone) void this.#declareLost(session);
      else this.#enter(session, peer);
      return;
    }
    const session = sessionOf(call.method, call.params);
    if (session === undefined) return;
    if (call.method === "closeSession") this.#strike(session);
    else if (!peer.gone && !this.#users.has(session)) this.#enter(session, peer);
  }

  /** The broker knows no such session (any more). */
  noteFailure(method: BrokerMethod, params: unknown, error: HoldfastError): void {
    const session = sessionOf(method, params);
    if (session !== undefined && error.code === "SESSION_LOST") this.#strike(session);
  }

  /** The stream is gone for good: its sessions die, and leases that never arrived go back. */
  async abandon(peer: Peer): Promise<void> {
    const undelivered = peer.log.kept().flatMap((reply) => {
      // A reply that was written to a socket may have arrived: its leases may be what killed the worker.
      // They die with the session and count as lost, unless the session lives on over another stream.
      const keep = reply.grant !== undefined && (!reply.written || !peer.sessions.has(reply.grant.session));
      return keep && reply.grant !== undefined ? [reply.grant] : [];
    });
    await Promise.all(undelivered.map((grant) => this.undo(grant)));
    // Looked at only now: a session that has turned up on another stream meanwhile lives.
    await Promise.all([...peer.sessions].map((session) => this.#declareLost(session)));
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

  async #declareLost(session: string): Promise<void> {
    this.#strike(session);
    try {
      await this.#broker.closeSession({ session, reason: "lost" });
      this.#logger.info({ session }, "a worker's connection is gone; its session is lost");
    } catch (thrown) {
      // The session then dies by its silence.
      this.#logger.warn({ session, error: HoldfastError.from(thrown) }, "a session could not be declared lost");
    }
  }

  #enter(session: string, peer: Peer): void {
    const former = this.#users.get(session);
    if (former === peer) return;
    former?.sessions.delete(session);
    this.#users.set(session, peer);
    peer.sessions.add(session);
  }

  #strike(session: string): void {
    this.#users.get(session)?.sessions.delete(session);
    this.#users.delete(session);
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
