/**
 * From an address to a broker: the one place where it is decided which kind serves it.
 */
import type { Broker } from "../broker/contract.ts";
import { instrument } from "../broker/instrumented.ts";
import { connectRemoteBroker, type Whereabouts } from "../broker/remote/connect.ts";
import type { Settings } from "../config/index.ts";
import { type Logger, silentLogger } from "../telemetry/log.ts";
import { createCallMetrics } from "../telemetry/metrics.ts";
import { systemClock } from "../util/clock.ts";
import { shortId } from "./short-id.ts";
import {
  type BrokerHome,
  DEFAULT_BROKER_FOLDER,
  folderHome,
  parseBrokerAddress,
  type RedisBrokerAddress,
} from "./broker-address.ts";
import { coordinated } from "./coordinated.ts";
import { type EmbeddedBroker, findOwner, openEmbeddedBroker } from "./embedded-broker.ts";
import { redisTarget } from "./redis-target.ts";
import { brokerSettings, processSettings } from "./settings.ts";

export interface OpenEmbeddedOptions {
  /** The folder of the database. Default `./.holdfast`. */
  readonly dir?: string;
  /** In place of `dir`: the file itself and its owner's note. */
  readonly home?: BrokerHome;
  /** Default: those of the process (settings file and environment). */
  readonly settings?: Settings;
  readonly logger?: Logger;
  /** Where other processes reach the owner. Default 127.0.0.1, any free port. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** What they must know. Default: a random token that only this user can read, in the owner's note. */
  readonly token?: string;
  /** Refuse with BROKER_OWNED where another process owns the file, instead of joining it. */
  readonly mustOwn?: boolean;
  /** A call that found no owner for this long fails with BROKER_UNREACHABLE. Default 30 s. */
  readonly giveUpAfterMs?: number;
}

/**
 * Opens the broker of a folder in this process: as its owner, or as the guest of the process that
 * owns it. It survives the death of the owner.
 *
 * @throws HoldfastError STORE_TOO_NEW, STORE_CORRUPT, STORE_FULL, STORE_FAILED, LISTEN_FAILED,
 * BROKER_UNREACHABLE; BROKER_OWNED with `mustOwn`.
 * @example const broker = await openEmbedded({ dir: ".holdfast" });
 */
export async function openEmbedded(options: OpenEmbeddedOptions = {}): Promise<EmbeddedBroker> {
  const settings = options.settings ?? processSettings();
  const { token, mustOwn, giveUpAfterMs } = options;
  return openEmbeddedBroker({
    home: options.home ?? folderHome(options.dir ?? DEFAULT_BROKER_FOLDER),
    clock: systemClock({ keepAlive: true }),
    random: Math.random,
    newId: shortId,
    logger: options.logger ?? silentLogger,
    settings: brokerSettings(settings),
    socketGraceMs: settings.socketGraceMs,
    listen: options.listen ?? { host: "127.0.0.1", port: 0 },
    ...(token === undefined ? {} : { token }),
    ...(mustOwn === undefined ? {} : { mustOwn }),
    ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
  });
}

export interface OpenBrokerOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  /** False: join the owner of a file, but never own it. Default true. */
  readonly mayOwn?: boolean;
  readonly giveUpAfterMs?: number;
  /**
   * Run the coordinator's duties here, where the broker is a store that no process owns. For
   * processes that stay: as long as one of them lives, no death goes unnoticed. Default false.
   */
  readonly coordinate?: boolean;
}

/**
 * The broker at an address: a folder, `sqlite:FILE`, a server (over its WebSocket, which any of the
 * listed servers may serve), or a Redis.
 *
 * @throws HoldfastError INVALID_BROKER_URL, INVALID_SETTING, BROKER_UNREACHABLE, UNAUTHORIZED, and
 * those of openEmbedded and openRedisBroker.
 */
export async function openBroker(address: string, options: OpenBrokerOptions): Promise<Broker> {
  const { settings, logger, giveUpAfterMs } = options;
  const parsed = parseBrokerAddress(address);
  if (parsed.kind === "redis") return openRedis(parsed, options);
  const patience = giveUpAfterMs === undefined ? {} : { giveUpAfterMs };
  if (parsed.kind === "home" && options.mayOwn !== false)
    return openEmbedded({ home: parsed, settings, logger, ...patience });
  const whereabouts = parsed.kind === "home" ? () => findOwner(parsed) : anyServer(parsed.urls, settings.token ?? "");
  return connectRemoteBroker({
    url: whereabouts,
    clock: systemClock({ keepAlive: true }),
    random: Math.random,
    logger,
    ...patience,
  });
}

/**
 * Servers on one store are equal: the first attempt to connect goes to any of them, and each further
 * one to the next, except that a connection that was cut is first tried where it was.
 */
function anyServer(urls: readonly string[], token: string): Whereabouts {
  let at = Math.floor(Math.random() * urls.length);
  return ({ isReturn }) => {
    if (!isReturn) at = (at + 1) % urls.length;
    return { url: urls[at] as string, token };
  };
}

async function openRedis(address: RedisBrokerAddress, options: OpenBrokerOptions): Promise<Broker> {
  const { settings, logger, giveUpAfterMs: patienceMs, coordinate } = options;
  const { namespace, shards, socketGraceMs } = settings;
  const clock = systemClock({ keepAlive: true });
  // Loaded by those who use it: a worker on a folder starts without a Redis client.
  const { openRedisBroker } = await import("../broker/redis/index.ts");
  const store = await openRedisBroker({
    target: redisTarget(address, settings),
    clock,
    random: Math.random,
    newId: shortId,
    logger,
    namespace,
    shards,
    settings: { ...brokerSettings(settings), socketGraceMs },
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  const broker = instrument(store, { logger, metrics: createCallMetrics(), clock });
  if (coordinate !== true) return broker;
  return coordinated(broker, { clock, random: Math.random, logger, holder: `${process.pid}-${shortId()}` });
}
