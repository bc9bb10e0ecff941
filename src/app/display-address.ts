/** Addresses and logs without secrets. */
import { describeTarget } from "../broker/redis/link/target.ts";
import { withoutSecrets } from "./broker-address.ts";
import type { Settings } from "../config/index.ts";
import { parseRedisPlace } from "./redis-address.ts";
import { redisOf } from "./redis-target.ts";

/**
 * The broker that settings name, as it may be printed: without passwords, and by itself enough to
 * find the same place again.
 *
 * @throws HoldfastError INVALID_BROKER_URL, INVALID_SETTING.
 */
export function displayAddress(settings: Settings): string {
  const target = redisOf(settings);
  return target === undefined ? withoutSecrets(settings.broker) : describeTarget(target);
}

/** Texts that must appear in no line of a log: secrets of the settings, and those within addresses. */
export function secretsOf(settings: Settings): string[] {
  const { token, workerSecret, redisPassword, redisSentinelPassword, broker, redisUrl } = settings;
  const inAddresses = [broker, redisUrl ?? ""].flatMap((address) => {
    const { password } = parseRedisPlace(address) ?? {};
    // As it is, and as it stands in the address.
    return password === undefined ? [] : [password, encodeURIComponent(password)];
  });
  const secrets = [token, workerSecret, redisPassword, redisSentinelPassword, ...inAddresses];
  return secrets.filter((secret) => secret !== undefined);
}
