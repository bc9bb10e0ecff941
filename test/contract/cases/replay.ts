/** Retry by hand: dead letters run again, and with them whatever had waited for them. */
import assert from "node:assert/strict";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import type { BrokerEvent, Lease } from "../../../src/broker/contract.ts";
import { ascending } from "../../support/ascending.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { chunkDone, done, failed, failure, itemFailures, rangeOf } from "../../support/outcomes.ts";
import { array, batch, group, submission, sweep, tasks, workflow } from "../../support/submissions.ts";
import { allEvents } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, type World } from "../world.ts";

/** The leases' work is never tried again by itself. */
async function bury(worker: FakeWorker, ...leases: readonly Lease[]): Promise<void> {
  await worker.deliver(...leases.map((lease) => failed(lease, failure("invalid-input"))));
}

function numbersOf(leases: readonly Lease[]): readonly number[] {
  return ascending(leases.map((lease) => lease.task));
}

/** Changes of one execution in a few words, the execution's own and those of its tasks. */
function told(events: readonly BrokerEvent[]): string[] {
  return events.flatMap(({ change }) => {
    if (change.kind === "execution") return [`execution ${change.state}`];
    return change.kind === "tasks" ? [`${change.state} ${change.reason ?? ""} ${JSON.stringify(change.tasks)}`] : [];
  });
}

/** Everything that waits is done, whatever it is. */
async function finishAll(worker: FakeWorker): Promise<void> {
  for (let leases = await worker.leases(50); leases.length > 0; leases = await worker.leases(50))
    await worker.finish(...leases);
}

/** Three chunks of ten; the execution fails at the first dead letter while one runs and one is tried again later. */
async function failedInTheMiddle(world: World, worker: FakeWorker): Promise<{ id: string; running: Lease }> {
  const id = await world.submit(sweep(40, 10, { maxFailures: 1 }));
  const [one, two, three] = await worker.leases(3);
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  await worker.deliver(chunkDone(one, itemFailures([4])));
  await worker.deliver(failed(two, failure("invalid-input"), 15));
  assert.equal((await world.view(id)).state, "failed");
  return { id, running: three };
}

export const replayCases: CaseGroup = {
  name: "retry by hand",
  cases: [
    {
      name: "a replayed letter is queued again and its retries begin anew; attempts go on counting",
      promises: [3, 6],
      run: async (world) => {
        const retry = { ...DEFAULT_RETRY, limit: 1, baseMs: 1_000 };
        const id = await world.submit(batch(1, {}, { retry }));
        const worker = await world.join();
        for (const attempts of [
          [1, 2],
          [3, 4],
        ]) {
          for (const attempt of attempts) {
            const lease = await worker.take();
            assert.equal(lease.attempt, attempt);
            assert.equal(lease.input, "0");
            await worker.deliver(failed(lease));
            await world.advance(999);
            await world.promote();
            assert.deepEqual(await worker.leases(), []);
            await world.advance(1);
            await world.promote();
          }
          assert.equal((await world.view(id)).state, "failed");
          const { changed, execution } = await world.broker.retry({ executionId: id });
          assert.deepEqual([changed, execution.state, execution.endedAt], [1, "running", undefined]);
          assert.deepEqual(books(execution.counters), { total: 1, queued: 1 });
          assert.deepEqual((await world.broker.listDeadLetters({ limit: 10 })).letters, []);
        }
        const { tasks: views } = await world.broker.listTasks({ executionId: id, limit: 1 });
        assert.deepEqual([views[0]?.attempts, views[0]?.failures, views[0]?.losses], [4, 0, 0]);
        await worker.finish(await worker.take());
        const view = await world.view(id);
        assert.deepEqual([view.state, view.firstFailure, view.retries], ["completed", undefined, 2]);
      },
    },
    {
      name: "losses begin anew as well",
      promises: [3],
      run: async (world) => {
        const single = await world.submit(batch(1, {}, { maxLosses: 2 }));
        const chunk = await world.submit(sweep(1, 1, {}, { maxLosses: 2 }));
        for (const executionId of [single, chunk]) await world.broker.pause({ executionId });
        for (const executionId of [single, chunk]) {
          await world.broker.resume({ executionId });
          for (let death = 1; death <= 3; death += 1) {
            const victim = await world.join({ worker: `victim-${death}` });
            assert.equal((await victim.take()).attempt, death);
            await victim.die();
            if (death === 2) assert.equal((await world.broker.retry({ executionId })).changed, 1);
          }
          const heir = await world.join({ worker: "heir" });
          const lease = await heir.take();
          assert.equal(lease.attempt, 4);
          await heir.finish(lease);
          const view = await world.view(executionId);
          assert.deepEqual([view.state, view.lostAttempts], ["completed", 3]);
        }
      },
    },
    {
      name: "some letters are replayed by name, the others stay; a repeat is harmless",
      promises: [6, 7],
      run: async (world) => {
        const id = await world.submit(batch(4));
        const worker = await world.join();
        await bury(worker, ...(await worker.leases(4)));
        const letters = [{ task: 3 }, { task: 1 }, { task: 9 }, { task: 1 }, { task: 2, start: 0 }];
        const first = await world.broker.retry({ executionId: id, letters });
        assert.equal(first.changed, 2);
        assert.deepEqual(books(first.execution.counters), { total: 4, failed: 2, queued: 2 });
        const events = await allEvents(world.broker, id);
        assert.deepEqual(await world.broker.retry({ executionId: id, letters }), { ...first, changed: 0 });
        assert.deepEqual(await world.broker.retry({ executionId: id, letters: [] }), { ...first, changed: 0 });
        assert.deepEqual(await allEvents(world.broker, id), events);
        const left = (await world.broker.listDeadLetters({ executionId: id, limit: 10 })).letters;
        assert.deepEqual(
          left.map((letter) => letter.task),
          [0, 2],
        );
        assert.deepEqual(numbersOf(await worker.leases(10)), [1, 3]);
      },
    },
    {
      name: "an ended execution without letters stays as it is",
      promises: [7],
      run: async (world) => {
        const executionId = await world.submit(batch(2));
        const worker = await world.join();
        await worker.finish(...(await worker.leases(2)));
        const view = await world.view(executionId);
        assert.deepEqual(await world.broker.retry({ executionId }), { changed: 0, execution: view });
        assert.equal(view.state, "completed");
      },
    },
    {
      name: "ranges of an array are replayed by their first item, one or all",
      promises: [1, 6],
      run: async (world) => {
        const executionId = await world.submit(sweep(30, 10));
        const worker = await world.join();
        await worker.deliver(chunkDone(await worker.take(), itemFailures([1, 2], "invalid-input")));
        await bury(worker, await worker.take());
        await worker.finish(await worker.take());
        const retry = async (...letters: { task: number; start?: number }[]): Promise<number> =>
          (await world.broker.retry({ executionId, letters })).changed;
        assert.equal(await retry({ task: 0 }, { task: 0, start: 11 }), 0);
        assert.equal(await retry({ task: 0, start: 10 }), 10);
        assert.deepEqual(books(await world.counters(executionId)), { total: 30, completed: 18, queued: 10, failed: 2 });
        const again = await worker.take();
        assert.deepEqual([rangeOf(again), again.attempt, again.careful], [{ start: 10, end: 20 }, 2, undefined]);
        await worker.finish(again);
        assert.equal((await world.view(executionId)).state, "failed");
        assert.equal((await world.broker.retry({ executionId })).changed, 2);
        await worker.finish(...(await worker.leases(5)));
        assert.deepEqual((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "letters of a running execution are replayed while it goes on",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(3));
        const worker = await world.join();
        const [one, two] = await worker.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await bury(worker, one);
        assert.equal((await world.broker.retry({ executionId })).changed, 1);
        assert.deepEqual(books(await world.counters(executionId)), { total: 3, queued: 2, running: 1 });
        await worker.finish(two, ...(await worker.leases(5)));
        assert.equal((await world.view(executionId)).state, "completed");
        const changes = told(await allEvents(world.broker, executionId)).filter((line) => line.startsWith("execution"));
        assert.deepEqual(changes, ["execution pending", "execution running", "execution completed"]);
      },
    },
    {
      name: "letters of a paused execution wait for the resume",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(2));
        const worker = await world.join();
        await bury(worker, await worker.take());
        await world.broker.pause({ executionId });
        assert.equal((await world.broker.retry({ executionId })).execution.state, "paused");
        assert.deepEqual(await worker.leases(5), []);
        await world.broker.resume({ executionId });
        assert.equal((await worker.leases(5)).length, 2);
      },
    },
    {
      name: "a waiting worker gets a replayed letter at once",
      promises: [6],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const worker = await world.join();
        await bury(worker, await worker.take());
        const waiting = worker.waitForWork(20_000);
        await world.settle();
        assert.equal(waiting.state, "waiting");
        await world.broker.retry({ executionId });
        assert.equal((await waiting.promise).leases.length, 1);
      },
    },
    {
      name: "what was skipped because of a letter waits for it again",
      promises: [2, 3],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0], [0], [1, 2], [3]]));
        const worker = await world.join();
        await worker.finish(await worker.take());
        const [one, two] = await worker.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await bury(worker, one);
        await worker.finish(two);
        assert.deepEqual(books(await world.counters(executionId)), { total: 5, completed: 2, failed: 1, skipped: 2 });
        await world.broker.retry({ executionId });
        assert.deepEqual(books(await world.counters(executionId)), { total: 5, completed: 2, queued: 1, blocked: 2 });
        await worker.finish(await worker.take());
        const last = await worker.take();
        assert.deepEqual([last.task, Object.keys(last.parents ?? {})], [3, ["1", "2"]]);
        await worker.finish(last);
        await worker.finish(await worker.take());
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "what another letter holds up stays skipped until that one is replayed too",
      promises: [2, 3],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [], [0, 1], [2], [0]]));
        const worker = await world.join();
        await bury(worker, ...(await worker.leases(2)));
        assert.equal((await world.counters(executionId)).skipped, 3);
        await world.broker.retry({ executionId, letters: [{ task: 0 }] });
        const half = { total: 5, failed: 1, skipped: 2, queued: 1, blocked: 1 };
        assert.deepEqual(books(await world.counters(executionId)), half);
        await world.broker.retry({ executionId, letters: [{ task: 1 }] });
        assert.deepEqual(books(await world.counters(executionId)), { total: 5, queued: 2, blocked: 3 });
        await finishAll(worker);
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "a letter that dies again has its dependents skipped again",
      promises: [2, 3],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0]]));
        const worker = await world.join();
        for (let round = 0; round < 3; round += 1) {
          await bury(worker, await worker.take());
          assert.deepEqual(books(await world.counters(executionId)), { total: 2, failed: 1, skipped: 1 });
          assert.equal((await world.view(executionId)).state, "failed");
          await world.broker.retry({ executionId });
        }
        await finishAll(worker);
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "what waited for an array waits again when its letters are replayed",
      promises: [2, 3],
      run: async (world) => {
        const groups = [group(array(10, 5)), group(tasks(1, [[0]]))];
        const executionId = await world.submit(submission(groups, { kind: "workflow" }));
        const worker = await world.join();
        await worker.deliver(chunkDone(await worker.take(), itemFailures([1, 3], "invalid-input")));
        await worker.finish(await worker.take());
        assert.deepEqual(books(await world.counters(executionId)), { total: 11, completed: 8, failed: 2, skipped: 1 });
        await world.broker.retry({ executionId, letters: [{ task: 0, start: 3 }] });
        const half = { total: 11, completed: 8, failed: 1, queued: 1, blocked: 1 };
        assert.deepEqual(books(await world.counters(executionId)), half);
        await worker.finish(await worker.take());
        assert.deepEqual(books(await world.counters(executionId)), { total: 11, completed: 9, failed: 1, skipped: 1 });
        await world.broker.retry({ executionId });
        await worker.finish(await worker.take());
        assert.equal((await worker.take()).task, 1);
      },
    },
    {
      name: "what was cancelled when its execution failed is given out again, each item once",
      promises: [1, 3],
      run: async (world) => {
        const worker = await world.join();
        const { id, running } = await failedInTheMiddle(world, worker);
        const ended = await world.counters(id);
        assert.deepEqual(books(ended), { total: 40, completed: 9, failed: 1, cancelled: 30 });
        const { changed, execution } = await world.broker.retry({ executionId: id });
        assert.deepEqual([changed, execution.state], [1, "running"]);
        assert.deepEqual(books(execution.counters), { total: 40, completed: 9, queued: 31 });
        assert.deepEqual(await worker.report(done(running)), ["refused"]);
        const items = new Set<number>();
        for (let leases = await worker.leases(50); leases.length > 0; leases = await worker.leases(50)) {
          for (const lease of leases) {
            const { start, end } = rangeOf(lease);
            for (let item = start; item < end; item += 1) items.add(item);
            assert.equal(lease.attempt, start >= 30 ? 1 : 2, `attempt of ${start}`);
            await worker.finish(lease);
          }
        }
        assert.equal(items.size, 31);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "separate tasks that were cancelled when their execution failed go on where they stood",
      promises: [1, 3],
      run: async (world) => {
        const groups = [group(tasks(5, [[], [], [], [], [2]])), group(tasks(1), { delayMs: 60_000 })];
        const executionId = await world.submit(submission(groups, { maxFailures: 1 }));
        const worker = await world.join();
        const [dead, backingOff, running] = await worker.leases(3);
        assert.ok(dead !== undefined && backingOff !== undefined && running !== undefined);
        await worker.deliver(failed(backingOff));
        await bury(worker, dead);
        assert.deepEqual(books(await world.counters(executionId)), { total: 6, failed: 1, cancelled: 5 });
        // What was backing off falls due while the execution has ended.
        await world.advance(10_000);
        await worker.heartbeat();
        for (let more = true; more;) more = (await world.promote()).more;
        assert.equal((await world.broker.retry({ executionId })).changed, 1);
        const counters = { total: 6, queued: 4, blocked: 1, scheduled: 1 };
        assert.deepEqual(books(await world.counters(executionId)), counters);
        assert.deepEqual(await worker.report(done(running), failed(running)), ["refused", "refused"]);
        const leases = await worker.leases(10);
        assert.deepEqual(
          leases.map((lease) => [lease.task, lease.attempt]).toSorted(([one = 0], [other = 0]) => one - other),
          [
            [0, 2],
            [1, 2],
            [2, 2],
            [3, 1],
          ],
        );
        await worker.finish(...leases);
        await worker.finish(await worker.take());
        await world.advance(50_000);
        await worker.heartbeat();
        await world.promote();
        await worker.finish(await worker.take());
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "letters that stay do not count towards maxFailures, those that die from then on do",
      promises: [3],
      run: async (world) => {
        const executionId = await world.submit(batch(10, { maxFailures: 2 }));
        const worker = await world.join();
        await bury(worker, ...(await worker.leases(2)));
        assert.equal((await world.view(executionId)).state, "failed");
        await world.broker.retry({ executionId, letters: [{ task: 0 }] });
        await bury(worker, await worker.take());
        assert.deepEqual(books(await world.counters(executionId)), { total: 10, failed: 2, queued: 8 });
        await bury(worker, await worker.take());
        assert.deepEqual(books(await world.counters(executionId)), { total: 10, failed: 3, cancelled: 7 });
        await world.broker.retry({ executionId });
        await bury(worker, await worker.take());
        assert.equal((await world.view(executionId)).state, "running");
        await finishAll(worker);
        assert.deepEqual(books(await world.counters(executionId)), { total: 10, completed: 9, failed: 1 });
      },
    },
    {
      name: "an execution that runs again has no end, and its retention begins at the next",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(batch(1, { retentionMs: 10_000 }));
        const worker = await world.join();
        await bury(worker, await worker.take());
        const { startedAt } = await world.view(executionId);
        await world.advance(6_000);
        const { execution } = await world.broker.retry({ executionId });
        assert.deepEqual([execution.endedAt, execution.startedAt], [undefined, startedAt]);
        await world.advance(60_000);
        assert.equal((await world.broker.purge({ limit: 100 })).handled, 0);
        const again = await world.join();
        await again.finish(await again.take());
        const end = world.clock.now();
        await world.advance(9_999);
        await world.broker.purge({ limit: 100 });
        assert.equal((await world.view(executionId)).endedAt, end);
        await world.advance(2);
        for (let more = true; more;) more = (await world.broker.purge({ limit: 100 })).more;
        assert.deepEqual((await world.broker.listExecutions({ limit: 10 })).executions, []);
      },
    },
    {
      name: "a replay is told: the execution runs, letters are queued, dependents blocked",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(workflow([[], [0]]));
        const worker = await world.join();
        await bury(worker, await worker.take());
        const before = await allEvents(world.broker, executionId);
        await world.broker.retry({ executionId });
        const fresh = (await allEvents(world.broker, executionId)).slice(before.length);
        assert.deepEqual(told(fresh).toSorted(), ["blocked replayed [1]", "execution running", "queued replayed [0]"]);
        assert.equal(told(fresh)[0], "execution running");
      },
    },
    {
      name: "what ran or backed off when its execution failed is told as queued",
      promises: [10],
      run: async (world) => {
        const worker = await world.join();
        const { id } = await failedInTheMiddle(world, worker);
        const before = await allEvents(world.broker, id);
        await world.broker.retry({ executionId: id });
        const fresh = told((await allEvents(world.broker, id)).slice(before.length));
        const entries = (reason: string): string[] =>
          fresh
            .filter((line) => line.startsWith(`queued ${reason}`))
            .flatMap((line) =>
              (JSON.parse(line.slice(line.indexOf("["))) as unknown[]).map((one) => JSON.stringify(one)),
            )
            .toSorted();
        assert.deepEqual(entries("replayed"), ["[0,15,16]"]);
        assert.deepEqual(entries("reopened"), ["[0,20,30]", "[0,4,5]"]);
      },
    },
    {
      name: "a reader of results goes on where it was",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(batch(2));
        const worker = await world.join();
        const [one, two] = await worker.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await worker.finish(one);
        await bury(worker, two);
        const first = await world.broker.readResults({ executionId, limit: 10 });
        assert.deepEqual([first.rows.map((row) => row.task), first.done], [[0], true]);
        await world.broker.retry({ executionId });
        const open = await world.broker.readResults({ executionId, limit: 10, cursor: first.cursor });
        assert.deepEqual([open.rows, open.done], [[], false]);
        await worker.finish(await worker.take());
        const last = await world.broker.readResults({ executionId, limit: 10, cursor: open.cursor });
        assert.deepEqual([last.rows.map((row) => [row.task, row.attempt]), last.done], [[[1, 2]], true]);
      },
    },
    {
      name: "the outcome that made a letter does not count again after the replay",
      promises: [1, 7],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const worker = await world.join();
        const outcome = failed(await worker.take(), failure("invalid-input"));
        await worker.deliver(outcome);
        await worker.deliver(outcome);
        await world.broker.retry({ executionId });
        assert.deepEqual(await worker.report(outcome), ["refused"]);
        assert.deepEqual(books(await world.counters(executionId)), { total: 1, queued: 1 });
      },
    },
    {
      name: "an open execution that had failed takes more tasks again",
      promises: [3],
      run: async (world) => {
        const executionId = await world.submit(batch(2, { open: true, maxFailures: 1 }));
        const worker = await world.join();
        await bury(worker, await worker.take());
        await world.broker.retry({ executionId });
        await world.broker.extend({ executionId, part: 1, groups: [group(tasks(1))], seal: true });
        await finishAll(worker);
        assert.deepEqual(books(await world.counters(executionId)), { total: 3, completed: 3 });
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "copies that had not come when the execution failed are not waited for when it runs again",
      promises: [3],
      run: async (world) => {
        const verify = { sample: 0, replicas: 2, tolerance: 0, seed: 1 };
        const executionId = await world.submit(sweep(20, 10, { maxFailures: 1, verify }));
        const worker = await world.join();
        const [one, two] = await worker.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await worker.finish(one);
        await worker.deliver(failed(two, failure("invalid-input"), 12));
        assert.equal((await world.view(executionId)).state, "failed");
        const { execution } = await world.broker.retry({ executionId });
        assert.deepEqual([execution.verification?.pending, execution.verification?.skipped], [0, 1]);
        const second = await world.join({ worker: "second" });
        for (const lease of await second.leases(10)) {
          assert.equal(lease.replica, undefined);
          await second.finish(lease);
        }
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
    {
      name: "many letters are replayed at once",
      promises: [3, 9],
      run: async (world) => {
        const count = 5_000;
        const executionId = await world.submit(batch(count));
        const worker = await world.join();
        for (let left = count; left > 0; left -= 1_000) await bury(worker, ...(await worker.leases(1_000)));
        const reply = await world.broker.retry({ executionId });
        assert.equal(reply.changed, count);
        assert.deepEqual(books(reply.execution.counters), { total: count, queued: count });
        for (let left = count; left > 0; left -= 1_000) await worker.finish(...(await worker.leases(1_000)));
        assert.equal((await world.view(executionId)).state, "completed");
      },
    },
  ],
};
