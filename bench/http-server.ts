/** A server of the bench's own, in a process of its own, before a store that is new; or one that does nothing (`bare`). */
import { siblingModule } from "../src/util/sibling-module.ts";
import { Child } from "./child.ts";
import type { Store } from "./fleet.ts";
import type { BenchContext } from "./measure.ts";
import { RedisServer } from "./peers/redis-server.ts";
import type { ServerRequest, ServerUsage } from "./processes/http-server.ts";

export interface HttpServer {
  readonly url: string;
  usage(): Promise<ServerUsage>;
  /** Of the Redis, where there is one, microseconds. */
  storeProcessorUs(): Promise<number | undefined>;
}

export interface ServerUnderTest {
  readonly store: Store | "bare";
  /** Silence after which a worker is dead. Default: the broker's. */
  readonly deadAfterMs?: number;
}

export async function withHttpServer<Result>(
  context: BenchContext,
  { store, deadAfterMs }: ServerUnderTest,
  action: (server: HttpServer) => Promise<Result>,
): Promise<Result> {
  const redis = store === "redis" ? await RedisServer.start("everysec", context.folder()) : undefined;
  const child = new Child(siblingModule(import.meta.url, "./processes/http-server"));
  try {
    const place = redis === undefined ? {} : { redis: { host: redis.host, port: redis.port } };
    const patience = deadAfterMs === undefined ? {} : { deadAfterMs };
    const start: ServerRequest =
      store === "bare" ? { kind: "start-bare" } : { kind: "start", folder: context.folder(), ...place, ...patience };
    const { url } = await child.ask<{ readonly url: string }>(start);
    return await action({
      url,
      usage: () => child.ask<ServerUsage>({ kind: "usage" } satisfies ServerRequest),
      storeProcessorUs: async () => redis?.processorUs(),
    });
  } finally {
    await child.end();
    await redis?.stop();
  }
}
