/** Events: every transition is told once, in order, and a reader with a cursor misses nothing. */
import assert from "node:assert/strict";
import { ascending } from "../../support/ascending.ts";
import type { BrokerEvent, EventChange } from "../../../src/broker/contract.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { chunkDone, failed, failure, itemFailures, returned } from "../../support/outcomes.ts";
import { batch, group, submission, sweep, tasks } from "../../support/submissions.ts";
import { allEvents } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import type { World } from "../world.ts";

/** A history with every kind of event in it. */
async function eventfulHistory(world: World): Promise<void> {
  await world.submit(submission([group(tasks(4, [[], [], [0], [1]]))]));
  const array = await world.submit(sweep(100, 10));
  const worker = await world.join({ worker: "w1" });
  const victim = await world.join({ worker: "victim" });
  const [first, second] = (await worker.leases(8)).filter((lease) => lease.start === undefined);
  const [low] = (await victim.leases(3)).filter((lease) => lease.start !== undefined);
  assert.ok(first && second && low);
  await worker.finish(first);
  await worker.deliver(failed(second));
  await victim.deliver(chunkDone(low, itemFailures([low.start ?? 0])));
  await victim.die();
  await world.advance(5_000);
  await worker.heartbeat();
  await world.promote();
  const again = await worker.leases(3);
  await worker.deliver(...again.map(returned));
  await world.broker.pause({ executionId: array });
  await world.broker.resume({ executionId: array });
  await world.broker.cancel({ executionId: array });
  await worker.finish(...(await worker.leases(10)));
  await worker.finish(...(await worker.leases(10)));
  await worker.leave();
}

/** Changes of an execution's tasks, in short. */
function taskChanges(events: readonly BrokerEvent[]): readonly (readonly unknown[])[] {
  const isTasks = (change: EventChange): change is EventChange & { kind: "tasks" } => change.kind === "tasks";
  return events
    .map((event) => event.change)
    .filter(isTasks)
    .map((change) => [change.state, change.tasks, change.worker, change.reason]);
}

export const eventCases: CaseGroup = {
  name: "events",
  cases: [
    {
      name: "the life of a task is told step by step",
      promises: [10],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join({ worker: "w1" });
        await worker.deliver(failed(await worker.take()));
        await world.advance(5_000);
        await world.promote();
        await worker.deliver(returned(await worker.take()));
        await worker.take();
        await worker.die();
        const heir = await world.join({ worker: "w2" });
        await heir.finish(await heir.take());
        const changes = taskChanges(await allEvents(world.broker, id));
        assert.deepEqual(
          changes.map(([state, numbers]) => [state, numbers]),
          [
            ["running", [0]],
            ["scheduled", [0]],
            ["queued", [0]],
            ["running", [0]],
            ["queued", [0]],
            ["running", [0]],
            ["queued", [0]],
            ["running", [0]],
            ["completed", [0]],
          ],
        );
        const whoRan = changes
          .filter(([state]) => state === "running" || state === "completed")
          .map(([, , worker]) => worker);
        assert.deepEqual(whoRan, ["w1", "w1", "w1", "w2", "w2"]);
        assert.deepEqual(
          [1, 4, 6].map((index) => changes[index]?.[3]),
          ["retry", "returned", "lost"],
        );
      },
    },
    {
      name: "the life of an execution is told step by step",
      promises: [10],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const worker = await world.join();
        const lease = await worker.take();
        await world.broker.pause({ executionId: id });
        await world.broker.resume({ executionId: id });
        await worker.finish(lease);
        const states = (await allEvents(world.broker, id))
          .map((event) => event.change)
          .filter((change) => change.kind === "execution");
        assert.deepEqual(
          states.map((change) => change.state),
          ["pending", "running", "paused", "running", "completed"],
        );
      },
    },
    {
      name: "the lives of sessions are told",
      promises: [10],
      run: async (world) => {
        const left = await world.join({ worker: "left" });
        const lost = await world.join({ worker: "lost" });
        await left.leave();
        await lost.die();
        await lost.die();
        const changes = (await allEvents(world.broker)).map((event) => event.change);
        assert.deepEqual(changes, [
          { kind: "session", session: left.session, worker: "left", state: "opened" },
          { kind: "session", session: lost.session, worker: "lost", state: "opened" },
          { kind: "session", session: left.session, worker: "left", state: "left" },
          { kind: "session", session: lost.session, worker: "lost", state: "lost" },
        ]);
      },
    },
    {
      name: "from every cursor the reader gets the same rest",
      promises: [10],
      run: async (world) => {
        await eventfulHistory(world);
        const all = await allEvents(world.broker);
        assert.ok(all.length >= 20, `${all.length} events`);
        for (const [index, event] of all.entries()) {
          const rest = await world.broker.readEvents({ cursor: event.cursor, limit: 1_000 });
          assert.deepEqual(rest.events, all.slice(index + 1));
        }
      },
    },
    {
      name: "pages of any size add up to the same story",
      promises: [10],
      run: async (world) => {
        await eventfulHistory(world);
        const all = await allEvents(world.broker);
        for (const limit of [1, 3, 7]) {
          const pages: BrokerEvent[] = [];
          for (let cursor = 0; ;) {
            const page = await world.broker.readEvents({ cursor, limit });
            assert.ok(page.events.length <= limit);
            pages.push(...page.events);
            if (page.events.length === 0) break;
            cursor = page.cursor;
          }
          assert.deepEqual(pages, all);
        }
      },
    },
    {
      name: "the events of one execution are those of all, filtered",
      promises: [10],
      run: async (world) => {
        await eventfulHistory(world);
        const all = await allEvents(world.broker);
        const ids = new Set(all.map((event) => event.executionId));
        for (const id of ids) {
          if (id === undefined) continue;
          assert.deepEqual(
            await allEvents(world.broker, id),
            all.filter((event) => event.executionId === id),
          );
        }
      },
    },
    {
      name: "a filtered reader's cursor moves on past the events of others",
      promises: [10],
      run: async (world) => {
        const quiet = await world.submit(batch(1));
        const { cursor } = await world.broker.readEvents({ cursor: 0, executionId: quiet, limit: 1_000 });
        for (let count = 0; count < 50; count += 1) await world.submit(batch(1));
        const page = await world.broker.readEvents({ cursor, executionId: quiet, limit: 10 });
        assert.deepEqual(page.events, []);
        assert.ok(page.cursor >= cursor);
        await world.broker.cancel({ executionId: quiet });
        assert.ok(
          (await world.broker.readEvents({ cursor: page.cursor, executionId: quiet, limit: 10 })).events.length >= 1,
        );
      },
    },
    {
      name: "a reader that waits is told at once",
      promises: [10],
      run: async (world) => {
        const { cursor } = await world.broker.readEvents({ cursor: 0, limit: 1_000 });
        const waiting = new PendingCall(world.broker.readEvents({ cursor, limit: 10, waitMs: 30_000 }));
        await world.settle();
        assert.equal(waiting.state, "waiting");
        const id = await world.submit(batch(1));
        const page = await waiting.promise;
        assert.ok(page.events.length >= 1 && page.events.every((event) => event.executionId === id));
      },
    },
    {
      name: "a reader that waits for one execution is not woken by another",
      promises: [10],
      run: async (world) => {
        const id = await world.submit(batch(1));
        const { cursor } = await world.broker.readEvents({ cursor: 0, executionId: id, limit: 1_000 });
        const waiting = new PendingCall(
          world.broker.readEvents({ cursor, executionId: id, limit: 10, waitMs: 30_000 }),
        );
        await world.settle();
        await world.submit(batch(1));
        await world.settle();
        assert.equal(waiting.state, "waiting");
        await world.broker.cancel({ executionId: id });
        assert.ok((await waiting.promise).events.length >= 1);
      },
    },
    {
      name: "a reader that waits in vain gets an empty page when its time is over",
      promises: [8, 10],
      run: async (world) => {
        const waiting = new PendingCall(world.broker.readEvents({ cursor: 0, limit: 10, waitMs: 1_000 }));
        await world.advance(1_000);
        assert.deepEqual((await waiting.promise).events, []);
      },
    },
    {
      name: "chunks are told by range, split where their items part ways",
      promises: [10],
      run: async (world) => {
        const id = await world.submit(sweep(20, 10));
        const worker = await world.join({ worker: "w1" });
        await worker.deliver(
          chunkDone(await worker.take(), [...itemFailures([3]), ...itemFailures([7], "invalid-input")]),
        );
        const changes = taskChanges(await allEvents(world.broker, id));
        const told = (state: string): unknown[] =>
          changes.filter((change) => change[0] === state).flatMap((change) => change[1] as unknown[]);
        assert.deepEqual(told("running"), [[0, 0, 10]]);
        assert.deepEqual(told("completed"), [
          [0, 0, 3],
          [0, 4, 7],
          [0, 8, 10],
        ]);
        assert.deepEqual(told("scheduled"), [[0, 3, 4]]);
        assert.deepEqual(told("failed"), [[0, 7, 8]]);
      },
    },
    {
      name: "what cannot start any more is told as skipped",
      promises: [10],
      run: async (world) => {
        const id = await world.submit(submission([group(tasks(3, [[], [0], [1]]))]));
        const worker = await world.join();
        await worker.deliver(failed(await worker.take(), failure("invalid-input")));
        const skipped = taskChanges(await allEvents(world.broker, id)).filter((change) => change[0] === "skipped");
        assert.deepEqual(ascending(skipped.flatMap((change) => change[1] as number[])), [1, 2]);
      },
    },
  ],
};
