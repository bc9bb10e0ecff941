/** Tasks that are held: not started until they are let go. */
import assert from "node:assert/strict";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import { ascending } from "../../support/ascending.ts";
import { done, failed, failure, returned } from "../../support/outcomes.ts";
import { batch, group, submission, tasks, workflow } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import {
  add,
  apply,
  applyAsPreviewed,
  finishAll,
  hold,
  movesTold,
  NOTHING,
  preview,
  rank,
  remove,
  rewire,
  statesOf,
  take,
  taskOf,
  UNDO,
  unhold,
} from "../edits.ts";
import { books, refusedWith } from "../world.ts";

const DEAD = failure("invalid-input");

const waiting: CaseGroup["cases"] = [
  {
    name: "a held task is not handed out until it is let go, also one that had been read ahead or came back",
    promises: [6, 10],
    run: async (world) => {
      const executionId = await world.submit(batch(5));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await worker.deliver(returned(second));
      const changes = await applyAsPreviewed(world, executionId, hold(3, 1, 3));
      assert.deepEqual(changes, { ...NOTHING, held: 2 });
      assert.deepEqual(await movesTold(world, executionId, "held"), ["1 blocked", "3 blocked"]);
      assert.deepEqual(books(await world.counters(executionId)), { total: 5, running: 1, queued: 2, blocked: 2 });
      const { state, held } = await taskOf(world, executionId, 3);
      assert.deepEqual([state, held], ["blocked", true]);
      await worker.finish(first);
      assert.deepEqual(await finishAll(worker), [2, 4]);
      assert.deepEqual(await applyAsPreviewed(world, executionId, unhold(3, 2)), { ...NOTHING, unheld: 1 });
      assert.deepEqual(await movesTold(world, executionId, "unheld"), ["3 queued"]);
      assert.equal((await taskOf(world, executionId, 3)).held, undefined);
      assert.deepEqual(await finishAll(worker), [3]);
      assert.equal((await world.view(executionId)).state, "running", "a held task is left");
      await apply(world, executionId, unhold(1));
      assert.deepEqual(await finishAll(worker), [1]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a task that is let go stands among the others by its number",
    promises: [5],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      await apply(world, executionId, hold(1, 3));
      await apply(world, executionId, unhold(1, 3));
      const worker = await world.join();
      const leases = await worker.leases(4);
      assert.deepEqual(
        leases.map(({ task }) => task),
        [0, 1, 2, 3],
      );
    },
  },
  {
    name: "what came back, was held and let go is handed out once",
    promises: [1],
    run: async (world) => {
      const executionId = await world.submit(batch(3));
      const worker = await world.join();
      await worker.deliver(returned(await take(worker, 0)));
      await apply(world, executionId, hold(0, 1));
      await apply(world, executionId, unhold(0, 1));
      assert.deepEqual(
        (await worker.leases(9)).map(({ task }) => task),
        [0, 1, 2],
      );
    },
  },
  {
    name: "a worker that waits is given a task in the step that lets it go",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      await apply(world, executionId, hold(0));
      const call = worker.waitForWork(30_000);
      await world.settle();
      assert.equal(call.state, "waiting");
      await apply(world, executionId, unhold(0));
      assert.equal((await call.promise).leases.length, 1);
    },
  },
  {
    name: "a blocked task that is held waits for its parents and to be let go, whichever comes last",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [0], [1]]));
      const worker = await world.join();
      assert.deepEqual(await applyAsPreviewed(world, executionId, hold(1, 2)), { ...NOTHING, held: 2 });
      assert.deepEqual(await movesTold(world, executionId, "held"), [], "both were blocked and are");
      await apply(world, executionId, unhold(2));
      assert.deepEqual(await movesTold(world, executionId, "unheld"), []);
      await worker.finish(await take(worker, 0));
      assert.deepEqual(await statesOf(world, executionId), ["completed", "blocked", "queued", "blocked"]);
      assert.deepEqual(await finishAll(worker), [2]);
      await apply(world, executionId, unhold(1));
      assert.deepEqual(await movesTold(world, executionId, "unheld"), ["1 queued"]);
      assert.deepEqual(await finishAll(worker), [1, 3]);
    },
  },
  {
    name: "a hold in a delayed group is kept when its time comes",
    promises: [8],
    run: async (world) => {
      const executionId = await world.submit(submission([group(tasks(3), { delayMs: 5_000 })]));
      const worker = await world.join();
      await apply(world, executionId, hold(1, 2));
      await apply(world, executionId, unhold(2));
      assert.deepEqual(await statesOf(world, executionId), ["scheduled", "blocked", "scheduled"]);
      await world.advance(5_000);
      await worker.heartbeat();
      await world.promote();
      assert.deepEqual(ascending(await finishAll(worker)), [0, 2]);
      await apply(world, executionId, unhold(1));
      assert.deepEqual(await finishAll(worker), [1]);
    },
  },
  {
    name: "a task that backs off is blocked while it is held, and backs off no shorter for it",
    promises: [3, 8],
    run: async (world) => {
      const retry = { ...DEFAULT_RETRY, baseMs: 10_000 };
      const executionId = await world.submit(batch(2, {}, { retry }));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await worker.deliver(failed(first), failed(second));
      await apply(world, executionId, hold(0, 1));
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "blocked"]);
      await apply(world, executionId, unhold(0));
      assert.deepEqual(await movesTold(world, executionId, "unheld"), ["0 scheduled"]);
      await world.promote();
      assert.deepEqual(await worker.leases(5), []);
      await world.advance(10_000);
      await worker.heartbeat();
      await world.promote();
      const lease = await take(worker, 0);
      assert.deepEqual([lease.attempt, await worker.leases(5)], [2, []]);
      await worker.finish(lease);
      await apply(world, executionId, unhold(1));
      assert.deepEqual(await movesTold(world, executionId, "unheld"), ["0 scheduled", "1 queued"]);
      assert.deepEqual(await finishAll(worker), [1]);
    },
  },
];

const running: CaseGroup["cases"] = [
  {
    name: "a running task that is held runs on, and what comes after it starts when it completes",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0]]));
      const worker = await world.join();
      const lease = await take(worker, 0);
      assert.deepEqual(await applyAsPreviewed(world, executionId, hold(0)), { ...NOTHING, held: 1 });
      const { state, held } = await taskOf(world, executionId, 0);
      assert.deepEqual([state, held], ["running", true]);
      assert.deepEqual((await worker.heartbeat(1)).cancel, []);
      await worker.finish(lease);
      assert.equal((await taskOf(world, executionId, 0)).held, undefined);
      assert.deepEqual(await finishAll(worker), [1]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a held task that comes back is blocked until it is let go, whatever brought it back",
    promises: [3, 6],
    run: async (world) => {
      const retry = { ...DEFAULT_RETRY, baseMs: 0 };
      const executionId = await world.submit(batch(3, {}, { retry }));
      const worker = await world.join();
      const other = await world.join({ worker: "w2" });
      const lost = await take(other, 0);
      const [second, third] = await worker.leases(2);
      assert.ok(second !== undefined && third !== undefined);
      await apply(world, executionId, hold(0, 1, 2));
      await other.die();
      await worker.deliver(failed(second), returned(third));
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "blocked", "blocked"]);
      assert.deepEqual(await worker.leases(5), []);
      assert.deepEqual(await worker.report(returned(third), failed(second)), ["accepted", "accepted"]);
      assert.deepEqual(await movesTold(world, executionId, "lost"), ["0 blocked"]);
      assert.deepEqual(await movesTold(world, executionId, "retry"), ["1 blocked"]);
      assert.deepEqual(await movesTold(world, executionId, "returned"), ["2 blocked"]);
      await apply(world, executionId, unhold(0, 1, 2));
      const leases = await worker.leases(5);
      assert.deepEqual(
        leases.map(({ task, attempt }) => [task, attempt]),
        [
          [0, 2],
          [1, 2],
          [2, 1],
        ],
      );
      assert.equal(lost.attempt, 1);
      await worker.finish(...leases);
    },
  },
  {
    name: "a held task that backs off after its attempt is blocked, and its time is kept",
    promises: [3, 8],
    run: async (world) => {
      const retry = { ...DEFAULT_RETRY, baseMs: 10_000 };
      const executionId = await world.submit(batch(1, {}, { retry }));
      const worker = await world.join();
      const lease = await take(worker, 0);
      await apply(world, executionId, hold(0));
      await worker.deliver(failed(lease));
      assert.deepEqual(await statesOf(world, executionId), ["blocked"]);
      await apply(world, executionId, unhold(0));
      assert.deepEqual(await statesOf(world, executionId), ["scheduled"]);
      await world.advance(10_000);
      await worker.heartbeat();
      await world.promote();
      assert.deepEqual((await take(worker, 0)).attempt, 2);
    },
  },
  {
    name: "a held task that ran when its execution failed waits to be let go when it runs again",
    promises: [3, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(3, { maxFailures: 1 }));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await apply(world, executionId, hold(1, 2));
      await worker.deliver(failed(first, DEAD));
      assert.equal((await world.view(executionId)).state, "failed");
      await world.broker.retry({ executionId });
      assert.deepEqual(await statesOf(world, executionId), ["queued", "blocked", "blocked"]);
      assert.deepEqual(await finishAll(worker), [0]);
      await apply(world, executionId, unhold(1, 2));
      assert.deepEqual(await finishAll(worker), [1, 2]);
    },
  },
  {
    name: "a hold ends with its task: a dead letter that is retried runs",
    promises: [3, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await apply(world, executionId, hold(0));
      await worker.deliver(failed(first, DEAD));
      assert.equal((await taskOf(world, executionId, 0)).held, undefined);
      await world.broker.retry({ executionId });
      await worker.finish(await take(worker, 0), second);
    },
  },
];

const others: CaseGroup["cases"] = [
  {
    name: "held tasks keep the execution from ending, stay held while it is paused, and go with it when it is cancelled",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(batch(3));
      const worker = await world.join();
      await world.broker.pause({ executionId });
      await apply(world, executionId, hold(1, 2));
      await world.broker.resume({ executionId });
      assert.deepEqual(await finishAll(worker), [0]);
      assert.equal((await world.view(executionId)).state, "running");
      await world.broker.pause({ executionId });
      await apply(world, executionId, unhold(1));
      assert.deepEqual(await worker.leases(5), []);
      await world.broker.resume({ executionId });
      assert.deepEqual(await finishAll(worker), [1]);
      await world.broker.cancel({ executionId });
      const { state, counters } = await world.view(executionId);
      assert.deepEqual([state, books(counters)], ["cancelled", { total: 3, completed: 2, cancelled: 1 }]);
    },
  },
  {
    name: "what has ended is passed over, and what is held and let go in one call is as it was",
    promises: [6, 7],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      const edits = [unhold(2, 3), hold(0, 1, 2), remove(1), hold(2)];
      const changes = await applyAsPreviewed(world, executionId, ...edits);
      assert.deepEqual(changes, { ...NOTHING, removed: [{ task: 1, state: "queued" }], removedCount: 1 });
      assert.deepEqual(await statesOf(world, executionId), ["completed", "skipped", "queued", "queued"]);
      await apply(world, executionId, hold(2));
      assert.deepEqual(await applyAsPreviewed(world, executionId, hold(2)), NOTHING);
      await apply(world, executionId, unhold(2));
      assert.deepEqual(await finishAll(worker), [2, 3]);
    },
  },
  {
    name: "a held task whose parent dies is skipped, and still held when it waits again",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [0]], { keepInputs: true }));
      const worker = await world.join();
      await apply(world, executionId, hold(1));
      await worker.deliver(failed(await take(worker, 0), DEAD));
      assert.deepEqual(books(await world.counters(executionId)), { total: 3, failed: 1, skipped: 2 });
      await world.broker.retry({ executionId });
      assert.deepEqual(await finishAll(worker), [0, 2]);
      assert.deepEqual(await statesOf(world, executionId), ["completed", "blocked", "completed"]);
      await world.broker.rerun({ executionId, task: 0 });
      assert.deepEqual(await finishAll(worker), [0, 2]);
      await apply(world, executionId, unhold(1));
      assert.deepEqual(await finishAll(worker), [1]);
    },
  },
  {
    name: "a task that one edit brings back is held and ranked by the same edit",
    promises: [5, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [0], []]));
      const worker = await world.join();
      await worker.deliver(failed(await take(worker, 0), DEAD));
      const changes = await applyAsPreviewed(world, executionId, rewire(1), rewire(2), hold(1), rank({ 1: 3, 2: 7 }));
      assert.deepEqual([changes.restored, changes.held, changes.ranked], [[1, 2], 1, 2]);
      assert.deepEqual(await statesOf(world, executionId), ["failed", "blocked", "queued", "queued"]);
      await worker.finish(await take(worker, 2), await take(worker, 3));
      assert.deepEqual(await worker.leases(1), []);
      await apply(world, executionId, unhold(1));
      assert.deepEqual(await finishAll(worker), [1]);
    },
  },
  {
    name: "a held task that dies with the same edit is not let go by it",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      await apply(world, executionId, hold(1));
      const changes = await applyAsPreviewed(world, executionId, remove(0), unhold(1), rank({ 1: 5 }));
      assert.deepEqual([changes.skipped, changes.unheld, changes.ranked], [[1], 0, 0]);
      const back = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual([back.restored, back.held], [[0, 1], 0]);
      assert.deepEqual(await finishAll(await world.join()), [0, 2]);
      await apply(world, executionId, unhold(1));
      assert.equal((await taskOf(world, executionId, 1)).state, "queued");
    },
  },
  {
    name: "a held task is rewired, ranked and removed like any other, and stays held",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [], []]));
      const worker = await world.join();
      await apply(world, executionId, hold(1, 2, 3));
      await apply(world, executionId, rewire(1), rewire(2, 0), rank({ 1: 1, 2: 2 }));
      assert.deepEqual(await finishAll(worker), [0]);
      assert.deepEqual(await statesOf(world, executionId), ["completed", "blocked", "blocked", "blocked"]);
      const changes = await applyAsPreviewed(world, executionId, remove(3), unhold(1, 2, 3));
      assert.deepEqual([changes.removed, changes.unheld], [[{ task: 3, state: "blocked" }], 2]);
      assert.deepEqual(await finishAll(worker), [2, 1]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "tasks added after a held one wait for it",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      await apply(world, executionId, hold(0), add([[0]]));
      assert.deepEqual(await finishAll(worker), []);
      await apply(world, executionId, unhold(0));
      assert.deepEqual(await finishAll(worker), [0, 1]);
    },
  },
  {
    name: "a held task counts into its pool's depth as any that waits",
    promises: [9],
    settings: { maxQueueDepth: 2 },
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      await apply(world, executionId, hold(0, 1));
      await refusedWith("QUEUE_FULL", () => world.submit(batch(1)));
      await apply(world, executionId, unhold(0));
      const worker = await world.join();
      await worker.deliver(done(await take(worker, 0)));
      await world.submit(batch(1));
    },
  },
  {
    name: "a hold that would do something else than its preview said is refused",
    promises: [6, 7],
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      const worker = await world.join();
      const edits = [hold(0)];
      const { version } = await preview(world, executionId, ...edits);
      const params = { executionId, edits, apply: true, version };
      await apply(world, executionId, hold(0));
      await apply(world, executionId, rank({ 1: 1 }));
      await refusedWith("EDIT_CONFLICT", () => world.broker.editExecution(params));
      await apply(world, executionId, unhold(0));
      await world.broker.editExecution(params);
      await world.broker.editExecution(params);
      assert.deepEqual(await finishAll(worker), [1]);
    },
  },
];

export const editHoldCases: CaseGroup = { name: "held tasks", cases: [...waiting, ...running, ...others] };
