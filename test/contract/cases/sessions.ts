/** Sessions: one heartbeat keeps all leases, silence loses them, leaving hands them back. */
import assert from "node:assert/strict";
import { done, returned } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

export const sessionCases: CaseGroup = {
  name: "sessions",
  cases: [
    {
      name: "a session is told how to stay alive",
      promises: [4],
      settings: { heartbeatMs: 700, deadAfterMs: 3_000 },
      run: async (world) => {
        const reply = await world.broker.openSession({
          worker: "w",
          host: "h",
          pid: 1,
          pools: ["default"],
          capabilities: [],
          slots: 1,
        });
        assert.deepEqual([reply.heartbeatMs, reply.deadAfterMs], [700, 3_000]);
        assert.ok(reply.session.length > 0);
      },
    },
    {
      name: "silence for longer than allowed is death, and not a moment sooner",
      promises: [3, 4, 8],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const silent = await world.join({ worker: "silent" });
        const lease = await silent.take();
        await world.advance(4_999);
        const early = await world.reap();
        assert.equal(early.handled, 0);
        assert.ok(
          early.nextAt !== undefined && early.nextAt > world.clock.now() && early.nextAt <= world.clock.now() + 2,
        );
        await world.advance(2);
        const reaped = await world.reap();
        assert.ok(reaped.handled >= 1);
        assert.equal(reaped.more, false);
        await refusedWith("SESSION_LOST", () => silent.heartbeat());
        await refusedWith("SESSION_LOST", () => silent.report(done(lease)));
        const heir = await world.join({ worker: "heir" });
        assert.equal((await heir.take()).attempt, 2);
        assert.equal((await world.view(id)).lostAttempts, 1);
      },
    },
    {
      name: "one heartbeat keeps all leases, however long they run",
      promises: [4],
      run: async (world) => {
        const id = await world.submit(batch(50));
        const worker = await world.join();
        const leases = await worker.leases(50);
        for (let second = 0; second < 60; second += 3) {
          await world.advance(3_000);
          assert.deepEqual(await worker.heartbeat(50), { cancel: [], drain: false });
          assert.equal((await world.reap()).handled, 0);
        }
        await worker.finish(...leases);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "claims and commits are signs of life too",
      promises: [4],
      run: async (world) => {
        await world.submit(batch(10));
        const worker = await world.join();
        for (let round = 0; round < 5; round += 1) {
          const lease = await worker.take();
          await world.advance(4_000);
          await world.reap();
          await worker.finish(lease);
          await world.advance(4_000);
          await world.reap();
        }
        assert.deepEqual(await worker.heartbeat(), { cancel: [], drain: false });
      },
    },
    {
      name: "only the silent die",
      promises: [4],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const silent = await world.join({ worker: "silent" });
        const lively = await world.join({ worker: "lively" });
        await silent.take();
        const lease = await lively.take();
        await world.advance(3_000);
        await lively.heartbeat(1);
        await world.advance(3_000);
        await world.reap();
        assert.deepEqual(books(await world.counters(id)), { total: 2, queued: 1, running: 1 });
        await lively.finish(lease);
        await lively.finish(await lively.take());
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "what a dead worker held can be claimed the moment its death is told",
      promises: [3, 4],
      run: async (world) => {
        const id = await world.submit(batch(3));
        const victim = await world.join({ worker: "victim" });
        await victim.leases(3);
        await victim.die();
        const heir = await world.join({ worker: "heir" });
        const leases = await heir.leases(3);
        assert.deepEqual(
          leases.map((lease) => [lease.task, lease.attempt]),
          [
            [0, 2],
            [1, 2],
            [2, 2],
          ],
        );
        assert.equal((await world.view(id)).lostAttempts, 3);
      },
    },
    {
      name: "a worker that leaves hands its leases back with nothing charged",
      promises: [3, 4],
      run: async (world) => {
        const id = await world.submit(batch(3));
        const leaver = await world.join({ worker: "leaver" });
        await leaver.leases(2);
        await leaver.leave();
        const heir = await world.join({ worker: "heir" });
        const leases = await heir.leases(3);
        assert.deepEqual(
          leases.map((lease) => [lease.task, lease.attempt]),
          [
            [0, 1],
            [1, 1],
            [2, 1],
          ],
        );
        const view = await world.view(id);
        assert.deepEqual([view.lostAttempts, view.retries], [0, 0]);
        const { tasks } = await world.broker.listTasks({ executionId: id, limit: 3 });
        assert.deepEqual(
          tasks.map((task) => [task.failures, task.losses]),
          [
            [0, 0],
            [0, 0],
            [0, 0],
          ],
        );
      },
    },
    {
      name: "closing a session again, or one that never was, is harmless",
      promises: [7],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const victim = await world.join({ worker: "victim" });
        await victim.take();
        await victim.die();
        await victim.die();
        await victim.leave();
        await world.broker.closeSession({ session: "nobody", reason: "lost" });
        const view = await world.view(id);
        assert.deepEqual([view.lostAttempts, view.counters.queued], [1, 1]);
      },
    },
    {
      name: "a session that was heard of meanwhile is not closed by somebody who has lost sight of it",
      promises: [3],
      run: async (world) => {
        await world.submit(batch(1));
        const worker = await world.join({ worker: "moved" });
        await worker.take();
        await world.advance(300);
        await worker.heartbeat();
        const closing = { session: worker.session, reason: "lost", silentForMs: 200 } as const;
        await world.advance(100);
        await world.broker.closeSession(closing);
        await worker.heartbeat();
        await world.advance(300);
        await world.broker.closeSession(closing);
        await refusedWith("SESSION_LOST", () => worker.heartbeat());
      },
    },
    {
      name: "what others say in a worker's place counts, and is no sign of its life",
      promises: [3, 4],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const worker = await world.join({ worker: "silent" });
        const [one] = await worker.leases(2);
        assert.ok(one !== undefined);
        await world.advance(300);
        const outcomes = [returned(one)];
        const { verdicts } = await world.broker.commit({ session: worker.session, outcomes, isSign: false });
        assert.deepEqual(verdicts, ["accepted"]);
        await world.broker.closeSession({ session: worker.session, reason: "lost", silentForMs: 300 });
        await refusedWith("SESSION_LOST", () => worker.heartbeat());
        assert.deepEqual(
          [(await world.view(id)).lostAttempts, books(await world.counters(id))],
          [1, { total: 2, queued: 2 }],
        );
      },
    },
    {
      name: "reaping many dead workers keeps to its limit and gets to the end",
      promises: [3, 9],
      run: async (world) => {
        const id = await world.submit(batch(12));
        for (let count = 0; count < 4; count += 1) await (await world.join({ worker: `w${count}` })).leases(3);
        await world.advance(6_000);
        let rounds = 0;
        for (let more = true; more; rounds += 1) {
          assert.ok(rounds < 20, "reaping gets to an end");
          const reply = await world.reap(1);
          assert.ok(reply.handled >= 1);
          more = reply.more;
        }
        assert.deepEqual(books(await world.counters(id)), { total: 12, queued: 12 });
        assert.equal((await world.view(id)).lostAttempts, 12);
        assert.deepEqual(await world.reap(), { handled: 0, more: false });
      },
    },
    {
      name: "a worker asked to drain gets nothing more, but may finish what it has",
      promises: [6],
      run: async (world) => {
        const id = await world.submit(batch(3));
        const worker = await world.join();
        const lease = await worker.take();
        await world.broker.drainSession({ session: worker.session });
        assert.deepEqual(await worker.heartbeat(1), { cancel: [], drain: true });
        const claim = await worker.claim(5);
        assert.deepEqual([claim.leases, claim.drain], [[], true]);
        const reply = await worker.reportAndClaim([done(lease)], 5);
        assert.deepEqual([reply.verdicts, reply.leases, reply.drain], [["accepted"], [], true]);
        const { sessions } = await world.broker.listSessions({ limit: 10 });
        assert.equal(sessions[0]?.state, "draining");
        await worker.leave();
        assert.deepEqual(books(await world.counters(id)), { total: 3, completed: 1, queued: 2 });
      },
    },
    {
      name: "sessions are listed with what they hold and have done",
      promises: [10],
      run: async (world) => {
        await world.submit(sweep(100, 10));
        const openedAt = world.clock.now();
        const busy = await world.join({
          worker: "busy",
          host: "here",
          pid: 77,
          pools: ["default", "qa"],
          capabilities: ["cpu", "ssd"],
          slots: 4,
        });
        const left = await world.join({ worker: "left" });
        const dead = await world.join({ worker: "dead" });
        const [first] = await busy.leases(3);
        assert.ok(first !== undefined);
        await world.advance(1_000);
        await busy.finish(first);
        await left.leave();
        await dead.die();
        const { sessions } = await world.broker.listSessions({ limit: 10 });
        const byName = new Map(sessions.map((view) => [view.worker, view]));
        // A host marks every session that it opens.
        const { hosted: _, ...shown } = byName.get("busy") ?? assert.fail("busy is not listed");
        assert.deepEqual(shown, {
          session: busy.session,
          worker: "busy",
          host: "here",
          pid: 77,
          pools: ["default", "qa"],
          capabilities: ["cpu", "ssd"],
          slots: 4,
          state: "live",
          openedAt,
          lastSeenAt: openedAt + 1_000,
          leases: 2,
          completed: 10,
        });
        assert.deepEqual([byName.get("left")?.state, byName.get("dead")?.state], ["left", "lost"]);
        assert.deepEqual([byName.get("left")?.leases, byName.get("dead")?.leases], [0, 0]);
      },
    },
    {
      name: "two sessions of one worker name are two sessions",
      promises: [4],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const old = await world.join({ worker: "same" });
        await old.take();
        const reborn = await world.join({ worker: "same" });
        assert.notEqual(old.session, reborn.session);
        const lease = await reborn.take();
        await old.die();
        assert.deepEqual(books(await world.counters(id)), { total: 2, queued: 1, running: 1 });
        await reborn.finish(lease);
      },
    },
  ],
};
