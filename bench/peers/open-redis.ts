/** The Redis broker as programs open it, on the bench's own server. */
import { shortId } from "../../src/app/short-id.ts";
import type { Broker } from "../../src/broker/contract.ts";
import { openRedisBroker } from "../../src/broker/redis/index.ts";
import { systemClock } from "../../src/util/clock.ts";
import type { RedisPlace } from "./peer.ts";

export function openRedis({ host, port }: RedisPlace): Promise<Broker> {
  return openRedisBroker({
    target: { mode: "standalone", nodes: [{ host, port }], db: 0 },
    clock: systemClock({ keepAlive: true }),
    random: Math.random,
    newId: shortId,
  });
}
