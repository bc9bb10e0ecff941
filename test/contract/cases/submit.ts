/** Submitting: keys make repeats harmless, a call is taken whole or not at all. */
import assert from "node:assert/strict";
import { array, batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

export const submitCases: CaseGroup = {
  name: "submit",
  cases: [
    {
      name: "a submission becomes an execution that waits for its first claim",
      promises: [10],
      run: async (world) => {
        const id = await world.submit(batch(3, { name: "three", priority: 7, meta: '{"label":"x"}' }));
        const view = await world.view(id);
        assert.equal(view.executionId, id);
        assert.equal(view.name, "three");
        assert.equal(view.kind, "batch");
        assert.equal(view.priority, 7);
        assert.equal(view.state, "pending");
        assert.equal(view.meta, '{"label":"x"}');
        assert.equal(view.createdAt, world.clock.now());
        assert.equal(view.startedAt, undefined);
        assert.equal(view.endedAt, undefined);
        assert.deepEqual(books(view.counters), { total: 3, queued: 3 });
        assert.deepEqual([view.lostAttempts, view.retries, view.refusedOutcomes], [0, 0, 0]);
      },
    },
    {
      name: "it starts with the first claim and ends with the last commit",
      promises: [2],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const worker = await world.join();
        await world.advance(100);
        const first = await worker.take();
        const startedAt = world.clock.now();
        assert.equal((await world.view(id)).state, "running");
        await worker.finish(first);
        await world.advance(100);
        await worker.finish(await worker.take());
        const view = await world.view(id);
        assert.equal(view.state, "completed");
        assert.equal(view.startedAt, startedAt);
        assert.equal(view.endedAt, world.clock.now());
        assert.deepEqual(books(view.counters), { total: 2, completed: 2 });
      },
    },
    {
      name: "several submissions of one call get their receipts in order",
      promises: [9],
      run: async (world) => {
        const { executions } = await world.broker.submit({
          submissions: [batch(1, { name: "a" }), sweep(10, 5, { name: "b" })],
        });
        assert.equal(executions.length, 2);
        const names: string[] = [];
        for (const receipt of executions) {
          assert.equal(receipt.created, true);
          names.push((await world.view(receipt.executionId)).name);
        }
        assert.deepEqual(names, ["a", "b"]);
      },
    },
    {
      name: "the same key is the same execution",
      promises: [7],
      run: async (world) => {
        const params = { submissions: [batch(2, { key: "k" })] };
        const [first] = (await world.broker.submit(params)).executions;
        const [again] = (await world.broker.submit(params)).executions;
        assert.equal(first?.created, true);
        assert.deepEqual(again, { executionId: first?.executionId, created: false });
        assert.equal((await world.broker.listExecutions({ limit: 10 })).executions.length, 1);
        assert.equal((await world.view(first?.executionId ?? "")).key, "k");
      },
    },
    {
      name: "the same key twice in one call is one execution",
      promises: [7],
      run: async (world) => {
        const { executions } = await world.broker.submit({
          submissions: [batch(2, { key: "k" }), batch(2, { key: "k" })],
        });
        assert.equal(executions[0]?.executionId, executions[1]?.executionId);
        assert.deepEqual(
          executions.map((receipt) => receipt.created),
          [true, false],
        );
        assert.equal((await world.broker.listExecutions({ limit: 10 })).executions.length, 1);
      },
    },
    {
      name: "the key of an execution that has ended is still known",
      promises: [7],
      run: async (world) => {
        const id = await world.submit(batch(1, { key: "k" }));
        const worker = await world.join();
        await worker.finish(await worker.take());
        assert.equal(await world.submit(batch(1, { key: "k" })), id);
        assert.deepEqual(await worker.leases(), []);
      },
    },
    {
      name: "without a key every submission is new",
      promises: [7],
      run: async (world) => {
        assert.notEqual(await world.submit(batch(1)), await world.submit(batch(1)));
      },
    },
    {
      name: "a key used for something else is a conflict, and nothing of the call is taken",
      promises: [7, 2],
      run: async (world) => {
        await world.submit(batch(2, { key: "k" }));
        const different = [batch(3, { key: "k" }), sweep(2, 1, { key: "k" }), batch(2, { key: "k", priority: 6 })];
        for (const other of different) {
          await refusedWith("KEY_CONFLICT", () =>
            world.broker.submit({ submissions: [batch(1, { key: "new" }), other] }),
          );
        }
        const sameShape = submission([group({ kind: "tasks", inputs: ["0", "7"] })], { key: "k" });
        await refusedWith("KEY_CONFLICT", () => world.submit(sameShape));
        assert.equal((await world.broker.listExecutions({ limit: 10 })).executions.length, 1);
      },
    },
    {
      name: "one bad submission spoils the call, and nothing of it is taken",
      promises: [2],
      run: async (world) => {
        const bad = batch(1, { priority: 11 });
        await refusedWith("INVALID_REQUEST", () => world.broker.submit({ submissions: [batch(1), bad] }));
        assert.deepEqual((await world.broker.listExecutions({ limit: 10 })).executions, []);
        const worker = await world.join();
        assert.deepEqual(await worker.leases(), []);
      },
    },
    {
      name: "what cannot be meant is refused",
      promises: [9],
      run: async (world) => {
        const wrong = [
          batch(1, { priority: 0 }),
          batch(1, { priority: 5.5 }),
          batch(1, { maxFailures: -1 }),
          sweep(-1, 10),
          sweep(1.5, 10),
          sweep(10, 0),
          submission([group(array(10, 5, { chunk: { kind: "adaptive", targetMs: 1_000, min: 5, max: 2 } }))]),
          submission([group(tasks(2, [[], [1]]))]),
          submission([group(tasks(2, [[], [2]]))]),
          submission([group(tasks(2, [[], [-1]]))]),
          submission([group(tasks(2, [[]]))]),
          batch(1, { verify: { sample: 2, replicas: 2, tolerance: 0, seed: 1 } }),
          batch(1, { verify: { sample: 1, replicas: 1, tolerance: 0, seed: 1 } }),
          batch(1, {}, { maxLosses: 0 }),
          batch(1, {}, { timeoutMs: -1 }),
          batch(1, {}, { pool: "" }),
        ];
        for (const one of wrong) await refusedWith("INVALID_REQUEST", () => world.submit(one));
        assert.deepEqual((await world.broker.listExecutions({ limit: 10 })).executions, []);
      },
    },
    {
      name: "nothing to do is refused, so that an empty list is noticed where it arose",
      promises: [9],
      run: async (world) => {
        for (const empty of [submission([]), batch(0), sweep(0, 10)])
          await refusedWith("INVALID_REQUEST", () => world.submit(empty));
      },
    },
    {
      name: "a delayed group starts no sooner than it may",
      promises: [8],
      run: async (world) => {
        const id = await world.submit(batch(1, {}, { delayMs: 3_000 }));
        const worker = await world.join();
        assert.deepEqual(books(await world.counters(id)), { total: 1, scheduled: 1 });
        await world.advance(2_999);
        assert.equal((await world.promote()).handled, 0);
        assert.deepEqual(await worker.leases(), []);
        await world.advance(1);
        await world.promote();
        await worker.finish(await worker.take());
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a delayed array starts no sooner than it may",
      promises: [8],
      run: async (world) => {
        const id = await world.submit(sweep(1_000_000_000, 1_000, {}, { delayMs: 3_000 }));
        const worker = await world.join();
        await world.advance(2_999);
        await world.promote();
        assert.deepEqual(await worker.leases(), []);
        await world.advance(1);
        await world.promote();
        const lease = await worker.take();
        assert.deepEqual([lease.start, lease.end], [0, 1_000]);
        assert.equal((await world.counters(id)).queued, 1_000_000_000 - 1_000);
      },
    },
  ],
};
