/**
 * What a reply does not show to everybody.
 *
 * The id of a session is the key to it: who knows it may commit for it or close it. So whoever may
 * not use the sessions of others is told stand-ins for them, the same one each time. And names that
 * begin with RESERVED_PREFIX stand for the servers' own state (access tokens among it).
 */
import { createHash } from "node:crypto";
import type { BrokerEvent, BrokerMethod, ListLocksReply, ListSessionsReply, ListValuesReply } from "../contract.ts";
import { RESERVED_PREFIX } from "../limits.ts";

const STAND_IN_LENGTH = 16;
const NONE: ReadonlySet<string> = new Set();

/** Stands for a session before those who may not use it; never the id of one. */
export function sessionStandIn(session: string): string {
  return `~${createHash("sha256").update(session).digest("base64url").slice(0, STAND_IN_LENGTH)}`;
}

/** The reply to `method` as one may see it who uses only the sessions in `own`. */
export function veiled(method: BrokerMethod, reply: unknown, own: ReadonlySet<string>): unknown {
  switch (method) {
    case "listSessions": {
      const { sessions, ...rest } = reply as ListSessionsReply;
      const shown = sessions.map((view) => ({ ...view, session: shownSession(view.session, own) }));
      return { ...rest, sessions: shown } satisfies ListSessionsReply;
    }
    case "readEvents": {
      const { events, ...rest } = reply as { readonly events: readonly BrokerEvent[] };
      return { ...rest, events: events.map((event) => veiledEvent(event, own)) };
    }
    case "listLocks": {
      const { locks, ...rest } = reply as ListLocksReply;
      return { ...rest, locks: locks.filter(({ lock }) => !isReserved(lock)) };
    }
    case "listValues": {
      const { values, ...rest } = reply as ListValuesReply;
      return { ...rest, values: values.filter(({ key }) => !isReserved(key)) };
    }
    default:
      return reply;
  }
}

export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED_PREFIX);
}

/** The event as it is told to those who use only the sessions in `own`: none, over HTTP. */
export function veiledEvent(event: BrokerEvent, own: ReadonlySet<string> = NONE): BrokerEvent {
  const { change } = event;
  if (change.kind !== "session") return event;
  return { ...event, change: { ...change, session: shownSession(change.session, own) } };
}

function shownSession(session: string, own: ReadonlySet<string>): string {
  return own.has(session) ? session : sessionStandIn(session);
}
