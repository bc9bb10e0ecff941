/** Executions that grow: parts in order, each taken once, the end only after the seal. */
import assert from "node:assert/strict";
import type { ExtendParams, TaskGroup } from "../../../src/broker/contract.ts";
import { completed, failed, failure } from "../../support/outcomes.ts";
import { batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith, type World } from "../world.ts";

function part(executionId: string, number: number, groups: readonly TaskGroup[], seal = false): ExtendParams {
  return { executionId, part: number, groups, seal };
}

function openBatch(world: World, count = 1): Promise<string> {
  return world.submit(batch(count, { open: true }));
}

export const extendCases: CaseGroup = {
  name: "extend",
  cases: [
    {
      name: "an open execution does not end before it is sealed",
      promises: [3],
      run: async (world) => {
        const id = await openBatch(world);
        const worker = await world.join();
        await worker.finish(await worker.take());
        assert.equal((await world.view(id)).state, "running");
        assert.equal((await world.broker.readResults({ executionId: id, limit: 10 })).done, false);
        const { total } = await world.broker.extend(part(id, 1, [], true));
        assert.equal(total, 1);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "an open execution may start empty",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(submission([], { open: true }));
        assert.equal((await world.view(id)).state, "pending");
        assert.deepEqual(await world.broker.extend(part(id, 1, [group(tasks(2))])), { total: 2 });
        const worker = await world.join();
        const leases = await worker.leases(5);
        assert.deepEqual(
          leases.map((lease) => lease.task),
          [0, 1],
        );
        await worker.finish(...leases);
        await world.broker.extend(part(id, 2, [], true));
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "tasks are numbered on from the part before",
      promises: [7],
      run: async (world) => {
        const id = await openBatch(world, 2);
        await world.broker.extend(
          part(id, 1, [group(tasks(2), { name: "second" }), group({ ...tasks(1), inputs: ['"x"'] })]),
        );
        const worker = await world.join();
        const leases = await worker.leases(10);
        assert.deepEqual(
          leases.map((lease) => [lease.task, lease.input]),
          [
            [0, "0"],
            [1, "1"],
            [2, "0"],
            [3, "1"],
            [4, '"x"'],
          ],
        );
        await world.broker.cancel({ executionId: id });
      },
    },
    {
      name: "a part that was taken is accepted again without effect",
      promises: [7],
      run: async (world) => {
        const id = await openBatch(world);
        assert.deepEqual(await world.broker.extend(part(id, 1, [group(tasks(2))])), { total: 3 });
        assert.deepEqual(await world.broker.extend(part(id, 1, [group(tasks(2))])), { total: 3 });
        assert.deepEqual(await world.broker.extend(part(id, 2, [group(tasks(1))], true)), { total: 4 });
        assert.deepEqual(await world.broker.extend(part(id, 1, [group(tasks(2))])), { total: 4 });
        assert.deepEqual(await world.broker.extend(part(id, 2, [group(tasks(1))], true)), { total: 4 });
        assert.deepEqual(books(await world.counters(id)), { total: 4, queued: 4 });
      },
    },
    {
      name: "the sealing part is accepted again even after the execution has ended",
      promises: [7],
      run: async (world) => {
        const id = await openBatch(world);
        const sealing = part(id, 1, [group(tasks(1))], true);
        await world.broker.extend(sealing);
        const worker = await world.join();
        await worker.finish(...(await worker.leases(10)));
        assert.equal((await world.view(id)).state, "completed");
        assert.deepEqual(await world.broker.extend(sealing), { total: 2 });
      },
    },
    {
      name: "a part out of order is refused",
      promises: [7],
      run: async (world) => {
        const id = await openBatch(world);
        for (const number of [0, 2, 1.5]) {
          await refusedWith("INVALID_REQUEST", () => world.broker.extend(part(id, number, [group(tasks(1))])));
        }
        assert.equal((await world.counters(id)).total, 1);
      },
    },
    {
      name: "a sealed execution takes no new part",
      promises: [6],
      run: async (world) => {
        const closed = await world.submit(batch(1));
        await refusedWith("EXECUTION_SEALED", () => world.broker.extend(part(closed, 1, [group(tasks(1))])));
        const sealed = await openBatch(world);
        await world.broker.extend(part(sealed, 1, [], true));
        await refusedWith("EXECUTION_SEALED", () => world.broker.extend(part(sealed, 2, [group(tasks(1))])));
      },
    },
    {
      name: "a cancelled execution takes no new part, an unknown one is not found",
      promises: [6],
      run: async (world) => {
        const id = await openBatch(world);
        await world.broker.cancel({ executionId: id });
        await refusedWith("EXECUTION_ENDED", () => world.broker.extend(part(id, 1, [group(tasks(1))])));
        await refusedWith("EXECUTION_NOT_FOUND", () => world.broker.extend(part("nobody", 1, [])));
      },
    },
    {
      name: "a bad part is refused whole, and may be sent again corrected",
      promises: [2, 7],
      run: async (world) => {
        const id = await openBatch(world);
        const bad = part(id, 1, [group(tasks(1)), group(tasks(1, [[99]]))]);
        await refusedWith("INVALID_REQUEST", () => world.broker.extend(bad));
        assert.equal((await world.counters(id)).total, 1);
        assert.deepEqual(await world.broker.extend(part(id, 1, [group(tasks(1))])), { total: 2 });
      },
    },
    {
      name: "a new task waits for older ones, and starts at once where they have completed",
      promises: [2],
      run: async (world) => {
        const id = await openBatch(world, 2);
        const worker = await world.join();
        const [first, second] = await worker.leases(2);
        assert.ok(first !== undefined && second !== undefined);
        await worker.deliver(completed(first, '"a"'));
        await world.broker.extend(part(id, 1, [group(tasks(2, [[0], [0, 1]]))]));
        const child = await worker.take();
        assert.equal(child.task, 2);
        assert.deepEqual(child.parents, { 0: '"a"' });
        assert.deepEqual(await worker.leases(), []);
        await worker.deliver(completed(second, '"b"'));
        assert.deepEqual((await worker.take()).parents, { 0: '"a"', 1: '"b"' });
      },
    },
    {
      name: "a new task that waits for one that failed for good is skipped",
      promises: [3],
      run: async (world) => {
        const id = await openBatch(world);
        const worker = await world.join();
        await worker.deliver(failed(await worker.take(), failure("invalid-input")));
        await world.broker.extend(part(id, 1, [group(tasks(2, [[0], [1]]))], true));
        const view = await world.view(id);
        assert.deepEqual(books(view.counters), { total: 3, failed: 1, skipped: 2 });
        assert.equal(view.state, "failed");
      },
    },
    {
      name: "an array may be added",
      promises: [9],
      run: async (world) => {
        const id = await openBatch(world);
        assert.deepEqual(await world.broker.extend(part(id, 1, sweep(1_000_000_000, 10).groups)), {
          total: 1_000_000_001,
        });
        const worker = await world.join();
        const leases = await worker.leases(2);
        assert.deepEqual(
          leases.map((lease) => [lease.task, lease.start, lease.end]),
          [
            [0, undefined, undefined],
            [1, 0, 10],
          ],
        );
        await world.broker.cancel({ executionId: id });
      },
    },
    {
      name: "a claim that waits gets the tasks of a new part at once",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(submission([], { open: true }));
        const worker = await world.join();
        const waiting = worker.waitForWork(30_000);
        await world.settle();
        await world.broker.extend(part(id, 1, [group(tasks(1))]));
        assert.equal((await waiting.promise).leases.length, 1);
      },
    },
  ],
};
