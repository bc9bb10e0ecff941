/** Retries and dead letters: the documented arithmetic, exact on the broker's clock. */
import assert from "node:assert/strict";
import type { FailureClass } from "../../../src/core/failure.ts";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import { done, failed, failure } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, type World } from "../world.ts";

/** Claims and kills the worker, `times` times. */
async function loseWorkers(world: World, times: number): Promise<void> {
  for (let death = 0; death < times; death += 1) {
    const victim = await world.join({ worker: `victim-${death}` });
    await victim.take();
    await victim.die();
  }
}

export const retryCases: CaseGroup = {
  name: "retries and dead letters",
  cases: [
    {
      name: "retries follow after 5, 10 and 20 s, then the task is a dead letter",
      promises: [3, 8],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take(), failure("user-error", "failure 1")));
        for (const [index, backoffMs] of [5_000, 10_000, 20_000].entries()) {
          const { tasks } = await world.broker.listTasks({ executionId: id, limit: 1 });
          assert.deepEqual(
            [tasks[0]?.state, tasks[0]?.failures, tasks[0]?.notBefore],
            ["scheduled", index + 1, world.clock.now() + backoffMs],
          );
          await world.advance(backoffMs - 1);
          const early = await world.promote();
          assert.deepEqual([early.handled, early.more, early.nextAt], [0, false, world.clock.now() + 1]);
          assert.deepEqual(await worker.leases(), []);
          await world.advance(1);
          const due = await world.promote();
          assert.deepEqual([due.handled, due.more], [1, false]);
          const lease = await worker.take();
          assert.equal(lease.attempt, index + 2);
          await worker.deliver(failed(lease, failure("user-error", `failure ${index + 2}`)));
        }
        await world.advance(1_000_000);
        assert.equal((await world.promote()).handled, 0);
        const view = await world.view(id);
        assert.equal(view.state, "failed");
        assert.deepEqual(books(view.counters), { total: 1, failed: 1 });
        assert.equal(view.retries, 3);
        assert.equal(view.lostAttempts, 0);
        const { letters } = await world.broker.listDeadLetters({ executionId: id, limit: 10 });
        assert.deepEqual(
          letters.map((letter) => [letter.task, letter.failures, letter.losses, letter.failure.message]),
          [[0, 4, 0, "failure 4"]],
        );
      },
    },
    {
      name: "what is never retried is a dead letter at once",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take(), failure("invalid-input", "k must be odd")));
        const view = await world.view(id);
        assert.deepEqual(books(view.counters), { total: 2, failed: 1, queued: 1 });
        assert.equal(view.state, "running");
        assert.deepEqual(view.firstFailure, { class: "invalid-input", message: "k must be odd" });
        await worker.finish(await worker.take());
        assert.equal((await world.view(id)).state, "failed");
      },
    },
    {
      name: "every other class of failure is retried",
      promises: [3],
      run: async (world) => {
        const classes: FailureClass[] = ["user-error", "timeout", "out-of-memory", "network", "gpu", "unknown"];
        const id = await world.submit(batch(classes.length));
        const worker = await world.join();
        const leases = await worker.leases(10);
        await worker.deliver(...leases.map((lease, index) => failed(lease, failure(classes[index]))));
        assert.deepEqual(books(await world.counters(id)), { total: classes.length, scheduled: classes.length });
        await world.advance(5_000);
        assert.equal((await world.promote()).handled, classes.length);
        await worker.finish(...(await worker.leases(10)));
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a group's own retry policy is followed",
      promises: [3],
      run: async (world) => {
        const retry = { limit: 2, baseMs: 100, factor: 3, maxMs: 250, jitter: 0, never: ["timeout"] as const };
        const id = await world.submit(batch(2, {}, { retry }));
        const worker = await world.join();
        const [first, second] = await worker.leases(2);
        assert.ok(first !== undefined && second !== undefined);
        await worker.deliver(failed(first, failure("timeout")), failed(second));
        assert.deepEqual(books(await world.counters(id)), { total: 2, failed: 1, scheduled: 1 });
        for (const backoffMs of [100, 250]) {
          await world.advance(backoffMs - 1);
          await world.promote();
          assert.deepEqual(await worker.leases(), []);
          await world.advance(1);
          await world.promote();
          await worker.deliver(failed(await worker.take()));
        }
        assert.deepEqual(books(await world.counters(id)), { total: 2, failed: 2 });
      },
    },
    {
      name: "without retries the first failure is the last",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(batch(1, {}, { retry: { ...DEFAULT_RETRY, limit: 0 } }));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take()));
        assert.equal((await world.view(id)).state, "failed");
      },
    },
    {
      name: "jitter shortens the delay by no more than its share",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(batch(20, {}, { retry: { ...DEFAULT_RETRY, jitter: 0.5 } }));
        const worker = await world.join();
        await worker.deliver(...(await worker.leases(20)).map((lease) => failed(lease)));
        const { tasks } = await world.broker.listTasks({ executionId: id, limit: 20 });
        const delays = tasks.map((task) => (task.notBefore ?? 0) - world.clock.now());
        assert.ok(
          delays.every((delayMs) => delayMs >= 2_500 && delayMs <= 5_000),
          delays.join(" "),
        );
        assert.ok(new Set(delays).size > 1, "delays differ");
        await world.advance(5_000);
        await world.promote();
        await worker.finish(...(await worker.leases(20)));
      },
    },
    {
      name: "retries fall due in the order of their times, and a duty does no more than its limit",
      promises: [9],
      run: async (world) => {
        await world.submit(batch(5));
        const worker = await world.join();
        for (const lease of await worker.leases(5)) {
          await worker.deliver(failed(lease));
          await world.advance(100);
        }
        await world.advance(5_000);
        const first = await world.promote(3);
        assert.deepEqual([first.handled, first.more], [3, true]);
        assert.deepEqual(
          (await worker.leases(10)).map((lease) => lease.task),
          [0, 1, 2],
        );
        const second = await world.promote(3);
        assert.deepEqual([second.handled, second.more, second.nextAt], [2, false, undefined]);
        assert.deepEqual(
          (await worker.leases(10)).map((lease) => lease.task),
          [3, 4],
        );
      },
    },
    {
      name: "a lost worker costs a loss, not a failure, and no wait",
      promises: [3, 4],
      run: async (world) => {
        const id = await world.submit(batch(1));
        await loseWorkers(world, 2);
        const { tasks } = await world.broker.listTasks({ executionId: id, limit: 1 });
        assert.deepEqual([tasks[0]?.state, tasks[0]?.losses, tasks[0]?.failures], ["queued", 2, 0]);
        const heir = await world.join({ worker: "heir" });
        const lease = await heir.take();
        assert.equal(lease.attempt, 3);
        await heir.finish(lease);
        const view = await world.view(id);
        assert.deepEqual([view.state, view.lostAttempts, view.retries], ["completed", 2, 0]);
      },
    },
    {
      name: "the third lost worker makes a task a poison pill",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(batch(1));
        await loseWorkers(world, 3);
        const view = await world.view(id);
        assert.equal(view.state, "failed");
        assert.equal(view.firstFailure?.class, "worker-lost");
        const { letters } = await world.broker.listDeadLetters({ executionId: id, limit: 10 });
        assert.deepEqual(
          letters.map((letter) => [letter.losses, letter.failures, letter.failure.class]),
          [[3, 0, "worker-lost"]],
        );
        const fourth = await world.join({ worker: "fourth" });
        assert.deepEqual(await fourth.leases(), []);
      },
    },
    {
      name: "a group's own limit of losses is followed",
      promises: [3],
      run: async (world) => {
        const one = await world.submit(batch(1, {}, { maxLosses: 1 }));
        await loseWorkers(world, 1);
        assert.equal((await world.view(one)).state, "failed");
        const five = await world.submit(batch(1, {}, { maxLosses: 5 }));
        await loseWorkers(world, 4);
        assert.equal((await world.view(five)).state, "running");
        await loseWorkers(world, 1);
        assert.equal((await world.view(five)).state, "failed");
      },
    },
    {
      name: "losses and failures are counted apart",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(batch(1));
        await loseWorkers(world, 2);
        const worker = await world.join();
        for (let attempt = 3; attempt <= 5; attempt += 1) {
          const lease = await worker.take();
          assert.equal(lease.attempt, attempt);
          await worker.deliver(failed(lease));
          await world.advance(20_000);
          await world.promote();
        }
        await worker.finish(await worker.take());
        const { tasks } = await world.broker.listTasks({ executionId: id, limit: 1 });
        assert.deepEqual(
          [tasks[0]?.state, tasks[0]?.attempts, tasks[0]?.failures, tasks[0]?.losses],
          ["completed", 6, 3, 2],
        );
      },
    },
    {
      name: "after the allowed dead letters the rest is cancelled and the execution fails",
      promises: [3, 6],
      run: async (world) => {
        const id = await world.submit(batch(10, { maxFailures: 2 }));
        const worker = await world.join();
        const [first, second, third] = await worker.leases(3);
        assert.ok(first !== undefined && second !== undefined && third !== undefined);
        await worker.deliver(failed(first, failure("invalid-input")));
        assert.equal((await world.view(id)).state, "running");
        const reply = await worker.reportAndClaim([failed(second, failure("invalid-input"))], 5);
        assert.deepEqual(reply.leases, []);
        const view = await world.view(id);
        assert.equal(view.state, "failed");
        assert.deepEqual(books(view.counters), { total: 10, failed: 2, cancelled: 8 });
        assert.deepEqual(
          (await worker.heartbeat()).cancel.map((lease) => lease.task),
          [third.task],
        );
        assert.deepEqual(await worker.report(done(third)), ["refused"]);
      },
    },
    {
      name: "dead letters of an array count by item towards the allowed ones",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(sweep(1_000_000_000, 10, { maxFailures: 3 }));
        const worker = await world.join();
        const lease = await worker.take();
        await worker.deliver(failed(lease, failure("invalid-input"), 1));
        await worker.deliver(failed(await worker.take(), failure("invalid-input"), 0));
        assert.equal((await world.view(id)).state, "running");
        await worker.deliver(failed(await worker.take(), failure("invalid-input"), 2));
        const view = await world.view(id);
        assert.deepEqual([view.state, view.counters.failed, view.counters.cancelled], ["failed", 3, 1_000_000_000 - 3]);
      },
    },
  ],
};
