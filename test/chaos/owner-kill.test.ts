/**
 * kill -9 of the process that owns the SQLite file, at random moments under load, many times over.
 *
 * After each death this process opens the file, finds every call that was acknowledged, and audits
 * the books of what the calls touched. In the end an owner that is left alone finishes everything,
 * and nothing has been committed twice.
 *
 * CHAOS_SEED repeats a run's choices (not its timing), CHAOS_ROUNDS sets the deaths.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { it } from "node:test";
import type { Broker } from "../../src/broker/contract.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { auditBroker } from "../contract/audit.ts";
import { seededRandom, wholeBetween } from "../support/seeded-random.ts";
import { withTemporaryFolder } from "../support/temporary-folder.ts";
import { type Acknowledgement, checkAcknowledged, readAcknowledged } from "./acknowledged.ts";
import type { OwnerOrders } from "./owner-process.ts";

const ROUNDS = Number(process.env["CHAOS_ROUNDS"] ?? 50);
const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const LONGEST_LIFE_MS = 500;
/** Some owners die while they still open the file. */
const SHARE_KILLED_EARLY = 0.1;
const LONGEST_EARLY_MS = 250;
const FINISH_LIMIT_MS = 60_000;
const CLOCK = systemClock({ keepAlive: true });

const TITLE = `nothing acknowledged is lost when the owner of the file is killed ${ROUNDS} times (CHAOS_SEED=${SEED})`;

it(TITLE, { timeout: 300_000 }, async (test) => {
  await withTemporaryFolder(async (folder) => {
    const random = seededRandom(SEED);
    const places = { file: join(folder, "holdfast.db"), acknowledged: join(folder, "acknowledged.jsonl") };
    const owners = new Set<ChildProcess>();
    const start = (name: string, submits: boolean): ChildProcess => {
      const owner = startOwner({ ...places, name, submits, seed: wholeBetween(random, 1, 2 ** 31) });
      owners.add(owner);
      return owner;
    };
    try {
      let known = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        await liveAndDie(start(`r${round}`, true), random);
        const all = readAcknowledged(places.acknowledged);
        await withBroker(places.file, (broker) => checkAcknowledged(broker, all.slice(known), true));
        known = all.length;
      }
      await endsInOrder(start("last", false));
      const all = readAcknowledged(places.acknowledged);
      test.diagnostic(
        `${all.length} acknowledged calls, ${all.filter(({ kind }) => kind === "commit").length} of them commits`,
      );
      await withBroker(places.file, (broker) => checkTheEnd(broker, all));
    } finally {
      for (const owner of owners) if (owner.exitCode === null && owner.signalCode === null) owner.kill("SIGKILL");
    }
  });
});

async function checkTheEnd(broker: Broker, all: readonly Acknowledgement[]): Promise<void> {
  const open = await broker.listExecutions({ states: ["pending", "running", "paused"], limit: 10 });
  assert.deepEqual(open.executions, [], "every execution has ended");
  await checkAcknowledged(broker, all, false);
  await auditBroker(broker);
}

function startOwner(orders: OwnerOrders): ChildProcess {
  return spawn(process.execPath, [siblingModule(import.meta.url, "./owner-process"), JSON.stringify(orders)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function liveAndDie(owner: ChildProcess, random: () => number): Promise<void> {
  const gone = once(owner, "exit");
  if (random() < SHARE_KILLED_EARLY) {
    await sleep(CLOCK, random() * LONGEST_EARLY_MS);
  } else {
    assert.ok(owner.stdout !== null);
    await Promise.race([once(owner.stdout, "data"), gone]);
    assert.equal(owner.exitCode, null, "the owner could open the file");
    await sleep(CLOCK, random() * LONGEST_LIFE_MS);
  }
  owner.kill("SIGKILL");
  const [exitCode, signal] = (await gone) as [number | null, NodeJS.Signals | null];
  assert.deepEqual([exitCode, signal], [null, "SIGKILL"], "it lived until it was killed");
}

async function endsInOrder(owner: ChildProcess): Promise<void> {
  const limit = AbortSignal.timeout(FINISH_LIMIT_MS);
  const [exitCode] = (await once(owner, "exit", { signal: limit })) as [number | null];
  assert.equal(exitCode, 0, "the last owner finished everything");
}

async function withBroker(file: string, action: (broker: Broker) => Promise<void>): Promise<void> {
  let ids = 0;
  const newId = (): string => {
    ids += 1;
    return `check-${ids}`;
  };
  const broker = openSqliteBroker({ file, clock: CLOCK, random: Math.random, newId });
  try {
    await action(broker);
  } finally {
    await broker.close();
  }
}
