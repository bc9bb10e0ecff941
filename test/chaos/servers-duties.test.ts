/**
 * Background duties of three servers on one Redis: when the server that leads is killed another one
 * goes on with them within 5 s, and when it is only stopped and wakes as a second leader nothing is
 * done twice.
 *
 * What there is to do falls due around the moment of the fault: a delayed task, one that backs off, and a worker that
 * fell silent. Workers are played by this process, which runs no duties of its own.
 *
 * CHAOS_LEADER_KILLS sets the kills, and the stops (default 2 of each). The figures stand in docs/reliability.md.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openBroker } from "../../src/app/open-broker.ts";
import type { Broker } from "../../src/broker/contract.ts";
import { defaultSettings } from "../../src/config/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";
import { FakeWorker } from "../support/fake-worker.ts";
import { type ServerProcess, startServerProcesses } from "../support/http-server-processes.ts";
import { failed, failure } from "../support/outcomes.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { describeTimes, quantile } from "../support/redis-workers.ts";
import { batch } from "../support/submissions.ts";

const ROUNDS = Number(process.env["CHAOS_LEADER_KILLS"] ?? 2);
const SERVERS = 3;
const WITHIN_MS = 5_000;
/** A silent worker is dead after this; the default would be most of what is measured. */
const DEAD_AFTER_MS = 600;
const DUE_AFTER_MS = 300;
/** The leader's lease is over, and another one leads, before the stopped one wakes. */
const STOPPED_MS = 2_000;
/** Of each kind, when two leaders are at it. */
const CROWD = 20;
const SPREAD_MS = 4_000;
const NAMESPACE = "duties";
const TIMEOUT_MS = 60_000 + ROUNDS * 30_000;
const CLOCK = systemClock({ keepAlive: true });
const KINDS = ["delayed", "backing off", "lost"] as const;

interface World {
  readonly broker: Broker;
  readonly redis: RedisServer;
  readonly servers: readonly ServerProcess[];
}

async function startWorld(t: TestContext): Promise<World> {
  const cleanup = cleanups(t);
  const redis = await startRedis({ appendonly: "everysec" });
  cleanup(() => redis.stop());
  const settings = { ...defaultSettings(), namespace: NAMESPACE, heartbeatMs: 100, deadAfterMs: DEAD_AFTER_MS };
  const broker = await openBroker(redis.url, { settings, logger: silentLogger });
  cleanup(() => broker.close());
  const { servers } = await startServerProcesses(t, {
    count: SERVERS,
    broker: redis.url,
    environment: {
      HOLDFAST_NAMESPACE: NAMESPACE,
      HOLDFAST_HEARTBEAT_MS: "100ms",
      HOLDFAST_DEAD_AFTER_MS: `${DEAD_AFTER_MS}ms`,
    },
  });
  return { broker, redis, servers };
}

function leaderOf({ redis, servers }: World): Promise<ServerProcess> {
  return eventually("one of the servers leads", async () => {
    const holder = String(await redis.command("HGET", `{${NAMESPACE}:0}:leader:coordinator`, "holder"));
    return servers.find(({ pid }) => holder.startsWith(`${pid}-`));
  });
}

type Kind = (typeof KINDS)[number];

/** One task, alone in a pool of its own. */
interface Case {
  readonly kind: Kind;
  readonly pool: string;
  readonly executionId: string;
}

/** A task that waits, and is to be ready in about `dueInMs`. */
async function begin({ broker }: World, kind: Kind, dueInMs: number): Promise<Case> {
  const pool = crypto.randomUUID();
  const retry = { limit: 3, baseMs: dueInMs, factor: 1, maxMs: dueInMs, jitter: 0, never: [] };
  const submission = batch(1, {}, { pool, retry, ...(kind === "delayed" ? { delayMs: dueInMs } : {}) });
  const { executions } = await broker.submit({ submissions: [submission] });
  const executionId = executions[0]?.executionId ?? "";
  if (kind === "delayed") return { kind, pool, executionId };
  const worker = await FakeWorker.join(broker, { worker: pool, pools: [pool] });
  const lease = await worker.take();
  // Of one that is to be lost nothing more is heard.
  if (kind === "backing off") {
    await worker.deliver(failed(lease, failure()));
    await worker.leave();
  }
  return { kind, pool, executionId };
}

function isReady({ broker }: World, { executionId }: Case): Promise<boolean> {
  return broker.getExecution({ executionId }).then(({ counters }) => counters.queued === 1);
}

test(
  `duties move within 5 s when the server that leads is killed, ${ROUNDS} times`,
  { timeout: TIMEOUT_MS },
  async (t) => {
    const world = await startWorld(t);
    const times: Record<Kind, number[]> = { delayed: [], "backing off": [], lost: [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      const leader = await leaderOf(world);
      const cases = await Promise.all(KINDS.map((kind) => begin(world, kind, DUE_AFTER_MS)));
      await leader.kill();
      const killedAt = Date.now();
      for (const one of cases) {
        await eventually(`what is ${one.kind} is ready`, () => isReady(world, one));
        times[one.kind].push(Date.now() - killedAt);
      }
      await leader.restart();
    }
    for (const [kind, figures] of Object.entries(times))
      t.diagnostic(`SIGKILL of the leader → what was ${kind} is ready: ${describeTimes(figures)}`);
    assert.ok(quantile(Object.values(times).flat(), 1) < WITHIN_MS);
  },
);

test(
  `nothing is done twice when the leader is stopped and wakes, ${ROUNDS} times`,
  { timeout: TIMEOUT_MS },
  async (t) => {
    const world = await startWorld(t);
    const cases: Case[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const leader = await leaderOf(world);
      // Something falls due all the time from before the stop until after the waking.
      const adding = Array.from({ length: CROWD }, async (_, no) => {
        const dueInMs = 1 + (no * SPREAD_MS) / CROWD;
        cases.push(await begin(world, "delayed", dueInMs), await begin(world, "backing off", dueInMs));
        await sleep(CLOCK, dueInMs);
        cases.push(await begin(world, "lost", dueInMs));
      });
      await sleep(CLOCK, DUE_AFTER_MS);
      leader.signal("SIGSTOP");
      await sleep(CLOCK, STOPPED_MS);
      assert.notEqual(await leaderOf(world), leader, "another one leads meanwhile");
      leader.signal("SIGCONT");
      await Promise.all(adding);
    }
    for (const one of cases) {
      await eventually("it is ready", () => isReady(world, one));
      await happenedOnce(world, one);
    }
    t.diagnostic(`${cases.length} tasks became ready, each once, over ${ROUNDS} stops of the leader`);
  },
);

/** One step back to the queue, one attempt, one place in the counters, one lease to be had. */
async function happenedOnce({ broker }: World, { kind, pool, executionId }: Case): Promise<void> {
  const { counters, lostAttempts } = await broker.getExecution({ executionId });
  assert.deepEqual([counters.total, counters.queued, counters.running, counters.scheduled], [1, 1, 0, 0]);
  assert.equal(lostAttempts, kind === "lost" ? 1 : 0);
  const { attempts } = await broker.listAttempts({ executionId, limit: 10 });
  const ends = attempts.map(({ attempt, outcome }) => [attempt, outcome]);
  assert.deepEqual(ends, { delayed: [], "backing off": [[1, "failed"]], lost: [[1, "lost"]] }[kind]);
  const { events } = await broker.readEvents({ cursor: 0, executionId, limit: 100 });
  const steps = events.flatMap(({ change }) =>
    change.kind === "tasks" ? [change.reason === undefined ? change.state : `${change.state}: ${change.reason}`] : [],
  );
  // That a group's delay is over is told by no event.
  const expected = {
    delayed: [],
    "backing off": ["running", "scheduled: retry", "queued: due"],
    lost: ["running", "queued: lost"],
  };
  assert.deepEqual(steps, expected[kind]);
  const worker = await FakeWorker.join(broker, { worker: pool, pools: [pool] });
  const leases = await worker.leases(10);
  assert.deepEqual(
    leases.map(({ attempt }) => attempt),
    [kind === "delayed" ? 1 : 2],
  );
  await worker.finish(...leases);
  await worker.leave();
}
