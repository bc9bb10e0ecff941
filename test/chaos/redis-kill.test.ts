/**
 * kill -9 of Redis at random moments under load, many times over; it is started again on what it left.
 *
 * Clients and workers in other processes live on and notice nothing but a pause. With every write
 * synced to the disk, all that was acknowledged is there after each death, nothing is committed twice,
 * every execution ends, and the books balance. With a sync per second Redis acknowledges for up to two
 * seconds what it has not written yet while a sync takes long, and the crash of a machine, played here by
 * cutting the end off the file, takes more: the last acknowledged calls are gone, and are counted here;
 * but what is left is consistent, goes on, and ends.
 *
 * CHAOS_SEED repeats a run's choices (not its timing), CHAOS_REDIS_KILLS sets the deaths.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { type Check, examineBroker } from "../../src/app/examine-broker.ts";
import { defaultSettings } from "../../src/config/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { cleanups } from "../fixtures/sdk/scratch.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { seededRandom, wholeBetween } from "../support/seeded-random.ts";
import { startLoadedRedis } from "./loaded-redis.ts";

const KILLS = Number(process.env["CHAOS_REDIS_KILLS"] ?? 6);
const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const LONGEST_LIFE_MS = 800;
const TIMEOUT_MS = 120_000;
const TORN_KILLS = 3;
const MOST_TRANSACTIONS_CUT = 200;
const POINTS_PER_KILL = 150;
/** About what a second of this load writes. */
const LONGEST_CUT_BYTES = 200_000;
const CLOCK = systemClock({ keepAlive: true });

for (const appendonly of ["always", "everysec"] as const) {
  const mayForget = appendonly !== "always";
  const what = mayForget ? "what is left goes on" : "nothing acknowledged is lost";
  const limits = { timeout: TIMEOUT_MS + KILLS * 10_000 };
  test(
    `${what} when Redis (appendfsync ${appendonly}) is killed ${KILLS} times (CHAOS_SEED=${SEED})`,
    limits,
    async (t) => {
      const random = seededRandom(SEED);
      const cleanup = cleanups(t);
      const server = await startRedis({ appendonly });
      cleanup(() => server.stop());
      const points = KILLS * POINTS_PER_KILL;
      const loaded = await startLoadedRedis(t, { address: server.url, random, points, mayForget });
      let torn = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        await sleep(CLOCK, random() * LONGEST_LIFE_MS);
        await server.kill();
        if (fixTheEnd(server)) torn += 1;
        await server.restart();
        if (!mayForget) assert.deepEqual(await loaded.missing(), []);
      }
      const { summary, missing } = await loaded.finish();
      t.diagnostic(
        `${summary}; ${missing.length} are gone; ${torn} deaths left half a transaction at the end of the file`,
      );
      if (!mayForget) assert.deepEqual(missing, []);
    },
  );
}

test(
  `what is left goes on when the end of the file is cut off with each of ${KILLS} deaths (CHAOS_SEED=${SEED})`,
  { timeout: TIMEOUT_MS + KILLS * 10_000 },
  async (t) => {
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
    t.diagnostic(
      `${summary}; ${cut} bytes cut off, with them ${missing.length} acknowledged calls, ${commits} of them commits`,
    );
    assert.ok(missing.length < acknowledged.length);
  },
);

test(
  `the doctor mends what half a transaction at the end of the file has done (CHAOS_SEED=${SEED})`,
  { timeout: TIMEOUT_MS },
  async (t) => {
    const random = seededRandom(SEED);
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "everysec" });
    cleanup(() => server.stop());
    const points = TORN_KILLS * POINTS_PER_KILL;
    const loaded = await startLoadedRedis(t, { address: server.url, random, points, mayForget: true });
    for (let kill = 0; kill < TORN_KILLS; kill += 1) {
      await sleep(CLOCK, LONGEST_LIFE_MS);
      await server.kill();
      tearTheEnd(server, random);
      await server.restart();
    }
    const found: string[] = [];
    const { summary, missing } = await loaded.finish(async () => {
      for (const { name, repaired } of await examined(server, true))
        if (repaired !== undefined) found.push(`${name}: ${repaired}`);
    });
    t.diagnostic(`the doctor mended: ${found.join("; ") || "nothing"}`);
    t.diagnostic(`${summary}; ${missing.length} of the calls are not there`);
    const left = (await examined(server, false)).filter(({ verdict }) => verdict === "problem");
    assert.deepEqual(left, []);
  },
);

function examined(server: RedisServer, repair: boolean): Promise<readonly Check[]> {
  const settings = { ...defaultSettings(), broker: server.url, namespace: "loaded" };
  return examineBroker({ settings, logger: silentLogger, repair, giveUpAfterMs: 10_000 });
}

/**
 * What an operator's start script does: cuts off half a transaction at the end of the file, which a server left to itself
 * would keep (see tearTheEnd). Returns whether there was one.
 */
function fixTheEnd({ folder }: RedisServer): boolean {
  const manifest = path.join(folder, "appendonlydir", "appendonly.aof.manifest");
  const { status, stdout } = spawnSync("redis-check-aof", ["--fix", manifest], { input: "y\n", encoding: "utf8" });
  assert.equal(status, 0, stdout);
  return /Successfully truncated/.test(stdout);
}

const TRANSACTION_END = "*1\r\n$4\r\nEXEC\r\n";
const TRANSACTION_START = "*1\r\n$5\r\nMULTI\r\n";

function growingFile({ folder }: RedisServer): string {
  const dir = path.join(folder, "appendonlydir");
  const name = readdirSync(dir).find((one) => one.endsWith(".incr.aof"));
  assert.ok(name !== undefined, "there is a file that grows");
  return path.join(dir, name);
}

/** Cuts off about so many bytes, but never more than half of what there is, at the end of a transaction. Returns how many. */
function cutTheEnd(server: RedisServer, bytes: number): number {
  const file = growingFile(server);
  const { size } = statSync(file);
  const end = readFileSync(file).lastIndexOf(TRANSACTION_END, size - Math.min(bytes, Math.floor(size / 2)));
  assert.ok(end > 0);
  truncateSync(file, end + TRANSACTION_END.length);
  return size - end - TRANSACTION_END.length;
}

/**
 * Cuts through one of the last transactions. `redis-check-aof --fix` would remove the half that is left; a server that is
 * started on the file as it is (7.0, and others until Valkey's pull request 4342) leaves it in place, adds to it what it
 * writes then, and performs the lot with its next start.
 */
function tearTheEnd(server: RedisServer, random: () => number): void {
  const file = growingFile(server);
  const bytes = readFileSync(file);
  let start = bytes.length;
  for (let back = wholeBetween(random, 1, MOST_TRANSACTIONS_CUT); back > 0; back -= 1)
    start = bytes.lastIndexOf(TRANSACTION_START, start - 1);
  const end = bytes.indexOf(TRANSACTION_END, start);
  assert.ok(start > 0 && end > start);
  truncateSync(file, wholeBetween(random, start + TRANSACTION_START.length, end - 1));
}
