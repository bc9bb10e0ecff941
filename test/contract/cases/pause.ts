/** Pausing executions and pools: no new claims at once, running attempts finish. */
import assert from "node:assert/strict";
import { ascending } from "../../support/ascending.ts";
import { done, failed } from "../../support/outcomes.ts";
import { batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

export const pauseCases: CaseGroup = {
  name: "pause and resume",
  cases: [
    {
      name: "a paused execution gives out nothing, others go on",
      promises: [6],
      run: async (world) => {
        const paused = await world.submit(sweep(1_000_000_000, 10, { priority: 9 }));
        const other = await world.submit(batch(1));
        const view = await world.broker.pause({ executionId: paused });
        assert.equal(view.state, "paused");
        const worker = await world.join();
        assert.deepEqual(
          (await worker.leases(10)).map((lease) => lease.executionId),
          [other],
        );
        const resumed = await world.broker.resume({ executionId: paused });
        assert.equal(resumed.state, "pending", "nothing of it has started yet");
        assert.equal((await worker.take()).executionId, paused);
      },
    },
    {
      name: "running attempts finish while it is paused",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(3));
        const worker = await world.join();
        const lease = await worker.take();
        await world.broker.pause({ executionId });
        assert.deepEqual(await worker.heartbeat(1), { cancel: [], drain: false });
        const reply = await worker.reportAndClaim([done(lease)], 5);
        assert.deepEqual([reply.verdicts, reply.leases], [["accepted"], []]);
        assert.deepEqual(books(await world.counters(executionId)), { total: 3, completed: 1, queued: 2 });
        const view = await world.broker.resume({ executionId });
        assert.equal(view.state, "running");
        await worker.finish(...(await worker.leases(5)));
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "the last running attempt may complete a paused execution",
      promises: [2, 6],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        await world.broker.pause({ executionId });
        await worker.finish(lease);
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "children released, losses and retries of a paused execution wait for the resume",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(submission([group(tasks(4, [[], [0], [], []]))]));
        const worker = await world.join();
        const victim = await world.join({ worker: "victim" });
        const [parent, failing] = await worker.leases(2);
        assert.ok(parent !== undefined && failing !== undefined);
        await victim.take();
        await world.broker.pause({ executionId });
        await worker.deliver(done(parent), failed(failing));
        await victim.die();
        await world.advance(5_000);
        await worker.heartbeat();
        await world.promote();
        assert.deepEqual(await worker.leases(10), []);
        assert.deepEqual(books(await world.counters(executionId)), { total: 4, completed: 1, queued: 3 });
        await world.broker.resume({ executionId });
        const leases = await worker.leases(10);
        assert.deepEqual(ascending(leases.map((lease) => lease.task)), [1, 2, 3]);
      },
    },
    {
      name: "pausing or resuming twice is harmless",
      promises: [7],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        assert.equal((await world.broker.resume({ executionId })).state, "pending");
        await world.broker.pause({ executionId });
        assert.equal((await world.broker.pause({ executionId })).state, "paused");
        await world.broker.resume({ executionId });
        assert.equal((await world.broker.resume({ executionId })).state, "pending");
      },
    },
    {
      name: "what has ended cannot be paused or resumed, what is unknown is not found",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        await world.broker.cancel({ executionId });
        await refusedWith("EXECUTION_ENDED", () => world.broker.pause({ executionId }));
        await refusedWith("EXECUTION_ENDED", () => world.broker.resume({ executionId }));
        await refusedWith("EXECUTION_NOT_FOUND", () => world.broker.pause({ executionId: "nobody" }));
        await refusedWith("EXECUTION_NOT_FOUND", () => world.broker.resume({ executionId: "nobody" }));
      },
    },
    {
      name: "a paused pool gives out nothing, other pools go on",
      promises: [6],
      run: async (world) => {
        await world.submit(batch(2, {}, { pool: "qa" }));
        const other = await world.submit(batch(1));
        const view = await world.broker.pausePool({ pool: "qa" });
        assert.deepEqual([view.pool, view.paused, view.queued], ["qa", true, 2]);
        const worker = await world.join({ pools: ["qa", "default"] });
        assert.deepEqual(
          (await worker.leases(5)).map((lease) => lease.executionId),
          [other],
        );
        assert.equal((await world.broker.resumePool({ pool: "qa" })).paused, false);
        assert.equal((await worker.leases(5)).length, 2);
      },
    },
    {
      name: "work that comes to a paused pool waits; what runs there finishes",
      promises: [6],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        await world.broker.pausePool({ pool: "default" });
        await world.submit(batch(1));
        const reply = await worker.reportAndClaim([done(lease)], 5);
        assert.deepEqual([reply.verdicts, reply.leases], [["accepted"], []]);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a pool may be paused before anybody uses it, and paused or resumed again",
      promises: [7],
      run: async (world) => {
        for (let repeat = 0; repeat < 2; repeat += 1) {
          const view = await world.broker.pausePool({ pool: "new" });
          assert.deepEqual([view.pool, view.paused, view.queued, view.sessions], ["new", true, 0, 0]);
        }
        assert.equal((await world.broker.listPools()).pools.find((pool) => pool.pool === "new")?.paused, true);
        await world.submit(batch(1, {}, { pool: "new" }));
        const worker = await world.join({ pools: ["new"] });
        assert.deepEqual(await worker.leases(), []);
        for (let repeat = 0; repeat < 2; repeat += 1) await world.broker.resumePool({ pool: "new" });
        assert.equal((await worker.leases()).length, 1);
      },
    },
  ],
};
