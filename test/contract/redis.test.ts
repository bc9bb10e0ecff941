/**
 * The Redis broker keeps the contract, on a real server. Each case has a namespace of its own and
 * lives by the virtual clock, which the broker hands to the server in place of the server's time.
 */
import { openRedisBroker } from "../../src/broker/redis/index.ts";
import { sharedRedis } from "../support/redis-server.ts";
import { brokerContract } from "./broker-contract.ts";

let worlds = 0;

brokerContract(
  "redis",
  async ({ clock, ...ingredients }) => {
    const { host, port } = await sharedRedis();
    worlds += 1;
    const broker = await openRedisBroker({
      target: { mode: "standalone", nodes: [{ host, port }], db: 0 },
      namespace: `contract-${worlds}`,
      clock,
      time: () => clock.now(),
      ...ingredients,
    });
    return { broker, close: () => broker.close() };
  },
  { propertyRuns: 6 },
);
