/** Access as a server has it, over values in memory and a clock that a test moves. */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { defineOperations, type Operation } from "../../src/api/operation.ts";
import type { Access } from "../../src/server/access.ts";
import { type AccessOptions, createAccess } from "../../src/server/access/create.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import type { Clock } from "../../src/util/clock.ts";
import { MemoryValues } from "./value-store.ts";
import { VirtualClock } from "./virtual-clock.ts";

const common = { method: "POST", tag: "access", summary: "", changes: true, reply: undefined, errors: [] };

/** One operation per kind of callers. */
export const OPERATIONS_BY_CALLERS = defineOperations({
  anyone: { ...common, path: "/anyone", callers: "anyone" } as unknown as Operation,
  admin: { ...common, path: "/admin", callers: [] } as unknown as Operation,
  submit: { ...common, path: "/submit", callers: ["submit"] } as unknown as Operation,
  worker: { ...common, path: "/worker", callers: ["worker"] } as unknown as Operation,
  look: { ...common, path: "/look", callers: ["read", "submit", "worker"] } as unknown as Operation,
});

export type CallersKind = keyof typeof OPERATIONS_BY_CALLERS;

export interface AccessWorld {
  readonly clock: VirtualClock;
  readonly values: MemoryValues;
  readonly access: Access;
  /** Lines of the audit log. */
  readonly lines: string[];
  readonly firstTokens: string[];
  /** `name role` of whoever is let in, or the code of the refusal. */
  readonly ask: (kind: CallersKind, headers?: IncomingHttpHeaders, remoteAddress?: string) => Promise<string>;
}

export const LOCAL: IncomingHttpHeaders = { host: "127.0.0.1:7420" };

export function bearer(token: string): IncomingHttpHeaders {
  return { ...LOCAL, authorization: `Bearer ${token}` };
}

export function newTestSecret(): string {
  return randomBytes(32).toString("base64url");
}

export function accessParts(clock: Clock): Pick<AccessOptions, "clock" | "logger" | "newId" | "newSecret"> {
  let ids = 0;
  return { clock, logger: silentLogger, newId: () => `id${(ids += 1)}`, newSecret: newTestSecret };
}

export async function accessWorld(options: Partial<AccessOptions> = {}): Promise<AccessWorld> {
  const clock = new VirtualClock();
  const values = new MemoryValues(clock);
  const lines: string[] = [];
  const firstTokens: string[] = [];
  const access = await createAccess({
    ...accessParts(clock),
    store: values,
    audit: { write: (line) => lines.push(line), close: () => undefined },
    listenHost: "127.0.0.1",
    onFirstToken: (token) => firstTokens.push(token),
    ...options,
  });
  const ask: AccessWorld["ask"] = async (kind, headers = LOCAL, remoteAddress = "127.0.0.1") => {
    const operation = OPERATIONS_BY_CALLERS[kind];
    try {
      const facts = { method: "POST", url: "/", headers, remoteAddress };
      const { name, role } = await access.identify(facts, operation);
      return `${name} ${role}`;
    } catch (thrown) {
      return (thrown as { readonly code: string }).code;
    }
  };
  return { clock, values, access, lines, firstTokens, ask };
}
