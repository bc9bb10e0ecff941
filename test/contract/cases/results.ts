/** Reading results: in commit order, from a cursor, waiting for more, done at the end. */
import assert from "node:assert/strict";
import type { ResultRow } from "../../../src/broker/contract.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { chunkDone, completed, done, failed, failure, itemFailures } from "../../support/outcomes.ts";
import { array, batch, group, submission, sweep } from "../../support/submissions.ts";
import { allResults } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith } from "../world.ts";

export const resultCases: CaseGroup = {
  name: "results",
  cases: [
    {
      name: "a row tells what was computed, by whom and when",
      promises: [2],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const worker = await world.join({ worker: "ada" });
        const lease = await worker.take();
        await world.advance(250);
        await worker.deliver({ ...completed(lease, '"answer"'), durationMs: 240 });
        const reply = await world.broker.readResults({ executionId, limit: 10 });
        const expected: ResultRow = {
          task: 0,
          result: '"answer"',
          worker: "ada",
          attempt: 1,
          durationMs: 240,
          at: world.clock.now(),
        };
        assert.deepEqual([reply.rows, reply.done], [[expected], true]);
      },
    },
    {
      name: "a chunk's row carries its values and its partial",
      promises: [2],
      run: async (world) => {
        const executionId = await world.submit(sweep(10, 5));
        const worker = await world.join({ worker: "ada" });
        const [low, high] = await worker.leases(2);
        assert.ok(low !== undefined && high !== undefined);
        await worker.deliver(chunkDone(high, itemFailures([6])), chunkDone(low));
        const rows = await allResults(world.broker, executionId);
        const common = { task: 0, worker: "ada", attempt: 1, durationMs: 5, at: world.clock.now() };
        assert.deepEqual(rows, [
          { ...common, start: 5, end: 10, values: "[5,null,7,8,9]", partial: "4", missing: [6] },
          { ...common, start: 0, end: 5, values: "[0,1,2,3,4]", partial: "5" },
        ]);
        await world.broker.cancel({ executionId });
      },
    },
    {
      name: "rows come in the order of their commits, and every cursor continues where it stopped",
      promises: [2, 7],
      run: async (world) => {
        const executionId = await world.submit(batch(20));
        const worker = await world.join();
        const leases = await worker.leases(20);
        const order = leases
          .map((lease) => lease.task)
          .toSorted((left, right) => ((left * 7) % 20) - ((right * 7) % 20));
        for (const task of order) await worker.finish(...leases.filter((lease) => lease.task === task));
        const rows: number[] = [];
        const cursors: (number | undefined)[] = [undefined];
        for (let more = true; more;) {
          const cursor = cursors.at(-1);
          const page = await world.broker.readResults({
            executionId,
            limit: 3,
            ...(cursor === undefined ? {} : { cursor }),
          });
          assert.ok(page.rows.length <= 3);
          rows.push(...page.rows.map((row) => row.task));
          cursors.push(page.cursor);
          more = !page.done;
        }
        assert.deepEqual(rows, order);
        for (const [index, cursor] of cursors.entries()) {
          const rest = await world.broker.readResults({
            executionId,
            limit: 1_000,
            ...(cursor === undefined ? {} : { cursor }),
          });
          assert.deepEqual(
            rest.rows.map((row) => row.task),
            order.slice(index * 3),
          );
        }
      },
    },
    {
      name: "a reader waits for the next result and gets it at once",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(batch(2));
        const worker = await world.join();
        const [first, second] = await worker.leases(2);
        assert.ok(first !== undefined && second !== undefined);
        const waiting = new PendingCall(world.broker.readResults({ executionId, limit: 10, waitMs: 30_000 }));
        await world.settle();
        assert.equal(waiting.state, "waiting");
        await worker.finish(second);
        const page = await waiting.promise;
        assert.deepEqual([page.rows.map((row) => row.task), page.done], [[1], false]);
        const last = new PendingCall(
          world.broker.readResults({ executionId, limit: 10, cursor: page.cursor, waitMs: 30_000 }),
        );
        await world.settle();
        await worker.finish(first);
        const end = await last.promise;
        assert.deepEqual([end.rows.map((row) => row.task), end.done], [[0], true]);
      },
    },
    {
      name: "a reader that waits learns at once that nothing more will come",
      promises: [10],
      run: async (world) => {
        const ended = await world.submit(batch(1));
        const waiting = new PendingCall(world.broker.readResults({ executionId: ended, limit: 10, waitMs: 30_000 }));
        await world.settle();
        await world.broker.cancel({ executionId: ended });
        const page = await waiting.promise;
        assert.deepEqual([page.rows, page.done], [[], true]);
        const failing = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        const other = new PendingCall(world.broker.readResults({ executionId: failing, limit: 10, waitMs: 30_000 }));
        await world.settle();
        await worker.deliver(failed(lease, failure("invalid-input")));
        assert.equal((await other.promise).done, true);
      },
    },
    {
      name: "a reader that waits in vain gets an empty page when its time is over",
      promises: [8],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        const waiting = new PendingCall(world.broker.readResults({ executionId, limit: 10, waitMs: 1_000 }));
        await world.advance(999);
        assert.equal(waiting.state, "waiting");
        await world.advance(1);
        const page = await waiting.promise;
        assert.deepEqual([page.rows, page.done], [[], false]);
      },
    },
    {
      name: "without a wait, and after the end, the answer comes at once",
      promises: [7],
      run: async (world) => {
        const executionId = await world.submit(batch(1));
        assert.deepEqual((await world.broker.readResults({ executionId, limit: 10 })).rows, []);
        const worker = await world.join();
        await worker.finish(await worker.take());
        const { cursor } = await world.broker.readResults({ executionId, limit: 10 });
        const end = await world.broker.readResults({ executionId, limit: 10, cursor, waitMs: 30_000 });
        assert.deepEqual([end.rows, end.done, end.cursor], [[], true, cursor]);
      },
    },
    {
      name: "partials can be read without the values",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(sweep(10, 5));
        const worker = await world.join();
        await worker.deliver(...(await worker.leases(2)).map(done));
        const { rows } = await world.broker.readResults({ executionId, limit: 10, partialsOnly: true });
        assert.deepEqual(
          rows.map((row) => [row.start, row.end, row.partial, row.values]),
          [
            [0, 5, "5", undefined],
            [5, 10, "5", undefined],
          ],
        );
      },
    },
    {
      name: "where results are discarded only the partials are kept",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(
          submission([group(array(10, 5, { results: "discard" }))], { kind: "sweep" }),
        );
        const worker = await world.join();
        for (const lease of await worker.leases(2)) {
          const { values: _values, ...outcome } = chunkDone(lease);
          await worker.deliver(outcome);
        }
        const rows = await allResults(world.broker, executionId);
        assert.deepEqual(
          rows.map((row) => [row.start, row.end, row.partial, row.values]),
          [
            [0, 5, "5", undefined],
            [5, 10, "5", undefined],
          ],
        );
      },
    },
    {
      name: "results of an execution with dead letters are all those that there are",
      promises: [2, 10],
      run: async (world) => {
        const executionId = await world.submit(batch(3));
        const worker = await world.join();
        const [first, second, third] = await worker.leases(3);
        assert.ok(first && second && third);
        await worker.deliver(done(third), failed(second, failure("invalid-input")), done(first));
        const page = await world.broker.readResults({ executionId, limit: 10 });
        assert.deepEqual([page.rows.map((row) => row.task), page.done], [[2, 0], true]);
      },
    },
    {
      name: "an unknown execution is not found",
      promises: [9],
      run: async (world) => {
        await refusedWith("EXECUTION_NOT_FOUND", () => world.broker.readResults({ executionId: "nobody", limit: 10 }));
      },
    },
  ],
};
