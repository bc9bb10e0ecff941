/** Steering that shares a transaction with what it steers: calls of one turn are one group commit. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { auditBroker } from "../../contract/audit.ts";
import { openOwnedWorld } from "../../contract/owned-world.ts";
import { books, type World } from "../../contract/world.ts";
import { done, failed, failure } from "../../support/outcomes.ts";
import { batch, group, submission, tasks } from "../../support/submissions.ts";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";

function inOneTransaction(what: string, story: (world: World) => Promise<void>): void {
  it(what, () =>
    withTemporaryFolder(async (folder) => {
      const { world, reopen, close } = openOwnedWorld(join(folder, "holdfast.db"));
      try {
        await story(world);
        await auditBroker(world.broker);
        await reopen();
        await auditBroker(world.broker);
      } finally {
        await close();
      }
    }),
  );
}

describe("in one transaction", () => {
  inOneTransaction("a result is committed and taken back", async (world) => {
    const executionId = await world.submit(submission([group(tasks(2, [[], [0]]))], { keepInputs: true }));
    const worker = await world.join();
    const lease = await worker.take();
    const [verdicts, { execution }] = await Promise.all([
      worker.report(done(lease)),
      world.broker.rerun({ executionId, task: 0 }),
    ]);
    assert.deepEqual(verdicts, ["accepted"]);
    assert.deepEqual(books(execution.counters), { total: 2, queued: 1, blocked: 1 });
    assert.deepEqual((await world.broker.readResults({ executionId, limit: 10 })).rows, []);
    await worker.finish(await worker.take());
    const { rows } = await world.broker.readResults({ executionId, limit: 10 });
    assert.deepEqual(
      rows.map((row) => [row.task, row.attempt]),
      [[0, 2]],
    );
  });

  inOneTransaction("an execution fails, runs again, and is cancelled", async (world) => {
    const executionId = await world.submit(batch(3, { maxFailures: 1 }));
    const worker = await world.join();
    const [one, two] = await worker.leases(2);
    assert.ok(one !== undefined && two !== undefined);
    const [verdicts, replayed] = await Promise.all([
      worker.report(failed(one, failure("invalid-input"))),
      world.broker.retry({ executionId }),
    ]);
    assert.deepEqual([verdicts, replayed.changed, replayed.execution.state], [["accepted"], 1, "running"]);
    assert.deepEqual(books(replayed.execution.counters), { total: 3, queued: 3 });
    assert.deepEqual(await worker.report(done(two)), ["refused"]);
    await Promise.all([world.broker.pause({ executionId }), world.broker.cancel({ executionId })]);
    assert.equal((await world.view(executionId)).state, "cancelled");
  });

  inOneTransaction("a task is given out and removed, another is finished and kept", async (world) => {
    const executionId = await world.submit(batch(3));
    const worker = await world.join();
    const lease = await worker.take();
    const remove = { executionId, edits: [{ kind: "remove", tasks: [0, 1] } as const], apply: true };
    const [verdicts, [given], { changes }] = await Promise.all([
      worker.report(done(lease)),
      worker.leases(1),
      world.broker.editExecution(remove),
    ]);
    assert.deepEqual(verdicts, ["accepted"]);
    assert.deepEqual(changes.removed, [{ task: 1, state: "running" }]);
    assert.ok(given !== undefined);
    assert.deepEqual(await worker.report(done(given)), ["refused"]);
    assert.deepEqual(books(await world.counters(executionId)), { total: 3, completed: 1, skipped: 1, queued: 1 });
  });

  inOneTransaction("the same edit comes twice, and another one that it would change", async (world) => {
    const executionId = await world.submit(batch(2));
    const edits = [{ kind: "add", groups: [group(tasks(1))] } as const];
    const { version } = await world.broker.editExecution({ executionId, edits, apply: false });
    const params = { executionId, edits, apply: true, version };
    const other = [{ kind: "remove", tasks: [0] } as const];
    const [first, second, third] = await Promise.allSettled([
      world.broker.editExecution(params),
      world.broker.editExecution(params),
      world.broker.editExecution({ ...params, edits: other }),
    ]);
    assert.deepEqual([first.status, second.status], ["fulfilled", "fulfilled"]);
    // The version of the last edit is answered as that edit was.
    assert.equal(third.status, "fulfilled");
    assert.deepEqual(books(await world.counters(executionId)), { total: 3, queued: 3 });
  });

  inOneTransaction("a repeated rerun does not keep news from those who wait for it", async (world) => {
    const executionId = await world.submit(submission([group(tasks(2))], { keepInputs: true }));
    const worker = await world.join();
    const lease = await worker.take();
    const { cursor } = await world.broker.readEvents({ cursor: -1, limit: 1 });
    const waiting = world.broker.readEvents({ cursor, limit: 10, waitMs: 30_000 });
    await Promise.all([worker.report(done(lease)), world.broker.rerun({ executionId, task: 1 })]);
    assert.deepEqual(
      (await waiting).events.map(({ change }) => change.kind === "tasks" && change.state),
      ["completed"],
    );
  });
});
