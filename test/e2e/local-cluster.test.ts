/** The workers of a command that brings its own, on a store with a past. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { openLocalCluster } from "../../src/cli/local-cluster.ts";
import { fakeContext } from "../fixtures/cli/fake-context.ts";

/** More events than one page has, four for each life of two workers. */
const PAST_LIVES = 300;

test("workers are there when their own sessions are, whatever the past tells", async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), "holdfast-cluster-"));
  const { context } = fakeContext();
  const cluster = await openLocalCluster(context, { broker: path.join(folder, "store"), logLevel: "error" });
  t.after(async () => {
    await cluster.close({ hurry: true });
    await rm(folder, { recursive: true, force: true });
  });
  const { store } = cluster;
  assert.ok(store !== undefined);
  const profile = { host: "past", pid: 1, pools: ["default"], capabilities: [], slots: 1 };
  // Two events before, so that at the end of the first page the two workers of then were there.
  const { session: first } = await store.openSession({ worker: "past", ...profile });
  await store.closeSession({ session: first, reason: "left" });
  for (let life = 0; life < PAST_LIVES; life += 1) {
    const names = [1, 2].map((number) => `past-${life}-${number}`);
    const opened = await Promise.all(names.map((worker) => store.openSession({ worker, ...profile })));
    for (const { session } of opened) await store.closeSession({ session, reason: "left" });
  }
  cluster.startWorkers({ count: 2, replaceLost: false });
  await cluster.workersLive(2, AbortSignal.timeout(30_000));
  const { sessions } = await store.listSessions({ limit: 10, live: true });
  assert.equal(sessions.filter(({ worker }) => !worker.startsWith("past-")).length, 2);
});
