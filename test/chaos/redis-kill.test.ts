/**
 * kill -9 of Redis at random moments under load, many times over; it is started again on what it left.
 *
 * Clients and workers in other processes live on and notice nothing but a pause. With every write
 * synced to the disk, all that was acknowledged is there after each death, nothing is committed twice,
 * every execution ends, and the books balance. With a sync per second a death of the process loses
 * nothing either, for the system holds what was written; the crash of its machine is played by cutting
 * the end off the file. Then the last acknowledged calls are gone, and are counted here; but what is
 * left is consistent, goes on, and ends.
 *
 * CHAOS_SEED repeats a run's choices (not its timing), CHAOS_REDIS_KILLS sets the deaths.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { cleanups } from "../fixtures/sdk/scratch.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { seededRandom, wholeBetween } from "../support/seeded-random.ts";
import { startLoadedRedis } from "./loaded-redis.ts";

const KILLS = Number(process.env["CHAOS_REDIS_KILLS"] ?? 6);
const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const LONGEST_LIFE_MS = 800;
const POINTS_PER_KILL = 150;
/** About what a second of this load writes. */
const LONGEST_CUT_BYTES = 200_000;
const CLOCK = systemClock({ keepAlive: true });

for (const appendonly of ["always", "everysec"] as const) {
  test(`nothing acknowledged is lost when Redis (appendfsync ${appendonly}) is killed ${KILLS} times (CHAOS_SEED=${SEED})`, async (t) => {
    const random = seededRandom(SEED);
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly });
    cleanup(() => server.stop());
    const loaded = await startLoadedRedis(t, { address: server.url, random, points: KILLS * POINTS_PER_KILL });
    for (let kill = 0; kill < KILLS; kill += 1) {
      await sleep(CLOCK, random() * LONGEST_LIFE_MS);
      await server.restart();
      assert.deepEqual(await loaded.missing(), []);
    }
    const { summary, missing } = await loaded.finish();
    t.diagnostic(summary);
    assert.deepEqual(missing, []);
  });
}

test(`what is left goes on when the end of the file is cut off with each of ${KILLS} deaths (CHAOS_SEED=${SEED})`, async (t) => {
  const random = seededRandom(SEED);
  const cleanup = cleanups(t);
  const server = await startRedis({ appendonly: "everysec" });
  cleanup(() => server.stop());
  const points = KILLS * POINTS_PER_KILL;
  const loaded = await startLoadedRedis(t, { address: server.url, random, points, mayForget: true });
  let cut = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    await sleep(CLOCK, random() * LONGEST_LIFE_MS);
    await server.kill();
    cut += cutTheEnd(server, wholeBetween(random, 1, LONGEST_CUT_BYTES));
    await server.restart();
  }
  const { summary, missing, acknowledged } = await loaded.finish();
  const commits = missing.filter(({ kind }) => kind === "commit").length;
  t.diagnostic(`${summary}; ${cut} bytes cut off, with them ${missing.length} acknowledged calls, ${commits} of them commits`);
  assert.ok(missing.length < acknowledged.length);
});

const TRANSACTION_END = "*1\r\n$4\r\nEXEC\r\n";

/**
 * Cuts off about so many bytes, but never more than half of what there is, at the end of a transaction. Returns how many.
 *
 * A machine's crash may leave half a transaction as well. Then `redis-check-aof --fix` cuts as is done here, while a server
 * up to 7.0 at least, started on the file as it is, leaves the half in place and performs it with its next restart.
 */
function cutTheEnd({ folder }: RedisServer, bytes: number): number {
  const dir = path.join(folder, "appendonlydir");
  const name = readdirSync(dir).find((one) => one.endsWith(".incr.aof"));
  assert.ok(name !== undefined, "there is a file that grows");
  const file = path.join(dir, name);
  const { size } = statSync(file);
  const end = readFileSync(file).lastIndexOf(TRANSACTION_END, size - Math.min(bytes, Math.floor(size / 2)));
  assert.ok(end > 0);
  truncateSync(file, end + TRANSACTION_END.length);
  return size - end - TRANSACTION_END.length;
}
