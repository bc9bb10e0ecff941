/**
 * Removes all keys of one namespace: what a demo or a test leaves behind. Keys of other namespaces,
 * and of other programs in the same Redis, are never touched.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Clock } from "../../util/clock.ts";
import { type Link, LinkBroken, openLink } from "./link/link.ts";
import { slotOf } from "./link/slots.ts";
import { describeTarget, type RedisTarget } from "./link/target.ts";
import { hashTag, keyPrefix } from "./shard.ts";

export interface RemoveNamespaceOptions {
  readonly target: RedisTarget;
  readonly namespace: string;
  readonly shards: number;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly patienceMs: number;
}

/** Keys that the server looks at per portion. */
const KEYS_PER_SCAN = 1_000;

/** Errors: BROKER_UNREACHABLE, UNAUTHORIZED. */
export async function removeNamespace(options: RemoveNamespaceOptions): Promise<void> {
  const { target, namespace, shards, clock, random, logger, patienceMs } = options;
  for (let shard = 0; shard < shards; shard += 1) {
    const slot = slotOf(hashTag(namespace, shard));
    const link = await openLink({ target, slot, name: "holdfast-cleanup", clock, random, logger, patienceMs });
    try {
      await removeShard(link, `${keyPrefix(namespace, shard)}*`);
    } catch (thrown) {
      if (!(thrown instanceof LinkBroken)) throw thrown;
      const details = { url: describeTarget(target), problem: thrown.message };
      throw new HoldfastError("BROKER_UNREACHABLE", details, { cause: thrown });
    } finally {
      await link.close();
    }
  }
}

async function removeShard(link: Link, pattern: string): Promise<void> {
  let cursor = "0";
  do {
    const reply = await link.send(["SCAN", cursor, "MATCH", pattern, "COUNT", String(KEYS_PER_SCAN)]);
    const [next, keys] = reply as [string, string[]];
    if (keys.length > 0) await link.send(["UNLINK", ...keys]);
    cursor = next;
  } while (cursor !== "0");
}
