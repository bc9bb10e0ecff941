/**
 * A Redis broker with everything on it at once: processes that submit, extend, cancel, claim and
 * commit (redis-load.ts), and a real worker process with a sweep of its own. A test does something to
 * the server meanwhile; `finish` then lets everything end, and looks at what is left.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";
import type { Broker } from "../../src/broker/contract.ts";
import type { Settings } from "../../src/config/index.ts";
import { range } from "../../src/core/space.ts";
import { sweep } from "../../src/sdk/sweep.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { auditBroker } from "../contract/audit.ts";
import { restsApart } from "../fixtures/redis/tasks.ts";
import { cleanups } from "../fixtures/sdk/scratch.ts";
import { startRedisWorkers } from "../support/redis-workers.ts";
import { wholeBetween } from "../support/seeded-random.ts";
import { type Acknowledgement, missingOf, readAcknowledged } from "./acknowledged.ts";
import type { RedisLoadOrders } from "./redis-load.ts";

const LOADS = 2;
/** So that the time goes to what is done to the server, and not to counting what was acknowledged. */
const SUBMIT_PAUSE_MS = 40;
const FINISH_LIMIT_MS = 60_000;

export interface LoadedRedisOptions {
  readonly address: string;
  readonly random: () => number;
  /** Of the real worker's sweep. */
  readonly points: number;
  readonly settings?: Partial<Settings>;
  /** The server may forget what it acknowledged last. Default: it must not, and no session may be lost. */
  readonly mayForget?: boolean;
}

export interface Remains {
  readonly acknowledged: readonly Acknowledgement[];
  /** Of those, what is not there. */
  readonly missing: readonly Acknowledgement[];
  /** `N acknowledged calls, …` */
  readonly summary: string;
}

export interface LoadedRedis {
  readonly broker: Broker;
  /** How many calls were acknowledged so far. */
  acknowledged(): number;
  /** Of everything acknowledged since this was asked last, what is not there. */
  missing(): Promise<readonly Acknowledgement[]>;
  /**
   * Everything ends, and the books balance. With `mend`, which is called when the load has stopped and before what is
   * left is finished, history may have holes and only that is looked at what is to be found in the end.
   */
  finish(mend?: () => Promise<void>): Promise<Remains>;
}

/** Resolves when the load has begun. */
export async function startLoadedRedis(t: TestContext, options: LoadedRedisOptions): Promise<LoadedRedis> {
  const { address, random, points, mayForget = false } = options;
  const settings = { namespace: "loaded", ...options.settings };
  const cleanup = cleanups(t);
  const world = await startRedisWorkers(t, { address, workers: 1, settings: { ...settings, pools: ["apart"] } });
  const { broker, client, dir } = world;
  const file = path.join(dir, "acknowledged.jsonl");
  const start = (name: string, submits: boolean): ChildProcess => {
    const seed = wholeBetween(random, 1, 2 ** 31);
    const orders = { address, settings, acknowledged: file, name, submits, seed, mayForget };
    return startLoad({ ...orders, submitPauseMs: SUBMIT_PAUSE_MS }, cleanup);
  };
  const sweeping = await client.submit(sweep(restsApart, { over: range(0, points), chunk: 10 }));
  const loads = Array.from({ length: LOADS }, (_, no) => start(`load${no}`, true));
  await Promise.all(loads.map(async ({ stdout }) => once(stdout as Readable, "data")));
  let checked = 0;
  return {
    broker,
    acknowledged: () => readAcknowledged(file).length,
    missing: async () => {
      const all = readAcknowledged(file);
      const fresh = all.slice(checked);
      checked = all.length;
      return missingOf(broker, fresh);
    },
    finish: async (mend) => {
      for (const load of loads) load.kill("SIGTERM");
      await Promise.all(loads.map(endsInOrder));
      await mend?.();
      await endsInOrder(start("last", false));
      const { counters, lostAttempts } = await sweeping.wait();
      assert.deepEqual([counters.completed, counters.total], [points, points]);
      if (!mayForget) assert.equal(lostAttempts, 0, "the real worker has lost nothing");
      await checkTheEnd(broker, { mayForget, audits: mend === undefined });
      const acknowledged = readAcknowledged(file);
      const commits = acknowledged.filter(({ kind }) => kind === "commit").length;
      const summary = `${acknowledged.length} acknowledged calls, ${commits} of them commits, and ${points} points of a real worker`;
      return { acknowledged, missing: await missingOf(broker, acknowledged), summary };
    },
  };
}

async function checkTheEnd(
  broker: Broker,
  { mayForget, audits }: { readonly mayForget: boolean; readonly audits: boolean },
): Promise<void> {
  const open = await broker.listExecutions({ states: ["pending", "running", "paused"], limit: 10 });
  assert.deepEqual(open.executions, [], "every execution has ended");
  if (audits) await auditBroker(broker);
  if (mayForget) return;
  const { sessions } = await broker.listSessions({ limit: 100 });
  const lost = sessions.filter(({ state }) => state === "lost").map(({ worker }) => worker);
  assert.deepEqual(lost, [], "nobody is declared dead for what the server did");
}

function startLoad(orders: RedisLoadOrders, cleanup: (action: () => unknown) => void): ChildProcess {
  const load = spawn(process.execPath, [siblingModule(import.meta.url, "./redis-load"), JSON.stringify(orders)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(load, "exit");
  cleanup(async () => {
    load.kill("SIGKILL");
    await exited;
  });
  return load;
}

async function endsInOrder(load: ChildProcess): Promise<void> {
  if (load.exitCode === null) await once(load, "exit", { signal: AbortSignal.timeout(FINISH_LIMIT_MS) });
  assert.equal(load.exitCode, 0, "no call of it failed");
}
