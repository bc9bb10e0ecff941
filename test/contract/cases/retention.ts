/** Retention: what has ended goes when its time is over, whole; what has not ended stays. */
import assert from "node:assert/strict";
import { batch, sweep } from "../../support/submissions.ts";
import { allEvents } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

const DAY_MS = 24 * 3_600_000;

async function completedBatch(world: World, changes = {}): Promise<string> {
  const id = await world.submit(batch(2, changes));
  const worker = await world.join();
  await worker.finish(...(await worker.leases(2)));
  await worker.leave();
  return id;
}

export const retentionCases: CaseGroup = {
  name: "retention",
  cases: [
    {
      name: "an ended execution is kept seven days, then it goes with all that belongs to it",
      promises: [9],
      run: async (world) => {
        const id = await completedBatch(world);
        await world.advance(7 * DAY_MS - 1);
        assert.equal((await world.broker.purge({ limit: 10 })).handled, 0);
        assert.equal((await world.view(id)).state, "completed");
        await world.advance(2);
        for (let more = true; more;) more = (await world.broker.purge({ limit: 10 })).more;
        await refusedWith("EXECUTION_NOT_FOUND", () => world.view(id));
        await refusedWith("EXECUTION_NOT_FOUND", () => world.broker.readResults({ executionId: id, limit: 10 }));
        await refusedWith("EXECUTION_NOT_FOUND", () => world.broker.listTasks({ executionId: id, limit: 10 }));
        assert.deepEqual((await world.broker.listExecutions({ limit: 10 })).executions, []);
        assert.deepEqual(await allEvents(world.broker), [], "its events and those of its long gone sessions went too");
        assert.deepEqual((await world.broker.listSessions({ limit: 10 })).sessions, []);
      },
    },
    {
      name: "a submission may say how long",
      promises: [9],
      run: async (world) => {
        const short = await completedBatch(world, { retentionMs: 1_000 });
        const long = await completedBatch(world, { retentionMs: 30 * DAY_MS });
        await world.advance(1_001);
        await world.broker.purge({ limit: 10 });
        await refusedWith("EXECUTION_NOT_FOUND", () => world.view(short));
        await world.advance(8 * DAY_MS);
        await world.broker.purge({ limit: 10 });
        assert.equal((await world.view(long)).state, "completed");
        assert.equal((await world.broker.readResults({ executionId: long, limit: 10 })).rows.length, 2);
      },
    },
    {
      name: "retention follows its setting",
      promises: [9],
      settings: { retentionMs: 60_000 },
      run: async (world) => {
        const id = await completedBatch(world);
        await world.advance(60_001);
        await world.broker.purge({ limit: 10 });
        await refusedWith("EXECUTION_NOT_FOUND", () => world.view(id));
      },
    },
    {
      name: "what has not ended is never purged, however old",
      promises: [3, 9],
      run: async (world) => {
        const waiting = await world.submit(batch(1, { retentionMs: 1 }));
        const paused = await world.submit(sweep(10, 5, { retentionMs: 1 }));
        await world.broker.pause({ executionId: paused });
        await world.advance(400 * DAY_MS);
        await world.broker.purge({ limit: 10 });
        assert.deepEqual([(await world.view(waiting)).state, (await world.view(paused)).state], ["pending", "paused"]);
        assert.ok((await allEvents(world.broker, waiting)).length > 0, "its events are kept with it");
      },
    },
    {
      name: "failed and cancelled executions are purged like completed ones",
      promises: [9],
      run: async (world) => {
        const executionId = await world.submit(sweep(1_000_000_000, 10, { retentionMs: 1_000 }));
        await world.broker.cancel({ executionId });
        await world.advance(1_001);
        await world.broker.purge({ limit: 10 });
        await refusedWith("EXECUTION_NOT_FOUND", () => world.view(executionId));
      },
    },
    {
      name: "the key of a purged execution is free again",
      promises: [7, 9],
      run: async (world) => {
        const old = await completedBatch(world, { key: "nightly", retentionMs: 1_000 });
        await world.advance(1_001);
        await world.broker.purge({ limit: 10 });
        assert.notEqual(await world.submit(batch(2, { key: "nightly" })), old);
      },
    },
    {
      name: "much that is due goes in steps",
      promises: [9],
      run: async (world) => {
        for (let count = 0; count < 5; count += 1) await completedBatch(world, { retentionMs: 1_000 });
        await world.advance(1_001);
        let left = 5;
        for (let rounds = 0; left > 0; rounds += 1) {
          assert.ok(rounds < 50, "purging gets to an end");
          const { more } = await world.broker.purge({ limit: 1 });
          left = (await world.broker.listExecutions({ limit: 10 })).executions.length;
          assert.ok(more || left === 0);
        }
      },
    },
    {
      name: "readers of other executions do not notice",
      promises: [10],
      run: async (world) => {
        await completedBatch(world, { retentionMs: 1_000 });
        const kept = await completedBatch(world);
        const before = await allEvents(world.broker, kept);
        const middle = before[2];
        assert.ok(middle !== undefined);
        await world.advance(1_001);
        await world.broker.purge({ limit: 10 });
        assert.deepEqual(await allEvents(world.broker, kept), before);
        const rest = await world.broker.readEvents({ cursor: middle.cursor, executionId: kept, limit: 100 });
        assert.deepEqual(rest.events, before.slice(3));
      },
    },
  ],
};
