/** A real HTTP server on a real broker, and a way to call it; both are gone after the test. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { Broker } from "../../src/broker/contract.ts";
import { openRedisBroker } from "../../src/broker/redis/index.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import type { BrokerSettings } from "../../src/broker/settings.ts";
import type { Access } from "../../src/server/access.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../src/server/index.ts";
import type { Logger } from "../../src/telemetry/log.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { type Clock, systemClock } from "../../src/util/clock.ts";
import { openAccess } from "./open-access.ts";
import { sharedRedis } from "./redis-server.ts";

export interface HttpWorldOptions {
  /** Default: SQLite in memory. */
  readonly store?: "sqlite" | "redis";
  /** Serve this one, which the caller closes. */
  readonly broker?: Broker;
  /** Default: everybody is an admin. */
  readonly access?: Access;
  /** Of the server, and of a broker that is made here. Default: the machine's. */
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly settings?: Partial<BrokerSettings>;
  readonly server?: Partial<Pick<ServerOptions, "limits" | "corsOrigins" | "tls" | "socketGraceMs">>;
}

/** An answer, with its body read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; fails where it is none, or not what `isRight` says it must be. */
  json<T = Record<string, unknown>>(isRight?: (value: unknown) => value is T): T;
}

export interface HttpWorld {
  readonly server: RunningServer;
  readonly broker: Broker;
  readonly url: string;
  /** `GET /executions` and the like, under the first prefix. `body` goes as JSON. */
  call(request: string, body?: unknown, init?: RequestInit): Promise<Answer>;
  /** The same, and the answer's JSON; fails unless the status is the given one. */
  expect<T = Record<string, unknown>>(status: number, request: string, body?: unknown): Promise<T>;
}

export async function startHttpWorld(t: TestContext, options: HttpWorldOptions = {}): Promise<HttpWorld> {
  const clock = options.clock ?? systemClock({ keepAlive: true });
  const broker = options.broker ?? (await openBroker(options, clock));
  const server = await startServer({
    parts: {
      broker,
      clock,
      random: Math.random,
      newId: () => crypto.randomUUID(),
      logger: options.logger ?? silentLogger,
      version: "0.0.0-test",
    },
    access: options.access ?? openAccess(broker),
    listen: { host: "127.0.0.1", port: 0 },
    ...options.server,
  });
  t.after(async () => {
    await server.close();
    if (options.broker === undefined) await broker.close();
  });
  const call: HttpWorld["call"] = (request, body, init) => callApi(server.url, request, body, init);
  return {
    server,
    broker,
    url: server.url,
    call,
    expect: async <T>(status: number, request: string, body?: unknown) => {
      const answer = await call(request, body);
      assert.equal(answer.status, status, `${request}: ${answer.text.slice(0, 500)}`);
      return answer.json<T>();
    },
  };
}

async function openBroker(options: HttpWorldOptions, clock: Clock): Promise<Broker> {
  const { settings = {}, store = "sqlite" } = options;
  const newId = (): string => crypto.randomUUID();
  if (store === "sqlite") return openSqliteBroker({ file: ":memory:", clock, random: Math.random, newId, settings });
  const { host, port } = await sharedRedis();
  return openRedisBroker({
    target: { mode: "standalone", nodes: [{ host, port }], db: 0 },
    namespace: `test-${newId()}`,
    clock,
    random: Math.random,
    newId,
    settings,
  });
}

/** `request`: method and path; a path that begins with `/api/` is taken as it is. */
export async function callApi(url: string, request: string, body?: unknown, init: RequestInit = {}): Promise<Answer> {
  const [method = "GET", path = "/"] = request.split(" ");
  const response = await fetch(url + (path.startsWith("/api/") ? path : `/api/v1${path}`), {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...init,
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...(init.headers as object) },
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: <T>(isRight?: (value: unknown) => value is T) => {
      const value = jsonOf(text);
      assert.ok(value !== undefined, `${request} answered ${response.status} without JSON: ${text.slice(0, 200)}`);
      assert.ok(isRight === undefined || isRight(value), `${request} answered something else: ${text.slice(0, 200)}`);
      return value as T;
    },
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Sends bytes as they are, and resolves with all that came back when the server has closed the connection. */
export function rawRequest(port: number, text: string, after?: (socket: Socket) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: "127.0.0.1", port }, () => {
      socket.write(text, () => after?.(socket));
    });
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("utf8")));
  });
}
