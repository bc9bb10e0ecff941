/**
 * Workers and a Redis that is out of reach, full, or has nothing to do: what they do meanwhile, and that
 * they consume again by themselves.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { HoldfastError } from "../../src/errors/index.ts";
import { batch } from "../../src/sdk/batch.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { auditBroker } from "../contract/audit.ts";
import { signsAndRests, signsAndWaits } from "../fixtures/redis/tasks.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { describeTimes, readSigns, type RedisWorkers, signed, startRedisWorkers } from "../support/redis-workers.ts";
import { startSwallowingProxy } from "../support/swallowing-proxy.ts";

const CLOCK = systemClock({ keepAlive: true });
const TIMEOUT_MS = 90_000;
/** More than the silence after which a session counts as dead. */
const AWAY_MS = 8_000;
const TASKS = 1_000;
const TASK_MS = 5;
/** Begins before Redis goes and ends before it is back. */
const LONG_TASK_MS = 4_000;
const IDLE_MS = 10_000;
const IDLE_STARTS = 20;

async function lostSessions({ broker }: RedisWorkers): Promise<readonly string[]> {
  const { sessions } = await broker.listSessions({ limit: 100 });
  return sessions.filter(({ state }) => state === "lost").map(({ worker }) => worker);
}

test(
  "Redis is away for 8 s: what was claimed runs, its outcomes wait, and work goes on",
  { timeout: TIMEOUT_MS },
  async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "everysec" });
    cleanup(() => server.stop());
    const world = await startRedisWorkers(t, { address: server.url, workers: 2, settings: { prefetch: 100 } });
    await world.warmUp();
    const [signs, longSigns] = [path.join(world.dir, "signs"), path.join(world.dir, "long")];
    const long = await world.client.submit(batch(signsAndRests, [{ signs: longSigns, forMs: LONG_TASK_MS }]));
    await signed(longSigns, 0);
    const inputs = Array.from({ length: TASKS }, () => ({ signs, forMs: TASK_MS }));
    const execution = await world.client.submit(batch(signsAndRests, inputs));
    await signed(signs, TASKS / 10);
    await server.kill();
    const before = readSigns(signs).length;
    await sleep(CLOCK, AWAY_MS);
    const meanwhile = readSigns(signs).length - before;
    const sinceMs = Date.now();
    await server.restart();
    const next = await signed(signs, before + meanwhile);
    t.diagnostic(
      `${meanwhile} short tasks ran while Redis was away for ${AWAY_MS} ms; the next began ${next.at - sinceMs} ms after its start`,
    );
    for (const one of [long, execution]) {
      const { counters, lostAttempts, refusedOutcomes } = await one.wait();
      assert.deepEqual([counters.completed, lostAttempts, refusedOutcomes], [counters.total, 0, 0]);
    }
    assert.equal(readSigns(longSigns).length, 1, "it ran through the outage, once");
    assert.equal(readSigns(signs).length, TASKS, "each ran once");
    assert.deepEqual(await lostSessions(world), []);
    await auditBroker(world.broker);
  },
);

test(
  "a full Redis takes no new work, but outcomes; when there is room again all goes on",
  { timeout: TIMEOUT_MS },
  async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "everysec" });
    cleanup(() => server.stop());
    const world = await startRedisWorkers(t, { address: server.url, workers: 2 });
    await world.warmUp();
    const [signs, gate] = [path.join(world.dir, "signs"), path.join(world.dir, "gate")];
    const held = await world.client.submit(batch(signsAndWaits, [{ signs, gate }]));
    await signed(signs, 0);
    await server.command("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1000000");
    const more = batch(signsAndRests, [{ signs, forMs: 1 }]);
    await assert.rejects(world.client.submit(more), (error) => HoldfastError.is(error, "STORE_FULL"));
    // A heartbeat that is refused for want of memory would cost the session.
    await sleep(CLOCK, AWAY_MS);
    await writeFile(gate, "");
    const ended = await held.wait();
    assert.deepEqual([ended.state, ended.lostAttempts], ["completed", 0]);
    await assert.rejects(world.client.submit(more), (error) => HoldfastError.is(error, "STORE_FULL"));
    assert.deepEqual(await lostSessions(world), []);
    world.start("joins-a-full-one");
    await server.command("CONFIG", "SET", "maxmemory", "0");
    assert.equal((await (await world.client.submit(more)).wait()).state, "completed");
    await world.warmUp();
    await auditBroker(world.broker);
  },
);

test(
  "a worker behind a partition loses its task to another, whose result alone counts, and recovers by itself",
  { timeout: TIMEOUT_MS },
  async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "everysec" });
    cleanup(() => server.stop());
    const proxy = await startSwallowingProxy(server);
    cleanup(() => proxy.close());
    const world = await startRedisWorkers(t, { address: server.url, workers: 0 });
    const far = world.start("far", `redis://127.0.0.1:${proxy.port}`);
    await world.warmUp();
    const [signs, gate] = [path.join(world.dir, "signs"), path.join(world.dir, "gate")];
    const execution = await world.client.submit(batch(signsAndWaits, [{ signs, gate }]));
    await signed(signs, 0);
    const near = world.start("near");
    const cutAt = Date.now();
    proxy.cut();
    const second = await signed(signs, 1);
    t.diagnostic(`partition → the next attempt begins on a worker that is reachable: ${second.at - cutAt} ms`);
    assert.equal(second.worker, near.name);
    // Both have the gate now; the one behind the partition is done as well and cannot say so.
    await writeFile(gate, "");
    const ended = await execution.wait();
    assert.deepEqual([ended.counters.completed, ended.lostAttempts], [1, 1]);
    const mendedAt = Date.now();
    proxy.mend();
    await eventually("it has a new session", async () => {
      const { sessions } = await world.broker.listSessions({ limit: 10 });
      return sessions.some(
        ({ worker, state, openedAt }) => worker === far.name && state === "live" && openedAt > cutAt,
      );
    });
    t.diagnostic(`mended → it has a session again: ${Date.now() - mendedAt} ms`);
    await world.warmUp();
    const { refusedOutcomes } = await execution.status();
    t.diagnostic(`late outcomes refused: ${refusedOutcomes}`);
    const { rows } = await world.broker.readResults({ executionId: execution.id, limit: 10 });
    assert.deepEqual(
      rows.map(({ worker, attempt }) => ({ worker, attempt })),
      [{ worker: near.name, attempt: 2 }],
    );
    await auditBroker(world.broker);
  },
);

test(
  "an idle worker costs a few commands per second and starts a task within milliseconds",
  { timeout: TIMEOUT_MS },
  async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "everysec" });
    cleanup(() => server.stop());
    const world = await startRedisWorkers(t, { address: server.url, workers: 1 });
    await world.warmUp();
    const alone = await commandsPerSecond(server);
    world.start("second");
    world.start("third");
    await world.warmUp();
    const three = await commandsPerSecond(server);
    const each = (three - alone) / 2;
    const times: number[] = [];
    for (let start = 0; start < IDLE_STARTS; start += 1) {
      const signs = path.join(world.dir, `idle-${start}`);
      const submittedAt = Date.now();
      const execution = await world.client.submit(batch(signsAndRests, [{ signs, forMs: 1 }]));
      times.push((await signed(signs, 0)).at - submittedAt);
      await execution.wait();
    }
    t.diagnostic(
      `calls per second: ${alone.toFixed(1)} by one idle worker, which leads; ${each.toFixed(1)} by each further one. Submit → begun: ${describeTimes(times)}`,
    );
    assert.ok(each < 8);
    assert.ok(alone < 25);
  },
);

/** Calls that clients make, without what scripts do inside. */
async function commandsPerSecond(server: RedisServer): Promise<number> {
  const before = await callsSoFar(server);
  await sleep(CLOCK, IDLE_MS);
  return ((await callsSoFar(server)) - before) / (IDLE_MS / 1_000);
}

const CALLS = /^cmdstat_(?:eval|evalsha|fcall|ping|publish|subscribe|unsubscribe):calls=(\d+)/gm;

async function callsSoFar(server: RedisServer): Promise<number> {
  const stats = String(await server.command("INFO", "commandstats"));
  return [...stats.matchAll(CALLS)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}
