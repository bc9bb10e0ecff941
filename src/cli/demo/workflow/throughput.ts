/** How many tasks pass per second through the four pools: submitted, claimed, run in real worker processes, committed. */
import { availableParallelism } from "node:os";
import { type LocalWorkers, startLocalWorkers } from "../../../app/local-workers.ts";
import type { Broker } from "../../../broker/contract.ts";
import { MAX_PAGE } from "../../../broker/limits.ts";
import type { Settings } from "../../../config/index.ts";
import { batch } from "../../../sdk/batch.ts";
import type { Client } from "../../../sdk/client.ts";
import type { Clock } from "../../../util/clock.ts";
import { sleep } from "../../../util/clock.ts";
import { passOn } from "./delivery-tasks.ts";
import { DELIVERY_POOLS } from "./delivery.ts";
import type { ThroughputReport } from "./report.ts";

export interface ThroughputParams {
  readonly broker: Broker;
  readonly client: Client;
  readonly address: string;
  readonly settings: Settings;
  readonly logFile: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly messages: number;
}

/** Runners of all workers take a core each; more of them than cores stand in each other's way. */
const CONCURRENCY = Math.max(1, Math.floor(availableParallelism() / DELIVERY_POOLS.length));
/** Tasks that a worker claims ahead: so many pass in one call. */
const PREFETCH = 256;

export async function measureThroughput(params: ThroughputParams): Promise<ThroughputReport> {
  const groups = DELIVERY_POOLS.map(({ pool }) => startPool(params, pool));
  try {
    await workersThere(params, groups.length);
    return await passAll(params, groups.length);
  } finally {
    await Promise.all(groups.map((group) => group.stop()));
  }
}

function startPool({ address, settings, logFile, clock }: ThroughputParams, pool: string): LocalWorkers {
  return startLocalWorkers({
    address,
    count: 1,
    settings: { ...settings, pools: [pool], concurrency: CONCURRENCY, prefetch: PREFETCH },
    namePrefix: `throughput-${pool}`,
    log: { file: logFile },
    clock,
  });
}

async function workersThere({ broker, clock, signal }: ThroughputParams, wanted: number): Promise<void> {
  for (;;) {
    const { sessions } = await broker.listSessions({ limit: MAX_PAGE, live: true });
    if (sessions.filter(({ worker }) => worker.startsWith("throughput-")).length >= wanted) return;
    await sleep(clock, 20, signal);
  }
}

async function passAll({ client, messages, signal }: ThroughputParams, workers: number): Promise<ThroughputReport> {
  const share = Math.ceil(messages / DELIVERY_POOLS.length);
  const inputs = Array.from({ length: share }, (_, index) => index);
  const startedAt = performance.now();
  const executions = await Promise.all(
    DELIVERY_POOLS.map(({ pool }) => client.submit(batch(passOn, inputs, { pool, name: `throughput-${pool}` }))),
  );
  const sentMs = performance.now() - startedAt;
  const ends = await Promise.all(executions.map((execution) => execution.wait({ signal })));
  const doneMs = performance.now() - startedAt;
  const passed = ends.reduce((sum, { counters }) => sum + counters.completed, 0);
  return {
    messages: passed,
    sentMs: Math.round(sentMs),
    doneMs: Math.round(doneMs),
    perSecond: Math.round((passed * 1_000) / doneMs),
    workers,
  };
}
