/** Edits of tasks that have suspended themselves, and of those that run when the rest has failed. */
import assert from "node:assert/strict";
import { failed, failure, returned, untilDelay, untilSignal, untilTasks } from "../../support/outcomes.ts";
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
  remove,
  rewire,
  statesOf,
  take,
  taskOf,
  UNDO,
  unhold,
} from "../edits.ts";
import { books, refusedWith } from "../world.ts";

const suspensions: CaseGroup["cases"] = [
  {
    name: "a task that sleeps and is held sleeps no shorter for it",
    promises: [6, 8],
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      const worker = await world.join();
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await worker.deliver(untilDelay(first, 10_000), untilDelay(second, 10_000));
      await apply(world, executionId, hold(0, 1));
      const { state, held, suspended } = await taskOf(world, executionId, 0);
      assert.deepEqual([state, held, suspended], ["blocked", true, { until: "delay" }]);
      await apply(world, executionId, unhold(0));
      assert.deepEqual(await statesOf(world, executionId), ["scheduled", "blocked"]);
      await world.advance(10_000);
      await worker.heartbeat();
      await world.promote();
      const lease = await take(worker, 0);
      assert.deepEqual(lease.resumed, { state: '"state"' });
      await worker.finish(lease);
      await apply(world, executionId, unhold(1));
      const other = await take(worker, 1);
      assert.deepEqual([other.attempt, other.resumed], [2, { state: '"state"' }]);
      await worker.finish(other);
    },
  },
  {
    name: "a signal reaches a held task, which goes on with it when it is let go",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      const leases = await worker.leases(4);
      const [plain, timed, late, never] = leases;
      assert.ok(plain !== undefined && timed !== undefined && late !== undefined && never !== undefined);
      await worker.deliver(untilSignal(plain, "go"), untilSignal(timed, "go", 60_000), untilSignal(late, "go", 1_000));
      await apply(world, executionId, hold(0, 1, 2, 3));
      await world.advance(1_000);
      await worker.heartbeat();
      await world.promote();
      await world.broker.signal({ executionId, signal: "go", payload: "7" });
      // Its suspension comes after the signal, and it is held already.
      await worker.deliver(untilSignal(never, "go"));
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "blocked", "blocked", "blocked"]);
      await apply(world, executionId, unhold(0, 1, 2, 3));
      const woken = await worker.leases(4);
      assert.deepEqual(
        woken.map(({ task, resumed }) => [task, resumed?.signal]),
        [
          [0, "7"],
          [1, "7"],
          [2, undefined],
          [3, "7"],
        ],
      );
      await worker.finish(...woken);
    },
  },
  {
    name: "a held task that adds tasks waits for them and to be let go",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      const lease = await take(worker, 0);
      await apply(world, executionId, hold(0));
      await worker.deliver(untilTasks(lease, [group(tasks(2))]));
      assert.deepEqual(await finishAll(worker), [1, 2]);
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "completed", "completed"]);
      await apply(world, executionId, unhold(0));
      const again = await take(worker, 0);
      assert.deepEqual(Object.keys(again.parents ?? {}), ["1", "2"]);
      await worker.finish(again);
    },
  },
  {
    name: "a removed task takes what it had added with it; brought back, it waits on for it",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      const worker = await world.join();
      const [first, third] = await worker.leases(2);
      assert.ok(first !== undefined && third !== undefined);
      await worker.deliver(untilTasks(first, [group(tasks(2, [[], [0]]))]));
      const changes = await applyAsPreviewed(world, executionId, remove(0));
      assert.deepEqual(changes, {
        ...NOTHING,
        removed: [
          { task: 0, state: "blocked" },
          { task: 3, state: "queued" },
          { task: 4, state: "blocked" },
        ],
        removedCount: 3,
        skipped: [1],
        skippedCount: 1,
      });
      assert.deepEqual(await worker.leases(5), []);
      const undo = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual([undo.restored, undo.removedCount], [[0, 1, 3, 4], 0]);
      await worker.finish(third, await take(worker, 3));
      await worker.finish(await take(worker, 4));
      const again = await take(worker, 0);
      assert.deepEqual([again.attempt, again.resumed?.first, again.input], [2, 3, "0"]);
      await worker.finish(again);
      assert.deepEqual(await finishAll(worker), [1]);
      assert.deepEqual(books(await world.counters(executionId)), { total: 5, completed: 5 });
    },
  },
  {
    name: "removed while it sleeps and brought back, a task waits on for its signal and its time, or goes on at once",
    promises: [2, 6, 8],
    run: async (world) => {
      const executionId = await world.submit(batch(7));
      const worker = await world.join();
      const leases = await worker.leases(6);
      const [early, late, timed, slept, asleep, resumed] = leases;
      assert.ok(early !== undefined && late !== undefined && timed !== undefined);
      assert.ok(slept !== undefined && asleep !== undefined && resumed !== undefined);
      await worker.deliver(
        untilSignal(early, "early"),
        untilSignal(late, "late"),
        untilSignal(timed, "never", 20_000),
        untilDelay(slept, 1_000),
        untilDelay(asleep, 20_000),
        untilDelay(resumed, 0),
      );
      const running = await take(worker, 5);
      assert.ok(running.resumed !== undefined);
      await apply(world, executionId, remove(0, 1, 2, 3, 4, 5));
      assert.equal((await world.broker.signal({ executionId, signal: "early", payload: "1" })).released, 0);
      await world.advance(1_000);
      await worker.heartbeat();
      await world.promote();
      await applyAsPreviewed(world, executionId, UNDO);
      await world.promote();
      assert.deepEqual(await statesOf(world, executionId), [
        "queued",
        "blocked",
        "scheduled",
        "queued",
        "scheduled",
        "queued",
        "queued",
      ]);
      assert.equal((await world.broker.signal({ executionId, signal: "late", payload: "2" })).released, 1);
      await world.advance(19_000);
      await worker.heartbeat();
      await world.promote();
      const woken = (await worker.leases(9)).toSorted((one, other) => one.task - other.task);
      assert.deepEqual(
        woken.map(({ task, attempt, resumed: goesOn }) => [task, attempt, goesOn?.state, goesOn?.signal]),
        [
          [0, 2, '"state"', "1"],
          [1, 2, '"state"', "2"],
          [2, 2, '"state"', undefined],
          [3, 2, '"state"', undefined],
          [4, 2, '"state"', undefined],
          [5, 3, '"state"', undefined],
          [6, 1, undefined, undefined],
        ],
      );
      await worker.finish(...woken);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a rewired task forgets its suspension and starts from its beginning",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(4));
      const worker = await world.join();
      const [first, second, third, fourth] = await worker.leases(4);
      assert.ok(first !== undefined && second !== undefined && third !== undefined && fourth !== undefined);
      await worker.deliver(
        untilTasks(first, [group(tasks(1))]),
        untilSignal(second, "go", 60_000),
        untilDelay(third, 1_000),
      );
      const changes = await applyAsPreviewed(world, executionId, rewire(0, 3), rewire(1, 3), rewire(2, 3));
      assert.deepEqual([changes.rewired, changes.rerunCount], [3, 0]);
      assert.deepEqual(changes.removed, [{ task: 4, state: "queued" }]);
      assert.deepEqual(await world.broker.signal({ executionId, signal: "go", payload: "1" }), {
        accepted: true,
        released: 0,
      });
      await world.advance(60_000);
      await worker.heartbeat();
      await world.promote();
      assert.deepEqual(await worker.leases(5), []);
      await worker.finish(fourth);
      const leases = await worker.leases(5);
      assert.deepEqual(
        leases.map(({ task, attempt, resumed, parents }) => [task, attempt, resumed, Object.keys(parents ?? {})]),
        [0, 1, 2].map((task) => [task, 2, undefined, ["3"]]),
      );
      await worker.finish(...leases);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a removed task that another had added skips that one, and an undo brings both back",
    promises: [2, 6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], []]));
      const worker = await world.join();
      const [first, third] = await worker.leases(2);
      assert.ok(first !== undefined && third !== undefined);
      await worker.deliver(untilTasks(first, [group(tasks(2))]));
      await worker.finish(await take(worker, 3));
      const changes = await applyAsPreviewed(world, executionId, remove(4));
      assert.deepEqual([changes.skipped, changes.removedCount], [[0, 1], 1]);
      const undo = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(undo.restored, [0, 1, 4]);
      await worker.finish(await take(worker, 4));
      const again = await take(worker, 0);
      assert.deepEqual([again.resumed?.first, Object.keys(again.parents ?? {})], [3, ["3", "4"]]);
      await worker.finish(again, third);
      assert.deepEqual(await finishAll(worker), [1]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "what an added task adds itself is taken back with it",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      await apply(world, executionId, hold(0));
      await apply(world, executionId, add([[]]));
      await worker.deliver(untilTasks(await take(worker, 1), [group(tasks(2))]));
      await worker.finish(await take(worker, 2));
      const changes = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(changes.removed, [
        { task: 1, state: "blocked" },
        { task: 3, state: "queued" },
      ]);
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "skipped", "completed", "skipped"]);
    },
  },
];

const DEAD = failure("invalid-input");

const borne: CaseGroup["cases"] = [
  {
    name: "what was let go by a failure that is borne goes on, though the letter is retried, and removed then",
    promises: [2],
    run: async (world) => {
      const groups = [group(tasks(1), { onFailure: "continue" }), group(tasks(2, [[0], [0]]))];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      await worker.deliver(failed(await take(worker, 0), DEAD));
      await worker.deliver(untilTasks(await take(worker, 1), [group(tasks(1))]));
      await world.broker.retry({ executionId });
      const changes = await applyAsPreviewed(world, executionId, remove(0));
      assert.deepEqual([changes.removedCount, changes.skippedCount], [1, 0]);
      const undo = await applyAsPreviewed(world, executionId, UNDO);
      assert.deepEqual(undo.restored, [0]);
      await apply(world, executionId, remove(0));
      assert.deepEqual(await finishAll(worker), [2, 3, 1]);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
];

const rescues: CaseGroup["cases"] = [
  {
    name: "a held rescue is called and waits to be let go",
    promises: [2, 6],
    run: async (world) => {
      const groups = [group(tasks(1)), group(tasks(2, [[0], []]), { when: "failed" })];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      await apply(world, executionId, hold(1));
      await worker.deliver(failed(await take(worker, 0), DEAD));
      assert.deepEqual(await finishAll(worker), [2]);
      assert.equal((await world.view(executionId)).state, "running");
      await apply(world, executionId, unhold(1));
      const lease = await take(worker, 1);
      await apply(world, executionId, hold(1));
      await worker.deliver(returned(lease));
      assert.deepEqual(await worker.leases(1), []);
      await apply(world, executionId, unhold(1));
      assert.deepEqual(await finishAll(worker), [1]);
      assert.equal((await world.view(executionId)).state, "failed");
    },
  },
  {
    name: "a rescue is rewired to those whose results it gets, and waits for none of them",
    promises: [2],
    run: async (world) => {
      const groups = [group(tasks(3)), group(tasks(1, [[0]]), { when: "failed" })];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      const changes = await applyAsPreviewed(world, executionId, rewire(3, 1, 2));
      assert.deepEqual(changes, { ...NOTHING, rewired: 1 });
      const [first, second, third] = await worker.leases(3);
      assert.ok(first !== undefined && second !== undefined && third !== undefined);
      await worker.deliver(failed(second, DEAD));
      await worker.finish(first, third);
      const lease = await take(worker, 3);
      assert.deepEqual(Object.keys(lease.parents ?? {}), ["2"]);
      const rerun = await applyAsPreviewed(world, executionId, rewire(3, 0));
      assert.deepEqual(rerun.rerun, [3]);
      const again = await take(worker, 3);
      assert.deepEqual([again.attempt, Object.keys(again.parents ?? {})], [2, ["0"]]);
      await worker.finish(again);
      assert.equal((await world.view(executionId)).state, "failed");
    },
  },
  {
    name: "a rescue is removed and comes back, and one that is added waits like the others",
    promises: [2, 6],
    run: async (world) => {
      const groups = [group(tasks(2)), group(tasks(1, [[0]]), { when: "failed" })];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      await apply(world, executionId, remove(2), add([[0]], { when: "failed" }));
      await apply(world, executionId, UNDO);
      assert.deepEqual(await statesOf(world, executionId), ["queued", "queued", "blocked", "skipped"]);
      await apply(world, executionId, add([[0]], { when: "failed" }));
      const [first, second] = await worker.leases(2);
      assert.ok(first !== undefined && second !== undefined);
      await worker.deliver(failed(first, DEAD));
      assert.deepEqual(await worker.leases(2), []);
      const changes = await applyAsPreviewed(world, executionId, remove(1));
      assert.equal(changes.ends, undefined, "the rescue is called by it");
      assert.deepEqual(await finishAll(worker), [2, 4]);
      assert.equal((await world.view(executionId)).state, "failed");
    },
  },
  {
    name: "nothing is added after a rescue, be it there or added by the same call, nor one where failures have a limit",
    promises: [9],
    run: async (world) => {
      const executionId = await world.submit(
        submission([group(tasks(1)), group(tasks(1), { when: "failed" })], { kind: "workflow" }),
      );
      const rescue = add([[]], { when: "failed" });
      await refusedWith("INVALID_REQUEST", () => preview(world, executionId, add([[0], [1]])));
      await refusedWith("INVALID_REQUEST", () => apply(world, executionId, add([[0], [1]])));
      await refusedWith("INVALID_REQUEST", () => apply(world, executionId, rescue, add([[2]])));
      await refusedWith("INVALID_REQUEST", () => apply(world, executionId, rescue, rewire(0, 2)));
      const limited = await world.submit(batch(1, { maxFailures: 1 }));
      await refusedWith("INVALID_REQUEST", () => apply(world, limited, rescue));
      assert.deepEqual(books(await world.counters(executionId)), { total: 2, queued: 1, blocked: 1 });
    },
  },
  {
    name: "an edit after which only a rescue is left, and nothing has failed, ends the execution, as its preview says",
    promises: [2, 6],
    run: async (world) => {
      const groups = [group(tasks(2)), group(tasks(1), { when: "failed" })];
      const executionId = await world.submit(submission(groups));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      const changes = await applyAsPreviewed(world, executionId, remove(1));
      assert.equal(changes.ends, "completed");
      assert.equal((await world.view(executionId)).state, "completed");
      assert.deepEqual(await movesTold(world, executionId, "removed"), ["1 skipped"]);
    },
  },
];

export const editFlowCases: CaseGroup = {
  name: "edits of what waits by itself",
  cases: [...suspensions, ...borne, ...rescues],
};
