/** Limits of pools: how many of a pool's workers get its work, who stands by, and who takes over. */
import assert from "node:assert/strict";
import { ALL_POOLS, type LimitPoolParams, type PoolView } from "../../../src/broker/contract.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { returned } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

/** `count` workers of the default pool, in the order in which they come. */
async function joinAll(world: World, count: number): Promise<FakeWorker[]> {
  const workers: FakeWorker[] = [];
  for (let at = 1; at <= count; at += 1) workers.push(await world.join({ worker: `w${at}` }));
  return workers;
}

/** Which of the workers get a task now; they hand it back. */
async function active(workers: readonly FakeWorker[]): Promise<string[]> {
  const served: string[] = [];
  for (const worker of workers) {
    const [lease] = await worker.leases(1);
    if (lease === undefined) continue;
    served.push(worker.name);
    await worker.deliver(returned(lease));
  }
  return served;
}

async function limits(world: World, pool: string): Promise<Pick<PoolView, "sessions" | "standby" | "min" | "max">> {
  const view = (await world.broker.listPools()).pools.find((one) => one.pool === pool);
  assert.ok(view !== undefined, `pool ${pool} is listed`);
  const { sessions, standby, min, max } = view;
  return { sessions, standby, min, ...(max === undefined ? {} : { max }) };
}

export const poolLimitCases: CaseGroup = {
  name: "limits of pools",
  cases: [
    {
      name: "of a pool's workers as many get work as its limit says, those that came first",
      promises: [6],
      run: async (world) => {
        await world.submit(batch(9));
        const workers = await joinAll(world, 4);
        assert.deepEqual(await active(workers), ["w1", "w2", "w3", "w4"]);
        const view = await world.broker.limitPool({ pool: "default", min: 1, max: 2 });
        assert.deepEqual([view.pool, view.sessions, view.standby, view.min, view.max], ["default", 4, 2, 1, 2]);
        assert.deepEqual(await limits(world, "default"), { sessions: 4, standby: 2, min: 1, max: 2 });
        assert.deepEqual(await active(workers), ["w1", "w2"]);
        assert.deepEqual(await active([...workers].reverse()), ["w2", "w1"], "it does not matter who asks first");
      },
    },
    {
      name: "when one leaves or dies, the first that stands by takes over",
      promises: [3, 6],
      run: async (world) => {
        await world.submit(batch(9));
        await world.broker.limitPool({ pool: "default", min: 0, max: 2 });
        const workers = await joinAll(world, 5);
        const [first, second, third] = workers;
        assert.ok(first !== undefined && second !== undefined && third !== undefined);
        await first.leave();
        assert.deepEqual(await active(workers.slice(1)), ["w2", "w3"]);
        await second.die();
        assert.deepEqual(await active(workers.slice(2)), ["w3", "w4"]);
        await world.advance(60_000);
        await Promise.all([third.heartbeat(), workers[4]?.heartbeat()]);
        assert.equal((await world.reap()).handled, 1);
        assert.deepEqual(await active([third, ...workers.slice(4)]), ["w3", "w5"]);
        assert.deepEqual(await limits(world, "default"), { sessions: 2, standby: 0, min: 0, max: 2 });
      },
    },
    {
      name: "a worker that stands by and waits is served in the step that lets it",
      promises: [2, 6],
      run: async (world) => {
        await world.broker.limitPool({ pool: "default", min: 0, max: 1 });
        const [first, second, third] = await joinAll(world, 3);
        assert.ok(first !== undefined && second !== undefined && third !== undefined);
        const waiting = second.waitForWork(30_000);
        const last = third.waitForWork(30_000);
        await world.submit(batch(5));
        await world.settle();
        assert.deepEqual([waiting.state, last.state], ["waiting", "waiting"]);
        await first.leave();
        assert.equal((await waiting.promise).leases.length, 1);
        await world.settle();
        assert.equal(last.state, "waiting");
        await world.broker.limitPool({ pool: "default", min: 0, max: 2 });
        assert.equal((await last.promise).leases.length, 1);
      },
    },
    {
      name: "what a dead worker ran goes to the one that takes over, which waits for it",
      promises: [2, 3],
      run: async (world) => {
        await world.broker.limitPool({ pool: "default", min: 0, max: 1 });
        const [first, second] = await joinAll(world, 2);
        assert.ok(first !== undefined && second !== undefined);
        await world.submit(batch(1));
        await first.take();
        const waiting = second.waitForWork(30_000);
        await world.settle();
        await first.die();
        const { leases } = await waiting.promise;
        assert.deepEqual(
          leases.map(({ task, attempt }) => [task, attempt]),
          [[0, 2]],
        );
        await second.finish(...leases);
      },
    },
    {
      name: "limits are raised, lowered and taken back while workers are there; what runs finishes",
      promises: [1, 6],
      run: async (world) => {
        const executionId = await world.submit(batch(6));
        const workers = await joinAll(world, 3);
        const [, second] = workers;
        assert.ok(second !== undefined);
        const running = await second.take();
        await world.broker.limitPool({ pool: "default", min: 0, max: 1 });
        assert.deepEqual(await active(workers), ["w1"]);
        assert.deepEqual((await second.heartbeat(1)).cancel, []);
        await second.finish(running);
        await world.broker.limitPool({ pool: "default", min: 0, max: 3 });
        assert.deepEqual(await active(workers), ["w1", "w2", "w3"]);
        await world.broker.limitPool({ pool: "default", min: 0, max: 2 });
        assert.deepEqual(await active(workers), ["w1", "w2"]);
        const view = await world.broker.limitPool({ pool: "default", min: 0 });
        assert.deepEqual([view.max, view.standby], [undefined, 0]);
        assert.deepEqual(await active(workers), ["w1", "w2", "w3"]);
        assert.equal((await world.counters(executionId)).completed, 1);
      },
    },
    {
      name: "with a limit of 0 nobody gets work of the pool",
      promises: [6],
      run: async (world) => {
        await world.submit(batch(2));
        const workers = await joinAll(world, 2);
        const view = await world.broker.limitPool({ pool: "default", min: 0, max: 0 });
        assert.deepEqual([view.standby, view.max], [2, 0]);
        assert.deepEqual(await active(workers), []);
        await world.broker.limitPool({ pool: "default", min: 0, max: 1 });
        assert.deepEqual(await active(workers), ["w1"]);
      },
    },
    {
      name: "a worker of two pools stands by in one and works in the other",
      promises: [5, 6],
      run: async (world) => {
        await world.submit(batch(3, { name: "train" }, { pool: "train" }));
        await world.submit(batch(3, { name: "qa" }, { pool: "qa" }));
        await world.broker.limitPool({ pool: "qa", min: 0, max: 1 });
        await world.broker.limitPool({ pool: "train", min: 0, max: 2 });
        const tester = await world.join({ worker: "tester", pools: ["qa"] });
        const both = await world.join({ worker: "both", pools: ["qa", "train"] });
        const third = await world.join({ worker: "third", pools: ["train", "qa", "qa"] });
        const served = async (worker: FakeWorker): Promise<string[]> => {
          const { leases, specs } = await worker.claim(9);
          await worker.deliver(...leases.map(returned));
          return [...new Set(leases.map(({ executionId }) => executionId))].concat(
            Object.keys(specs).length === 0 ? ["nothing"] : [],
          );
        };
        const idOf = async (name: string): Promise<string> => {
          const [execution] = (await world.broker.listExecutions({ limit: 9, name })).executions;
          assert.ok(execution !== undefined);
          return execution.executionId;
        };
        const train = await idOf("train");
        const qa = await idOf("qa");
        assert.deepEqual(await served(tester), [qa]);
        assert.deepEqual(await served(both), [train]);
        assert.deepEqual(await served(third), [train]);
        assert.deepEqual(await limits(world, "qa"), { sessions: 3, standby: 2, min: 0, max: 1 });
        await tester.leave();
        assert.deepEqual((await served(both)).toSorted(), [qa, train].toSorted());
        assert.deepEqual(await served(third), [train]);
        await both.leave();
        assert.deepEqual((await served(third)).toSorted(), [qa, train].toSorted());
        assert.deepEqual(await limits(world, "qa"), { sessions: 1, standby: 0, min: 0, max: 1 });
      },
    },
    {
      name: "a pool is limited before anybody has named it; limits stay when its workers go",
      promises: [6, 7],
      run: async (world) => {
        for (let repeat = 0; repeat < 2; repeat += 1) await world.broker.limitPool({ pool: "default", min: 1, max: 1 });
        assert.deepEqual(await limits(world, "default"), { sessions: 0, standby: 0, min: 1, max: 1 });
        await world.submit(batch(4));
        const before = await joinAll(world, 2);
        assert.deepEqual(await active(before), ["w1"]);
        for (const worker of before) await worker.leave();
        assert.deepEqual(await active(await joinAll(world, 3)), ["w1"]);
        await world.broker.pausePool({ pool: "default" });
        const resumed = await world.broker.resumePool({ pool: "default" });
        assert.deepEqual([resumed.min, resumed.max, resumed.standby], [1, 1, 2]);
      },
    },
    {
      name: "the least that a pool should have is only told",
      promises: [6],
      run: async (world) => {
        await world.submit(batch(2));
        await world.broker.limitPool({ pool: "default", min: 3 });
        const workers = await joinAll(world, 1);
        assert.deepEqual(await active(workers), ["w1"]);
        assert.deepEqual(await limits(world, "default"), { sessions: 1, standby: 0, min: 3 });
      },
    },
    {
      name: "copies of verified chunks wait for a worker that does not stand by",
      promises: [6],
      run: async (world) => {
        await world.submit(sweep(10, 10, { verify: { sample: 1, replicas: 2, tolerance: 0, seed: 1 } }));
        const [first, second] = await joinAll(world, 2);
        assert.ok(first !== undefined && second !== undefined);
        await world.broker.limitPool({ pool: "default", min: 0, max: 1 });
        await first.finish(await first.take());
        assert.deepEqual(await second.leases(5), []);
        await world.broker.limitPool({ pool: "default", min: 0, max: 2 });
        assert.equal((await second.take()).replica, 1);
      },
    },
    {
      name: "a limit below its least, of all pools, or that is no number of workers is refused",
      promises: [9],
      run: async (world) => {
        const wrong: readonly LimitPoolParams[] = [
          { pool: "default", min: 2, max: 1 },
          { pool: ALL_POOLS, min: 0, max: 1 },
          { pool: "default", min: -1 },
          { pool: "default", min: 0, max: 1.5 },
          { pool: "", min: 0 },
        ];
        for (const params of wrong) await refusedWith("INVALID_REQUEST", () => world.broker.limitPool(params));
        assert.deepEqual((await world.broker.listPools()).pools, []);
      },
    },
  ],
};
