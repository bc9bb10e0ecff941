/** Bounds: everything that can grow has a limit, and going over it changes nothing. */
import assert from "node:assert/strict";
import {
  MAX_BATCH,
  MAX_CHUNK_ITEMS,
  MAX_PAYLOAD,
  MAX_REPLY_PAYLOAD,
  MAX_SUBMISSIONS_PER_CALL,
  MAX_TASKS_PER_CALL,
} from "../../../src/broker/limits.ts";
import { completed, failed, refOf } from "../../support/outcomes.ts";
import { array, batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { books, refusedWith } from "../world.ts";

/** JSON text of exactly `length` characters. */
function text(length: number): string {
  return `"${"x".repeat(length - 2)}"`;
}

const TOO_LARGE = text(MAX_PAYLOAD + 1);

export const boundsCases: CaseGroup = {
  name: "bounds",
  cases: [
    {
      name: "a payload of the greatest size passes, a larger one does not",
      promises: [9],
      run: async (world) => {
        const one = (input: string): ReturnType<typeof submission> =>
          submission([group({ kind: "tasks", inputs: [input] })]);
        await world.submit(one(text(MAX_PAYLOAD)));
        const tooLarge = [
          one(TOO_LARGE),
          batch(1, { meta: TOO_LARGE }),
          batch(1, {}, { handler: TOO_LARGE }),
          submission([group(array(10, 5, { source: TOO_LARGE }))]),
        ];
        for (const wrong of tooLarge) await refusedWith("PAYLOAD_TOO_LARGE", () => world.submit(wrong));
        assert.equal((await world.broker.listExecutions({ limit: 10 })).executions.length, 1);
        const worker = await world.join();
        assert.equal((await worker.take()).input?.length, MAX_PAYLOAD);
      },
    },
    {
      name: "a result that is too large is refused, and the attempt can still be reported",
      promises: [9],
      run: async (world) => {
        const id = await world.submit(batch(2));
        const worker = await world.join();
        const [first, second] = await worker.leases(2);
        assert.ok(first !== undefined && second !== undefined);
        await refusedWith("PAYLOAD_TOO_LARGE", () => worker.report(completed(second), completed(first, TOO_LARGE)));
        assert.deepEqual(books(await world.counters(id)), { total: 2, running: 2 });
        await worker.deliver(completed(first, text(MAX_PAYLOAD)), failed(second));
      },
    },
    {
      name: "one call takes no more tasks than its limit",
      promises: [9],
      run: async (world) => {
        await refusedWith("BATCH_TOO_LARGE", () => world.submit(batch(MAX_TASKS_PER_CALL + 1)));
        const half = group(tasks(MAX_TASKS_PER_CALL / 2));
        await refusedWith("BATCH_TOO_LARGE", () => world.submit(submission([half, half, group(tasks(1))])));
        const id = await world.submit(submission([half, half], { open: true }));
        assert.equal((await world.counters(id)).queued, MAX_TASKS_PER_CALL);
        await refusedWith("BATCH_TOO_LARGE", () =>
          world.broker.extend({ executionId: id, part: 1, groups: [half, half, half], seal: false }),
        );
        assert.deepEqual(await world.broker.extend({ executionId: id, part: 1, groups: [half], seal: true }), {
          total: MAX_TASKS_PER_CALL * 1.5,
        });
        await world.broker.cancel({ executionId: id });
      },
    },
    {
      name: "one call takes no more submissions than its limit",
      promises: [9],
      run: async (world) => {
        const many = Array.from({ length: MAX_SUBMISSIONS_PER_CALL + 1 }, () => batch(1));
        await refusedWith("BATCH_TOO_LARGE", () => world.broker.submit({ submissions: many }));
        assert.deepEqual((await world.broker.listExecutions({ limit: 10 })).executions, []);
      },
    },
    {
      name: "a chunk holds no more items than its limit",
      promises: [9],
      run: async (world) => {
        await refusedWith("INVALID_REQUEST", () => world.submit(sweep(10, MAX_CHUNK_ITEMS + 1)));
      },
    },
    {
      name: "a claim and a commit are no larger than a batch",
      promises: [9],
      run: async (world) => {
        const id = await world.submit(batch(MAX_BATCH + 1));
        const worker = await world.join();
        await refusedWith("INVALID_REQUEST", () => worker.claim(MAX_BATCH + 1));
        const leases = await worker.leases(MAX_BATCH);
        assert.equal(leases.length, MAX_BATCH);
        const last = await worker.take();
        await refusedWith("BATCH_TOO_LARGE", () =>
          worker.report(...[...leases, last].map((lease) => completed(lease))),
        );
        assert.equal((await world.counters(id)).completed, 0);
        await worker.finish(...leases);
        await worker.finish(last);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "a claim ends with the lease whose texts reach the greatest size of a reply",
      promises: [9],
      run: async (world) => {
        const size = MAX_REPLY_PAYLOAD / 8;
        const parts = Array.from({ length: size / MAX_PAYLOAD }, (_, part) => part);
        const parents = parts.map(() => text(MAX_PAYLOAD));
        const children = Array.from({ length: 10 }, () => "0");
        const after = [...parents.map(() => []), ...children.map(() => parts)];
        const id = await world.submit(submission([group({ kind: "tasks", inputs: [...parents, ...children], after })]));
        const worker = await world.join();
        const inputs = await worker.leases(100);
        assert.equal(inputs.length, parts.length);
        await worker.deliver(...inputs.map((lease) => completed(lease, text(MAX_PAYLOAD))));
        // Each lease carries the results of its parents besides its input.
        const first = await worker.leases(100);
        assert.deepEqual(
          first.map((lease) => lease.task - parts.length),
          [0, 1, 2, 3, 4, 5, 6, 7],
        );
        const rest = await worker.reportAndClaim(
          first.map((lease) => completed(lease)),
          100,
        );
        assert.deepEqual(
          rest.leases.map((lease) => lease.task - parts.length),
          [8, 9],
        );
        await worker.finish(...rest.leases);
        assert.equal((await world.view(id)).state, "completed");
      },
    },
    {
      name: "handlers and sources count as texts of a claim",
      promises: [9],
      run: async (world) => {
        const groups = Array.from({ length: 9 }, () =>
          group(array(10, 10, { source: text(MAX_PAYLOAD) }), { handler: text(MAX_PAYLOAD) }),
        );
        await world.submit(submission(groups.slice(0, 5), { kind: "sweep" }));
        await world.submit(submission(groups.slice(5), { kind: "sweep" }));
        const worker = await world.join();
        const first = await worker.claim(100);
        assert.deepEqual([first.leases.length, Object.keys(first.specs).length], [8, 8]);
        await worker.finish(...first.leases, ...(await worker.leases(100)));
      },
    },
    {
      name: "a lease larger than a reply is given alone",
      promises: [3, 9],
      run: async (world) => {
        const parents = Array.from({ length: MAX_REPLY_PAYLOAD / MAX_PAYLOAD + 1 }, (_, parent) => parent);
        const after = [...parents.map(() => []), parents, []];
        await world.submit(submission([group({ kind: "tasks", inputs: after.map(() => "0"), after })]));
        const worker = await world.join();
        const roots = (await worker.leases(100)).filter((lease) => lease.parents === undefined);
        assert.equal(roots.length, parents.length + 1);
        await worker.deliver(
          ...roots.slice(0, -1).map((lease) => completed(lease, text(MAX_PAYLOAD))),
          completed(roots.at(-1) ?? assert.fail()),
        );
        const [child] = await worker.leases(100);
        assert.equal(Object.keys(child?.parents ?? {}).length, parents.length);
        await worker.finish(child ?? assert.fail());
      },
    },
    {
      name: "a page of results ends with the row whose texts reach the greatest size of a reply",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(batch(18));
        const worker = await world.join();
        const leases = await worker.leases(18);
        for (const some of [leases.slice(0, 7), leases.slice(7)])
          await worker.deliver(...some.map((lease) => completed(lease, text(MAX_PAYLOAD))));
        const page = await world.broker.readResults({ executionId, limit: 100 });
        assert.deepEqual([page.rows.length, page.done], [MAX_REPLY_PAYLOAD / MAX_PAYLOAD, false]);
        const rest = await world.broker.readResults({ executionId, limit: 100, cursor: page.cursor });
        assert.deepEqual(
          [...page.rows, ...rest.rows].map((row) => row.task),
          leases.map((lease) => lease.task),
        );
        assert.equal(rest.done, true);
      },
    },
    {
      name: "values and partials of chunks count as texts of a page, where they are in it",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(sweep(3, 1));
        const worker = await world.join();
        const values = `[${text(MAX_REPLY_PAYLOAD / 2 - 3)}]`;
        for (const lease of await worker.leases(3)) {
          await worker.deliver({
            kind: "chunk",
            lease: refOf(lease),
            durationMs: 1,
            values,
            partial: "1",
            failures: [],
          });
        }
        const pages: (readonly (number | undefined)[])[] = [];
        for (let cursor = 0, done = false; !done;) {
          const page = await world.broker.readResults({ executionId, limit: 100, cursor });
          pages.push(page.rows.map((row) => row.start));
          ({ cursor, done } = page);
        }
        assert.deepEqual(pages, [[0, 1], [2]]);
        const partials = await world.broker.readResults({ executionId, limit: 100, partialsOnly: true });
        assert.deepEqual([partials.rows.length, partials.done], [3, true]);
      },
    },
    {
      name: "a pool holds no more waiting tasks than its depth, and takes more when some are done",
      promises: [9],
      settings: { maxQueueDepth: 10 },
      run: async (world) => {
        await world.submit(batch(8));
        await refusedWith("QUEUE_FULL", () => world.submit(batch(3)));
        await refusedWith("QUEUE_FULL", () => world.broker.submit({ submissions: [batch(2), batch(1)] }));
        assert.equal((await world.broker.listExecutions({ limit: 10 })).executions.length, 1);
        await world.submit(batch(2));
        await world.submit(batch(3, {}, { pool: "other" }));
        await refusedWith("QUEUE_FULL", () => world.submit(batch(1)));
        const worker = await world.join();
        await worker.finish(...(await worker.leases(4)));
        await world.submit(batch(4));
        await refusedWith("QUEUE_FULL", () => world.submit(batch(1)));
      },
    },
    {
      name: "an array counts as one waiting task",
      promises: [9],
      settings: { maxQueueDepth: 3 },
      run: async (world) => {
        for (let count = 0; count < 3; count += 1) await world.submit(sweep(1_000_000_000, 10));
        await refusedWith("QUEUE_FULL", () => world.submit(sweep(10, 10)));
      },
    },
    {
      name: "an extension is refused by a full pool too, and may be sent again later",
      promises: [7, 9],
      settings: { maxQueueDepth: 3 },
      run: async (world) => {
        const id = await world.submit(batch(2, { open: true }));
        const more = { executionId: id, part: 1, groups: [group(tasks(2))], seal: true };
        await refusedWith("QUEUE_FULL", () => world.broker.extend(more));
        const worker = await world.join();
        await worker.finish(...(await worker.leases(2)));
        assert.deepEqual(await world.broker.extend(more), { total: 4 });
      },
    },
    {
      name: "a known key is answered by a full pool",
      promises: [7, 9],
      settings: { maxQueueDepth: 2 },
      run: async (world) => {
        const id = await world.submit(batch(2, { key: "k" }));
        assert.equal(await world.submit(batch(2, { key: "k" })), id);
      },
    },
    {
      name: "pages are no larger than asked for, and have a greatest size",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(batch(5));
        assert.equal((await world.broker.listTasks({ executionId, limit: 3 })).tasks.length, 3);
        const { broker } = world;
        await refusedWith("INVALID_REQUEST", () => broker.listTasks({ executionId, limit: 1_001 }));
        await refusedWith("INVALID_REQUEST", () => broker.listExecutions({ limit: 1_001 }));
        await refusedWith("INVALID_REQUEST", () => broker.readResults({ executionId, limit: 1_001 }));
        await refusedWith("INVALID_REQUEST", () => broker.readEvents({ cursor: 0, limit: 1_001 }));
        await refusedWith("INVALID_REQUEST", () => broker.readEvents({ cursor: 0, limit: 10, waitMs: 30_001 }));
      },
    },
  ],
};
