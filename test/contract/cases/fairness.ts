/** Sharing: big work does not starve small work, urgent work does not starve the rest for ever. */
import assert from "node:assert/strict";
import { batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import type { World } from "../world.ts";

/** Claims `rounds` times `max` leases and tells how many of each execution there were. */
async function shares(
  world: World,
  claims: { rounds: number; max: number; finish: boolean },
): Promise<Map<string, number>> {
  const worker = await world.join();
  const counts = new Map<string, number>();
  for (let round = 0; round < claims.rounds; round += 1) {
    const leases = await worker.leases(claims.max);
    for (const lease of leases) counts.set(lease.executionId, (counts.get(lease.executionId) ?? 0) + 1);
    if (claims.finish) await worker.finish(...leases);
  }
  return counts;
}

function assertNear(count: number | undefined, expected: number): void {
  const got = count ?? 0;
  assert.ok(Math.abs(got - expected) <= Math.ceil(expected * 0.3), `expected about ${expected} leases, got ${got}`);
}

export const fairnessCases: CaseGroup = {
  name: "fairness and ageing",
  cases: [
    {
      name: "executions of equal priority share, one lease at a time",
      promises: [5],
      run: async (world) => {
        const first = await world.submit(batch(100));
        const second = await world.submit(batch(100));
        const counts = await shares(world, { rounds: 20, max: 1, finish: true });
        assertNear(counts.get(first), 10);
        assertNear(counts.get(second), 10);
      },
    },
    {
      name: "what was lost with its worker goes before all that waits as urgently, and once",
      promises: [3, 5],
      run: async (world) => {
        for (const lost of [batch(1), sweep(10, 10)]) {
          const executionId = await world.submit(lost);
          const victim = await world.join({ worker: "victim" });
          await victim.take();
          const others = [await world.submit(batch(20)), await world.submit(batch(20))];
          await world.broker.closeSession({ session: victim.session, reason: "lost" });
          const worker = await world.join();
          assert.equal((await worker.take()).executionId, executionId);
          assert.ok(others.includes((await worker.take()).executionId));
          for (const id of [executionId, ...others]) await world.broker.cancel({ executionId: id });
        }
      },
    },
    {
      name: "executions of equal priority share while attempts run",
      promises: [5],
      run: async (world) => {
        const first = await world.submit(batch(100));
        const second = await world.submit(sweep(1_000, 10));
        const counts = await shares(world, { rounds: 20, max: 1, finish: false });
        assertNear(counts.get(first), 10);
        assertNear(counts.get(second), 10);
      },
    },
    {
      name: "executions of equal priority share within large claims",
      promises: [5],
      run: async (world) => {
        const ids = [
          await world.submit(batch(1_000)),
          await world.submit(sweep(1_000_000, 10)),
          await world.submit(batch(1_000)),
        ];
        const counts = await shares(world, { rounds: 12, max: 50, finish: true });
        for (const id of ids) assertNear(counts.get(id), 200);
      },
    },
    {
      name: "a large claim leaves nothing behind when one execution has little",
      promises: [5, 3],
      run: async (world) => {
        const small = await world.submit(batch(2));
        await world.submit(batch(100));
        const worker = await world.join();
        const leases = await worker.leases(20);
        assert.equal(leases.length, 20);
        assert.equal(leases.filter((lease) => lease.executionId === small).length, 2);
      },
    },
    {
      name: "a sweep of a million points does not starve a three-task workflow",
      promises: [5],
      run: async (world) => {
        const worker = await world.join();
        await world.submit(sweep(1_000_000, 100));
        for (let round = 0; round < 20; round += 1) await worker.finish(await worker.take());
        const workflow = await world.submit(submission([group(tasks(3, [[], [0], [1]]))], { kind: "workflow" }));
        let claims = 0;
        while ((await world.view(workflow)).state !== "completed") {
          claims += 1;
          assert.ok(claims <= 8, `three tasks took more than ${claims} turns`);
          await worker.finish(await worker.take());
        }
      },
    },
    {
      name: "many sweeps do not starve one another",
      promises: [5],
      run: async (world) => {
        const ids: string[] = [];
        for (let count = 0; count < 10; count += 1)
          ids.push(await world.submit(sweep(1_000_000_000, 10 * (count + 1))));
        const counts = await shares(world, { rounds: 50, max: 2, finish: true });
        for (const id of ids) assertNear(counts.get(id), 10);
      },
    },
    {
      name: "fresh urgent work is not held up by old work of low priority",
      promises: [5],
      run: async (world) => {
        await world.submit(batch(100, { priority: 2 }));
        const worker = await world.join();
        for (let round = 0; round < 10; round += 1) {
          await world.advance(1_000);
          const urgent = await world.submit(batch(1, { priority: 8 }));
          assert.equal((await worker.take()).executionId, urgent);
        }
      },
    },
    {
      name: "old work of the lowest priority runs in the end behind a stream of the most urgent",
      promises: [3, 5],
      run: async (world) => {
        const old = await world.submit(batch(1, { priority: 1 }));
        const worker = await world.join();
        let waitedMs = 0;
        while ((await world.view(old)).state !== "completed") {
          assert.ok(waitedMs <= 600_000, "ten minutes are enough for ageing from 1 to 10");
          await world.submit(batch(2, { priority: 10 }));
          const leases = await worker.leases(2);
          assert.equal(leases.length, 2);
          await worker.finish(...leases);
          await world.advance(4_000);
          waitedMs += 4_000;
        }
        assert.ok(waitedMs >= 30_000, `it ran after ${waitedMs} ms, before ageing could have lifted it`);
      },
    },
    {
      name: "ageing follows its setting",
      promises: [5],
      settings: { ageingMs: 100 },
      run: async (world) => {
        const old = await world.submit(batch(1, { priority: 4 }));
        await world.advance(350);
        await world.submit(batch(1, { priority: 6 }));
        const worker = await world.join();
        assert.equal((await worker.take()).executionId, old);
      },
    },
  ],
};
