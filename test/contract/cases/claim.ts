/** Claiming: what a lease carries, who may have it, and in what order. */
import assert from "node:assert/strict";
import { ascending } from "../../support/ascending.ts";
import { array, batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

export const claimCases: CaseGroup = {
  name: "claim",
  cases: [
    {
      name: "a lease and its spec carry all that is needed to run the attempt",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(
          submission([
            group(
              { kind: "tasks", inputs: ['{"x":1}'] },
              { name: "train", handler: '{"call":"me"}', timeoutMs: 60_000, memoryLimitMb: 512 },
            ),
          ]),
        );
        const worker = await world.join();
        const reply = await worker.claim(10);
        const [lease] = reply.leases;
        assert.ok(lease !== undefined);
        assert.deepEqual([lease.executionId, lease.task, lease.attempt, lease.input], [id, 0, 1, '{"x":1}']);
        assert.ok(lease.token.length > 0);
        assert.deepEqual(
          [lease.start, lease.end, lease.parents, lease.replica],
          [undefined, undefined, undefined, undefined],
        );
        assert.deepEqual(reply.specs[lease.spec], {
          name: "train",
          handler: '{"call":"me"}',
          timeoutMs: 60_000,
          memoryLimitMb: 512,
        });
        assert.deepEqual([reply.cancel, reply.drain], [[], false]);
      },
    },
    {
      name: "a chunk's lease names its range, its spec the source",
      promises: [1],
      run: async (world) => {
        await world.submit(
          submission([group(array(25, 10, { source: '{"over":"grid"}' }), { name: "points" })], { kind: "sweep" }),
        );
        const worker = await world.join();
        const reply = await worker.claim(10);
        assert.deepEqual(
          reply.leases.map((lease) => [lease.start, lease.end, lease.attempt]),
          [
            [0, 10, 1],
            [10, 20, 1],
            [20, 25, 1],
          ],
        );
        assert.equal(new Set(reply.leases.map((lease) => lease.spec)).size, 1);
        const spec = reply.specs[reply.leases[0]?.spec ?? ""];
        assert.deepEqual(spec, {
          name: "points",
          handler: '{"kind":"test"}',
          source: '{"over":"grid"}',
          results: "keep",
        });
      },
    },
    {
      name: "a claim takes no more than it asks for, and nothing twice",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(5));
        const one = await world.join();
        const two = await world.join({ worker: "w2" });
        const mine = await one.leases(3);
        const theirs = await two.leases(3);
        assert.deepEqual(ascending([...mine, ...theirs].map((lease) => lease.task)), [0, 1, 2, 3, 4]);
        assert.deepEqual(await one.leases(3), []);
        assert.deepEqual(books(await world.counters(id)), { total: 5, running: 5 });
      },
    },
    {
      name: "a claim of nothing takes nothing",
      promises: [9],
      run: async (world) => {
        await world.submit(batch(1));
        const worker = await world.join();
        assert.deepEqual(await worker.leases(0), []);
        assert.equal((await worker.leases(1)).length, 1);
      },
    },
    {
      name: "first in, first out within an execution",
      promises: [5],
      run: async (world) => {
        await world.submit(batch(50));
        const worker = await world.join();
        const order: number[] = [];
        for (const max of [1, 7, 1, 20, 21]) order.push(...(await worker.leases(max)).map((lease) => lease.task));
        assert.deepEqual(
          order,
          Array.from({ length: 50 }, (_, index) => index),
        );
      },
    },
    {
      name: "higher priority first, within one claim too",
      promises: [5],
      run: async (world) => {
        const low = await world.submit(batch(3, { priority: 2 }));
        const high = await world.submit(batch(3, { priority: 9 }));
        const middle = await world.submit(batch(3, { priority: 5 }));
        const worker = await world.join();
        const first = await worker.leases(4);
        const second = await worker.leases(5);
        const order = [...first, ...second].map((lease) => lease.executionId);
        assert.deepEqual(order, [high, high, high, middle, middle, middle, low, low, low]);
      },
    },
    {
      name: "urgent work that comes later goes first",
      promises: [5],
      run: async (world) => {
        await world.submit(sweep(1_000_000, 10, { priority: 5 }));
        const worker = await world.join();
        await worker.leases(3);
        const urgent = await world.submit(batch(1, { priority: 8 }));
        assert.equal((await worker.take()).executionId, urgent);
      },
    },
    {
      name: "a worker gets only what its capabilities allow",
      promises: [5],
      run: async (world) => {
        const id = await world.submit(
          submission([
            group(tasks(1), { requires: ["gpu", "cpu"] }),
            group(tasks(1), { requires: ["gpu"] }),
            group(tasks(1), { requires: ["cpu"] }),
            group(tasks(1)),
          ]),
        );
        const plain = await world.join({ capabilities: [] });
        const cpu = await world.join({ worker: "w2", capabilities: ["cpu", "ssd"] });
        const both = await world.join({ worker: "w3", capabilities: ["cpu", "gpu"] });
        const numbers = async (worker: typeof plain): Promise<number[]> =>
          (await worker.leases(10)).map((lease) => lease.task);
        assert.deepEqual(await numbers(plain), [3]);
        assert.deepEqual(await numbers(cpu), [2]);
        assert.deepEqual(ascending(await numbers(both)), [0, 1]);
        assert.deepEqual(books(await world.counters(id)), { total: 4, running: 4 });
      },
    },
    {
      name: "work that nobody here can do does not hold up the rest",
      promises: [3, 5],
      run: async (world) => {
        await world.submit(batch(2_000, { priority: 10 }, { requires: ["tpu"] }));
        await world.submit(sweep(1_000_000, 10, { priority: 10 }, { requires: ["gpu"] }));
        const doable = await world.submit(batch(1, { priority: 1 }));
        const worker = await world.join();
        assert.deepEqual(
          (await worker.leases(10)).map((lease) => lease.executionId),
          [doable],
        );
      },
    },
    {
      name: "a worker serves its own pools and no other",
      promises: [5],
      run: async (world) => {
        const qa = await world.submit(batch(1, {}, { pool: "qa" }));
        const web = await world.submit(batch(1, {}, { pool: "web" }));
        const stranger = await world.join({ pools: ["default"] });
        assert.deepEqual(await stranger.leases(5), []);
        const one = await world.join({ worker: "w2", pools: ["qa"] });
        assert.deepEqual(
          (await one.leases(5)).map((lease) => lease.executionId),
          [qa],
        );
        const several = await world.join({ worker: "w3", pools: ["qa", "web", "default"] });
        assert.deepEqual(
          (await several.leases(5)).map((lease) => lease.executionId),
          [web],
        );
      },
    },
    {
      name: "a worker of several pools takes the more urgent work first, wherever it is",
      promises: [5],
      run: async (world) => {
        await world.submit(batch(2, { priority: 3 }, { pool: "a" }));
        const urgent = await world.submit(batch(2, { priority: 7 }, { pool: "b" }));
        const worker = await world.join({ pools: ["a", "b"] });
        assert.deepEqual(
          (await worker.leases(2)).map((lease) => lease.executionId),
          [urgent, urgent],
        );
        assert.equal((await worker.leases(5)).length, 2);
      },
    },
    {
      name: "a worker of several pools leaves none of them aside",
      promises: [3, 5],
      run: async (world) => {
        await world.submit(sweep(1_000_000, 10, {}, { pool: "a" }));
        const other = await world.submit(batch(3, {}, { pool: "b" }));
        const worker = await world.join({ pools: ["a", "b"] });
        for (let round = 0; round < 12; round += 1) await worker.finish(await worker.take());
        assert.equal((await world.view(other)).state, "completed");
      },
    },
    {
      name: "groups of one execution may go to different pools",
      promises: [5],
      run: async (world) => {
        const id = await world.submit(
          submission([group(tasks(1), { pool: "a" }), group(tasks(1, [[0]]), { pool: "b" })]),
        );
        const first = await world.join({ pools: ["a"] });
        const second = await world.join({ worker: "w2", pools: ["b"] });
        assert.deepEqual(await second.leases(), []);
        await first.finish(await first.take());
        await second.finish(await second.take());
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "only a live session may claim",
      promises: [4],
      run: async (world) => {
        await world.submit(batch(1));
        await refusedWith("SESSION_LOST", () => world.broker.claim({ session: "nobody", max: 1, waitMs: 0 }));
        const worker = await world.join();
        await worker.leave();
        await refusedWith("SESSION_LOST", () => worker.claim());
      },
    },
  ],
};
