/** Brokers as programs get them: on a file, durable, with everything that `holdfast up` puts around it. */
import { randomUUID } from "node:crypto";
import { type EmbeddedBroker, openEmbeddedBroker } from "../src/app/embedded-broker.ts";
import { folderHome } from "../src/app/broker-address.ts";
import type { Broker } from "../src/broker/contract.ts";
import { connectRemoteBroker } from "../src/broker/remote/connect.ts";
import type { BrokerSettings } from "../src/broker/settings.ts";
import { silentLogger } from "../src/telemetry/log.ts";
import { systemClock } from "../src/util/clock.ts";
import { siblingModule } from "../src/util/sibling-module.ts";
import { Child } from "./child.ts";
import { openRedis } from "./peers/open-redis.ts";
import type { RedisPlace } from "./peers/peer.ts";

/** Owned by this process, with the coordinator's duties and the server for other processes. */
export function openBroker(folder: string, settings: Partial<BrokerSettings> = {}): Promise<EmbeddedBroker> {
  return openEmbeddedBroker({
    home: folderHome(folder),
    clock: systemClock({ keepAlive: true }),
    random: Math.random,
    newId: randomUUID,
    logger: silentLogger,
    settings,
    listen: { host: "127.0.0.1", port: 0 },
    mustOwn: true,
  });
}

/** Where a served broker is. */
export interface Place {
  readonly url: string;
  readonly token: string;
}

/** A served broker, or a Redis that is one. */
export function connect(place: Place | RedisPlace): Promise<Broker> {
  if ("port" in place) return openRedis(place);
  return connectRemoteBroker({ url: () => place, clock: systemClock({ keepAlive: true }), random: Math.random });
}

/** What an owner process is asked for. */
export interface OwnerRequest {
  readonly folder: string;
}

export interface OwnerProcess {
  readonly place: Place;
  /** Most memory that it took, so far. */
  peakMb(): number;
  end(): Promise<void>;
}

/** Opens a broker in a process of its own and serves it on a free port. */
export async function startOwner(folder: string): Promise<OwnerProcess> {
  const child = new Child(siblingModule(import.meta.url, "./processes/owner"));
  const place = await child.ask<Place>({ folder } satisfies OwnerRequest);
  return { place, peakMb: () => child.peakMb(), end: () => child.end() };
}
