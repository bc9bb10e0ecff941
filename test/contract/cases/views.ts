/** Looking at what there is: executions, tasks, pools, attempts, dead letters. */
import assert from "node:assert/strict";
import { completed, done, failed, failure, itemFailures, chunkDone, returned } from "../../support/outcomes.ts";
import { array, batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import { PendingCall } from "../../support/pending-call.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

export const viewCases: CaseGroup = {
  name: "views",
  cases: [
    {
      name: "executions are listed from the newest, page by page",
      promises: [9],
      run: async (world) => {
        const ids: string[] = [];
        for (let count = 0; count < 7; count += 1) {
          ids.unshift(await world.submit(batch(1)));
          if (count % 2 === 0) await world.advance(1);
        }
        const seen: string[] = [];
        let after: string | undefined;
        do {
          const page = await world.broker.listExecutions({ limit: 3, ...(after === undefined ? {} : { after }) });
          assert.ok(page.executions.length <= 3);
          seen.push(...page.executions.map((view) => view.executionId));
          after = page.next;
        } while (after !== undefined);
        assert.deepEqual(seen, ids);
      },
    },
    {
      name: "a look that waits is answered by the execution's end, however it comes, and not before",
      promises: [10],
      run: async (world) => {
        const [first, second] = [await world.submit(batch(2)), await world.submit(batch(1))];
        const waits = [first, second].map(
          (executionId) => new PendingCall(world.broker.getExecution({ executionId, waitMs: 20_000 })),
        );
        await world.settle();
        const worker = await world.join();
        await worker.finish(await worker.take());
        await world.settle();
        assert.deepEqual(
          waits.map(({ state }) => state),
          ["waiting", "waiting"],
        );
        await worker.finish(...(await worker.leases(5)));
        await world.broker.cancel({ executionId: second }).catch(() => undefined);
        const [one, other] = await Promise.all(waits.map(({ promise }) => promise));
        assert.equal(one?.state, "completed");
        assert.equal(one.counters.completed, 2);
        assert.ok(other?.state === "completed" || other?.state === "cancelled");
        const late = await world.broker.getExecution({ executionId: first, waitMs: 20_000 });
        assert.equal(late.state, "completed");
        await refusedWith("EXECUTION_NOT_FOUND", () =>
          world.broker.getExecution({ executionId: "nobody", waitMs: 20_000 }),
        );
      },
    },
    {
      name: "a look that waits is answered as things are when its time is over",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const wait = new PendingCall(world.broker.getExecution({ executionId, waitMs: 30 }));
        await world.settle();
        await world.advance(50);
        assert.equal((await wait.promise).state, "pending");
      },
    },
    {
      name: "executions can be listed by state",
      promises: [9],
      run: async (world) => {
        const pending = await world.submit(batch(1, { priority: 1 }));
        const cancelled = await world.submit(batch(1));
        await world.broker.cancel({ executionId: cancelled });
        const paused = await world.submit(batch(1));
        await world.broker.pause({ executionId: paused });
        const list = async (...states: ("pending" | "paused" | "cancelled" | "running")[]): Promise<string[]> =>
          (await world.broker.listExecutions({ states, limit: 10 })).executions.map((view) => view.executionId);
        assert.deepEqual(await list("pending"), [pending]);
        assert.deepEqual(await list("paused", "cancelled"), [paused, cancelled]);
        assert.deepEqual(await list("running"), []);
      },
    },
    {
      name: "executions can be found by the start of their id",
      promises: [9],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const other = await world.submit(batch(1));
        const find = async (idPrefix: string): Promise<string[]> =>
          (await world.broker.listExecutions({ idPrefix, limit: 10 })).executions.map((view) => view.executionId);
        assert.deepEqual(await find(id), [id]);
        assert.deepEqual(await find(""), [other, id]);
        assert.deepEqual(await find(`${id}x`), []);
        assert.deepEqual(await find("%"), []);
        assert.deepEqual(await find("_"), []);
      },
    },
    {
      name: "what is unknown is not found",
      promises: [9],
      run: async (world) => {
        const { broker } = world;
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.getExecution({ executionId: "nobody" }));
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.listTasks({ executionId: "nobody", limit: 10 }));
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.listDeadLetters({ executionId: "nobody", limit: 10 }));
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.listAttempts({ executionId: "nobody", limit: 10 }));
      },
    },
    {
      name: "tasks are listed in order, by page and by state",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(
          submission([
            group(tasks(4, [[], [0], [], []]), { name: "alpha" }),
            group(array(10, 5), { name: "beta", pool: "qa" }),
          ]),
        );
        const worker = await world.join({ worker: "w1" });
        const [first, second] = await worker.leases(2);
        assert.ok(first !== undefined && second !== undefined);
        await worker.deliver(failed(second));
        const { tasks: all } = await world.broker.listTasks({ executionId, limit: 10 });
        assert.deepEqual(
          all.map((task) => [task.task, task.name, task.pool, task.state]),
          [
            [0, "alpha", "default", "running"],
            [1, "alpha", "default", "blocked"],
            [2, "alpha", "default", "scheduled"],
            [3, "alpha", "default", "queued"],
            [4, "beta", "qa", "queued"],
          ],
        );
        assert.equal(all[0]?.worker, "w1");
        assert.deepEqual(books(all[4]?.items ?? (await world.counters(executionId))), { total: 10, queued: 10 });
        const numbers = async (params: object): Promise<number[]> =>
          (await world.broker.listTasks({ executionId, limit: 10, ...params })).tasks.map((task) => task.task);
        assert.deepEqual(await numbers({ after: 1, limit: 2 }), [2, 3]);
        assert.deepEqual(await numbers({ states: ["queued"] }), [3, 4]);
        assert.deepEqual(await numbers({ states: ["blocked", "scheduled"], after: 1 }), [2]);
        assert.deepEqual(await numbers({ after: 4 }), []);
      },
    },
    {
      name: "tasks of one state are found behind any number of others",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(
          submission([group(tasks(20)), group(tasks(3), { delayMs: 60_000 }), group(tasks(3))]),
        );
        const worker = await world.join();
        const leases = await worker.leases(20);
        const last = leases.find((lease) => lease.task === 19);
        assert.ok(last !== undefined);
        await worker.deliver(...leases.filter((lease) => lease !== last).map(returned), failed(last));
        const numbers = async (params: object): Promise<number[]> =>
          (await world.broker.listTasks({ executionId, limit: 2, ...params })).tasks.map((task) => task.task);
        assert.deepEqual(await numbers({ states: ["scheduled"] }), [19, 20]);
        assert.deepEqual(await numbers({ states: ["scheduled"], after: 20 }), [21, 22]);
        assert.deepEqual(await numbers({ states: ["queued"], after: 18 }), [23, 24]);
        assert.deepEqual(await numbers({ states: ["running"] }), []);
      },
    },
    {
      name: "a task tells its result and its last failure",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const worker = await world.join();
        await worker.deliver(
          failed(await worker.take(), {
            class: "network",
            message: "no route",
            code: "EHOSTUNREACH",
            stack: "at home",
          }),
        );
        const [waiting] = (await world.broker.listTasks({ executionId, limit: 1 })).tasks;
        assert.deepEqual(waiting?.lastFailure, {
          class: "network",
          message: "no route",
          code: "EHOSTUNREACH",
          stack: "at home",
        });
        await world.advance(5_000);
        await world.promote();
        await worker.deliver(completed(await worker.take(), '"fine"'));
        const [ended] = (await world.broker.listTasks({ executionId, limit: 1 })).tasks;
        assert.deepEqual(
          [ended?.state, ended?.result, ended?.attempts, ended?.failures],
          ["completed", '"fine"', 2, 1],
        );
      },
    },
    {
      name: "pools tell what waits, what runs and who serves them",
      promises: [9],
      run: async (world) => {
        await world.submit(batch(5));
        await world.submit(batch(2, {}, { pool: "qa" }));
        const worker = await world.join({ pools: ["default", "qa"] });
        const leases = await worker.leases(3);
        const pools = async (): Promise<unknown> =>
          (await world.broker.listPools()).pools
            .toSorted((left, right) => left.pool.localeCompare(right.pool))
            .map(({ pool, paused, queued, running, completed: ended, sessions }) => [
              pool,
              paused,
              { queued, running, ended, sessions },
            ]);
        const inQa = leases.filter((lease) => lease.executionId !== leases[0]?.executionId).length;
        assert.deepEqual(await pools(), [
          ["default", false, { queued: 5 - (3 - inQa), running: 3 - inQa, ended: 0, sessions: 1 }],
          ["qa", false, { queued: 2 - inQa, running: inQa, ended: 0, sessions: 1 }],
        ]);
        await worker.finish(...leases);
        await worker.leave();
        assert.deepEqual(await pools(), [
          ["default", false, { queued: 5 - (3 - inQa), running: 0, ended: 3 - inQa, sessions: 0 }],
          ["qa", false, { queued: 2 - inQa, running: 0, ended: inQa, sessions: 0 }],
        ]);
      },
    },
    {
      name: "attempts are logged with their outcome, worker and output",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(batch(2));
        const worker = await world.join({ worker: "w1" });
        const output = { stdout: "out", stderr: "err", truncated: false };
        await worker.deliver({ ...failed(await worker.take(), failure("user-error", "first")), output });
        await worker.deliver(returned(await worker.take()));
        await worker.take();
        await worker.die();
        await world.advance(5_000);
        await world.promote();
        const heir = await world.join({ worker: "w2" });
        const [one, two] = await heir.leases(2);
        assert.ok(one !== undefined && two !== undefined);
        await heir.deliver({ ...completed(one), output }, done(two));
        const { attempts } = await world.broker.listAttempts({ executionId, limit: 100 });
        const told = attempts.map(
          (attempt) => `${attempt.task} ${attempt.attempt} ${attempt.outcome} ${attempt.worker}`,
        );
        const expected = ["0 1 failed w1", "1 1 returned w1", "1 1 lost w1", "0 2 completed w2", "1 2 completed w2"];
        // A plain success may go unlogged (its result row tells as much); trouble and output may not.
        assert.deepEqual(
          told.filter((line) => !expected.includes(line)),
          [],
        );
        for (const line of ["0 1 failed w1", "1 1 lost w1", `${one.task} 2 completed w2`])
          assert.ok(told.includes(line), `${line} in ${told.join(", ")}`);
        const first = attempts.find((attempt) => attempt.outcome === "failed");
        assert.deepEqual([first?.failure?.message, first?.output, first?.durationMs], ["first", output, 5]);
        const only = await world.broker.listAttempts({ executionId, task: 1, limit: 100 });
        assert.ok(only.attempts.length >= 1 && only.attempts.every((attempt) => attempt.task === 1));
      },
    },
    {
      name: "attempts of chunks name their range",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(sweep(20, 10));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take(), failure("out-of-memory"), 4));
        const { attempts } = await world.broker.listAttempts({ executionId, limit: 10 });
        assert.deepEqual(
          attempts.map((attempt) => [attempt.start, attempt.end, attempt.outcome]),
          [[0, 10, "failed"]],
        );
      },
    },
    {
      name: "dead letters are listed up to the limit",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(sweep(10, 10));
        const worker = await world.join();
        await worker.deliver(chunkDone(await worker.take(), itemFailures([1, 2, 5, 8], "invalid-input")));
        const { letters } = await world.broker.listDeadLetters({ executionId, limit: 3 });
        assert.equal(letters.length, 3);
        const all = (await world.broker.listDeadLetters({ executionId, limit: 10 })).letters;
        assert.deepEqual(
          all.map((letter) => [letter.start, letter.end, letter.failures, letter.at]),
          [1, 2, 5, 8].map((item) => [item, item + 1, 1, world.clock.now()]),
        );
      },
    },
    {
      name: "a closed broker answers nothing more",
      promises: [7],
      run: async (world) => {
        const other = await world.another();
        await other.broker.close();
        await other.broker.close();
        await refusedWith("BROKER_CLOSED", () => other.broker.listPools());
      },
    },
  ],
};
