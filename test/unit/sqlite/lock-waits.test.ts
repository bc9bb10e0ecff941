/** Calls that wait for a lock, over a store that refuses now and then. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AcquireLockParams, AcquireLockReply } from "../../../src/broker/contract.ts";
import { DEFAULT_BROKER_SETTINGS } from "../../../src/broker/settings.ts";
import { Database } from "../../../src/broker/sqlite/database.ts";
import { Engine } from "../../../src/broker/sqlite/engine.ts";
import { LockWaits } from "../../../src/broker/sqlite/lock-waits.ts";
import { acquireLock, releaseLock } from "../../../src/broker/sqlite/state-locks.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const TTL_MS = 10_000;

/** The locks of a broker whose next transactions may be refused, as by a full disk. */
class RefusingStore {
  readonly clock = new VirtualClock();
  readonly waits: LockWaits;
  readonly #db = new Database(":memory:");
  readonly #engine: Engine;
  refuses = false;
  refused = 0;

  constructor() {
    this.#engine = new Engine({
      db: this.#db,
      settings: DEFAULT_BROKER_SETTINGS,
      now: () => this.clock.now(),
      random: () => 0.5,
      newId: () => "id",
    });
    this.waits = new LockWaits({ engine: this.#engine, clock: this.clock, change: (run) => this.#change(run) });
  }

  async #change(run: () => void): Promise<void> {
    try {
      this.#db.transaction(true, () => {
        run();
        this.waits.serve();
        if (this.refuses) throw new HoldfastError("STORE_FULL", { file: "a file", what: "the disk" });
      });
    } catch (thrown) {
      this.refused += 1;
      this.waits.forget();
      throw thrown;
    }
    this.waits.answer();
  }

  async wait(owner: string): Promise<PendingCall<AcquireLockReply>> {
    const params: AcquireLockParams = { lock: "door", owner, ttlMs: TTL_MS, waitMs: 30_000 };
    let reply: Promise<AcquireLockReply> | undefined;
    await this.#change(() => {
      const { grant } = acquireLock(this.#engine, params);
      this.waits.touch("door");
      reply = grant === undefined ? this.waits.wait(params) : Promise.resolve({ grant, ahead: 0 });
    });
    assert.ok(reply !== undefined);
    return new PendingCall(reply);
  }

  async release(owner: string): Promise<void> {
    await this.#change(() => {
      releaseLock(this.#engine, { lock: "door", owner });
      this.waits.touch("door");
    });
  }
}

describe("calls that wait for a lock", () => {
  it("are woken again when the store refused to pass an expired lock on", async () => {
    const store = new RefusingStore();
    await store.wait("a");
    const next = await store.wait("b");
    store.refuses = true;
    await store.clock.advance(TTL_MS + 1_000);
    assert.equal(next.state, "waiting");
    assert.ok(store.refused >= 2 && store.refused <= 4, `tried ${store.refused} times in a second`);
    store.refuses = false;
    await store.clock.advance(500);
    assert.equal(next.state, "done");
    assert.ok((await next.promise).grant !== undefined);
  });

  it("hear nothing of a release that was not stored", async () => {
    const store = new RefusingStore();
    await store.wait("a");
    const next = await store.wait("b");
    store.refuses = true;
    await assert.rejects(() => store.release("a"));
    store.refuses = false;
    await store.wait("c");
    await store.clock.advance(TTL_MS - 1);
    assert.equal(next.state, "waiting");
    await store.clock.advance(1);
    assert.ok((await next.promise).grant !== undefined);
  });

  it("are forgotten with the transaction in which they began to wait", async () => {
    const store = new RefusingStore();
    await store.wait("a");
    const timers = store.clock.waiting;
    store.refuses = true;
    await assert.rejects(() => store.wait("b"));
    store.refuses = false;
    assert.equal(store.clock.waiting, timers);
    await store.release("a");
    const next = await store.wait("c");
    assert.equal((await next.promise).grant?.expiresAt, store.clock.now() + TTL_MS);
  });
});
