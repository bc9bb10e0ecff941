/** Arrays: as cheap for 10⁹ items as for ten, carved into disjoint ranges that cover all of it. */
import assert from "node:assert/strict";
import type { Lease } from "../../../src/broker/contract.ts";
import { chunkDone, rangeOf, returned } from "../../support/outcomes.ts";
import { seededRandom, wholeBetween } from "../../support/seeded-random.ts";
import { array, group, submission, sweep } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books } from "../world.ts";

const BILLION = 1_000_000_000;

function ranges(leases: readonly Lease[]): (readonly [number, number])[] {
  return leases.map((lease) => [rangeOf(lease).start, rangeOf(lease).end] as const);
}

export const arrayCases: CaseGroup = {
  name: "arrays and chunks",
  cases: [
    {
      name: "a billion items are submitted as fast as ten",
      promises: [9],
      run: async (world) => {
        const began = performance.now();
        const id = await world.submit(sweep(BILLION, 1_000));
        const tookMs = performance.now() - began;
        // The aim is 50 ms; a loaded machine gets some more, a loop over the items would need minutes.
        assert.ok(tookMs < 500, `submitting took ${tookMs} ms`);
        assert.deepEqual(books(await world.counters(id)), { total: BILLION, queued: BILLION });
        const { tasks } = await world.broker.listTasks({ executionId: id, limit: 10 });
        assert.equal(tasks.length, 1);
        assert.deepEqual(books(tasks[0]?.items ?? (await world.counters(id))), { total: BILLION, queued: BILLION });
      },
    },
    {
      name: "chunks are carved in order, disjoint, to the last item",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(sweep(23, 5));
        const one = await world.join();
        const two = await world.join({ worker: "w2" });
        const carved: Lease[] = [];
        for (const worker of [one, two, one]) carved.push(...(await worker.leases(2)));
        assert.deepEqual(ranges(carved), [
          [0, 5],
          [5, 10],
          [10, 15],
          [15, 20],
          [20, 23],
        ]);
        assert.deepEqual(books(await world.counters(id)), { total: 23, running: 23 });
        await one.finish(...carved.filter((_, index) => index !== 2 && index !== 3));
        assert.deepEqual(books(await world.counters(id)), { total: 23, completed: 13, running: 10 });
        await two.finish(...carved.filter((_, index) => index === 2 || index === 3));
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a chunk larger than the array is the whole array",
      promises: [9],
      run: async (world) => {
        const id = await world.submit(sweep(3, 1_000));
        const worker = await world.join();
        const lease = await worker.take();
        assert.deepEqual(rangeOf(lease), { start: 0, end: 3 });
        await worker.finish(lease);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "an array of the greatest length is carved like any other",
      promises: [9],
      run: async (world) => {
        const id = await world.submit(sweep(Number.MAX_SAFE_INTEGER, 7));
        const worker = await world.join();
        assert.deepEqual(ranges(await worker.leases(2)), [
          [0, 7],
          [7, 14],
        ]);
        assert.equal((await world.counters(id)).queued, Number.MAX_SAFE_INTEGER - 14);
        await world.broker.cancel({ executionId: id });
        assert.equal((await world.counters(id)).cancelled, Number.MAX_SAFE_INTEGER);
      },
    },
    {
      name: "an adaptive plan stays within its bounds, grows for fast items and covers everything",
      promises: [9],
      run: async (world) => {
        const plan = { kind: "adaptive", targetMs: 1_000, min: 2, max: 50 } as const;
        const id = await world.submit(submission([group(array(1_000, 1, { chunk: plan }))], { kind: "sweep" }));
        const worker = await world.join();
        const sizes: number[] = [];
        let next = 0;
        for (let lease = (await worker.leases())[0]; lease !== undefined; lease = (await worker.leases())[0]) {
          const { start, end } = rangeOf(lease);
          assert.equal(start, next);
          next = end;
          sizes.push(end - start);
          await world.advance(1);
          await worker.deliver({ ...chunkDone(lease), durationMs: 1 });
        }
        assert.equal(next, 1_000);
        assert.ok(
          Math.max(...sizes) <= 50 && sizes.slice(0, -1).every((size) => size >= 2),
          `sizes ${sizes.join(" ")}`,
        );
        assert.ok(Math.max(...sizes) > (sizes[0] ?? 0), "chunks of fast items grow");
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a chunk handed back is the next to be claimed, with nothing charged",
      promises: [3, 5],
      run: async (world) => {
        const id = await world.submit(sweep(40, 10));
        const worker = await world.join();
        const [first, second] = await worker.leases(2);
        assert.ok(first !== undefined && second !== undefined);
        await worker.deliver(returned(second), returned(first));
        const again = await worker.leases(4);
        assert.deepEqual(ranges(again), [
          [0, 10],
          [10, 20],
          [20, 30],
          [30, 40],
        ]);
        assert.deepEqual(
          again.map((lease) => lease.attempt),
          [1, 1, 1, 1],
        );
        assert.ok(again.every((lease) => lease.token !== first.token && lease.token !== second.token));
        const view = await world.view(id);
        assert.deepEqual([view.lostAttempts, view.retries], [0, 0]);
      },
    },
    {
      name: "a chunk of a dead worker is claimed again, whole, before new ones",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(sweep(BILLION, 10));
        const victim = await world.join({ worker: "victim" });
        await victim.leases(2);
        await victim.die();
        assert.deepEqual(books(await world.counters(id)), { total: BILLION, queued: BILLION });
        const heir = await world.join({ worker: "heir" });
        const leases = await heir.leases(3);
        assert.deepEqual(ranges(leases), [
          [0, 10],
          [10, 20],
          [20, 30],
        ]);
        assert.deepEqual(
          leases.map((lease) => lease.attempt),
          [2, 2, 1],
        );
        assert.equal((await world.view(id)).lostAttempts, 2);
      },
    },
    {
      name: "all of an array is committed once though workers keep dying",
      promises: [1, 3],
      run: async (world) => {
        const random = seededRandom(42);
        const id = await world.submit(sweep(600, 7, {}, { maxLosses: 1_000 }));
        let worker = await world.join();
        const committed = new Set<number>();
        while ((await world.view(id)).state !== "completed") {
          const leases = await worker.leases(wholeBetween(random, 1, 6));
          if (random() < 0.25) {
            await worker.die();
            worker = await world.join();
            continue;
          }
          await worker.finish(...leases);
          for (const lease of leases) {
            for (let item = rangeOf(lease).start; item < rangeOf(lease).end; item += 1) {
              assert.ok(!committed.has(item), `item ${item} was given out again after its commit`);
              committed.add(item);
            }
          }
        }
        assert.equal(committed.size, 600);
        assert.ok((await world.view(id)).lostAttempts > 0);
      },
    },
    {
      name: "several arrays of one execution are told apart",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(
          submission([group(array(10, 10), { name: "a" }), group(array(20, 10), { name: "b" })], { kind: "sweep" }),
        );
        const worker = await world.join();
        const reply = await worker.claim(10);
        assert.deepEqual(
          reply.leases.map((lease) => [lease.task, lease.start, reply.specs[lease.spec]?.name]),
          [
            [0, 0, "a"],
            [1, 0, "b"],
            [1, 10, "b"],
          ],
        );
        await worker.finish(...reply.leases);
        const { tasks } = await world.broker.listTasks({ executionId: id, limit: 10 });
        assert.deepEqual(
          tasks.map((task) => [task.state, task.items?.completed]),
          [
            ["completed", 10],
            ["completed", 20],
          ],
        );
      },
    },
  ],
};
