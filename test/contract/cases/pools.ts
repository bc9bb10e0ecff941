/** Pools as people see and stop them: who paused what, all of them at once, and what each has done. */
import assert from "node:assert/strict";
import type { PoolView } from "../../../src/broker/contract.ts";
import { ALL_POOLS } from "../../../src/broker/contract.ts";
import { chunkDone, done, failed, failure, itemFailures } from "../../support/outcomes.ts";
import { array, batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

async function poolsOf(world: World): Promise<PoolView[]> {
  return [...(await world.broker.listPools()).pools].toSorted((one, other) => one.pool.localeCompare(other.pool));
}

async function poolOf(world: World, name: string): Promise<PoolView> {
  const pool = (await poolsOf(world)).find((one) => one.pool === name);
  assert.ok(pool !== undefined, `pool ${name} is listed`);
  return pool;
}

/** The numbers that are not zero. */
function amounts(view: PoolView): Partial<PoolView> {
  const entries = Object.entries(view).filter(([, value]) => typeof value === "number" && value > 0);
  return Object.fromEntries(entries);
}

export const poolCases: CaseGroup = {
  name: "pools",
  cases: [
    {
      name: "it is seen who paused an execution, and when; resuming forgets it",
      promises: [6, 7],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        assert.equal((await world.view(executionId)).paused, undefined);
        const at = world.clock.now();
        const paused = await world.broker.pause({ executionId, by: "ann" });
        assert.deepEqual(paused.paused, { by: "ann", at });
        await world.advance(1_000);
        await world.broker.pause({ executionId, by: "bob" });
        assert.deepEqual((await world.view(executionId)).paused, { by: "ann", at }, "the first pause counts");
        assert.equal((await world.broker.resume({ executionId, by: "cleo" })).paused, undefined);
        await world.broker.pause({ executionId });
        const listed = (await world.broker.listExecutions({ limit: 10 })).executions[0];
        assert.deepEqual(listed?.paused, { at: world.clock.now() });
        await world.broker.cancel({ executionId });
        assert.equal((await world.view(executionId)).paused, undefined, "what has ended is not paused");
      },
    },
    {
      name: "it is seen who paused a pool, and when; resuming forgets it",
      promises: [6, 7],
      run: async (world) => {
        await world.submit(batch(1, {}, { pool: "qa" }));
        const at = world.clock.now();
        const paused = await world.broker.pausePool({ pool: "qa", by: "ann" });
        assert.deepEqual([paused.paused, paused.pause], [true, { by: "ann", at }]);
        await world.advance(1_000);
        await world.broker.pausePool({ pool: "qa", by: "bob" });
        assert.deepEqual((await poolOf(world, "qa")).pause, { by: "ann", at });
        const resumed = await world.broker.resumePool({ pool: "qa" });
        assert.deepEqual([resumed.paused, resumed.pause], [false, undefined]);
        await world.broker.pausePool({ pool: "qa" });
        assert.deepEqual((await poolOf(world, "qa")).pause, { at: world.clock.now() });
      },
    },
    {
      name: "with all pools paused nothing is given out anywhere, in pools that come later neither",
      promises: [6],
      run: async (world) => {
        await world.submit(batch(1));
        const at = world.clock.now();
        const all = await world.broker.pausePool({ pool: ALL_POOLS, by: "ann" });
        assert.deepEqual([all.pool, all.paused, all.pause, all.queued], [ALL_POOLS, true, { by: "ann", at }, 1]);
        await world.submit(batch(1, {}, { pool: "late" }));
        const worker = await world.join({ pools: ["default", "late"] });
        assert.deepEqual(await worker.leases(5), []);
        assert.deepEqual(
          (await poolsOf(world)).map(({ pool, paused, pause }) => [pool, paused, pause]),
          [
            ["default", true, { by: "ann", at }],
            ["late", true, { by: "ann", at }],
          ],
        );
        const resumed = await world.broker.resumePool({ pool: ALL_POOLS });
        assert.deepEqual([resumed.paused, resumed.pause, resumed.queued], [false, undefined, 2]);
        assert.equal((await worker.leases(5)).length, 2);
      },
    },
    {
      name: "workers that wait are served when all pools are resumed, not before",
      promises: [6],
      run: async (world) => {
        const worker = await world.join();
        await world.broker.pausePool({ pool: ALL_POOLS });
        const waiting = worker.waitForWork(20_000);
        await world.settle();
        await world.submit(batch(1));
        await world.settle();
        assert.equal(waiting.state, "waiting");
        await world.broker.resumePool({ pool: ALL_POOLS });
        assert.equal((await waiting.promise).leases.length, 1);
      },
    },
    {
      name: "a pool that is paused itself stays so when all are resumed, and the other way round",
      promises: [6],
      run: async (world) => {
        await world.submit(batch(1, {}, { pool: "qa" }));
        await world.submit(batch(1));
        const worker = await world.join({ pools: ["qa", "default"] });
        await world.broker.pausePool({ pool: "qa", by: "ann" });
        await world.broker.pausePool({ pool: ALL_POOLS, by: "bob" });
        assert.equal((await poolOf(world, "qa")).pause?.by, "ann");
        assert.equal((await poolOf(world, "default")).pause?.by, "bob");
        await world.broker.resumePool({ pool: ALL_POOLS });
        assert.deepEqual([(await poolOf(world, "qa")).paused, (await poolOf(world, "default")).paused], [true, false]);
        assert.equal((await worker.leases(5)).length, 1);
        await world.broker.pausePool({ pool: ALL_POOLS, by: "bob" });
        const still = await world.broker.resumePool({ pool: "qa" });
        assert.deepEqual([still.paused, still.pause?.by], [true, "bob"]);
        assert.deepEqual(await worker.leases(5), []);
        await world.broker.resumePool({ pool: ALL_POOLS });
        assert.equal((await worker.leases(5)).length, 1);
      },
    },
    {
      name: "what runs finishes while all pools are paused; pausing and resuming all twice is harmless",
      promises: [6, 7],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const worker = await world.join();
        const lease = await worker.take();
        for (let repeat = 0; repeat < 2; repeat += 1) await world.broker.pausePool({ pool: ALL_POOLS });
        const reply = await worker.reportAndClaim([done(lease)], 5);
        assert.deepEqual([reply.verdicts, reply.leases], [["accepted"], []]);
        for (let repeat = 0; repeat < 2; repeat += 1) await world.broker.resumePool({ pool: ALL_POOLS });
        await worker.finish(await worker.take());
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "copies of verified chunks wait too while all pools are paused",
      promises: [6],
      run: async (world) => {
        const verify = { sample: 1, replicas: 2, tolerance: 0, seed: 1 };
        await world.submit(sweep(10, 10, { verify }));
        const first = await world.join({ worker: "first" });
        const second = await world.join({ worker: "second" });
        await first.finish(await first.take());
        await world.broker.pausePool({ pool: ALL_POOLS });
        assert.deepEqual(await second.leases(5), []);
        await world.broker.resumePool({ pool: ALL_POOLS });
        assert.equal((await second.take()).replica, 1);
      },
    },
    {
      name: "the name of all pools is no pool's name",
      promises: [9],
      run: async (world) => {
        const { broker } = world;
        const foul = group(tasks(1), { pool: ALL_POOLS });
        await refusedWith("INVALID_REQUEST", () => world.submit(submission([foul])));
        const executionId = await world.submit(batch(1, { open: true }));
        await refusedWith("INVALID_REQUEST", () => broker.extend({ executionId, part: 1, groups: [foul], seal: true }));
        await refusedWith("INVALID_REQUEST", () => world.join({ pools: ["default", ALL_POOLS] }));
        assert.deepEqual((await broker.listSessions({ limit: 10 })).sessions, []);
        assert.deepEqual(
          (await poolsOf(world)).map(({ pool }) => pool),
          ["default"],
        );
      },
    },
    {
      name: "pools count items by state, of executions that have not ended",
      promises: [9],
      run: async (world) => {
        const groups = [group(tasks(4, [[], [], [0], [2]])), group(array(100, 10), { pool: "qa" })];
        const id = await world.submit(submission(groups));
        const other = await world.submit(batch(3, { priority: 1 }));
        await world.submit(batch(2, {}, { pool: "qa", delayMs: 60_000 }));
        assert.deepEqual(amounts(await poolOf(world, "default")), { blocked: 2, queued: 5 });
        assert.deepEqual(amounts(await poolOf(world, "qa")), { scheduled: 2, queued: 100 });
        const worker = await world.join();
        const tester = await world.join({ worker: "tester", pools: ["qa"], slots: 4 });
        const [one, two] = await worker.leases(2);
        const chunk = await tester.take();
        assert.ok(one !== undefined && two !== undefined);
        assert.deepEqual(amounts(await poolOf(world, "default")), {
          blocked: 2,
          queued: 3,
          running: 2,
          sessions: 1,
          slots: 1,
        });
        await worker.deliver(failed(two));
        await worker.finish(one);
        await tester.deliver(chunkDone(chunk, itemFailures([1, 2], "invalid-input")));
        const serving = { sessions: 1, slots: 1 };
        const now = { blocked: 1, scheduled: 1, queued: 4, completed: 1, ...serving };
        assert.deepEqual(amounts(await poolOf(world, "default")), now);
        const inQa = { scheduled: 2, queued: 90, completed: 8, failed: 2, sessions: 1, slots: 4 };
        assert.deepEqual(amounts(await poolOf(world, "qa")), inQa);
        await world.broker.cancel({ executionId: id });
        assert.deepEqual(amounts(await poolOf(world, "default")), { queued: 3, completed: 1, ...serving });
        await world.broker.cancel({ executionId: other });
        assert.deepEqual(amounts(await poolOf(world, "default")), { completed: 1, ...serving });
      },
    },
    {
      name: "what a pool has done is counted for good, through replays, reruns and purges",
      promises: [9],
      run: async (world) => {
        const changes = { retentionMs: 1_000, keepInputs: true };
        const executionId = await world.submit(batch(3, changes));
        const worker = await world.join();
        const [one, two, three] = await worker.leases(3);
        assert.ok(one !== undefined && two !== undefined && three !== undefined);
        await worker.finish(one, two);
        await worker.deliver(failed(three, failure("invalid-input")));
        const done3 = async (): Promise<unknown> => {
          const { completed, failed: dead, queued } = await poolOf(world, "default");
          return { completed, failed: dead, queued };
        };
        assert.deepEqual(await done3(), { completed: 2, failed: 1, queued: 0 });
        await world.broker.retry({ executionId });
        assert.deepEqual(await done3(), { completed: 2, failed: 1, queued: 1 });
        await worker.finish(await worker.take());
        assert.deepEqual(await done3(), { completed: 3, failed: 1, queued: 0 });
        await world.broker.rerun({ executionId, task: 0 });
        await worker.finish(await worker.take());
        assert.deepEqual(await done3(), { completed: 4, failed: 1, queued: 0 });
        await world.advance(1_001);
        for (let more = true; more;) more = (await world.broker.purge({ limit: 100 })).more;
        assert.deepEqual((await world.broker.listExecutions({ limit: 10 })).executions, []);
        assert.deepEqual(await done3(), { completed: 4, failed: 1, queued: 0 });
      },
    },
    {
      name: "pools count what waits again when an execution runs again",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(batch(10, { maxFailures: 1 }));
        const worker = await world.join();
        const [dead] = await worker.leases(2);
        assert.ok(dead !== undefined);
        await worker.deliver(failed(dead, failure("invalid-input")));
        assert.deepEqual(amounts(await poolOf(world, "default")), { failed: 1, sessions: 1, slots: 1 });
        await world.broker.retry({ executionId });
        assert.deepEqual(amounts(await poolOf(world, "default")), { queued: 10, failed: 1, sessions: 1, slots: 1 });
      },
    },
    {
      name: "pools count live workers and their slots",
      promises: [4],
      run: async (world) => {
        const one = await world.join({ worker: "one", pools: ["default", "qa"], slots: 3 });
        const two = await world.join({ worker: "two", slots: 5 });
        const serving = async (name: string): Promise<number[]> => {
          const { sessions, slots } = await poolOf(world, name);
          return [sessions, slots];
        };
        assert.deepEqual(
          [await serving("default"), await serving("qa")],
          [
            [2, 8],
            [1, 3],
          ],
        );
        await one.leave();
        await two.die();
        const left = await poolsOf(world);
        assert.ok(left.every((pool) => pool.sessions === 0 && pool.slots === 0));
      },
    },
    {
      name: "all pools together are told in sum",
      promises: [9],
      run: async (world) => {
        await world.submit(batch(3));
        await world.submit(batch(2, {}, { pool: "qa" }));
        const worker = await world.join({ pools: ["default", "qa"], slots: 2 });
        await worker.finish(await worker.take());
        const view = await world.broker.resumePool({ pool: ALL_POOLS });
        assert.deepEqual(view, {
          pool: ALL_POOLS,
          paused: false,
          blocked: 0,
          scheduled: 0,
          queued: 4,
          running: 0,
          completed: 1,
          failed: 0,
          sessions: 1,
          slots: 2,
          standby: 0,
          min: 0,
        });
      },
    },
  ],
};
