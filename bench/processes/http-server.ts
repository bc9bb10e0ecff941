/** A server before a store, as `holdfast server` starts it. Answers where it is, and what it has used. */
import { openServer } from "../../src/app/open-server.ts";
import { loadSettings } from "../../src/config/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { serveRequests } from "../child.ts";
import { openBroker } from "../open.ts";
import { openRedis } from "../peers/open-redis.ts";
import type { RedisPlace } from "../peers/peer.ts";

export type ServerRequest =
  | { readonly kind: "start"; readonly folder: string; readonly redis?: RedisPlace }
  | { readonly kind: "usage" };

export interface ServerUsage {
  /** Processor time so far, microseconds. */
  readonly processorUs: number;
  readonly residentBytes: number;
}

let close = (): Promise<void> => Promise.resolve();

serveRequests(
  async (request: ServerRequest): Promise<{ readonly url: string } | ServerUsage> => {
    if (request.kind === "usage") {
      global.gc?.();
      const { user, system } = process.cpuUsage();
      return { processorUs: user + system, residentBytes: process.memoryUsage.rss() };
    }
    const { folder, redis } = request;
    const broker = redis === undefined ? await openBroker(folder) : await openRedis(redis);
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
