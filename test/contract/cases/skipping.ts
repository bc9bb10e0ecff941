/** Results that are missing but let others go on: tasks skipped by their own condition, failures that are to be borne. */
import assert from "node:assert/strict";
import type { TaskView } from "../../../src/broker/contract.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { completed, failed, failure, skipped, suspended } from "../../support/outcomes.ts";
import { array, group, submission, sweep, tasks, workflow } from "../../support/submissions.ts";
import { allEvents, allTasks } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, type World } from "../world.ts";

/** Never tried again. */
const HOPELESS = failure("invalid-input", "no good");

async function statesOf(world: World, executionId: string): Promise<TaskView["state"][]> {
  return (await allTasks(world.broker, executionId)).map(({ state }) => state);
}

/** Task 0 that bears its failure, and children after it. */
function bearing(after: readonly (readonly number[])[], changes: Parameters<typeof submission>[1] = {}) {
  return submission([group(tasks(1), { onFailure: "continue" }), group(tasks(after.length, after))], changes);
}

async function failFirst(worker: FakeWorker): Promise<void> {
  const lease = await worker.take();
  assert.equal(lease.task, 0);
  await worker.deliver(failed(lease, HOPELESS));
}

const conditions: CaseGroup["cases"] = [
  {
    name: "a task whose condition says no is skipped, and so is what comes after it; the execution completes",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], []]));
      const worker = await world.join();
      const [first, other] = await worker.leases(2);
      assert.ok(first !== undefined && other !== undefined);
      await worker.deliver(skipped(first));
      assert.deepEqual(books(await world.counters(executionId)), { total: 4, skipped: 3, running: 1 });
      await worker.finish(other);
      const view = await world.view(executionId);
      assert.deepEqual([view.state, view.firstFailure], ["completed", undefined]);
      assert.deepEqual(books(view.counters), { total: 4, skipped: 3, completed: 1 });
    },
  },
  {
    name: "one that releases lets what comes after it start, with no result of it",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [0], [0, 1]]));
      const worker = await world.join();
      const [first, other] = await worker.leases(2);
      assert.ok(first !== undefined && other !== undefined);
      const reply = await worker.reportAndClaim([skipped(first, "release")], 5);
      assert.deepEqual(
        reply.leases.map(({ task, parents }) => [task, parents]),
        [[2, {}]],
      );
      await worker.deliver(completed(other, '"there"'));
      const last = await worker.take();
      assert.deepEqual([last.task, last.parents], [3, { 1: '"there"' }]);
      await worker.finish(last, ...reply.leases);
      assert.equal((await world.view(executionId)).state, "completed");
      assert.deepEqual(await statesOf(world, executionId), ["skipped", "completed", "completed", "completed"]);
    },
  },
  {
    name: "of two parents one that skips is enough to skip, whatever the other does",
    promises: [2],
    run: async (world) => {
      for (const others of ["completed", "release", "skip"] as const) {
        for (const order of [0, 1]) {
          const executionId = await world.submit(workflow([[], [], [0, 1]]));
          const worker = await world.join();
          const [one, two] = await worker.leases(2);
          assert.ok(one !== undefined && two !== undefined);
          const outcomes = [skipped(one), others === "completed" ? completed(two) : skipped(two, others)];
          if (order === 1) outcomes.reverse();
          await worker.deliver(...outcomes);
          assert.equal((await statesOf(world, executionId))[2], "skipped");
          assert.equal((await world.view(executionId)).state, "completed");
        }
      }
    },
  },
  {
    name: "of two parents both that release let their child start",
    promises: [2],
    run: async (world) => {
      await world.submit(workflow([[], [], [0, 1]]));
      const worker = await world.join();
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      await worker.deliver(skipped(two, "release"));
      assert.deepEqual(await worker.leases(), []);
      await worker.deliver(skipped(one, "release"));
      const child = await worker.take();
      assert.deepEqual([child.task, child.parents], [2, {}]);
    },
  },
  {
    name: "children that are added later see it the same way",
    promises: [2],
    run: async (world) => {
      for (const by of ["extend", "edit"] as const) {
        const executionId = await world.submit(workflow([[], [], []], { open: true }));
        const worker = await world.join({ worker: by });
        const [one, two, three] = await worker.leases(3);
        assert.ok(one !== undefined && two !== undefined && three !== undefined);
        await worker.deliver(skipped(one, "release"), skipped(two));
        const groups = [group(tasks(3, [[0], [0, 1], [0, 2]]))];
        if (by === "extend") await world.broker.extend({ executionId, part: 1, groups, seal: false });
        else await world.broker.editExecution({ executionId, edits: [{ kind: "add", groups }], apply: true });
        assert.deepEqual(await statesOf(world, executionId), [
          "skipped",
          "skipped",
          "running",
          "queued",
          "skipped",
          "blocked",
        ]);
        const child = await worker.take();
        assert.deepEqual([child.task, child.parents], [3, {}]);
        await world.broker.cancel({ executionId });
      }
    },
  },
  {
    name: "it counts once: sent again it is accepted, another outcome is not, and neither is one for a chunk",
    promises: [1, 7],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [0, 1]]));
      const worker = await world.join();
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      await worker.deliver(skipped(one, "release"));
      await worker.deliver(skipped(one, "release"));
      assert.deepEqual(await worker.report(completed(one)), ["refused"]);
      assert.deepEqual(books(await world.counters(executionId)), { total: 3, skipped: 1, running: 1, blocked: 1 });
      await worker.die();
      const late = await world.join({ worker: "w2" });
      assert.deepEqual(await late.report(skipped(two, "release")), ["refused"]);
      await world.broker.cancel({ executionId });
      await world.submit(sweep(4, 4));
      const chunk = await late.take();
      assert.deepEqual(await late.report(skipped(chunk)), ["refused"]);
      assert.deepEqual(await late.report(suspended(chunk, { kind: "delay", delayMs: 1 })), ["refused"]);
      await late.finish(chunk);
    },
  },
  {
    name: "skips are told, by the condition and because of it",
    promises: [10],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0]]));
      const worker = await world.join();
      await worker.deliver(skipped(await worker.take()));
      const told = (await allEvents(world.broker, executionId)).flatMap(({ change }) =>
        change.kind === "tasks" && change.state === "skipped" ? [[change.tasks, change.reason]] : [],
      );
      assert.deepEqual(told, [
        [[0], "condition"],
        [[1], undefined],
      ]);
    },
  },
  {
    name: "run again by hand, it is judged anew",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1]], { keepInputs: true }));
      const worker = await world.join();
      await worker.finish(await worker.take());
      await worker.deliver(skipped(await worker.take(), "release"));
      await worker.finish(await worker.take());
      assert.equal((await world.view(executionId)).state, "completed");
      const { reset } = await world.broker.rerun({ executionId, task: 1 });
      assert.equal(reset, 2);
      assert.deepEqual(await statesOf(world, executionId), ["completed", "queued", "blocked"]);
      const again = await worker.take();
      assert.deepEqual([again.task, again.input, again.parents], [1, "1", { 0: '{"task":0}' }]);
      await worker.deliver(skipped(again));
      assert.deepEqual(await statesOf(world, executionId), ["completed", "skipped", "skipped"]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
];

const borne: CaseGroup["cases"] = [
  {
    name: "a failure that is to be borne is a dead letter, and neither skips nor fails anything",
    promises: [2, 3],
    run: async (world) => {
      const executionId = await world.submit(bearing([[0], [0, 1], []]));
      const worker = await world.join();
      await failFirst(worker);
      const [first, other] = await worker.leases(5);
      assert.ok(first !== undefined && other !== undefined);
      assert.deepEqual(
        [first, other].map(({ task, parents }) => [task, parents]),
        [
          [1, {}],
          [3, undefined],
        ],
      );
      await worker.finish(first, other);
      const last = await worker.take();
      assert.deepEqual(last.parents, { 1: '{"task":1}' });
      await worker.finish(last);
      const view = await world.view(executionId);
      assert.deepEqual([view.state, view.firstFailure], ["completed", undefined]);
      assert.deepEqual(books(view.counters), { total: 4, failed: 1, completed: 3 });
      const { letters } = await world.broker.listDeadLetters({ executionId, limit: 10 });
      assert.deepEqual(
        letters.map(({ task, failure: { message } }) => [task, message]),
        [[0, "no good"]],
      );
    },
  },
  {
    name: "it is tried as often as any other before, and a worker's deaths are borne too",
    promises: [3],
    run: async (world) => {
      const executionId = await world.submit(
        submission([group(tasks(1), { onFailure: "continue", maxLosses: 1 }), group(tasks(1, [[0]]))]),
      );
      const worker = await world.join();
      await worker.deliver(failed(await worker.take()));
      assert.deepEqual(books(await world.counters(executionId)), { total: 2, scheduled: 1, blocked: 1 });
      await world.advance(5_000);
      await world.promote();
      await worker.take();
      await worker.die();
      const heir = await world.join({ worker: "w2" });
      const child = await heir.take();
      assert.deepEqual([child.task, child.parents], [1, {}]);
      await heir.finish(child);
      const view = await world.view(executionId);
      assert.deepEqual([view.state, view.firstFailure, view.lostAttempts], ["completed", undefined, 1]);
    },
  },
  {
    name: "maxFailures does not count it",
    promises: [3],
    run: async (world) => {
      const executionId = await world.submit(bearing([[0], []], { maxFailures: 1 }));
      const worker = await world.join();
      const leases = await worker.leases(2);
      const [first, other] = leases;
      assert.ok(first !== undefined && other !== undefined);
      await worker.deliver(failed(first, HOPELESS));
      assert.equal((await world.view(executionId)).state, "running");
      await worker.deliver(failed(other, failure("invalid-input", "the one that counts")));
      const view = await world.view(executionId);
      assert.deepEqual([view.state, view.firstFailure?.message], ["failed", "the one that counts"]);
    },
  },
  {
    name: "children that are added later see a borne failure the same way",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(bearing([[]], { open: true }));
      const worker = await world.join();
      await failFirst(worker);
      await world.broker.extend({ executionId, part: 1, groups: [group(tasks(1, [[0]]))], seal: false });
      await world.broker.editExecution({
        executionId,
        edits: [{ kind: "add", groups: [group(tasks(1, [[0]]))] }],
        apply: true,
      });
      assert.deepEqual(await statesOf(world, executionId), ["failed", "queued", "queued", "queued"]);
      const leases = await worker.leases(5);
      assert.deepEqual(
        leases.map(({ task, parents }) => [task, parents]),
        [
          [1, undefined],
          [2, {}],
          [3, {}],
        ],
      );
    },
  },
  {
    name: "retried by hand, only it runs again: what came after it neither waits nor runs once more",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(bearing([[0], [], [0, 2]]));
      const worker = await world.join();
      await failFirst(worker);
      const [child, other] = await worker.leases(2);
      assert.ok(child !== undefined && other !== undefined);
      await worker.finish(child);
      const { changed } = await world.broker.retry({ executionId });
      assert.equal(changed, 1);
      assert.deepEqual(await statesOf(world, executionId), ["queued", "completed", "running", "blocked"]);
      const again = await worker.take();
      assert.equal(again.task, 0);
      await worker.deliver(completed(again, '"late"'));
      // Task 3 still waits for 2, though 0 has ended a second time.
      assert.deepEqual(await worker.leases(5), []);
      assert.deepEqual(books(await world.counters(executionId)), { total: 4, completed: 2, running: 1, blocked: 1 });
      await worker.finish(other);
      const last = await worker.take();
      assert.deepEqual([last.task, last.parents], [3, { 0: '"late"', 2: '{"task":2}' }]);
      await worker.finish(last);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "retried after the end it runs alone, and may fail and be borne again",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(bearing([[0]]));
      const worker = await world.join();
      await failFirst(worker);
      await worker.finish(await worker.take());
      assert.equal((await world.view(executionId)).state, "completed");
      const { changed, execution } = await world.broker.retry({ executionId });
      assert.deepEqual([changed, execution.state], [1, "running"]);
      assert.deepEqual(books(execution.counters), { total: 2, queued: 1, completed: 1 });
      await failFirst(worker);
      const view = await world.view(executionId);
      assert.deepEqual([view.state, view.firstFailure], ["completed", undefined]);
      assert.deepEqual(books(view.counters), { total: 2, failed: 1, completed: 1 });
      await world.broker.retry({ executionId });
      await worker.finish(await worker.take());
      assert.deepEqual(books(await world.counters(executionId)), { total: 2, completed: 2 });
    },
  },
  {
    name: "an array bears no failure, and has no other condition",
    promises: [9],
    run: async (world) => {
      for (const changes of [{ onFailure: "continue" }, { when: "failed" }] as const) {
        const wrong = submission([group(array(4, 2), changes)]);
        await assert.rejects(() => world.submit(wrong), { code: "INVALID_REQUEST" });
      }
    },
  },
];

export const skippingCases: CaseGroup = { name: "skipped and borne", cases: [...conditions, ...borne] };
