/** Why a task does not run: everything that holds it up, told with its task. */
import assert from "node:assert/strict";
import type { TaskFacts } from "../../../src/broker/contract.ts";
import { ALL_POOLS } from "../../../src/broker/contract.ts";
import { MAX_PARENTS_TOLD } from "../../../src/broker/limits.ts";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import { chunkDone, failed, failure, itemFailures } from "../../support/outcomes.ts";
import { array, batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

function explain(world: World, executionId: string, task = 0): Promise<TaskFacts> {
  return world.broker.explainTask({ executionId, task });
}

function parentsOf({ waitsFor }: TaskFacts): unknown[] {
  return waitsFor.map(({ task, name, state }) => [task, name, state]);
}

/** Work as urgent as another's comes in turns; how many of them are left of a turn is the broker's business. */
const A_TURN = 16;

export const explainCases: CaseGroup = {
  name: "why a task waits",
  cases: [
    {
      name: "a task that waits for parents names those that have not completed",
      promises: [10],
      run: async (world) => {
        const groups = [
          group(tasks(3), { name: "first" }),
          group(array(10, 5), { name: "sweep", pool: "qa" }),
          group(tasks(1, [[0, 1, 2, 3]]), { name: "last" }),
        ];
        const executionId = await world.submit(submission(groups));
        const worker = await world.join();
        const leases = await worker.leases(2);
        const one = leases.find(({ task }) => task === 0);
        assert.ok(one !== undefined);
        await worker.finish(one);
        const facts = await explain(world, executionId, 4);
        assert.deepEqual([facts.task.task, facts.task.name, facts.task.state], [4, "last", "blocked"]);
        assert.deepEqual(facts.task, (await world.broker.listTasks({ executionId, limit: 1, after: 3 })).tasks[0]);
        assert.equal(facts.waitsForCount, 3);
        assert.deepEqual(parentsOf(facts), [
          [1, "first", "running"],
          [2, "first", "queued"],
          [3, "sweep", "queued"],
        ]);
      },
    },
    {
      name: "of many parents the first are named and all are counted",
      promises: [9],
      run: async (world) => {
        const count = MAX_PARENTS_TOLD + 10;
        const parents = Array.from({ length: count }, (_, index) => index);
        const groups = [group(tasks(count)), group(tasks(1, [parents]))];
        const executionId = await world.submit(submission(groups));
        const worker = await world.join();
        await worker.finish(...(await worker.leases(5)));
        const facts = await explain(world, executionId, count);
        assert.equal(facts.waitsForCount, count - 5);
        assert.deepEqual(
          facts.waitsFor.map(({ task }) => task),
          parents.slice(5, 5 + MAX_PARENTS_TOLD),
        );
      },
    },
    {
      name: "a skipped task names the parent that will not complete",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(submission([group(tasks(3, [[], [], [0, 1]]))]));
        const worker = await world.join();
        const [one, two] = await worker.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await worker.finish(one);
        await worker.deliver(failed(two, failure("invalid-input")));
        const facts = await explain(world, executionId, 2);
        assert.equal(facts.task.state, "skipped");
        assert.deepEqual(parentsOf(facts), [[1, "work", "failed"]]);
      },
    },
    {
      name: "what starts later says when: delayed groups, and retries that back off",
      promises: [8, 10],
      run: async (world) => {
        const groups = [group(tasks(1)), group(tasks(1), { delayMs: 60_000 }), group(array(5, 5), { delayMs: 30_000 })];
        const executionId = await world.submit(submission(groups));
        const start = world.clock.now();
        const delayed = await explain(world, executionId, 1);
        assert.deepEqual([delayed.task.state, delayed.notBefore], ["scheduled", start + 60_000]);
        assert.equal((await explain(world, executionId, 2)).notBefore, start + 30_000);
        assert.equal((await explain(world, executionId, 0)).notBefore, undefined);
        const worker = await world.join();
        await worker.deliver(failed(await worker.take()));
        const retried = await explain(world, executionId, 0);
        assert.deepEqual([retried.task.state, retried.notBefore], ["scheduled", start + 5_000]);
        await world.advance(5_000);
        await worker.heartbeat();
        await world.promote();
        const due = await explain(world, executionId, 0);
        assert.deepEqual([due.task.state, due.notBefore], ["queued", undefined]);
      },
    },
    {
      name: "an array all of whose items back off says when the first is due",
      promises: [8],
      run: async (world) => {
        const executionId = await world.submit(sweep(2, 1));
        const worker = await world.join();
        await worker.deliver(chunkDone(await worker.take(), itemFailures([0])));
        const start = world.clock.now();
        assert.equal((await explain(world, executionId)).notBefore, undefined, "an item may start now");
        await world.advance(1_000);
        await worker.deliver(chunkDone(await worker.take(), itemFailures([1])));
        const facts = await explain(world, executionId);
        assert.deepEqual([facts.notBefore, facts.waitsForCount], [start + 5_000, 0]);
      },
    },
    {
      name: "it is told what a worker must have",
      promises: [5],
      run: async (world) => {
        const groups = [group(tasks(1), { requires: ["gpu", "ssd"] }), group(array(5, 5), { requires: ["network"] })];
        const executionId = await world.submit(submission(groups));
        assert.deepEqual((await explain(world, executionId, 0)).requires.toSorted(), ["gpu", "ssd"]);
        assert.deepEqual((await explain(world, executionId, 1)).requires, ["network"]);
      },
    },
    {
      name: "it is told who paused the execution, the pool, or every pool",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(1, { name: "nightly", priority: 7 }, { pool: "qa" }));
        const at = world.clock.now();
        await world.join({ pools: ["qa"], slots: 3 });
        const free = await explain(world, executionId);
        assert.deepEqual(free.execution, { executionId, name: "nightly", state: "pending", priority: 7 });
        assert.deepEqual(free.pool, (await world.broker.listPools()).pools[0]);
        assert.deepEqual([free.pool.pool, free.pool.paused, free.pool.slots], ["qa", false, 3]);
        await world.broker.pause({ executionId, by: "ann" });
        const paused = await explain(world, executionId);
        assert.deepEqual([paused.execution.state, paused.execution.paused], ["paused", { by: "ann", at }]);
        await world.broker.resume({ executionId });
        await world.broker.pausePool({ pool: ALL_POOLS, by: "bob" });
        const all = await explain(world, executionId);
        assert.deepEqual([all.pool.paused, all.pool.pause], [true, { by: "bob", at }]);
        await world.broker.pausePool({ pool: "qa", by: "cleo" });
        assert.equal((await explain(world, executionId)).pool.pause?.by, "cleo");
      },
    },
    {
      name: "what comes first in its own execution is counted",
      promises: [5],
      run: async (world) => {
        const groups = [group(tasks(10)), group(array(100, 10)), group(tasks(10)), group(tasks(5), { pool: "qa" })];
        const executionId = await world.submit(submission(groups));
        assert.equal((await explain(world, executionId, 0)).ahead, 0);
        assert.equal((await explain(world, executionId, 7)).ahead, 7);
        assert.equal((await explain(world, executionId, 10)).ahead, 10);
        assert.equal((await explain(world, executionId, 15)).ahead, 114);
        assert.equal((await explain(world, executionId, 23)).ahead, 2);
        const worker = await world.join();
        const leases = await worker.leases(5);
        assert.equal((await explain(world, executionId, 7)).ahead, 2);
        await worker.finish(...leases);
        assert.equal((await explain(world, executionId, 7)).ahead, 2);
      },
    },
    {
      name: "more urgent work comes first, less urgent and paused work does not, as urgent work takes turns",
      promises: [5],
      run: async (world) => {
        const executionId = await world.submit(batch(100, { priority: 5 }));
        await world.submit(batch(30, { priority: 4 }));
        await world.submit(batch(30, { priority: 9 }, { pool: "qa" }));
        assert.equal((await explain(world, executionId, 50)).ahead, 50);
        const paused = await world.submit(batch(20, { priority: 8 }));
        assert.equal((await explain(world, executionId, 50)).ahead, 70);
        await world.broker.pause({ executionId: paused });
        assert.equal((await explain(world, executionId, 50)).ahead, 50);
        await world.submit(batch(1_000, { priority: 5 }));
        const { ahead } = await explain(world, executionId, 50);
        assert.ok(ahead >= 100 - A_TURN && ahead <= 100 + A_TURN, `${ahead} ahead`);
        const short = await world.submit(batch(1, { priority: 5 }));
        const first = (await explain(world, short)).ahead;
        assert.ok(first <= 2 * A_TURN, `${first} ahead of the only task`);
      },
    },
    {
      name: "nothing is ahead of what runs, has ended, or waits for something else",
      promises: [5],
      run: async (world) => {
        await world.submit(batch(10, { priority: 9 }, { requires: ["gpu"] }));
        const executionId = await world.submit(submission([group(tasks(4, [[], [], [0], []]))]));
        const worker = await world.join();
        const [one, two] = await worker.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await worker.deliver(failed(two));
        const aheadOf = async (task: number): Promise<number> => (await explain(world, executionId, task)).ahead;
        assert.deepEqual([await aheadOf(0), await aheadOf(1), await aheadOf(2)], [0, 0, 0]);
        await worker.finish(one);
        const facts = await explain(world, executionId, 0);
        assert.deepEqual([facts.task.state, facts.ahead, facts.waitsForCount], ["completed", 0, 0]);
        await world.broker.cancel({ executionId });
        const cancelled = await explain(world, executionId, 3);
        assert.deepEqual(
          [cancelled.task.state, cancelled.execution.state, cancelled.ahead],
          ["cancelled", "cancelled", 0],
        );
        assert.equal((await explain(world, executionId, 1)).notBefore, undefined);
      },
    },
    {
      name: "an array is explained like a task",
      promises: [5],
      run: async (world) => {
        const executionId = await world.submit(sweep(1_000_000_000, 10));
        const worker = await world.join();
        await worker.take();
        const facts = await explain(world, executionId);
        assert.deepEqual([facts.task.state, facts.task.items?.running, facts.ahead], ["running", 10, 0]);
        assert.equal(facts.pool.queued, 999_999_990);
      },
    },
    {
      name: "a task that runs says since when, and every task how often it is tried again",
      promises: [10],
      run: async (world) => {
        const retry = { ...DEFAULT_RETRY, limit: 7 };
        const executionId = await world.submit(batch(2, {}, { retry }));
        const worker = await world.join();
        const lease = await worker.take();
        const running = await explain(world, executionId, lease.task);
        assert.deepEqual([typeof running.runningSince, running.retryLimit], ["number", 7]);
        const queued = await explain(world, executionId, 1 - lease.task);
        assert.deepEqual([queued.runningSince, queued.retryLimit], [undefined, 7]);
        await worker.finish(lease);
        assert.equal((await explain(world, executionId, lease.task)).runningSince, undefined);
      },
    },
    {
      name: "what is unknown is not explained",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(batch(2));
        await refusedWith("TASK_UNKNOWN", () => explain(world, executionId, 2));
        await refusedWith("EXECUTION_NOT_FOUND", () => explain(world, "nobody"));
      },
    },
  ],
};
