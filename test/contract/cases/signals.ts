/** Signals: values that an execution is given once, and tasks that wait for them. */
import assert from "node:assert/strict";
import type { Lease, SignalReply, TaskView } from "../../../src/broker/contract.ts";
import { MAX_SIGNALS } from "../../../src/broker/limits.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { completed, untilDelay, untilSignal } from "../../support/outcomes.ts";
import { batch, workflow } from "../../support/submissions.ts";
import { allEvents } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith, type World } from "../world.ts";

/** Calls under way at the same time. */
const AT_ONCE = 1_000;

function signal(world: World, executionId: string, name: string, payload = '"yes"'): Promise<SignalReply> {
  return world.broker.signal({ executionId, signal: name, payload });
}

/** An execution of one task that waits for the signal "go". */
async function waiting(
  world: World,
  timeoutMs?: number,
): Promise<{ executionId: string; worker: FakeWorker; lease: Lease }> {
  const executionId = await world.submit(batch(1, { keepInputs: true }));
  const worker = await world.join();
  const lease = await worker.take();
  await worker.deliver(untilSignal(lease, "go", timeoutMs));
  return { executionId, worker, lease };
}

async function first(world: World, executionId: string): Promise<TaskView> {
  const [view] = (await world.broker.listTasks({ executionId, limit: 1 })).tasks;
  assert.ok(view !== undefined);
  return view;
}

async function told(world: World, executionId: string): Promise<unknown[]> {
  return (await allEvents(world.broker, executionId)).flatMap(({ change }) =>
    change.kind === "tasks" ? [[change.state, change.reason]] : [],
  );
}

export const signalCases: CaseGroup = {
  name: "signals",
  cases: [
    {
      name: "a task that waits for a signal is blocked, and goes on with its payload",
      promises: [2],
      run: async (world) => {
        const { executionId, worker } = await waiting(world);
        assert.deepEqual(books(await world.counters(executionId)), { total: 1, blocked: 1 });
        assert.deepEqual((await first(world, executionId)).suspended, { until: "signal", signal: "go" });
        const facts = await world.broker.explainTask({ executionId, task: 0 });
        assert.deepEqual([facts.waitsForCount, facts.notBefore], [0, undefined]);
        assert.deepEqual(await signal(world, executionId, "other"), { accepted: true, released: 0 });
        assert.deepEqual(await worker.leases(), []);
        assert.deepEqual(await signal(world, executionId, "go", '{"by":"me"}'), { accepted: true, released: 1 });
        const again = await worker.take();
        assert.deepEqual([again.attempt, again.resumed], [2, { state: '"state"', signal: '{"by":"me"}' }]);
        await worker.finish(again);
        assert.equal((await world.view(executionId)).state, "completed");
        assert.deepEqual(await told(world, executionId), [
          ["running", undefined],
          ["blocked", "suspended"],
          ["queued", "signal"],
          ["running", undefined],
          ["completed", undefined],
        ]);
      },
    },
    {
      name: "a signal that came before lets it go on at once, also in the same call",
      promises: [2],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        await signal(world, executionId, "go", "1");
        const reply = await worker.reportAndClaim([untilSignal(lease, "go", 1_000)], 5);
        assert.deepEqual(
          reply.leases.map(({ attempt, resumed }) => [attempt, resumed]),
          [[2, { state: '"state"', signal: "1" }]],
        );
        assert.deepEqual((await told(world, executionId))[1], ["queued", "signal"]);
      },
    },
    {
      name: "the first payload stays: the same again changes nothing, another is not taken",
      promises: [7],
      run: async (world) => {
        const { executionId, worker } = await waiting(world);
        assert.deepEqual(await signal(world, executionId, "go", "1"), { accepted: true, released: 1 });
        assert.deepEqual(await signal(world, executionId, "go", "1"), { accepted: true, released: 0 });
        assert.deepEqual(await signal(world, executionId, "go", "2"), { accepted: false, released: 0 });
        const again = await worker.take();
        assert.equal(again.resumed?.signal, "1");
        await worker.deliver(untilSignal(again, "go"));
        assert.equal((await worker.take()).resumed?.signal, "1");
      },
    },
    {
      name: "with a timeout it is scheduled, and goes on without a payload when the time is over first",
      promises: [8],
      run: async (world) => {
        const { executionId, worker } = await waiting(world, 2_000);
        assert.deepEqual(books(await world.counters(executionId)), { total: 1, scheduled: 1 });
        const view = await first(world, executionId);
        assert.deepEqual(view.suspended, { until: "signal", signal: "go" });
        assert.equal(view.notBefore, world.clock.now() + 2_000);
        await world.advance(2_000);
        await world.promote();
        const again = await worker.take();
        assert.deepEqual(again.resumed, { state: '"state"' });
        // Too late for this stretch, whatever becomes of its attempts.
        assert.deepEqual(await signal(world, executionId, "go"), { accepted: true, released: 0 });
        await worker.die();
        const heir = await world.join({ worker: "w2" });
        assert.deepEqual((await heir.take()).resumed, { state: '"state"' });
        assert.deepEqual((await told(world, executionId)).slice(1, 3), [
          ["scheduled", "suspended"],
          ["queued", "due"],
        ]);
      },
    },
    {
      name: "with a timeout it goes on at once when the signal comes first, and only once",
      promises: [2, 8],
      run: async (world) => {
        const { executionId, worker } = await waiting(world, 2_000);
        assert.deepEqual(await signal(world, executionId, "go", "1"), { accepted: true, released: 1 });
        assert.deepEqual(books(await world.counters(executionId)), { total: 1, queued: 1 });
        assert.equal((await first(world, executionId)).notBefore, undefined);
        await world.advance(2_000);
        await world.promote();
        const again = await worker.take();
        assert.deepEqual([again.attempt, again.resumed?.signal], [2, "1"]);
        assert.deepEqual(await worker.leases(), []);
      },
    },
    {
      name: "one signal is for all that wait for it, and for those that will; of another execution it is not",
      promises: [2],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [], [0]]));
        const other = await waiting(world);
        const worker = await world.join({ worker: "w2" });
        for (const lease of await worker.leases(2)) await worker.deliver(untilSignal(lease, "go"));
        assert.deepEqual(await signal(world, executionId, "go"), { accepted: true, released: 2 });
        const leases = await worker.leases(5);
        assert.deepEqual(
          leases.map(({ task, executionId: id }) => [task, id]),
          [
            [0, executionId],
            [1, executionId],
          ],
        );
        await worker.finish(...leases);
        const late = await worker.take();
        await worker.deliver(untilSignal(late, "go"));
        assert.equal((await worker.take()).resumed?.signal, '"yes"');
        assert.deepEqual(books(await world.counters(other.executionId)), { total: 1, blocked: 1 });
      },
    },
    {
      name: "an idle worker hears of work in the step that gives the signal",
      promises: [2],
      run: async (world) => {
        const { executionId, worker } = await waiting(world);
        const call = worker.waitForWork(30_000);
        await world.settle();
        await signal(world, executionId, "go");
        const { leases } = await call.promise;
        assert.equal(leases[0]?.resumed?.signal, '"yes"');
      },
    },
    {
      name: "a task that waits no more is not sent on: the latest suspension is what counts",
      promises: [2],
      run: async (world) => {
        const { executionId, worker } = await waiting(world, 1_000);
        await world.advance(1_000);
        await world.promote();
        await worker.deliver(untilDelay(await worker.take(), 5_000));
        assert.deepEqual(await signal(world, executionId, "go"), { accepted: true, released: 0 });
        assert.deepEqual(await worker.leases(), []);
        await world.advance(5_000);
        await world.promote();
        assert.deepEqual((await worker.take()).resumed, { state: '"state"' });
      },
    },
    {
      name: "a cancelled task is not sent on, and one that runs again finds the signal there",
      promises: [6],
      run: async (world) => {
        const { executionId, worker } = await waiting(world);
        await world.broker.rerun({ executionId, task: 0 });
        assert.deepEqual(await signal(world, executionId, "go"), { accepted: true, released: 0 });
        const again = await worker.take();
        assert.equal(again.resumed, undefined);
        await worker.deliver(untilSignal(again, "go"));
        const last = await worker.take();
        assert.equal(last.resumed?.signal, '"yes"');
        await worker.finish(last);
        await world.broker.rerun({ executionId, task: 0 });
        await worker.deliver(untilSignal(await worker.take(), "go"));
        await worker.finish(await worker.take());
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "unknown and ended executions take none; what was taken is known after the end too",
      promises: [7],
      run: async (world) => {
        await refusedWith("EXECUTION_NOT_FOUND", () => signal(world, "nobody", "go"));
        const { executionId, worker } = await waiting(world);
        await signal(world, executionId, "go", "1");
        await worker.finish(await worker.take());
        assert.deepEqual(await signal(world, executionId, "go", "1"), { accepted: true, released: 0 });
        await refusedWith("EXECUTION_ENDED", () => signal(world, executionId, "go", "2"));
        await refusedWith("EXECUTION_ENDED", () => signal(world, executionId, "more"));
      },
    },
    {
      name: "an execution has at most so many signals",
      promises: [9],
      run: async (world) => {
        const { executionId, worker } = await waiting(world);
        for (let from = 0; from < MAX_SIGNALS; from += AT_ONCE)
          await Promise.all(
            Array.from({ length: AT_ONCE }, (_, index) => signal(world, executionId, `s${from + index}`)),
          );
        await refusedWith("BATCH_TOO_LARGE", () => signal(world, executionId, "go"));
        assert.deepEqual(await signal(world, executionId, "s7"), { accepted: true, released: 0 });
        assert.deepEqual(await worker.leases(), []);
      },
    },
    {
      name: "the results are those of the attempts that completed",
      promises: [1],
      run: async (world) => {
        const { executionId, worker, lease } = await waiting(world);
        await signal(world, executionId, "go");
        const again = await worker.take();
        assert.deepEqual(await worker.report(completed(lease)), ["refused"]);
        await worker.deliver(completed(again, '"end"'));
        const { rows } = await world.broker.readResults({ executionId, limit: 10 });
        assert.deepEqual(
          rows.map(({ task, result, attempt }) => [task, result, attempt]),
          [[0, '"end"', 2]],
        );
      },
    },
  ],
};
