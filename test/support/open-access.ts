/** Lets everybody in as an admin, and keeps what would be written to the audit log. */
import { randomBytes } from "node:crypto";
import { ALL_RIGHTS } from "../../src/broker/remote/token.ts";
import type { Access, AuditEntry } from "../../src/server/access.ts";
import { TokenStore, type ValueStore } from "../../src/server/access/token-store.ts";
import type { Principal } from "../../src/server/principal.ts";
import { systemClock } from "../../src/util/clock.ts";

export interface OpenAccess extends Access {
  readonly recorded: readonly AuditEntry[];
}

const TESTER: Principal = { name: "tester", role: "admin" };

/** `store`: where tokens are kept. `principal`: who everybody is, an admin named `tester` by default. */
export function openAccess(store: ValueStore, principal: Principal = TESTER): OpenAccess {
  const recorded: AuditEntry[] = [];
  return {
    recorded,
    needsToken: false,
    tokens: new TokenStore({
      store,
      clock: systemClock(),
      newId: () => crypto.randomUUID().replaceAll("-", ""),
      newSecret: () => randomBytes(32).toString("base64url"),
    }),
    callerAddress: (request) => request.socket.remoteAddress ?? "",
    identify: async () => principal,
    record: (entry) => recorded.push(entry),
    sockets: async () => ALL_RIGHTS,
    close: async () => undefined,
  };
}
