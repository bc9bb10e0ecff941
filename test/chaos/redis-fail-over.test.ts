/**
 * The server that holds the data dies for good, and another takes its place, under load: a replica put
 * there by sentinels, and one of a cluster's three masters that holds some of six shards.
 *
 * A replica may be behind by what was acknowledged in the last moment; that much is gone, and is counted
 * here. What is left is consistent, goes on, and ends; nothing is committed twice.
 *
 * CHAOS_SEED repeats a run's choices (not its timing).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";
import { startCluster, startSentinel } from "../support/redis-server.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { type LoadedRedis, startLoadedRedis } from "./loaded-redis.ts";

const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const CLOCK = systemClock({ keepAlive: true });
const TIMEOUT_MS = 120_000;
const POINTS = 900;
const SHARDS = 6;
const BEFORE_MS = 2_000;

test(`sentinels put a replica in the master's place (CHAOS_SEED=${SEED})`, { timeout: TIMEOUT_MS }, async (t) => {
  const cleanup = cleanups(t);
  const setup = await startSentinel({ config: { appendonly: "yes" } });
  cleanup(() => setup.stop());
  const nodes = setup.sentinels.map(({ host, port }) => `${host}:${port}`).join(",");
  const address = `redis+sentinel://${nodes}/${setup.masterName}`;
  const loaded = await startLoadedRedis(t, { address, random: seededRandom(SEED), points: POINTS, mayForget: true });
  await sleep(CLOCK, BEFORE_MS);
  await setup.master.kill();
  const killedAt = CLOCK.now();
  await eventually("the replica is master", async () => (await setup.currentMaster()) === setup.replica);
  const promotedMs = CLOCK.now() - killedAt;
  await goesOn(loaded);
  t.diagnostic(`promoted after ${promotedMs} ms, work goes on after ${CLOCK.now() - killedAt} ms`);
  t.diagnostic(await theEnd(loaded));
});

test(`a replica takes a cluster master's place (CHAOS_SEED=${SEED})`, { timeout: TIMEOUT_MS }, async (t) => {
  const cleanup = cleanups(t);
  const cluster = await startCluster({ replicas: 1, config: { appendonly: "yes" } });
  cleanup(() => cluster.stop());
  const address = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(",")}`;
  const settings = { shards: SHARDS, namespace: "loaded" };
  const random = seededRandom(SEED);
  const loaded = await startLoadedRedis(t, { address, random, points: POINTS, settings, mayForget: true });
  await sleep(CLOCK, BEFORE_MS);
  const owner = await cluster.ownerOf(`{${settings.namespace}:0}:meta`);
  await owner.kill();
  const killedAt = CLOCK.now();
  await goesOn(loaded);
  t.diagnostic(`work goes on after ${CLOCK.now() - killedAt} ms`);
  t.diagnostic(await theEnd(loaded));
});

/** Something is acknowledged that was not there a moment ago. */
async function goesOn(loaded: LoadedRedis): Promise<void> {
  const before = loaded.acknowledged();
  await eventually("calls are answered again", () => loaded.acknowledged() > before + 20);
}

async function theEnd(loaded: LoadedRedis): Promise<string> {
  const { summary, missing, acknowledged } = await loaded.finish();
  assert.ok(missing.length < acknowledged.length / 2);
  const commits = missing.filter(({ kind }) => kind === "commit").length;
  return `${summary}; lost with the master ${missing.length} acknowledged calls, ${commits} of them commits`;
}
