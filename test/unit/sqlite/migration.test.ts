/** A file of an older version: brought up to date when it is opened, whole or not at all. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { MIGRATIONS, SCHEMA_VERSION } from "../../../src/broker/sqlite/schema.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { allResults, auditBroker } from "../../contract/audit.ts";
import { openOwnedWorld } from "../../contract/owned-world.ts";
import { books } from "../../contract/world.ts";
import { STORE_V1 } from "../../fixtures/sqlite/store-v1.ts";
import { ascending } from "../../support/ascending.ts";
import { chunkDone, failed, failure, itemFailures } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";

/** Works on the file directly, while no broker has it open. */
function withFile<T>(file: string, action: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(file);
  try {
    return action(db);
  } finally {
    db.close();
  }
}

function versionOf(file: string): unknown {
  return withFile(file, (db) => db.prepare("PRAGMA user_version").get()?.["user_version"]);
}

/** Tables with their columns, and indexes; not how they came about. */
function shapeOf(file: string): unknown {
  return withFile(file, (db) => {
    const names = db.prepare("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name").all();
    return names.map(({ type, name }) => {
      const columns = db.prepare('SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY name');
      return { type, name, columns: columns.all(String(name)) };
    });
  });
}

describe("a file of version 1", () => {
  it("is brought up to date, and everything in it goes on", () =>
    withTemporaryFolder(async (folder) => {
      const file = join(folder, "holdfast.db");
      withFile(file, (db) => db.exec(STORE_V1));
      const { world, reopen, close } = openOwnedWorld(file);
      try {
        const { executions } = await world.broker.listExecutions({ limit: 10 });
        assert.deepEqual(
          executions.map((view) => [view.executionId, view.name, view.state, books(view.counters)]),
          [
            ["old-2", "sweep", "running", { total: 20, queued: 10, running: 10 }],
            ["old-1", "nightly", "running", { total: 3, completed: 1, queued: 2 }],
          ],
        );
        assert.equal((await world.broker.listPools()).pools.find((pool) => pool.pool === "paused")?.paused, true);
        await world.broker.commit({
          session: "old-3",
          outcomes: [
            {
              kind: "chunk",
              lease: { executionId: "old-2", task: 0, start: 0, token: "4294967299" },
              values: "[0,1,2,3,4,5,6,7,8,9]",
              failures: [],
              durationMs: 1,
            },
          ],
        });
        await reopen();
        const worker = await world.join();
        await worker.finish(...(await worker.leases(10)));
        assert.deepEqual(
          [(await world.view("old-1")).state, (await world.view("old-2")).state],
          ["completed", "completed"],
        );
        assert.notEqual(await world.submit(batch(1)), "old-1");
        await world.broker.writeValue({ key: "k", value: "1", ttlMs: null });
        assert.ok((await world.broker.acquireLock({ lock: "l", owner: "o", ttlMs: 1_000, waitMs: 0 })).grant);
        await auditBroker(world.broker);
      } finally {
        await close();
      }
      assert.equal(versionOf(file), SCHEMA_VERSION);
    }));

  it("tells of what was paused then that it is paused since now", () =>
    withTemporaryFolder(async (folder) => {
      const file = join(folder, "holdfast.db");
      withFile(file, (db) => db.exec(`${STORE_V1} UPDATE executions SET state = 'paused' WHERE id = 'old-1'`));
      const { world, close } = openOwnedWorld(file);
      const since = Date.now() - 60_000;
      const { paused } = await world.view("old-1");
      assert.ok(paused !== undefined && paused.by === undefined && paused.at >= since, `${paused?.at}`);
      const pool = (await world.broker.listPools()).pools.find((one) => one.pool === "paused");
      assert.ok(pool?.pause !== undefined && pool.pause.at >= since, `${pool?.pause?.at}`);
      await close();
    }));

  it("runs again by hand what failed then, though it dropped ranges that waited", () =>
    withTemporaryFolder(async (folder) => {
      const file = join(folder, "holdfast.db");
      const first = openOwnedWorld(file);
      const executionId = await first.world.submit(sweep(50, 10, { maxFailures: 1 }));
      const worker = await first.world.join();
      const [one, two, three] = await worker.leases(4);
      assert.ok(one !== undefined && two !== undefined && three !== undefined);
      await worker.deliver(chunkDone(one, itemFailures([4, 9])), chunkDone(three));
      await worker.deliver(failed(two, failure("invalid-input"), 15));
      await first.close();
      withFile(file, (db) => db.exec("DELETE FROM chunks WHERE state <> 5"));
      const { world, reopen, close } = openOwnedWorld(file);
      await world.broker.retry({ executionId });
      await reopen();
      assert.deepEqual(books(await world.counters(executionId)), { total: 50, completed: 18, queued: 32 });
      const heir = await world.join();
      for (let leases = await heir.leases(9); leases.length > 0; leases = await heir.leases(9))
        await heir.finish(...leases);
      assert.equal((await world.view(executionId)).state, "completed");
      const values = (await allResults(world.broker, executionId)).flatMap(
        (row) => JSON.parse(row.values ?? "[]") as (number | null)[],
      );
      assert.deepEqual(
        ascending(values.filter((value) => value !== null)),
        Array.from({ length: 50 }, (_, item) => item),
      );
      await close();
    }));

  it("then has the tables of a new file", () =>
    withTemporaryFolder(async (folder) => {
      const [old, fresh] = [join(folder, "old.db"), join(folder, "fresh.db")];
      withFile(old, (db) => db.exec(STORE_V1));
      for (const file of [old, fresh]) await openOwnedWorld(file).close();
      assert.deepEqual(shapeOf(old), shapeOf(fresh));
    }));

  it("is the same by way of every version between", () =>
    withTemporaryFolder(async (folder) => {
      const [stepwise, fresh] = [join(folder, "stepwise.db"), join(folder, "fresh.db")];
      for (let version = 2; version < SCHEMA_VERSION; version += 1) {
        const steps = version === 2 ? [STORE_V1] : [];
        const all = [...steps, ...(MIGRATIONS.get(version) ?? []), `PRAGMA user_version = ${version}`];
        withFile(stepwise, (db) => all.forEach((sql) => db.exec(sql)));
      }
      const { world, close } = openOwnedWorld(stepwise);
      const worker = await world.join();
      for (let leases = await worker.leases(9); leases.length > 0; leases = await worker.leases(9))
        await worker.finish(...leases);
      assert.equal((await world.view("old-1")).state, "completed");
      const { tasks } = await world.broker.listTasks({ executionId: "old-1", limit: 10 });
      assert.ok(
        tasks.every(({ rank, label, held }) => rank === undefined && label === undefined && held === undefined),
      );
      await close();
      await openOwnedWorld(fresh).close();
      assert.deepEqual(shapeOf(stepwise), shapeOf(fresh));
    }));

  it("stays as it was when it cannot be brought up to date", () =>
    withTemporaryFolder((folder) => {
      const file = join(folder, "holdfast.db");
      // A table in the way of one that is made late.
      withFile(file, (db) => db.exec(`${STORE_V1} CREATE TABLE state_repeats (x)`));
      const before = shapeOf(file);
      assert.throws(
        () => openOwnedWorld(file),
        (thrown: unknown) => HoldfastError.is(thrown, "STORE_FAILED") && /state_repeats/.test(thrown.message),
      );
      assert.equal(versionOf(file), 1);
      assert.deepEqual(shapeOf(file), before);
      return Promise.resolve();
    }));
});
