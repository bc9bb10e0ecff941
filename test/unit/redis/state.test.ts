/** What only Redis has to say about shared state: nothing is left behind, many shards are one, a full server. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { AcquireLockReply, Broker } from "../../../src/broker/contract.ts";
import { LINE_PATIENCE_MS, WRITE_MEMORY_MS } from "../../../src/broker/limits.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import { shownName, storedName } from "../../../src/broker/redis/state-names.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { type Clock, systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { Redis } from "../../support/broken-redis.ts";
import { type RedisServer, sharedRedis, startRedis } from "../../support/redis-server.ts";

const TTL_MS = 10_000;

interface Given {
  readonly shards?: number;
  readonly server?: RedisServer;
  readonly user?: string;
  readonly clock?: Clock;
}

interface Setup {
  readonly broker: Broker;
  readonly time: { now: number };
  /** Keys of the namespace but those that every namespace has, without their prefix. */
  readonly keys: () => Promise<readonly string[]>;
  /** A command on a key of the first shard, given without its prefix. */
  readonly raw: (command: string, key: string, ...args: readonly string[]) => Promise<unknown>;
  readonly purge: () => Promise<void>;
}

let namespaces = 0;

/** A broker whose time stands still unless the test moves it. */
async function open(t: TestContext, given: Given = {}): Promise<Setup> {
  const { shards = 1, server = await sharedRedis(), user, clock = systemClock({ keepAlive: true }) } = given;
  const time = { now: Date.now() };
  namespaces += 1;
  const namespace = `state-${process.pid}-${namespaces}`;
  const broker = await openRedisBroker({
    target: {
      mode: "standalone",
      nodes: [{ host: server.host, port: server.port }],
      db: 0,
      ...(user === undefined ? {} : { username: user, password: "secret" }),
    },
    namespace,
    shards,
    clock,
    time: () => time.now,
    random: Math.random,
    newId: () => crypto.randomUUID(),
  });
  t.after(() => broker.close());
  const keys = async (): Promise<readonly string[]> => {
    const found = (await server.command("KEYS", `{${namespace}:*`)) as string[];
    return found.map((key) => key.slice(key.indexOf("}:") + 2)).filter((key) => key !== "meta" && key !== "feed");
  };
  const purge = async (): Promise<void> => {
    while ((await broker.purge({ limit: 100 })).more) continue;
  };
  const raw = (command: string, key: string, ...args: readonly string[]): Promise<unknown> =>
    server.command(command, `{${namespace}:0}:${key}`, ...args);
  return { broker, time, keys, raw, purge };
}

function take(broker: Broker, lock: string, owner = "a"): Promise<AcquireLockReply> {
  return broker.acquireLock({ lock, owner, ttlMs: TTL_MS, waitMs: 0 });
}

async function tokenOf(broker: Broker, lock: string, owner: string): Promise<number> {
  const { grant } = await take(broker, lock, owner);
  assert.ok(grant !== undefined);
  return grant.token;
}

/** In another order than that of their names. */
function names(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `n/${String((index * 7) % count).padStart(3, "0")}`);
}

describe("names as they stand in Redis", () => {
  const texts = ["a", "zwölf", "\ud7ff", "\u{10000}", "\u{1f512}x", "\u{10ffff}", "\ue000", "\uff5e", "\uffff"];

  it("come back as they were", () => {
    for (const text of texts) assert.equal(shownName(storedName(text)), text);
    assert.equal(storedName("zwölf"), "zwölf", "most names stand as they are");
  });

  it("have the order of code units, by their bytes", () => {
    const byBytes = texts.toSorted((one, other) =>
      Buffer.compare(Buffer.from(storedName(one)), Buffer.from(storedName(other))),
    );
    assert.deepEqual(byBytes, texts.toSorted());
  });
});

describe("state that is over", { concurrency: true }, () => {
  it("leaves nothing of a lock that was given back, nor of its line", async (t) => {
    const { broker, keys } = await open(t);
    await take(broker, "door");
    const waiting = broker.acquireLock({ lock: "door", owner: "b", ttlMs: TTL_MS, waitMs: 5_000 });
    await broker.releaseLock({ lock: "door", owner: "a" });
    assert.ok((await waiting).grant !== undefined);
    await broker.releaseLock({ lock: "door", owner: "b" });
    assert.deepEqual(await keys(), []);
  });

  it("is deleted by the purge: locks and lines, values, checkpoints and what is known of writes", async (t) => {
    const { broker, time, keys, purge } = await open(t);
    await take(broker, "door");
    await broker.acquireLock({ lock: "door", owner: "b", ttlMs: TTL_MS, waitMs: 1 });
    await broker.acquireLock({ lock: "door", owner: "c", ttlMs: TTL_MS, waitMs: 1 });
    await broker.writeValue({ key: "k", value: "1", ttlMs: TTL_MS, writeId: "w" });
    await broker.saveCheckpoint({ scope: "s", data: "1", fence: 1, keep: 5, ttlMs: TTL_MS, saveId: "w" });
    const all = await keys();
    await purge();
    assert.deepEqual((await keys()).toSorted(), all.toSorted(), "nothing of it is over yet");
    time.now += TTL_MS;
    await purge();
    assert.deepEqual((await keys()).toSorted(), ["saves:s", "state-ends", "writes:k"]);
    time.now += 2 * WRITE_MEMORY_MS;
    await purge();
    assert.deepEqual(await keys(), []);
  });

  it("does not go while it still counts", async (t) => {
    const { broker, time, purge } = await open(t);
    await take(broker, "door");
    await broker.acquireLock({ lock: "door", owner: "b", ttlMs: TTL_MS, waitMs: 1 });
    time.now += LINE_PATIENCE_MS - 1;
    await broker.extendLock({ lock: "door", owner: "a", ttlMs: 2 * TTL_MS });
    await purge();
    assert.equal((await broker.readLock({ lock: "door" })).lock?.waiting, 1);
    time.now += 2 * TTL_MS - 1;
    await purge();
    assert.equal((await broker.readLock({ lock: "door" })).lock?.owner, "a");
    await broker.writeValue({ key: "k", value: "1", ttlMs: 1 });
    await broker.writeValue({ key: "k", value: "2", ttlMs: null });
    time.now += TTL_MS;
    await purge();
    assert.equal((await broker.readValue({ key: "k" })).value?.value, "2");
  });

  it("is not kept of more writes of one key than a bounded number", async (t) => {
    const { broker, keys, raw } = await open(t);
    await broker.writeValue({ key: "k", value: "1", ttlMs: null, writeId: "first" });
    for (let at = 0; at < 50; at += 1) {
      const fields = Array.from({ length: 1_000 }, (_, no) => [`w-${at}-${no}`, "1"]).flat();
      await raw("HSET", "writes:k", ...fields);
    }
    const second = await broker.writeValue({ key: "k", value: "2", ttlMs: null, writeId: "second" });
    assert.ok((await keys()).includes("writes-before:k"));
    assert.equal(await raw("HLEN", "writes:k"), 2, "the younger ones begin anew");
    const again = await broker.writeValue({ key: "k", value: "1", ttlMs: null, writeId: "first" });
    assert.ok(again.version < second.version, "those before are still known");
  });
});

describe("a call that waits for a lock", () => {
  /** Whoever is answered by it was called, and did not just look again. */
  const stopped: Clock = { now: () => Date.now(), schedule: () => () => undefined };

  it("is called when its turn comes, and when its place is given back", async (t) => {
    const { broker } = await open(t, { clock: stopped });
    await take(broker, "door");
    const wait = (owner: string) => broker.acquireLock({ lock: "door", owner, ttlMs: TTL_MS, waitMs: 30_000 });
    const inLine = (owners: number) =>
      eventually("they stand in line", async () => (await broker.readLock({ lock: "door" })).lock?.waiting === owners);
    const leaver = wait("b");
    await inLine(1);
    const next = wait("c");
    await inLine(2);
    await broker.releaseLock({ lock: "door", owner: "b" });
    assert.equal((await leaver).gaveUp, true);
    await broker.releaseLock({ lock: "door", owner: "a" });
    assert.ok((await next).grant !== undefined);
  });
});

describe("state in several shards", { concurrency: true }, () => {
  it("has tokens that ascend over all of them, though their clocks stand still", async (t) => {
    const { broker } = await open(t, { shards: 3 });
    let last = 0;
    for (const lock of names(60)) {
      const token = await tokenOf(broker, lock, "a");
      assert.ok(token > last, `${token} > ${last}`);
      assert.ok(Number.isSafeInteger(token));
      last = token;
    }
  });

  it("has tokens that ascend when the server has forgotten the last second", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { broker, time } = await open(t, { server });
    const before = await tokenOf(broker, "door", "a");
    await server.command("FLUSHDB");
    time.now += 1;
    const other = await broker.acquireLock({ lock: "door", owner: "b", ttlMs: TTL_MS, waitMs: 0 });
    assert.ok((other.grant?.token ?? 0) > before);
  });

  it("is listed as if it lay in one, page by page", async (t) => {
    const { broker } = await open(t, { shards: 3 });
    const all = names(50);
    for (const name of all) {
      await take(broker, name);
      await broker.writeValue({ key: name, value: JSON.stringify(name), ttlMs: null });
    }
    const read = async (list: (after: string | undefined) => Promise<{ names: string[]; next?: string }>) => {
      const found: string[] = [];
      let pages = 0;
      for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
        const page = await list(after);
        found.push(...page.names);
        after = page.next;
        pages += 1;
      }
      return { found, pages };
    };
    const locks = await read(async (after) => {
      const { locks: page, ...rest } = await broker.listLocks({ limit: 10, ...(after === undefined ? {} : { after }) });
      return { names: page.map(({ lock }) => lock), ...rest };
    });
    assert.deepEqual(locks, { found: all.toSorted(), pages: 5 });
    const values = await read(async (after) => {
      const page = await broker.listValues({ limit: 7, prefix: "n/0", ...(after === undefined ? {} : { after }) });
      return { names: page.values.map(({ key }) => key), ...(page.next === undefined ? {} : { next: page.next }) };
    });
    assert.deepEqual(values, { found: all.toSorted(), pages: 8 });
  });

  it("is purged in all of them", async (t) => {
    const { broker, time, keys, purge } = await open(t, { shards: 3 });
    for (const key of names(20)) await broker.writeValue({ key, value: "1", ttlMs: TTL_MS });
    time.now += TTL_MS;
    const { handled, more } = await broker.purge({ limit: 15 });
    assert.deepEqual([handled, more], [15, true]);
    await purge();
    assert.deepEqual(await keys(), []);
  });
});

describe("a Redis whose memory is full", () => {
  for (const form of ["functions", "scripts"] as const) {
    it(`refuses new state and lets go of old (${form})`, async (t) => {
      const server = await startRedis();
      t.after(() => server.stop());
      const rights = ["~*", "&*", "+@all", ...(form === "scripts" ? ["-fcall", "-function|load"] : [])];
      await server.command("ACL", "SETUSER", "someone", "on", ">secret", ...rights);
      const { broker } = await open(t, { server, user: "someone" });
      await broker.writeValue({ key: "k", value: "1", ttlMs: null });
      await broker.saveCheckpoint({ scope: "s", data: "1", fence: 1, keep: 5, ttlMs: TTL_MS });
      await take(broker, "door");
      await server.command("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1000000");
      const isFull = (thrown: unknown): boolean => HoldfastError.is(thrown, "STORE_FULL");
      await assert.rejects(broker.writeValue({ key: "l", value: "1", ttlMs: null }), isFull);
      await assert.rejects(broker.saveCheckpoint({ scope: "s", data: "2", fence: 1, keep: 5, ttlMs: TTL_MS }), isFull);
      assert.deepEqual(
        (await broker.listValues({ limit: 9 })).values.map(({ key }) => key),
        ["k"],
      );
      assert.equal((await broker.readCheckpoint({ scope: "s" })).checkpoint?.data, "1");
      // Who holds a lock may be the one who makes room.
      await broker.extendLock({ lock: "door", owner: "a", ttlMs: TTL_MS });
      assert.equal((await broker.releaseLock({ lock: "door", owner: "a" })).released, true);
      assert.ok((await take(broker, "door", "b")).grant !== undefined);
      assert.equal((await broker.deleteValue({ key: "k" })).deleted, true);
      assert.equal((await broker.deleteCheckpoints({ scope: "s" })).deleted, 1);
    });
  }
});

describe("the doctor, on state", () => {
  const open = async (t: TestContext): Promise<Redis> => {
    const redis = await Redis.open();
    t.after(() => redis.close());
    const { broker } = redis;
    await take(broker, "door");
    await broker.acquireLock({ lock: "door", owner: "b", ttlMs: TTL_MS, waitMs: 1 });
    await broker.writeValue({ key: "k", value: "1", ttlMs: TTL_MS, writeId: "w" });
    await broker.writeValue({ key: "for ever", value: "1", ttlMs: null });
    await broker.saveCheckpoint({ scope: "s", data: "1", fence: 1, keep: 5, ttlMs: TTL_MS, saveId: "w" });
    return redis;
  };

  it("finds nothing where all is well", async (t) => {
    const redis = await open(t);
    assert.deepEqual(await redis.findings({ repair: true }), {});
  });

  it("mends what no list names, and what would be kept for ever", async (t) => {
    const redis = await open(t);
    await redis.raw("DEL", "locks");
    await redis.raw("DEL", "values");
    await redis.raw("DEL", "state-ends");
    await redis.raw("ZADD", "locks", "0", "nothing");
    await redis.raw("ZADD", "values", "0", "nothing");
    const { State = "" } = await redis.mended();
    assert.match(State, /listed locks and values that are not there: 2/i);
    assert.match(State, /locks and values that no list names: 3/i);
    assert.match(State, /would be kept for ever: [5-9]/);
    assert.deepEqual(
      (await redis.broker.listLocks({ limit: 9 })).locks.map(({ lock }) => lock),
      ["door"],
    );
    assert.equal((await redis.broker.listValues({ limit: 9 })).values.length, 2);
    await redis.broker.purge({ limit: 100 });
    assert.equal((await redis.broker.readLock({ lock: "door" })).lock?.owner, "a", "the purge has looked again");
    assert.deepEqual(await redis.findings(), {});
  });

  it("mends what is there in part only", async (t) => {
    const redis = await open(t);
    await redis.raw("ZADD", "line:door", "9", "nobody");
    await redis.raw("ZADD", "patience:door", "9", "somebody");
    await redis.raw("HSET", "callers:door", "anybody", "x");
    await redis.raw("HDEL", "value:k", "expiresAt");
    await redis.raw("HDEL", "checkpoint:s", "1");
    await redis.raw("SET", "lock:odd", "1");
    const { State = "", Keys = "" } = await redis.findings();
    assert.match(State, /stand in line for a lock in part only: 3/i);
    assert.match(State, /of which a part is gone: 1/i);
    assert.match(State, /listed checkpoints that are not there: 1/i);
    assert.match(Keys, /lock:odd/);
    await redis.raw("DEL", "lock:odd");
    await redis.mended();
    // The place may have run out while the doctor looked: whoever asks again has one in any case, and only one.
    await redis.broker.acquireLock({ lock: "door", owner: "b", ttlMs: TTL_MS, waitMs: 1 });
    assert.equal((await redis.broker.readLock({ lock: "door" })).lock?.waiting, 1);
  });
});
