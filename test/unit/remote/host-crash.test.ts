/** A host process that is killed between a grant and its reply, on a real database. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, test } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { siblingModule } from "../../../src/util/sibling-module.ts";
import { completed } from "../../support/outcomes.ts";
import { batch, sweep } from "../../support/submissions.ts";
import { Belongings, TOKEN } from "./support.ts";

const belongings = new Belongings();
afterEach(() => belongings.end());

const profile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 1 };
const DOOMED_HOST = siblingModule(import.meta.url, "../../fixtures/remote/doomed-host");

interface DoomedHost {
  readonly client: Broker;
  /** Resolves when the host process is dead. */
  readonly dead: Promise<unknown>;
  /** Serves the same file from this process, once the other one is dead. */
  readonly takeOver: () => Promise<Broker>;
}

/** A host process that dies of granting `deadly` leases at once, and a client of it. */
async function doomedHost(deadly: number): Promise<DoomedHost> {
  const folder = await mkdtemp(path.join(tmpdir(), "holdfast-crash-"));
  belongings.keep(() => rm(folder, { recursive: true }));
  const file = path.join(folder, "store.db");
  const host: ChildProcess = spawn(process.execPath, [DOOMED_HOST, file, TOKEN, String(deadly)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  belongings.keep(() => void host.kill("SIGKILL"));
  const dead = once(host, "exit");
  assert.ok(host.stdout !== null);
  const lines = createInterface(host.stdout);
  let [url] = (await once(lines, "line")) as [string];
  const takeOver = async (): Promise<Broker> => {
    assert.deepEqual(await dead, [null, "SIGKILL"]);
    const store = openSqliteBroker({ file, clock: systemClock(), random: Math.random, newId: randomUUID });
    belongings.keep(() => store.close());
    ({ url } = await belongings.serve(store));
    return store;
  };
  return { client: await belongings.connect(() => url), dead, takeOver };
}

async function submitted(client: Broker, what: ReturnType<typeof batch>): Promise<string> {
  return (await client.submit({ submissions: [what] })).executions[0]?.executionId ?? "";
}

test("attempts in flight survive the host, what it granted unheard runs too, and nothing is committed twice", async () => {
  const { client, takeOver } = await doomedHost(3);
  const executionId = await submitted(client, batch(6));
  const { session } = await client.openSession(profile);
  const [done, running] = (await client.claim({ session, max: 2, waitMs: 0 })).leases;
  assert.ok(done !== undefined && running !== undefined);
  // The outcome is counted and three leases are granted; the host dies before it can say so.
  const commit = client.commit({ session, outcomes: [completed(done)], claim: { max: 3, waitMs: 0 } });
  const store = await takeOver();
  assert.equal((await store.getExecution({ executionId })).counters.running, 4, "the grant is in the file");
  const reply = await commit;
  assert.deepEqual([reply.verdicts, reply.leases], [["accepted"], []]);
  const { leases } = await client.claim({ session, max: 10, waitMs: 0 });
  assert.deepEqual(
    leases.map((lease) => [lease.task, lease.attempt]),
    [
      [2, 1],
      [3, 1],
      [4, 1],
      [5, 1],
    ],
  );
  const last = await client.commit({ session, outcomes: [running, ...leases].map((lease) => completed(lease)) });
  assert.deepEqual([...new Set(last.verdicts)], ["accepted"]);
  const view = await store.getExecution({ executionId });
  assert.deepEqual([view.state, view.lostAttempts, view.retries, view.refusedOutcomes], ["completed", 0, 0, 0]);
  const { rows } = await store.readResults({ executionId, limit: 100 });
  assert.deepEqual(
    rows.map((row) => [row.task, row.attempt]),
    [0, 1, 2, 3, 4, 5].map((task) => [task, 1]),
  );
  assert.deepEqual(
    (await store.listSessions({ limit: 10 })).sessions.map((one) => [one.session, one.state]),
    [[session, "live"]],
  );
});

test("a claim that waited when work came, and was granted unheard, is granted by the next host", async () => {
  const { client, takeOver } = await doomedHost(1);
  const { session } = await client.openSession(profile);
  const claim = client.claim({ session, max: 1, waitMs: 20_000 });
  // The host may die before it has answered this either.
  const submission = submitted(client, sweep(10, 10));
  const store = await takeOver();
  const executionId = await submission;
  const [lease] = (await claim).leases;
  assert.ok(lease !== undefined);
  assert.deepEqual([lease.executionId, lease.start, lease.end, lease.attempt], [executionId, 0, 10, 1]);
  assert.equal((await store.getExecution({ executionId })).lostAttempts, 0);
});
