/**
 * How fast a lost worker's work runs elsewhere, and that a living one keeps its own: real worker
 * processes, killed, stopped and blocked, on the embedded broker with its defaults.
 *
 * CHAOS_TAKE_OVERS sets the number of kills (default 40). The figures are printed as diagnostics
 * and stand in docs/reliability.md; the bounds that are asserted are those of the promise, not of
 * the machine.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { test } from "node:test";
import type { EmbeddedBroker } from "../../src/app/embedded-broker.ts";
import { type LocalWorker, type LocalWorkers, startLocalWorkers } from "../../src/app/local-workers.ts";
import { openEmbedded } from "../../src/app/open-broker.ts";
import type { BrokerEvent } from "../../src/broker/contract.ts";
import { batch } from "../../src/sdk/batch.ts";
import { Client } from "../../src/sdk/client.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { cleanups, eventually, scratchFolder, startProgram } from "../fixtures/sdk/scratch.ts";
import { waitForGate } from "../fixtures/sdk/tasks.ts";
import { startWorld } from "../fixtures/sdk/world.ts";
import { blocks } from "../fixtures/worker/tasks.ts";

const TAKE_OVERS = Number(process.env["CHAOS_TAKE_OVERS"] ?? 40);
/** A stopped worker is silent for 5 s before it counts as dead; then its work must run at once. */
const STOPPED_WITHIN_MS = 7_000;
const BLOCKED_MS = 60_000;

/** Waits for the transition of the execution's only task to `running`, later than `after`. */
async function running(
  broker: EmbeddedBroker,
  executionId: string,
  after: number,
): Promise<BrokerEvent & { readonly worker: string }> {
  let cursor = after;
  for (;;) {
    const page = await broker.readEvents({ cursor, executionId, limit: 100, waitMs: 20_000 });
    for (const event of page.events) {
      const { change } = event;
      if (change.kind === "tasks" && change.state === "running" && change.worker !== undefined)
        return { ...event, worker: change.worker };
    }
    assert.notEqual(page.events.length, 0, "the task did not start again");
    cursor = page.cursor;
  }
}

function named(pool: LocalWorkers, name: string): LocalWorker {
  const worker = pool.workers.find((one) => one.name === name);
  assert.ok(worker !== undefined);
  return worker;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

for (const supervised of [true, false]) {
  const how = supervised ? "its supervisor sees it die" : "only its socket tells";
  test(`a killed worker's task runs elsewhere within a second, ${TAKE_OVERS} times (${how})`, async (t) => {
    const { dir, broker, client, pool } = await startWorld(t, { workers: 2, supervised, log: "ignore" });
    const alive = new Map(pool.workers.map((worker) => [worker.name, worker]));
    const cleanup = cleanups(t);
    const times: number[] = [];
    for (let round = 0; round < TAKE_OVERS; round += 1) {
      await eventually("both workers are there", async () => {
        const { sessions } = await broker.listSessions({ limit: 10 });
        return sessions.filter(({ state }) => state === "live").length === 2;
      });
      const gate = path.join(dir, `gate-${round}`);
      const execution = await client.submit(batch(waitForGate, [{ gate }]));
      const first = await running(broker, execution.id, 0);
      const killedAt = Date.now();
      assert.ok(alive.get(first.worker)?.kill("SIGKILL"));
      const second = await running(broker, execution.id, first.cursor);
      times.push(second.at - killedAt);
      assert.notEqual(second.worker, first.worker);
      await writeFile(gate, "");
      assert.equal((await execution.wait()).counters.completed, 1);
      // Another in its place; the same one would be restarted later and later.
      alive.delete(first.worker);
      const spare = startLocalWorkers({
        address: dir,
        count: 1,
        namePrefix: `spare-${round}`,
        log: "ignore",
        ...(supervised ? { broker } : {}),
      });
      cleanup(() => spare.stop({ patienceMs: 2_000 }));
      for (const worker of spare.workers) alive.set(worker.name, worker);
    }
    const sorted = times.toSorted((one, other) => one - other);
    t.diagnostic(
      `SIGKILL → running elsewhere (${how}): p50 ${quantile(sorted, 0.5)} ms, p99 ${quantile(sorted, 0.99)} ms, max ${sorted.at(-1)} ms over ${times.length}`,
    );
    assert.ok(quantile(sorted, 0.5) < 1_000);
  });
}

test("a stopped worker is taken over within 7 s; when it wakes, what it did meanwhile does not count", async (t) => {
  const { broker, client, pool } = await startWorld(t, { workers: 2, log: "ignore" });
  // Its runner is not stopped: it has the result long before its worker wakes.
  const execution = await client.submit(batch(blocks, [{ forMs: 2_000 }]));
  const first = await running(broker, execution.id, 0);
  const sleeper = named(pool, first.worker);
  const stoppedAt = Date.now();
  assert.ok(sleeper.kill("SIGSTOP"));
  const second = await running(broker, execution.id, first.cursor);
  const afterMs = second.at - stoppedAt;
  t.diagnostic(`SIGSTOP → running elsewhere: ${afterMs} ms`);
  assert.notEqual(second.worker, first.worker);
  assert.ok(afterMs < STOPPED_WITHIN_MS, `taken over after ${afterMs} ms`);
  assert.ok(sleeper.kill("SIGCONT"));
  await eventually("the sleeper works again, in a new session", async () => {
    const { sessions } = await broker.listSessions({ limit: 10 });
    return sessions.some(({ worker, state }) => worker === first.worker && state === "live") ? true : undefined;
  });
  const ended = await execution.wait();
  assert.deepEqual([ended.counters.completed, ended.counters.total, ended.lostAttempts], [1, 1, 1]);
  // It either said so and was refused, or had been told of its loss before it could.
  t.diagnostic(`late outcomes refused: ${ended.refusedOutcomes}`);
  const { rows } = await broker.readResults({ executionId: execution.id, limit: 10 });
  assert.deepEqual(
    rows.map(({ worker, attempt }) => ({ worker, attempt })),
    [{ worker: second.worker, attempt: 2 }],
  );
});

test("the late commit of a stopped worker is refused and counted", async (t) => {
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const broker = await openEmbedded({ dir });
  const client = new Client({ broker });
  cleanup(() => client.close());
  const execution = await client.submit(batch(blocks, [{ forMs: 10 }]));
  const { child } = await startProgram(siblingModule(import.meta.url, "./late-committer"), [dir], cleanup);
  child.kill("SIGSTOP");
  await eventually("its session is dead", async () => {
    const { sessions } = await broker.listSessions({ limit: 10 });
    return sessions.some(({ state }) => state === "lost") ? true : undefined;
  });
  const pool = startLocalWorkers({ address: dir, count: 1, log: "ignore", broker });
  cleanup(() => pool.stop({ patienceMs: 2_000 }));
  assert.equal((await execution.wait()).counters.completed, 1);
  const answered = once(createInterface(child.stdout as Readable), "line");
  child.stdin?.end();
  child.kill("SIGCONT");
  assert.deepEqual(await answered, ["SESSION_LOST"]);
  assert.equal((await execution.status()).refusedOutcomes, 1);
  const { rows } = await broker.readResults({ executionId: execution.id, limit: 10 });
  assert.deepEqual(
    rows.map(({ result, attempt }) => [result, attempt]),
    [['"done blocking"', 2]],
  );
});

test("a task that blocks its event loop for 60 s is not taken over", async (t) => {
  const { broker, client } = await startWorld(t, { workers: 2, log: "ignore" });
  const execution = await client.submit(batch(blocks, [{ forMs: BLOCKED_MS }]));
  const first = await running(broker, execution.id, 0);
  const ended = await execution.wait();
  assert.equal(ended.state, "completed");
  assert.equal(ended.lostAttempts, 0);
  const { attempts } = await broker.listAttempts({ executionId: execution.id, limit: 10 });
  assert.deepEqual(attempts, []);
  const { rows } = await broker.readResults({ executionId: execution.id, limit: 10 });
  assert.deepEqual(
    rows.map(({ worker, attempt, durationMs }) => ({ worker, attempt, whole: durationMs >= BLOCKED_MS })),
    [{ worker: first.worker, attempt: 1, whole: true }],
  );
});
