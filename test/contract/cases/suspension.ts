/** Tasks that suspend themselves: for a time, or until tasks that they add have completed. They hold no worker meanwhile. */
import assert from "node:assert/strict";
import type { Lease, TaskGroup, TaskView } from "../../../src/broker/contract.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import {
  completed,
  failed,
  failure,
  returned,
  skipped,
  suspended,
  untilDelay,
  untilTasks,
} from "../../support/outcomes.ts";
import { array, batch, group, tasks, workflow } from "../../support/submissions.ts";
import { allEvents, allTasks } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, type World } from "../world.ts";

const HOPELESS = failure("invalid-input", "no good");

async function take(worker: FakeWorker, task: number): Promise<Lease> {
  const lease = await worker.take();
  assert.equal(lease.task, task);
  return lease;
}

async function statesOf(world: World, executionId: string): Promise<TaskView["state"][]> {
  return (await allTasks(world.broker, executionId)).map(({ state }) => state);
}

async function viewOf(world: World, executionId: string, task: number): Promise<TaskView> {
  const [view] = (await world.broker.listTasks({ executionId, limit: 1, after: task - 1 })).tasks;
  assert.ok(view !== undefined);
  return view;
}

/** States that events tell of a task, with their reasons. */
async function toldOf(world: World, executionId: string, task: number): Promise<unknown[]> {
  return (await allEvents(world.broker, executionId)).flatMap(({ change }) =>
    change.kind === "tasks" && change.tasks.includes(task) ? [[change.state, change.reason]] : [],
  );
}

/** One task of `keepInputs` and what the first attempt of it has added. */
async function suspendedOn(
  world: World,
  groups: readonly TaskGroup[],
): Promise<{ executionId: string; worker: FakeWorker; lease: Lease }> {
  const executionId = await world.submit(workflow([[], [0]], { keepInputs: true }));
  const worker = await world.join();
  const lease = await take(worker, 0);
  await worker.deliver(untilTasks(lease, groups));
  return { executionId, worker, lease };
}

const delays: CaseGroup["cases"] = [
  {
    name: "a task that suspends itself for a time is scheduled, and goes on with its state",
    promises: [2, 8],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0]]));
      const worker = await world.join();
      const first = await take(worker, 0);
      assert.equal(first.resumed, undefined);
      await worker.deliver(suspended(first, { kind: "delay", delayMs: 2_000 }, '{"at":1}'));
      assert.deepEqual(books(await world.counters(executionId)), { total: 2, scheduled: 1, blocked: 1 });
      const view = await viewOf(world, executionId, 0);
      assert.deepEqual([view.suspended, view.notBefore], [{ until: "delay" }, world.clock.now() + 2_000]);
      assert.deepEqual([view.failures, view.losses], [0, 0]);
      await world.advance(1_999);
      await world.promote();
      assert.deepEqual(await worker.leases(), []);
      await world.advance(1);
      await world.promote();
      const second = await take(worker, 0);
      assert.deepEqual([second.attempt, second.input, second.resumed], [2, "0", { state: '{"at":1}' }]);
      assert.equal((await viewOf(world, executionId, 0)).suspended, undefined);
      await worker.finish(second);
      await worker.finish(await take(worker, 1));
      const end = await world.view(executionId);
      assert.deepEqual([end.state, end.retries, end.lostAttempts], ["completed", 0, 0]);
      assert.deepEqual(await toldOf(world, executionId, 0), [
        ["running", undefined],
        ["scheduled", "suspended"],
        ["queued", "due"],
        ["running", undefined],
        ["completed", undefined],
      ]);
    },
  },
  {
    name: "when it is due is known to who asks when to look again",
    promises: [8],
    run: async (world) => {
      await world.submit(batch(1));
      const worker = await world.join();
      await worker.deliver(untilDelay(await worker.take(), 3_000));
      assert.equal((await world.promote()).nextAt, world.clock.now() + 3_000);
    },
  },
  {
    name: "the attempt that goes on may be lost, returned, or fail: the next gets the same",
    promises: [3],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      await worker.deliver(suspended(await worker.take(), { kind: "delay", delayMs: 1_000 }, '"here"'));
      await world.advance(1_000);
      await world.promote();
      const resumed = { state: '"here"' };
      const first = await worker.take();
      assert.deepEqual([first.attempt, first.resumed], [2, resumed]);
      await worker.deliver(returned(first));
      const second = await worker.take();
      assert.deepEqual([second.attempt, second.resumed], [2, resumed]);
      await worker.die();
      const heir = await world.join({ worker: "w2" });
      const third = await heir.take();
      assert.deepEqual([third.attempt, third.resumed], [3, resumed]);
      await heir.deliver(failed(third));
      await world.advance(5_000);
      await world.promote();
      const fourth = await heir.take();
      assert.deepEqual([fourth.attempt, fourth.resumed], [4, resumed]);
      await heir.deliver(failed(fourth, HOPELESS));
      await world.broker.retry({ executionId });
      const fifth = await heir.take();
      assert.deepEqual(fifth.resumed, resumed);
      await heir.finish(fifth);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "again and again: the latest suspension is what counts",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      for (let round = 1; round <= 4; round += 1) {
        const lease = await worker.take();
        assert.deepEqual(lease.resumed, round === 1 ? undefined : { state: String(round - 1) });
        assert.equal(lease.attempt, round);
        await worker.deliver(suspended(lease, { kind: "delay", delayMs: 100 }, String(round)));
        await world.advance(100);
        await world.promote();
      }
      await worker.finish(await worker.take());
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "what its attempts printed is remembered, with how each of them ended",
    promises: [10],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      const output = { stdout: "said", stderr: "", truncated: false };
      await worker.deliver({ ...untilDelay(await worker.take(), 1_000), output });
      await world.advance(1_000);
      await world.promote();
      await worker.deliver({ ...skipped(await worker.take()), output });
      const { attempts } = await world.broker.listAttempts({ executionId, limit: 10 });
      assert.deepEqual(
        attempts.map(({ attempt, outcome, output: printed }) => [attempt, outcome, printed?.stdout]),
        [
          [2, "skipped", "said"],
          [1, "suspended", "said"],
        ],
      );
    },
  },
  {
    name: "it counts once: sent again it is accepted without effect, and a late worker's is refused and adds nothing",
    promises: [1, 7],
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      const worker = await world.join();
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      const outcome = untilTasks(one, [group(tasks(2))]);
      await worker.deliver(outcome);
      await worker.deliver(outcome);
      assert.deepEqual(books(await world.counters(executionId)), { total: 4, blocked: 1, queued: 2, running: 1 });
      assert.deepEqual(await worker.report(completed(one)), ["refused"]);
      await worker.die();
      const heir = await world.join({ worker: "w2" });
      assert.deepEqual(await heir.report(untilTasks(two, [group(tasks(5))])), ["refused"]);
      assert.equal((await world.counters(executionId)).total, 4);
    },
  },
  {
    name: "a paused or cancelled execution does not go on; a suspended task is cancelled like what waits",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(batch(1));
      const worker = await world.join();
      await worker.deliver(untilDelay(await worker.take(), 1_000));
      await world.broker.pause({ executionId });
      await world.advance(1_000);
      await world.promote();
      assert.deepEqual(await worker.leases(), []);
      await world.broker.resume({ executionId });
      await worker.deliver(untilTasks(await worker.take(), [group(tasks(1))]));
      await world.broker.cancel({ executionId });
      assert.deepEqual(books(await world.counters(executionId)), { total: 2, cancelled: 2 });
      assert.deepEqual(await statesOf(world, executionId), ["cancelled", "cancelled"]);
      assert.equal((await viewOf(world, executionId, 0)).suspended, undefined);
    },
  },
];

const additions: CaseGroup["cases"] = [
  {
    name: "a task adds tasks and goes on with their results when they have completed",
    promises: [2],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0], [1]]));
      const worker = await world.join();
      await worker.deliver(completed(await take(worker, 0), '"root"'));
      const lease = await take(worker, 1);
      const reply = await worker.reportAndClaim(
        [untilTasks(lease, [group(tasks(2)), group(tasks(1, [[0, 1]]))], '"s"')],
        5,
      );
      assert.deepEqual(reply.verdicts, ["accepted"]);
      assert.deepEqual(
        reply.leases.map(({ task, input, parents }) => [task, input, parents]),
        [
          [3, "0", undefined],
          [4, "1", undefined],
        ],
      );
      assert.deepEqual(books(await world.counters(executionId)), { total: 6, completed: 1, blocked: 3, running: 2 });
      assert.deepEqual((await viewOf(world, executionId, 1)).suspended, { until: "tasks" });
      const facts = await world.broker.explainTask({ executionId, task: 1 });
      assert.deepEqual(
        facts.waitsFor.map(({ task, state }) => [task, state]),
        [
          [3, "running"],
          [4, "running"],
          [5, "blocked"],
        ],
      );
      await worker.deliver(...reply.leases.map((one) => completed(one, `"r${one.task}"`)));
      const last = await take(worker, 5);
      assert.deepEqual(last.parents, { 3: '"r3"', 4: '"r4"' });
      await worker.deliver(completed(last, '"r5"'));
      const again = await take(worker, 1);
      assert.deepEqual(again.resumed, { state: '"s"', first: 3, count: 3 });
      assert.deepEqual(again.parents, { 0: '"root"', 3: '"r3"', 4: '"r4"', 5: '"r5"' });
      await worker.deliver(completed(again, '"whole"'));
      assert.deepEqual((await take(worker, 2)).parents, { 1: '"whole"' });
      assert.deepEqual(await toldOf(world, executionId, 1), [
        ["queued", "released"],
        ["running", undefined],
        ["blocked", "suspended"],
        ["queued", "released"],
        ["running", undefined],
        ["completed", undefined],
      ]);
    },
  },
  {
    name: "its children in the graph are those that it waits for, as long as it does",
    promises: [10],
    run: async (world) => {
      const { executionId } = await suspendedOn(world, [group(tasks(2, [[], [0]]))]);
      const { tasks: views } = await world.broker.listTasks({ executionId, limit: 10, children: true });
      assert.deepEqual(
        views.map(({ children }) => children?.toSorted((one, other) => one - other)),
        [[1], [], [0, 3], [0]],
      );
    },
  },
  {
    name: "one that fails for good skips the task, and what comes after it",
    promises: [2],
    run: async (world) => {
      const { executionId, worker } = await suspendedOn(world, [group(tasks(2))]);
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      await worker.deliver(failed(one, HOPELESS), completed(two));
      assert.deepEqual(await statesOf(world, executionId), ["skipped", "skipped", "failed", "completed"]);
      assert.equal((await world.view(executionId)).state, "failed");
    },
  },
  {
    name: "retried by hand, the letter runs, and the task waits for it again and goes on where it was",
    promises: [6],
    run: async (world) => {
      const { executionId, worker } = await suspendedOn(world, [group(tasks(2))]);
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      await worker.deliver(failed(one, HOPELESS), completed(two));
      await world.broker.retry({ executionId });
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "blocked", "queued", "completed"]);
      await worker.finish(await take(worker, 2));
      const again = await take(worker, 0);
      assert.deepEqual(again.resumed, { state: '"state"', first: 2, count: 2 });
      assert.deepEqual(Object.keys(again.parents ?? {}), ["2", "3"]);
      await worker.finish(again);
      await worker.finish(await take(worker, 1));
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a failure that is borne, and one that skips and releases, leave a gap in what it goes on with",
    promises: [2],
    run: async (world) => {
      const { worker } = await suspendedOn(world, [group(tasks(3), { onFailure: "continue" })]);
      const [one, two, three] = await worker.leases(3);
      assert.ok(one !== undefined && two !== undefined && three !== undefined);
      await worker.deliver(failed(one, HOPELESS), skipped(two, "release"), completed(three, '"ok"'));
      const again = await take(worker, 0);
      assert.deepEqual([again.parents, again.resumed?.count], [{ 4: '"ok"' }, 3]);
    },
  },
  {
    name: "tasks that are added may suspend themselves and add tasks of their own",
    promises: [2],
    run: async (world) => {
      const { executionId, worker } = await suspendedOn(world, [group(tasks(1))]);
      await worker.deliver(untilTasks(await take(worker, 2), [group(tasks(1))], '"inner"'));
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "blocked", "blocked", "queued"]);
      await worker.deliver(completed(await take(worker, 3), '"deep"'));
      const inner = await take(worker, 2);
      assert.deepEqual([inner.parents, inner.resumed], [{ 3: '"deep"' }, { state: '"inner"', first: 3, count: 1 }]);
      await worker.deliver(completed(inner, '"middle"'));
      const outer = await take(worker, 0);
      assert.deepEqual(outer.parents, { 2: '"middle"' });
      // A second round: what was added in the first is not told again.
      await worker.deliver(untilTasks(outer, [group(tasks(1))], '"second"'));
      await worker.deliver(completed(await take(worker, 4), '"more"'));
      const last = await take(worker, 0);
      assert.deepEqual([last.parents, last.resumed], [{ 4: '"more"' }, { state: '"second"', first: 4, count: 1 }]);
      await worker.finish(last);
      await worker.finish(await take(worker, 1));
      assert.deepEqual(books(await world.counters(executionId)), { total: 5, completed: 5 });
    },
  },
  {
    name: "the attempt that goes on with results may be lost, and the next gets them too",
    promises: [3],
    run: async (world) => {
      const { worker } = await suspendedOn(world, [group(tasks(1))]);
      await worker.deliver(completed(await take(worker, 2), '"kept"'));
      await take(worker, 0);
      await worker.die();
      const heir = await world.join({ worker: "w2" });
      const again = await take(heir, 0);
      assert.deepEqual([again.parents, again.resumed], [{ 2: '"kept"' }, { state: '"state"', first: 2, count: 1 }]);
    },
  },
  {
    name: "what is added counts for no depth: a full pool does not strand it",
    promises: [3, 9],
    settings: { maxQueueDepth: 2 },
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      const worker = await world.join();
      await worker.deliver(untilTasks(await worker.take(), [group(tasks(10))]));
      assert.deepEqual(books(await world.counters(executionId)), { total: 12, blocked: 1, queued: 11 });
      await assert.rejects(() => world.submit(batch(1)), { code: "QUEUE_FULL" });
    },
  },
  {
    name: "what is added keeps its own pool, names, ranks and delays",
    promises: [5, 8],
    run: async (world) => {
      const groups = [
        group({ ...tasks(2), ranks: [1, 2], labels: ["a", "b"] }, { pool: "other" }),
        group(tasks(1), { delayMs: 1_000 }),
      ];
      const { executionId, worker } = await suspendedOn(world, groups);
      assert.deepEqual(await worker.leases(5), []);
      const other = await world.join({ worker: "w2", pools: ["other"] });
      const leases = await other.leases(5);
      assert.deepEqual(
        leases.map(({ task, label }) => [task, label]),
        [
          [3, "b"],
          [2, "a"],
        ],
      );
      await other.finish(...leases);
      assert.deepEqual(await statesOf(world, executionId), [
        "blocked",
        "blocked",
        "completed",
        "completed",
        "scheduled",
      ]);
      await world.advance(1_000);
      await world.promote();
      await worker.finish(await take(worker, 4));
      await take(worker, 0);
    },
  },
  {
    name: "an execution that has ended, or whose task was removed, takes nothing more",
    promises: [1, 6],
    run: async (world) => {
      const executionId = await world.submit(batch(2));
      const worker = await world.join();
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      await world.broker.editExecution({ executionId, edits: [{ kind: "remove", tasks: [0] }], apply: true });
      assert.deepEqual(await worker.report(untilTasks(one, [group(tasks(1))])), ["refused"]);
      await world.broker.cancel({ executionId });
      assert.deepEqual(await worker.report(untilTasks(two, [group(tasks(1))])), ["refused"]);
      assert.equal((await world.counters(executionId)).total, 2);
    },
  },
];

/** Tasks that no broker takes. */
const BAD: readonly (readonly [string, readonly TaskGroup[]])[] = [
  ["none", []],
  ["an array", [group(array(4, 2))]],
  ["a parent that is not among them", [group(tasks(1, [[0]]))]],
  ["a rescue", [group(tasks(1), { when: "failed" })]],
  ["no inputs", [group(tasks(0))]],
  ["too few ranks", [group({ ...tasks(2), ranks: [1] })]],
];

const refusals: CaseGroup["cases"] = [
  {
    name: "tasks that no broker takes are a failure of the one that adds them, and of no other in the commit",
    promises: [3, 9],
    run: async (world) => {
      for (const [about, groups] of BAD) {
        const executionId = await world.submit(batch(2));
        const worker = await world.join();
        const [one, two] = await worker.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await worker.deliver(untilTasks(one, groups), completed(two));
        const view = await world.view(executionId);
        assert.deepEqual([view.state, books(view.counters)], ["failed", { total: 2, failed: 1, completed: 1 }], about);
        assert.deepEqual([view.firstFailure?.class, view.firstFailure?.code], ["invalid-input", "INVALID_REQUEST"]);
        await worker.leave();
      }
    },
  },
];

const reruns: CaseGroup["cases"] = [
  {
    name: "run again by hand while it waits, it starts from the beginning, and what it had added and has not ended is removed",
    promises: [1, 6],
    run: async (world) => {
      const { executionId, worker } = await suspendedOn(world, [group(tasks(3, [[], [], [0]]))]);
      await worker.finish(await take(worker, 2));
      const running = await take(worker, 3);
      const { reset } = await world.broker.rerun({ executionId, task: 0 });
      assert.equal(reset, 2);
      assert.deepEqual(await statesOf(world, executionId), ["queued", "blocked", "completed", "skipped", "skipped"]);
      assert.equal((await viewOf(world, executionId, 3)).removed, true);
      assert.deepEqual(
        (await worker.heartbeat()).cancel.map(({ task }) => task),
        [3],
      );
      assert.deepEqual(await worker.report(completed(running)), ["refused"]);
      const again = await take(worker, 0);
      assert.deepEqual([again.resumed, again.parents, again.input], [undefined, undefined, "0"]);
      await worker.deliver(untilTasks(again, [group(tasks(1))], '"anew"'));
      await worker.deliver(completed(await take(worker, 5), '"new"'));
      const last = await take(worker, 0);
      assert.deepEqual([last.parents, last.resumed], [{ 5: '"new"' }, { state: '"anew"', first: 5, count: 1 }]);
      await worker.finish(last);
      await worker.finish(await take(worker, 1));
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "run again because of an ancestor, or after its end, it starts from the beginning too",
    promises: [6],
    run: async (world) => {
      const executionId = await world.submit(workflow([[], [0]], { keepInputs: true }));
      const worker = await world.join();
      await worker.finish(await take(worker, 0));
      await worker.deliver(untilTasks(await take(worker, 1), [group(tasks(1))]));
      await world.broker.rerun({ executionId, task: 0 });
      assert.deepEqual(await statesOf(world, executionId), ["queued", "blocked", "skipped"]);
      await worker.finish(await take(worker, 0));
      const first = await take(worker, 1);
      assert.equal(first.resumed, undefined);
      await worker.deliver(untilTasks(first, [group(tasks(1))]));
      await worker.finish(await take(worker, 3));
      await worker.finish(await take(worker, 1));
      assert.equal((await world.view(executionId)).state, "completed");
      await world.broker.rerun({ executionId, task: 1 });
      assert.deepEqual(await statesOf(world, executionId), ["completed", "queued", "skipped", "completed"]);
      const second = await take(worker, 1);
      assert.deepEqual([second.resumed, second.parents], [undefined, { 0: '{"task":0}' }]);
      await worker.finish(second);
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
  {
    name: "a task that was added is run again, and the one that added it goes on from there once more",
    promises: [6],
    run: async (world) => {
      const { executionId, worker } = await suspendedOn(world, [group(tasks(2))]);
      await worker.finish(...(await worker.leases(2)));
      await worker.finish(await take(worker, 0));
      await worker.finish(await take(worker, 1));
      const { reset } = await world.broker.rerun({ executionId, task: 3 });
      assert.equal(reset, 3);
      assert.deepEqual(await statesOf(world, executionId), ["blocked", "blocked", "completed", "queued"]);
      await worker.deliver(completed(await take(worker, 3), '"again"'));
      const again = await take(worker, 0);
      assert.deepEqual(
        [again.parents, again.resumed],
        [
          { 2: '{"task":2}', 3: '"again"' },
          { state: '"state"', first: 2, count: 2 },
        ],
      );
      await worker.finish(again);
      await worker.finish(await take(worker, 1));
      assert.equal((await world.view(executionId)).state, "completed");
    },
  },
];

export const suspensionCases: CaseGroup = {
  name: "suspension",
  cases: [...delays, ...additions, ...refusals, ...reruns],
};
