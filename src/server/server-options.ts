/** What a server is started with, and its bounds. */
import type { Access } from "./access.ts";
import { CONNECTION_LIMITS } from "./access/limits.ts";
import type { ServerParts } from "./handler.ts";

export interface ServerLimits {
  /** Largest body of an operation that names no limit of its own, bytes. */
  readonly bodyBytes: number;
  /** Largest body of any operation, bytes. */
  readonly maxBodyBytes: number;
  /** A body that is not here whole this long after its head is refused. */
  readonly bodyTimeoutMs: number;
  /** The head of a request must be here this long after its first byte. */
  readonly headersTimeoutMs: number;
  /** A connection without a request is kept this long. */
  readonly keepAliveMs: number;
  /** Connections at the same time, those of workers' sockets included. */
  readonly maxConnections: number;
  /** When the server ends, calls that are under way have this long to be answered. */
  readonly closeGraceMs: number;
}

export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  bodyBytes: 1_048_576,
  maxBodyBytes: 67_108_864,
  bodyTimeoutMs: CONNECTION_LIMITS.requestTimeoutMs,
  headersTimeoutMs: CONNECTION_LIMITS.headersTimeoutMs,
  keepAliveMs: CONNECTION_LIMITS.keepAliveTimeoutMs,
  maxConnections: CONNECTION_LIMITS.maxConnections,
  closeGraceMs: 5_000,
};

export interface ServerOptions {
  /** Without `closing`, which is the server's own to tell. */
  readonly parts: Omit<ServerParts, "closing">;
  readonly access: Access;
  /** Port 0: any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM texts. Without, the server speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Origins whose pages may call. Default: none. */
  readonly corsOrigins?: readonly string[];
  readonly limits?: Partial<ServerLimits>;
  /** A worker whose socket is gone for this long is dead. */
  readonly socketGraceMs?: number;
}

export interface RunningServer {
  /** `http://host:port` or `https://…`. */
  readonly url: string;
  readonly port: number;
  /** Ends in order: no new calls, waits and streams end, what is under way is answered. Idempotent. */
  close(): Promise<void>;
}
