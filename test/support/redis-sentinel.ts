/** A master and its replica, watched by three sentinels that put the replica in its place. */
import { eventually } from "../fixtures/sdk/scratch.ts";
import { infoField, launch, type RedisServer } from "./redis-process.ts";

const SENTINELS = 3;
const QUORUM = "2";
const MASTER_NAME = "holdfast-test";

/** A master that is silent for so long is replaced. */
const DOWN_AFTER_MS = "500";

/** After a failed try, the next one waits for twice as long. */
const FAILOVER_TIMEOUT_MS = "2000";

export interface SentinelOptions {
  /** Further lines of the configuration file of master and replica. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface SentinelSetup {
  /** By what name sentinels know the pair. */
  readonly masterName: string;
  /** The one that is master at the start. */
  readonly master: RedisServer;
  /** The one that is replica at the start. */
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];
  /** The one that the sentinels name as master now. */
  currentMaster(): Promise<RedisServer>;
  /** Ends all and removes their folders. May be called twice. */
  stop(): Promise<void>;
}

/** Starts all five. Resolves when the replica has the master's data and the sentinels know each other and both. */
export async function startSentinel(options: SentinelOptions = {}): Promise<SentinelSetup> {
  const started: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.stop()));
  };
  const start = async (
    config: Readonly<Record<string, string>>,
    flags: readonly string[] = [],
  ): Promise<RedisServer> => {
    const server = await launch({ config, flags });
    started.push(server);
    return server;
  };
  try {
    const data = { save: '""', "repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0", ...options.config };
    const master = await start(data);
    const replica = await start({ ...data, replicaof: `${master.host} ${master.port}` });
    await eventually("the replica has the master's data", async () => {
      return infoField(await replica.command("INFO", "replication"), "master_link_status") === "up";
    });
    const sentinels: RedisServer[] = [];
    for (let count = 0; count < SENTINELS; count += 1) sentinels.push(await start(watching(master), ["--sentinel"]));
    await eventually("the sentinels know each other", () => knowAll(sentinels));
    const currentMaster = async (): Promise<RedisServer> => {
      const port = await masterPort(sentinels);
      return port === replica.port ? replica : master;
    };
    return { masterName: MASTER_NAME, master, replica, sentinels, currentMaster, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function watching(master: RedisServer): Record<string, string> {
  return {
    // All are lines of the one setting "sentinel".
    [`sentinel monitor ${MASTER_NAME}`]: `${master.host} ${master.port} ${QUORUM}`,
    [`sentinel down-after-milliseconds ${MASTER_NAME}`]: DOWN_AFTER_MS,
    [`sentinel failover-timeout ${MASTER_NAME}`]: FAILOVER_TIMEOUT_MS,
  };
}

async function knowAll(sentinels: readonly RedisServer[]): Promise<boolean> {
  const views = await Promise.all(sentinels.map((sentinel) => sentinel.command("SENTINEL", "MASTER", MASTER_NAME)));
  return views.every((view) => {
    const field = (name: string): string | undefined => {
      const flat = view as readonly string[];
      return flat[flat.indexOf(name) + 1];
    };
    return field("num-other-sentinels") === String(SENTINELS - 1) && field("num-slaves") === "1";
  });
}

/** As the first sentinel says that is there. */
async function masterPort(sentinels: readonly RedisServer[]): Promise<number> {
  for (const sentinel of sentinels) {
    const address = await sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME).catch(() => undefined);
    if (address !== undefined) return Number((address as readonly string[])[1]);
  }
  throw new Error("no sentinel answers");
}
