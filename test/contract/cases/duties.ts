/** Duties of the coordinator: one leader at a time, and attempts that outlive their timeout. */
import assert from "node:assert/strict";
import { done } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, type World } from "../world.ts";

function lead(
  world: World,
  holder: string,
  lease = "duties",
  ttlMs = 3_000,
): Promise<{ leader: boolean; term: number }> {
  return world.broker.lead({ lease, holder, ttlMs });
}

/** Time passes while the workers show life. */
async function passes(world: World, ms: number, workers: readonly { heartbeat(): Promise<unknown> }[]): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
    await world.advance(Math.min(1_000, leftMs));
    for (const worker of workers) await worker.heartbeat();
  }
}

export const dutyCases: CaseGroup = {
  name: "leadership and overdue attempts",
  cases: [
    {
      name: "one leads, the others watch",
      promises: [4],
      run: async (world) => {
        const first = await lead(world, "a");
        assert.equal(first.leader, true);
        assert.deepEqual(await lead(world, "b"), { leader: false, term: first.term });
        assert.deepEqual(await lead(world, "a"), first);
      },
    },
    {
      name: "who renews stays leader, in the same term",
      promises: [4, 8],
      run: async (world) => {
        const first = await lead(world, "a");
        for (let round = 0; round < 5; round += 1) {
          await world.advance(2_000);
          assert.deepEqual(await lead(world, "a"), first);
          assert.equal((await lead(world, "b")).leader, false);
        }
      },
    },
    {
      name: "a silent leader is followed by another in a later term",
      promises: [3, 8],
      run: async (world) => {
        const first = await lead(world, "a");
        await world.advance(2_999);
        assert.equal((await lead(world, "b")).leader, false);
        await world.advance(2);
        const next = await lead(world, "b");
        assert.equal(next.leader, true);
        assert.ok(next.term > first.term);
        assert.deepEqual(await lead(world, "a"), { leader: false, term: next.term });
      },
    },
    {
      name: "leases of different names have different leaders",
      promises: [4],
      run: async (world) => {
        assert.equal((await lead(world, "a", "one")).leader, true);
        assert.equal((await lead(world, "b", "two")).leader, true);
        assert.equal((await lead(world, "b", "one")).leader, false);
      },
    },
    {
      name: "of many that reach for the lead at once one gets it",
      promises: [4],
      run: async (world) => {
        const replies = await Promise.all(["a", "b", "c", "d", "e"].map((holder) => lead(world, holder)));
        assert.equal(replies.filter((reply) => reply.leader).length, 1);
      },
    },
    {
      name: "an attempt that outlives its timeout and the grace is taken back as a timeout",
      promises: [3, 4],
      run: async (world) => {
        const id = await world.submit(batch(1, {}, { timeoutMs: 1_000 }));
        const worker = await world.join();
        const lease = await worker.take();
        await passes(world, 5_999, [worker]);
        const early = await world.broker.reapOverdue({ limit: 10 });
        assert.equal(early.handled, 0);
        assert.ok(early.nextAt === undefined || early.nextAt <= world.clock.now() + 2);
        await world.advance(2);
        assert.equal((await world.broker.reapOverdue({ limit: 10 })).handled, 1);
        assert.deepEqual(books(await world.counters(id)), { total: 1, scheduled: 1 });
        const { tasks } = await world.broker.listTasks({ executionId: id, limit: 1 });
        assert.deepEqual([tasks[0]?.failures, tasks[0]?.losses, tasks[0]?.lastFailure?.class], [1, 0, "timeout"]);
        assert.deepEqual(
          (await worker.heartbeat(1)).cancel.map((ref) => ref.token),
          [lease.token],
        );
        assert.deepEqual(await worker.report(done(lease)), ["refused"]);
        assert.deepEqual((await worker.heartbeat()).cancel, []);
        await passes(world, 5_000, [worker]);
        await world.promote();
        await worker.finish(await worker.take());
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "an attempt without a timeout is never overdue",
      promises: [4],
      run: async (world) => {
        await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        await passes(world, 100_000, [worker]);
        assert.equal((await world.broker.reapOverdue({ limit: 10 })).handled, 0);
        await worker.finish(lease);
      },
    },
    {
      name: "a chunk's timeout counts per item",
      promises: [4],
      run: async (world) => {
        const id = await world.submit(sweep(10, 10, {}, { timeoutMs: 1_000 }));
        const worker = await world.join();
        const lease = await worker.take();
        await passes(world, 14_000, [worker]);
        assert.equal((await world.broker.reapOverdue({ limit: 10 })).handled, 0);
        await passes(world, 1_100, [worker]);
        assert.equal((await world.broker.reapOverdue({ limit: 10 })).handled, 1);
        assert.equal((await world.counters(id)).running, 0);
        assert.deepEqual(await worker.report(done(lease)), ["refused"]);
        await passes(world, 5_000, [worker]);
        await world.promote();
        for (let leases = await worker.leases(10); leases.length > 0; leases = await worker.leases(10)) {
          assert.ok(
            leases.every((one) => one.careful === true),
            "the item that hangs has to be found",
          );
          await worker.finish(...leases);
        }
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "overdue attempts of a silent worker are taken back whichever duty comes first",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(batch(1, {}, { timeoutMs: 1_000 }));
        const silent = await world.join();
        await silent.take();
        await world.advance(10_000);
        await world.broker.reapOverdue({ limit: 10 });
        await world.reap();
        await world.broker.reapOverdue({ limit: 10 });
        await world.advance(5_000);
        await world.promote();
        const heir = await world.join({ worker: "heir" });
        const lease = await heir.take();
        assert.equal(lease.attempt, 2);
        await heir.finish(lease);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a duty with nothing to do says so",
      promises: [9],
      run: async (world) => {
        const { broker } = world;
        for (const reply of [
          await broker.reapSessions({ limit: 5 }),
          await broker.promoteDue({ limit: 5 }),
          await broker.reapOverdue({ limit: 5 }),
          await broker.purge({ limit: 5 }),
        ]) {
          assert.deepEqual(reply, { handled: 0, more: false });
        }
        assert.deepEqual(await broker.pendingVerifications({ limit: 5 }), { pending: [] });
      },
    },
  ],
};
