/** Shared state when the process or the disk lets the owner of the file down. */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { AcquireLockReply, Broker } from "../../../src/broker/contract.ts";
import { MAX_LOCK_TTL_MS, MAX_WAIT_MS } from "../../../src/broker/limits.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

let ids = 0;

function open(file: string, clock: VirtualClock, maxPages?: number): Broker {
  const newId = (): string => `id-${(ids += 1)}`;
  return openSqliteBroker({ file, clock, random: () => 0.5, newId, ...(maxPages === undefined ? {} : { maxPages }) });
}

function ask(
  broker: Broker,
  owner: string,
  changes: { lock?: string; ttlMs?: number } = {},
): Promise<AcquireLockReply> {
  return broker.acquireLock({ lock: "door", owner, ttlMs: 10_000, waitMs: MAX_WAIT_MS, ...changes });
}

/** Writes until the store takes no more, in ever smaller pieces. */
async function fill(broker: Broker): Promise<void> {
  let refused = 0;
  for (let size = 65_536, count = 0; size >= 1; count += 1) {
    try {
      await broker.writeValue({ key: `filler-${count}`, value: `"${"x".repeat(size)}"`, ttlMs: null });
    } catch (thrown) {
      assert.ok(HoldfastError.is(thrown, "STORE_FULL"), String(thrown));
      refused += 1;
      size = Math.floor(size / 2);
    }
  }
  assert.ok(refused > 0);
}

describe("shared state", () => {
  it("survives the death of its owner: what was answered is in the file", () =>
    withTemporaryFolder(async (folder) => {
      const clock = new VirtualClock();
      const [file, found] = [join(folder, "holdfast.db"), join(folder, "found.db")];
      const owner = open(file, clock);
      const { grant } = await ask(owner, "a");
      const { version } = await owner.writeValue({ key: "k", value: "1", ttlMs: null });
      await owner.saveCheckpoint({ scope: "s", data: "2", fence: 1, keep: 5, ttlMs: 10_000 });
      const waiting = ask(owner, "b");
      await clock.advance(0);
      // What a killed process leaves behind.
      for (const end of ["", "-wal"]) copyFileSync(file + end, found + end);
      const heir = open(found, clock);
      const { lock } = await heir.readLock({ lock: "door" });
      assert.deepEqual([lock?.owner, lock?.token, lock?.waiting], ["a", grant?.token, 1]);
      assert.equal((await heir.readValue({ key: "k" })).value?.version, version);
      assert.equal((await heir.readCheckpoint({ scope: "s" })).checkpoint?.data, "2");
      await heir.close();
      await owner.close();
      assert.equal((await waiting).grant, undefined);
    }));

  it("refuses what does not fit, and a lock that cannot be passed on goes on when there is room", () =>
    withTemporaryFolder(async (folder) => {
      const clock = new VirtualClock();
      const broker = open(join(folder, "holdfast.db"), clock, 200);
      const { grant } = await ask(broker, "a");
      const next = new PendingCall(ask(broker, "b"));
      // Asked for at the same moment as other work, so that they share a transaction and its fate.
      await clock.advance(0);
      await fill(broker);
      const before = await broker.readLock({ lock: "door" });
      assert.deepEqual([before.lock?.owner, before.lock?.token, before.lock?.waiting], ["a", grant?.token, 1]);
      const calls = await Promise.allSettled([
        broker.releaseLock({ lock: "door", owner: "a" }),
        ...Array.from({ length: 50 }, (_, index) =>
          broker.writeValue({ key: `more-${index}`, value: `"${"x".repeat(4_000)}"`, ttlMs: null }),
        ),
      ]);
      assert.ok(calls.some((call) => call.status === "rejected"));
      for (let index = 0; index < 10; index += 1) await broker.deleteValue({ key: `filler-${index}` });
      await broker.releaseLock({ lock: "door", owner: "a" });
      const passedOn = await next.promise;
      assert.ok((passedOn.grant?.token ?? 0) > (grant?.token ?? Infinity));
      assert.equal((await broker.readLock({ lock: "door" })).lock?.owner, "b");
      await broker.close();
    }));

  it("forgets no one who waits when a transaction beside it fails", () =>
    withTemporaryFolder(async (folder) => {
      const clock = new VirtualClock();
      const broker = open(join(folder, "holdfast.db"), clock, 120);
      await ask(broker, "a", { ttlMs: MAX_LOCK_TTL_MS });
      const group = { name: "t", handler: "{}", pool: "default", requires: [], retry: DEFAULT_RETRY, maxLosses: 3 };
      const inputs = Array.from({ length: 2_000 }, () => JSON.stringify("x".repeat(1_000)));
      const tooMuch = {
        name: "b",
        kind: "batch",
        priority: 5,
        groups: [{ ...group, work: { kind: "tasks", inputs } }],
      };
      const one = new PendingCall(ask(broker, "b"));
      const refused = broker.submit({ submissions: [tooMuch as never] });
      const two = new PendingCall(ask(broker, "c"));
      await assert.rejects(refused, (thrown: unknown) => HoldfastError.is(thrown, "STORE_FULL"));
      await clock.advance(0);
      assert.deepEqual([one.state, two.state], ["waiting", "waiting"]);
      assert.equal((await broker.readLock({ lock: "door" })).lock?.waiting, 2);
      await broker.releaseLock({ lock: "door", owner: "a" });
      assert.ok((await one.promise).grant !== undefined);
      await broker.releaseLock({ lock: "door", owner: "b" });
      assert.ok((await two.promise).grant !== undefined);
      await broker.close();
    }));

  it("costs nothing while calls wait: one timer for their locks, none when they are gone", () =>
    withTemporaryFolder(async (folder) => {
      const clock = new VirtualClock();
      const broker = open(join(folder, "holdfast.db"), clock);
      const idle = clock.waiting;
      for (const lock of ["one", "two", "three"]) await ask(broker, "a", { lock, ttlMs: 60_000 });
      assert.equal(clock.waiting, idle);
      const calls = ["one", "two", "three"].map((lock) => ask(broker, "b", { lock }));
      await clock.advance(0);
      assert.equal(clock.waiting, idle + calls.length + 1);
      await clock.advance(MAX_WAIT_MS);
      for (const reply of await Promise.all(calls)) assert.equal(reply.grant, undefined);
      await clock.advance(60_000);
      assert.equal(clock.waiting, idle);
      await broker.close();
      assert.equal(clock.waiting, 0);
    }));
});
