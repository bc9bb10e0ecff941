/** A server before a store, as `holdfast server` starts it. Answers where it is, and what it has used. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openServer } from "../../src/app/open-server.ts";
import { loadSettings } from "../../src/config/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { serveRequests } from "../child.ts";
import { openBroker } from "../open.ts";
import { openRedis } from "../peers/open-redis.ts";
import type { RedisPlace } from "../peers/peer.ts";

export type ServerRequest =
  | { readonly kind: "start-bare" }
  | {
      readonly kind: "start";
      readonly folder: string;
      readonly redis?: RedisPlace;
      /** Of the store in the folder. Default: its own. */
      readonly deadAfterMs?: number;
    }
  | { readonly kind: "usage" };

export interface ServerUsage {
  /** Processor time so far, microseconds. */
  readonly processorUs: number;
  readonly residentBytes: number;
}

/** Reads a JSON body and answers with one: what any server does at least. */
async function startBare(): Promise<{ readonly url: string }> {
  const server = createServer((incoming, response) => {
    let text = "";
    incoming.setEncoding("utf8");
    incoming.on("data", (part: string) => (text += part));
    incoming.on("end", () => {
      const answer = JSON.stringify({ success: true, told: JSON.parse(text) as unknown, cancel: [], drain: false });
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(answer) });
      response.end(answer);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  close = async () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

let close = (): Promise<void> => Promise.resolve();

serveRequests(
  async (request: ServerRequest): Promise<{ readonly url: string } | ServerUsage> => {
    if (request.kind === "usage") {
      global.gc?.();
      const { user, system } = process.cpuUsage();
      return { processorUs: user + system, residentBytes: process.memoryUsage.rss() };
    }
    if (request.kind === "start-bare") return startBare();
    const { folder, redis, deadAfterMs } = request;
    const patience = deadAfterMs === undefined ? {} : { deadAfterMs };
    const broker = redis === undefined ? await openBroker(folder, patience) : await openRedis(redis);
    const flags = { broker: folder, listenPort: 0, auditLog: "-", requestsPerSecond: 0 };
    const settings = loadSettings({ flags, env: {}, cwd: folder });
    const server = await openServer({
      broker,
      settings,
      logger: silentLogger,
      version: "bench",
      onFirstToken: () => undefined,
    });
    close = async () => {
      await server.close();
      await broker.close();
    };
    return { url: server.url };
  },
  () => close(),
);
