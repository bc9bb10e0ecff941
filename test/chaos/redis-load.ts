/**
 * A process that loads a Redis broker, and lives on while the server dies: SIGTERM ends it in order.
 *
 * Arguments: one JSON text, RedisLoadOrders. Its exit code is 0 when no call failed.
 */
import { openBroker } from "../../src/app/open-broker.ts";
import { defaultSettings, type Settings } from "../../src/config/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { Load, type LoadOrders, READY } from "./load.ts";

export interface RedisLoadOrders extends LoadOrders {
  readonly address: string;
  readonly settings: Partial<Settings>;
}

const orders = JSON.parse(process.argv[2] ?? "") as RedisLoadOrders;
const clock = systemClock({ keepAlive: true });
const random = seededRandom(orders.seed);
const broker = await openBroker(orders.address, {
  settings: { ...defaultSettings(), ...orders.settings },
  logger: silentLogger,
});
const load = new Load({ orders, broker, clock, random });
process.once("SIGTERM", () => load.stop());
process.stdout.write(`${READY}\n`);
await load.run();
await broker.close();
