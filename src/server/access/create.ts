/**
 * Access to a server: its gate, its tokens and its audit log, put together.
 *
 * A server that listens on this machine only takes calls without a token; any other needs them. The
 * first one that starts on a broker without tokens makes one and tells it once. Whoever has lost all
 * tokens makes one with `holdfast token create`, which goes to the store and not to a server.
 */
import type { IncomingMessage } from "node:http";
import type { BlockList } from "node:net";
import type { BrokerMethod } from "../../broker/contract.ts";
import { type SocketCall, type SocketRights, tokenComparison } from "../../broker/remote/token.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Clock } from "../../util/clock.ts";
import type { Access, AuditEntry } from "../access.ts";
import { type Principal, principalKey } from "../principal.ts";
import { callerAddress, isLoopbackHost, trustedProxies } from "./address.ts";
import { AuditLog } from "./audit.ts";
import type { AuditSink } from "./audit-file.ts";
import { Gate } from "./gate.ts";
import { AUDITED_METHODS, permitCall } from "./socket-rights.ts";
import { TokenStore, type ValueStore } from "./token-store.ts";

export interface AccessOptions {
  readonly store: ValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly newId: () => string;
  /** At least 192 bits that nobody can guess, in base64url. */
  readonly newSecret: () => string;
  /** Where the audit log goes; closed with the access. */
  readonly audit: AuditSink;
  /** Where the server listens. */
  readonly listenHost: string;
  /** Absent: tokens are needed unless only this machine can come, no proxy is trusted and there is no `token`. */
  readonly requireToken?: boolean | undefined;
  /** An administrator's token that is in no store: whoever sets one wants to be asked for it. */
  readonly token?: string | undefined;
  readonly workerSecret?: string | undefined;
  /** Proxies that are believed when they say for whom they ask: addresses or ranges. Default none. */
  readonly trustProxy?: readonly string[];
  /** Origins whose web pages may call. Default none. */
  readonly corsOrigins?: readonly string[];
  /** Per token; 0: no limit. Default 10,000. */
  readonly requestsPerSecond?: number;
  /** Told the very first token, once; it cannot be told again. Called by one of all servers. */
  readonly onFirstToken: (token: string) => void;
}

const DEFAULT_REQUESTS_PER_SECOND = 10_000;
/** In the audit log, for a request to open a socket. */
const OPEN_SOCKET = "openSocket";

/** Errors: INVALID_SETTING, and those of the broker. */
export async function createAccess(options: AccessOptions): Promise<Access> {
  const { store, clock, newId, newSecret, listenHost, token, trustProxy = [], audit, logger } = options;
  const proxies = trustedProxies(trustProxy);
  const isOpen = token === undefined && trustProxy.length === 0 && isLoopbackHost(listenHost);
  const needsToken = options.requireToken ?? !isOpen;
  const tokens = new TokenStore({ store, clock, newId, newSecret });
  const gate = new Gate({
    tokens,
    clock,
    needsToken,
    corsOrigins: options.corsOrigins ?? [],
    requestsPerSecond: options.requestsPerSecond ?? DEFAULT_REQUESTS_PER_SECOND,
    isAdminToken: token === undefined ? () => false : tokenComparison(token),
    ...(options.workerSecret === undefined ? {} : { workerSecret: options.workerSecret }),
  });
  const log = new AuditLog(audit, clock);
  const record = (entry: AuditEntry): void => {
    try {
      log.record(entry);
    } catch (thrown) {
      logger.error({ error: HoldfastError.from(thrown) }, "a line of the audit log is missing");
    }
  };
  if (needsToken && token === undefined) {
    const first = await tokens.createFirst("first start");
    if (first !== undefined) options.onFirstToken(first.token);
  }
  return {
    needsToken,
    tokens,
    callerAddress: ({ headers, socket }) => callerAddress({ headers, socketAddress: socket.remoteAddress }, proxies),
    identify: (request, operation) => gate.caller(request, operation),
    record,
    sockets: socketAccess({ gate, tokens, record, newId, proxies }),
    close: async () => log.close(),
  };
}

interface SocketParts {
  readonly gate: Gate;
  readonly tokens: TokenStore;
  readonly record: (entry: AuditEntry) => void;
  readonly newId: () => string;
  readonly proxies: BlockList;
}

function socketAccess(parts: SocketParts): Access["sockets"] {
  const { gate, record, newId, proxies } = parts;
  return async (request: IncomingMessage) => {
    const { headers, socket } = request;
    const remoteAddress = callerAddress({ headers, socketAddress: socket.remoteAddress }, proxies);
    const asked = { requestId: newId(), remoteAddress, operation: OPEN_SOCKET };
    try {
      const principal = await gate.caller({ headers, remoteAddress });
      record({ ...asked, principal, status: 101 });
      return rightsOf(parts, { principal, remoteAddress });
    } catch (thrown) {
      const error = HoldfastError.from(thrown);
      record({ ...asked, status: error.entry.httpStatus, error: error.code });
      throw error;
    }
  };
}

function rightsOf(
  { tokens, record, newId }: SocketParts,
  { principal, remoteAddress }: { readonly principal: Principal; readonly remoteAddress: string },
): SocketRights {
  const { tokenId } = principal;
  return {
    owner: principalKey(principal),
    seesAll: principal.role === "admin",
    check: (method: BrokerMethod, params: unknown) => permitCall(principal, method, params),
    note: ({ method, params, error }: SocketCall) => {
      const isRefusal = error?.code === "FORBIDDEN" || error?.code === "NAME_RESERVED";
      if (!isRefusal && !AUDITED_METHODS.has(method)) return;
      record({
        requestId: newId(),
        principal,
        remoteAddress,
        operation: method,
        params: shownParams(params),
        status: error?.entry.httpStatus ?? 200,
        ...(error === undefined ? {} : { error: error.code }),
      });
    },
    ...(tokenId === undefined ? {} : { stillHold: () => tokens.isGood(tokenId) }),
  };
}

/** What names the thing that a call is about. Payloads are no part of it. */
const NAMING_PARAMS = new Set([
  "executionId",
  "task",
  "pool",
  "worker",
  "pools",
  "key",
  "scope",
  "reason",
  "by",
  "part",
]);

function shownParams(params: unknown): Record<string, unknown> {
  const entries = Object.entries((params ?? {}) as Readonly<Record<string, unknown>>);
  return Object.fromEntries(entries.filter(([name]) => NAMING_PARAMS.has(name)));
}
