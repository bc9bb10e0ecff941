/** Brokers with two workers in this process, whose runners are real, for workflows of every kind of node. */
import { randomUUID } from "node:crypto";
import { after, before } from "node:test";
import type { Broker } from "../../src/broker/contract.ts";
import { openRedisBroker } from "../../src/broker/redis/index.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { Client } from "../../src/sdk/client.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { Worker } from "../../src/worker/index.ts";
import { sharedRedis } from "./redis-server.ts";

const clock = systemClock({ keepAlive: true });
const ingredients = { clock, random: Math.random, newId: randomUUID };

export const STORES: Readonly<Record<string, () => Promise<Broker>>> = {
  sqlite: async () => openSqliteBroker({ file: ":memory:", ...ingredients }),
  redis: async () => {
    const { host, port } = await sharedRedis();
    const target = { mode: "standalone", nodes: [{ host, port }], db: 0 } as const;
    return openRedisBroker({ target, namespace: `workflows-${randomUUID()}`, ...ingredients });
  },
};

/** Filled before the first test of the suite that asked for it. */
export interface WorkflowWorld {
  broker: Broker;
  client: Client;
}

/** For the suite in which it is called. */
export function workflowWorld(open: () => Promise<Broker>): WorkflowWorld {
  const world = {} as WorkflowWorld;
  const workers: Worker[] = [];
  let cancelDuty = (): void => undefined;

  before(async () => {
    const broker = await open();
    Object.assign(world, { broker, client: new Client({ broker, clock }) });
    const scheduleDuty = (): void => {
      cancelDuty = clock.schedule(10, () => {
        broker.promoteDue({ limit: 1_000 }).catch(() => undefined);
        scheduleDuty();
      });
    };
    scheduleDuty();
    const profile = { pools: ["default"], capabilities: ["cpu"], slots: 1 };
    for (const worker of ["a", "b"])
      workers.push(new Worker({ broker, profile: { worker, ...profile }, settings: {}, logger: silentLogger, clock }));
    await Promise.all(workers.map((worker) => worker.start()));
  });

  after(async () => {
    await Promise.all(workers.map((worker) => worker.drain()));
    cancelDuty();
    await world.broker.close();
  });

  return world;
}
