/**
 * Workflows of every kind of node while their workers are killed, again and again, wherever they are:
 * every execution comes to its output, every result is committed once.
 *
 * CHAOS_WORKFLOWS sets the number of executions, CHAOS_KILLS that of the kills. The seed is printed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { collect } from "../fixtures/sdk/collect.ts";
import { startWorld } from "../fixtures/sdk/world.ts";
import { everything } from "../fixtures/worker/flows.ts";
import { seededRandom } from "../support/seeded-random.ts";

const WORKFLOWS = Number(process.env["CHAOS_WORKFLOWS"] ?? 30);
const SEED = Number(process.env["CHAOS_SEED"] ?? Date.now() % 1_000_000);
const KILLS = Number(process.env["CHAOS_KILLS"] ?? 8);
const KILL_EVERY_MS = 600;
const LOOK_EVERY_MS = 5;

test("workflows come to their outputs while workers are killed", { timeout: 120_000 }, async (t) => {
  t.diagnostic(`CHAOS_SEED=${SEED}`);
  const random = seededRandom(SEED);
  const clock = systemClock({ keepAlive: true });
  const { client, pool, broker } = await startWorld(t, { workers: 4, restart: true });
  const executions = await Promise.all(Array.from({ length: WORKFLOWS }, () => client.submit(everything)));
  const over = new AbortController();
  let kills = 0;
  const killing = (async () => {
    while (!over.signal.aborted && kills < KILLS) {
      const { sessions } = await broker.listSessions({ limit: 100, live: true });
      const busy = new Set(sessions.filter(({ leases }) => leases > 0).map(({ worker }) => worker));
      const victims = pool.workers.filter(({ name }) => busy.has(name));
      const victim = victims[Math.floor(random() * victims.length)];
      if (victim?.kill("SIGKILL") === true) kills += 1;
      const pauseMs = victim === undefined ? LOOK_EVERY_MS : KILL_EVERY_MS * (0.5 + random());
      await sleep(clock, pauseMs, over.signal).catch(() => undefined);
    }
  })();
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
});
