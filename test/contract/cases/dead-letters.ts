/** Dead letters in a person's hands: listed over all executions, replayed, discarded. */
import assert from "node:assert/strict";
import type { DeadLetter, Lease, Submission, TaskGroup } from "../../../src/broker/contract.ts";
import { MAX_PAYLOAD, MAX_REPLY_PAYLOAD } from "../../../src/broker/limits.ts";
import type { FakeWorker } from "../../support/fake-worker.ts";
import { chunkDone, failed, failure, itemFailures } from "../../support/outcomes.ts";
import { array, batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

/** The leases' work is never tried again by itself. */
async function bury(worker: FakeWorker, ...leases: readonly Lease[]): Promise<void> {
  await worker.deliver(...leases.map((lease) => failed(lease, failure("invalid-input"))));
}

/** An execution of separate tasks, all of them dead letters. */
async function allDead(world: World, count: number, changes: Partial<Submission> = {}): Promise<string> {
  const id = await world.submit(batch(count, changes));
  const worker = await world.join();
  await bury(worker, ...(await worker.leases(count)));
  await worker.leave();
  return id;
}

/** All letters, page by page. */
async function lettersOf(
  world: World,
  params: { readonly executionId?: string; readonly inputs?: boolean },
  limit = 2,
): Promise<DeadLetter[]> {
  const found: DeadLetter[] = [];
  let after: string | undefined;
  do {
    const page = await world.broker.listDeadLetters({ ...params, limit, ...(after === undefined ? {} : { after }) });
    assert.ok(page.letters.length <= limit);
    found.push(...page.letters);
    after = page.next;
  } while (after !== undefined);
  return found;
}

function names(letters: readonly DeadLetter[]): string[] {
  return letters
    .map(
      ({ executionId, task, start, end }) => `${executionId}/${task}${start === undefined ? "" : `/${start}-${end}`}`,
    )
    .toSorted();
}

/** A sweep of two chunks: items 3 and 4 of the first are dead letters by themselves, the second one whole. */
async function sweepWithLetters(world: World, changes: Partial<TaskGroup> = {}): Promise<string> {
  const id = await world.submit(sweep(20, 10, {}, changes));
  const worker = await world.join();
  await worker.deliver(chunkDone(await worker.take(), itemFailures([3, 4], "invalid-input")));
  await bury(worker, await worker.take());
  await worker.leave();
  return id;
}

export const deadLetterCases: CaseGroup = {
  name: "dead letters by hand",
  cases: [
    {
      name: "letters of all executions are listed page by page, those of cancelled ones too",
      promises: [9],
      run: async (world) => {
        const one = await allDead(world, 3);
        const two = await sweepWithLetters(world);
        const cancelled = await world.submit(batch(2));
        const worker = await world.join();
        await bury(worker, await worker.take());
        await world.broker.cancel({ executionId: cancelled });
        await world.submit(batch(5));
        const expected = [`${one}/0`, `${one}/1`, `${one}/2`, `${two}/0/3-4`, `${two}/0/4-5`, `${two}/0/10-20`];
        assert.deepEqual(names(await lettersOf(world, {})), [...expected, `${cancelled}/0`].toSorted());
        assert.deepEqual(names(await lettersOf(world, {}, 1_000)), [...expected, `${cancelled}/0`].toSorted());
        assert.deepEqual(names(await lettersOf(world, { executionId: two })), expected.slice(3).toSorted());
        assert.deepEqual(
          (await lettersOf(world, { executionId: one })).map((letter) => letter.task),
          [0, 1, 2],
        );
      },
    },
    {
      name: "letters bring their inputs where the call asks for them",
      promises: [9],
      run: async (world) => {
        const id = await allDead(world, 3);
        const chunk = await sweepWithLetters(world);
        const inputs = (letters: readonly DeadLetter[]): unknown => letters.map(({ input }) => input);
        assert.deepEqual(inputs(await lettersOf(world, { executionId: id, inputs: true })), ["0", "1", "2"]);
        assert.deepEqual(inputs(await lettersOf(world, { executionId: id })), [undefined, undefined, undefined]);
        const ranges = await lettersOf(world, { executionId: chunk, inputs: true });
        assert.deepEqual(inputs(ranges), [undefined, undefined, undefined]);
      },
    },
    {
      name: "a page of letters is no longer than its inputs allow",
      promises: [9],
      run: async (world) => {
        const input = JSON.stringify("x".repeat(MAX_PAYLOAD - 2));
        const count = MAX_REPLY_PAYLOAD / MAX_PAYLOAD + 2;
        const id = await world.submit(submission([group({ kind: "tasks", inputs: Array<string>(count).fill(input) })]));
        const worker = await world.join();
        for (let left = count; left > 0;) {
          const leases = await worker.leases(count);
          await bury(worker, ...leases);
          left -= leases.length;
        }
        const page = await world.broker.listDeadLetters({ executionId: id, inputs: true, limit: 1_000 });
        const length = page.letters.reduce((sum, letter) => sum + (letter.input?.length ?? 0), 0);
        assert.ok(length <= MAX_REPLY_PAYLOAD + MAX_PAYLOAD, `${length}`);
        assert.ok(page.next !== undefined);
        assert.equal((await lettersOf(world, { executionId: id, inputs: true }, 1_000)).length, count);
        assert.equal((await world.broker.listDeadLetters({ executionId: id, limit: 1_000 })).letters.length, count);
      },
    },
    {
      name: "discarded letters are struck off; their tasks stay failed",
      promises: [3, 7],
      run: async (world) => {
        const id = await allDead(world, 3);
        const before = await world.view(id);
        const reply = await world.broker.discard({ executionId: id, letters: [{ task: 1 }, { task: 7 }, { task: 1 }] });
        assert.deepEqual(reply, { changed: 1, execution: before });
        assert.deepEqual(names(await lettersOf(world, {})), [`${id}/0`, `${id}/2`]);
        assert.equal((await world.broker.discard({ executionId: id, letters: [{ task: 1 }] })).changed, 0);
        assert.equal((await world.broker.discard({ executionId: id })).changed, 2);
        assert.deepEqual(await lettersOf(world, { executionId: id }), []);
        const { tasks: all } = await world.broker.listTasks({ executionId: id, states: ["failed"], limit: 10 });
        assert.deepEqual(
          all.map((task) => task.task),
          [0, 1, 2],
        );
        assert.equal((await world.broker.retry({ executionId: id })).changed, 0, "what was discarded is no letter");
        assert.deepEqual(await world.view(id), before);
      },
    },
    {
      name: "ranges are discarded by their first item, one or all",
      promises: [3],
      run: async (world) => {
        const id = await sweepWithLetters(world);
        const discard = async (...letters: { task: number; start?: number }[]): Promise<number> =>
          (await world.broker.discard({ executionId: id, letters })).changed;
        assert.equal(await discard({ task: 0 }, { task: 0, start: 11 }, { task: 1, start: 10 }), 0);
        assert.equal(await discard({ task: 0, start: 10 }), 10);
        assert.deepEqual(names(await lettersOf(world, {})), [`${id}/0/3-4`, `${id}/0/4-5`]);
        assert.equal((await world.broker.discard({ executionId: id })).changed, 2);
        assert.equal((await world.counters(id)).failed, 12);
      },
    },
    {
      name: "letters of a running and of a cancelled execution can be discarded",
      promises: [3],
      run: async (world) => {
        const id = await world.submit(batch(3));
        const worker = await world.join();
        await bury(worker, ...(await worker.leases(2)));
        assert.equal((await world.broker.discard({ executionId: id, letters: [{ task: 0 }] })).changed, 1);
        assert.deepEqual(names(await lettersOf(world, {})), [`${id}/1`]);
        await world.broker.cancel({ executionId: id });
        assert.equal((await world.broker.discard({ executionId: id })).changed, 1);
        assert.deepEqual(await lettersOf(world, {}), []);
        assert.equal((await world.view(id)).state, "cancelled");
      },
    },
    {
      name: "the letters of an execution go when it is purged",
      promises: [9],
      run: async (world) => {
        await allDead(world, 2, { retentionMs: 1_000 });
        const kept = await allDead(world, 1);
        await world.advance(1_001);
        for (let more = true; more;) more = (await world.broker.purge({ limit: 10 })).more;
        assert.deepEqual(names(await lettersOf(world, {})), [`${kept}/0`]);
      },
    },
    {
      name: "what is unknown, cancelled or about to be purged is not replayed",
      promises: [6, 9],
      run: async (world) => {
        const { broker } = world;
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.retry({ executionId: "nobody" }));
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.discard({ executionId: "nobody" }));
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.listDeadLetters({ executionId: "nobody", limit: 1 }));
        const cancelled = await world.submit(batch(2));
        const worker = await world.join();
        await bury(worker, await worker.take());
        await broker.cancel({ executionId: cancelled });
        await refusedWith("EXECUTION_CANCELLED", () => broker.retry({ executionId: cancelled }));
        const old = await allDead(world, 3, { retentionMs: 1_000 });
        await world.advance(1_001);
        await broker.purge({ limit: 1 });
        await refusedWith("EXECUTION_NOT_FOUND", () => broker.retry({ executionId: old }));
        for (let more = true; more;) more = (await broker.purge({ limit: 10 })).more;
      },
    },
    {
      name: "a replay that would overfill a pool is refused whole",
      promises: [2, 9],
      settings: { maxQueueDepth: 4 },
      run: async (world) => {
        const id = await allDead(world, 2);
        const other = await world.submit(batch(3));
        const before = await world.view(id);
        await refusedWith("QUEUE_FULL", () => world.broker.retry({ executionId: id }));
        assert.deepEqual(await world.view(id), before);
        assert.equal((await lettersOf(world, { executionId: id })).length, 2);
        await world.broker.cancel({ executionId: other });
        assert.equal((await world.broker.retry({ executionId: id })).changed, 2);
        await refusedWith("QUEUE_FULL", () => world.submit(batch(3)));
      },
    },
    {
      name: "dependents are counted when it is asked whether a replay fits into a pool",
      promises: [9],
      settings: { maxQueueDepth: 4 },
      run: async (world) => {
        const id = await world.submit(submission([group(tasks(4, [[], [0], [0], [1]]))]));
        const worker = await world.join();
        await bury(worker, await worker.take());
        const other = await world.submit(batch(1));
        await refusedWith("QUEUE_FULL", () => world.broker.retry({ executionId: id }));
        assert.equal((await world.counters(id)).skipped, 3);
        await world.broker.cancel({ executionId: other });
        assert.equal((await world.broker.retry({ executionId: id })).changed, 1);
      },
    },
    {
      name: "an array in pieces counts once when it is asked whether a replay fits",
      promises: [9],
      settings: { maxQueueDepth: 1 },
      run: async (world) => {
        const id = await world.submit(submission([group(array(10, 5))]));
        const worker = await world.join();
        await worker.deliver(chunkDone(await worker.take(), itemFailures([0, 2], "invalid-input")));
        await worker.deliver(chunkDone(await worker.take(), itemFailures([5, 6], "invalid-input")));
        assert.equal((await world.broker.retry({ executionId: id })).changed, 4);
      },
    },
  ],
};
