/** Claims that wait: woken at once by whatever makes work ready, and each lease given to one. */
import assert from "node:assert/strict";
import { ascending } from "../../support/ascending.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import type { PendingCall } from "../../support/pending-call.ts";
import type { ClaimReply } from "../../../src/broker/contract.ts";
import { failed, returned } from "../../support/outcomes.ts";
import { batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

/** A worker whose claim waits at the broker. */
async function waiter(
  world: World,
  name: string,
  max = 1,
): Promise<{ worker: FakeWorker; call: PendingCall<ClaimReply> }> {
  const worker = await world.join({ worker: name });
  const call = worker.waitForWork(30_000, max);
  await world.settle();
  assert.equal(call.state, "waiting");
  return { worker, call };
}

export const waitingCases: CaseGroup = {
  name: "claims that wait",
  cases: [
    {
      name: "work that is there is given at once",
      promises: [3],
      run: async (world) => {
        await world.submit(batch(1));
        const worker = await world.join();
        assert.equal((await worker.waitForWork(30_000).promise).leases.length, 1);
      },
    },
    {
      name: "a submit wakes a claim that waits, without the clock moving",
      promises: [3],
      run: async (world) => {
        const { call } = await waiter(world, "w1");
        const id = await world.submit(batch(1));
        assert.deepEqual(
          (await call.promise).leases.map((lease) => lease.executionId),
          [id],
        );
      },
    },
    {
      name: "work that comes in the same breath as the claim is not overlooked",
      promises: [3],
      run: async (world) => {
        const worker = await world.join();
        for (let round = 0; round < 5; round += 1) {
          const call = worker.waitForWork(30_000);
          const submitting = world.submit(batch(1));
          const [lease] = (await call.promise).leases;
          assert.equal(lease?.executionId, await submitting);
        }
      },
    },
    {
      name: "a claim that waits gets an empty answer when its time is over",
      promises: [3, 8],
      run: async (world) => {
        const worker = await world.join();
        const call = worker.waitForWork(2_000);
        await world.advance(1_999);
        assert.equal(call.state, "waiting");
        await world.advance(1);
        assert.deepEqual((await call.promise).leases, []);
        await world.submit(batch(1));
        assert.equal((await worker.leases()).length, 1, "an answered claim takes nothing later");
      },
    },
    {
      name: "of two claims that wait only one gets the only task",
      promises: [1],
      run: async (world) => {
        const one = await waiter(world, "w1");
        const two = await waiter(world, "w2");
        await world.submit(batch(1));
        await Promise.race([one.call.promise, two.call.promise]);
        await world.settle();
        assert.deepEqual([one.call.state, two.call.state].toSorted(), ["done", "waiting"]);
        await world.submit(batch(1));
        const leases = [...(await one.call.promise).leases, ...(await two.call.promise).leases];
        assert.equal(new Set(leases.map((lease) => lease.executionId)).size, 2);
      },
    },
    {
      name: "many tasks wake all claims that wait",
      promises: [3],
      run: async (world) => {
        const waiters = [await waiter(world, "w1"), await waiter(world, "w2"), await waiter(world, "w3")];
        await world.submit(batch(3));
        const replies = await Promise.all(waiters.map((one) => one.call.promise));
        assert.deepEqual(ascending(replies.flatMap((reply) => reply.leases.map((lease) => lease.task))), [0, 1, 2]);
      },
    },
    {
      name: "only a claim that may have the work is woken by it",
      promises: [5],
      run: async (world) => {
        const plain = await waiter(world, "w1");
        const worker = await world.join({ worker: "w2", capabilities: ["gpu"], pools: ["lab"] });
        const able = worker.waitForWork(30_000);
        await world.submit(batch(1, {}, { requires: ["gpu"], pool: "lab" }));
        assert.equal((await able.promise).leases.length, 1);
        await world.settle();
        assert.equal(plain.call.state, "waiting");
      },
    },
    {
      name: "the death of a worker wakes a claim that waits for its task",
      promises: [3, 4],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const victim = await world.join({ worker: "victim" });
        await victim.take();
        const { call } = await waiter(world, "w1");
        await victim.die();
        const [lease] = (await call.promise).leases;
        assert.deepEqual([lease?.executionId, lease?.attempt], [id, 2]);
      },
    },
    {
      name: "the reaping of a silent worker wakes a claim that waits for its task",
      promises: [3, 4],
      run: async (world) => {
        await world.submit(batch(1));
        const victim = await world.join({ worker: "victim" });
        await victim.take();
        await world.advance(4_000);
        const { call } = await waiter(world, "w1");
        await world.advance(1_500);
        await world.reap();
        assert.equal((await call.promise).leases[0]?.attempt, 2);
      },
    },
    {
      name: "a task handed back wakes a claim that waits",
      promises: [3],
      run: async (world) => {
        await world.submit(batch(1));
        const holder = await world.join({ worker: "holder" });
        const lease = await holder.take();
        const { call } = await waiter(world, "w1");
        await holder.deliver(returned(lease));
        assert.equal((await call.promise).leases[0]?.attempt, 1);
      },
    },
    {
      name: "a worker that leaves hands its leases to claims that wait",
      promises: [3],
      run: async (world) => {
        await world.submit(sweep(10, 10));
        const holder = await world.join({ worker: "holder" });
        await holder.take();
        const { call } = await waiter(world, "w1");
        await holder.leave();
        const [lease] = (await call.promise).leases;
        assert.deepEqual([lease?.start, lease?.end, lease?.attempt], [0, 10, 1]);
      },
    },
    {
      name: "a parent's commit wakes a claim that waits for its child",
      promises: [2, 3],
      run: async (world) => {
        await world.submit(submission([group(tasks(2, [[], [0]]))]));
        const first = await world.join({ worker: "first" });
        const lease = await first.take();
        const { call } = await waiter(world, "w1");
        await first.finish(lease);
        assert.equal((await call.promise).leases[0]?.task, 1);
      },
    },
    {
      name: "a retry that falls due wakes a claim that waits",
      promises: [3],
      run: async (world) => {
        await world.submit(batch(1));
        const first = await world.join({ worker: "first" });
        await first.deliver(failed(await first.take()));
        const { call } = await waiter(world, "w1");
        await world.advance(5_000);
        await world.promote();
        assert.equal((await call.promise).leases[0]?.attempt, 2);
      },
    },
    {
      name: "resuming an execution wakes a claim that waits",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        await world.broker.pause({ executionId });
        const { call } = await waiter(world, "w1");
        await world.broker.resume({ executionId });
        assert.equal((await call.promise).leases.length, 1);
      },
    },
    {
      name: "resuming a pool wakes a claim that waits",
      promises: [6],
      run: async (world) => {
        await world.broker.pausePool({ pool: "default" });
        await world.submit(batch(1));
        const { call } = await waiter(world, "w1");
        await world.broker.resumePool({ pool: "default" });
        assert.equal((await call.promise).leases.length, 1);
      },
    },
    {
      name: "a commit may wait for the next lease; its outcomes count at once",
      promises: [2, 7],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        const reply = worker.reportAndClaim(
          [{ kind: "completed", lease: { executionId: id, task: 0, token: lease.token }, durationMs: 1, result: "1" }],
          1,
          30_000,
        );
        await world.settle();
        assert.equal((await world.view(id)).state, "completed");
        const next = await world.submit(batch(1));
        const answer = await reply;
        assert.deepEqual(answer.verdicts, ["accepted"]);
        assert.deepEqual(
          answer.leases.map((one) => one.executionId),
          [next],
        );
      },
    },
    {
      name: "a claim that waits ends when its session does",
      promises: [4],
      run: async (world) => {
        const { worker, call } = await waiter(world, "w1");
        await worker.die();
        await refusedWith("SESSION_LOST", () => call.promise);
        await world.submit(batch(1));
        const heir = await world.join({ worker: "w2" });
        assert.equal((await heir.leases()).length, 1, "the dead session took nothing");
      },
    },
    {
      name: "a claim that waits is told to drain at once",
      promises: [6],
      run: async (world) => {
        const { worker, call } = await waiter(world, "w1");
        await world.broker.drainSession({ session: worker.session });
        const reply = await call.promise;
        assert.deepEqual([reply.leases, reply.drain], [[], true]);
      },
    },
    {
      name: "a claim that waits learns at once of a lease that it must stop",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        const call = worker.waitForWork(30_000);
        await world.settle();
        await world.broker.cancel({ executionId });
        assert.deepEqual(
          (await call.promise).cancel.map((one) => one.token),
          [lease.token],
        );
      },
    },
  ],
};
