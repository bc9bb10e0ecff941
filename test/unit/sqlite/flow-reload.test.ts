/** Ranks, rescue, suspensions and signals lie in the file: the next owner goes on with them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import type { Lease } from "../../../src/broker/contract.ts";
import { MAX_SIGNALS } from "../../../src/broker/limits.ts";
import { auditBroker } from "../../contract/audit.ts";
import { openOwnedWorld, type OwnedWorld } from "../../contract/owned-world.ts";
import { books, refusedWith } from "../../contract/world.ts";
import { completed, failed, failure, skipped, untilDelay, untilSignal, untilTasks } from "../../support/outcomes.ts";
import { batch, group, ranked, submission, tasks, workflow } from "../../support/submissions.ts";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";

async function onFile(run: (owned: OwnedWorld) => Promise<void>): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const owned = openOwnedWorld(join(folder, "holdfast.db"));
    try {
      await run(owned);
      await auditBroker(owned.world.broker);
    } finally {
      await owned.close();
    }
  });
}

function numbers(leases: readonly Lease[]): number[] {
  return leases.map(({ task }) => task);
}

describe("after a change of the file's owner", () => {
  it("ready tasks go by their ranks", () =>
    onFile(async ({ world, reopen }) => {
      await world.submit(submission([group(ranked([1, 5, 3], [[], [], []])), group(tasks(1)), group(ranked([4]))]));
      await reopen();
      const worker = await world.join();
      assert.deepEqual(numbers(await worker.leases(2)), [1, 4]);
      await worker.die();
      await reopen();
      const heir = await world.join({ worker: "w2" });
      assert.deepEqual(numbers(await heir.leases(9)), [1, 4, 2, 0, 3]);
    }));

  it("a rescue still waits, and is called", () =>
    onFile(async ({ world, reopen }) => {
      const executionId = await world.submit(submission([group(tasks(2)), group(tasks(1), { when: "failed" })]));
      const worker = await world.join();
      const [one, two] = await worker.leases(5);
      assert.ok(one !== undefined && two !== undefined);
      await worker.deliver(failed(one, failure("invalid-input")));
      await reopen();
      await worker.finish(two);
      await reopen();
      const rescue = await worker.take();
      assert.equal(rescue.task, 2);
      await worker.finish(rescue);
      assert.equal((await world.view(executionId)).state, "failed");
    }));

  it("a failure that was borne still is, and what was let go is not let go twice", () =>
    onFile(async ({ world, reopen }) => {
      const executionId = await world.submit(
        submission([group(tasks(1), { onFailure: "continue" }), group(tasks(2, [[], [0, 1]]))]),
      );
      const worker = await world.join();
      const [one, two] = await worker.leases(5);
      assert.ok(one !== undefined && two !== undefined);
      await worker.deliver(failed(one, failure("invalid-input")));
      await reopen();
      await world.broker.retry({ executionId });
      await reopen();
      await worker.finish(await worker.take());
      assert.deepEqual(books(await world.counters(executionId)), { total: 3, completed: 1, running: 1, blocked: 1 });
      await worker.deliver(skipped(two, "release"));
      await worker.finish(await worker.take());
      assert.equal((await world.view(executionId)).state, "completed");
    }));

  it("what has suspended itself waits for its time, its signal, its tasks", () =>
    onFile(async ({ world, reopen }) => {
      const executionId = await world.submit(workflow([[], [], [], []]));
      const worker = await world.join();
      const [delay, signal, timeout, adder] = await worker.leases(5);
      assert.ok(delay !== undefined && signal !== undefined && timeout !== undefined && adder !== undefined);
      await worker.deliver(
        untilDelay(delay, 1_000),
        untilSignal(signal, "go"),
        untilSignal(timeout, "stop", 2_000),
        untilTasks(adder, [group(ranked([1, 2]))]),
      );
      await reopen();
      assert.deepEqual(books(await world.counters(executionId)), { total: 6, scheduled: 2, blocked: 2, queued: 2 });
      const added = await worker.leases(5);
      assert.deepEqual(numbers(added), [5, 4]);
      await worker.deliver(...added.map((lease) => completed(lease, "1")));
      await reopen();
      const again = await worker.take();
      assert.deepEqual([again.task, again.parents, again.resumed?.first], [3, { 4: "1", 5: "1" }, 4]);
      assert.deepEqual(await world.broker.signal({ executionId, signal: "go", payload: "2" }), {
        accepted: true,
        released: 1,
      });
      await world.advance(2_000);
      await reopen();
      await world.promote();
      const rest = await worker.leases(5);
      assert.deepEqual(
        rest.map(({ task, resumed }) => [task, resumed?.signal]),
        [
          [0, undefined],
          [1, "2"],
          [2, undefined],
        ],
      );
      await reopen();
      await worker.finish(again, ...rest);
      assert.equal((await world.view(executionId)).state, "completed");
    }));

  it("signals are remembered, and how many there are", () =>
    onFile(async ({ world, reopen }) => {
      const executionId = await world.submit(batch(1));
      const give = (signal: string): Promise<unknown> => world.broker.signal({ executionId, signal, payload: "1" });
      await Promise.all(Array.from({ length: MAX_SIGNALS - 1 }, (_, index) => give(`s${index}`)));
      await reopen();
      await give("last");
      await refusedWith("BATCH_TOO_LARGE", () => give("more"));
      await reopen();
      await give("s0");
      await refusedWith("BATCH_TOO_LARGE", () => give("more"));
      const worker = await world.join();
      await worker.deliver(untilSignal(await worker.take(), "s1"));
      assert.equal((await worker.take()).resumed?.signal, "1");
    }));
});

describe("what is over its retention", () => {
  it("takes its signals with it", () =>
    withTemporaryFolder(async (folder) => {
      const file = join(folder, "holdfast.db");
      const { world, close } = openOwnedWorld(file);
      const executionId = await world.submit(batch(1, { retentionMs: 1_000 }));
      for (const signal of ["one", "two"]) await world.broker.signal({ executionId, signal, payload: "1" });
      await world.broker.cancel({ executionId });
      await world.advance(1_000);
      for (let more = true; more;) more = (await world.broker.purge({ limit: 1 })).more;
      await refusedWith("EXECUTION_NOT_FOUND", () => world.broker.signal({ executionId, signal: "one", payload: "1" }));
      await close();
      const db = new DatabaseSync(file);
      assert.equal(db.prepare("SELECT count(*) AS n FROM signals").get()?.["n"], 0);
      db.close();
    }));
});

describe("an execution that had failed and runs again", () => {
  it("keeps back what is held, though it ran when the execution ended", () =>
    onFile(async ({ world }) => {
      const executionId = await world.submit(batch(2, { maxFailures: 1 }));
      const worker = await world.join();
      const [one, two] = await worker.leases(2);
      assert.ok(one !== undefined && two !== undefined);
      await world.broker.editExecution({ executionId, edits: [{ kind: "hold", tasks: [1] }], apply: true });
      await worker.deliver(failed(one, failure("invalid-input")));
      assert.equal((await world.view(executionId)).state, "failed");
      await world.broker.retry({ executionId });
      assert.deepEqual(books(await world.counters(executionId)), { total: 2, queued: 1, blocked: 1 });
      await worker.finish(await worker.take());
      assert.deepEqual(await worker.leases(), []);
      await world.broker.editExecution({ executionId, edits: [{ kind: "unhold", tasks: [1] }], apply: true });
      await worker.finish(await worker.take());
      assert.equal((await world.view(executionId)).state, "completed");
    }));
});
