/** Rerun by hand: a task and all that comes after it lose what they have and run again, in order. */
import assert from "node:assert/strict";
import type { Lease, Submission } from "../../../src/broker/contract.ts";
import { ascending } from "../../support/ascending.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { completed, done, failed, failure } from "../../support/outcomes.ts";
import { array, batch, group, submission, tasks } from "../../support/submissions.ts";
import { allEvents, allResults } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith, type World } from "../world.ts";

const DIAMOND = [[], [0], [0], [1, 2], []];

function workflow(after: readonly (readonly number[])[], changes: Partial<Submission> = {}): Submission {
  return submission([group(tasks(after.length, after))], { kind: "workflow", keepInputs: true, ...changes });
}

/** Everything that waits is done; a task's result is `value`. */
async function finishAll(worker: FakeWorker, value: string): Promise<void> {
  for (let leases = await worker.leases(50); leases.length > 0; leases = await worker.leases(50))
    await worker.deliver(...leases.map((lease) => completed(lease, JSON.stringify(value))));
}

/** A workflow all of whose tasks have completed with the result "old". */
async function finished(
  world: World,
  after: readonly (readonly number[])[],
): Promise<{ executionId: string; worker: FakeWorker }> {
  const executionId = await world.submit(workflow(after));
  const worker = await world.join();
  await finishAll(worker, "old");
  assert.equal((await world.view(executionId)).state, "completed");
  return { executionId, worker };
}

async function resultsOf(world: World, executionId: string): Promise<(readonly [number, unknown])[]> {
  return (await allResults(world.broker, executionId)).map((row) => [row.task, JSON.parse(row.result ?? "null")]);
}

async function take(worker: FakeWorker, task: number): Promise<Lease> {
  const lease = await worker.take();
  assert.equal(lease.task, task);
  return lease;
}

export const rerunCases: CaseGroup = {
  name: "rerun by hand",
  cases: [
    {
      name: "from the middle of a completed diamond: what comes after runs again, in order; the rest keeps its results",
      promises: [1, 2, 6],
      run: async (world) => {
        const { executionId, worker } = await finished(world, DIAMOND);
        await world.advance(1_000);
        const { reset, execution } = await world.broker.rerun({ executionId, task: 1 });
        assert.equal(reset, 2);
        assert.deepEqual([execution.state, execution.endedAt], ["running", undefined]);
        assert.deepEqual(books(execution.counters), { total: 5, completed: 3, queued: 1, blocked: 1 });
        const first = await take(worker, 1);
        assert.deepEqual([first.input, first.parents, first.attempt], ["1", { 0: '"old"' }, 2]);
        assert.deepEqual(await worker.leases(5), []);
        await worker.deliver(completed(first, '"new"'));
        const second = await take(worker, 3);
        assert.deepEqual([second.input, second.parents, second.attempt], ["3", { 1: '"new"', 2: '"old"' }, 2]);
        await worker.deliver(completed(second, '"new"'));
        const view = await world.view(executionId);
        assert.deepEqual([view.state, view.endedAt], ["completed", world.clock.now()]);
        assert.deepEqual(books(view.counters), { total: 5, completed: 5 });
      },
    },
    {
      name: "results that were taken back are not read any more; the new ones come as new rows",
      promises: [1, 10],
      run: async (world) => {
        const { executionId, worker } = await finished(world, DIAMOND);
        const before = await world.broker.readResults({ executionId, limit: 10 });
        assert.deepEqual([before.rows.length, before.done], [5, true]);
        await world.broker.rerun({ executionId, task: 1 });
        const kept = await resultsOf(world, executionId);
        assert.deepEqual(ascending(kept.map(([task]) => task)), [0, 2, 4]);
        const views = (await world.broker.listTasks({ executionId, limit: 10 })).tasks;
        assert.deepEqual(
          views.map((task) => task.result),
          ['"old"', undefined, '"old"', undefined, '"old"'],
        );
        const open = await world.broker.readResults({ executionId, limit: 10, cursor: before.cursor });
        assert.deepEqual([open.rows, open.done], [[], false]);
        await finishAll(worker, "new");
        const after = await world.broker.readResults({ executionId, limit: 10, cursor: before.cursor });
        assert.deepEqual(
          after.rows.map((row) => [row.task, row.result, row.attempt]),
          [
            [1, '"new"', 2],
            [3, '"new"', 2],
          ],
        );
        assert.equal(after.done, true);
        const all = await resultsOf(world, executionId);
        assert.deepEqual(all.slice(3), [
          [1, "new"],
          [3, "new"],
        ]);
        assert.equal(all.length, 5);
      },
    },
    {
      name: "results are taken back as often as somebody wants them new",
      promises: [1, 10],
      run: async (world) => {
        const { executionId, worker } = await finished(world, [[], [0]]);
        for (let round = 1; round <= 3; round += 1) {
          await world.broker.rerun({ executionId, task: round % 2 });
          await finishAll(worker, `round ${round}`);
        }
        assert.deepEqual(await resultsOf(world, executionId), [
          [0, "round 2"],
          [1, "round 3"],
        ]);
      },
    },
    {
      name: "running descendants are stopped, and what they say late is refused",
      promises: [1, 6],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0], [0], []]));
        const worker = await world.join();
        await worker.finish(await take(worker, 0));
        const leases = await worker.leases(5);
        const late = leases.filter(({ task }) => task === 1 || task === 2);
        const other = leases.find(({ task }) => task === 3);
        assert.ok(late.length === 2 && other !== undefined);
        const { reset, execution } = await world.broker.rerun({ executionId, task: 0 });
        assert.equal(reset, 3);
        assert.deepEqual(books(execution.counters), { total: 4, queued: 1, blocked: 2, running: 1 });
        const { cancel } = await worker.heartbeat(3);
        assert.deepEqual(ascending(cancel.map(({ task }) => task)), [1, 2]);
        assert.deepEqual(await worker.report(...late.map(done), ...late.map((lease) => failed(lease))), [
          "refused",
          "refused",
          "refused",
          "refused",
        ]);
        await worker.finish(other, await take(worker, 0));
        const again = await worker.leases(5);
        assert.deepEqual(
          again.map((lease) => [lease.task, lease.attempt]),
          [
            [1, 2],
            [2, 2],
          ],
        );
        await worker.finish(...again);
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "a running task is stopped and queued again",
      promises: [1, 6],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0]]));
        const worker = await world.join();
        const lease = await worker.take();
        const { reset } = await world.broker.rerun({ executionId, task: 0 });
        assert.equal(reset, 2);
        assert.deepEqual(
          (await worker.heartbeat(1)).cancel.map(({ task }) => task),
          [0],
        );
        assert.deepEqual(await worker.report(done(lease)), ["refused"]);
        const again = await take(worker, 0);
        assert.equal(again.attempt, 2);
        await worker.finish(again);
        await worker.finish(await take(worker, 1));
      },
    },
    {
      name: "a result that was taken back is not given again by telling it again",
      promises: [1, 7],
      run: async (world) => {
        const executionId = await world.submit(workflow([[]]));
        const worker = await world.join();
        const outcome = done(await worker.take());
        await worker.deliver(outcome);
        await world.broker.rerun({ executionId, task: 0 });
        assert.deepEqual(await worker.report(outcome), ["refused"]);
        assert.deepEqual(books(await world.counters(executionId)), { total: 1, queued: 1 });
      },
    },
    {
      name: "dead and skipped descendants run again; their letters are gone",
      promises: [2, 3],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0], [1], [2]]));
        const worker = await world.join();
        await worker.finish(await take(worker, 0));
        await worker.deliver(failed(await take(worker, 1), failure("invalid-input")));
        assert.equal((await world.view(executionId)).state, "failed");
        const { reset, execution } = await world.broker.rerun({ executionId, task: 0 });
        assert.equal(reset, 4);
        assert.deepEqual(books(execution.counters), { total: 4, queued: 1, blocked: 3 });
        assert.deepEqual((await world.broker.listDeadLetters({ limit: 10 })).letters, []);
        await finishAll(worker, "new");
        const view = await world.view(executionId);
        assert.deepEqual([view.state, view.firstFailure], ["completed", undefined]);
      },
    },
    {
      name: "a descendant's retries begin anew",
      promises: [3],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0]]));
        const worker = await world.join();
        await worker.finish(await take(worker, 0));
        await worker.deliver(failed(await take(worker, 1)));
        assert.equal((await world.counters(executionId)).scheduled, 1);
        await world.broker.rerun({ executionId, task: 0 });
        assert.deepEqual(books(await world.counters(executionId)), { total: 2, queued: 1, blocked: 1 });
        await world.advance(5_000);
        await worker.heartbeat();
        await world.promote();
        await worker.finish(await take(worker, 0));
        const again = await take(worker, 1);
        assert.equal(again.attempt, 2);
        await worker.deliver(failed(again));
        const { tasks: views } = await world.broker.listTasks({ executionId, limit: 10 });
        assert.deepEqual([views[1]?.failures, views[1]?.notBefore], [1, world.clock.now() + 5_000]);
      },
    },
    {
      name: "descendants that another dead letter holds up stay skipped",
      promises: [2, 3],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [], [0, 1], [2], [0]]));
        const worker = await world.join();
        const [one, two] = await worker.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await worker.finish(one);
        await worker.deliver(failed(two, failure("invalid-input")));
        await finishAll(worker, "old");
        const { reset, execution } = await world.broker.rerun({ executionId, task: 0 });
        assert.equal(reset, 2);
        const counters = { total: 5, failed: 1, skipped: 2, queued: 1, blocked: 1 };
        assert.deepEqual(books(execution.counters), counters);
        await finishAll(worker, "new");
        assert.equal((await world.view(executionId)).state, "failed");
        await refusedWith("INVALID_REQUEST", () => world.broker.rerun({ executionId, task: 2 }));
        await refusedWith("INVALID_REQUEST", () => world.broker.rerun({ executionId, task: 3 }));
        assert.equal((await world.view(executionId)).state, "failed");
      },
    },
    {
      name: "a dead letter itself can be run again, a discarded one too",
      promises: [3],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0]]));
        const worker = await world.join();
        await worker.deliver(failed(await take(worker, 0), failure("invalid-input")));
        await world.broker.discard({ executionId });
        assert.equal((await world.broker.rerun({ executionId, task: 0 })).reset, 2);
        await worker.deliver(failed(await take(worker, 0), failure("invalid-input")));
        assert.equal((await world.broker.listDeadLetters({ executionId, limit: 10 })).letters.length, 1);
        assert.equal((await world.broker.rerun({ executionId, task: 0 })).reset, 2);
        await finishAll(worker, "new");
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "a task that waits for its parents goes on waiting",
      promises: [2],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0], [1]]));
        const worker = await world.join();
        const first = await take(worker, 0);
        assert.equal((await world.broker.rerun({ executionId, task: 1 })).reset, 2);
        assert.deepEqual(books(await world.counters(executionId)), { total: 3, running: 1, blocked: 2 });
        await worker.finish(first);
        await finishAll(worker, "new");
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "an array may be a parent of what is run again, but is not run again itself",
      promises: [2],
      run: async (world) => {
        const groups = [group(array(10, 5)), group(tasks(2, [[0], [1]]))];
        const executionId = await world.submit(submission(groups, { kind: "workflow", keepInputs: true }));
        const worker = await world.join();
        await worker.finish(...(await worker.leases(2)));
        await finishAll(worker, "old");
        await refusedWith("INVALID_REQUEST", () => world.broker.rerun({ executionId, task: 0 }));
        const { reset, execution } = await world.broker.rerun({ executionId, task: 1 });
        assert.equal(reset, 2);
        assert.deepEqual(books(execution.counters), { total: 12, completed: 10, queued: 1, blocked: 1 });
        await worker.finish(await take(worker, 1));
        await worker.finish(await take(worker, 2));
      },
    },
    {
      name: "descendants that had been read ahead are not given out before their turn",
      promises: [2, 5],
      run: async (world) => {
        const children = Array.from({ length: 100 }, () => [0]);
        const executionId = await world.submit(workflow([[], ...children]));
        const worker = await world.join();
        await worker.finish(await take(worker, 0));
        const [lease] = await worker.leases(1);
        assert.ok(lease !== undefined);
        await worker.finish(lease);
        assert.equal((await world.broker.rerun({ executionId, task: 0 })).reset, 101);
        assert.deepEqual(books(await world.counters(executionId)), { total: 101, queued: 1, blocked: 100 });
        const leases = await worker.leases(200);
        assert.deepEqual(
          leases.map(({ task }) => task),
          [0],
        );
        await worker.finish(...leases);
        const second = await worker.leases(200);
        assert.equal(new Set(second.map(({ task }) => task)).size, 100);
        await worker.finish(...second);
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "repeating it before anything has run changes nothing",
      promises: [7],
      run: async (world) => {
        const { executionId } = await finished(world, DIAMOND);
        const first = await world.broker.rerun({ executionId, task: 0 });
        assert.equal(first.reset, 4);
        const events = await allEvents(world.broker, executionId);
        assert.deepEqual(await world.broker.rerun({ executionId, task: 0 }), first);
        assert.deepEqual(await allEvents(world.broker, executionId), events);
      },
    },
    {
      name: "a rerun is told: the execution runs, tasks wait again",
      promises: [10],
      run: async (world) => {
        const { executionId } = await finished(world, DIAMOND);
        const before = await allEvents(world.broker, executionId);
        await world.broker.rerun({ executionId, task: 1 });
        const fresh = (await allEvents(world.broker, executionId)).slice(before.length);
        const told = fresh.map(({ change }) =>
          change.kind === "tasks" ? `${change.state} ${change.reason ?? ""} ${change.tasks.join()}` : change.kind,
        );
        assert.equal(told[0], "execution");
        assert.deepEqual(told.slice(1).toSorted(), ["blocked rerun 3", "queued rerun 1"]);
      },
    },
    {
      name: "in a paused execution nothing is given out before the resume",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0]]));
        const worker = await world.join();
        await worker.finish(await take(worker, 0));
        await world.broker.pause({ executionId });
        assert.equal((await world.broker.rerun({ executionId, task: 0 })).execution.state, "paused");
        assert.deepEqual(await worker.leases(5), []);
        await world.broker.resume({ executionId });
        await worker.finish(await take(worker, 0));
      },
    },
    {
      name: "what was cancelled when its execution failed runs again as well",
      promises: [3],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [], [], [1]], { maxFailures: 1 }));
        const worker = await world.join();
        const [dead, running] = await worker.leases(2);
        assert.ok(dead !== undefined && running !== undefined);
        await worker.deliver(failed(dead, failure("invalid-input")));
        const { reset, execution } = await world.broker.rerun({ executionId, task: 1 });
        assert.deepEqual([reset, execution.state], [2, "running"]);
        assert.deepEqual(books(execution.counters), { total: 4, failed: 1, queued: 2, blocked: 1 });
        assert.deepEqual(await worker.report(done(running)), ["refused"]);
        await finishAll(worker, "new");
        assert.deepEqual(books(await world.counters(executionId)), { total: 4, failed: 1, completed: 3 });
      },
    },
    {
      name: "an execution that runs again is not purged",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(workflow([[]], { retentionMs: 1_000 }));
        const worker = await world.join();
        await finishAll(worker, "old");
        await world.broker.rerun({ executionId, task: 0 });
        await world.advance(10_000);
        await world.broker.purge({ limit: 100 });
        assert.equal((await world.view(executionId)).state, "running");
      },
    },
    {
      name: "what cannot be run again is refused with the reason",
      promises: [6],
      run: async (world) => {
        const { broker } = world;
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.rerun({ executionId: "nobody", task: 0 }));
        const executionId = await world.submit(batch(2));
        await refusedWith("INPUTS_NOT_KEPT", () => broker.rerun({ executionId, task: 0 }));
        const kept = await world.submit(batch(2, { keepInputs: true }));
        await refusedWith("TASK_UNKNOWN", () => broker.rerun({ executionId: kept, task: 2 }));
        await broker.cancel({ executionId: kept });
        await refusedWith("EXECUTION_CANCELLED", () => broker.rerun({ executionId: kept, task: 0 }));
      },
    },
  ],
};
