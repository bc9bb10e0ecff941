/** A broker outside of this process, worker processes, and a client: Holdfast as people use it. */
import { startCoordinator } from "../src/coordinator/index.ts";
import type { Broker } from "../src/broker/contract.ts";
import { Client } from "../src/sdk/client.ts";
import { silentLogger } from "../src/telemetry/log.ts";
import { systemClock } from "../src/util/clock.ts";
import { siblingModule } from "../src/util/sibling-module.ts";
import { Child } from "./child.ts";
import type { BenchContext } from "./measure.ts";
import { connect, type Place, startOwner } from "./open.ts";
import type { RedisPlace } from "./peers/peer.ts";
import { RedisServer } from "./peers/redis-server.ts";
import type { RealWorkerRequest } from "./processes/real-worker.ts";

export interface Fleet {
  readonly broker: Broker;
  readonly client: Client;
}

/** `sqlite`: a file, in a process of its own; `redis`: a server with a journal that is synced every second. */
export type Store = "sqlite" | "redis";

/** Runs `action` on a fleet of its own whose workers are up and waiting. */
export async function withFleet<Result>(
  context: BenchContext,
  { workers, store = "sqlite" }: { readonly workers: number; readonly store?: Store },
  action: (fleet: Fleet) => Promise<Result>,
): Promise<Result> {
  return withStore(context, store, async ({ broker, startWorkers }) => {
    await startWorkers(workers);
    return action({ broker, client: new Client({ broker }) });
  });
}

export interface BareStore {
  readonly place: Place | RedisPlace;
  readonly broker: Broker;
  readonly startWorkers: (count: number) => Promise<void>;
  /** What the process that keeps the data takes at most, so far. */
  readonly serverMb: () => Promise<number>;
}

/** Runs `action` on a store of its own that has no workers yet. */
export async function withStore<Result>(
  context: BenchContext,
  store: Store,
  action: (store: BareStore) => Promise<Result>,
): Promise<Result> {
  const opened = await openStore(store, context.folder());
  const children: Child[] = [];
  const startWorkers = async (count: number): Promise<void> => {
    const more = Array.from(
      { length: count },
      () => new Child(siblingModule(import.meta.url, "./processes/real-worker")),
    );
    children.push(...more);
    const requests = more.map((child, index) =>
      child.ask({ place: opened.place, worker: `bench-${index}` } satisfies RealWorkerRequest),
    );
    await Promise.all(requests);
  };
  try {
    return await action({ ...opened, startWorkers });
  } finally {
    await Promise.all(children.map((child) => child.end()));
    await opened.close();
  }
}

interface OpenedStore extends Omit<BareStore, "startWorkers"> {
  close(): Promise<void>;
}

async function openStore(store: Store, folder: string): Promise<OpenedStore> {
  if (store === "sqlite") {
    const owner = await startOwner(folder);
    const broker = await connect(owner.place);
    const close = async (): Promise<void> => {
      await broker.close();
      await owner.end();
    };
    return { place: owner.place, broker, serverMb: () => Promise.resolve(owner.peakMb()), close };
  }
  const server = await RedisServer.start("everysec", folder);
  const broker = await connect(server);
  const clock = systemClock({ keepAlive: true });
  const coordinator = startCoordinator({ broker, clock, random: Math.random, logger: silentLogger, holder: "bench" });
  const close = async (): Promise<void> => {
    await coordinator.stop();
    await broker.close();
    await server.stop();
  };
  return { place: { host: server.host, port: server.port }, broker, serverMb: () => server.peakMb(), close };
}
