import type { Check } from "../broker/redis/doctor/check.ts";
import type { Settings } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Logger } from "../telemetry/log.ts";
import { systemClock } from "../util/clock.ts";
import { withoutSecrets } from "./broker-address.ts";
import { redisOf } from "./redis-target.ts";

export type { Check } from "../broker/redis/doctor/check.ts";

export interface ExamineBrokerOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  /** Set right what does not add up. */
  readonly repair: boolean;
  /** How long to wait for a server that is not there. */
  readonly giveUpAfterMs: number;
}

/**
 * Looks at the Redis that is the broker of these settings.
 *
 * @throws HoldfastError INVALID_OPTION when it is none: a file is looked at by whoever opens it.
 */
export async function examineBroker(options: ExamineBrokerOptions): Promise<readonly Check[]> {
  const { settings, logger, repair, giveUpAfterMs: patienceMs } = options;
  const target = redisOf(settings);
  if (target === undefined)
    throw new HoldfastError("INVALID_OPTION", {
      option: "--broker",
      value: withoutSecrets(settings.broker),
      expected: "a Redis; a folder needs no doctor, because every process that opens it looks at it first",
    });
  const { namespace } = settings;
  const clock = systemClock({ keepAlive: true });
  // Loaded by the one command that needs it, with its Redis client.
  const { examine } = await import("../broker/redis/doctor/index.ts");
  return examine({ target, namespace, clock, random: Math.random, logger, repair, patienceMs });
}
