/** A Redis that a Holdfast of format 1 has filled: what was under way in it goes on. */
import assert from "node:assert/strict";
import { createClient } from "@redis/client";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, describe, it } from "node:test";
import type { Lease } from "../../../src/broker/contract.ts";
import { keyPrefix } from "../../../src/broker/redis/shard.ts";
import { Redis } from "../../support/broken-redis.ts";
import { completed } from "../../support/outcomes.ts";
import type { RedisServer } from "../../support/redis-server.ts";
import { group, tasks } from "../../support/submissions.ts";
import { books } from "../../contract/world.ts";
import { ROOT } from "../../tidy/repository.ts";

/**
 * All that a broker of format 1 wrote, command by command: separate tasks, of which one is done, one is held by its worker,
 * one backs off and two came back; a workflow that has failed; one that waits; a sweep with a chunk done and one held; an
 * execution that is paused, with a delayed group; an open one.
 */
const STORE_V1 = path.join(ROOT, "test/fixtures/redis/store-v1.jsonl");
const [PLAIN, DOOMED, CHAIN, SWEEP, PAUSED, OPEN] = ["old-4", "old-6", "old-8", "old-10", "old-12", "old-14"] as const;
const SESSION = "old-2";
/** What the worker of format 1 was given. */
const HELD: Lease = { executionId: PLAIN, task: 1, token: "q1-1.0.1.1", spec: `${PLAIN}/0`, attempt: 1, input: "1" };

async function plant(server: RedisServer, namespace: string): Promise<void> {
  const client = createClient({ url: server.url, RESP: 2 });
  await client.connect();
  const text = (await readFile(STORE_V1, "utf8")).replaceAll("{NAMESPACE:0}", `{${namespace}:0}`);
  const commands = text.trimEnd().split("\n");
  await Promise.all(commands.map((line) => client.sendCommand(JSON.parse(line) as string[])));
  await client.close();
}

describe("a Redis of another format", { timeout: 60_000 }, () => {
  const opened: Redis[] = [];
  const open = async (): Promise<Redis> => {
    const redis = await Redis.open(1, plant);
    opened.push(redis);
    return redis;
  };
  after(() => Promise.all(opened.map((redis) => redis.close())));

  it("of format 1 goes on: what is held is committed, what waits is given out, what has failed runs again", async () => {
    const redis = await open();
    assert.equal(await redis.raw("HGET", "meta", "format"), "2", "a Holdfast of before is refused");
    const { executions } = await redis.broker.listExecutions({ limit: 10 });
    assert.deepEqual(
      executions.map(({ name, state, counters }) => [name, state, books(counters)]),
      [
        ["open", "pending", { total: 1, queued: 1 }],
        ["paused", "paused", { total: 3, scheduled: 1, queued: 2 }],
        ["sweep", "running", { total: 40, queued: 20, running: 10, completed: 10 }],
        ["chain", "pending", { total: 4, blocked: 2, queued: 2 }],
        ["doomed", "failed", { total: 2, failed: 1, skipped: 1 }],
        ["plain", "running", { total: 5, scheduled: 1, queued: 2, running: 1, completed: 1 }],
      ],
    );
    const held = await redis.broker.commit({ session: SESSION, outcomes: [completed(HELD)] });
    assert.deepEqual(held.verdicts, ["accepted"]);
    await redis.broker.closeSession({ session: SESSION, reason: "lost" });
    await redis.broker.retry({ executionId: DOOMED });
    await redis.broker.resume({ executionId: PAUSED });
    await redis.broker.extend({ executionId: OPEN, part: 1, groups: [group(tasks(2, [[0], [1]]))], seal: true });
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    const worker = await redis.join();
    await redis.completeAll([PLAIN, DOOMED, CHAIN, SWEEP, PAUSED, OPEN], worker);
    assert.deepEqual(await redis.findings(), {});
    assert.deepEqual(await redis.keys("exec:*:lanes:*"), []);
  });

  it("of format 1 is steered: paused work stays where it is, ranks and removals count, and the doctor mends the rest", async () => {
    const redis = await open();
    for (const executionId of [PLAIN, CHAIN, SWEEP]) await redis.broker.pause({ executionId });
    const worker = await redis.join();
    const [first, ...others] = await worker.leases(50);
    assert.deepEqual([first?.executionId, others], [OPEN, []], "all others are paused");
    for (const executionId of [PLAIN, CHAIN, SWEEP]) await redis.broker.resume({ executionId });
    await redis.broker.editExecution({
      executionId: CHAIN,
      apply: true,
      edits: [
        { kind: "rank", tasks: [3], ranks: [7] },
        { kind: "remove", tasks: [2] },
      ],
    });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.broker.cancel({ executionId: SWEEP });
    const leases = (await worker.leases(50)).filter(({ executionId }) => executionId === CHAIN);
    assert.deepEqual(
      leases.map(({ task }) => task),
      [3, 0],
    );
    assert.deepEqual(await redis.keys(`exec:${SWEEP}:lanes:*`), []);
  });

  it("of a later format is refused", async () => {
    const later = async (server: RedisServer, namespace: string): Promise<void> =>
      void (await server.command("HSET", `${keyPrefix(namespace, 0)}meta`, "format", "3"));
    await assert.rejects(Redis.open(1, later), { code: "STORE_TOO_NEW" });
  });
});
