/**
 * `demo workflow` from validation to verdict: deliveries on real worker processes of four pools, real
 * kills, and the proof. Everything it reports was seen in the broker's events or measured here.
 */
import { availableParallelism, totalmem } from "node:os";
import { displayAddress } from "../../../app/display-address.ts";
import { type Broker, FROM_NOW, type PoolView } from "../../../broker/contract.ts";
import { MAX_PAGE } from "../../../broker/limits.ts";
import { HoldfastError } from "../../../errors/index.ts";
import type { Execution } from "../../../sdk/execution.ts";
import type { Clock } from "../../../util/clock.ts";
import type { CliContext } from "../../context.ts";
import type { LocalCluster } from "../../local-cluster.ts";
import { count, counted, duration } from "../../terminal/figures.ts";
import { ProgressDisplay } from "../../terminal/progress-display.ts";
import { brokerClock } from "../broker-clock.ts";
import { checkLines, verdictLines } from "../demo-lines.ts";
import type { Kill } from "./crisis.ts";
import { Crew } from "./crew.ts";
import { criterionLines, killLines, phaseLine, poolLines, recoveryLines, verdictDetails } from "./demo-lines.ts";
import { eventLine, type EventNames } from "./event-line.ts";
import { deliveryWorkflow, expectedDigests } from "./delivery-tasks.ts";
import { DELIVERY, DELIVERY_POOLS } from "./delivery.ts";
import {
  balances,
  barsOf,
  criteriaOf,
  type Deliveries,
  duplicateCommits,
  mostAtOnce,
  orderViolations,
} from "./judge.ts";
import { MemoryWatch } from "./memory.ts";
import type { OutputFolder } from "./output-folder.ts";
import { PhaseBook } from "./phases.ts";
import { criticalPathMs, intoTaskMs, type WorkflowDemoPlan } from "./plan.ts";
import { type DeliveriesReport, type DemonstrationReport, spread, type ThroughputReport } from "./report.ts";
import { measureThroughput } from "./throughput.ts";
import { type Watched, watchDeliveries } from "./watch-delivery.ts";
import { WorkBook } from "../../work-book.ts";

export interface WorkflowDemoParams {
  readonly context: CliContext;
  readonly plan: WorkflowDemoPlan;
  readonly cluster: LocalCluster;
  readonly broker: Broker;
  /** What workers connect to. */
  readonly address: string;
  readonly output: OutputFolder;
}

const MEMORY_LOOK_MS = 500;
/** Share of the first deliveries' tasks that are done before the first kill. */
const CRISIS_AT_SHARE = 0.05;
/** Deliveries that may follow until the crisis is over, per one of the plan. */
const MOST_PER_PLANNED = 10;

export async function demonstrate(params: WorkflowDemoParams): Promise<DemonstrationReport> {
  const demo = new Demonstration(params);
  try {
    return await demo.run();
  } finally {
    await demo.close();
  }
}

class Demonstration {
  readonly #params: WorkflowDemoParams;
  readonly #startedAt = performance.now();
  readonly #phases: PhaseBook;
  readonly #crew: Crew;
  readonly #memory = new MemoryWatch();
  readonly #book = new WorkBook();
  readonly #deaths: string[] = [];
  /** Of each delivery in order; its number is the seed of its work. */
  readonly #executions: string[] = [];
  #cancelLook: (() => void) | undefined;
  #pools: readonly PoolView[] = [];
  /** Nodes by task number: the same in every delivery. */
  #nodes: readonly string[] = [];

  constructor(params: WorkflowDemoParams) {
    const { context, output, cluster, address } = params;
    this.#params = params;
    this.#phases = new PhaseBook(
      () => performance.now() - this.#startedAt,
      (number, name) => {
        output.logShown(`phase ${number}: ${name}`);
        context.out.print("", phaseLine(context.out, number, name));
      },
    );
    this.#crew = new Crew({
      address,
      settings: cluster.settings,
      logFile: output.file("workerLog"),
      logger: cluster.logger,
      clock: context.clock,
      onChange: ({ kind, worker, pid, why }) => {
        output.log(`worker ${worker} ${kind}, pid ${pid ?? "unknown"}: ${why}`);
        if (kind === "died") this.#deaths.push(worker);
      },
    });
  }

  async close(): Promise<void> {
    this.#cancelLook?.();
    await this.#crew.close({ hurry: this.#params.context.interrupts.signal.aborted });
  }

  async run(): Promise<DemonstrationReport> {
    const startedAt = new Date(this.#params.context.clock.now()).toISOString();
    this.#initialise();
    await this.#hire();
    const submitted = await this.#submit();
    const watched = await this.#watch(submitted);
    const deliveries = await this.#prove(watched);
    this.#phases.enter(8);
    const throughput = await this.#pass();
    return this.#report({ startedAt, watched, deliveries, throughput, beganAt: submitted.beganAt });
  }

  #say(phase: number, fact: string): void {
    const { context, output } = this.#params;
    this.#phases.fact(phase, fact);
    output.logShown(fact);
    context.out.print(...checkLines(context.out, fact));
  }

  // ── 1 to 3 ──────────────────────────────────────────────────────────────────────────────────

  #initialise(): void {
    const { cluster, broker } = this.#params;
    this.#phases.enter(1);
    this.#lookAtMemory();
    const { node } = process.versions;
    const memory = `${(totalmem() / 2 ** 30).toFixed(1)} GB of memory`;
    this.#say(1, `Prerequisites met: Node ${node}, ${counted(availableParallelism(), "core")}, ${memory}`);
    this.#say(
      1,
      `Broker ${broker.features.name} at ${displayAddress(cluster.settings)}, durable: ${broker.features.durable ? "yes" : "no"}`,
    );
    this.#phases.done(1);
  }

  #lookAtMemory(): void {
    this.#memory.look(this.#crew.pids());
    this.#cancelLook = this.#params.context.clock.schedule(MEMORY_LOOK_MS, () => this.#lookAtMemory());
  }

  async #hire(): Promise<void> {
    const { broker, context } = this.#params;
    this.#phases.enter(2);
    for (const pool of DELIVERY_POOLS) {
      await broker.limitPool(pool);
      this.#crew.start(pool, pool.min, "the pool's minimum");
    }
    const wanted = this.#crew.alive().length;
    for (;;) {
      context.interrupts.signal.throwIfAborted();
      const { pools } = await broker.listPools();
      const there = DELIVERY_POOLS.reduce(
        (sum, { pool }) => sum + (pools.find((view) => view.pool === pool)?.sessions ?? 0),
        0,
      );
      if (there >= wanted) break;
      if (this.#deaths.length > 0)
        throw new HoldfastError("WORKER_FAILED", {
          worker: this.#deaths[0] ?? "",
          how: `it did not start; see ${this.#params.output.file("workerLog")}`,
        });
      await new Promise<void>((resolve) => void context.clock.schedule(20, resolve));
    }
    this.#say(
      2,
      `${DELIVERY_POOLS.length} pools with ${counted(wanted, "worker process", "worker processes")}; they grow with their work`,
    );
    this.#phases.done(2);
  }

  async #submit(): Promise<Submitted> {
    const { plan, broker, context } = this.#params;
    this.#phases.enter(3);
    const { cursor } = await broker.readEvents({ cursor: FROM_NOW, limit: 1 });
    for (const session of (await broker.listSessions({ limit: MAX_PAGE, live: true })).sessions)
      this.#book.apply({
        cursor: 0,
        at: session.openedAt,
        change: { kind: "session", state: "opened", session: session.session, worker: session.worker },
      });
    const startedAt = performance.now();
    const askedAt = context.clock.now();
    const deliveries: Execution[] = [];
    for (let number = 1; number <= plan.workflows; number += 1) deliveries.push(await this.#order());
    const answeredAt = context.clock.now();
    const tookMs = performance.now() - startedAt;
    this.#nodes = await this.#nodeOf(deliveries[0]?.id ?? "");
    const begun = await Promise.all(deliveries.map((delivery) => this.#begin(delivery)));
    const beganAt = begun[0] ?? askedAt;
    const tasks = count(plan.workflows * DELIVERY.length);
    this.#say(
      3,
      `${counted(plan.workflows, "delivery", "deliveries")} of ${tasks} tasks submitted in ${duration(tookMs)}`,
    );
    this.#phases.done(3);
    // The first of the submits is dated; it lies at the beginning of the time they took.
    const clock = brokerClock(context.clock, { askedAt, answeredAt, datedAt: beganAt });
    return { clock, cursor, beganAt };
  }

  async #order(): Promise<Execution> {
    const { plan, cluster } = this.#params;
    const workflow = deliveryWorkflow({ unitMs: plan.unitMs, seed: this.#executions.length + 1 });
    const delivery = (await cluster.client.submit(workflow)) as Execution;
    this.#executions.push(delivery.id);
    return delivery;
  }

  /** What no event tells of a delivery. Returns when it was submitted. */
  async #begin(delivery: Execution): Promise<number> {
    const { createdAt } = await delivery.status();
    const roots = DELIVERY.filter(({ after }) => after.length === 0).map(({ id }) => this.#nodes.indexOf(id));
    this.#book.begin(delivery.id, createdAt, roots);
    return createdAt;
  }

  async #another(): Promise<void> {
    const delivery = await this.#order();
    await this.#begin(delivery);
    this.#params.output.log(`delivery ${this.#executions.length} submitted: the crisis is not over`);
  }

  // ── 4 to 6 ──────────────────────────────────────────────────────────────────────────────────

  async #watch({ clock, cursor }: Submitted): Promise<Watched> {
    const { plan, broker, context, output } = this.#params;
    const { out, interrupts } = context;
    this.#phases.enter(4);
    const startedAt = performance.now();
    const names: EventNames = { executions: this.#executions, nodeOf: this.#nodes };
    const display = new ProgressDisplay(
      { screen: out, clock: context.clock },
      {
        progress: () => ({
          done: this.#book.completedTasks,
          total: this.#executions.length * DELIVERY.length,
          unit: "tasks",
          rateUnit: "tasks",
          elapsedMs: performance.now() - startedAt,
        }),
        above: () => poolLines(out, this.#pools, (pool) => this.#crew.alive(pool).length),
      },
    );
    try {
      return await watchDeliveries({
        broker,
        clock,
        crew: this.#crew,
        executions: this.#executions,
        atOnce: plan.workflows,
        most: plan.workflows * MOST_PER_PLANNED,
        another: () => this.#another(),
        book: this.#book,
        cursor,
        intoTaskMs: intoTaskMs(plan),
        afterTasks: Math.ceil(plan.workflows * DELIVERY.length * CRISIS_AT_SHARE),
        signal: interrupts.signal,
        hooks: {
          onNews: (events) => {
            output.log(...events.flatMap((event) => eventLine(event, names) ?? []));
            display.refresh();
          },
          onPools: (pools) => {
            this.#pools = pools;
          },
          onKills: (kills) => this.#noteKills(kills, display),
          onRecovery: (recovery) => {
            output.logShown(
              `task ${recovery.executionId}/${recovery.task} of ${recovery.from} runs on ${recovery.to ?? ""}`,
            );
            display.print(recoveryLines(out, recovery));
          },
        },
      });
    } finally {
      display.stop();
    }
  }

  #noteKills(kills: readonly Kill[], display: ProgressDisplay): void {
    const { context, output } = this.#params;
    if (this.#phases.current === 4) {
      this.#phases.fact(4, `${count(this.#book.completedTasks)} tasks done before the first kill`);
      this.#phases.done(4);
      this.#phases.enter(5);
    }
    for (const { worker, held } of kills)
      output.logShown(`SIGKILL ${worker} with ${counted(held.length, "running task")}`);
    display.print(killLines(context.out, kills));
    if (kills[0]?.wave !== "half of all") return;
    this.#phases.fact(5, `one worker of every pool, then ${counted(kills.length, "worker")} at once`);
    this.#phases.done(5);
    this.#phases.enter(6);
  }

  // ── 7 ───────────────────────────────────────────────────────────────────────────────────────

  async #prove({ recoveries }: Watched): Promise<DeliveriesReport> {
    const { plan, broker } = this.#params;
    const executions: readonly string[] = this.#executions;
    // A run that was over before the crisis shows it in its phases.
    while (this.#phases.current < 6) this.#phases.enter(this.#phases.current + 1);
    if (recoveries.length > 0 && recoveries.every(({ runningAt }) => runningAt !== undefined)) this.#phases.done(6);
    this.#phases.fact(6, `${counted(recoveries.length, "broken task")} taken over`);
    this.#phases.enter(7);
    const views = await Promise.all(executions.map((executionId) => broker.getExecution({ executionId })));
    const wrong = await Promise.all(executions.map((executionId, index) => this.#wrongOutputs(executionId, index + 1)));
    const report: DeliveriesReport = {
      count: executions.length,
      completed: views.filter(({ state }) => state === "completed").length,
      tasks: executions.length * DELIVERY.length,
      committed: views.reduce((sum, { counters }) => sum + counters.completed, 0),
      attempts: this.#book.stretches.length,
      lostAttempts: views.reduce((sum, { lostAttempts }) => sum + lostAttempts, 0),
      duplicateCommits: duplicateCommits(this.#book),
      orderViolations: orderViolations(this.#book, { executions, nodeOf: this.#nodes }),
      wrongOutputs: wrong.reduce((sum, one) => sum + one, 0),
      mostAtOnce: mostAtOnce(this.#book, executions),
      criticalPathMs: criticalPathMs(plan),
      makespanMs: spread(views.map(({ createdAt, endedAt }) => (endedAt ?? createdAt) - createdAt)),
      wallMs:
        Math.max(...views.map(({ endedAt = 0 }) => endedAt)) - Math.min(...views.map(({ createdAt }) => createdAt)),
    };
    this.#say(
      7,
      `${count(report.completed)} of ${count(report.count)} deliveries completed; ${count(report.committed)} of ${count(report.tasks)} tasks committed, ${report.duplicateCommits} twice; ${report.wrongOutputs} wrong outputs`,
    );
    if (report.completed === report.count && report.committed === report.tasks && report.wrongOutputs === 0)
      this.#phases.done(7);
    return report;
  }

  /** Outputs that are not what one process computes. */
  async #wrongOutputs(executionId: string, seed: number): Promise<number> {
    const expected = expectedDigests(seed);
    const { rows } = await this.#params.broker.readResults({ executionId, limit: MAX_PAGE });
    const right = rows.filter(({ result }) => {
      const { node = "", digest } = (JSON.parse(result ?? "null") ?? {}) as {
        readonly node?: string;
        readonly digest?: string;
      };
      return expected.get(node) === digest;
    });
    return DELIVERY.length - right.length;
  }

  async #nodeOf(executionId: string): Promise<readonly string[]> {
    const { tasks } = await this.#params.broker.listTasks({ executionId, limit: MAX_PAGE });
    return tasks.map(({ label }) => label ?? "");
  }

  // ── 8 ───────────────────────────────────────────────────────────────────────────────────────

  async #pass(): Promise<ThroughputReport | null> {
    const { context, plan, cluster, broker, address, output } = this.#params;
    if (plan.mode === "quick") return null;
    this.#memory.look(this.#crew.pids());
    this.#cancelLook?.();
    await this.#crew.close({ hurry: false });
    const measured = await measureThroughput({
      broker,
      client: cluster.client,
      address,
      settings: cluster.settings,
      logFile: output.file("workerLog"),
      clock: context.clock,
      signal: context.interrupts.signal,
      messages: plan.messages,
    });
    this.#say(
      8,
      `${count(measured.messages)} tasks that do nothing passed in ${duration(measured.doneMs)}: ${count(measured.perSecond)} per second`,
    );
    return measured;
  }

  #report(found: Found): DemonstrationReport {
    const { plan, cluster } = this.#params;
    const { watched, deliveries, throughput } = found;
    const recoveries = watched.recoveries.map((recovery) => ({
      ...recovery,
      takenBackMs: recovery.noticedAt === undefined ? null : recovery.noticedAt - recovery.killedAt,
      recoveryMs: recovery.runningAt === undefined ? null : recovery.runningAt - recovery.killedAt,
    }));
    const takenBackMs = spread(recoveries.flatMap((recovery) => recovery.takenBackMs ?? []));
    const recoveryMs = spread(recoveries.flatMap((recovery) => recovery.recoveryMs ?? []));
    const shape: Deliveries = { executions: this.#executions, nodeOf: this.#nodes };
    const until = Math.max(...this.#book.stretches.map(({ from, to }) => to ?? from));
    const pools = balances(this.#book, shape, until);
    const memory = this.#memory.report();
    this.#phases.done(8);
    const phases = this.#phases.report();
    const measured = {
      plan,
      phases,
      deliveries,
      pools,
      kills: watched.kills,
      recoveries,
      takenBackMs,
      recoveryMs,
      throughput,
      memory,
    };
    const criteria = criteriaOf({ ...measured, deaths: this.#deaths });
    return {
      ...measured,
      broker: `${this.#params.broker.features.name}, ${displayAddress(cluster.settings)}`,
      machine: {
        cpus: availableParallelism(),
        memoryMb: Math.round(totalmem() / 2 ** 20),
        node: process.versions.node,
        platform: process.platform,
      },
      startedAt: found.startedAt,
      wallMs: Math.round(performance.now() - this.#startedAt),
      beganAt: found.beganAt,
      bars: barsOf(this.#book, shape, found.beganAt),
      criteria,
      verdict: criteria.every(({ met }) => met) ? "passed" : "failed",
    };
  }
}

interface Submitted {
  /** The broker's. */
  readonly clock: Clock;
  readonly cursor: number;
  readonly beganAt: number;
}

interface Found {
  readonly startedAt: string;
  readonly watched: Watched;
  readonly deliveries: DeliveriesReport;
  readonly throughput: ThroughputReport | null;
  readonly beganAt: number;
}

export function printVerdict({ out }: CliContext, report: DemonstrationReport): void {
  const passed = report.verdict === "passed";
  out.print("", ...report.criteria.flatMap((criterion) => criterionLines(out, criterion)), "");
  out.print(
    ...verdictLines(out, {
      passed,
      headline: passed ? "PASSED: every delivery ended, nothing was lost" : "FAILED",
      details: verdictDetails(report),
    }),
  );
}
