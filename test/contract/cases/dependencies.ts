/** Tasks that wait for tasks: released by the commit itself, skipped when they can never start. */
import assert from "node:assert/strict";
import { completed, done, failed, failure, itemFailures, chunkDone, returned } from "../../support/outcomes.ts";
import { array, group, submission, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books } from "../world.ts";

/** 0 → 1 and 2 → 3. */
const DIAMOND = submission([group(tasks(4, [[], [0], [0], [1, 2]]))], { kind: "workflow" });

export const dependencyCases: CaseGroup = {
  name: "dependencies",
  cases: [
    {
      name: "a diamond runs in its order, each task with its parents' results",
      promises: [2],
      run: async (world) => {
        const id = await world.submit(DIAMOND);
        assert.deepEqual(books(await world.counters(id)), { total: 4, queued: 1, blocked: 3 });
        const worker = await world.join();
        const root = await worker.take();
        assert.equal(root.parents, undefined);
        await worker.deliver(completed(root, '"root"'));
        const [left, right] = await worker.leases(5);
        assert.ok(left !== undefined && right !== undefined);
        assert.deepEqual([left.parents, right.parents], [{ 0: '"root"' }, { 0: '"root"' }]);
        await worker.deliver(completed(right, '"right"'));
        assert.deepEqual(await worker.leases(), []);
        await worker.deliver(completed(left, '"left"'));
        const last = await worker.take();
        assert.deepEqual(last.parents, { 1: '"left"', 2: '"right"' });
        await worker.finish(last);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "the commit that completes a parent hands out its child in the same step",
      promises: [2],
      run: async (world) => {
        await world.submit(DIAMOND);
        const worker = await world.join();
        const reply = await worker.reportAndClaim([completed(await worker.take(), "42")], 5);
        assert.deepEqual(reply.verdicts, ["accepted"]);
        assert.deepEqual(
          reply.leases.map((lease) => [lease.task, lease.parents]),
          [
            [1, { 0: "42" }],
            [2, { 0: "42" }],
          ],
        );
      },
    },
    {
      name: "parents that complete in one call release a common child once",
      promises: [2],
      run: async (world) => {
        const id = await world.submit(submission([group(tasks(3, [[], [], [0, 1]]))]));
        const worker = await world.join();
        const parents = await worker.leases(2);
        const reply = await worker.reportAndClaim(parents.map(done), 5);
        assert.deepEqual(
          reply.leases.map((lease) => lease.task),
          [2],
        );
        await worker.finish(...reply.leases);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a parent named twice counts once",
      promises: [2],
      run: async (world) => {
        await world.submit(submission([group(tasks(2, [[], [0, 0]]))]));
        const worker = await world.join();
        await worker.finish(await worker.take());
        assert.deepEqual((await worker.take()).parents, { 0: '{"task":0}' });
      },
    },
    {
      name: "a repeated commit releases nothing twice",
      promises: [2, 7],
      run: async (world) => {
        const id = await world.submit(submission([group(tasks(3, [[], [], [0, 1]]))]));
        const worker = await world.join();
        const [first] = await worker.leases(2);
        assert.ok(first !== undefined);
        await worker.finish(first);
        await worker.finish(first);
        assert.deepEqual(await worker.leases(), []);
        assert.deepEqual(books(await world.counters(id)), { total: 3, completed: 1, running: 1, blocked: 1 });
      },
    },
    {
      name: "a child waits through its parent's retries",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(submission([group(tasks(2, [[], [0]]))]));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take()));
        assert.deepEqual(books(await world.counters(id)), { total: 2, scheduled: 1, blocked: 1 });
        await world.advance(5_000);
        await world.promote();
        const again = await worker.take();
        assert.equal(again.task, 0);
        await worker.finish(again);
        await worker.finish(await worker.take());
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a child keeps its parents' results through a loss and a return",
      promises: [3],
      run: async (world) => {
        await world.submit(submission([group(tasks(2, [[], [0]]))]));
        const worker = await world.join();
        await worker.deliver(completed(await worker.take(), '"kept"'));
        await worker.deliver(returned(await worker.take()));
        assert.deepEqual((await worker.take()).parents, { 0: '"kept"' });
        await worker.die();
        const heir = await world.join({ worker: "w2" });
        assert.deepEqual((await heir.take()).parents, { 0: '"kept"' });
      },
    },
    {
      name: "what can never start is skipped, to the last descendant",
      promises: [2, 3],
      run: async (world) => {
        const chain = tasks(6, [[], [0], [1], [2], [], [4, 2]]);
        const id = await world.submit(submission([group(chain)]));
        const worker = await world.join();
        const [root, other] = await worker.leases(2);
        assert.ok(root !== undefined && other !== undefined);
        await worker.deliver(failed(root, failure("invalid-input", "no good")));
        assert.deepEqual(books(await world.counters(id)), { total: 6, failed: 1, skipped: 4, running: 1 });
        assert.equal((await world.view(id)).state, "running");
        await worker.finish(other);
        const view = await world.view(id);
        assert.equal(view.state, "failed");
        assert.equal(view.firstFailure?.message, "no good");
        assert.deepEqual(books(view.counters), { total: 6, failed: 1, skipped: 4, completed: 1 });
      },
    },
    {
      name: "a task that waits for an array starts when all of its items have completed",
      promises: [2],
      run: async (world) => {
        const id = await world.submit(submission([group(array(10, 5)), group(tasks(1, [[0]]))], { kind: "workflow" }));
        const worker = await world.join();
        const [first, second] = await worker.leases(5);
        assert.ok(first !== undefined && second !== undefined);
        await worker.deliver(chunkDone(first, itemFailures([2])));
        await worker.finish(second);
        assert.deepEqual(books(await world.counters(id)), { total: 11, completed: 9, scheduled: 1, blocked: 1 });
        await world.advance(5_000);
        await world.promote();
        await worker.finish(await worker.take());
        assert.equal((await worker.take()).task, 1);
      },
    },
    {
      name: "a task that waits for an array with a dead letter is skipped",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(submission([group(array(10, 5)), group(tasks(1, [[0]]))], { kind: "workflow" }));
        const worker = await world.join();
        const [first, second] = await worker.leases(5);
        assert.ok(first !== undefined && second !== undefined);
        await worker.deliver(chunkDone(first, itemFailures([2], "invalid-input")), chunkDone(second));
        const view = await world.view(id);
        assert.deepEqual(books(view.counters), { total: 11, completed: 9, failed: 1, skipped: 1 });
        assert.equal(view.state, "failed");
      },
    },
    {
      name: "a task that waits for an array whose items were lost with their workers is skipped",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(
          submission([group(array(4, 4), { maxLosses: 1 }), group(tasks(1, [[0]]))], { kind: "workflow" }),
        );
        const worker = await world.join();
        await worker.take();
        await worker.die();
        const view = await world.view(id);
        assert.deepEqual(books(view.counters), { total: 5, failed: 4, skipped: 1 });
        assert.equal(view.state, "failed");
      },
    },
    {
      name: "a task whose parents are done still waits for its delay, and the other way round",
      promises: [2, 8],
      run: async (world) => {
        const late = group(tasks(2, [[0], [1]]), { delayMs: 10_000 });
        const id = await world.submit(submission([group(tasks(2)), late], { open: true }));
        const worker = await world.join();
        const [first, second] = await worker.leases(5);
        assert.ok(first !== undefined && second !== undefined);
        await worker.finish(first);
        await world.broker.extend({
          executionId: id,
          part: 1,
          groups: [group(tasks(1, [[0]]), { delayMs: 10_000 })],
          seal: true,
        });
        assert.deepEqual(books(await world.counters(id)), {
          total: 5,
          completed: 1,
          running: 1,
          scheduled: 2,
          blocked: 1,
        });
        const { tasks: waiting } = await world.broker.listTasks({ executionId: id, states: ["scheduled"], limit: 10 });
        assert.deepEqual(
          waiting.map((task) => task.task),
          [2, 4],
        );
        await world.advance(9_999);
        await world.promote();
        assert.deepEqual(await worker.leases(5), []);
        await world.advance(1);
        await world.promote();
        const due = await worker.leases(5);
        assert.deepEqual(
          due.map((lease) => lease.task),
          [2, 4],
        );
        await worker.finish(second);
        await worker.finish(...due, ...(await worker.leases(5)));
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a wide fan-out and fan-in comes through",
      promises: [2, 3],
      run: async (world) => {
        const width = 500;
        const middle = Array.from({ length: width }, () => [0]);
        const all = Array.from({ length: width }, (_, index) => index + 1);
        const id = await world.submit(submission([group(tasks(width + 2, [[], ...middle, all]))]));
        const worker = await world.join();
        await worker.finish(await worker.take());
        const leases = await worker.leases(1_000);
        assert.equal(leases.length, width);
        await worker.finish(...leases);
        const last = await worker.take();
        assert.equal(Object.keys(last.parents ?? {}).length, width);
        await worker.finish(last);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
  ],
};
