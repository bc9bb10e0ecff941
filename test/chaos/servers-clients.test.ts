/**
 * Three servers on one Redis, with no balancer before them, killed one after the other while programs
 * submit and follow: over HTTP, over a WebSocket, and as readers of events. Every call ends well,
 * nothing is submitted twice, and everybody hears everything once.
 *
 * CHAOS_SERVER_KILLS sets the kills (default 3).
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { connect } from "../../src/app/connect.ts";
import { openBroker } from "../../src/app/open-broker.ts";
import type { Broker } from "../../src/broker/contract.ts";
import { defaultSettings } from "../../src/config/index.ts";
import { range } from "../../src/core/space.ts";
import { Client } from "../../src/sdk/client.ts";
import { sweep } from "../../src/sdk/sweep.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { restsApart } from "../fixtures/redis/tasks.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";
import { startServerProcesses } from "../support/http-server-processes.ts";
import { SseFollower } from "../support/http-sse-follower.ts";
import { startRedis } from "../support/redis-server.ts";
import { startRedisWorkers } from "../support/redis-workers.ts";

const KILLS = Number(process.env["CHAOS_SERVER_KILLS"] ?? 3);
const SERVERS = 3;
const POINTS = 60;
const CHUNK = 5;
/** Between the death of a server and its next start. */
const AWAY_MS = 300;
const NAMESPACE = "servers";
const PAGE = 1_000;
const CLOCK = systemClock({ keepAlive: true });

test(
  `nobody misses anything when servers are killed ${KILLS} times`,
  { timeout: 60_000 + KILLS * 15_000 },
  async (t) => {
    const cleanup = cleanups(t);
    const redis = await startRedis({ appendonly: "everysec" });
    cleanup(() => redis.stop());
    const { broker } = await startRedisWorkers(t, {
      address: redis.url,
      workers: 2,
      settings: { namespace: NAMESPACE, pools: ["apart"] },
    });
    const { servers, address, socketAddress } = await startServerProcesses(t, {
      count: SERVERS,
      broker: redis.url,
      environment: { HOLDFAST_NAMESPACE: NAMESPACE },
    });
    const urls = servers.map(({ url }) => url);
    const reader = new SseFollower(urls, "/api/v1/events?cursor=0");
    cleanup(() => reader.stop());
    const clients = {
      http: await connect(address),
      socket: new Client({
        broker: await openBroker(socketAddress, { settings: defaultSettings(), logger: silentLogger }),
      }),
    };
    cleanup(() => Promise.all(Object.values(clients).map((client) => client.close())));

    const over = new AbortController();
    const programs = Object.entries(clients).map(async ([name, client]) => {
      let submits = 0;
      // Without a key of its own: a call that is sent twice on the way must still be one submission.
      for (; !over.signal.aborted; submits += 1) await submitAndFollow(client, `${name}-${submits}`);
      return submits;
    });
    const submitting = Promise.all(programs);
    submitting.catch(() => over.abort());
    for (let kill = 0; kill < KILLS && !over.signal.aborted; kill += 1) {
      const victim = servers[kill % SERVERS];
      await victim?.kill();
      await sleep(CLOCK, AWAY_MS);
      await victim?.restart();
    }
    over.abort();
    const submits = await submitting;
    t.diagnostic(`${submits.join(" and ")} sweeps of ${POINTS} points submitted and read, ${KILLS} kills`);

    const { executions } = await broker.listExecutions({ limit: PAGE });
    const total = submits.reduce((sum, count) => sum + count, 0);
    assert.equal(executions.length, total, "each submission is one execution");
    assert.ok(executions.every(({ state, counters }) => state === "completed" && counters.completed === POINTS));
    await heardAll(t, { broker, reader });
  },
);

async function submitAndFollow(client: Client, name: string): Promise<void> {
  const execution = await client.submit(sweep(restsApart, { name, over: range(0, POINTS), chunk: CHUNK }));
  const seen: number[] = [];
  for await (const { point, value } of execution.results()) {
    assert.equal(value, point * 2);
    seen.push(point);
  }
  assert.deepEqual(
    seen.toSorted((one, other) => one - other),
    Array.from({ length: POINTS }, (_, point) => point),
    `${name}: each result once`,
  );
  assert.equal((await execution.wait()).state, "completed");
}

async function heardAll(
  t: TestContext,
  { broker, reader }: { readonly broker: Broker; readonly reader: SseFollower },
): Promise<void> {
  const told: number[] = [];
  for (let cursor = 0; ;) {
    const page = await broker.readEvents({ cursor, limit: PAGE });
    if (page.events.length === 0) break;
    told.push(...page.events.map((event) => event.cursor));
    cursor = page.cursor;
  }
  await eventually("the reader has come to the end", () => (reader.ids.at(-1) ?? 0) >= (told.at(-1) ?? 0));
  await reader.stop();
  assert.deepEqual(reader.ids.slice(0, told.length), told, "each event once, in order");
  t.diagnostic(`${told.length} events told over ${reader.streams} streams`);
  assert.ok(reader.streams > 1, "it had to come back");
}
