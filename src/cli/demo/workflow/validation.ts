/**
 * The validation before the demonstration: each promise that it rests on, tried once on the same
 * broker with real worker processes. A check that fails says what it found; nothing is assumed.
 */
import { startLocalWorkers } from "../../../app/local-workers.ts";
import type { Broker, Lease, Submission } from "../../../broker/contract.ts";
import { MAX_PAGE } from "../../../broker/limits.ts";
import type { Settings } from "../../../config/index.ts";
import { readGraph } from "../../../core/graph.ts";
import { DEFAULT_MAX_LOSSES, DEFAULT_RETRY } from "../../../core/retry.ts";
import { isExecutionEnded } from "../../../core/states.ts";
import { HoldfastError } from "../../../errors/index.ts";
import { batch } from "../../../sdk/batch.ts";
import type { Client } from "../../../sdk/client.ts";
import type { Clock } from "../../../util/clock.ts";
import { count, duration } from "../../terminal/figures.ts";
import { deliver, deliveryWorkflow, expectedDigests } from "./delivery-tasks.ts";
import { DELIVERY, DELIVERY_POOLS } from "./delivery.ts";
import type { WorkflowDemoPlan } from "./plan.ts";
import { type CheckReport, spread, type ValidationReport } from "./report.ts";
import { measureThroughput } from "./throughput.ts";

export interface ValidationParams {
  readonly plan: WorkflowDemoPlan;
  readonly broker: Broker;
  readonly client: Client;
  /** What workers connect to, and their settings. */
  readonly address: string;
  readonly settings: Settings;
  readonly logFile: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onCheck: (check: CheckReport) => void;
}

/** Its own pool: nothing else is served or disturbed. */
const POOL = "validation";
const ROUND_TRIPS = 50;
const KILL_TASK_MS = 1_500;
const KILL_AFTER_MS = 300;

type Check = (params: ValidationParams) => Promise<string>;

const CHECKS: readonly (readonly [name: string, check: Check])[] = [
  ["The broker stores and answers", roundTrips],
  ["A wrong workflow is refused with all that is wrong", refusals],
  ["A pool gives work to no more workers than its maximum, and the next takes over", poolLimits],
  ["A delivery runs in order, every task with its parents' outputs", oneDelivery],
  ["The task of a killed worker runs elsewhere", takeover],
];
const PERFORMANCE: (typeof CHECKS)[number] = ["Tasks pass from end to end", throughput];

export async function validate(params: ValidationParams): Promise<ValidationReport> {
  const isQuick = params.plan.mode === "quick";
  const checks: CheckReport[] = [];
  const startedAt = performance.now();
  for (const [name, check] of isQuick ? CHECKS : [...CHECKS, PERFORMANCE]) {
    const report = await tryCheck(name, () => check(params));
    // A check that was broken off says nothing.
    params.signal.throwIfAborted();
    checks.push(report);
    params.onCheck(report);
  }
  return {
    ok: checks.every(({ ok }) => ok),
    ms: Math.round(performance.now() - startedAt),
    checks,
    skipped: isQuick ? [PERFORMANCE[0]] : [],
  };
}

async function tryCheck(name: string, check: () => Promise<string>): Promise<CheckReport> {
  const startedAt = performance.now();
  const ended = (ok: boolean, detail: string): CheckReport => ({
    name,
    ok,
    ms: Math.round(performance.now() - startedAt),
    detail,
  });
  try {
    return ended(true, await check());
  } catch (thrown) {
    return ended(false, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function expect(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new HoldfastError("INTERNAL", { problem });
}

// ── Without workers ───────────────────────────────────────────────────────────────────────────

async function roundTrips({ broker }: ValidationParams): Promise<string> {
  const times: number[] = [];
  for (let at = 0; at < ROUND_TRIPS; at += 1) {
    const startedAt = performance.now();
    const { executions } = await broker.submit({ submissions: [nothingTo(1)] });
    const executionId = executions[0]?.executionId ?? "";
    const view = await broker.cancel({ executionId });
    expect(view.state === "cancelled", `a cancelled execution is ${view.state}`);
    times.push(performance.now() - startedAt);
  }
  const { p50, max } = spread(times);
  return `${ROUND_TRIPS} submissions and cancels, median ${(p50 ?? 0).toFixed(1)} ms, longest ${(max ?? 0).toFixed(1)} ms`;
}

/** Tasks that nobody runs: they are claimed by hand. */
function nothingTo(tasks: number): Submission {
  return {
    name: "validation",
    kind: "batch",
    priority: 5,
    groups: [
      {
        name: "validation",
        handler: "{}",
        pool: POOL,
        requires: [],
        retry: DEFAULT_RETRY,
        maxLosses: DEFAULT_MAX_LOSSES,
        work: { kind: "tasks", inputs: Array.from({ length: tasks }, () => "null") },
      },
    ],
  };
}

function refusals(): Promise<string> {
  const { problems = [] } = readGraph([
    { id: "a", after: ["c"] },
    { id: "b", after: ["a", "nowhere"] },
    { id: "c", after: ["b"] },
    { id: "c", after: [] },
    { id: "d", after: ["d"] },
  ]);
  // A cycle, a parent that is not there, an id given twice, a node after itself.
  expect(problems.length >= 4, `only ${problems.length} of 4 problems were told`);
  return Promise.resolve(
    `${problems.length} problems told at once: a cycle, a missing parent, an id twice, a node after itself`,
  );
}

async function poolLimits({ broker }: ValidationParams): Promise<string> {
  await broker.limitPool({ pool: POOL, min: 0, max: 2 });
  const sessions: string[] = [];
  const { executions } = await broker.submit({ submissions: [nothingTo(3)] });
  const executionId = executions[0]?.executionId ?? "";
  try {
    for (const number of [1, 2, 3]) sessions.push(await openSession(broker, number));
    const [first = "", second = "", third = ""] = sessions;
    const claims = [await claimOne(broker, first), await claimOne(broker, second), await claimOne(broker, third)];
    expect(claims[0] !== undefined && claims[1] !== undefined, "an active worker got no task");
    expect(claims[2] === undefined, "a third worker got a task of a pool for two");
    await broker.closeSession({ session: first, reason: "left" });
    expect((await claimOne(broker, third)) !== undefined, "the worker that stood by got nothing when another had left");
    return "two of three workers got a task; when one left, the third did";
  } finally {
    await broker.cancel({ executionId });
    for (const session of sessions) await broker.closeSession({ session, reason: "left" });
    await broker.limitPool({ pool: POOL, min: 0 });
  }
}

async function openSession(broker: Broker, number: number): Promise<string> {
  const profile = {
    worker: `validation-${number}`,
    host: "validation",
    pid: process.pid,
    pools: [POOL],
    capabilities: [],
    slots: 1,
  };
  return (await broker.openSession(profile)).session;
}

async function claimOne(broker: Broker, session: string): Promise<Lease | undefined> {
  return (await broker.claim({ session, max: 1, waitMs: 0 })).leases[0];
}

// ── With worker processes ─────────────────────────────────────────────────────────────────────

async function withWorkers<T>(
  params: ValidationParams,
  workers: { readonly count: number; readonly pools: readonly string[] },
  use: (kill: (worker: string) => number) => Promise<T>,
): Promise<T> {
  const { address, settings, logFile, clock } = params;
  const group = startLocalWorkers({
    address,
    count: workers.count,
    settings: { ...settings, pools: [...workers.pools] },
    namePrefix: POOL,
    log: { file: logFile },
    clock,
  });
  const kill = (name: string): number => {
    const at = clock.now();
    group.workers.find((worker) => worker.name === name)?.kill("SIGKILL");
    return at;
  };
  try {
    return await use(kill);
  } finally {
    await group.stop();
  }
}

async function oneDelivery(params: ValidationParams): Promise<string> {
  const pools = DELIVERY_POOLS.map(({ pool }) => pool);
  return withWorkers(params, { count: 2, pools }, async () => {
    const startedAt = performance.now();
    const execution = await params.client.submit(deliveryWorkflow({ unitMs: 0.5, seed: 1 }));
    await execution.wait({ signal: params.signal });
    const tookMs = performance.now() - startedAt;
    const expected = expectedDigests(1);
    const { rows } = await params.broker.readResults({ executionId: execution.id, limit: MAX_PAGE });
    const right = rows.filter(({ result }) => {
      const { node, digest } = JSON.parse(result ?? "null") as { readonly node: string; readonly digest: string };
      return expected.get(node) === digest;
    });
    expect(rows.length === DELIVERY.length, `${rows.length} results of ${DELIVERY.length} tasks`);
    expect(right.length === DELIVERY.length, `${DELIVERY.length - right.length} outputs were made from wrong parts`);
    return `${DELIVERY.length} tasks in ${duration(tookMs)} with two workers (their start included)`;
  });
}

async function takeover(params: ValidationParams): Promise<string> {
  const { broker, client, clock, signal } = params;
  return withWorkers(params, { count: 2, pools: [POOL] }, async (kill) => {
    const input = { node: "takeover", ms: KILL_TASK_MS, seed: 1, parts: {} };
    const { cursor: from } = await broker.readEvents({ cursor: -1, limit: 1 });
    const execution = await client.submit(batch(deliver, [input], { pool: POOL }));
    let cursor = from;
    let killedAt: number | undefined;
    for (;;) {
      signal.throwIfAborted();
      const page = await broker.readEvents({ cursor, executionId: execution.id, limit: MAX_PAGE, waitMs: 1_000 });
      cursor = page.cursor;
      for (const { change, at } of page.events) {
        if (change.kind === "execution" && isExecutionEnded(change.state))
          throw new HoldfastError("INTERNAL", {
            problem: `the execution ended as ${change.state} without a take-over`,
          });
        if (change.kind !== "tasks" || change.state !== "running" || change.worker === undefined) continue;
        if (killedAt === undefined) {
          await new Promise<void>((resolve) => void clock.schedule(KILL_AFTER_MS, resolve));
          killedAt = kill(change.worker);
        } else {
          await execution.cancel();
          return `SIGKILL to running on another worker: ${count(at - killedAt)} ms`;
        }
      }
    }
  });
}

async function throughput(params: ValidationParams): Promise<string> {
  const measured = await measureThroughput({ ...params, messages: Math.min(20_000, params.plan.messages) });
  return `${count(measured.messages)} tasks through ${measured.workers} workers: ${count(measured.perSecond)} per second`;
}
