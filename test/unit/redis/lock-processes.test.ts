/** Locks between processes, some of which are killed. Times are the server's: it says when a lock was taken. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Broker, LockView } from "../../../src/broker/contract.ts";
import { LINE_PATIENCE_MS } from "../../../src/broker/limits.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { siblingModule } from "../../../src/util/sibling-module.ts";
import { cleanups, eventually, type Program, startProgram } from "../../fixtures/sdk/scratch.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";

const LOCK_CLIENT = siblingModule(import.meta.url, "../../fixtures/redis/lock-client");
const LOCK = "door";
/** On a busy machine. */
const PROMPTLY_MS = 400;

interface World {
  readonly broker: Broker;
  readonly server: RedisServer;
  /** Resolves when the process has said something. */
  readonly start: (what: string, ...args: readonly (string | number)[]) => Promise<Program>;
  readonly inLine: (owners: number) => Promise<unknown>;
  readonly holder: () => Promise<LockView>;
}

async function open(t: TestContext, appendonly: "no" | "always" = "no"): Promise<World> {
  const cleanup = cleanups(t);
  const server = await startRedis({ appendonly });
  cleanup(() => server.stop());
  const broker = await openRedisBroker({
    target: { mode: "standalone", nodes: [{ host: server.host, port: server.port }], db: 0 },
    clock: systemClock({ keepAlive: true }),
    random: Math.random,
    newId: () => crypto.randomUUID(),
  });
  cleanup(() => broker.close());
  const read = async (): Promise<LockView | undefined> => (await broker.readLock({ lock: LOCK })).lock;
  return {
    broker,
    server,
    start: (what, ...args) =>
      startProgram(LOCK_CLIENT, [String(server.port), LOCK, what, ...args.map(String)], cleanup),
    inLine: (owners) => eventually(`${owners} stand in line`, async () => (await read())?.waiting === owners),
    holder: async () => {
      const lock = await read();
      assert.ok(lock !== undefined, "somebody holds the lock");
      return lock;
    },
  };
}

function acquire(broker: Broker, owner: string, waitMs: number): ReturnType<Broker["acquireLock"]> {
  return broker.acquireLock({ lock: LOCK, owner, ttlMs: 60_000, waitMs });
}

async function timeOf(server: RedisServer): Promise<number> {
  const [seconds, micros] = (await server.command("TIME")) as string[];
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

describe("a lock between processes", { timeout: 60_000 }, () => {
  it("is the next one's as soon as the time of a killed holder is over", async (t) => {
    const { broker, start, inLine, holder } = await open(t);
    const { child, said } = await start("hold", 3_000);
    const { lock: lost } = JSON.parse(said) as { readonly lock: LockView };
    const next = acquire(broker, "heir", 30_000);
    await inLine(1);
    child.kill("SIGKILL");
    assert.ok((await next).grant !== undefined);
    const heir = await holder();
    assert.ok(heir.token > lost.token);
    const lateMs = heir.acquiredAt - lost.expiresAt;
    assert.ok(lateMs >= 0 && lateMs < PROMPTLY_MS, `${lateMs} ms after the end`);
  });

  it("is held up by one who was killed in line no longer than its patience", async (t) => {
    const { broker, server, start, inLine, holder } = await open(t);
    await acquire(broker, "first", 0);
    const { child } = await start("wait");
    await inLine(1);
    const next = acquire(broker, "next", 30_000);
    await inLine(2);
    child.kill("SIGKILL");
    const releasedAt = await timeOf(server);
    await broker.releaseLock({ lock: LOCK, owner: "first" });
    assert.ok((await next).grant !== undefined);
    const heldUpMs = (await holder()).acquiredAt - releasedAt;
    assert.ok(heldUpMs < LINE_PATIENCE_MS + PROMPTLY_MS, `held up for ${heldUpMs} ms`);
  });

  it("is waited for over a restart of the server, which remembers the line", async (t) => {
    const { broker, server, inLine, holder } = await open(t, "always");
    await acquire(broker, "first", 0);
    const waits = [acquire(broker, "second", 30_000)];
    await inLine(1);
    waits.push(acquire(broker, "third", 30_000));
    await inLine(2);
    await server.restart();
    await inLine(2);
    await broker.releaseLock({ lock: LOCK, owner: "first" });
    assert.ok((await waits[0])?.grant !== undefined);
    assert.equal((await holder()).owner, "second");
    await broker.releaseLock({ lock: LOCK, owner: "second" });
    assert.ok((await waits[1])?.grant !== undefined);
  });

  it("is waited for over a restart of the server, which has forgotten the line and the holder", async (t) => {
    const { broker, server, inLine } = await open(t);
    const { grant } = await acquire(broker, "first", 0);
    const next = acquire(broker, "second", 30_000);
    await inLine(1);
    await server.restart();
    const heir = (await next).grant;
    assert.ok((heir?.token ?? 0) > (grant?.token ?? Infinity), "the token of the forgotten grant is overtaken");
    await assert.rejects(broker.extendLock({ lock: LOCK, owner: "first", ttlMs: 60_000 }), (thrown) =>
      HoldfastError.is(thrown, "LOCK_LOST"),
    );
  });

  it("has one holder at a time, and everybody's turn comes: 30 clients in 3 processes", async (t) => {
    const { broker, server, start, inLine } = await open(t);
    await server.command("SET", "left", "180");
    await acquire(broker, "starter", 0);
    const programs = Promise.all(Array.from({ length: 3 }, () => start("turns", 60_000, 10)));
    await inLine(30);
    await broker.releaseLock({ lock: LOCK, owner: "starter" });
    const told = (await programs).map(({ said }) => JSON.parse(said) as { turns: number[]; faults: string[] });
    assert.deepEqual(
      told.flatMap(({ faults }) => faults),
      [],
    );
    const turns = told.flatMap((one) => one.turns);
    assert.equal(
      turns.reduce((sum, count) => sum + count, 0),
      180,
    );
    // Six each; a process that is held up for a moment comes back into the line a little later.
    assert.ok(Math.min(...turns) >= 4, `turns: ${turns.join(" ")}`);
  });
});
