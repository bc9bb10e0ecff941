/** Cancelling: it ends at once for everybody who looks, and running attempts are told to stop. */
import assert from "node:assert/strict";
import { done, failed } from "../../support/outcomes.ts";
import { batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import { allEvents, allResults } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

export const cancelCases: CaseGroup = {
  name: "cancel",
  cases: [
    {
      name: "what is not done is cancelled, whatever state it is in; what is done stays",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(submission([group(tasks(5, [[], [], [], [], [3]]))]));
        const worker = await world.join();
        const [first, second] = await worker.leases(3);
        assert.ok(first !== undefined && second !== undefined);
        await worker.deliver(done(first), failed(second));
        const view = await world.broker.cancel({ executionId, reason: "no longer needed" });
        assert.equal(view.state, "cancelled");
        assert.equal(view.endedAt, world.clock.now());
        assert.deepEqual(books(view.counters), { total: 5, completed: 1, cancelled: 4 });
        assert.equal((await allResults(world.broker, executionId)).length, 1);
        await world.advance(10_000);
        await worker.heartbeat();
        await world.promote();
        assert.deepEqual(await worker.leases(10), []);
        const ends = (await allEvents(world.broker, executionId))
          .map((event) => event.change)
          .filter((change) => change.kind === "execution");
        assert.deepEqual(ends.at(-1), { kind: "execution", state: "cancelled", reason: "no longer needed" });
      },
    },
    {
      name: "a billion items are cancelled as fast as ten",
      promises: [6, 9],
      run: async (world) => {
        const executionId = await world.submit(sweep(1_000_000_000, 1_000));
        const worker = await world.join();
        const [first] = await worker.leases(3);
        assert.ok(first !== undefined);
        await worker.finish(first);
        const began = performance.now();
        const view = await world.broker.cancel({ executionId });
        assert.ok(performance.now() - began < 500);
        assert.deepEqual(books(view.counters), { total: 1_000_000_000, completed: 1_000, cancelled: 999_999_000 });
        assert.deepEqual(await worker.leases(10), []);
      },
    },
    {
      name: "the holder of a cancelled lease is told with its next heartbeat",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(sweep(30, 10));
        const holder = await world.join({ worker: "holder" });
        const other = await world.join({ worker: "other" });
        const leases = await holder.leases(2);
        await world.broker.cancel({ executionId });
        assert.deepEqual(await other.heartbeat(), { cancel: [], drain: false });
        const { cancel } = await holder.heartbeat(2);
        const told = cancel.map((lease) => [lease.executionId, lease.task, lease.start, lease.token]);
        assert.deepEqual(
          told,
          leases.map((lease) => [executionId, 0, lease.start, lease.token]),
        );
      },
    },
    {
      name: "the order to stop is repeated until the worker has reported the lease",
      promises: [6, 7],
      run: async (world) => {
        const executionId = await world.submit(batch(2));
        const worker = await world.join();
        const [first, second] = await worker.leases(2);
        assert.ok(first !== undefined && second !== undefined);
        await world.broker.cancel({ executionId });
        for (let repeat = 0; repeat < 2; repeat += 1) assert.equal((await worker.heartbeat(2)).cancel.length, 2);
        assert.equal((await worker.claim()).cancel.length, 2);
        assert.deepEqual(await worker.report(done(first)), ["refused"]);
        assert.deepEqual(
          (await worker.heartbeat(1)).cancel.map((lease) => lease.task),
          [second.task],
        );
        assert.deepEqual(await worker.report(failed(second)), ["refused"]);
        assert.deepEqual((await worker.heartbeat()).cancel, []);
      },
    },
    {
      name: "cancelling again is harmless and keeps the first reason",
      promises: [7],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const first = await world.broker.cancel({ executionId, reason: "first" });
        await world.advance(1_000);
        assert.deepEqual(await world.broker.cancel({ executionId, reason: "second" }), first);
      },
    },
    {
      name: "what has completed or failed cannot be cancelled, what is unknown is not found",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const worker = await world.join();
        await worker.finish(await worker.take());
        await refusedWith("EXECUTION_ENDED", () => world.broker.cancel({ executionId }));
        await refusedWith("EXECUTION_NOT_FOUND", () => world.broker.cancel({ executionId: "nobody" }));
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "a paused execution can be cancelled",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(2));
        await world.broker.pause({ executionId });
        assert.equal((await world.broker.cancel({ executionId })).state, "cancelled");
      },
    },
    {
      name: "the death of a worker that held a cancelled lease brings nothing back",
      promises: [1, 6],
      run: async (world) => {
        for (const work of [batch(1), sweep(10, 10)]) {
          const executionId = await world.submit(work);
          const victim = await world.join({ worker: "victim" });
          await victim.take();
          await world.broker.cancel({ executionId });
          await victim.die();
          const view = await world.view(executionId);
          assert.deepEqual(
            [view.state, view.counters.cancelled, view.lostAttempts],
            ["cancelled", view.counters.total, 0],
          );
          const heir = await world.join({ worker: "heir" });
          assert.deepEqual(await heir.leases(5), []);
        }
      },
    },
    {
      name: "cancelling makes room for the work of others at once",
      promises: [3, 6],
      run: async (world) => {
        const executionId = await world.submit(sweep(1_000_000, 10, { priority: 10 }));
        const other = await world.submit(batch(1, { priority: 1 }));
        await world.broker.cancel({ executionId });
        const worker = await world.join();
        assert.deepEqual(
          (await worker.leases(5)).map((lease) => lease.executionId),
          [other],
        );
      },
    },
  ],
};
