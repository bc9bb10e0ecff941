/** The front of the host: the HTTP server's upgrades on BROKER_PATH, let in by whoever decides on access. */
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { HoldfastError } from "../../errors/index.ts";
import { type Logger, silentLogger } from "../../telemetry/log.ts";
import type { Clock } from "../../util/clock.ts";
import { lifeName } from "../../util/life-names.ts";
import type { Broker } from "../contract.ts";
import { BrokerHost, type HostLimits } from "./host.ts";
import type { SocketAccess, SocketRights } from "./token.ts";
import { BROKER_PATH, MAX_REPLY_BYTES, MAX_REQUEST_BYTES } from "./wire.ts";

export interface ServeBrokerOptions {
  readonly broker: Broker;
  /** Serve next to others on this listening server, which the caller started and will stop … */
  readonly server?: Server;
  /** … or on a server of our own. Port 0: any free one. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** Says who is let in, and to what; `acceptToken` makes one for a single token. */
  readonly access: SocketAccess;
  readonly clock: Clock;
  readonly logger?: Logger;
  /** Names this life of the host, which no other host that its clients may meet has had. Absent: made of process and time. */
  readonly newId?: () => string;
  /** A worker whose socket is gone for this long is dead. */
  readonly socketGraceMs?: number;
  /** The host pings its clients this often. */
  readonly keepaliveMs?: number;
  readonly limits?: Partial<HostLimits>;
}

export interface ServedBroker {
  /** ws://host:port/broker */
  readonly url: string;
  /** Ends in order: what is under way is answered, no session is lost. The broker stays open. Idempotent. */
  close(): Promise<void>;
}

const DEFAULT_LIMITS: HostLimits = {
  maxInFlight: 4_096,
  maxUnsentBytes: 16_777_216,
  maxRequestBytes: MAX_REQUEST_BYTES,
  // Code units: three bytes each at worst, and what is all ASCII may be as large as a client reads.
  maxReplySize: MAX_REPLY_BYTES / 3,
  maxKeptSize: 2 * MAX_REPLY_BYTES,
  maxPeers: 10_000,
};
const DEFAULT_SOCKET_GRACE_MS = 200;
const DEFAULT_KEEPALIVE_MS = 1_000;

/**
 * Offers `broker` to `connectRemoteBroker` in other processes and on other machines.
 *
 * Errors: LISTEN_FAILED.
 */
export async function serveBroker(options: ServeBrokerOptions): Promise<ServedBroker> {
  const { broker, clock, access } = options;
  const logger = (options.logger ?? silentLogger).child({ part: "broker-host" });
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const host = new BrokerHost({
    broker,
    clock,
    logger,
    limits,
    hostId: options.newId?.() ?? lifeName(),
    socketGraceMs: options.socketGraceMs ?? DEFAULT_SOCKET_GRACE_MS,
    keepaliveMs: options.keepaliveMs ?? DEFAULT_KEEPALIVE_MS,
  });
  const upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.maxRequestBytes,
  });
  const onUpgrade = (request: IncomingMessage, connection: Duplex, head: Buffer): void => {
    if (pathOf(request) !== BROKER_PATH) {
      // On a server that is shared the path may be somebody else's.
      if (options.server === undefined) refuse(connection, 404);
      return;
    }
    const onError = (error: Error): void => logger.debug({ error }, "a connection failed before its upgrade");
    connection.on("error", onError);
    void rightsOf(access, request).then((rights) => {
      connection.off("error", onError);
      if (typeof rights === "number") return refuse(connection, rights);
      return upgrader.handleUpgrade(request, connection, head, (socket) => host.accept({ socket, connection, rights }));
    });
  };
  const server =
    options.server ?? createServer((_request, response) => response.writeHead(426, { Upgrade: "websocket" }).end());
  server.on("upgrade", onUpgrade);
  try {
    if (options.server === undefined) await listen(server, options.listen ?? { host: "127.0.0.1", port: 0 });
  } catch (thrown) {
    await host.close();
    throw thrown;
  }
  const close = async (): Promise<void> => {
    server.off("upgrade", onUpgrade);
    const stopped = options.server === undefined ? stopServer(server) : undefined;
    await host.close();
    if (options.server === undefined) server.closeAllConnections();
    await stopped;
  };
  let closing: Promise<void> | undefined;
  return { url: urlOf(server), close: () => (closing ??= close()) };
}

/** What whoever asks may do, or the status with which they are sent away. A check that fails lets nobody in. */
async function rightsOf(access: SocketAccess, request: IncomingMessage): Promise<SocketRights | number> {
  try {
    return (await access(request)) ?? 401;
  } catch (thrown) {
    return HoldfastError.is(thrown) ? thrown.entry.httpStatus : 401;
  }
}

function refuse(connection: Duplex, status: number): void {
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`, "Connection: close", "Content-Length: 0"];
  if (status === 401) head.push("WWW-Authenticate: Bearer");
  connection.end(`${head.join("\r\n")}\r\n\r\n`, () => connection.destroy());
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

function listen(server: Server, at: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(
        new HoldfastError(
          "LISTEN_FAILED",
          { address: `${at.host}:${at.port}`, problem: error.message },
          { cause: error },
        ),
      );
    };
    server.once("error", onError);
    server.listen({ host: at.host, port: at.port }, () => {
      server.off("error", onError);
      resolve();
    });
  });
}

/** Takes no more connections; resolves when the last one has ended. */
function stopServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

function urlOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") return `ws://localhost${BROKER_PATH}`;
  const hostName = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `ws://${hostName}:${address.port}${BROKER_PATH}`;
}
