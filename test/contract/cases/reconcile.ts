/** Reconcile: after a break, what a session knows of and what the broker holds for it are made one. */
import assert from "node:assert/strict";
import type { LeaseRef } from "../../../src/broker/contract.ts";
import { MAX_HELD } from "../../../src/broker/limits.ts";
import { completed, failed, refOf, returned } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

export const reconcileCases: CaseGroup = {
  name: "reconcile",
  cases: [
    {
      name: "leases that the session does not know of are handed back with nothing charged",
      promises: [3, 7],
      run: async (world) => {
        const id = await world.submit(batch(4));
        const worker = await world.join();
        const [first, second] = await worker.leases(4);
        assert.ok(first !== undefined && second !== undefined);
        assert.deepEqual(await worker.reconcile(first, second), { returned: 2, lost: [] });
        assert.deepEqual(books(await world.counters(id)), { total: 4, queued: 2, running: 2 });
        const heir = await world.join({ worker: "heir" });
        const rest = await heir.leases(4);
        assert.deepEqual(
          rest.map((lease) => [lease.task, lease.attempt]),
          [
            [2, 1],
            [3, 1],
          ],
        );
        await worker.finish(first, second);
        await heir.finish(...rest);
        const view = await world.view(id);
        assert.deepEqual([view.state, view.lostAttempts, view.retries, view.refusedOutcomes], ["completed", 0, 0, 0]);
      },
    },
    {
      name: "chunks and replicas of chunks are handed back too",
      promises: [3],
      run: async (world) => {
        const verify = { sample: 1, replicas: 2, tolerance: 0, seed: 1 };
        const id = await world.submit(sweep(20, 10, { verify }));
        const one = await world.join({ worker: "one" });
        const two = await world.join({ worker: "two" });
        await one.finish(await one.take());
        const leases = await two.leases(2);
        assert.deepEqual(
          leases.map((lease) => [lease.start, lease.replica]),
          [
            [0, 1],
            [10, undefined],
          ],
        );
        assert.deepEqual(await two.reconcile(), { returned: 2, lost: [] });
        const again = await two.leases(2);
        assert.deepEqual(
          again.map((lease) => [lease.start, lease.replica, lease.attempt]),
          [
            [0, 1, 1],
            [10, undefined, 1],
          ],
        );
        assert.deepEqual(await two.reconcile(...again), { returned: 0, lost: [] });
        await two.finish(...again);
        await one.finish(await one.take());
        assert.deepEqual(books(await world.counters(id)), { total: 20, completed: 20 });
        await world.broker.cancel({ executionId: id });
      },
    },
    {
      name: "a lease is the session's own or it is lost",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(3));
        const worker = await world.join();
        const other = await world.join({ worker: "other" });
        const [own, reported] = await worker.leases(2);
        const foreign = await other.take();
        const cancelled = await world.submit(sweep(10, 10));
        const chunk = await worker.take();
        assert.ok(own !== undefined && reported !== undefined);
        await worker.finish(reported);
        await world.broker.cancel({ executionId: cancelled });
        const lost: LeaseRef[] = [
          refOf(reported),
          refOf(chunk),
          refOf(foreign),
          { ...refOf(own), token: "nonsense" },
          { ...refOf(own), start: 0 },
          { ...refOf(own), executionId: "nobody" },
        ];
        const held = [...lost, refOf(own)];
        assert.deepEqual(await world.broker.reconcile({ session: worker.session, held }), { returned: 0, lost });
        await worker.finish(own);
        await other.finish(foreign);
        assert.deepEqual(books(await world.counters(id)), { total: 3, completed: 3 });
      },
    },
    {
      name: "to say it again changes nothing",
      promises: [7],
      run: async (world) => {
        const id = await world.submit(batch(3));
        const worker = await world.join();
        const [kept, ...unknown] = await worker.leases(3);
        assert.ok(kept !== undefined);
        assert.deepEqual(await worker.reconcile(kept), { returned: 2, lost: [] });
        assert.deepEqual(await worker.reconcile(kept), { returned: 0, lost: [] });
        assert.deepEqual(await worker.report(...unknown.map(returned)), ["accepted", "accepted"]);
        assert.deepEqual(books(await world.counters(id)), { total: 3, queued: 2, running: 1 });
        await worker.finish(kept);
        await worker.finish(...(await worker.leases(3)));
      },
    },
    {
      name: "what was handed back cannot be committed any more",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        await worker.reconcile();
        assert.deepEqual(await worker.report(completed(lease), failed(lease)), ["refused", "refused"]);
        assert.deepEqual(await worker.reconcile(lease), { returned: 0, lost: [refOf(lease)] });
        const again = await worker.take();
        assert.notEqual(again.token, lease.token);
        assert.deepEqual(await worker.report(completed(lease)), ["refused"]);
        await worker.finish(again);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a worker that waits gets what is handed back at once",
      promises: [3],
      run: async (world) => {
        await world.submit(batch(1));
        const worker = await world.join();
        await worker.take();
        const heir = await world.join({ worker: "heir" });
        const waiting = heir.waitForWork(30_000);
        await world.settle();
        assert.equal(waiting.state, "waiting");
        await worker.reconcile();
        const [lease] = (await waiting.promise).leases;
        assert.equal(lease?.attempt, 1);
      },
    },
    {
      name: "it is a sign of life, and the dead are told that they are",
      promises: [4],
      run: async (world) => {
        await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        await world.advance(4_000);
        await worker.reconcile(lease);
        await world.advance(4_000);
        assert.equal((await world.reap()).handled, 0);
        await worker.die();
        await refusedWith("SESSION_LOST", () => worker.reconcile(lease));
        await refusedWith("SESSION_LOST", () => world.broker.reconcile({ session: "nobody", held: [] }));
      },
    },
    {
      name: "a worker that drains keeps what it knows of, and gets nothing back",
      promises: [6],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const worker = await world.join();
        const [kept] = await worker.leases(2);
        assert.ok(kept !== undefined);
        await world.broker.drainSession({ session: worker.session });
        assert.deepEqual(await worker.reconcile(kept), { returned: 1, lost: [] });
        assert.deepEqual(await worker.leases(2), []);
        await worker.finish(kept);
        assert.deepEqual(books(await world.counters(id)), { total: 2, queued: 1, completed: 1 });
      },
    },
    {
      name: "one call names no more leases than its limit",
      promises: [9],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        const stranger: LeaseRef = { executionId: "x", task: 0, token: "t" };
        const held = Array.from({ length: MAX_HELD + 1 }, () => stranger);
        await refusedWith("BATCH_TOO_LARGE", () => world.broker.reconcile({ session: worker.session, held }));
        assert.equal((await world.counters(id)).running, 1);
        await worker.finish(lease);
      },
    },
  ],
};
