/** Edits of the graph of a live execution: tasks get other parents, and other ranks. */
import assert from "node:assert/strict";
import type { Edit, TaskGroup } from "../../../src/broker/contract.ts";
import { MAX_CHANGES_TOLD } from "../../../src/broker/limits.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { ascending } from "../../support/ascending.ts";
import { completed, done, failed, failure, returned } from "../../support/outcomes.ts";
import { array, batch, group, submission, tasks, workflow } from "../../support/submissions.ts";
import { allTasks } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import {
  add,
  apply,
  applyAsPreviewed,
  finishAll,
  hold,
  movesTold,
  NOTHING,
  numbersTaken,
  preview,
  rank,
  remove,
  rewire,
  skipsTold,
  statesOf,
  take,
  taskOf,
} from "../edits.ts";
import { books, refusedWith, type World } from "../world.ts";

const DEAD = failure("invalid-input");

const rewires: CaseGroup["cases"] = [
  {
    name: "a blocked task waits for its new parents and no longer for the old ones, and gets their results",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [0], []]));
      const worker = await world.join();
      const leases = await worker.leases(3);
      const changes = await applyAsPreviewed(world, executionId, rewire(2, 1, 3));
      assert.deepEqual(changes, { ...NOTHING, rewired: 1 });
      assert.deepEqual(await movesTold(world, executionId, "rewired"), [], "it was blocked and is");
      const [first, second, fourth] = leases;
      assert.ok(first !== undefined && second !== undefined && fourth !== undefined);
      await worker.finish(first);
      await worker.deliver(completed(second, '"one"'));
      assert.deepEqual(await worker.leases(5), []);
      await worker.deliver(completed(fourth, '"three"'));
      const lease = await take(worker, 2);
      assert.deepEqual(lease.parents, { 1: '"one"', 3: '"three"' });
      await worker.finish(lease);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a queued task that gets a parent is blocked, also one that had been read ahead or came back",
    promises: [2, 6, 10],
    run: async (world) => {
      const executionId = await world.submit(batch(5));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await worker.deliver(returned(second));
      const changes = await applyAsPreviewed(world, executionId, rewire(1, 0), rewire(3, 0, 0, 4));
      assert.deepEqual(changes, { ...NOTHING, rewired: 2 });
      assert.deepEqual(await movesTold(world, executionId, "rewired"), ["1 blocked", "3 blocked"]);
      assert.deepEqual(books(await world.counters(executionId)), { total: 5, running: 1, blocked: 2, queued: 2 });
      const others = await worker.leases(5);
      assert.deepEqual(
        others.map(({ task }) => task),
        [2, 4],
      );
      await worker.finish(first);
      const lease = await take(worker, 1);
      assert.deepEqual(Object.keys(lease.parents ?? {}), ["0"]);
      await worker.finish(lease, ...others);
      await worker.finish(await take(worker, 3));
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a task all of whose new parents have completed, or that has none, starts at once",
    promises: [2, 10],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [1], [1], [2]]));
      const worker = await world.join();
      await worker.deliver(completed(await take(worker, 0), '"zero"'));
      await take(worker, 1);
      const waiting = worker.waitForWork(30_000, 5);
      await world.settle();
      await apply(world, executionId, rewire(2, 0), rewire(3));
      const { leases } = await waiting.promise;
      assert.deepEqual(
        leases.map(({ task, parents = {} }) => [task, parents]),
        [
          [2, { 0: '"zero"' }],
          [3, {}],
        ],
      );
      assert.deepEqual(await movesTold(world, executionId, "rewired"), ["2 queued", "3 queued"]);
      await worker.finish(...leases);
      assert.deepEqual((await take(worker, 4)).attempt, 1);
    },
  },
  {
    name: "a task that had been read ahead gets the results of its new parents, and is handed out once",
    promises: [1, 2],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await worker.deliver(completed(first, '"zero"'), returned(second));
      await apply(world, executionId, rewire(1, 0), rewire(3, 0));
      const leases = await worker.leases(9);
      assert.deepEqual(
        leases.map(({ task, parents = {} }) => [task, parents]),
        [
          [1, { 0: '"zero"' }],
          [2, {}],
          [3, { 0: '"zero"' }],
        ],
      );
      await worker.finish(...leases);
    },
  },
  {
    name: "a running attempt is stopped, what it says late is refused, and the task runs again after its parents",
    promises: [1, 3, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [1]]));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      const changes = await applyAsPreviewed(world, executionId, rewire(1, 0));
      assert.deepEqual(changes, { ...NOTHING, rewired: 1, rerun: [1], rerunCount: 1 });
      assert.deepEqual(books(await world.counters(executionId)), { total: 3, running: 1, blocked: 2 });
      assert.deepEqual(
        (await worker.heartbeat(2)).cancel.map(({ task }) => task),
        [1],
      );
      const late = [done(second), failed(second), returned(second)];
      assert.deepEqual(await worker.report(...late), ["refused", "refused", "refused"]);
      await worker.finish(first);
      const again = await take(worker, 1);
      assert.deepEqual([again.attempt, Object.keys(again.parents ?? {})], [2, ["0"]]);
      await worker.finish(again);
      assert.deepEqual(await finishAll(worker), [2]);
      const { state, refusedOutcomes, lostAttempts, retries } = await world.view(executionId);
      assert.deepEqual([state, refusedOutcomes, lostAttempts, retries], ["completed", 3, 0, 0]);
      const { attempts, failures, losses } = await taskOf(world, executionId, 1);
      assert.deepEqual([attempts, failures, losses], [2, 0, 0]);
    },
  },
  {
    name: "a running task that waits for nobody by now is queued again, and its worker's death is no loss of it",
    promises: [1, 3, 10],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0]]));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      await take(worker, 1);
      await apply(world, executionId, rewire(1));
      assert.deepEqual(await movesTold(world, executionId, "rewired"), ["1 queued"]);
      await worker.die();
      const other = await world.join({ worker: "w2" });
      const lease = await take(other, 1);
      assert.deepEqual([lease.attempt, lease.parents ?? {}], [2, {}]);
      await other.finish(lease);
      assert.equal((await world.view(executionId)).lostAttempts, 0);
    },
  },
  {
    name: "a task that backs off waits for an open parent; with completed ones only it goes on backing off",
    promises: [3, 8],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      const [first, second, third, fourth] = await worker.leases(4);
      assert.ok(first !== undefined && second !== undefined && third !== undefined && fourth !== undefined);
      await worker.finish(first);
      await worker.deliver(failed(third), failed(fourth));
      await apply(world, executionId, rewire(2, 0), rewire(3, 1));
      assert.deepEqual(await statesOf(world, executionId), ["completed", "running", "scheduled", "blocked"]);
      assert.deepEqual(await worker.leases(5), []);
      await worker.finish(second);
      await world.advance(60_000);
      await worker.heartbeat();
      await world.promote();
      const leases = await worker.leases(5);
      assert.deepEqual(
        leases.map(({ task, attempt, parents }) => [task, attempt, Object.keys(parents ?? {})]),
        [
          [2, 2, ["0"]],
          [3, 2, ["1"]],
        ],
      );
      await worker.finish(...leases);
    },
  },
  {
    name: "a task of a delayed group waits for both, its group's time and its new parents",
    promises: [2, 8],
    run: async (world) => {
      const groups = [group(tasks(2)), group(tasks(2, [[0], []]), { delayMs: 5_000 })];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      await apply(world, executionId, rewire(2), rewire(3, 1));
      assert.deepEqual(await statesOf(world, executionId), ["queued", "queued", "scheduled", "blocked"]);
      assert.deepEqual(await finishAll(worker), [0, 1]);
      assert.deepEqual(await statesOf(world, executionId), ["completed", "completed", "scheduled", "scheduled"]);
      await world.advance(5_000);
      await worker.heartbeat();
      await world.promote();
      assert.deepEqual(await finishAll(worker), [2, 3]);
    },
  },
  {
    name: "a task skipped because of a parent waits again when it gets another, and what came after it too",
    promises: [2, 6, 10],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], [], [0], [2, 4]]));
      const worker = await world.join();
      const [first, fourth] = await worker.leases(2);
      assert.ok(first !== undefined && fourth !== undefined);
      await worker.deliver(failed(first, DEAD));
      const changes = await applyAsPreviewed(world, executionId, rewire(1, 3));
      assert.deepEqual(changes, { ...NOTHING, rewired: 1, restored: [1, 2], restoredCount: 2 });
      assert.deepEqual((await movesTold(world, executionId, "rewired")).toSorted(), ["1 blocked", "2 blocked"]);
      const { counters } = await world.view(executionId);
      assert.deepEqual(books(counters), { total: 6, failed: 1, running: 1, blocked: 2, skipped: 2 });
      await worker.finish(fourth);
      assert.deepEqual(await finishAll(worker), [1, 2]);
      assert.equal((await world.view(executionId)).state, "failed", "of the letter that is still there");
    },
  },
  {
    name: "a task that gets a dead parent is skipped, and what comes after it",
    promises: [2, 6, 10],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [1], [2], [], [4]]));
      const worker = await world.join();
      const [first, second, fifth] = await worker.leases(3);
      assert.ok(first !== undefined && second !== undefined && fifth !== undefined);
      await worker.deliver(failed(first, DEAD));
      const changes = await applyAsPreviewed(world, executionId, rewire(2, 0, 1), rewire(4, 0));
      assert.deepEqual(changes, { ...NOTHING, rewired: 2, skipped: [2, 3, 4, 5], skippedCount: 4 });
      const told = await skipsTold(world, executionId);
      assert.deepEqual(told[0], [[2, 4], "rewired"]);
      assert.deepEqual(
        told.slice(1).flatMap(([numbers, reason]) => [...ascending(numbers), reason]),
        [3, 5, undefined],
      );
      assert.deepEqual(
        (await worker.heartbeat(2)).cancel.map(({ task }) => task),
        [4],
      );
      assert.deepEqual(await worker.report(done(fifth)), ["refused"]);
      const { changes: last } = await preview(world, executionId, rewire(1, 0));
      assert.deepEqual([last.skipped, last.ends], [[1], "failed"]);
      await worker.finish(second);
      assert.deepEqual(books(await world.counters(executionId)), { total: 6, completed: 1, failed: 1, skipped: 4 });
    },
  },
  {
    name: "an edit that leaves nothing but skipped tasks ends the execution, as its preview says",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], []]));
      const worker = await world.join();
      const lease = await take(worker, 0);
      await take(worker, 1);
      await worker.deliver(failed(lease, DEAD));
      const changes = await applyAsPreviewed(world, executionId, rewire(1, 0));
      assert.deepEqual(changes, { ...NOTHING, rewired: 1, skipped: [1], skippedCount: 1, ends: "failed" });
      assert.equal((await world.view(executionId)).state, "failed");
    },
  },
  {
    name: "a parent that failed and lets its children go on counts as completed, without a result",
    promises: [2],
    run: async (world) => {
      const groups = [group(tasks(1), { onFailure: "continue" }), group(tasks(3, [[], [1], [1]]))];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await worker.deliver(failed(first, DEAD));
      await apply(world, executionId, rewire(2, 0), rewire(3, 0, 1));
      const lease = await take(worker, 2);
      assert.deepEqual(lease.parents ?? {}, {});
      await worker.finish(lease, second);
      const last = await take(worker, 3);
      assert.deepEqual(Object.keys(last.parents ?? {}), ["1"]);
      await worker.finish(last);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a task may wait for tasks that the same call adds, and stops waiting for those it removes",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1]]));
      const worker = await world.join();
      const edits = [rewire(2, 3, 4), add([[0], [3]]), remove(1)];
      const changes = await applyAsPreviewed(world, executionId, ...edits);
      assert.deepEqual(changes, {
        ...NOTHING,
        added: 2,
        firstAdded: 3,
        removed: [{ task: 1, state: "blocked" }],
        removedCount: 1,
        rewired: 1,
      });
      assert.deepEqual(await statesOf(world, executionId), ["queued", "skipped", "blocked", "blocked", "blocked"]);
      assert.deepEqual(await finishAll(worker), [0, 3, 4, 2]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a task may wait for an array",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(submission([group(tasks(1)), group(array(4, 2))]));
      const worker = await world.join();
      await apply(world, executionId, rewire(0, 1));
      const chunks = await worker.leases(5);
      assert.deepEqual(
        chunks.map(({ task }) => task),
        [1, 1],
      );
      await worker.finish(...chunks);
      await worker.finish(await take(worker, 0));
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "an order turned round holds, also when it is run again or a letter in it is retried",
    promises: [2, 3],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], [2]], { keepInputs: true }));
      const worker = await world.join();
      await apply(world, executionId, rewire(1, 3), rewire(2, 0));
      assert.deepEqual(await finishAll(worker), [0, 2, 3, 1]);
      assert.equal((await world.broker.rerun({ executionId, task: 0 })).reset, 4);
      await worker.deliver(failed(await take(worker, 0), DEAD));
      assert.deepEqual(books(await world.counters(executionId)), { total: 4, failed: 1, skipped: 3 });
      await world.broker.retry({ executionId });
      assert.deepEqual(books(await world.counters(executionId)), { total: 4, queued: 1, blocked: 3 });
      assert.deepEqual(await finishAll(worker), [0, 2, 3, 1]);
      assert.equal((await world.broker.rerun({ executionId, task: 2 })).reset, 3);
      assert.deepEqual(await finishAll(worker), [2, 3, 1]);
    },
  },
  {
    name: "the same parents again change nothing, and stop nobody",
    promises: [6, 7],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [0, 1], []]));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      assert.deepEqual(await applyAsPreviewed(world, executionId, rewire(2, 1, 0), rewire(0)), NOTHING);
      await worker.finish(first, second);
      assert.deepEqual(ascending(await finishAll(worker)), [2, 3]);
    },
  },
  {
    name: "asked why, a rewired task names its new parents",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [0]]));
      await apply(world, executionId, rewire(2, 1));
      const { waitsFor, waitsForCount } = await world.broker.explainTask({ executionId, task: 2 });
      assert.deepEqual([waitsFor.map(({ task }) => task), waitsForCount], [[1], 1]);
    },
  },
];

async function cycleOf(world: World, executionId: string, ...edits: readonly Edit[]): Promise<string> {
  let message = "";
  for (const isApplied of [false, true]) {
    await assert.rejects(
      () => world.broker.editExecution({ executionId, edits, apply: isApplied }),
      (thrown: unknown) => {
        assert.ok(HoldfastError.is(thrown, "INVALID_REQUEST"), String(thrown));
        message = thrown.message;
        return true;
      },
    );
  }
  return message;
}

const refusals: CaseGroup["cases"] = [
  {
    name: "a cycle is refused with its path",
    promises: [9],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], [2], [0, 3]]));
      const before = await allTasks(world.broker, executionId);
      const cases: readonly (readonly [string, ...Edit[]])[] = [
        ["edits[0].after: would be a cycle: 1 waits for 3, 3 waits for 2, 2 waits for 1", rewire(1, 0, 3)],
        ["edits[0].after: would be a cycle: 0 waits for 0", rewire(0, 0)],
        ["edits[1].after: would be a cycle: 2 waits for 5, 5 waits for 2", add([[2]]), rewire(2, 5)],
      ];
      for (const [message, ...edits] of cases) {
        const told = await cycleOf(world, executionId, ...edits);
        assert.ok(told.includes(message), told);
      }
      // Each alone would do.
      assert.ok((await cycleOf(world, executionId, rewire(1), rewire(0, 1), rewire(1, 4))).includes("edits["));
      assert.ok((await cycleOf(world, executionId, rewire(2, 3), rewire(3, 1, 2))).includes("would be a cycle"));
      assert.deepEqual(await allTasks(world.broker, executionId), before);
    },
  },
  {
    name: "what cannot be rewired or ranked is refused with the reason, and nothing of it is done",
    promises: [6, 9],
    run: async (world) => {
      const groups: TaskGroup[] = [group(tasks(4, [[], [], [1], [1]])), group(array(4, 2))];
      const rescue = group(tasks(1, [[1]]), { when: "failed" });
      const executionId = await world.submit(submission([...groups, rescue]));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      const first = { kind: "priority", priority: 9 } as const;
      const wrong: readonly (readonly [Parameters<typeof refusedWith>[0], readonly Edit[]])[] = [
        ["INVALID_REQUEST", [first, rewire(0, 1)]],
        ["INVALID_REQUEST", [first, rewire(4, 1)]],
        ["INVALID_REQUEST", [first, rewire(2, 0), rewire(2, 1)]],
        ["INVALID_REQUEST", [first, remove(2), rewire(2, 0)]],
        ["INVALID_REQUEST", [first, rewire(2, 5)]],
        ["INVALID_REQUEST", [first, rewire(2, -1)]],
        ["INVALID_REQUEST", [first, rank({ 4: 1 })]],
        ["INVALID_REQUEST", [first, rank({})]],
        ["INVALID_REQUEST", [first, { kind: "rank", tasks: [1, 2], ranks: [1] }]],
        ["INVALID_REQUEST", [first, { kind: "rank", tasks: [1], ranks: [-1] }]],
        ["INVALID_REQUEST", [first, hold(4)]],
        ["INVALID_REQUEST", [first, hold()]],
        ["TASK_UNKNOWN", [first, rewire(6)]],
        ["TASK_UNKNOWN", [first, rewire(2, 6)]],
        ["TASK_UNKNOWN", [first, add([[]]), rewire(2, 7)]],
        ["TASK_UNKNOWN", [first, add([[]]), rewire(6)]],
        ["TASK_UNKNOWN", [first, rank({ 6: 1 })]],
        ["TASK_UNKNOWN", [first, hold(1, 6)]],
      ];
      for (const [code, edits] of wrong) {
        await refusedWith(code, () => preview(world, executionId, ...edits));
        await refusedWith(code, () => apply(world, executionId, ...edits));
      }
      const view = await world.view(executionId);
      assert.equal(view.priority, 5);
      assert.deepEqual(books(view.counters), { total: 9, completed: 1, queued: 5, blocked: 3 });
      await apply(world, executionId, remove(3));
      await refusedWith("INVALID_REQUEST", () => apply(world, executionId, rewire(3, 0)));
      await world.broker.cancel({ executionId });
    },
  },
  {
    name: "a pool that would be too full takes no task back that is to wait in it again",
    promises: [9],
    settings: { maxQueueDepth: 2 },
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0]]));
      const worker = await world.join();
      const lease = await take(worker, 0);
      await apply(world, executionId, add([[]]));
      await refusedWith("QUEUE_FULL", () => apply(world, executionId, rewire(0, 2)));
      assert.deepEqual(books(await world.counters(executionId)), { total: 3, running: 1, blocked: 1, queued: 1 });
      await worker.finish(lease);
      assert.deepEqual(ascending(await finishAll(worker)), [1, 2]);
    },
  },
  {
    name: "a rewiring that would do something else than its preview said is refused, and does nothing",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(batch(3));
      const worker = await world.join();
      await take(worker, 0);
      const edits = [rewire(1, 0)];
      const { version } = await preview(world, executionId, ...edits);
      const lease = await take(worker, 1);
      const params = { executionId, edits, apply: true, version };
      await refusedWith("EDIT_CONFLICT", () => world.broker.editExecution(params));
      assert.deepEqual(await statesOf(world, executionId), ["running", "running", "queued"]);
      await worker.deliver(returned(lease));
      await world.broker.editExecution(params);
      assert.deepEqual(await statesOf(world, executionId), ["running", "blocked", "queued"]);
      const again = await world.broker.editExecution(params);
      assert.deepEqual([again.version, again.changes], [version, { ...NOTHING, rewired: 1 }]);
    },
  },
  {
    name: "of many tasks the first are told, and all are brought back",
    promises: [9],
    run: async (world) => {
      const count = 400;
      const after = [[], [], ...Array.from({ length: count }, () => [0])];
      const executionId = await world.submit(workflow(after));
      const worker = await world.join();
      await worker.deliver(failed(await take(worker, 0), DEAD));
      const edits = Array.from({ length: count }, (_, at) => rewire(at + 2, 1));
      const changes = await applyAsPreviewed(world, executionId, ...edits);
      assert.deepEqual(
        [changes.rewired, changes.restoredCount, changes.restored.length],
        [count, count, MAX_CHANGES_TOLD],
      );
      assert.deepEqual(changes.restored.slice(0, 2), [2, 3]);
      assert.deepEqual(books(await world.counters(executionId)), {
        total: count + 2,
        failed: 1,
        queued: 1,
        blocked: count,
      });
      await worker.finish(await take(worker, 1));
      const leases = await worker.leases(500);
      assert.equal(leases.length, count);
      const parts = edits.map((_, at) => rewire(at + 2, 1, 0));
      const skipped = (await preview(world, executionId, ...parts)).changes;
      assert.deepEqual([skipped.skippedCount, skipped.skipped.length], [count, MAX_CHANGES_TOLD]);
      const rerun = (await preview(world, executionId, ...edits.map((_, at) => rewire(at + 2)))).changes;
      assert.deepEqual([rerun.rerunCount, rerun.rerun.length], [count, MAX_CHANGES_TOLD]);
    },
  },
];

const ranks: CaseGroup["cases"] = [
  {
    name: "ranks change the order of what waits at once, also of what had been read ahead",
    promises: [5, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(6));
      const worker = await world.join();
      await take(worker, 0);
      const changes = await applyAsPreviewed(world, executionId, rank({ 4: 5, 2: 2 }), rank({ 3: 0 }));
      assert.deepEqual(changes, { ...NOTHING, ranked: 2 });
      assert.equal((await taskOf(world, executionId, 4)).rank, 5);
      assert.deepEqual(await numbersTaken(worker, 4), [4, 2, 1, 3]);
      const back = await apply(world, executionId, rank({ 4: 0, 2: 2 }));
      assert.equal(back.changes.ranked, 1);
      assert.equal((await taskOf(world, executionId, 4)).rank, undefined);
    },
  },
  {
    name: "the highest rank goes first whatever group of the execution it is in",
    promises: [5],
    run: async (world) => {
      const groups = [group(tasks(2)), group({ ...tasks(2), ranks: [1, 4] }), group(tasks(1))];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      await apply(world, executionId, rank({ 0: 2, 4: 3, 3: 1.5 }));
      assert.deepEqual(await numbersTaken(worker, 5), [4, 0, 3, 2, 1]);
    },
  },
  {
    name: "what is blocked, runs or backs off has its rank when it is ready",
    promises: [5],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [], [0], [], []]));
      const worker = await world.join();
      const [first, second, third] = await worker.leases(3);
      assert.ok(first !== undefined && second !== undefined && third !== undefined);
      await worker.deliver(failed(third));
      await apply(world, executionId, rank({ 1: 3, 2: 4, 3: 2, 5: 1 }));
      await worker.deliver(done(first), returned(second));
      await world.advance(60_000);
      await worker.heartbeat();
      await world.promote();
      assert.deepEqual(await numbersTaken(worker, 5), [2, 1, 3, 5, 4]);
    },
  },
  {
    name: "ranks of tasks that have ended are passed over, and a paused execution has its ranks when it is resumed",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      await world.broker.pause({ executionId });
      const changes = await applyAsPreviewed(world, executionId, remove(1), rank({ 0: 9, 1: 9, 3: 9 }));
      assert.deepEqual([changes.ranked, changes.removedCount], [1, 1]);
      assert.deepEqual(await worker.leases(5), []);
      await world.broker.resume({ executionId });
      assert.deepEqual(await numbersTaken(worker, 2), [3, 2]);
    },
  },
  {
    name: "ranks order one execution, and give it no more than its turns",
    promises: [5],
    run: async (world) => {
      const one = await world.submit(batch(40));
      const other = await world.submit(batch(40));
      const worker = await world.join();
      await apply(world, other, rank({ 7: 1_000_000 }));
      const turns: string[] = [];
      for (let at = 0; at < 4; at += 1) {
        const lease = await worker.take();
        turns.push(lease.executionId);
        if (lease.executionId === other && turns.filter((id) => id === other).length === 1) assert.equal(lease.task, 7);
      }
      assert.deepEqual(turns.toSorted(), [one, one, other, other].toSorted());
    },
  },
];

export const editGraphCases: CaseGroup = { name: "edits of the graph", cases: [...rewires, ...refusals, ...ranks] };
