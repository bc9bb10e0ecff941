/**
 * How fast a lost worker's task runs elsewhere when two plain workers have nothing but a Redis in
 * common: no parent sees the death and tells, the survivor notices by itself. Whoever dies may be the
 * one that led the coordinators. With CHAOS_PEERS=1 the same is done to BullMQ with its defaults.
 *
 * CHAOS_TAKE_OVERS sets the number of kills (default 10). The figures stand in docs/reliability.md.
 */
import { createClient } from "@redis/client";
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { test } from "node:test";
import { batch } from "../../src/sdk/batch.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { signsAndRests, signsAndWaits } from "../fixtures/redis/tasks.ts";
import { cleanups, eventually, scratchFolder, startProgram } from "../fixtures/sdk/scratch.ts";
import { startRedis } from "../support/redis-server.ts";
import { describeTimes, quantile, readSigns, signed, startRedisWorkers } from "../support/redis-workers.ts";

const TAKE_OVERS = Number(process.env["CHAOS_TAKE_OVERS"] ?? 10);
/** A stopped worker is silent for 5 s before it counts as dead; then its work must run at once. */
const STOPPED_WITHIN_MS = 7_000;
const TIMEOUT_MS = 90_000;
const NEWCOMER_MS = 2_000;
const PEER_KILLS = 3;
const LOOK_EVERY_MS = 20;
const CLOCK = systemClock({ keepAlive: true });
const NAMESPACE = "take-over";
const LEADER_KEY = `{${NAMESPACE}:0}:leader:coordinator`;

test(
  `a killed worker's task runs on the other one within a second, ${TAKE_OVERS} times`,
  { timeout: TIMEOUT_MS + TAKE_OVERS * 10_000 },
  async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "everysec" });
    cleanup(() => server.stop());
    const world = await startRedisWorkers(t, { address: server.url, workers: 2, settings: { namespace: NAMESPACE } });
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
  },
);

test(
  "a stopped worker is taken over within 7 s; it wakes to a new session, and its late outcome does not count",
  { timeout: TIMEOUT_MS },
  async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "everysec" });
    cleanup(() => server.stop());
    const world = await startRedisWorkers(t, { address: server.url, workers: 2 });
    await world.warmUp();
    const signs = path.join(world.dir, "signs");
    // Its runner is not stopped: the result is there long before the worker wakes.
    const execution = await world.client.submit(batch(signsAndRests, [{ signs, forMs: 1_000 }]));
    const first = await signed(signs, 0);
    const stoppedAt = Date.now();
    world.kill(first.worker, "SIGSTOP");
    const second = await signed(signs, 1);
    t.diagnostic(`SIGSTOP → the next attempt begins on the other worker: ${second.at - stoppedAt} ms`);
    assert.notEqual(second.worker, first.worker);
    assert.ok(second.at - stoppedAt < STOPPED_WITHIN_MS);
    const sessionsOf = async (state: string): Promise<number> => {
      const { sessions } = await world.broker.listSessions({ limit: 10 });
      return sessions.filter((one) => one.worker === first.worker && one.state === state).length;
    };
    world.kill(first.worker, "SIGCONT");
    await eventually("the sleeper has a new session", async () => (await sessionsOf("live")) === 1);
    assert.equal(await sessionsOf("lost"), 1);
    const ended = await execution.wait();
    assert.deepEqual([ended.counters.completed, ended.counters.total, ended.lostAttempts], [1, 1, 1]);
    const { rows } = await world.broker.readResults({ executionId: execution.id, limit: 10 });
    assert.deepEqual(
      rows.map(({ worker, attempt }) => ({ worker, attempt })),
      [{ worker: second.worker, attempt: 2 }],
    );
    t.diagnostic(`late outcomes refused: ${ended.refusedOutcomes}`);
    // It is of use again.
    await world.warmUp();
  },
);

test("the late commit of a stopped worker is refused and counted", { timeout: TIMEOUT_MS }, async (t) => {
  const cleanup = cleanups(t);
  const server = await startRedis({ appendonly: "everysec" });
  cleanup(() => server.stop());
  const world = await startRedisWorkers(t, { address: server.url, workers: 0 });
  const signs = path.join(world.dir, "signs");
  const execution = await world.client.submit(batch(signsAndRests, [{ signs, forMs: 1 }]));
  const { child } = await startProgram(siblingModule(import.meta.url, "./late-committer"), [server.url], cleanup);
  child.kill("SIGSTOP");
  world.start("other");
  assert.equal((await execution.wait()).counters.completed, 1);
  const answered = once(createInterface(child.stdout as Readable), "line");
  child.stdin?.end();
  child.kill("SIGCONT");
  assert.deepEqual(await answered, ["SESSION_LOST"]);
  assert.equal((await execution.status()).refusedOutcomes, 1);
  const { rows } = await world.broker.readResults({ executionId: execution.id, limit: 10 });
  assert.deepEqual(
    rows.map(({ attempt }) => attempt),
    [2],
  );
});

test(
  `for comparison: a job of a killed BullMQ worker, ${PEER_KILLS} times`,
  { skip: process.env["CHAOS_PEERS"] === "1" ? false : "only with CHAOS_PEERS=1", timeout: PEER_KILLS * 120_000 },
  async (t) => {
    const { Queue } = await import("bullmq");
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "everysec" });
    cleanup(() => server.stop());
    const dir = await scratchFolder(t);
    const connection = createClient({ url: server.url });
    await connection.connect();
    const queue = new Queue("peers", { connection });
    cleanup(async () => {
      await queue.close();
      connection.destroy();
    });
    const alive = new Map<string, ChildProcess>();
    const start = async (name: string): Promise<void> => {
      const program = siblingModule(import.meta.url, "../fixtures/redis/bullmq-worker");
      const { child } = await startProgram(program, [String(server.port), name], cleanup);
      alive.set(name, child);
    };
    await start("one");
    await start("two");
    const times: number[] = [];
    for (let round = 0; round < PEER_KILLS; round += 1) {
      const [signs, gate] = [path.join(dir, `signs-${round}`), path.join(dir, `gate-${round}`)];
      await queue.add("job", { signs, gate });
      const first = await signed(signs, 0);
      const killedAt = Date.now();
      alive.get(first.worker)?.kill("SIGKILL");
      alive.delete(first.worker);
      while (readSigns(signs).length < 2) await sleep(CLOCK, LOOK_EVERY_MS);
      times.push((await signed(signs, 1)).at - killedAt);
      await writeFile(gate, "");
      await start(`spare${round}`);
    }
    t.diagnostic(`BullMQ, SIGKILL → the job begins on the other worker: ${describeTimes(times)}`);
  },
);
