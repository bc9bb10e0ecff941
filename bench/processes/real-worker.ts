/** A worker as `holdfast worker` runs it: supervisor, heartbeat, warm runner processes. */
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { Worker } from "../../src/worker/index.ts";
import { serveRequests } from "../child.ts";
import { connect, type Place } from "../open.ts";
import type { RedisPlace } from "../peers/peer.ts";

export interface RealWorkerRequest {
  readonly place: Place | RedisPlace;
  readonly worker: string;
}

const cleanUps: (() => Promise<unknown>)[] = [];

serveRequests(
  async ({ place, worker }: RealWorkerRequest) => {
    const broker = await connect(place);
    const started = new Worker({
      broker,
      profile: { worker, pools: ["default"], capabilities: ["cpu"], slots: 1 },
      settings: {},
      logger: silentLogger,
      clock: systemClock({ keepAlive: true }),
    });
    await started.start();
    cleanUps.push(
      () => started.drain(),
      () => broker.close(),
    );
  },
  async () => {
    for (const cleanUp of cleanUps) await cleanUp();
  },
);
