/**
 * Workflows of every kind of node while their workers are killed, again and again, wherever they are:
 * every execution comes to its output, every result is committed once.
 *
 * CHAOS_WORKFLOWS sets the number of executions, CHAOS_KILLS that of the kills. The seed is printed.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test, type TestContext } from "node:test";
import { startLocalWorkers } from "../../src/app/local-workers.ts";
import { openBroker } from "../../src/app/open-broker.ts";
import type { Broker } from "../../src/broker/contract.ts";
import { defaultSettings, type Settings } from "../../src/config/index.ts";
import { Client } from "../../src/sdk/client.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { collect } from "../fixtures/sdk/collect.ts";
import { cleanups } from "../fixtures/sdk/scratch.ts";
import { startWorld, type World } from "../fixtures/sdk/world.ts";
import { everything } from "../fixtures/worker/flows.ts";
import { sharedRedis } from "../support/redis-server.ts";
import { seededRandom } from "../support/seeded-random.ts";

const WORKFLOWS = Number(process.env["CHAOS_WORKFLOWS"] ?? 30);
const SEED = Number(process.env["CHAOS_SEED"] ?? Date.now() % 1_000_000);
const KILLS = Number(process.env["CHAOS_KILLS"] ?? 8);
const KILL_EVERY_MS = 600;
const LOOK_EVERY_MS = 5;
const WORKERS = 4;
const COMPLETED_BETWEEN = 2 * WORKERS;

const STORES: Readonly<Record<string, (t: TestContext) => Promise<KillableWorld>>> = {
  sqlite: (t: TestContext) => startWorld(t, { workers: WORKERS, restart: true }),
  redis: startRedisWorld,
};

interface KillableWorld extends Pick<World, "client" | "pool"> {
  readonly broker: Broker;
}

async function startRedisWorld(t: TestContext): Promise<KillableWorld> {
  const cleanup = cleanups(t);
  const { url: address } = await sharedRedis();
  const settings: Partial<Settings> = { graceMs: 500, namespace: `kills-${randomUUID()}` };
  const broker = await openBroker(address, { settings: { ...defaultSettings(), ...settings }, logger: silentLogger });
  const client = new Client({ broker });
  cleanup(() => client.close());
  const pool = startLocalWorkers({ address, count: WORKERS, namePrefix: "w", restart: true, settings, broker });
  cleanup(() => pool.stop({ patienceMs: 5_000 }));
  return { broker, client, pool };
}

for (const [store, start] of Object.entries(STORES)) {
  const title = `workflows on ${store} come to their outputs while workers are killed`;
  test(title, { timeout: 120_000 }, (t) => killWorkers(t, start));
}

async function killWorkers(t: TestContext, start: (t: TestContext) => Promise<KillableWorld>) {
  t.diagnostic(`CHAOS_SEED=${SEED}`);
  const random = seededRandom(SEED);
  const clock = systemClock({ keepAlive: true });
  const { client, pool, broker } = await start(t);
  const executions = await Promise.all(Array.from({ length: WORKFLOWS }, () => client.submit(everything)));
  const over = new AbortController();
  let kills = 0;
  const completed = async (): Promise<number> => {
    const { executions: views } = await broker.listExecutions({ limit: WORKFLOWS });
    return views.reduce((sum, { counters }) => sum + counters.completed, 0);
  };
  const killing = (async () => {
    let atLeast = 0;
    while (!over.signal.aborted && kills < KILLS) {
      const { sessions } = await broker.listSessions({ limit: 100, live: true });
      const busy = new Set(sessions.filter(({ leases }) => leases > 0).map(({ worker }) => worker));
      // Else the same task may die with three workers in a row, which is for good.
      if ((await completed()) < atLeast) {
        await sleep(clock, LOOK_EVERY_MS);
        continue;
      }
      const victims = pool.workers.filter(({ name }) => busy.has(name));
      const victim = victims[Math.floor(random() * victims.length)];
      if (victim?.kill("SIGKILL") === true) {
        kills += 1;
        atLeast = (await completed()) + COMPLETED_BETWEEN;
      }
      const pauseMs = victim === undefined ? LOOK_EVERY_MS : KILL_EVERY_MS * (0.5 + random());
      await sleep(clock, pauseMs, over.signal).catch(() => undefined);
    }
  })();
  killing.catch(() => undefined); // looked at below
  for (const [index, execution] of executions.entries()) {
    await sleep(clock, 100 * random());
    await execution.signal("go", { by: String(index) });
  }
  const statuses = await Promise.all(executions.map((execution) => execution.wait()));
  over.abort();
  await killing;
  t.diagnostic(`${kills} kills, ${statuses.reduce((sum, { lostAttempts }) => sum + lostAttempts, 0)} attempts lost`);
  assert.ok(kills > 0);
  for (const [index, execution] of executions.entries()) {
    assert.deepEqual(await execution.output(), {
      shell: { of: "staging" },
      part: { total: 60, label: "x" },
      go: { by: String(index) },
      last: 8,
      never: null,
    });
    const results = await collect(execution.results());
    const numbers = results.map((result) => result.index);
    assert.equal(new Set(numbers).size, numbers.length, "each result is committed once");
    const { tasks } = await broker.listTasks({ executionId: execution.id, limit: 100 });
    assert.equal(tasks.length, 13, tasks.map(({ label }) => label).join(", "));
  }
}
