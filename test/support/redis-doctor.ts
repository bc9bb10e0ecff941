/** The data half of the doctor on a namespace of a test server. */
import { openLink } from "../../src/broker/redis/link/link.ts";
import { slotOf } from "../../src/broker/redis/link/slots.ts";
import type { RedisTarget } from "../../src/broker/redis/link/target.ts";
import type { Check } from "../../src/broker/redis/doctor/check.ts";
import { dataChecks } from "../../src/broker/redis/doctor/data.ts";
import { hashTag, Shard } from "../../src/broker/redis/shard.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { seededRandom } from "./seeded-random.ts";

export interface DoctorOptions {
  readonly target: RedisTarget;
  readonly namespace: string;
  readonly shards?: number;
  /** The broker's time, where it is not the server's. */
  readonly time?: () => number;
}

export interface Doctor {
  /** All checks of what lies there. */
  examine(how?: { readonly repair?: boolean }): Promise<readonly Check[]>;
  close(): Promise<void>;
}

/** One with connections of its own, which looks as often as it is asked. */
export async function openDoctor(options: DoctorOptions): Promise<Doctor> {
  const { target, namespace, time } = options;
  const clock = systemClock({ keepAlive: true });
  const random = seededRandom(1);
  const shards: Shard[] = [];
  const close = async (): Promise<void> => void (await Promise.all(shards.map(({ link }) => link.close())));
  try {
    for (let no = 0; no < (options.shards ?? 1); no += 1) {
      const slot = slotOf(hashTag(namespace, no));
      const link = await openLink({ target, slot, name: "doctor-test", clock, random, logger: silentLogger });
      shards.push(new Shard({ no, link, namespace, url: "test", patienceMs: 5_000, clock, random, time }));
    }
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return { examine: ({ repair = false } = {}) => dataChecks({ shards, repair }), close };
}

/** All checks, once. */
export async function examineData(options: DoctorOptions): Promise<readonly Check[]> {
  const doctor = await openDoctor(options);
  try {
    return await doctor.examine();
  } finally {
    await doctor.close();
  }
}

/** What is not well, by the name of its check. */
export function findingsOf(checks: readonly Check[]): Record<string, string> {
  const bad = checks.filter(({ verdict }) => verdict !== "ok");
  return Object.fromEntries(bad.map(({ name, found }) => [name, found]));
}
