/** Fencing: after a lease has passed on, nothing that its old holder says changes state. */
import assert from "node:assert/strict";
import type { Lease, Outcome } from "../../../src/broker/contract.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { chunkDone, completed, done, failed, itemFailures, refOf, returned } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import { allEvents, allResults } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith, type World } from "../world.ts";

/** Every outcome that a holder could report. */
function everyOutcome(lease: Lease): readonly Outcome[] {
  const plain: readonly Outcome[] = [done(lease), failed(lease), returned(lease)];
  if (lease.start === undefined) return plain;
  return [...plain, chunkDone(lease, itemFailures([lease.start])), failed(lease, undefined, lease.start)];
}

/** Reports every outcome of a lease that has passed on, and checks that all are refused without a trace. */
async function refusesAll(world: World, worker: FakeWorker, lease: Lease): Promise<void> {
  const look = async (): Promise<unknown> => {
    const { refusedOutcomes: _refused, ...view } = await world.view(lease.executionId);
    return [view, await allResults(world.broker, lease.executionId), await allEvents(world.broker, lease.executionId)];
  };
  const before = await look();
  for (const outcome of everyOutcome(lease)) {
    assert.deepEqual(await worker.report(outcome), ["refused"], outcome.kind);
    assert.deepEqual(await look(), before, `after a late ${outcome.kind}`);
  }
}

export const fencingCases: CaseGroup = {
  name: "fencing",
  cases: [
    {
      name: "a worker that was declared dead can commit nothing",
      promises: [1, 4],
      run: async (world) => {
        for (const work of [batch(1), sweep(10, 10)]) {
          const id = await world.submit(work);
          const late = await world.join({ worker: "late" });
          const lease = await late.take();
          await late.die();
          for (const outcome of everyOutcome(lease)) await refusedWith("SESSION_LOST", () => late.report(outcome));
          const heir = await world.join({ worker: "heir" });
          const taken = await heir.take();
          for (const outcome of everyOutcome(lease)) await refusedWith("SESSION_LOST", () => late.report(outcome));
          await heir.finish(taken);
          for (const outcome of everyOutcome(lease)) await refusedWith("SESSION_LOST", () => late.report(outcome));
          const view = await world.view(id);
          assert.deepEqual([view.state, view.counters.completed], ["completed", view.counters.total]);
          assert.equal((await allResults(world.broker, id))[0]?.worker, "heir");
        }
      },
    },
    {
      name: "a late outcome told through a new session of the same worker is refused",
      promises: [1],
      run: async (world) => {
        for (const work of [batch(1), sweep(10, 10)]) {
          const id = await world.submit(work);
          const old = await world.join({ worker: "same" });
          const lease = await old.take();
          await old.die();
          const reborn = await world.join({ worker: "same" });
          await refusesAll(world, reborn, lease);
          const taken = await reborn.take();
          await refusesAll(world, reborn, lease);
          await reborn.finish(taken);
          await refusesAll(world, reborn, lease);
          assert.equal((await world.view(id)).state, "completed");
        }
      },
    },
    {
      name: "refused outcomes are counted",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const old = await world.join();
        const lease = await old.take();
        await old.die();
        const reborn = await world.join();
        await reborn.report(done(lease));
        assert.equal((await world.view(id)).refusedOutcomes, 1);
      },
    },
    {
      name: "the late outcome of a session that was declared dead is counted as refused too",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const old = await world.join();
        const lease = await old.take();
        await old.die();
        await refusedWith("SESSION_LOST", () => old.report(done(lease)));
        assert.equal((await world.view(id)).refusedOutcomes, 1);
      },
    },
    {
      name: "an outcome that names a lease of another session is refused",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const holder = await world.join({ worker: "holder" });
        const thief = await world.join({ worker: "thief" });
        const lease = await holder.take();
        await refusesAll(world, thief, lease);
        await holder.finish(lease);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a chunk of another session is refused",
      promises: [1],
      run: async (world) => {
        await world.submit(sweep(20, 10));
        const holder = await world.join({ worker: "holder" });
        const thief = await world.join({ worker: "thief" });
        const lease = await holder.take();
        await thief.take();
        await refusesAll(world, thief, lease);
        await holder.finish(lease);
      },
    },
    {
      name: "an outcome with a wrong token, task, range or execution is refused, not an error",
      promises: [1],
      run: async (world) => {
        const single = await world.submit(batch(1));
        const arrayId = await world.submit(sweep(20, 10));
        const worker = await world.join();
        const leases = await worker.leases(3);
        const task = leases.find((lease) => lease.executionId === single);
        const chunk = leases.find((lease) => lease.start === 0);
        assert.ok(task !== undefined && chunk !== undefined);
        const wrong: Outcome[] = [
          completed({ ...task, token: "nonsense" }),
          completed({ ...task, task: 1 }),
          completed({ ...task, executionId: "nobody" }),
          completed({ ...task, executionId: arrayId }),
          { ...chunkDone(chunk), lease: { ...refOf(chunk), token: "nonsense" } },
          { ...chunkDone(chunk), lease: { ...refOf(chunk), start: 5 } },
          { ...chunkDone(chunk), lease: { ...refOf(chunk), start: 1_000 } },
          { ...chunkDone(chunk), lease: { ...refOf(chunk), replica: 1 } },
        ];
        assert.deepEqual(
          await worker.report(...wrong),
          wrong.map(() => "refused"),
        );
        await worker.finish(...leases);
        assert.deepEqual(books(await world.counters(single)), { total: 1, completed: 1 });
        assert.deepEqual(books(await world.counters(arrayId)), { total: 20, completed: 20 });
      },
    },
    {
      name: "the outcome of a cancelled execution is refused",
      promises: [1, 6],
      run: async (world) => {
        for (const work of [batch(3), sweep(30, 10)]) {
          const id = await world.submit(work);
          const worker = await world.join();
          const lease = await worker.take();
          await world.broker.cancel({ executionId: id });
          await refusesAll(world, worker, lease);
          assert.equal((await world.counters(id)).completed, 0);
        }
      },
    },
    {
      name: "a token is never given out twice for one task",
      promises: [1],
      run: async (world) => {
        await world.submit(batch(1, {}, { maxLosses: 100 }));
        const tokens = new Set<string>();
        for (let life = 0; life < 12; life += 1) {
          const worker = await world.join();
          const lease = await worker.take();
          assert.ok(!tokens.has(lease.token));
          tokens.add(lease.token);
          await (life % 3 === 0 ? worker.deliver(returned(lease)) : worker.die());
        }
      },
    },
    {
      name: "of many outcomes for one task only the holder's counts",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(1, {}, { maxLosses: 100 }));
        const stale: Lease[] = [];
        for (let life = 0; life < 5; life += 1) {
          const worker = await world.join();
          stale.push(await worker.take());
          await worker.die();
        }
        const holder = await world.join({ worker: "holder" });
        const lease = await holder.take();
        const outcomes = [...stale.map((one) => completed(one, '"stale"')), completed(lease, '"right"')];
        assert.deepEqual(await holder.report(...outcomes), [...stale.map(() => "refused"), "accepted"]);
        assert.deepEqual(
          (await allResults(world.broker, id)).map((row) => [row.result, row.attempt]),
          [['"right"', 6]],
        );
      },
    },
  ],
};
