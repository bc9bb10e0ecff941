/**
 * A look at the Redis that a broker lives in: is it set up well, is it well, and does what lies in it
 * add up.
 *
 * Looking changes nothing. With `repair`, what does not add up is set right where that is safe beside
 * running workers.
 */
import { HoldfastError } from "../../../errors/index.ts";
import type { Logger } from "../../../telemetry/log.ts";
import type { Clock } from "../../../util/clock.ts";
import { type Link, LinkBroken, openLink } from "../link/link.ts";
import { slotOf } from "../link/slots.ts";
import { describeTarget, type RedisTarget } from "../link/target.ts";
import { hashTag, keyPrefix, Shard } from "../shard.ts";
import { clockCheck, clusterChecks, conditionChecks, latencyCheck } from "./condition.ts";
import { type Check, ok } from "./check.ts";
import { configurationChecks } from "./configuration.ts";
import { dataChecks } from "./data.ts";
import { readServerTexts } from "./server-texts.ts";

export interface ExamineOptions {
  readonly target: RedisTarget;
  readonly namespace: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly repair: boolean;
  /** How long to wait for a server that is not there. */
  readonly patienceMs: number;
}

/** Errors: BROKER_UNREACHABLE, UNAUTHORIZED. */
export async function examine(options: ExamineOptions): Promise<readonly Check[]> {
  const { target, namespace, clock, random, logger, patienceMs } = options;
  const slot = slotOf(hashTag(namespace, 0));
  const link = await openLink({ target, slot, name: "holdfast-doctor", clock, random, logger, patienceMs });
  try {
    return await examineOver(link, options);
  } catch (thrown) {
    if (!(thrown instanceof LinkBroken)) throw thrown;
    const details = { url: describeTarget(target), problem: thrown.message };
    throw new HoldfastError("BROKER_UNREACHABLE", details, { cause: thrown });
  } finally {
    await link.close();
  }
}

async function examineOver(link: Link, options: ExamineOptions): Promise<readonly Check[]> {
  const { target, clock } = options;
  const texts = await readServerTexts(link);
  return [
    ...configurationChecks(texts),
    ...conditionChecks(texts),
    ...(target.mode === "cluster" ? await clusterChecks(link) : []),
    await clockCheck(link, clock),
    await latencyCheck(link),
    ...(await examineData(link, options)),
  ];
}

/** What lies there, in all shards: the first one says how many there are. */
async function examineData(home: Link, options: ExamineOptions): Promise<readonly Check[]> {
  const { target, namespace, clock, random, logger, repair, patienceMs } = options;
  const count = await home.send(["HGET", `${keyPrefix(namespace, 0)}meta`, "shards"]);
  if (count === null) return [ok("Data", `Nothing lies in namespace ${namespace}.`)];
  const url = describeTarget(target);
  const links: Link[] = [];
  try {
    const shards: Shard[] = [];
    for (let no = 0; no < Number(count); no += 1) {
      const slot = slotOf(hashTag(namespace, no));
      const link = await openLink({ target, slot, name: "holdfast-doctor", clock, random, logger, patienceMs });
      links.push(link);
      shards.push(new Shard({ no, link, namespace, url, patienceMs, clock, random, time: undefined }));
    }
    return await dataChecks({ shards, repair });
  } finally {
    await Promise.all(links.map((link) => link.close()));
  }
}
