/** Suspended tasks when their execution fails, or is open; and rescues that suspend themselves. */
import assert from "node:assert/strict";
import { OPEN_AGAIN_MS } from "../../../src/broker/limits.ts";
import { ascending } from "../../support/ascending.ts";
import { failed, failure, untilDelay, untilSignal, untilTasks } from "../../support/outcomes.ts";
import { batch, group, submission, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books } from "../world.ts";

const HOPELESS = failure("invalid-input", "no good");

export const suspensionEndCases: CaseGroup = {
  name: "suspension and what happens meanwhile",
  cases: [
    {
      name: "they go on waiting when their execution failed and runs again; what waited for its next try does not",
      promises: [3, 6],
      run: async (world) => {
        const executionId = await world.submit(batch(6, { maxFailures: 1 }));
        const worker = await world.join();
        const [one, two, three, four, five, six] = await worker.leases(6);
        assert.ok(one !== undefined && two !== undefined && three !== undefined);
        assert.ok(four !== undefined && five !== undefined && six !== undefined);
        await worker.deliver(
          untilDelay(one, 60_000),
          untilSignal(two, "go"),
          untilSignal(three, "go", 60_000),
          untilTasks(four, [group(tasks(2))]),
          failed(five),
          failed(six, HOPELESS),
        );
        assert.equal((await world.view(executionId)).state, "failed");
        await world.broker.retry({ executionId });
        const counters = await world.counters(executionId);
        assert.deepEqual(books(counters), { total: 8, blocked: 2, scheduled: 2, queued: 4 });
        const ready = await worker.leases(9);
        assert.deepEqual(ascending(ready.map(({ task }) => task)), [4, 5, 6, 7]);
        await worker.finish(...ready);
        assert.equal((await world.broker.signal({ executionId, signal: "go", payload: "2" })).released, 2);
        const resumed = await worker.leases(9);
        assert.deepEqual(
          Object.fromEntries(resumed.map((lease) => [lease.task, [lease.resumed?.signal, lease.resumed?.first]])),
          { 1: ["2", undefined], 2: ["2", undefined], 3: [undefined, 6] },
        );
        await worker.finish(...resumed);
        await world.advance(60_000);
        await world.promote();
        const last = await worker.take();
        assert.deepEqual([last.task, last.resumed], [0, { state: '"state"' }]);
        await worker.finish(last);
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "while the execution is open its numbers are its submitter's: a task that adds tasks is put off until the seal",
      promises: [7],
      run: async (world) => {
        const executionId = await world.submit(batch(1, { open: true }));
        const worker = await world.join();
        const outcome = untilTasks(await worker.take(), [group(tasks(1))]);
        await worker.deliver(outcome);
        await worker.deliver(outcome);
        assert.deepEqual(books(await world.counters(executionId)), { total: 1, scheduled: 1 });
        assert.deepEqual(await worker.leases(), []);
        await world.advance(OPEN_AGAIN_MS);
        await world.promote();
        await worker.deliver(untilTasks(await worker.take(), [group(tasks(1))]));
        await world.broker.extend({ executionId, part: 1, groups: [group(tasks(2, [[0], [1]]))], seal: true });
        await world.advance(OPEN_AGAIN_MS);
        await world.promote();
        const lease = await worker.take();
        assert.deepEqual([lease.task, lease.attempt, lease.resumed], [0, 1, undefined]);
        await worker.deliver(untilTasks(lease, [group(tasks(1))]));
        const added = await worker.take();
        assert.equal(added.task, 3);
        await worker.finish(added);
        const again = await worker.take();
        assert.deepEqual([again.attempt, again.resumed?.first], [2, 3]);
        await worker.finish(again);
        for (const task of [1, 2]) {
          const next = await worker.take();
          assert.equal(next.task, task);
          await worker.finish(next);
        }
        const view = await world.view(executionId);
        assert.deepEqual([view.state, view.lostAttempts, view.retries], ["completed", 0, 0]);
      },
    },
    {
      name: "signals whose names begin alike are different ones",
      promises: [2],
      run: async (world) => {
        const names = ["go", "go ", "gone", "go\u001f1", "go\u001f", "g", "Go", "gö"];
        const executionId = await world.submit(batch(names.length));
        const worker = await world.join();
        const leases = await worker.leases(names.length);
        await worker.deliver(...leases.map((lease) => untilSignal(lease, names[lease.task] ?? "")));
        for (const [task, signal] of names.entries()) {
          assert.equal((await world.broker.signal({ executionId, signal, payload: `"${task}"` })).released, 1, signal);
          const lease = await worker.take();
          assert.deepEqual([lease.task, lease.resumed?.signal], [task, `"${task}"`]);
          await worker.finish(lease);
        }
      },
    },
    {
      name: "a rescue may suspend itself: it is called once, and what it adds runs before the execution ends",
      promises: [2, 3],
      run: async (world) => {
        const groups = [group(tasks(1)), group(tasks(2), { name: "rescue", when: "failed" })];
        const executionId = await world.submit(submission(groups));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take(), HOPELESS));
        const [first, second] = await worker.leases(2);
        assert.ok(first !== undefined && second !== undefined);
        await worker.deliver(untilTasks(first, [group(tasks(1))]), untilSignal(second, "go"));
        const added = await worker.take();
        assert.deepEqual(await worker.leases(), []);
        await worker.finish(added);
        const again = await worker.take();
        assert.deepEqual([again.task, again.resumed?.first], [1, 3]);
        await worker.finish(again);
        assert.deepEqual(await worker.leases(), []);
        assert.equal((await world.view(executionId)).state, "running");
        await world.broker.signal({ executionId, signal: "go", payload: "1" });
        await worker.finish(await worker.take());
        const view = await world.view(executionId);
        assert.deepEqual([view.state, books(view.counters)], ["failed", { total: 4, completed: 3, failed: 1 }]);
      },
    },
    {
      name: "a task that was removed while it waits is not brought back by its signal, nor by its time",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(4));
        const worker = await world.join();
        const [one, two, three, four] = await worker.leases(4);
        assert.ok(one !== undefined && two !== undefined && three !== undefined && four !== undefined);
        await worker.deliver(untilSignal(one, "go"), untilSignal(two, "go", 1_000), untilDelay(three, 1_000));
        await world.broker.editExecution({ executionId, edits: [{ kind: "remove", tasks: [0, 1, 2] }], apply: true });
        const reply = await world.broker.signal({ executionId, signal: "go", payload: "1" });
        assert.deepEqual(reply, { accepted: true, released: 0 });
        await world.advance(1_000);
        await world.promote();
        assert.deepEqual(await worker.leases(), []);
        await worker.finish(four);
        const view = await world.view(executionId);
        assert.deepEqual([view.state, books(view.counters)], ["completed", { total: 4, completed: 1, skipped: 3 }]);
      },
    },
  ],
};
