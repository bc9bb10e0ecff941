/** What earlier runs of a workflow took (core/durations.ts), as the submission of the next one sees it. */
import type { Broker } from "../../broker/contract.ts";
import { durationsKey, parseDurations } from "../../core/durations.ts";
import type { Clock } from "../../util/clock.ts";

/** Submissions of one name within this time share a read, milliseconds. */
const CACHED_MS = 30_000;
/** Names kept per broker. */
const MAX_CACHED = 1_000;

interface Cached {
  readonly readAt: number;
  readonly means: Promise<ReadonlyMap<string, number>>;
}

const CACHES = new WeakMap<Pick<Broker, "readValue">, Map<string, Cached>>();

/**
 * Milliseconds by `measuredLabel` of a node's label; empty where nothing is known, and where it cannot
 * be read: a submission does not fail for want of estimates.
 */
export function measuredDurations(
  broker: Pick<Broker, "readValue">,
  name: string,
  clock: Clock,
): Promise<ReadonlyMap<string, number>> {
  const cache = CACHES.get(broker) ?? new Map<string, Cached>();
  CACHES.set(broker, cache);
  const now = clock.now();
  const known = cache.get(name);
  if (known !== undefined && now - known.readAt < CACHED_MS) return known.means;
  cache.delete(name);
  const means = read(broker, name);
  cache.set(name, { readAt: now, means });
  const [oldest] = cache.keys();
  if (cache.size > MAX_CACHED && oldest !== undefined) cache.delete(oldest);
  return means;
}

async function read(broker: Pick<Broker, "readValue">, name: string): Promise<ReadonlyMap<string, number>> {
  try {
    const { value } = await broker.readValue({ key: durationsKey(name) });
    return value === undefined ? new Map() : parseDurations(value.value).means;
  } catch {
    return new Map();
  }
}
