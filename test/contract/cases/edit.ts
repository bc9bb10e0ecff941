/** Edits of a live execution: previewed, then done as previewed, in one step: priority, tasks added, tasks removed. */
import assert from "node:assert/strict";
import type { Edit } from "../../../src/broker/contract.ts";
import { MAX_CHANGES_TOLD, MAX_EDITS_KNOWN, MAX_TASKS_PER_CALL } from "../../../src/broker/limits.ts";
import { ascending } from "../../support/ascending.ts";
import { completed, done, failed, failure, returned } from "../../support/outcomes.ts";
import { array, batch, group, submission, tasks, workflow } from "../../support/submissions.ts";
import { allEvents, allTasks } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { add, apply, finishAll, NOTHING, preview, remove, skipsTold, statesOf, take } from "../edits.ts";
import { books, refusedWith } from "../world.ts";

const previews: CaseGroup["cases"] = [
  {
    name: "a preview says what would happen, and changes nothing",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], []]));
      const worker = await world.join();
      const lease = await take(worker, 0);
      const before = await allEvents(world.broker, executionId);
      const edits = [{ kind: "priority", priority: 8 } as const, add([[0], [1], [4]]), remove(1, 3)];
      const { changes, execution } = await preview(world, executionId, ...edits);
      assert.deepEqual(changes, {
        ...NOTHING,
        priority: { from: 5, to: 8 },
        added: 3,
        firstAdded: 4,
        addedSkipped: 1,
        removed: [
          { task: 1, state: "blocked" },
          { task: 3, state: "queued" },
        ],
        removedCount: 2,
        skipped: [2],
        skippedCount: 1,
      });
      assert.equal(execution.priority, 5);
      assert.deepEqual(books(await world.counters(executionId)), { total: 4, running: 1, blocked: 2, queued: 1 });
      assert.deepEqual(await allEvents(world.broker, executionId), before);
      await worker.finish(lease);
      assert.deepEqual(ascending(await finishAll(worker)), [1, 2, 3]);
    },
  },
  {
    name: "what was previewed is what is done",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], []]));
      const worker = await world.join();
      const lease = await take(worker, 0);
      const edits = [{ kind: "priority", priority: 8 } as const, add([[0], [1], [4]]), remove(1, 3)];
      const { version, changes } = await preview(world, executionId, ...edits);
      const applied = await world.broker.editExecution({ executionId, edits, apply: true, version });
      assert.deepEqual([applied.version, applied.changes], [version, changes]);
      assert.equal(applied.execution.priority, 8);
      assert.deepEqual(books(applied.execution.counters), { total: 7, running: 1, skipped: 4, blocked: 2 });
      assert.deepEqual(await statesOf(world, executionId), [
        "running",
        "skipped",
        "skipped",
        "skipped",
        "blocked",
        "skipped",
        "blocked",
      ]);
      await worker.finish(lease);
      assert.deepEqual(await finishAll(worker), [4, 6]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "an edit that would do something else than its preview said is refused, and does nothing",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      const worker = await world.join();
      const edits = [remove(0), add([[1]])];
      const { version } = await preview(world, executionId, ...edits);
      const lease = await take(worker, 0);
      const again = { executionId, edits, apply: true, version };
      await refusedWith("EDIT_CONFLICT", () => world.broker.editExecution(again));
      assert.deepEqual(books(await world.counters(executionId)), { total: 3, running: 1, blocked: 1, queued: 1 });
      await worker.deliver(returned(lease));
      await apply(world, executionId, add([[]]));
      await refusedWith("EDIT_CONFLICT", () => world.broker.editExecution(again));
      const other = { ...again, edits: [remove(0)], version: (await preview(world, executionId, ...edits)).version };
      await refusedWith("EDIT_CONFLICT", () => world.broker.editExecution(other));
      await world.broker.editExecution({ ...other, edits });
      assert.deepEqual(await statesOf(world, executionId), ["skipped", "skipped", "queued", "queued", "skipped"]);
      await finishAll(worker);
    },
  },
  {
    name: "what else happens to the execution is no conflict",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [], []]));
      const worker = await world.join();
      const edits = [remove(3), add([[0], [2]])];
      const { version } = await preview(world, executionId, ...edits);
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      await worker.finish(one);
      await world.broker.pause({ executionId });
      assert.equal((await preview(world, executionId, ...edits)).version, version);
      const { execution } = await world.broker.editExecution({ executionId, edits, apply: true, version });
      assert.deepEqual(books(execution.counters), {
        total: 6,
        completed: 1,
        running: 1,
        queued: 2,
        blocked: 1,
        skipped: 1,
      });
      assert.deepEqual(await worker.leases(5), []);
      await world.broker.resume({ executionId });
      await worker.finish(two);
      assert.deepEqual(ascending(await finishAll(worker)), [1, 4, 5]);
    },
  },
];

const repeats: CaseGroup["cases"] = [
  {
    name: "the version of the last edit sent again adds nothing twice, also when the execution has ended by then",
    promises: [7],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      const edits = [add([[0]])];
      const { version } = await preview(world, executionId, ...edits);
      const params = { executionId, edits, apply: true, version };
      const first = await world.broker.editExecution(params);
      const second = await world.broker.editExecution(params);
      assert.deepEqual([second.version, second.changes], [first.version, first.changes]);
      assert.equal(second.execution.counters.total, 2);
      assert.notEqual((await preview(world, executionId, ...edits)).version, version);
      await finishAll(worker);
      const third = await world.broker.editExecution(params);
      assert.deepEqual(third.changes, first.changes);
      assert.deepEqual([third.execution.state, third.execution.counters.total], ["completed", 2]);
    },
  },
  {
    name: "an edit with a name is done once, whatever other edits come in between",
    promises: [7],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const params = { executionId, edits: [add([[], []])], apply: true, editId: "mine" };
      const first = await world.broker.editExecution(params);
      await apply(world, executionId, add([[]]));
      const second = await world.broker.editExecution(params);
      assert.deepEqual(second.changes, first.changes);
      assert.equal(second.execution.counters.total, 4);
      const other = await world.broker.editExecution({ ...params, editId: "other" });
      assert.equal(other.execution.counters.total, 6);
      for (let more = 2; more < MAX_EDITS_KNOWN; more += 1) await apply(world, executionId, remove(0));
      assert.equal((await world.broker.editExecution({ ...params, editId: "other" })).execution.counters.total, 6);
    },
  },
  {
    name: "a priority that was set, changed and set again is no repeat",
    promises: [7],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const edits = [{ kind: "priority", priority: 9 } as const];
      const { version } = await preview(world, executionId, ...edits);
      await world.broker.editExecution({ executionId, edits, apply: true, version });
      await apply(world, executionId, { kind: "priority", priority: 5 });
      const { execution } = await world.broker.editExecution({ executionId, edits, apply: true, version });
      assert.equal(execution.priority, 9);
    },
  },
];

const priorities: CaseGroup["cases"] = [
  {
    name: "what waits of an execution is claimed by its new priority",
    promises: [5, 6],
    run: async (world) => {
      const first = await world.submit(batch(40, { name: "first" }));
      const second = await world.submit(batch(2, { name: "second" }));
      const worker = await world.join();
      assert.equal((await worker.take()).executionId, first);
      const { changes, execution } = await apply(world, second, { kind: "priority", priority: 6 });
      assert.deepEqual(changes, { ...NOTHING, priority: { from: 5, to: 6 } });
      assert.equal(execution.priority, 6);
      assert.deepEqual(
        (await worker.leases(3)).map((lease) => lease.executionId),
        [second, second, first],
      );
      await apply(world, first, { kind: "priority", priority: 1 });
      const third = await world.submit(batch(1, { priority: 2 }));
      assert.deepEqual(
        (await worker.leases(2)).map((lease) => lease.executionId),
        [third, first],
      );
    },
  },
  {
    name: "a paused execution that gets another priority stays paused, and has it when it is resumed",
    promises: [5, 6],
    run: async (world) => {
      const first = await world.submit(batch(1));
      const second = await world.submit(batch(1));
      await world.broker.pause({ executionId: second });
      await apply(world, second, { kind: "priority", priority: 10 });
      const worker = await world.join();
      const lease = await worker.take();
      assert.equal(lease.executionId, first);
      await worker.deliver(returned(lease));
      await world.broker.resume({ executionId: second });
      assert.equal((await worker.take()).executionId, second);
      assert.equal((await worker.take()).executionId, first);
    },
  },
];

const additions: CaseGroup["cases"] = [
  {
    name: "an added task whose parents have completed starts at once, with their results",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      const worker = await world.join();
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      await worker.deliver(completed(one, '"done"'));
      const { changes, execution } = await apply(world, executionId, add([[0], [1], [2, 3]]));
      assert.deepEqual(changes, { ...NOTHING, added: 3, firstAdded: 2 });
      assert.deepEqual(books(execution.counters), { total: 5, completed: 1, running: 1, queued: 1, blocked: 2 });
      const third = await take(worker, 2);
      assert.deepEqual(third.parents, { 0: '"done"' });
      assert.deepEqual(await worker.leases(5), []);
      await worker.finish(two);
      await worker.finish(third, await take(worker, 3));
      const last = await take(worker, 4);
      assert.deepEqual(Object.keys(last.parents ?? {}), ["2", "3"]);
      await worker.finish(last);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a worker that waits is given an added task in the same step",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      await worker.take();
      const waiting = worker.waitForWork(30_000);
      await world.settle();
      assert.equal(waiting.state, "waiting");
      await apply(world, executionId, add([[]]));
      const { leases } = await waiting.promise;
      assert.deepEqual(
        leases.map(({ task }) => task),
        [1],
      );
    },
  },
  {
    name: "a task added after one that failed or was skipped is skipped",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      const worker = await world.join();
      await worker.deliver(failed(await take(worker, 0), failure("invalid-input")));
      const { changes, execution } = await apply(world, executionId, add([[0], [1], [2], [3]]));
      assert.deepEqual([changes.added, changes.addedSkipped], [4, 3]);
      assert.deepEqual(books(execution.counters), { total: 7, failed: 1, skipped: 4, queued: 1, blocked: 1 });
      assert.deepEqual(await finishAll(worker), [2, 5]);
      assert.equal((await world.view(executionId)).state, "failed");
    },
  },
  {
    name: "tasks may be added after an array, to other pools, and with a delay",
    promises: [2, 5],
    run: async (world) => {
      const executionId = await world.submit(submission([group(array(4, 2))]));
      const worker = await world.join();
      const gpu = await world.join({ worker: "w2", pools: ["gpu"], capabilities: ["cpu", "gpu"] });
      const edits = [add([[0]]), add([[], []], { pool: "gpu", requires: ["gpu"], delayMs: 5_000 })];
      const { changes } = await apply(world, executionId, ...edits);
      assert.deepEqual(changes, { ...NOTHING, added: 3, firstAdded: 1 });
      assert.deepEqual(books(await world.counters(executionId)), { total: 7, queued: 4, blocked: 1, scheduled: 2 });
      assert.deepEqual(await gpu.leases(2), []);
      await worker.finish(...(await worker.leases(2)));
      await worker.finish(await take(worker, 1));
      await world.advance(5_000);
      await gpu.heartbeat();
      await world.promote();
      await gpu.finish(...(await gpu.leases(2)));
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "an open execution takes its next part after an edit, and ends when it is sealed",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(batch(1, { open: true }));
      const worker = await world.join();
      await apply(world, executionId, add([[0]]), remove(0));
      assert.deepEqual(books(await world.counters(executionId)), { total: 2, skipped: 2 });
      const { total } = await world.broker.extend({ executionId, part: 1, groups: [group(tasks(1))], seal: true });
      assert.equal(total, 3);
      assert.deepEqual(await finishAll(worker), [2]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "an added task may be run again where inputs are kept",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(batch(1, { keepInputs: true }));
      const worker = await world.join();
      await apply(world, executionId, add([[0]]));
      await finishAll(worker);
      assert.equal((await world.broker.rerun({ executionId, task: 0 })).reset, 2);
      assert.deepEqual(await finishAll(worker), [0, 1]);
    },
  },
  {
    name: "a pool that would be too full refuses an edit whole; what the edit removes makes room",
    promises: [9],
    settings: { maxQueueDepth: 3 },
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      const edits = [{ kind: "priority", priority: 8 } as const, add([[]])];
      await refusedWith("QUEUE_FULL", () => preview(world, executionId, ...edits));
      await refusedWith("QUEUE_FULL", () => apply(world, executionId, ...edits));
      const { priority, counters } = await world.view(executionId);
      assert.deepEqual([priority, counters.total], [5, 3]);
      await apply(world, executionId, add([[], []]), remove(0));
      assert.deepEqual(books(await world.counters(executionId)), { total: 5, queued: 3, skipped: 2 });
      await refusedWith("QUEUE_FULL", () => world.submit(batch(1)));
      const worker = await world.join();
      await worker.finish(await take(worker, 2));
      await world.submit(batch(1));
    },
  },
];

const removals: CaseGroup["cases"] = [
  {
    name: "a removed task is never handed out, also one that had been read ahead or came back",
    promises: [6, 10],
    run: async (world) => {
      const executionId = await world.submit(batch(8));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await worker.deliver(returned(second));
      const { changes } = await apply(world, executionId, remove(7, 1, 3, 3));
      assert.deepEqual(changes.removed, [
        { task: 1, state: "queued" },
        { task: 3, state: "queued" },
        { task: 7, state: "queued" },
      ]);
      assert.deepEqual(await skipsTold(world, executionId), [[[1, 3, 7], "removed"]]);
      await worker.finish(first);
      assert.deepEqual(await finishAll(worker), [2, 4, 5, 6]);
      const { state, counters } = await world.view(executionId);
      assert.equal(state, "completed");
      assert.deepEqual(books(counters), { total: 8, completed: 5, skipped: 3 });
      const [, one] = await allTasks(world.broker, executionId);
      assert.deepEqual([one?.state, one?.removed], ["skipped", true]);
    },
  },
  {
    name: "a removed task's attempt is stopped, and what it says late is refused",
    promises: [1, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      const worker = await world.join();
      const [lease, other] = await worker.leases(2);
      assert.ok(lease !== undefined && other !== undefined);
      const { changes } = await apply(world, executionId, remove(0));
      assert.deepEqual(changes.removed, [{ task: 0, state: "running" }]);
      assert.deepEqual(
        (await worker.heartbeat(2)).cancel.map(({ task }) => task),
        [0],
      );
      const late = [done(lease), failed(lease), returned(lease)];
      assert.deepEqual(await worker.report(...late), ["refused", "refused", "refused"]);
      assert.deepEqual(books(await world.counters(executionId)), { total: 3, skipped: 2, running: 1 });
      await worker.finish(other);
      const view = await world.view(executionId);
      assert.deepEqual([view.state, view.refusedOutcomes], ["completed", 3]);
    },
  },
  {
    name: "an attempt of a removed task that its worker loses changes nothing more",
    promises: [1, 3],
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      const worker = await world.join();
      await worker.leases(1);
      await apply(world, executionId, remove(0));
      await worker.die();
      const { counters, lostAttempts } = await world.view(executionId);
      assert.deepEqual([books(counters), lostAttempts], [{ total: 2, queued: 1, skipped: 1 }, 0]);
      assert.deepEqual(await finishAll(await world.join({ worker: "w2" })), [1]);
    },
  },
  {
    name: "what comes after a removed task is skipped, directly or not, and told without a reason",
    promises: [2, 10],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], [1, 2], []]));
      const worker = await world.join();
      const { changes, execution } = await apply(world, executionId, remove(1));
      assert.deepEqual([changes.skipped, changes.skippedCount], [[2, 3], 2]);
      assert.deepEqual(books(execution.counters), { total: 5, queued: 2, skipped: 3 });
      const told = await skipsTold(world, executionId);
      assert.deepEqual(told.slice(0, 1), [[[1], "removed"]]);
      assert.deepEqual(ascending(told.slice(1).flatMap(([numbers]) => numbers)), [2, 3]);
      assert.ok(told.slice(1).every(([, reason]) => reason === undefined));
      assert.deepEqual(await finishAll(worker), [0, 4]);
      const views = await allTasks(world.broker, executionId);
      assert.deepEqual(
        views.map(({ removed }) => removed),
        [undefined, true, undefined, undefined, undefined],
      );
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a task that waits for its next try, or for its group's delay, is removed from there",
    promises: [3, 8],
    run: async (world) => {
      const groups = [group(tasks(2)), group(tasks(2), { delayMs: 3_000 })];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      await worker.deliver(failed(await take(worker, 0)));
      const { changes } = await apply(world, executionId, remove(0, 2));
      assert.deepEqual(changes.removed, [
        { task: 0, state: "scheduled" },
        { task: 2, state: "scheduled" },
      ]);
      await world.advance(60_000);
      await worker.heartbeat();
      await world.promote();
      assert.deepEqual(ascending(await finishAll(worker)), [1, 3]);
      const [first] = await allTasks(world.broker, executionId);
      assert.deepEqual([first?.attempts, first?.failures, first?.lastFailure?.message], [1, 1, "it broke"]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "tasks that have ended are passed over",
    promises: [1],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [1], []]));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      await worker.deliver(failed(await take(worker, 1), failure("invalid-input")));
      const { changes, execution } = await apply(world, executionId, remove(0, 1, 2, 3), remove(3));
      assert.deepEqual([changes.removed, changes.ends], [[{ task: 3, state: "queued" }], "failed"]);
      assert.deepEqual(books(execution.counters), { total: 4, completed: 1, failed: 1, skipped: 2 });
      assert.equal(execution.state, "failed");
    },
  },
  {
    name: "an execution of which nothing is left ends, as its preview says",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [0, 1]]));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      const { changes, version } = await preview(world, executionId, remove(1));
      assert.equal(changes.ends, "completed");
      const edits = [remove(1)];
      const { execution } = await world.broker.editExecution({ executionId, edits, apply: true, version });
      assert.deepEqual([execution.state, execution.endedAt], ["completed", world.clock.now()]);
      assert.deepEqual(books(execution.counters), { total: 3, completed: 1, skipped: 2 });
      assert.equal((await world.broker.readResults({ executionId, limit: 10 })).done, true);
      await refusedWith("EXECUTION_ENDED", () => apply(world, executionId, add([[]])));
    },
  },
  {
    name: "neither a retry nor a rerun brings a removed task back",
    promises: [3, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [0], [1]], { keepInputs: true }));
      const worker = await world.join();
      const lease = await take(worker, 0);
      await apply(world, executionId, remove(1));
      await worker.deliver(failed(lease, failure("invalid-input")));
      assert.equal((await world.view(executionId)).state, "failed");
      await world.broker.retry({ executionId });
      assert.deepEqual(books(await world.counters(executionId)), { total: 4, queued: 1, blocked: 1, skipped: 2 });
      assert.deepEqual(await finishAll(worker), [0, 2]);
      assert.equal((await world.view(executionId)).state, "completed");
      assert.equal((await world.broker.rerun({ executionId, task: 0 })).reset, 2);
      assert.deepEqual(await finishAll(worker), [0, 2]);
      await refusedWith("INVALID_REQUEST", () => world.broker.rerun({ executionId, task: 1 }));
      await refusedWith("INVALID_REQUEST", () => world.broker.rerun({ executionId, task: 3 }));
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "asked why, a removed task says so",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      await apply(world, executionId, remove(1));
      const { task } = await world.broker.explainTask({ executionId, task: 1 });
      assert.deepEqual([task.state, task.removed], ["skipped", true]);
    },
  },
  {
    name: "of many tasks the first are told, and all are removed",
    promises: [9],
    run: async (world) => {
      const count = 700;
      const after = [...Array.from({ length: count }, () => []), ...Array.from({ length: count }, (_, at) => [at])];
      const executionId = await world.submit(workflow(after));
      const worker = await world.join();
      const leases = await worker.leases(10);
      const all = Array.from({ length: count - 1 }, (_, at) => at + 1);
      const { changes, execution } = await apply(world, executionId, remove(...all));
      assert.deepEqual([changes.removedCount, changes.skippedCount], [count - 1, count - 1]);
      assert.deepEqual([changes.removed.length, changes.skipped.length], [MAX_CHANGES_TOLD, MAX_CHANGES_TOLD]);
      assert.deepEqual(books(execution.counters), {
        total: 2 * count,
        running: 1,
        blocked: 1,
        skipped: 2 * (count - 1),
      });
      await worker.finish(...leases.filter(({ task }) => task === 0));
      assert.deepEqual(await finishAll(worker), [count]);
    },
  },
];

const refusals: CaseGroup["cases"] = [
  {
    name: "what cannot be edited is refused with the reason, and nothing of it is done",
    promises: [6, 9],
    run: async (world) => {
      const executionId = await world.submit(submission([group(tasks(2)), group(array(4, 2))]));
      const first = { kind: "priority", priority: 9 } as const;
      const many = Array.from({ length: MAX_TASKS_PER_CALL + 1 }, (_, at) => at);
      const wrong: readonly (readonly [Parameters<typeof refusedWith>[0], readonly Edit[]])[] = [
        ["INVALID_REQUEST", []],
        ["INVALID_REQUEST", [first, { kind: "priority", priority: 11 }]],
        ["INVALID_REQUEST", [first, { kind: "priority", priority: 3 }]],
        ["INVALID_REQUEST", [first, { kind: "add", groups: [] }]],
        ["INVALID_REQUEST", [first, { kind: "add", groups: [group(array(4, 2))] }]],
        ["INVALID_REQUEST", [first, add([[3]])]],
        ["INVALID_REQUEST", [first, add([[]], { pool: "" })]],
        ["INVALID_REQUEST", [first, remove()]],
        ["INVALID_REQUEST", [first, remove(0, 2)]],
        ["TASK_UNKNOWN", [first, remove(0, 3)]],
        ["TASK_UNKNOWN", [first, add([[]]), remove(3)]],
        ["BATCH_TOO_LARGE", [first, remove(...many)]],
      ];
      for (const [code, edits] of wrong) {
        await refusedWith(code, () => preview(world, executionId, ...edits));
        await refusedWith(code, () => apply(world, executionId, ...edits));
      }
      const view = await world.view(executionId);
      assert.deepEqual([view.priority, books(view.counters)], [5, { total: 6, queued: 6 }]);
      await refusedWith("EXECUTION_NOT_FOUND", () => preview(world, "nobody", first));
      await refusedWith("EXECUTION_NOT_FOUND", () => apply(world, "nobody", first));
      await world.broker.cancel({ executionId });
      await refusedWith("EXECUTION_ENDED", () => preview(world, executionId, first));
      await refusedWith("EXECUTION_ENDED", () => apply(world, executionId, first));
    },
  },
];

export const editCases: CaseGroup = {
  name: "edits",
  cases: [...previews, ...repeats, ...priorities, ...additions, ...removals, ...refusals],
};
