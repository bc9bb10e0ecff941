/**
 * The owner of a SQLite file under load, made to be killed.
 *
 * Arguments: one JSON text, OwnerOrders.
 */
import { randomUUID } from "node:crypto";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { systemClock } from "../../src/util/clock.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { Load, type LoadOrders, READY } from "./load.ts";

export interface OwnerOrders extends LoadOrders {
  readonly file: string;
}

/** Sessions of an owner that was killed are soon dead; those of this one are heard of all the time. */
const SETTINGS = { heartbeatMs: 50, deadAfterMs: 300 };

const orders = JSON.parse(process.argv[2] ?? "") as OwnerOrders;
const clock = systemClock({ keepAlive: true });
const random = seededRandom(orders.seed);
const broker = openSqliteBroker({ file: orders.file, clock, random, newId: randomUUID, settings: SETTINGS });
const load = new Load({ orders, broker, clock, random });
process.stdout.write(`${READY}\n`);
await load.run();
await broker.close();
