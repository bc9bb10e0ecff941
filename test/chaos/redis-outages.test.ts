/**
 * What a Redis may do while work goes on, short of dying: it starts again, loads for long, forgets its
 * scripts, closes connections, stops, is full, is demoted. Clients and workers see a pause; no call of
 * theirs fails, no session is declared dead for it, no lease stays behind, and they consume again.
 *
 * CHAOS_SEED repeats a run's choices (not its timing).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { startLoadedRedis } from "./loaded-redis.ts";

const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const CLOCK = systemClock({ keepAlive: true });
const POINTS = 600;
const LONGEST_PAUSE_MS = 200;
/** Quicker than the defaults, for the sake of the test's time. */
const HEARTBEAT_MS = 250;
const DEAD_AFTER_MS = 2_000;
const NEARLY_DEAD_MS = 1_900;
/** Long enough that a connection is given up meanwhile. */
const STOPPED_MS = 6_000;
const AWAY_MS = 3_500;
const LOADING_MS = 3_500;
/** Nobody's silence is judged before the server could be heard for so long. */
const SETTLED_MS = 2_500;

interface Fault {
  readonly name: string;
  readonly times: number;
  /** Only once everybody has been there for so long. */
  readonly settledMs?: number;
  readonly strike: (server: RedisServer) => Promise<unknown>;
}

const FAULTS: readonly Fault[] = [
  {
    name: "its scripts and functions are forgotten",
    times: 30,
    strike: async (server) => {
      await server.command("SCRIPT", "FLUSH");
      // Unknown before Redis 7.
      await server.command("FUNCTION", "FLUSH").catch(() => undefined);
    },
  },
  {
    name: "all connections are closed in the middle of calls",
    times: 15,
    strike: (server) => server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
  },
  {
    name: "all listeners are cut off",
    times: 5,
    strike: (server) => server.command("CLIENT", "KILL", "TYPE", "pubsub"),
  },
  {
    name: "it is a replica for a while",
    times: 3,
    strike: async (server) => {
      await server.command("REPLICAOF", "127.0.0.1", "1");
      await sleep(CLOCK, LONGEST_PAUSE_MS);
      await server.command("REPLICAOF", "NO", "ONE");
    },
  },
  {
    name: "it loads its data for seconds",
    times: 1,
    settledMs: SETTLED_MS,
    strike: async (server) => {
      await rewrite(server);
      const perKeyMicroseconds = (LOADING_MS * 1_000) / Number(await server.command("DBSIZE"));
      await server.command("CONFIG", "SET", "key-load-delay", String(Math.ceil(perKeyMicroseconds)));
      await server.command("CONFIG", "REWRITE");
      const since = CLOCK.now();
      await server.restart();
      assert.ok(CLOCK.now() - since > LOADING_MS / 2, "it took its time");
    },
  },
  {
    name: "it stops for nearly as long as a worker may be silent",
    times: 3,
    settledMs: SETTLED_MS,
    strike: (server) => stopFor(server, NEARLY_DEAD_MS),
  },
  { name: "it stops for longer", times: 1, settledMs: SETTLED_MS, strike: (server) => stopFor(server, STOPPED_MS) },
  {
    name: "it is away for longer than a worker may be silent",
    times: 1,
    settledMs: SETTLED_MS,
    strike: async (server) => {
      await server.kill();
      await sleep(CLOCK, AWAY_MS);
      await server.restart();
    },
  },
];

describe("under load", () => {
  for (const { name, times, settledMs = 0, strike } of FAULTS) {
    test(`${name}, ${times} times (CHAOS_SEED=${SEED})`, async (t) => {
      const random = seededRandom(SEED);
      const cleanup = cleanups(t);
      const server = await startRedis({ appendonly: "everysec" });
      cleanup(() => server.stop());
      const settings = { heartbeatMs: HEARTBEAT_MS, deadAfterMs: DEAD_AFTER_MS };
      const loaded = await startLoadedRedis(t, { address: server.url, random, points: POINTS, settings });
      await sleep(CLOCK, settledMs);
      for (let time = 0; time < times; time += 1) {
        await sleep(CLOCK, random() * LONGEST_PAUSE_MS);
        await strike(server);
      }
      const { summary, missing } = await loaded.finish();
      t.diagnostic(summary);
      assert.deepEqual(missing, []);
    });
  }
});

async function stopFor(server: RedisServer, ms: number): Promise<void> {
  server.pause();
  await sleep(CLOCK, ms);
  server.resume();
}

async function rewrite(server: RedisServer): Promise<void> {
  await server.command("BGREWRITEAOF");
  await eventually("the file is written anew", async () =>
    /aof_rewrite_in_progress:0[\s\S]*aof_rewrite_scheduled:0/.test(String(await server.command("INFO", "persistence"))),
  );
}
