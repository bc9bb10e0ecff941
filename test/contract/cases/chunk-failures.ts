/** Chunks that fail in part or whole: only what failed is charged, and what succeeded counts once. */
import assert from "node:assert/strict";
import { ascending } from "../../support/ascending.ts";
import type { Lease } from "../../../src/broker/contract.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { chunkDone, failed, failure, itemFailures, rangeOf } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import { allResults } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, type World } from "../world.ts";

/** Start, end, attempt. */
function shapes(leases: readonly Lease[]): (readonly [number, number, number])[] {
  return leases.map((lease) => [rangeOf(lease).start, rangeOf(lease).end, lease.attempt] as const);
}

/** A sweep of ten items in one chunk, and its first lease. */
async function tenItems(world: World, changes = {}): Promise<{ id: string; worker: FakeWorker; lease: Lease }> {
  const id = await world.submit(sweep(10, 10, {}, changes));
  const worker = await world.join();
  return { id, worker, lease: await worker.take() };
}

async function afterBackoff(world: World): Promise<void> {
  await world.advance(300_000);
  await world.promote();
}

export const chunkFailureCases: CaseGroup = {
  name: "failures in chunks",
  cases: [
    {
      name: "items that failed are retried by themselves, the others are committed",
      promises: [1, 2],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        await worker.deliver(chunkDone(lease, itemFailures([3, 7])));
        assert.deepEqual(books(await world.counters(id)), { total: 10, completed: 8, scheduled: 2 });
        const [row] = await allResults(world.broker, id);
        assert.deepEqual(row?.missing, [3, 7]);
        assert.equal(row?.values, "[0,1,2,null,4,5,6,null,8,9]");
        await world.advance(4_999);
        await world.promote();
        assert.deepEqual(await worker.leases(), []);
        await world.advance(1);
        await world.promote();
        const again = await worker.leases(5);
        assert.deepEqual(shapes(again), [
          [3, 4, 2],
          [7, 8, 2],
        ]);
        await worker.finish(...again);
        const view = await world.view(id);
        assert.equal(view.state, "completed");
        assert.equal(view.firstFailure, undefined, "a failure that a retry healed is none of the execution's");
        assert.deepEqual(books(view.counters), { total: 10, completed: 10 });
      },
    },
    {
      name: "neighbours that failed together are still charged one by one",
      promises: [2],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        await worker.deliver(chunkDone(lease, [...itemFailures([4], "invalid-input"), ...itemFailures([5])]));
        assert.deepEqual(books(await world.counters(id)), { total: 10, completed: 8, failed: 1, scheduled: 1 });
        await afterBackoff(world);
        const again = await worker.leases(5);
        assert.deepEqual(shapes(again), [[5, 6, 2]]);
        await worker.finish(...again);
        const { letters } = await world.broker.listDeadLetters({ executionId: id, limit: 10 });
        assert.deepEqual(
          letters.map((letter) => [letter.start, letter.end, letter.failure.class]),
          [[4, 5, "invalid-input"]],
        );
      },
    },
    {
      name: "an item that fails every time becomes one dead letter",
      promises: [3],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        await worker.deliver(chunkDone(lease, itemFailures([3])));
        for (const backoffMs of [5_000, 10_000, 20_000]) {
          await world.advance(backoffMs - 1);
          await world.promote();
          assert.deepEqual(await worker.leases(), []);
          await world.advance(1);
          await world.promote();
          const again = await worker.take();
          await worker.deliver(chunkDone(again, itemFailures([3])));
        }
        const view = await world.view(id);
        assert.equal(view.state, "failed");
        assert.deepEqual(books(view.counters), { total: 10, completed: 9, failed: 1 });
        assert.equal(view.firstFailure?.message, "item 3 broke");
        const { letters } = await world.broker.listDeadLetters({ executionId: id, limit: 10 });
        assert.deepEqual(
          letters.map((letter) => [letter.task, letter.start, letter.end, letter.failures]),
          [[0, 3, 4, 4]],
        );
      },
    },
    {
      name: "a chunk all of whose items failed commits nothing",
      promises: [2],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        await worker.deliver(chunkDone(lease, itemFailures([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "invalid-input")));
        const view = await world.view(id);
        assert.equal(view.state, "failed");
        assert.deepEqual(books(view.counters), { total: 10, failed: 10 });
        assert.deepEqual(
          (await allResults(world.broker, id)).filter((row) => (row.missing ?? []).length < 10),
          [],
        );
      },
    },
    {
      name: "a known culprit is charged alone, the rest runs again at once",
      promises: [3],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        await worker.deliver(failed(lease, failure("out-of-memory"), 4));
        assert.deepEqual(books(await world.counters(id)), { total: 10, queued: 9, scheduled: 1 });
        const rest = await worker.leases(20);
        const items = rest.flatMap((one) =>
          Array.from({ length: rangeOf(one).end - rangeOf(one).start }, (_, index) => rangeOf(one).start + index),
        );
        assert.deepEqual(ascending(items), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
        await worker.finish(...rest);
        await afterBackoff(world);
        const again = await worker.take();
        assert.deepEqual(shapes([again]), [[4, 5, 2]]);
        await worker.finish(again);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "culprits at both ends of a chunk split it rightly",
      promises: [2],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        await worker.deliver(failed(lease, failure(), 0));
        const [rest] = await worker.leases(20);
        assert.ok(rest !== undefined);
        assert.deepEqual(rangeOf(rest), { start: 1, end: 10 });
        await worker.deliver(failed(rest, failure(), 9));
        const [middle] = await worker.leases(20);
        assert.ok(middle !== undefined);
        assert.deepEqual(rangeOf(middle), { start: 1, end: 9 });
        await worker.finish(middle);
        assert.deepEqual(books(await world.counters(id)), { total: 10, completed: 8, scheduled: 2 });
        await afterBackoff(world);
        await worker.finish(...(await worker.leases(5)));
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a culprit that is never retried is a dead letter at once",
      promises: [3],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        await worker.deliver(failed(lease, failure("invalid-input", "point 9 is out of range"), 9));
        await worker.finish(...(await worker.leases(20)));
        const view = await world.view(id);
        assert.deepEqual([view.state, view.firstFailure?.message], ["failed", "point 9 is out of range"]);
        assert.deepEqual(books(view.counters), { total: 10, completed: 9, failed: 1 });
      },
    },
    {
      name: "without a culprit the chunk runs again, carefully",
      promises: [3],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        assert.notEqual(lease.careful, true);
        await worker.deliver(failed(lease, failure("out-of-memory")));
        await afterBackoff(world);
        const again = await worker.leases(20);
        assert.ok(again.every((one) => one.careful === true));
        assert.equal(
          again.reduce((sum, one) => sum + rangeOf(one).end - rangeOf(one).start, 0),
          10,
        );
        await worker.finish(...again);
        assert.deepEqual(books(await world.counters(id)), { total: 10, completed: 10 });
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a chunk that fails for ever without a culprit ends as dead letters",
      promises: [3],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        let next: Lease | undefined = lease;
        for (let rounds = 0; next !== undefined; rounds += 1) {
          assert.ok(rounds < 100, "it would fail for ever");
          await worker.deliver(failed(next));
          await afterBackoff(world);
          next = (await worker.leases())[0];
        }
        const view = await world.view(id);
        assert.equal(view.state, "failed");
        assert.deepEqual(books(view.counters), { total: 10, failed: 10 });
        const { letters } = await world.broker.listDeadLetters({ executionId: id, limit: 20 });
        assert.equal(
          letters.reduce((sum, letter) => sum + (letter.end ?? 0) - (letter.start ?? 0), 0),
          10,
        );
      },
    },
    {
      name: "one item that kills its runner every time costs that item and no other",
      promises: [3],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        await worker.deliver(failed(lease, failure("out-of-memory")));
        for (let rounds = 0; (await world.view(id)).state === "running"; rounds += 1) {
          assert.ok(rounds < 30, "it would go on for ever");
          await afterBackoff(world);
          for (const one of await worker.leases(5)) {
            const { start, end } = rangeOf(one);
            const holdsPoison = start <= 6 && 6 < end;
            await worker.deliver(holdsPoison ? failed(one, failure("out-of-memory"), 6) : chunkDone(one));
          }
        }
        const view = await world.view(id);
        assert.deepEqual(books(view.counters), { total: 10, completed: 9, failed: 1 });
        const { letters } = await world.broker.listDeadLetters({ executionId: id, limit: 20 });
        assert.deepEqual(
          letters.map((letter) => [letter.start, letter.end, letter.failure.class]),
          [[6, 7, "out-of-memory"]],
        );
      },
    },
    {
      name: "an item that kills its workers is found and buried alone, the others complete",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(sweep(30, 10));
        let deaths = 0;
        let worker = await world.join();
        for (let lease = await worker.take(); ; lease = await worker.take()) {
          const { start, end } = rangeOf(lease);
          if (start <= 13 && 13 < end) {
            await worker.die();
            deaths += 1;
            assert.ok(deaths <= 5, "few workers die of one item");
            worker = await world.join();
          } else {
            await worker.finish(lease);
          }
          if ((await world.view(id)).state === "failed") break;
        }
        const view = await world.view(id);
        assert.deepEqual(books(view.counters), { total: 30, completed: 29, failed: 1 });
        assert.equal(view.lostAttempts, deaths);
        const { letters } = await world.broker.listDeadLetters({ executionId: id, limit: 20 });
        assert.deepEqual(
          letters.map((letter) => [letter.start, letter.end, letter.failure.class]),
          [[13, 14, "worker-lost"]],
        );
        assert.ok((letters[0]?.losses ?? 0) >= 3);
      },
    },
    {
      name: "a chunk of one item that kills three workers is a poison pill",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(sweep(1, 1));
        for (let death = 0; death < 3; death += 1) {
          const worker = await world.join();
          await worker.take();
          await worker.die();
        }
        const view = await world.view(id);
        assert.deepEqual([view.state, view.counters.failed, view.lostAttempts], ["failed", 1, 3]);
      },
    },
    {
      name: "a failed item outlives its worker's death with its count",
      promises: [3, 4],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world, {
          retry: { limit: 1, baseMs: 0, factor: 1, maxMs: 0, jitter: 0, never: [] },
        });
        await worker.deliver(chunkDone(lease, itemFailures([5])));
        await world.promote();
        const second = await worker.take();
        assert.deepEqual(shapes([second]), [[5, 6, 2]]);
        await worker.die();
        const heir = await world.join({ worker: "heir" });
        const third = await heir.take();
        assert.deepEqual(shapes([third]), [[5, 6, 3]]);
        await heir.deliver(chunkDone(third, itemFailures([5])));
        assert.equal((await world.view(id)).state, "failed");
      },
    },
    {
      name: "a failure that names an item outside of the chunk changes nothing",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(sweep(20, 10));
        const worker = await world.join();
        const lease = await worker.take();
        const wrong = [chunkDone({ ...lease, end: 10 }, itemFailures([15])), failed(lease, failure(), 15)];
        for (const outcome of wrong) {
          const verdict = await worker.report(outcome).then(
            (verdicts) => verdicts[0],
            () => "refused",
          );
          assert.equal(verdict, "refused");
        }
        assert.deepEqual(books(await world.counters(id)), { total: 20, running: 10, queued: 10 });
        await worker.finish(lease);
      },
    },
    {
      name: "an outcome of the wrong kind changes nothing",
      promises: [1],
      run: async (world) => {
        const { id, worker, lease } = await tenItems(world);
        const ref = { executionId: id, task: 0, start: 0, token: lease.token };
        const wrong = await worker.report({ kind: "completed", lease: ref, durationMs: 1, result: "1" }).then(
          (verdicts) => verdicts[0],
          () => "refused",
        );
        assert.equal(wrong, "refused");
        assert.deepEqual(books(await world.counters(id)), { total: 10, running: 10 });
        const single = await world.submit(batch(1));
        const task = await worker.take();
        const chunk = { ...chunkDone(lease), lease: { executionId: single, task: 0, token: task.token } };
        assert.equal(
          await worker.report(chunk).then(
            (verdicts) => verdicts[0],
            () => "refused",
          ),
          "refused",
        );
        assert.deepEqual(books(await world.counters(single)), { total: 1, running: 1 });
        await worker.finish(lease, task);
      },
    },
  ],
};
