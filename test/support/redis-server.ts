/** Real Redis servers for tests: a single one, a cluster, or a pair watched by sentinels. */
import { launch, type RedisServer } from "./redis-process.ts";

export { type RedisCluster, startCluster } from "./redis-cluster.ts";
export type { RedisServer } from "./redis-process.ts";
export { type SentinelSetup, startSentinel } from "./redis-sentinel.ts";

export interface RedisServerOptions {
  /** Default `"no"`: what was written is gone after a kill. The others name how often the file is synced. */
  readonly appendonly?: "no" | "everysec" | "always";
  /** Further lines of the configuration file, which win over the defaults. */
  readonly config?: Readonly<Record<string, string>>;
  /** Default: a free one. */
  readonly port?: number;
  /** Must exist, and is not removed. Default: a temporary one. */
  readonly folder?: string;
}

/** Starts one server. */
export function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const appendonly = options.appendonly ?? "no";
  const config = {
    save: '""',
    appendonly: appendonly === "no" ? "no" : "yes",
    ...(appendonly === "no" ? {} : { appendfsync: appendonly }),
    "repl-diskless-sync": "yes",
    "repl-diskless-sync-delay": "0",
    ...options.config,
  };
  return launch({ ...options, config });
}

let shared: Promise<RedisServer> | undefined;

/** One server for all tests of this process, which keep to namespaces of their own. It ends with the process. */
export function sharedRedis(): Promise<RedisServer> {
  shared ??= startRedis();
  return shared;
}
