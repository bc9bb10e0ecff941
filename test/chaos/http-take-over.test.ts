/**
 * How fast a killed worker's task runs elsewhere when its workers are connected to a server: the
 * server sees the socket close, and nobody else tells. On SQLite and on Redis.
 *
 * CHAOS_TAKE_OVERS sets the kills (default 5 on each). The figures stand in docs/reliability.md.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { batch } from "../../src/sdk/batch.ts";
import { signsAndWaits } from "../fixtures/redis/tasks.ts";
import { cleanups } from "../fixtures/sdk/scratch.ts";
import { type ServerProcesses, startServerProcesses } from "../support/http-server-processes.ts";
import { startRedis } from "../support/redis-server.ts";
import { describeTimes, quantile, signed, startRedisWorkers } from "../support/redis-workers.ts";

const TAKE_OVERS = Number(process.env["CHAOS_TAKE_OVERS"] ?? 5);
const WITHIN_MS = 1_000;

for (const store of ["sqlite", "redis"] as const) {
  test(
    `a killed worker's task runs on another one of the server within a second, ${TAKE_OVERS} times (${store})`,
    { timeout: 90_000 + TAKE_OVERS * 10_000 },
    async (t) => {
      const { address } = await startStore(t, store);
      const world = await startRedisWorkers(t, { address, workers: 2 });
      const times: number[] = [];
      for (let round = 0; round < TAKE_OVERS; round += 1) {
        await world.warmUp();
        const [signs, gate] = [path.join(world.dir, `signs-${round}`), path.join(world.dir, `gate-${round}`)];
        const execution = await world.client.submit(batch(signsAndWaits, [{ signs, gate }]));
        const first = await signed(signs, 0);
        const killedAt = Date.now();
        world.kill(first.worker, "SIGKILL");
        const second = await signed(signs, 1);
        times.push(second.at - killedAt);
        assert.notEqual(second.worker, first.worker);
        await writeFile(gate, "");
        const ended = await execution.wait();
        assert.deepEqual([ended.counters.completed, ended.lostAttempts], [1, 1]);
        world.start(`spare${round}`);
      }
      t.diagnostic(`SIGKILL → the task's next attempt begins on the other worker (${store}): ${describeTimes(times)}`);
      assert.ok(quantile(times, 0.5) < WITHIN_MS);
    },
  );
}

async function startStore(t: TestContext, store: "sqlite" | "redis"): Promise<ServerProcesses> {
  if (store === "sqlite") return startServerProcesses(t);
  const redis = await startRedis({ appendonly: "everysec" });
  cleanups(t)(() => redis.stop());
  return startServerProcesses(t, { broker: redis.url });
}
