/** One folder, several processes: who owns the file, who joins, and what happens when the owner dies. */
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { folderHome } from "../../src/app/broker-address.ts";
import { startLocalWorkers } from "../../src/app/local-workers.ts";
import { openEmbedded } from "../../src/app/open-broker.ts";
import { readOwnerNote, writeOwnerNote } from "../../src/app/owner-file.ts";
import { batch, grid, range, sweep } from "../../src/index.ts";
import { Client } from "../../src/sdk/client.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { collect } from "../fixtures/sdk/collect.ts";
import { cleanups, eventually, isAlive, scratchFolder, startProgram } from "../fixtures/sdk/scratch.ts";
import { slowScore, square, waitForGate } from "../fixtures/sdk/tasks.ts";

const OWNER = siblingModule(import.meta.url, "../fixtures/sdk/owner-program");
const PARENT = siblingModule(import.meta.url, "../fixtures/sdk/parent-program");

test("the first to come owns the file and says where it is; the second joins; an order to own is refused", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const owner = await openEmbedded({ dir });
  cleanup(() => owner.close());
  const { ownerFile, file } = folderHome(dir);
  const note = await readOwnerNote(ownerFile);
  assert.equal(note?.pid, process.pid);
  assert.deepEqual(await owner.address(), { url: note.url, token: note.token });
  assert.equal(statSync(ownerFile).mode & 0o777, 0o600);

  const guest = await openEmbedded({ dir });
  cleanup(() => guest.close());
  assert.deepEqual([owner.isOwner, guest.isOwner, guest.features.needsCoordinator], [true, false, false]);
  const { id } = await new Client({ broker: guest }).submit(batch(square, [{ x: 1 }]));
  assert.equal((await owner.getExecution({ executionId: id })).state, "pending");

  await assert.rejects(openEmbedded({ dir, mustOwn: true }), (thrown: Error) => {
    assert.match(
      thrown.message,
      new RegExp(
        `^${file} is in use by another process \\(process ${process.pid}, ws://127\\.0\\.0\\.1:\\d+/broker\\); connect to that one`,
      ),
    );
    return true;
  });

  await guest.close();
  await owner.close();
  assert.equal(existsSync(ownerFile), false);
  await assert.rejects(owner.listPools(), { code: "BROKER_CLOSED" });
  const next = await openEmbedded({ dir, mustOwn: true });
  cleanup(() => next.close());
  assert.equal((await next.getExecution({ executionId: id })).state, "pending");
});

test("when the owner is killed a guest takes over, workers find it, and the sweep ends with every point once", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const owner = await startProgram(OWNER, [dir], cleanup);
  assert.equal(owner.said, "owner");
  const broker = await openEmbedded({ dir });
  const client = new Client({ broker });
  cleanup(() => client.close());
  assert.equal(broker.isOwner, false);
  const pool = startLocalWorkers({ address: dir, count: 2, namePrefix: "w", settings: { graceMs: 500 } });
  cleanup(() => pool.stop());

  const over = grid({ a: range(0, 30), b: range(0, 5), name: ["left", "right"] });
  const execution = await client.submit(sweep(slowScore, { over, chunk: 4 }));
  const results = collect(execution.results());
  const waiting = execution.wait();
  await eventually("a third is done", async () => (await execution.status()).counters.completed >= 100);
  owner.child.kill("SIGKILL");

  // Calls that were under way when the owner died are answered by whoever owns the file next.
  const status = await waiting;
  assert.deepEqual([status.state, status.counters.completed], ["completed", 300]);
  assert.equal(broker.isOwner, true);
  assert.equal(broker.features.needsCoordinator, true);
  const note = await readOwnerNote(folderHome(dir).ownerFile);
  assert.equal(note?.pid, process.pid);
  const indices = (await results).map(({ index }) => index).sort((a, b) => a - b);
  assert.deepEqual(
    indices,
    Array.from({ length: 300 }, (_, index) => index),
  );
});

test("of several guests one takes over and the others follow it", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const owner = await startProgram(OWNER, [dir], cleanup);
  const guests = await Promise.all([startProgram(OWNER, [dir], cleanup), startProgram(OWNER, [dir], cleanup)]);
  assert.deepEqual(
    guests.map(({ said }) => said),
    ["guest", "guest"],
  );
  const broker = await openEmbedded({ dir });
  cleanup(() => broker.close());
  const { id } = await new Client({ broker }).submit(batch(square, [{ x: 1 }]));
  owner.child.kill("SIGKILL");
  assert.equal((await broker.getExecution({ executionId: id })).state, "pending");
  const { ownerFile } = folderHome(dir);
  const heir = await eventually("one of them has taken over", async () => {
    const note = await readOwnerNote(ownerFile);
    return note !== undefined && note.pid !== owner.child.pid && note.pid;
  });
  const candidates = [process.pid, ...guests.map(({ child }) => child.pid)];
  assert.ok(candidates.includes(heir));
  assert.equal(broker.isOwner, heir === process.pid);
});

test("an owner that ends in order hands over without waiting", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const owner = await startProgram(OWNER, [dir], cleanup);
  const broker = await openEmbedded({ dir });
  cleanup(() => broker.close());
  owner.child.stdin?.end();
  await eventually("it has taken over", async () => {
    await broker.listPools();
    return broker.isOwner;
  });
});

test("a stale note leads nobody astray", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const { ownerFile } = folderHome(dir);
  const gone = await startProgram(OWNER, [await scratchFolder(t)], cleanup);
  const pid = gone.child.pid ?? 0;
  gone.child.kill("SIGKILL");
  await eventually("it is gone", () => !isAlive(pid));
  await writeOwnerNote(ownerFile, { pid, url: "ws://127.0.0.1:9/broker", token: "old", startedAt: 0 });
  const broker = await openEmbedded({ dir });
  cleanup(() => broker.close());
  assert.equal(broker.isOwner, true);
  assert.equal((await readOwnerNote(ownerFile))?.pid, process.pid);
  await writeFile(ownerFile, "{ not a note");
  assert.equal(await readOwnerNote(ownerFile), undefined);
});

test("a guest that finds no owner in time says so", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const owner = await startProgram(OWNER, [dir], cleanup);
  const broker = await openEmbedded({ dir, giveUpAfterMs: 300 });
  cleanup(() => broker.close());
  // Stopped, it keeps the lock: nobody may take the file from it.
  owner.child.kill("SIGSTOP");
  const { ownerFile } = folderHome(dir);
  await assert.rejects(openEmbedded({ dir, giveUpAfterMs: 300 }), { code: "BROKER_UNREACHABLE" });
  owner.child.kill("SIGCONT");
  await broker.listPools();
  assert.equal((await readOwnerNote(ownerFile))?.pid, owner.child.pid);
});

test("local workers leave when the process that started them is killed", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const broker = await openEmbedded({ dir });
  cleanup(() => broker.close());
  const parent = await startProgram(PARENT, [dir], cleanup);
  const pids = parent.said.split(" ").map(Number);
  const gate = path.join(dir, "never");
  const execution = await new Client({ broker }).submit(batch(waitForGate, [{ gate }, { gate }]));
  await eventually("both work", async () => (await execution.status()).counters.running === 2);
  parent.child.kill("SIGKILL");
  await eventually("both have left", () => pids.every((pid) => !isAlive(pid)));
  const { sessions } = await broker.listSessions({ limit: 10 });
  assert.deepEqual(
    sessions.map(({ state }) => state),
    ["left", "left"],
  );
  assert.equal((await execution.status()).counters.running, 0);
});
