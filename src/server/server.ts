/**
 * The HTTP server: every operation of the API under its prefixes, and workers' sockets on one port.
 *
 * It keeps no state of its own: several servers on one store serve as one, and one that dies loses
 * the calls that were under way and nothing else.
 */
import type { IncomingMessage, Server } from "node:http";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { API_PREFIXES, type Operation } from "../api/operation.ts";
import { OPERATION_LIST } from "../api/operations.ts";
import { serveBroker, type ServedBroker } from "../broker/remote/serve-broker.ts";
import { BROKER_PATH } from "../broker/remote/wire.ts";
import { HoldfastError } from "../errors/index.ts";
import { RequestCall } from "./call.ts";
import { CONNECTION_LIMITS } from "./access/limits.ts";
import { answerClientError } from "./client-error.ts";
import type { Handler, ServerParts } from "./handler.ts";
import { allHandlers } from "./handlers.ts";
import { baseHeaders, corsHeaders } from "./headers.ts";
import { InFlight } from "./in-flight.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { Pipeline, type Route } from "./pipeline.ts";
import { RouteBook } from "./route-book.ts";
import { DEFAULT_SERVER_LIMITS, type RunningServer, type ServerLimits, type ServerOptions } from "./server-options.ts";

/** Names that percent-encoding has made long are let through to the schemas that judge them. */
const MAX_PARAM_LENGTH = CONNECTION_LIMITS.maxHeaderBytes;
/** How often Node looks for heads that do not come, milliseconds. */
const CONNECTION_CHECK_MS = 1_000;
/** Between two looks for connections that are left when all calls are answered. */
const SWEEP_MS = 50;

/** Errors: LISTEN_FAILED. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const limits = { ...DEFAULT_SERVER_LIMITS, ...options.limits };
  const closing = new AbortController();
  const parts: ServerParts = { ...options.parts, closing: closing.signal };
  const app = makeApp(options, parts, limits);
  const inFlight = new InFlight();
  mount(app, { options, parts, limits, inFlight });
  let sockets: ServedBroker;
  try {
    await listen(app, options.listen);
    sockets = await serveBroker({
      broker: parts.broker,
      server: app.server,
      access: options.access.sockets,
      clock: parts.clock,
      logger: parts.logger,
      newId: parts.newId,
      ...(options.socketGraceMs === undefined ? {} : { socketGraceMs: options.socketGraceMs }),
    });
  } catch (thrown) {
    // What handlers have begun to watch ends with it.
    closing.abort();
    await app.close();
    throw thrown;
  }
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    closing.abort();
    // Both take no more callers at once, and wait for those that are there.
    const ended = Promise.all([sockets.close(), app.close()]);
    const grace = Promise.withResolvers<void>();
    let cancel = parts.clock.schedule(limits.closeGraceMs, grace.resolve);
    await Promise.race([inFlight.none(), grace.promise]);
    cancel();
    // A connection may have come in a moment before the door was shut.
    const sweep = (): void => {
      app.server.closeAllConnections();
      cancel = parts.clock.schedule(SWEEP_MS, sweep);
    };
    sweep();
    await ended;
    cancel();
  };
  return { ...addressOf(app.server, options), close: () => (closed ??= close()) };
}

function makeApp(options: ServerOptions, parts: ServerParts, limits: ServerLimits): FastifyInstance {
  const nodeOptions = {
    maxHeaderSize: CONNECTION_LIMITS.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    connectionsCheckingInterval: CONNECTION_CHECK_MS,
    // Other upgrades that a client offers (h2c) are declined by answering plainly.
    shouldUpgradeCallback: isSocketRequest,
  };
  const app = Fastify({
    ...(options.tls === undefined ? { http: nodeOptions } : { https: { ...nodeOptions, ...options.tls } }),
    // A backstop behind the time that a body has.
    requestTimeout: limits.headersTimeoutMs + 2 * limits.bodyTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    genReqId: requestIds(parts.newId()),
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    logger: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (_error, request, reply) => {
      const pipeline = new Pipeline({ parts, access: options.access, limits });
      reply.headers(baseHeaders(request.id, options.tls !== undefined));
      pipeline.refuse(
        new RequestCall({
          request,
          reply,
          closing: parts.closing,
          remoteAddress: options.access.callerAddress(request.raw),
        }),
        new InvalidRequest("request", [{ path: "url", problem: "is not percent-encoded rightly" }]),
      );
    },
    clientErrorHandler: (error, socket) => {
      const requestId = parts.newId();
      parts.logger.info(
        { requestId, code: error.code, remoteAddress: socket.remoteAddress },
        "a connection was refused before its request was whole",
      );
      answerClientError({ error, socket, requestId, headersTimeoutMs: limits.headersTimeoutMs });
    },
  }) as unknown as FastifyInstance;
  app.server.maxConnections = limits.maxConnections;
  return app;
}

/** Ids for the log: randomness for each request would cost more than finding its route. */
function requestIds(life: string): () => string {
  let requests = 0;
  return () => {
    requests += 1;
    return `${life}-${requests.toString(36)}`;
  };
}

interface Mounted {
  readonly options: ServerOptions;
  readonly parts: ServerParts;
  readonly limits: ServerLimits;
  readonly inFlight: InFlight;
}

function mount(app: FastifyInstance, { options, parts, limits, inFlight }: Mounted): void {
  const { access, corsOrigins = [] } = options;
  const pipeline = new Pipeline({ parts, access, limits });
  const handlers = allHandlers(parts, access) as unknown as Record<string, Handler<Operation>>;
  const book = new RouteBook(API_PREFIXES, OPERATION_LIST);
  const callOf = (request: FastifyRequest, reply: FastifyReply): RequestCall =>
    new RequestCall({ request, reply, closing: parts.closing, remoteAddress: access.callerAddress(request.raw) });

  // The pipeline reads bodies itself, once it knows whose they are.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.addHook("onRequest", async (request, reply) => {
    inFlight.add(reply.raw);
    reply.headers(baseHeaders(request.id, options.tls !== undefined));
    reply.headers(corsHeaders(corsOrigins, { origin: request.headers.origin }));
  });
  for (const { url, method, id, operation } of book.routes) {
    const handler = handlers[id];
    if (handler === undefined) throw new Error(`operation ${id} has no handler`);
    const route: Route = { id, operation, handler };
    app.route({
      method: method === "GET" ? ["GET", "HEAD"] : method,
      url,
      handler: async (request, reply) => {
        await pipeline.answer(route, callOf(request, reply));
        return reply;
      },
    });
  }
  app.setErrorHandler((thrown, request, reply) => pipeline.refuse(callOf(request, reply), thrown));
  app.setNotFoundHandler(async (request, reply) => {
    const { method, url } = request;
    const path = url.split("?", 1)[0] ?? "";
    const allowed = book.methodsAt(path);
    if (method === "OPTIONS" && allowed.length > 0) {
      reply.headers(corsHeaders(corsOrigins, { origin: request.headers.origin, preflight: true }));
      return reply.code(204).header("allow", allowed.join(", ")).send();
    }
    const error =
      allowed.length > 0
        ? new HoldfastError("METHOD_NOT_ALLOWED", { method, path, allowed: allowed.join(", ") })
        : new HoldfastError("ROUTE_NOT_FOUND", { method, path: path.slice(0, 200) });
    pipeline.refuse(callOf(request, reply), error);
    return reply;
  });
}

function isSocketRequest(request: IncomingMessage): boolean {
  const path = (request.url ?? "").split("?", 1)[0];
  return path === BROKER_PATH && request.headers.upgrade?.toLowerCase() === "websocket";
}

async function listen(app: FastifyInstance, at: { readonly host: string; readonly port: number }): Promise<void> {
  try {
    await app.listen({ host: at.host, port: at.port });
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HoldfastError("LISTEN_FAILED", { address: `${at.host}:${at.port}`, problem }, { cause: thrown });
  }
}

function addressOf(server: Server, { tls, listen: { host } }: ServerOptions): { url: string; port: number } {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const shown = host.includes(":") ? `[${host}]` : host;
  return { url: `${tls === undefined ? "http" : "https"}://${shown}:${port}`, port };
}
