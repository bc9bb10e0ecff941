/**
 * A Redis broker with real worker processes on it, as an operator has them: nothing but the server in
 * common, and no parent that tells the broker when one of them dies.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { TestContext } from "node:test";
import { type LocalWorker, type LocalWorkers, startLocalWorkers } from "../../src/app/local-workers.ts";
import { openBroker } from "../../src/app/open-broker.ts";
import type { Broker } from "../../src/broker/contract.ts";
import { defaultSettings, type Settings } from "../../src/config/index.ts";
import { batch } from "../../src/sdk/batch.ts";
import { Client } from "../../src/sdk/client.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { signsAndWaits } from "../fixtures/redis/tasks.ts";
import { cleanups, eventually, scratchFolder } from "../fixtures/sdk/scratch.ts";

export interface RedisWorkers {
  readonly dir: string;
  readonly broker: Broker;
  readonly client: Client;
  /** Those that were started and not killed through `kill`, by name. */
  readonly alive: ReadonlyMap<string, LocalWorker>;
  /** One more worker process; by default at the same address. */
  start(name: string, ownAddress?: string): LocalWorker;
  /** Signals a worker; one that is killed is forgotten. */
  kill(name: string, signal: NodeJS.Signals): void;
  /** Resolves when each living worker has run a task: its session is open, its runner warm, the module there. */
  warmUp(): Promise<void>;
}

export interface RedisWorkersOptions {
  /** Where the workers and this process reach the broker. */
  readonly address: string;
  /** Named `w-1`, `w-2` … */
  readonly workers: number;
  /** Of the workers and of this process. */
  readonly settings?: Partial<Settings>;
  /** Where the workers' logs go. Default: nowhere. */
  readonly log?: { readonly file: string };
}

/** What an attempt wrote when it began. */
export interface Sign {
  readonly at: number;
  readonly worker: string;
  readonly attempt: number;
}

export async function startRedisWorkers(t: TestContext, options: RedisWorkersOptions): Promise<RedisWorkers> {
  const { address, workers, log = "ignore" } = options;
  const shared: Partial<Settings> = { graceMs: 500, prefetch: 0, ...options.settings };
  const dir = await scratchFolder(t);
  const cleanup = cleanups(t);
  const broker = await openBroker(address, { settings: { ...defaultSettings(), ...shared }, logger: silentLogger });
  const client = new Client({ broker });
  cleanup(() => client.close());
  const alive = new Map<string, LocalWorker>();
  const pools: LocalWorkers[] = [];
  cleanup(() => Promise.all(pools.map((pool) => pool.stop({ patienceMs: 2_000 }))));
  const start = (namePrefix: string, ownAddress = address): LocalWorker => {
    const pool = startLocalWorkers({ address: ownAddress, count: 1, namePrefix, log, settings: shared });
    pools.push(pool);
    const [worker] = pool.workers;
    assert.ok(worker !== undefined);
    alive.set(worker.name, worker);
    return worker;
  };
  for (let no = 0; no < workers; no += 1) start("w" + String(no + 1));
  let warmUps = 0;
  return {
    dir,
    broker,
    client,
    alive,
    start,
    kill: (name, signal) => {
      const worker = alive.get(name);
      assert.ok(worker?.kill(signal), `${name} is there`);
      if (signal === "SIGKILL") alive.delete(name);
    },
    warmUp: async () => {
      warmUps += 1;
      const [signs, gate] = [path.join(dir, `warm-${warmUps}`), path.join(dir, `warm-gate-${warmUps}`)];
      const execution = await client.submit(
        batch(
          signsAndWaits,
          [...alive].map(() => ({ signs, gate })),
        ),
      );
      await eventually("all workers have run a task", () => readSigns(signs).length >= alive.size);
      await writeFile(gate, "");
      assert.equal((await execution.wait()).state, "completed");
    },
  };
}

export function readSigns(file: string): readonly Sign[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [at, worker = "", attempt] = line.split(" ");
    return { at: Number(at), worker, attempt: Number(attempt) };
  });
}

/** The sign of the given number, from 0, when it is there. */
export function signed(file: string, no: number): Promise<Sign> {
  return eventually(`attempt ${no + 1} has begun`, () => readSigns(file)[no]);
}

/** The smallest value that this share of all does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function describeTimes(values: readonly number[]): string {
  const of = (share: number): string => `${Math.round(quantile(values, share))} ms`;
  return `p50 ${of(0.5)}, p99 ${of(0.99)}, longest ${of(1)} over ${values.length}`;
}
