/** Opens the broker on Redis: links to the shards, and what must be agreed on before the first call. */
import { HoldfastError } from "../../errors/index.ts";
import { type Logger, silentLogger } from "../../telemetry/log.ts";
import { type Clock, systemClock } from "../../util/clock.ts";
import type { Broker } from "../contract.ts";
import type { BrokerSettings } from "../settings.ts";
import { configurationProblems } from "./doctor/configuration.ts";
import { openLink } from "./link/link.ts";
import { slotOf } from "./link/slots.ts";
import { describeTarget, type RedisTarget } from "./link/target.ts";
import { RedisBroker } from "./redis-broker.ts";
import { hashTag, Shard } from "./shard.ts";

export type { RedisTarget } from "./link/target.ts";

export interface RedisBrokerOptions {
  readonly target: RedisTarget;
  /** Of calls that wait. The broker's own clock is the server's. */
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Ids of executions and sessions. */
  readonly newId: () => string;
  readonly logger?: Logger;
  /** What all keys begin with. Default `holdfast`. */
  readonly namespace?: string;
  /** Groups of keys over which executions are spread, 1…32. Default 1. All who share a namespace must agree. */
  readonly shards?: number;
  readonly settings?: Partial<BrokerSettings & { readonly socketGraceMs: number }>;
  /** A call that finds no server for this long fails with BROKER_UNREACHABLE. Default 30 s. */
  readonly patienceMs?: number;
  /** The broker's time in place of the server's, milliseconds since 1970: for tests. */
  readonly time?: () => number;
}

const DEFAULT_NAMESPACE = "holdfast";
const DEFAULT_PATIENCE_MS = 30_000;
/**
 * Of the keys; a namespace with a higher number is refused. One of format 1 goes on as it is: what stands in it is known,
 * and gives way to the new as work gets on.
 */
const FORMAT = 2;

/**
 * Connects to every shard.
 *
 * Errors: BROKER_UNREACHABLE, UNAUTHORIZED, STORE_TOO_NEW, STORE_UNFIT (the server would lose keys, or is too
 * old), SHARDS_DIFFER.
 */
export async function openRedisBroker(options: RedisBrokerOptions): Promise<Broker> {
  const { shards: count = 1, time, newId, clock } = options;
  const shards = await openShards(options, count);
  try {
    const home = shards[0] as Shard;
    await checkServer(home, options);
    for (const shard of shards) await agree(shard, count, options);
    return new RedisBroker({
      shards,
      clock,
      newId,
      durable: home.link.server.appendonly === true,
      listeningMs: time === undefined ? listening(systemClock()) : () => Infinity,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    });
  } catch (thrown) {
    await Promise.all(shards.map(({ link }) => link.close()));
    throw thrown;
  }
}

async function openShards(options: RedisBrokerOptions, count: number): Promise<Shard[]> {
  const { target, random, time, namespace = DEFAULT_NAMESPACE, patienceMs = DEFAULT_PATIENCE_MS } = options;
  const { logger = silentLogger } = options;
  const clock = systemClock({ keepAlive: true });
  const url = describeTarget(target);
  const opening = Array.from({ length: count }, async (_, no) => {
    const slot = slotOf(hashTag(namespace, no));
    const name = `holdfast-${process.pid}`;
    const link = await openLink({ target, slot, name, clock, random, logger, patienceMs });
    return new Shard({ no, link, namespace, url, patienceMs, clock, random, time });
  });
  const opened = await Promise.allSettled(opening);
  const shards = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = opened.find((one) => one.status === "rejected");
  if (failed === undefined) return shards;
  await Promise.all(shards.map(({ link }) => link.close()));
  throw failed.reason;
}

/** A server that drops keys breaks every promise; one that forgets is the operator's choice, and is warned about. */
async function checkServer({ link }: Shard, { target, logger = silentLogger }: RedisBrokerOptions): Promise<void> {
  for (const { name, verdict, found, advice } of await configurationProblems(link)) {
    if (verdict === "problem") {
      throw new HoldfastError("STORE_UNFIT", {
        url: describeTarget(target),
        problem: `${found} ${advice ?? ""}`.trim(),
      });
    }
    logger.warn({ check: name, found, advice }, "the redis server is not set up well");
  }
}

/** The first to come writes what all others must agree with. */
async function agree(shard: Shard, count: number, { target }: RedisBrokerOptions): Promise<void> {
  const key = `${shard.prefix}meta`;
  for (const [field, value] of [
    ["format", FORMAT],
    ["shard", shard.no],
    ["shards", count],
  ] as const) {
    await shard.send("HSETNX", key, field, String(value));
  }
  const [format = 0, shards = 0] = ((await shard.send("HMGET", key, "format", "shards")) as string[]).map(Number);
  const url = describeTarget(target);
  if (format > FORMAT) throw new HoldfastError("STORE_TOO_NEW", { file: url, found: format, known: FORMAT });
  if (shards !== count) throw new HoldfastError("SHARDS_DIFFER", { url, found: shards, wanted: count });
  // From now on a Holdfast of before is refused.
  if (format < FORMAT) await shard.send("HSET", key, "format", String(FORMAT));
}

/** Since when both the server and our connection to it have been there without a break. */
function listening(clock: Clock): (shard: Shard) => number {
  return ({ link }) => clock.now() - Math.max(link.connectedAt, link.server.startedAt);
}
