/** All live sessions of the broker, page by page. */
import type { Broker, SessionView } from "../../broker/contract.ts";
import { MAX_PAGE } from "../../broker/limits.ts";

export async function* liveSessions(broker: Broker): AsyncGenerator<SessionView, void> {
  let after: string | undefined;
  do {
    const page = await broker.listSessions({ limit: MAX_PAGE, live: true, ...(after === undefined ? {} : { after }) });
    yield* page.sessions;
    after = page.next;
  } while (after !== undefined);
}

/** The live session of that worker that began last; a name may be used more than once. */
export async function findSession(broker: Broker, worker: string): Promise<SessionView | undefined> {
  let found: SessionView | undefined;
  for await (const session of liveSessions(broker)) {
    if (session.worker === worker && (found === undefined || isLater(session, found))) found = session;
  }
  return found;
}

function isLater(one: SessionView, other: SessionView): boolean {
  return one.openedAt === other.openedAt ? one.session > other.session : one.openedAt > other.openedAt;
}
