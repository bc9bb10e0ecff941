/**
 * How fast a lost worker's task runs elsewhere when two plain workers have nothing but a Redis in
 * common: no parent sees the death and tells, the survivor notices by itself. Whoever dies may be the
 * one that led the coordinators.
 *
 * CHAOS_TAKE_OVERS sets the number of kills (default 15). The figures stand in docs/reliability.md.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { batch } from "../../src/sdk/batch.ts";
import { signsAndWaits } from "../fixtures/redis/tasks.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";
import { startRedis } from "../support/redis-server.ts";
import { describeTimes, quantile, signed, startRedisWorkers } from "../support/redis-workers.ts";

const TAKE_OVERS = Number(process.env["CHAOS_TAKE_OVERS"] ?? 15);
const NEWCOMER_MS = 2_000;
const NAMESPACE = "take-over";
const LEADER_KEY = `{${NAMESPACE}:0}:leader:coordinator`;

test(`a killed worker's task runs on the other one within a second, ${TAKE_OVERS} times`, async (t) => {
  const cleanup = cleanups(t);
  const server = await startRedis({ appendonly: "everysec" });
  cleanup(() => server.stop());
  const world = await startRedisWorkers(t, {
    address: server.url,
    workers: 2,
    settings: { namespace: NAMESPACE },
    ...(process.env['CLOG'] ? { log: { file: process.env['CLOG'] } } : {}),
  });
  const times = { leader: [] as number[], other: [] as number[] };
  for (let round = 0; round < TAKE_OVERS; round += 1) {
    await world.warmUp();
    await eventually("the survivor is no newcomer, who would give everybody time to come back first", async () => {
      const { sessions } = await world.broker.listSessions({ limit: 10 });
      const live = sessions.filter(({ state }) => state === "live");
      return live.length === 2 && live.every(({ openedAt, lastSeenAt }) => lastSeenAt - openedAt > NEWCOMER_MS);
    });
    const [signs, gate] = [path.join(world.dir, `signs-${round}`), path.join(world.dir, `gate-${round}`)];
    const execution = await world.client.submit(batch(signsAndWaits, [{ signs, gate }]));
    const first = await signed(signs, 0);
    const holder = String(await server.command("HGET", LEADER_KEY, "holder"));
    const victim = world.alive.get(first.worker);
    const killedAt = Date.now();
    world.kill(first.worker, "SIGKILL");
    const second = await signed(signs, 1);
    const whose = holder.startsWith(`${victim?.pid}-`) ? "leader" : "other";
    times[whose].push(second.at - killedAt);
    assert.notEqual(second.worker, first.worker);
    await writeFile(gate, "");
    const ended = await execution.wait();
    assert.deepEqual([ended.counters.completed, ended.lostAttempts], [1, 1]);
    world.start(`spare${round}`);
  }
  const all = [...times.leader, ...times.other];
  t.diagnostic(`SIGKILL → the task's next attempt begins on the other worker: ${describeTimes(all)}`);
  t.diagnostic(`of those that led: ${describeTimes(times.leader)}; of the others: ${describeTimes(times.other)}`);
  assert.ok(quantile(all, 0.5) < 1_000);
});
