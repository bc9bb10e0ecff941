/** Tasks that start when the rest has ended and something failed; else they are skipped. */
import assert from "node:assert/strict";
import type { Submission, TaskView } from "../../../src/broker/contract.ts";
import { completed, failed, failure, returned, untilDelay } from "../../support/outcomes.ts";
import { group, submission, tasks } from "../../support/submissions.ts";
import { allEvents, allTasks } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith, type World } from "../world.ts";

const HOPELESS = failure("invalid-input", "no good");

/** Two tasks, a third after both, and a rescue that gets the results of all. */
function rescued(changes: Partial<Submission> = {}): Submission {
  const groups = [group(tasks(3, [[], [], [0, 1]])), group(tasks(1, [[0, 1, 2]]), { name: "rescue", when: "failed" })];
  return submission(groups, { kind: "workflow", ...changes });
}

async function statesOf(world: World, executionId: string): Promise<TaskView["state"][]> {
  return (await allTasks(world.broker, executionId)).map(({ state }) => state);
}

export const rescueCases: CaseGroup = {
  name: "rescue",
  cases: [
    {
      name: "it waits until nothing else is left, then runs with the results that there are; the execution fails",
      promises: [2, 3],
      run: async (world) => {
        const executionId = await world.submit(rescued());
        assert.deepEqual(books(await world.counters(executionId)), { total: 4, queued: 2, blocked: 2 });
        const worker = await world.join();
        const [one, two] = await worker.leases(5);
        assert.ok(one !== undefined && two !== undefined);
        await worker.deliver(failed(one, HOPELESS));
        assert.deepEqual(await worker.leases(), []);
        assert.deepEqual(await statesOf(world, executionId), ["failed", "running", "skipped", "blocked"]);
        const reply = await worker.reportAndClaim([completed(two, '"two"')], 5);
        const [rescue] = reply.leases;
        assert.ok(rescue !== undefined && reply.leases.length === 1);
        assert.deepEqual([rescue.task, rescue.parents], [3, { 1: '"two"' }]);
        assert.equal((await world.view(executionId)).state, "running");
        await worker.finish(rescue);
        const view = await world.view(executionId);
        assert.deepEqual([view.state, view.firstFailure?.message], ["failed", "no good"]);
        assert.deepEqual(books(view.counters), { total: 4, failed: 1, skipped: 1, completed: 2 });
      },
    },
    {
      name: "if nothing failed it is skipped, and the execution completes",
      promises: [2],
      run: async (world) => {
        const executionId = await world.submit(rescued());
        const worker = await world.join();
        await worker.finish(...(await worker.leases(5)));
        await worker.finish(await worker.take());
        const view = await world.view(executionId);
        assert.equal(view.state, "completed");
        assert.deepEqual(books(view.counters), { total: 4, completed: 3, skipped: 1 });
      },
    },
    {
      name: "a failure that is borne calls no rescue",
      promises: [2],
      run: async (world) => {
        const executionId = await world.submit(
          submission([group(tasks(1), { onFailure: "continue" }), group(tasks(1), { when: "failed" })]),
        );
        const worker = await world.join();
        await worker.deliver(failed(await worker.take(), HOPELESS));
        assert.equal((await world.view(executionId)).state, "completed");
        assert.deepEqual(await statesOf(world, executionId), ["failed", "skipped"]);
      },
    },
    {
      name: "it is tried again, lost and returned like any task, and a letter of its own is one more",
      promises: [3],
      run: async (world) => {
        const executionId = await world.submit(rescued());
        const worker = await world.join();
        await worker.deliver(...(await worker.leases(5)).map((lease) => failed(lease, HOPELESS)));
        await worker.deliver(returned(await worker.take()));
        await worker.deliver(failed(await worker.take()));
        assert.deepEqual(books(await world.counters(executionId)), { total: 4, failed: 2, skipped: 1, scheduled: 1 });
        await world.advance(5_000);
        await world.promote();
        assert.equal((await worker.take()).task, 3);
        await worker.die();
        const heir = await world.join({ worker: "w2" });
        const lease = await heir.take();
        assert.deepEqual([lease.task, lease.attempt, lease.parents], [3, 3, {}]);
        await heir.deliver(failed(lease, HOPELESS));
        const view = await world.view(executionId);
        assert.deepEqual([view.state, books(view.counters)], ["failed", { total: 4, failed: 3, skipped: 1 }]);
      },
    },
    {
      name: "of several each waits for the rest, not for one another",
      promises: [2],
      run: async (world) => {
        const executionId = await world.submit(
          submission([group(tasks(1)), group(tasks(2, [[], [0]]), { when: "failed" }), group(tasks(1))]),
        );
        const worker = await world.join();
        const leases = await worker.leases(5);
        assert.deepEqual(
          leases.map(({ task }) => task),
          [0, 3],
        );
        await worker.deliver(...leases.map((lease) => failed(lease, HOPELESS)));
        const rescues = await worker.leases(5);
        assert.deepEqual(
          rescues.map(({ task }) => task),
          [1, 2],
        );
        const [one, two] = rescues;
        assert.ok(one !== undefined && two !== undefined);
        await worker.finish(two);
        assert.equal((await world.view(executionId)).state, "running");
        await worker.finish(one);
        assert.equal((await world.view(executionId)).state, "failed");
      },
    },
    {
      name: "an open execution calls it only after its seal",
      promises: [3],
      run: async (world) => {
        const executionId = await world.submit(rescued({ open: true }));
        const worker = await world.join();
        await worker.deliver(...(await worker.leases(5)).map((lease) => failed(lease, HOPELESS)));
        assert.deepEqual(await worker.leases(), []);
        await world.broker.extend({ executionId, part: 1, groups: [group(tasks(1))], seal: true });
        await worker.finish(await worker.take());
        const rescue = await worker.take();
        assert.equal(rescue.task, 3);
        await worker.finish(rescue);
        assert.equal((await world.view(executionId)).state, "failed");
      },
    },
    {
      name: "it waits for what backs off, and for what has suspended itself",
      promises: [3],
      run: async (world) => {
        const executionId = await world.submit(
          submission([group(tasks(3)), group(tasks(1), { name: "rescue", when: "failed" })]),
        );
        const worker = await world.join();
        const [one, two, three] = await worker.leases(3);
        assert.ok(one !== undefined && two !== undefined && three !== undefined);
        await worker.deliver(failed(one, HOPELESS), failed(two), untilDelay(three, 20_000));
        assert.deepEqual(await worker.leases(5), []);
        await world.advance(5_000);
        await world.promote();
        await worker.finish(await worker.take());
        assert.deepEqual(await worker.leases(5), []);
        await world.advance(15_000);
        await world.promote();
        await worker.finish(await worker.take());
        assert.equal((await worker.take()).task, 3);
        await world.broker.cancel({ executionId });
      },
    },
    {
      name: "a cancelled execution runs none",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(rescued());
        const worker = await world.join();
        const [one] = await worker.leases(5);
        assert.ok(one !== undefined);
        await worker.deliver(failed(one, HOPELESS));
        await world.broker.cancel({ executionId });
        assert.deepEqual(await worker.leases(5), []);
        assert.deepEqual(await statesOf(world, executionId), ["failed", "cancelled", "skipped", "cancelled"]);
      },
    },
    {
      name: "its release and its skip are told",
      promises: [10],
      run: async (world) => {
        for (const fails of [true, false]) {
          const executionId = await world.submit(submission([group(tasks(1)), group(tasks(1), { when: "failed" })]));
          const worker = await world.join();
          const lease = await worker.take();
          await worker.deliver(fails ? failed(lease, HOPELESS) : completed(lease));
          const told = (await allEvents(world.broker, executionId)).flatMap(({ change }) =>
            change.kind === "tasks" && change.tasks.includes(1) ? [[change.state, change.reason]] : [],
          );
          assert.deepEqual(told, [fails ? ["queued", "released"] : ["skipped", undefined]]);
          if (fails) await worker.finish(await worker.take());
        }
      },
    },
    {
      name: "a letter retried while it runs runs beside it; retried after the end, a rescue that had run is not called again",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(submission([group(tasks(1)), group(tasks(1), { when: "failed" })]));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take(), HOPELESS));
        const rescue = await worker.take();
        await world.broker.retry({ executionId });
        const again = await worker.take();
        assert.equal(again.task, 0);
        await worker.finish(rescue);
        await worker.deliver(failed(again, HOPELESS));
        assert.equal((await world.view(executionId)).state, "failed");
        await world.broker.retry({ executionId });
        await worker.finish(await worker.take());
        const view = await world.view(executionId);
        assert.deepEqual([view.state, books(view.counters)], ["completed", { total: 2, completed: 2 }]);
      },
    },
    {
      name: "one that was skipped waits again when the execution runs again",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(rescued({ keepInputs: true }));
        const worker = await world.join();
        await worker.finish(...(await worker.leases(5)));
        await worker.finish(await worker.take());
        assert.equal((await world.view(executionId)).state, "completed");
        const { reset } = await world.broker.rerun({ executionId, task: 2 });
        assert.equal(reset, 1);
        assert.deepEqual(await statesOf(world, executionId), ["completed", "completed", "queued", "blocked"]);
        await worker.deliver(failed(await worker.take(), HOPELESS));
        const rescue = await worker.take();
        assert.deepEqual([rescue.task, rescue.parents], [3, { 0: '{"task":0}', 1: '{"task":1}' }]);
        await worker.finish(rescue);
        assert.equal((await world.view(executionId)).state, "failed");
      },
    },
    {
      name: "with maxFailures, and before what comes after it, it is refused",
      promises: [9],
      run: async (world) => {
        await refusedWith("INVALID_REQUEST", () => world.submit(rescued({ maxFailures: 1 })));
        const rescue = group(tasks(1), { when: "failed" });
        await refusedWith("INVALID_REQUEST", () => world.submit(submission([rescue, group(tasks(1, [[0]]))])));
        const executionId = await world.submit(submission([rescue, group(tasks(1))], { open: true }));
        const groups = [group(tasks(1, [[0]]))];
        await refusedWith("INVALID_REQUEST", () => world.broker.extend({ executionId, part: 1, groups, seal: true }));
        assert.deepEqual(books(await world.counters(executionId)), { total: 2, queued: 1, blocked: 1 });
      },
    },
  ],
};
