/** Ranks and names of tasks: within an execution the highest goes first; between executions nothing changes. */
import assert from "node:assert/strict";
import type { Lease } from "../../../src/broker/contract.ts";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { completed, failed, returned } from "../../support/outcomes.ts";
import { array, batch, group, labelled, ranked, submission, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

const NO_BACKOFF = { ...DEFAULT_RETRY, baseMs: 0, maxMs: 0 };

function numbers(leases: readonly Lease[]): number[] {
  return leases.map(({ task }) => task);
}

/** Tasks in the order in which they are handed out one by one, each finished before the next. */
async function order(worker: FakeWorker): Promise<number[]> {
  const seen: number[] = [];
  for (let leases = await worker.leases(1); leases.length > 0; leases = await worker.leases(1)) {
    seen.push(...numbers(leases));
    await worker.finish(...leases);
  }
  return seen;
}

export const rankCases: CaseGroup = {
  name: "ranks and names of tasks",
  cases: [
    {
      name: "the highest rank goes first, then the lowest number, one by one and in one claim",
      promises: [5],
      run: async (world) => {
        const ranks = [1, 5, 0, 5, 9.5, 2];
        await world.submit(submission([group(ranked(ranks))]));
        const worker = await world.join();
        assert.deepEqual(await order(worker), [4, 1, 3, 5, 0, 2]);
        await world.submit(submission([group(ranked(ranks))]));
        assert.deepEqual(numbers(await worker.leases(4)), [4, 1, 3, 5]);
        assert.deepEqual(numbers(await worker.leases(4)), [0, 2]);
      },
    },
    {
      name: "ranks hold over all groups of an execution",
      promises: [5],
      run: async (world) => {
        const groups = [group(ranked([3, 7, 1])), group(tasks(2)), group(ranked([8, 2, 7])), group(ranked([5]))];
        await world.submit(submission(groups));
        const worker = await world.join();
        assert.deepEqual(numbers(await worker.leases(5)), [5, 1, 7, 8, 0]);
        assert.deepEqual(numbers(await worker.leases(2)), [6, 2]);
        const { leases, specs } = await worker.claim(5);
        assert.deepEqual(numbers(leases), [3, 4]);
        assert.equal(Object.keys(specs).length, 1);
      },
    },
    {
      name: "what needs other capabilities, or another pool, stands in a line of its own",
      promises: [5],
      run: async (world) => {
        const groups = [
          group(ranked([9]), { requires: ["gpu"] }),
          group(ranked([8]), { pool: "other" }),
          group(ranked([1, 2])),
        ];
        await world.submit(submission(groups));
        const worker = await world.join();
        assert.deepEqual(await order(worker), [3, 2]);
      },
    },
    {
      name: "what is released goes by its rank among what is ready",
      promises: [2, 5],
      run: async (world) => {
        await world.submit(submission([group(ranked([9, 1, 5, 3], [[], [], [0], [0]]))]));
        const worker = await world.join();
        assert.deepEqual(await order(worker), [0, 2, 3, 1]);
      },
    },
    {
      name: "what comes back keeps its rank: returned, tried again, lost",
      promises: [3, 5],
      run: async (world) => {
        await world.submit(submission([group(ranked([1, 5, 3]), { retry: NO_BACKOFF }), group(ranked([4]))]));
        const worker = await world.join();
        const first = await worker.take();
        assert.equal(first.task, 1);
        await worker.deliver(returned(first));
        const second = await worker.take();
        assert.deepEqual([second.task, second.attempt], [1, 1]);
        await worker.deliver(failed(second));
        const third = await worker.take();
        assert.deepEqual([third.task, third.attempt], [1, 2]);
        assert.equal((await worker.take()).task, 3);
        await worker.die();
        const heir = await world.join({ worker: "w2" });
        assert.deepEqual(await order(heir), [1, 3, 2, 0]);
      },
    },
    {
      name: "what was backing off is ready again by its rank",
      promises: [5],
      run: async (world) => {
        await world.submit(submission([group(ranked([1, 5, 3]))]));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take()));
        assert.equal((await worker.take()).task, 2);
        await world.advance(5_000);
        await world.promote();
        assert.deepEqual(await order(worker), [1, 0]);
      },
    },
    {
      name: "ranks hold after a pause of the execution",
      promises: [5, 6],
      run: async (world) => {
        const executionId = await world.submit(submission([group(ranked([1, 5])), group(ranked([3, 7]))]));
        const worker = await world.join();
        assert.equal((await worker.take()).task, 3);
        await world.broker.pause({ executionId });
        assert.deepEqual(await worker.leases(5), []);
        await world.broker.resume({ executionId });
        assert.deepEqual(numbers(await worker.leases(5)), [1, 2, 0]);
      },
    },
    {
      name: "ranks hold among tasks that are added later, and when a delay is over",
      promises: [5, 8],
      run: async (world) => {
        const executionId = await world.submit(submission([group(ranked([4]))], { open: true }));
        const groups = [group(ranked([2, 6])), group(ranked([9]), { delayMs: 1_000 })];
        await world.broker.extend({ executionId, part: 1, groups, seal: true });
        const worker = await world.join();
        assert.equal((await worker.take()).task, 2);
        await world.advance(1_000);
        await world.promote();
        assert.deepEqual(await order(worker), [3, 0, 1]);
      },
    },
    {
      name: "between executions ranks mean nothing: priority first, then fair turns",
      promises: [5],
      run: async (world) => {
        const plain = await world.submit(batch(100));
        const high = await world.submit(submission([group(ranked(Array.from({ length: 100 }, (_, index) => index)))]));
        const worker = await world.join();
        const turns: string[] = [];
        for (let round = 0; round < 20; round += 1) {
          const lease = await worker.take();
          turns.push(lease.executionId);
          await worker.finish(lease);
        }
        for (const id of [plain, high]) assert.equal(turns.filter((turn) => turn === id).length, 10);
        const urgent = await world.submit(batch(1, { priority: 9 }));
        assert.equal((await worker.take()).executionId, urgent);
      },
    },
    {
      name: "an array of the same execution goes after what has a rank",
      promises: [5],
      run: async (world) => {
        await world.submit(submission([group(array(4, 2)), group(ranked([1, 2]))]));
        const worker = await world.join();
        const leases = await worker.leases(10);
        assert.deepEqual(
          leases.map(({ task, start }) => [task, start]),
          [
            [2, undefined],
            [1, undefined],
            [0, 0],
            [0, 2],
          ],
        );
      },
    },
    {
      name: "a thousand ranked tasks come in the order of their ranks, whatever the size of the claims",
      promises: [5],
      run: async (world) => {
        const ranks = Array.from({ length: 1_000 }, (_, index) => (index * 7_919) % 1_009);
        await world.submit(submission([group(ranked(ranks))]));
        const worker = await world.join();
        const seen: number[] = [];
        for (let size = 1; seen.length < ranks.length; size = (size * 3) % 61) {
          const leases = await worker.leases(size);
          seen.push(...numbers(leases));
          await worker.finish(...leases);
        }
        const wanted = ranks
          .map((_, task) => task)
          .sort((one, other) => (ranks[other] ?? 0) - (ranks[one] ?? 0) || one - other);
        assert.deepEqual(seen, wanted);
      },
    },
    {
      name: "of ranked tasks those that go first are ahead in line",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(submission([group(ranked([1, 5, 3])), group(ranked([4]))]));
        const ahead = await Promise.all(
          [0, 1, 2, 3].map(async (task) => (await world.broker.explainTask({ executionId, task })).ahead),
        );
        assert.deepEqual(ahead, [3, 0, 2, 1]);
      },
    },
    {
      name: "names and ranks are shown, and the name comes with the lease",
      promises: [10],
      run: async (world) => {
        const work = { ...labelled(["fetch", "build"], [[], [0]]), ranks: [3, 0] };
        const executionId = await world.submit(submission([group(work), group(tasks(1))]));
        const worker = await world.join();
        const lease = await worker.take();
        assert.deepEqual([lease.task, lease.label], [0, "fetch"]);
        const facts = await world.broker.explainTask({ executionId, task: 1 });
        assert.equal(facts.task.label, "build");
        assert.deepEqual(
          facts.waitsFor.map(({ task, label, state }) => [task, label, state]),
          [[0, "fetch", "running"]],
        );
        await worker.deliver({ ...completed(lease), durationMs: 1_234 });
        const { tasks: views } = await world.broker.listTasks({ executionId, limit: 10 });
        assert.deepEqual(
          views.map(({ label, rank, durationMs }) => [label, rank, durationMs]),
          [
            ["fetch", 3, 1_234],
            ["build", undefined, undefined],
            [undefined, undefined, undefined],
          ],
        );
        const next = await worker.leases(5);
        assert.deepEqual(
          new Map(next.map(({ task, label }) => [task, label])),
          new Map([
            [1, "build"],
            [2, undefined],
          ]),
        );
      },
    },
    {
      name: "children are told where they are asked for",
      promises: [10],
      run: async (world) => {
        const groups = [group(tasks(4, [[], [0], [0], [1, 2]])), group(array(4, 4)), group(tasks(1, [[4, 0]]))];
        const executionId = await world.submit(submission(groups));
        const without = await world.broker.listTasks({ executionId, limit: 10 });
        assert.ok(without.tasks.every(({ children }) => children === undefined));
        const { tasks: views } = await world.broker.listTasks({ executionId, limit: 10, children: true });
        assert.deepEqual(
          views.map(({ children }) => children),
          [[1, 2, 5], [3], [3], [], [5], []],
        );
      },
    },
    {
      name: "ranks and names that do not fit the tasks are refused, and nothing is submitted",
      promises: [9],
      run: async (world) => {
        for (const wrong of [{ ranks: [1] }, { labels: ["a", "b", "c"] }, { ranks: [1, -1] }, { ranks: [1, NaN] }])
          await refusedWith("INVALID_REQUEST", () => world.submit(submission([group({ ...tasks(2), ...wrong })])));
        assert.deepEqual((await world.broker.listExecutions({ limit: 10 })).executions, []);
        const executionId = await world.submit(submission([group(ranked([0, Number.MAX_SAFE_INTEGER]))]));
        assert.deepEqual(books(await world.counters(executionId)), { total: 2, queued: 2 });
        assert.deepEqual(await order(await world.join()), [1, 0]);
      },
    },
  ],
};
