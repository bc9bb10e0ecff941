/** What a demo leaves behind goes, and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { removeNamespace } from "../../../src/broker/redis/remove-namespace.ts";
import { keyPrefix } from "../../../src/broker/redis/shard.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { startRedis } from "../../support/redis-server.ts";

test("removing a namespace leaves all other keys alone", { timeout: 20_000 }, async () => {
  const server = await startRedis();
  try {
    const others = [keyPrefix("mine-too", 0), keyPrefix("min", 0), "mine", "mine:0:meta", "{mine:10}:meta"];
    for (const key of others) await server.command("SET", key, "1");
    const own = [0, 1].flatMap((shard) => Array.from({ length: 1_500 }, (_, no) => keyPrefix("mine", shard) + no));
    await server.command("MSET", ...own.flatMap((key) => [key, "1"]));
    await removeNamespace({
      target: { mode: "standalone", nodes: [{ host: "127.0.0.1", port: server.port }], db: 0 },
      namespace: "mine",
      shards: 2,
      clock: systemClock({ keepAlive: true }),
      random: () => 0.5,
      logger: silentLogger,
      patienceMs: 5_000,
    });
    assert.deepEqual(((await server.command("KEYS", "*")) as string[]).toSorted(), others.toSorted());
  } finally {
    await server.stop();
  }
});
