import type { Settings } from "../config/index.ts";
import type { Logger } from "../telemetry/log.ts";
import { systemClock } from "../util/clock.ts";
import { redisOf } from "./redis-target.ts";

const PATIENCE_MS = 5_000;

/** Removes the namespace of these settings from the Redis that is their broker, and nothing else there. */
export async function removeRedisNamespace(settings: Settings, logger: Logger): Promise<void> {
  const target = redisOf(settings);
  if (target === undefined) return;
  const { namespace, shards } = settings;
  const clock = systemClock({ keepAlive: true });
  const { removeNamespace } = await import("../broker/redis/remove-namespace.ts");
  await removeNamespace({ target, namespace, shards, clock, random: Math.random, logger, patienceMs: PATIENCE_MS });
}
