/**
 * Fifty clients that want one lock, over three servers on one Redis of which one after the other is
 * killed: never two inside at once, tokens that only ascend, no turn lost, nobody left out.
 *
 * CHAOS_SERVER_KILLS sets the kills (default 3).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../src/app/connect.ts";
import type { Client } from "../../src/sdk/client.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { cleanups } from "../fixtures/sdk/scratch.ts";
import { startServerProcesses } from "../support/http-server-processes.ts";
import { startRedis } from "../support/redis-server.ts";

const KILLS = Number(process.env["CHAOS_SERVER_KILLS"] ?? 3);
const SERVERS = 3;
const CLIENTS = 50;
/** Between the death of a server and its next start, and between two deaths. */
const PAUSE_MS = 700;
const LOCK = "press";
const COUNTER = "printed";
const CLOCK = systemClock({ keepAlive: true });

interface Door {
  inside: number;
  lastToken: number;
  isOver: boolean;
}

test(
  `${CLIENTS} clients never hold one lock together while servers are killed ${KILLS} times`,
  { timeout: 60_000 + KILLS * 15_000 },
  async (t) => {
    const cleanup = cleanups(t);
    const redis = await startRedis({ appendonly: "everysec" });
    cleanup(() => redis.stop());
    const { servers, address } = await startServerProcesses(t, { count: SERVERS, broker: redis.url });
    const urls = address.split(",");
    const clients = await Promise.all(
      // Each begins at another server.
      Array.from({ length: CLIENTS }, (_, no) => {
        const at = no % SERVERS;
        return connect([...urls.slice(at), ...urls.slice(0, at)].join(","));
      }),
    );
    cleanup(() => Promise.all(clients.map((client) => client.close())));
    await clients[0]?.state.set(COUNTER, 0);

    const door: Door = { inside: 0, lastToken: 0, isOver: false };
    const turns = Promise.all(clients.map((client) => takeTurns(client, door)));
    turns.catch(() => (door.isOver = true));
    for (let kill = 0; kill < KILLS && !door.isOver; kill += 1) {
      const victim = servers[kill % SERVERS];
      await sleep(CLOCK, PAUSE_MS);
      await victim?.kill();
      await sleep(CLOCK, PAUSE_MS);
      await victim?.restart();
    }
    door.isOver = true;
    const counts = await turns;
    const total = counts.reduce((sum, count) => sum + count, 0);
    t.diagnostic(`${total} turns, ${Math.min(...counts)} to ${Math.max(...counts)} for each client, ${KILLS} kills`);
    assert.ok(Math.min(...counts) > 0, "everybody had a turn");
    assert.equal(await clients[0]?.state.get(COUNTER), total, "no turn has overwritten another");
  },
);

/** How many it had. */
async function takeTurns(client: Client, door: Door): Promise<number> {
  for (let turns = 0; ; turns += 1) {
    // Everybody has one more when it is over, so that nobody is left in the line.
    const isLast = door.isOver;
    await using lock = await client.lock(LOCK, { wait: "60s" });
    door.inside += 1;
    assert.equal(door.inside, 1, "alone");
    assert.ok(lock.token > door.lastToken, "a new token");
    door.lastToken = lock.token;
    // Neither of the two calls guards against the other's being old: the lock must.
    const printed = await client.state.get(COUNTER);
    await client.state.set(COUNTER, Number(printed) + 1);
    door.inside -= 1;
    if (isLast) return turns + 1;
  }
}
