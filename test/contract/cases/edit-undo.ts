/** The last edit of an execution is taken back. */
import assert from "node:assert/strict";
import type { Edit } from "../../../src/broker/contract.ts";
import { ascending } from "../../support/ascending.ts";
import { done, failed, failure, returned } from "../../support/outcomes.ts";
import { batch, workflow } from "../../support/submissions.ts";
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
  UNDO,
  unhold,
} from "../edits.ts";
import { books, refusedWith } from "../world.ts";

const DEAD = failure("invalid-input");

const kinds: CaseGroup["cases"] = [
  {
    name: "a priority is as it was before",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      await apply(world, executionId, { kind: "priority", priority: 9 });
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes, { ...NOTHING, priority: { from: 9, to: 5 } });
      assert.equal((await world.view(executionId)).priority, 5);
    },
  },
  {
    name: "removed tasks and those that were skipped because of them come back, with their inputs",
    promises: [2, 6, 10],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], [1, 2], []]));
      const worker = await world.join();
      const before = await statesOf(world, executionId);
      await apply(world, executionId, remove(1, 4));
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes, { ...NOTHING, restored: [1, 2, 3, 4], restoredCount: 4 });
      assert.deepEqual(await statesOf(world, executionId), before);
      assert.equal((await taskOf(world, executionId, 1)).removed, undefined);
      const told = await movesTold(world, executionId, "undone");
      assert.deepEqual(told.toSorted(), ["1 blocked", "2 blocked", "3 blocked", "4 queued"]);
      const leases = await worker.leases(5);
      assert.deepEqual(
        leases.map(({ task, input }) => [task, input]),
        [
          [0, "0"],
          [4, "4"],
        ],
      );
      await worker.finish(...leases);
      const lease = await take(worker, 1);
      assert.equal(lease.input, "1");
      await worker.finish(lease);
      assert.deepEqual(await finishAll(worker), [2, 3]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a task that ran when it was removed runs again, and its former attempt does not count",
    promises: [1, 3],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0]]));
      const worker = await world.join();
      const lease = await take(worker, 0);
      await apply(world, executionId, remove(0), add([[]]));
      await apply(world, executionId, UNDO);
      assert.deepEqual(await worker.report(done(lease)), ["refused"]);
      const again = await take(worker, 0);
      assert.deepEqual([again.attempt, again.input], [2, "0"]);
      await worker.finish(again);
      assert.deepEqual(await finishAll(worker), [1]);
      const { state, refusedOutcomes, counters } = await world.view(executionId);
      assert.deepEqual(
        [state, refusedOutcomes, books(counters)],
        ["completed", 1, { total: 3, completed: 2, skipped: 1 }],
      );
    },
  },
  {
    name: "a removed task whose parents have gone on meanwhile starts at once, or is skipped with them",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [0], [1], []]));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await apply(world, executionId, remove(2, 3));
      await worker.deliver(done(first), failed(second, DEAD));
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes.restored, [2]);
      assert.deepEqual(await statesOf(world, executionId), ["completed", "failed", "queued", "skipped", "queued"]);
      assert.equal((await taskOf(world, executionId, 3)).removed, undefined, "it is skipped because of its parent now");
      await world.broker.retry({ executionId });
      assert.deepEqual(ascending(await finishAll(worker)), [1, 2, 3, 4]);
    },
  },
  {
    name: "added tasks are removed, whether they wait or run, and so is what came after them",
    promises: [1, 6, 10],
    run: async (world) => {
      const executionId = await world.submit(batch(1, { open: true }));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      await apply(world, executionId, add([[0], [0], [1]]));
      const lease = await take(worker, 1);
      const { groups } = add([[2]]) as Extract<Edit, { kind: "add" }>;
      await world.broker.extend({ executionId, part: 1, groups, seal: false });
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes, {
        ...NOTHING,
        removed: [
          { task: 1, state: "running" },
          { task: 2, state: "queued" },
          { task: 3, state: "blocked" },
        ],
        removedCount: 3,
        skipped: [4],
        skippedCount: 1,
      });
      assert.deepEqual(await worker.report(done(lease)), ["refused"]);
      assert.deepEqual(await skipsTold(world, executionId), [
        [[1, 2, 3], "undone"],
        [[4], undefined],
      ]);
      assert.equal((await taskOf(world, executionId, 2)).removed, true);
      assert.deepEqual(books(await world.counters(executionId)), { total: 5, completed: 1, skipped: 4 });
    },
  },
  {
    name: "a rewired task has its former parents, also when it runs or was skipped",
    promises: [1, 2, 3],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [], [], [0], [1], [4]]));
      const worker = await world.join();
      const [first, second, third] = await worker.leases(3);
      assert.ok(first !== undefined && second !== undefined && third !== undefined);
      await worker.deliver(failed(second, DEAD));
      // 3 starts at once, 4 comes back with 5, 2 is stopped and skipped.
      await apply(world, executionId, rewire(3), rewire(4, 0), rewire(2, 1));
      assert.deepEqual(await statesOf(world, executionId), [
        "running",
        "failed",
        "skipped",
        "queued",
        "blocked",
        "blocked",
      ]);
      const lease = await take(worker, 3);
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes, {
        ...NOTHING,
        rewired: 3,
        rerun: [3],
        rerunCount: 1,
        skipped: [4, 5],
        skippedCount: 2,
        restored: [2],
        restoredCount: 1,
      });
      assert.deepEqual(await statesOf(world, executionId), [
        "running",
        "failed",
        "queued",
        "blocked",
        "skipped",
        "skipped",
      ]);
      assert.deepEqual(await worker.report(done(lease), done(third)), ["refused", "refused"]);
      assert.deepEqual((await take(worker, 2)).attempt, 2);
      await worker.finish(first);
      const again = await take(worker, 3);
      assert.deepEqual([again.attempt, Object.keys(again.parents ?? {})], [2, ["0"]]);
    },
  },
  {
    name: "ranks are as they were, but of what has ended",
    promises: [5, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      await apply(world, executionId, rank({ 2: 7 }));
      await apply(world, executionId, rank({ 2: 9, 3: 8, 1: 1 }));
      await worker.finish(await take(worker, 2));
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes, { ...NOTHING, ranked: 2 });
      assert.deepEqual(await numbersTaken(worker, 3), [0, 1, 3]);
    },
  },
  {
    name: "what was held is let go, and what was let go is held",
    promises: [6, 10],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      await apply(world, executionId, hold(0, 1));
      await apply(world, executionId, hold(2), unhold(0, 1));
      const lease = await take(worker, 0);
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes, { ...NOTHING, held: 2, unheld: 1 });
      assert.deepEqual(await statesOf(world, executionId), ["running", "blocked", "queued", "queued"]);
      assert.deepEqual(await movesTold(world, executionId, "undone"), ["1 blocked", "2 queued"]);
      await worker.deliver(returned(lease));
      assert.deepEqual(await finishAll(worker), [2, 3]);
      await apply(world, executionId, unhold(0, 1));
      assert.deepEqual(await finishAll(worker), [0, 1]);
    },
  },
  {
    name: "an edit of all kinds is taken back whole",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1], [2], [0], []]));
      const before = await allTasks(world.broker, executionId);
      const edits: Edit[] = [
        { kind: "priority", priority: 7 },
        remove(1),
        add([[0], [6]]),
        rewire(3, 7),
        rank({ 4: 3 }),
        hold(5),
      ];
      await applyAsPreviewed(world, executionId, ...edits);
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes, {
        ...NOTHING,
        priority: { from: 7, to: 5 },
        removed: [
          { task: 6, state: "blocked" },
          { task: 7, state: "blocked" },
        ],
        removedCount: 2,
        rewired: 1,
        ranked: 1,
        unheld: 1,
        restored: [1, 2],
        restoredCount: 2,
      });
      assert.deepEqual((await allTasks(world.broker, executionId)).slice(0, 6), before);
      const worker = await world.join();
      assert.deepEqual(ascending(await finishAll(worker)), [0, 1, 2, 3, 4, 5]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
];

const bounds: CaseGroup["cases"] = [
  {
    name: "where nothing was edited, or it was taken back, there is nothing to undo",
    promises: [6, 9],
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      await refusedWith("INVALID_REQUEST", () => preview(world, executionId, UNDO));
      await refusedWith("INVALID_REQUEST", () => apply(world, executionId, UNDO));
      await apply(world, executionId, hold(0));
      await apply(world, executionId, hold(1));
      await preview(world, executionId, remove(0));
      await refusedWith("INVALID_REQUEST", () => apply(world, executionId, UNDO, hold(1)));
      await refusedWith("INVALID_REQUEST", () => apply(world, executionId, UNDO, UNDO));
      assert.equal((await apply(world, executionId, UNDO)).changes.unheld, 1);
      await refusedWith("INVALID_REQUEST", () => apply(world, executionId, UNDO));
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "queued"]);
      await refusedWith("EXECUTION_NOT_FOUND", () => apply(world, "nobody", UNDO));
      await world.broker.cancel({ executionId });
      await refusedWith("EXECUTION_ENDED", () => apply(world, executionId, UNDO));
    },
  },
  {
    name: "only the last edit is taken back, whole; an edit after it can be taken back in its place",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(batch(3));
      await apply(world, executionId, remove(0));
      await apply(world, executionId, remove(1));
      assert.deepEqual((await applyAsPreviewed(world, executionId, UNDO)).restored, [1]);
      await apply(world, executionId, remove(2));
      assert.deepEqual((await applyAsPreviewed(world, executionId, UNDO)).restored, [2]);
      assert.deepEqual(await statesOf(world, executionId), ["skipped", "queued", "queued"]);
      assert.deepEqual(await finishAll(await world.join()), [1, 2]);
    },
  },
  {
    name: "an added task that has completed or failed cannot be taken back, nor anything else of its edit",
    promises: [6],
    run: async (world) => {
      for (const isDone of [true, false]) {
        const executionId = await world.submit(batch(2));
        const worker = await world.join();
        await apply(world, executionId, add([[], []]), remove(1), hold(0));
        const { version } = await preview(world, executionId, UNDO);
        const lease = await take(worker, 2);
        await worker.deliver(isDone ? done(lease) : failed(lease, DEAD));
        await refusedWith("EDIT_CONFLICT", () => preview(world, executionId, UNDO));
        await refusedWith("EDIT_CONFLICT", () => apply(world, executionId, UNDO));
        const params = { executionId, edits: [UNDO], apply: true, version };
        await refusedWith("EDIT_CONFLICT", () => world.broker.editExecution(params));
        assert.deepEqual((await statesOf(world, executionId)).slice(0, 2), ["blocked", "skipped"]);
        await world.broker.cancel({ executionId });
      }
    },
  },
  {
    name: "a rewired task that has ended cannot be taken back",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      const worker = await world.join();
      await apply(world, executionId, rewire(1), hold(2));
      const [, second] = await worker.leases(2);
      assert.ok(second !== undefined);
      await worker.finish(second);
      await refusedWith("EDIT_CONFLICT", () => apply(world, executionId, UNDO));
      assert.deepEqual(await statesOf(world, executionId), ["running", "completed", "blocked"]);
      await apply(world, executionId, unhold(2));
    },
  },
  {
    name: "what is done once by its version or its name is an undo too",
    promises: [7],
    run: async (world) => {
      const executionId = await world.submit(batch(3));
      await apply(world, executionId, hold(0));
      const { version, changes } = await preview(world, executionId, UNDO);
      const params = { executionId, edits: [UNDO], apply: true, version, editId: "back" };
      for (let repeat = 0; repeat < 2; repeat += 1) {
        const reply = await world.broker.editExecution(params);
        assert.deepEqual([reply.version, reply.changes], [version, changes]);
      }
      await apply(world, executionId, hold(1));
      const late = await world.broker.editExecution(params);
      assert.deepEqual([late.changes, await statesOf(world, executionId)], [changes, ["queued", "blocked", "queued"]]);
    },
  },
  {
    name: "what else happens between an undo and its preview is no conflict; what the undo does differently is",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      await apply(world, executionId, remove(3), add([[], [0]]));
      const { version } = await preview(world, executionId, UNDO);
      await worker.finish(await take(worker, 0));
      assert.equal((await preview(world, executionId, UNDO)).version === version, false, "5 is queued by now");
      const next = await preview(world, executionId, UNDO);
      await worker.finish(await take(worker, 1));
      const params = { executionId, edits: [UNDO], apply: true };
      await refusedWith("EDIT_CONFLICT", () => world.broker.editExecution({ ...params, version }));
      await world.broker.editExecution({ ...params, version: next.version });
      assert.deepEqual(ascending(await finishAll(worker)), [2, 3]);
    },
  },
  {
    name: "an undo that would make a pool too full is refused",
    promises: [9],
    settings: { maxQueueDepth: 2 },
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      await apply(world, executionId, remove(0));
      await world.submit(batch(1));
      await refusedWith("QUEUE_FULL", () => preview(world, executionId, UNDO));
      await refusedWith("QUEUE_FULL", () => apply(world, executionId, UNDO));
      const worker = await world.join();
      await worker.finish(await take(worker, 1));
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
];

export const editUndoCases: CaseGroup = { name: "edits taken back", cases: [...kinds, ...bounds] };
