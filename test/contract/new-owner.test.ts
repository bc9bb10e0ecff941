/** What a new owner of the file must know of what the last one knew: each thing by itself. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { LINE_PATIENCE_MS } from "../../src/broker/limits.ts";
import { ALL_POOLS } from "../../src/broker/contract.ts";
import { auditBroker } from "./audit.ts";
import { apply, applyAsPreviewed, hold, numbersTaken, rank, remove, rewire, statesOf, UNDO, unhold } from "./edits.ts";
import { granted, holderOf, LOCK, LONG_TTL_MS, release, standInLine, take, TTL_MS } from "./lock-turns.ts";
import { books, refusedWith, type World } from "./world.ts";
import { done, failed, failure, itemFailures, rangeOf, chunkDone } from "../support/outcomes.ts";
import { array, batch, group, submission, sweep, tasks, workflow } from "../support/submissions.ts";
import { withTemporaryFolder } from "../support/temporary-folder.ts";
import { openOwnedWorld } from "./owned-world.ts";

function afterReopening(what: string, story: (world: World, reopen: () => Promise<void>) => Promise<void>): void {
  it(what, { timeout: 30_000 }, () =>
    withTemporaryFolder(async (folder) => {
      const { world, reopen, close } = openOwnedWorld(join(folder, "holdfast.db"));
      try {
        await story(world, reopen);
        await reopen();
        await auditBroker(world.broker);
      } finally {
        await close();
      }
    }),
  );
}

describe("a new owner of the file", () => {
  afterReopening("counts losses on", async (world, reopen) => {
    const single = await world.submit(batch(1));
    const chunk = await world.submit(sweep(1, 1));
    for (let death = 1; death <= 3; death += 1) {
      const victim = await world.join({ worker: `victim-${death}` });
      assert.deepEqual(
        (await victim.leases(5)).map((lease) => lease.attempt),
        [death, death],
      );
      // Once between the claim and the death, and always between the death and the next claim.
      if (death === 2) await reopen();
      await victim.die();
      await reopen();
    }
    for (const id of [single, chunk]) {
      const { letters } = await world.broker.listDeadLetters({ executionId: id, limit: 10 });
      assert.deepEqual(
        letters.map((letter) => [letter.losses, letter.failure.class]),
        [[3, "worker-lost"]],
      );
    }
  });

  afterReopening("counts failures on, and keeps to the times of retries", async (world, reopen) => {
    const single = await world.submit(batch(1));
    const chunk = await world.submit(sweep(1, 1));
    for (const [index, backoffMs] of [5_000, 10_000, 20_000].entries()) {
      const worker = await world.join();
      for (const lease of await worker.leases(5)) {
        assert.equal(lease.attempt, index + 1);
        await worker.deliver(lease.end === undefined ? failed(lease) : chunkDone(lease, itemFailures([0])));
      }
      await worker.leave();
      await reopen();
      await world.advance(backoffMs - 1);
      assert.equal((await world.promote()).handled, 0);
      await world.advance(1);
      assert.equal((await world.promote()).handled, 2);
      await reopen();
    }
    const worker = await world.join();
    const [one, two] = await worker.leases(5);
    assert.ok(one !== undefined && two !== undefined);
    await worker.deliver(
      ...[one, two].map((lease) => (lease.end === undefined ? failed(lease) : chunkDone(lease, itemFailures([0])))),
    );
    assert.deepEqual([(await world.view(single)).state, (await world.view(chunk)).state], ["failed", "failed"]);
  });

  afterReopening("goes on carefully where a chunk failed without a culprit", async (world, reopen) => {
    await world.submit(sweep(10, 10));
    const worker = await world.join();
    await worker.deliver(failed(await worker.take(), failure("out-of-memory")));
    await reopen();
    await world.advance(5_000);
    await worker.heartbeat();
    await world.promote();
    const lease = await worker.take();
    assert.equal(lease.careful, true);
    await reopen();
    await worker.finish(lease);
  });

  afterReopening("knows the sessions and their leases, and when they are silent", async (world, reopen) => {
    const id = await world.submit(batch(3));
    const lively = await world.join({ worker: "lively" });
    const silent = await world.join({ worker: "silent" });
    const lease = await lively.take();
    const lost = await silent.take();
    await reopen();
    assert.deepEqual(await lively.heartbeat(1), { cancel: [], drain: false });
    assert.deepEqual(books(await world.counters(id)), { total: 3, queued: 1, running: 2 });
    await lively.finish(lease);
    await world.advance(3_000);
    await lively.heartbeat();
    await world.advance(3_000);
    await world.reap();
    await refusedWith("SESSION_LOST", () => silent.report(done(lost)));
    assert.deepEqual(
      (await lively.leases(5)).map((one) => [one.task, one.attempt]),
      [
        [1, 2],
        [2, 1],
      ],
    );
  });

  afterReopening("never gives a token out again", async (world, reopen) => {
    await world.submit(batch(1, {}, { maxLosses: 100 }));
    const tokens = new Set<string>();
    for (let life = 0; life < 6; life += 1) {
      const worker = await world.join();
      tokens.add((await worker.take()).token);
      await worker.die();
      await reopen();
    }
    assert.equal(tokens.size, 6);
  });

  afterReopening("accepts what was told before and refuses what is late", async (world, reopen) => {
    const id = await world.submit(sweep(30, 10));
    const worker = await world.join();
    const [first, second] = await worker.leases(2);
    assert.ok(first !== undefined && second !== undefined);
    const outcome = chunkDone(first, itemFailures([3]));
    await worker.deliver(outcome);
    await reopen();
    await worker.deliver(outcome);
    await worker.die();
    await reopen();
    const heir = await world.join({ worker: "heir" });
    assert.deepEqual(await heir.report(done(second)), ["refused"]);
    assert.deepEqual(books(await world.counters(id)), { total: 30, completed: 9, scheduled: 1, queued: 20 });
  });

  afterReopening("keeps what is paused paused, and who drains draining", async (world, reopen) => {
    const executionId = await world.submit(batch(1));
    await world.submit(batch(1, {}, { pool: "qa" }));
    await world.broker.pause({ executionId });
    await world.broker.pausePool({ pool: "qa" });
    const worker = await world.join({ pools: ["default", "qa"] });
    const leaver = await world.join({ worker: "leaver", pools: ["default", "qa"] });
    await world.broker.drainSession({ session: leaver.session });
    await reopen();
    assert.deepEqual(await worker.leases(5), []);
    await world.broker.resume({ executionId });
    await world.broker.resumePool({ pool: "qa" });
    assert.equal((await leaver.heartbeat()).drain, true);
    assert.deepEqual(await leaver.leases(5), []);
    assert.equal((await worker.leases(5)).length, 2);
  });

  afterReopening("starts a delayed group when it is due, not sooner", async (world, reopen) => {
    await world.submit(batch(2, {}, { delayMs: 4_000 }));
    await world.submit(sweep(100, 100, {}, { delayMs: 4_000 }));
    await reopen();
    const worker = await world.join();
    await world.advance(3_999);
    await world.promote();
    assert.deepEqual(await worker.leases(5), []);
    await world.advance(1);
    await world.promote();
    await reopen();
    assert.equal((await worker.leases(5)).length, 3);
  });

  afterReopening("knows parts, keys, and who waits for whom", async (world, reopen) => {
    const key = { key: "nightly", open: true };
    const id = await world.submit(batch(1, key));
    const part = { executionId: id, part: 1, groups: [group(tasks(2, [[0], [1]]))], seal: true };
    await world.broker.extend(part);
    await reopen();
    assert.equal(await world.submit(batch(1, key)), id);
    assert.deepEqual(await world.broker.extend(part), { total: 3 });
    const worker = await world.join();
    for (const task of [0, 1, 2]) {
      const lease = await worker.take();
      assert.equal(lease.task, task);
      await reopen();
      await worker.finish(lease);
      await reopen();
    }
    assert.equal((await world.view(id)).state, "completed");
  });

  afterReopening("goes on carving where the cursor stood, ranges that came back first", async (world, reopen) => {
    await world.submit(submission([group(array(1_000_000_000, 10))]));
    const worker = await world.join();
    const victim = await world.join({ worker: "victim" });
    await worker.take();
    await victim.take();
    await worker.take();
    await victim.die();
    await reopen();
    assert.deepEqual((await worker.leases(2)).map(rangeOf), [
      { start: 10, end: 20 },
      { start: 30, end: 40 },
    ]);
  });

  afterReopening(
    "knows which copies of a verified chunk are still to come, and from whom not",
    async (world, reopen) => {
      const verify = { sample: 1, replicas: 3, tolerance: 0, seed: 1 };
      const id = await world.submit(sweep(10, 10, { verify }));
      const [first, second, third] = [
        await world.join({ worker: "first" }),
        await world.join({ worker: "second" }),
        await world.join({ worker: "third" }),
      ];
      await first.finish(await first.take());
      await reopen();
      assert.deepEqual(await first.leases(5), []);
      const copy = await second.take();
      await reopen();
      assert.deepEqual(await second.leases(5), [], "it runs a copy already");
      await second.finish(copy);
      await reopen();
      assert.deepEqual(await second.leases(5), [], "it has run a copy");
      await third.finish(await third.take());
      await reopen();
      const { pending } = await world.broker.pendingVerifications({ limit: 10 });
      assert.deepEqual(
        pending.map((one) => one.copies.map(({ worker }) => worker).toSorted()),
        [["first", "second", "third"]],
      );
      await world.broker.judgeVerifications({ verdicts: [{ executionId: id, task: 0, start: 0 }] });
      await reopen();
      const view = await world.view(id);
      assert.deepEqual([view.state, view.verification?.agreed], ["completed", 1]);
    },
  );

  afterReopening("continues every reader's story", async (world, reopen) => {
    const executionId = await world.submit(batch(4));
    const worker = await world.join();
    await worker.finish(...(await worker.leases(2)));
    const results = await world.broker.readResults({ executionId, limit: 1 });
    const events = await world.broker.readEvents({ cursor: 0, limit: 3 });
    await reopen();
    await worker.finish(...(await worker.leases(2)));
    const rest = await world.broker.readResults({ executionId, limit: 10, cursor: results.cursor });
    assert.deepEqual(
      [...results.rows, ...rest.rows].map((row) => row.task),
      [0, 1, 2, 3],
    );
    const all = await world.broker.readEvents({ cursor: 0, limit: 100 });
    const later = await world.broker.readEvents({ cursor: events.cursor, limit: 100 });
    assert.deepEqual([...events.events, ...later.events], all.events);
  });

  afterReopening("knows who paused what, and that all pools are paused", async (world, reopen) => {
    const executionId = await world.submit(batch(1));
    await world.submit(batch(1, {}, { pool: "qa" }));
    const at = world.clock.now();
    await world.broker.pause({ executionId, by: "ann" });
    await world.broker.pausePool({ pool: "qa", by: "bob" });
    await world.broker.pausePool({ pool: ALL_POOLS, by: "cleo" });
    await world.advance(1_000);
    await reopen();
    assert.deepEqual((await world.view(executionId)).paused, { by: "ann", at });
    const pauses = (await world.broker.listPools()).pools.map(({ pool, pause }) => `${pool} ${pause?.by}`);
    assert.deepEqual(pauses.toSorted(), ["default cleo", "qa bob"]);
    await world.broker.resumePool({ pool: ALL_POOLS });
    await reopen();
    const worker = await world.join({ pools: ["default", "qa"] });
    assert.deepEqual(await worker.leases(5), []);
    await world.broker.resume({ executionId });
    await world.broker.resumePool({ pool: "qa" });
    await reopen();
    assert.equal((await worker.leases(5)).length, 2);
  });

  afterReopening("counts the pools' work on", async (world, reopen) => {
    await world.submit(batch(4));
    await world.submit(submission([group(tasks(2, [[], [0]]))]));
    await world.submit(sweep(30, 10, {}, { delayMs: 60_000 }));
    const worker = await world.join({ slots: 4 });
    const [one, two] = await worker.leases(3);
    assert.ok(one !== undefined && two !== undefined);
    await worker.deliver(done(one), failed(two, failure("invalid-input")));
    const before = await world.broker.listPools();
    await reopen();
    assert.deepEqual(await world.broker.listPools(), before);
    const amounts = { blocked: 1, scheduled: 30, queued: 2, running: 1, completed: 1, failed: 1 };
    const workers = { sessions: 1, slots: 4, standby: 0, min: 0 };
    assert.deepEqual(before.pools, [{ pool: "default", paused: false, ...amounts, ...workers }]);
  });

  afterReopening("knows limits of pools, and who stands by", async (world, reopen) => {
    await world.submit(batch(4));
    await world.broker.limitPool({ pool: "default", min: 2, max: 2 });
    const [first, second, third] = [await world.join(), await world.join(), await world.join()];
    await reopen();
    const [pool] = (await world.broker.listPools()).pools;
    assert.deepEqual([pool?.min, pool?.max, pool?.standby], [2, 2, 1]);
    assert.deepEqual(await third.leases(1), []);
    assert.equal((await second.leases(1)).length, 1);
    await first.leave();
    assert.equal((await third.leases(1)).length, 1);
  });

  afterReopening(
    "goes on with what edits have made of an execution, and takes the last one back",
    async (world, reopen) => {
      const executionId = await world.submit(workflow([[], [], [0], [], [3]]));
      const worker = await world.join();
      await apply(world, executionId, rewire(2, 1), rank({ 1: 3 }), hold(0));
      await apply(world, executionId, remove(3), hold(1));
      await reopen();
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "blocked", "blocked", "skipped", "skipped"]);
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual([changes.restored, changes.unheld], [[3, 4], 1]);
      await reopen();
      assert.deepEqual(await numbersTaken(worker, 2), [1, 3]);
      assert.deepEqual(await worker.leases(1), []);
      await reopen();
      await apply(world, executionId, unhold(0));
      assert.equal((await worker.take()).input, "0");
    },
  );

  afterReopening("goes on with what was run again by hand", async (world, reopen) => {
    const groups = [group(tasks(4, [[], [], [0], [1]])), group(array(40, 10))];
    const executionId = await world.submit(submission(groups, { maxFailures: 1 }));
    const worker = await world.join();
    const leases = await worker.leases(4);
    const dead = leases.find(({ task }) => task === 0);
    const chunk = leases.find(({ end }) => end !== undefined);
    assert.ok(dead !== undefined && chunk !== undefined);
    await worker.deliver(chunkDone(chunk, itemFailures([4])), failed(dead, failure("invalid-input")));
    assert.equal((await world.view(executionId)).state, "failed");
    await reopen();
    assert.equal((await world.broker.retry({ executionId })).changed, 1);
    const counters = { total: 44, completed: 9, queued: 33, blocked: 2 };
    assert.deepEqual(books(await world.counters(executionId)), counters);
    await reopen();
    assert.deepEqual(books(await world.counters(executionId)), counters);
    for (let all = await worker.leases(10); all.length > 0; all = await worker.leases(10)) {
      await reopen();
      await worker.finish(...all);
    }
    assert.deepEqual(books(await world.counters(executionId)), { total: 44, completed: 44 });
  });

  afterReopening("does not count letters that stayed towards maxFailures", async (world, reopen) => {
    const executionId = await world.submit(batch(5, { maxFailures: 2 }));
    const worker = await world.join();
    const die = async (): Promise<void> => worker.deliver(failed(await worker.take(), failure("invalid-input")));
    await die();
    await die();
    await world.broker.retry({ executionId, letters: [{ task: 0 }] });
    await reopen();
    await die();
    assert.equal((await world.view(executionId)).state, "running");
    await die();
    assert.equal((await world.view(executionId)).state, "failed");
  });

  afterReopening("knows which letters were discarded", async (world, reopen) => {
    const executionId = await world.submit(batch(2));
    const worker = await world.join();
    await worker.deliver(...(await worker.leases(2)).map((lease) => failed(lease, failure("invalid-input"))));
    await world.broker.discard({ executionId, letters: [{ task: 0 }] });
    await reopen();
    const { letters } = await world.broker.listDeadLetters({ limit: 10 });
    assert.deepEqual(
      letters.map((letter) => letter.task),
      [1],
    );
  });

  afterReopening("knows which results were taken back", async (world, reopen) => {
    const executionId = await world.submit(submission([group(tasks(3, [[], [0], []]))], { keepInputs: true }));
    const worker = await world.join();
    const finishAll = async (): Promise<void> => {
      for (let all = await worker.leases(5); all.length > 0; all = await worker.leases(5)) await worker.finish(...all);
    };
    const results = async (): Promise<number[]> =>
      (await world.broker.readResults({ executionId, limit: 10 })).rows.map((row) => row.task);
    await finishAll();
    await reopen();
    await world.broker.rerun({ executionId, task: 0 });
    await reopen();
    assert.deepEqual(await results(), [2]);
    await finishAll();
    await reopen();
    assert.deepEqual(await results(), [2, 0, 1]);
  });

  afterReopening("knows what was edited, and which edits were made", async (world, reopen) => {
    const executionId = await world.submit(submission([group(tasks(4, [[], [], [1], []]))]));
    const worker = await world.join();
    const [first, running] = await worker.leases(2);
    assert.ok(first !== undefined && running !== undefined);
    const edits = [
      { kind: "priority", priority: 8 } as const,
      { kind: "remove", tasks: [1, 3] } as const,
      { kind: "add", groups: [group(tasks(2, [[0], [1]]))] } as const,
    ];
    const params = { executionId, edits, apply: true, editId: "mine" };
    const { changes } = await world.broker.editExecution(params);
    await reopen();
    const again = await world.broker.editExecution(params);
    assert.deepEqual([again.changes, again.execution.priority], [changes, 8]);
    assert.deepEqual(books(again.execution.counters), { total: 6, running: 1, blocked: 1, skipped: 4 });
    await world.submit(batch(1, { priority: 7 }));
    assert.deepEqual(await worker.report(done(running)), ["refused"]);
    await worker.deliver(failed(first, failure("invalid-input")));
    assert.equal((await world.view(executionId)).state, "failed");
    await reopen();
    await world.broker.retry({ executionId });
    await reopen();
    assert.deepEqual(books(await world.counters(executionId)), { total: 6, queued: 1, blocked: 1, skipped: 4 });
    for (const task of [0, 4]) {
      const lease = await worker.take();
      assert.deepEqual([lease.executionId, lease.task], [executionId, task]);
      await worker.finish(lease);
    }
    assert.deepEqual((await world.broker.editExecution(params)).changes, changes);
  });

  afterReopening("keeps to the order of the dead: what has ended stays ended", async (world, reopen) => {
    const cancelled = await world.submit(sweep(100, 10));
    const worker = await world.join();
    await worker.take();
    await world.broker.cancel({ executionId: cancelled });
    const failedId = await world.submit(batch(3, { maxFailures: 1 }));
    await worker.deliver(failed(await worker.take(), failure("invalid-input")));
    await reopen();
    assert.deepEqual(await worker.leases(10), []);
    assert.deepEqual(
      [(await world.view(cancelled)).state, (await world.view(failedId)).state],
      ["cancelled", "failed"],
    );
  });

  afterReopening("knows who holds a lock, until when, and who stands in line", async (world, reopen) => {
    const grant = await take(world, "a", { note: "painting it" });
    const early = await standInLine(world, "b", { waitMs: 500 });
    const late = await standInLine(world, "c");
    await world.advance(500);
    await early.call.promise;
    const before = await world.broker.readLock({ lock: LOCK });
    await reopen();
    assert.equal((await late.call.promise).grant, undefined, "the owner answers who waits before it ends");
    assert.deepEqual(await world.broker.readLock({ lock: LOCK }), before);
    assert.deepEqual(await take(world, "a", { ttlMs: 1 }), grant);
    const again = await standInLine(world, "c");
    const first = await standInLine(world, "b");
    await release(world, "a");
    assert.ok((await granted(first.call)).token > grant.token);
    await reopen();
    assert.equal((await again.call.promise).grant, undefined);
    await world.advance(TTL_MS);
    assert.equal(await holderOf(world), undefined);
    await take(world, "c");
  });

  afterReopening("does not wait longer than usual for those in line who do not come back", async (world, reopen) => {
    await take(world, "a", { ttlMs: LONG_TTL_MS });
    await standInLine(world, "b");
    await reopen();
    await release(world, "a");
    const { call } = await standInLine(world, "c");
    await world.advance(LINE_PATIENCE_MS - 1);
    assert.equal(call.state, "waiting");
    await world.advance(1);
    await granted(call);
  });

  afterReopening("never gives a fencing token out again", async (world, reopen) => {
    const tokens: number[] = [];
    for (let life = 0; life < 5; life += 1) {
      tokens.push((await take(world, `owner-${life}`)).token);
      await release(world, `owner-${life}`);
      await reopen();
    }
    assert.deepEqual(
      tokens,
      [...new Set(tokens)].toSorted((left, right) => left - right),
    );
  });

  afterReopening("knows values, their versions and the writes that named themselves", async (world, reopen) => {
    const write = (changes: { value?: string; ttlMs?: number; writeId?: string }): Promise<{ version: number }> =>
      world.broker.writeValue({ key: "k", value: "1", ttlMs: null, ...changes });
    const first = await write({ writeId: "w", ttlMs: 1_000 });
    await reopen();
    assert.equal((await world.broker.readValue({ key: "k" })).value?.version, first.version);
    const second = await write({ value: "2", ttlMs: 1_000 });
    assert.ok(second.version > first.version);
    assert.deepEqual((await write({ writeId: "w", ttlMs: 1_000 })).version, first.version);
    await world.broker.deleteValue({ key: "k" });
    await reopen();
    assert.ok((await write({ value: "3", ttlMs: 1_000 })).version > second.version);
    await world.advance(1_000);
    await reopen();
    assert.deepEqual(await world.broker.readValue({ key: "k" }), {});
  });

  afterReopening("knows checkpoints, their numbers and the fence", async (world, reopen) => {
    const save = (fence: number, saveId?: string): Promise<{ version: number }> =>
      world.broker.saveCheckpoint({
        scope: "s",
        data: `"by ${fence}"`,
        fence,
        keep: 2,
        ttlMs: 60_000,
        ...(saveId === undefined ? {} : { saveId }),
      });
    for (const version of [1, 2, 3]) assert.deepEqual(await save(2, `save-${version}`), { version });
    const before = await world.broker.listCheckpoints({ scope: "s" });
    await reopen();
    assert.deepEqual(await world.broker.listCheckpoints({ scope: "s" }), before);
    await refusedWith("CHECKPOINT_FENCED", () => save(1));
    assert.deepEqual(await save(2, "save-1"), { version: 1 });
    assert.deepEqual(await save(3), { version: 4 });
    await reopen();
    assert.equal((await world.broker.readCheckpoint({ scope: "s" })).checkpoint?.data, '"by 3"');
  });
});
