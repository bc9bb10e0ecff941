/** Committing: an outcome counts once, however often it is told. */
import assert from "node:assert/strict";
import type { Outcome } from "../../../src/broker/contract.ts";
import { chunkDone, completed, done, failed, itemFailures, returned } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import { allEvents, allResults } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith, type World } from "../world.ts";

/** All that an outcome could change. */
async function everything(world: World, executionId: string): Promise<unknown> {
  const { refusedOutcomes: _refused, ...view } = await world.view(executionId);
  return {
    view,
    tasks: (await world.broker.listTasks({ executionId, limit: 100 })).tasks,
    results: await allResults(world.broker, executionId),
    letters: (await world.broker.listDeadLetters({ executionId, limit: 100 })).letters,
    events: await allEvents(world.broker, executionId),
  };
}

export const commitCases: CaseGroup = {
  name: "commit",
  cases: [
    {
      name: "the same outcome told again is accepted again and counted once",
      promises: [1, 7],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const worker = await world.join();
        const outcome = completed(await worker.take(), '"once"');
        await worker.deliver(outcome);
        const before = await everything(world, id);
        await world.advance(10);
        await worker.deliver(outcome);
        await worker.deliver(outcome, outcome);
        assert.deepEqual(await everything(world, id), before);
        assert.equal((await world.view(id)).refusedOutcomes, 0);
      },
    },
    {
      name: "a chunk told again is accepted again and counted once",
      promises: [1, 7],
      run: async (world) => {
        const id = await world.submit(sweep(20, 10));
        const worker = await world.join();
        const outcome = chunkDone(await worker.take());
        await worker.deliver(outcome);
        const before = await everything(world, id);
        await worker.deliver(outcome);
        assert.deepEqual(await everything(world, id), before);
      },
    },
    {
      name: "a chunk with failures told again is counted once, before and after its items were retried",
      promises: [1, 7],
      run: async (world) => {
        const id = await world.submit(sweep(20, 10));
        const worker = await world.join();
        const outcome = chunkDone(await worker.take(), itemFailures([3, 4, 9]));
        await worker.deliver(outcome);
        let before = await everything(world, id);
        await worker.deliver(outcome);
        assert.deepEqual(await everything(world, id), before, "while its items wait");
        await world.advance(5_000);
        await world.promote();
        const [third, fourth] = await worker.leases(2);
        assert.ok(third !== undefined && fourth !== undefined);
        before = await everything(world, id);
        await worker.deliver(outcome);
        assert.deepEqual(await everything(world, id), before, "while some run again");
        await worker.finish(third, fourth);
        before = await everything(world, id);
        await worker.deliver(outcome, done(third));
        assert.deepEqual(await everything(world, id), before, "after they are done");
      },
    },
    {
      name: "outcomes told again after the whole array is done are still known",
      promises: [1, 7],
      run: async (world) => {
        const id = await world.submit(sweep(50, 10));
        const worker = await world.join();
        const outcomes = (await worker.leases(5)).map(done);
        await worker.deliver(...outcomes);
        assert.equal((await world.view(id)).state, "completed");
        const before = await everything(world, id);
        for (const outcome of outcomes) await worker.deliver(outcome);
        assert.deepEqual(await everything(world, id), before);
      },
    },
    {
      name: "an outcome twice in one call counts once",
      promises: [1, 7],
      run: async (world) => {
        const id = await world.submit(sweep(20, 10));
        const worker = await world.join();
        const outcome = chunkDone(await worker.take(), itemFailures([1]));
        await worker.deliver(outcome, outcome);
        assert.deepEqual(books(await world.counters(id)), { total: 20, completed: 9, scheduled: 1, queued: 10 });
        assert.equal((await allResults(world.broker, id)).length, 1);
      },
    },
    {
      name: "a failure told again is charged once",
      promises: [7],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join();
        const outcome = failed(await worker.take());
        await worker.deliver(outcome);
        const before = await everything(world, id);
        await worker.report(outcome);
        assert.deepEqual(await everything(world, id), before, "while it waits");
        await world.advance(5_000);
        await world.promote();
        const again = await worker.take();
        const running = await everything(world, id);
        await worker.report(outcome);
        assert.deepEqual(await everything(world, id), running, "while it runs again");
        await worker.finish(again);
        const { tasks } = await world.broker.listTasks({ executionId: id, limit: 1 });
        assert.deepEqual([tasks[0]?.failures, tasks[0]?.state], [1, "completed"]);
      },
    },
    {
      name: "a lease handed back twice is handed back once",
      promises: [7],
      run: async (world) => {
        const id = await world.submit(sweep(10, 10));
        const worker = await world.join();
        const outcome = returned(await worker.take());
        await worker.deliver(outcome);
        await worker.report(outcome);
        const again = await worker.take();
        await worker.report(outcome);
        assert.deepEqual(books(await world.counters(id)), { total: 10, running: 10 });
        await worker.finish(again);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "what was committed cannot be changed afterwards",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const worker = await world.join();
        const lease = await worker.take();
        await worker.deliver(completed(lease, '"first"'));
        const before = await everything(world, id);
        for (const other of [completed(lease, '"second"'), failed(lease), returned(lease)]) {
          await worker.report(other);
          assert.deepEqual(await everything(world, id), before, `after ${other.kind}`);
        }
      },
    },
    {
      name: "what was handed back cannot be completed with the old lease",
      promises: [1],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        await worker.deliver(returned(lease));
        assert.deepEqual(await worker.report(done(lease)), ["refused"]);
        assert.deepEqual(books(await world.counters(id)), { total: 1, queued: 1 });
      },
    },
    {
      name: "one call carries outcomes of several executions and kinds, each with its verdict",
      promises: [2, 9],
      run: async (world) => {
        const singles = await world.submit(batch(4));
        const array = await world.submit(sweep(20, 10));
        const worker = await world.join();
        const leases = await worker.leases(6);
        const [first, second, third, fourth] = leases.filter((lease) => lease.executionId === singles);
        const [low, high] = leases.filter((lease) => lease.executionId === array);
        assert.ok(first && second && third && fourth && low && high);
        const outcomes: Outcome[] = [
          done(first),
          failed(second),
          returned(third),
          chunkDone(low, itemFailures([2])),
          failed(high, undefined, 11),
        ];
        const stale: Outcome = {
          kind: "completed",
          lease: { executionId: singles, task: 3, token: `${fourth.token}x` },
          durationMs: 1,
          result: "1",
        };
        assert.deepEqual(await worker.report(stale, ...outcomes), ["refused", ...outcomes.map(() => "accepted")]);
        assert.deepEqual(books(await world.counters(singles)), {
          total: 4,
          completed: 1,
          scheduled: 1,
          queued: 1,
          running: 1,
        });
        assert.deepEqual(books(await world.counters(array)), { total: 20, completed: 9, scheduled: 2, queued: 9 });
      },
    },
    {
      name: "a commit without outcomes or claim is a sign of life",
      promises: [4, 7],
      run: async (world) => {
        const worker = await world.join();
        assert.deepEqual(await worker.report(), []);
      },
    },
    {
      name: "a session that is gone commits nothing",
      promises: [1, 4],
      run: async (world) => {
        const id = await world.submit(batch(1));
        await refusedWith("SESSION_LOST", () => world.broker.commit({ session: "nobody", outcomes: [] }));
        const worker = await world.join();
        const lease = await worker.take();
        await worker.leave();
        await refusedWith("SESSION_LOST", () => worker.report(done(lease)));
        assert.deepEqual(books(await world.counters(id)), { total: 1, queued: 1 });
      },
    },
    {
      name: "the results of a commit are what was sent, to the letter",
      promises: [2],
      run: async (world) => {
        const id = await world.submit(batch(3));
        const worker = await world.join();
        const texts = ['{"a":[1,2,{"b":null}],"ü":"\\u0000 \\" \\\\ 🙂"}', "1e400", " null "];
        const leases = await worker.leases(3);
        await worker.deliver(...leases.map((lease, index) => completed(lease, texts[index])));
        assert.deepEqual(
          (await allResults(world.broker, id)).map((row) => row.result),
          texts,
        );
      },
    },
  ],
};
