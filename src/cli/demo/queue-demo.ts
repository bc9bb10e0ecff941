/** `demo` on Holdfast: sets up, runs, checks against one process, and says what came out. */
import { topK } from "../../core/aggregate.ts";
import type { Execution } from "../../sdk/execution.ts";
import { sweep } from "../../sdk/sweep.ts";
import type { CliContext } from "../context.ts";
import { openLocalCluster, type LocalCluster } from "../local-cluster.ts";
import { counted, duration } from "../terminal/figures.ts";
import { ProgressDisplay } from "../terminal/progress-display.ts";
import type { Progress } from "../terminal/progress-line.ts";
import { RateMeter } from "../terminal/rate-meter.ts";
import { brokerClock } from "./broker-clock.ts";
import type { ChunkLedger } from "./chunk-ledger.ts";
import { collectResults } from "./collect-results.ts";
import { checkLines, completionLines, faultLines, takeoverLines } from "./demo-lines.ts";
import { type DemoMonitor, type DemoPlan, WORKER_PREFIX } from "./demo-plan.ts";
import type { DemoReport } from "./demo-report.ts";
import type { DemoStore } from "./demo-store.ts";
import { demoPoints, demoSpace } from "./demo-space.ts";
import { monitorLines } from "./monitor-lines.ts";
import { classifierSettings, crossValidatePenguins, judgePoint, type PenguinPoint } from "./penguins-task.ts";
import type { ResultBook } from "./proof.ts";
import { type QueueOutcome, runOnQueue } from "./queue-run.ts";
import { reportQueue, type BestPoint } from "./queue-report.ts";
import { checkAgainstOneProcess, type SequentialOutcome } from "./sequential-check.ts";

/**
 * One attempt at a time and none ahead, so that a leased chunk is a running chunk and recovery is
 * measured to the moment when work goes on. The kill is on purpose; warnings about it would only run
 * through the screen.
 */
const DEMO_SETTINGS = {
  concurrency: 1,
  prefetch: 0,
  logLevel: "error",
  // Whatever a settings file here says, these workers serve the demo.
  pools: ["default"],
  capabilities: ["cpu"],
} as const;

export interface QueueDemoParams {
  readonly plan: DemoPlan;
  readonly context: CliContext;
  readonly monitor: DemoMonitor;
  readonly store: DemoStore;
}

interface Swept {
  readonly outcome: QueueOutcome;
  readonly book: ResultBook;
  readonly best: BestPoint | undefined;
}

export async function runQueueDemo(params: QueueDemoParams): Promise<DemoReport> {
  const { context, plan, store } = params;
  const { out } = context;
  const cluster = await openLocalCluster(context, { ...DEMO_SETTINGS, ...store.flags });
  let swept: Swept;
  try {
    out.print(...checkLines(out, `Environment ready: ${store.about}`));
    cluster.startWorkers({ count: plan.workers, namePrefix: WORKER_PREFIX, replaceLost: false });
    await cluster.workersLive(plan.workers, context.interrupts.signal);
    out.print(...checkLines(out, `All ${plan.workers} workers running`));
    swept = await sweepOnce(params, cluster);
  } finally {
    // Before the check: the one process must be alone.
    await cluster.close({ hurry: context.interrupts.signal.aborted });
  }
  const startedAt = performance.now();
  const check = await checkSequentially(params, swept.book);
  return reportQueue(out, { plan, ...swept, check, sequentialMs: performance.now() - startedAt });
}

async function sweepOnce(params: QueueDemoParams, cluster: LocalCluster): Promise<Swept> {
  const { context, plan, monitor } = params;
  const { out, interrupts } = context;
  const { broker, client } = cluster;
  const { cursor } = await broker.readEvents({ cursor: 0, limit: 1_000 });
  const definition = sweep(crossValidatePenguins, {
    name: "penguins",
    over: demoSpace(plan),
    chunk: plan.chunkSize,
    reduce: topK("accuracy", 1),
  });
  const startedAt = performance.now();
  const askedAt = context.clock.now();
  const execution = await client.submit(definition);
  const answeredAt = context.clock.now();
  const clock = brokerClock(context.clock, { askedAt, answeredAt, datedAt: (await execution.status()).createdAt });
  let ledger: ChunkLedger | undefined;
  const rate = new RateMeter();
  const display = new ProgressDisplay(
    { screen: out, clock },
    {
      progress: () => sweepProgress(params, { ledger, rate, elapsedMs: performance.now() - startedAt }),
      ...(monitor === "cli"
        ? { above: () => (ledger === undefined ? [] : monitorLines(out, ledger, clock.now())) }
        : {}),
    },
  );
  try {
    const outcome = await runOnQueue({
      plan,
      broker,
      clock,
      executionId: execution.id,
      cursor,
      pidOf: (worker) => cluster.pidOf(worker),
      workersGone: cluster.workersGone,
      signal: interrupts.signal,
      hooks: {
        onNews: (news) => {
          ledger = news;
          rate.record(performance.now() - startedAt, news.donePoints);
          display.refresh();
        },
        onKill: (kill) => display.print(faultLines(out, kill, plan.workers - 1)),
        onTakeover: (takeover, recoveryMs) => display.print(takeoverLines(out, takeover, recoveryMs)),
      },
    });
    display.stop();
    const { startedAt: from, createdAt, endedAt } = outcome.view;
    const wallMs = (endedAt ?? clock.now()) - (from ?? createdAt);
    out.print(
      ...completionLines(out, { chunks: outcome.ledger.doneChunks, points: outcome.view.counters.completed, wallMs }),
    );
    const book = await collectResults(broker, {
      executionId: execution.id,
      points: plan.points,
      signal: interrupts.signal,
    });
    return { outcome, book, best: await bestPoint(execution) };
  } finally {
    display.stop();
  }
}

function sweepProgress(
  params: QueueDemoParams,
  now: { readonly ledger: ChunkLedger | undefined; readonly rate: RateMeter; readonly elapsedMs: number },
): Progress {
  const ratePerSecond = now.rate.ratePerSecond();
  return {
    done: now.ledger?.doneChunks ?? 0,
    total: params.plan.chunks,
    unit: "chunks",
    ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
    rateUnit: "points",
    elapsedMs: now.elapsedMs,
  };
}

async function bestPoint(
  execution: Execution<
    PenguinPoint,
    unknown,
    { readonly entries: readonly { readonly index: number; readonly score: number; readonly point: unknown }[] }
  >,
): Promise<BestPoint | undefined> {
  const { entries } = await execution.aggregate();
  const [best] = entries;
  if (best === undefined) return undefined;
  return { point: best.index, accuracy: best.score, settings: classifierSettings(best.point as PenguinPoint) };
}

async function checkSequentially(params: QueueDemoParams, book: ResultBook): Promise<SequentialOutcome> {
  const { context, plan } = params;
  const { out, interrupts } = context;
  out.print("", "Checking: one process computes all points again, in order");
  const pointAt = demoPoints(plan);
  const startedAt = performance.now();
  const rate = new RateMeter();
  let done = 0;
  const progress = (): Progress => {
    const remainingMs = done < plan.points ? rate.remainingMs(plan.points) : undefined;
    return {
      done,
      total: plan.points,
      unit: "points",
      rateUnit: "points",
      elapsedMs: performance.now() - startedAt,
      ...(remainingMs === undefined ? {} : { remainingMs }),
    };
  };
  const display = new ProgressDisplay({ screen: out, clock: context.clock }, { progress });
  try {
    const outcome = await checkAgainstOneProcess({
      points: plan.points,
      compute: (point) => judgePoint(pointAt(point)),
      book,
      signal: interrupts.signal,
      onProgress: (checked) => {
        done = checked;
        rate.record(performance.now() - startedAt, checked);
        display.refresh();
      },
    });
    display.stop();
    if (outcome.identical)
      out.print(
        ...checkLines(
          out,
          `${counted(plan.points, "result")} equal those of one process, computed in ${duration(performance.now() - startedAt)}`,
        ),
      );
    return outcome;
  } finally {
    display.stop();
  }
}
