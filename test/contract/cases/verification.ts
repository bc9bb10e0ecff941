/** Verification: sampled chunks run again elsewhere, and what differs is laid at somebody's door. */
import assert from "node:assert/strict";
import type { Submission, VerificationReport, VerifyPlan } from "../../../src/broker/contract.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { chunkDone, failed, returned } from "../../support/outcomes.ts";
import { sweep } from "../../support/submissions.ts";
import { allResults } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, type World } from "../world.ts";

const EVERY_CHUNK: VerifyPlan = { sample: 1, replicas: 2, tolerance: 0, seed: 7 };

function verified(length: number, verify: Partial<VerifyPlan> = {}, changes: Partial<Submission> = {}): Submission {
  return sweep(length, 10, { verify: { ...EVERY_CHUNK, ...verify }, ...changes });
}

/** Two workers on a sweep of one chunk that the first of them has committed. */
async function oneChunkDone(
  world: World,
  verify: Partial<VerifyPlan> = {},
): Promise<{ id: string; first: FakeWorker; second: FakeWorker }> {
  const id = await world.submit(verified(10, verify));
  const first = await world.join({ worker: "first" });
  const second = await world.join({ worker: "second" });
  await first.finish(await first.take());
  return { id, first, second };
}

async function report(world: World, id: string): Promise<VerificationReport> {
  const { verification } = await world.view(id);
  assert.ok(verification !== undefined, "an execution that is verified has a report");
  return verification;
}

function numbers(of: VerificationReport): readonly number[] {
  return [of.sampled, of.agreed, of.disagreed, of.skipped, of.pending];
}

export const verificationCases: CaseGroup = {
  name: "verification",
  cases: [
    {
      name: "the copy of a sampled chunk goes to a worker of another name",
      promises: [1, 3],
      run: async (world) => {
        const { id, first, second } = await oneChunkDone(world);
        assert.deepEqual(await first.leases(5), []);
        const twin = await world.join({ worker: "first" });
        assert.deepEqual(await twin.leases(5), [], "another session of the same worker is no second worker");
        const [copy, ...more] = await second.leases(5);
        assert.ok(copy !== undefined);
        assert.deepEqual(more, []);
        assert.deepEqual([copy.executionId, copy.task, copy.start, copy.end, copy.replica], [id, 0, 0, 10, 1]);
        await second.finish(copy);
        const { pending } = await world.broker.pendingVerifications({ limit: 10 });
        assert.deepEqual(pending, [
          {
            executionId: id,
            task: 0,
            start: 0,
            end: 10,
            tolerance: 0,
            copies: [
              { worker: "first", values: "[0,1,2,3,4,5,6,7,8,9]" },
              { worker: "second", values: "[0,1,2,3,4,5,6,7,8,9]" },
            ],
          },
        ]);
        await world.broker.judgeVerifications({ verdicts: [{ executionId: id, task: 0, start: 0 }] });
      },
    },
    {
      name: "a copy counts neither as progress nor as a result",
      promises: [1, 2],
      run: async (world) => {
        const { id, second } = await oneChunkDone(world);
        assert.deepEqual(books(await world.counters(id)), { total: 10, completed: 10 });
        await second.finish(await second.take());
        assert.deepEqual(books(await world.counters(id)), { total: 10, completed: 10 });
        assert.deepEqual(
          (await allResults(world.broker, id)).map((row) => row.worker),
          ["first"],
        );
        await world.broker.judgeVerifications({ verdicts: [{ executionId: id, task: 0, start: 0 }] });
      },
    },
    {
      name: "the execution ends when its copies are judged, and reports agreement by worker",
      promises: [2, 3],
      run: async (world) => {
        const { id, second } = await oneChunkDone(world);
        assert.equal((await world.view(id)).state, "running");
        assert.deepEqual(numbers(await report(world, id)), [1, 0, 0, 0, 1]);
        await second.finish(await second.take());
        await world.broker.judgeVerifications({ verdicts: [{ executionId: id, task: 0, start: 0 }] });
        assert.equal((await world.view(id)).state, "completed");
        const told = await report(world, id);
        assert.deepEqual(numbers(told), [1, 1, 0, 0, 0]);
        assert.deepEqual(told.byWorker, {
          first: { compared: 1, disagreed: 0 },
          second: { compared: 1, disagreed: 0 },
        });
      },
    },
    {
      name: "a disagreement is reported with its item and workers, and changes no result",
      promises: [1],
      run: async (world) => {
        const { id, second } = await oneChunkDone(world);
        const copy = await second.take();
        await second.deliver({ ...chunkDone(copy), values: "[0,1,2,99,4,5,6,7,8,9]" });
        const verdict = { executionId: id, task: 0, start: 0, disagreement: { item: 3, workers: ["second"] } };
        await world.broker.judgeVerifications({ verdicts: [verdict] });
        const told = await report(world, id);
        assert.deepEqual(numbers(told), [1, 0, 1, 0, 0]);
        assert.deepEqual(told.byWorker, {
          first: { compared: 1, disagreed: 0 },
          second: { compared: 1, disagreed: 1 },
        });
        assert.deepEqual(told.disagreements, [{ task: 0, start: 0, end: 10, item: 3, workers: ["second"] }]);
        assert.equal((await world.view(id)).state, "completed");
        assert.equal((await allResults(world.broker, id))[0]?.values, "[0,1,2,3,4,5,6,7,8,9]");
      },
    },
    {
      name: "a judgement told again counts once",
      promises: [7],
      run: async (world) => {
        const { id, second } = await oneChunkDone(world);
        const copy = await second.take();
        await second.finish(copy);
        await second.finish(copy);
        const verdicts = [{ executionId: id, task: 0, start: 0 }];
        await world.broker.judgeVerifications({ verdicts });
        await world.broker.judgeVerifications({ verdicts });
        assert.deepEqual(numbers(await report(world, id)), [1, 1, 0, 0, 0]);
        assert.deepEqual((await world.broker.pendingVerifications({ limit: 10 })).pending, []);
      },
    },
    {
      name: "several copies go to as many workers",
      promises: [3],
      run: async (world) => {
        const { id, second } = await oneChunkDone(world, { replicas: 3 });
        const third = await world.join({ worker: "third" });
        const [copy, ...more] = await second.leases(5);
        assert.ok(copy !== undefined);
        assert.deepEqual(more, [], "one worker runs one copy");
        await second.finish(copy);
        assert.deepEqual((await world.broker.pendingVerifications({ limit: 10 })).pending, []);
        assert.deepEqual(await second.leases(5), []);
        await third.finish(await third.take());
        const { pending } = await world.broker.pendingVerifications({ limit: 10 });
        assert.deepEqual(pending[0]?.copies.map((one) => one.worker).toSorted(), ["first", "second", "third"]);
        await world.broker.judgeVerifications({ verdicts: [{ executionId: id, task: 0, start: 0 }] });
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "with one worker alone the copies are given up after a while",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(verified(20));
        const worker = await world.join({ worker: "alone" });
        await worker.finish(...(await worker.leases(5)));
        await world.broker.pendingVerifications({ limit: 10 });
        assert.equal((await world.view(id)).state, "running");
        for (let second = 0; second < 12; second += 1) {
          await world.advance(1_000);
          await worker.heartbeat();
          await world.broker.pendingVerifications({ limit: 10 });
        }
        assert.deepEqual(numbers(await report(world, id)), [2, 0, 0, 2, 0]);
        assert.equal((await world.view(id)).state, "completed");
        const late = await world.join({ worker: "late" });
        assert.deepEqual(await late.leases(5), []);
      },
    },
    {
      name: "a second worker that is only busy is waited for",
      promises: [3],
      run: async (world) => {
        const { id, first, second } = await oneChunkDone(world);
        for (let seconds = 0; seconds < 20; seconds += 1) {
          await world.advance(1_000);
          await first.heartbeat();
          await second.heartbeat();
          await world.broker.pendingVerifications({ limit: 10 });
        }
        assert.deepEqual(numbers(await report(world, id)), [1, 0, 0, 0, 1]);
        await second.finish(await second.take());
        await world.broker.judgeVerifications({ verdicts: [{ executionId: id, task: 0, start: 0 }] });
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a copy survives the death of its worker, and being handed back",
      promises: [3],
      run: async (world) => {
        const { id, second } = await oneChunkDone(world);
        await second.deliver(returned(await second.take()));
        await second.take();
        await second.die();
        const third = await world.join({ worker: "third" });
        await third.finish(await third.take());
        const { pending } = await world.broker.pendingVerifications({ limit: 10 });
        assert.deepEqual(
          pending[0]?.copies.map((copy) => copy.worker),
          ["first", "third"],
        );
        await world.broker.judgeVerifications({ verdicts: [{ executionId: id, task: 0, start: 0 }] });
        assert.deepEqual((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a late copy is refused",
      promises: [1],
      run: async (world) => {
        const { id, second } = await oneChunkDone(world);
        const lease = await second.take();
        await second.die();
        const reborn = await world.join({ worker: "second" });
        assert.deepEqual(await reborn.report(chunkDone(lease)), ["refused"]);
        await reborn.finish(await reborn.take());
        await world.broker.judgeVerifications({ verdicts: [{ executionId: id, task: 0, start: 0 }] });
      },
    },
    {
      name: "a copy that always fails is given up, and the execution still completes",
      promises: [3],
      run: async (world) => {
        const { id, second } = await oneChunkDone(world);
        for (let rounds = 0; (await world.view(id)).state === "running"; rounds += 1) {
          assert.ok(rounds < 50, "it would go on for ever");
          for (const lease of await second.leases(5)) await second.deliver(failed(lease));
          await world.advance(4_000);
          await second.heartbeat();
          await world.promote();
          await world.broker.pendingVerifications({ limit: 10 });
        }
        const view = await world.view(id);
        assert.equal(view.state, "completed");
        assert.deepEqual(books(view.counters), { total: 10, completed: 10 });
        assert.deepEqual(numbers(await report(world, id)), [1, 0, 0, 1, 0]);
      },
    },
    {
      name: "the first chunk is in every sample, the others by their share",
      promises: [9],
      run: async (world) => {
        const id = await world.submit(verified(4_000, { sample: 0.25 }));
        const first = await world.join({ worker: "first" });
        for (let leases = await first.leases(100); leases.length > 0; leases = await first.leases(100))
          await first.finish(...leases);
        const { sampled } = await report(world, id);
        assert.ok(sampled > 60 && sampled < 140, `${sampled} of 400 chunks`);
        const second = await world.join({ worker: "second" });
        assert.equal((await second.leases(1))[0]?.start, 0);
        await world.broker.cancel({ executionId: id });
      },
    },
    {
      name: "a cancelled execution's copies are cancelled with it",
      promises: [6],
      run: async (world) => {
        const id = await world.submit(verified(20));
        const first = await world.join({ worker: "first" });
        const second = await world.join({ worker: "second" });
        await first.finish(await first.take());
        const leases = await second.leases(5);
        const copy = leases.find((lease) => lease.replica !== undefined);
        assert.ok(copy !== undefined);
        await world.broker.cancel({ executionId: id });
        assert.ok((await second.heartbeat()).cancel.some((lease) => lease.token === copy.token));
        assert.deepEqual(await second.report(chunkDone(copy)), ["refused"]);
        assert.deepEqual((await world.broker.pendingVerifications({ limit: 10 })).pending, []);
      },
    },
    {
      name: "without a plan there is nothing to verify",
      promises: [9],
      run: async (world) => {
        const id = await world.submit(sweep(10, 10));
        const worker = await world.join();
        await worker.finish(await worker.take());
        const view = await world.view(id);
        assert.deepEqual([view.state, view.verification], ["completed", undefined]);
      },
    },
  ],
};
