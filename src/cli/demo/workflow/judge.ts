/** From the book of a run to its findings: order, repeats, balance, and whether the criteria are met. Pure. */
import type { Spread } from "./report.ts";
import { type BalanceParams, poolBalance, type PoolBalance } from "./balance.ts";
import { count, duration } from "../../terminal/figures.ts";
import type { Kill } from "./crisis.ts";
import { DELIVERY, DELIVERY_POOLS, poolOfWorker } from "./delivery.ts";
import type { WorkflowDemoPlan } from "./plan.ts";
import type {
  Bar,
  Criterion,
  DeliveriesReport,
  MemoryReport,
  PhaseReport,
  RecoveryReport,
  ThroughputReport,
} from "./report.ts";
import type { Stretch, WorkBook } from "../../work-book.ts";

/** Deliveries in the order of their numbers, and the node that each task number stands for. */
export interface Deliveries {
  readonly executions: readonly string[];
  readonly nodeOf: readonly string[];
}

/** A child that began before a parent had been committed. */
export function orderViolations(book: WorkBook, { executions, nodeOf }: Deliveries): number {
  const taskOf = new Map(nodeOf.map((node, task) => [node, task]));
  let violations = 0;
  for (const executionId of executions) {
    for (const { id, after } of DELIVERY) {
      const begun = book.attemptsOf(executionId, taskOf.get(id) ?? -1);
      for (const parent of after) {
        const done = completionOf(book.attemptsOf(executionId, taskOf.get(parent) ?? -1));
        violations += begun.filter(({ from }) => done === undefined || from < done).length;
      }
    }
  }
  return violations;
}

function completionOf(attempts: readonly Stretch[]): number | undefined {
  return attempts.find(({ end }) => end === "completed")?.to;
}

/** Commits of a task beyond its first. */
export function duplicateCommits(book: WorkBook): number {
  const commits = new Map<string, number>();
  for (const { executionId, task, end } of book.stretches) {
    if (end !== "completed") continue;
    const key = `${executionId}/${task}`;
    commits.set(key, (commits.get(key) ?? 0) + 1);
  }
  return [...commits.values()].reduce((sum, times) => sum + times - 1, 0);
}

/** Most tasks of one delivery that ran at the same time. */
export function mostAtOnce(book: WorkBook, executions: readonly string[]): number {
  const steps = new Map<string, [at: number, change: number][]>(executions.map((id) => [id, []]));
  for (const { executionId, from, to } of book.stretches) {
    steps.get(executionId)?.push([from, 1], [to ?? Infinity, -1]);
  }
  let most = 0;
  for (const list of steps.values()) {
    list.sort(([one, change], [other, otherChange]) => one - other || change - otherChange);
    let running = 0;
    for (const [, change] of list) {
      running += change;
      most = Math.max(most, running);
    }
  }
  return most;
}

export function barsOf(book: WorkBook, { executions, nodeOf }: Deliveries, beganAt: number): Bar[] {
  const numbers = new Map(executions.map((id, at) => [id, at + 1]));
  const attempts = new Map<string, number>();
  return book.stretches.flatMap(({ executionId, task, worker, from, to, end }) => {
    const delivery = numbers.get(executionId);
    if (delivery === undefined) return [];
    const key = `${executionId}/${task}`;
    const attempt = (attempts.get(key) ?? 0) + 1;
    attempts.set(key, attempt);
    const node = nodeOf[task] ?? String(task);
    return [
      {
        worker,
        pool: poolOfWorker(worker),
        delivery,
        node,
        from: from - beganAt,
        to: (to ?? from) - beganAt,
        end,
        attempt,
      },
    ];
  });
}

export function balances(
  book: WorkBook,
  { nodeOf, executions }: Deliveries,
  until: number,
): (PoolBalance & { readonly min: number; readonly max: number })[] {
  const ours = new Set(executions);
  const poolOfNode = new Map(DELIVERY.map(({ id, pool }) => [id, pool as string]));
  return DELIVERY_POOLS.map(({ pool, min, max }) => {
    const isOurs = ({ executionId, task }: { readonly executionId: string; readonly task: number }): boolean =>
      ours.has(executionId) && poolOfNode.get(nodeOf[task] ?? "") === pool;
    const params: BalanceParams = {
      pool,
      stretches: book.stretches.filter(isOurs),
      presences: book.presences.filter(({ worker }) => poolOfWorker(worker) === pool),
      waits: book.waits.filter(isOurs),
      until,
    };
    return { ...poolBalance(params), min, max };
  });
}

// ── The criteria ──────────────────────────────────────────────────────────────────────────────

export interface Judged {
  readonly plan: WorkflowDemoPlan;
  readonly phases: readonly PhaseReport[];
  readonly deliveries: DeliveriesReport;
  readonly pools: readonly PoolBalance[];
  readonly kills: readonly Kill[];
  readonly recoveries: readonly RecoveryReport[];
  readonly takenBackMs: Spread;
  readonly recoveryMs: Spread;
  readonly throughput: ThroughputReport | null;
  readonly memory: MemoryReport;
  /** Workers that ended although nobody had killed them. */
  readonly deaths: readonly string[];
}

/** Share of the time that workers may spend idle while work of their pool waits. */
const MOST_IDLE_SHARE = 0.15;

export function criteriaOf(judged: Judged): Criterion[] {
  return [
    phasesDone(judged),
    parallel(judged),
    balanced(judged),
    survived(judged),
    claimedInTime(judged),
    stable(judged),
  ];
}

function phasesDone({ phases }: Judged): Criterion {
  const done = phases.filter((phase) => phase.done).length;
  return { name: "All eight phases done", met: done === 8, detail: `${done} of 8` };
}

function parallel({ deliveries }: Judged): Criterion {
  const { mostAtOnce: most, orderViolations: violations, wrongOutputs } = deliveries;
  return {
    name: "Tasks run in parallel where the graph allows it, and never before their parents",
    met: most >= 2 && violations === 0 && wrongOutputs === 0,
    detail: `up to ${most} tasks of one delivery at once, ${violations} before a parent's commit, ${wrongOutputs} with other outputs than expected`,
  };
}

function balanced({ pools }: Judged): Criterion {
  const worst = pools.reduce((most, pool) => (pool.idleShare > most.idleShare ? pool : most));
  const idle = pools.filter(({ completed, workers }) => completed === 0 || workers === 0);
  return {
    name: "Pools share their work",
    met: idle.length === 0 && worst.idleShare <= MOST_IDLE_SHARE,
    detail: `workers idle while work of their pool waited: at most ${(worst.idleShare * 100).toFixed(1)}% of the time (${worst.pool}); limit ${MOST_IDLE_SHARE * 100}%`,
  };
}

function survived({ deliveries, kills }: Judged): Criterion {
  const { count: all, completed, tasks, committed, duplicateCommits: twice } = deliveries;
  const waves = new Set(kills.map(({ wave }) => wave));
  const pools = new Set(kills.filter(({ wave }) => wave === "one per pool").map(({ pool }) => pool));
  return {
    name: "Deaths of workers do not stop completion",
    met:
      completed === all &&
      committed === tasks &&
      twice === 0 &&
      waves.size === 2 &&
      pools.size === DELIVERY_POOLS.length,
    detail: `${count(completed)} of ${count(all)} deliveries, ${count(committed)} of ${count(tasks)} tasks, ${twice} committed twice; ${kills.length} workers killed, in ${pools.size} pools one by one and half of all at once`,
  };
}

/**
 * In time: taken from the dead. How long a task then stands in line says how much work its pool has, not how
 * well it was missed; that no worker is idle meanwhile is for `balanced` to tell.
 */
function claimedInTime({ plan, recoveries, takenBackMs, recoveryMs }: Judged): Criterion {
  const never = recoveries.filter((recovery) => recovery.recoveryMs === null).length;
  const struck = new Set(recoveries.filter(({ wave }) => wave === "one per pool").map(({ pool }) => pool)).size;
  const p99 = takenBackMs.p99 ?? Infinity;
  return {
    name: "Broken tasks are taken over in time",
    // Without a task that was broken off in every pool nothing was shown.
    met: never === 0 && struck === DELIVERY_POOLS.length && p99 <= plan.recoveryAimMs,
    detail: `${count(takenBackMs.count)} tasks taken from dead workers after ${shown(takenBackMs.p50)} (median), ${shown(takenBackMs.p99)} (p99), limit ${duration(plan.recoveryAimMs)}; in ${struck} of ${DELIVERY_POOLS.length} pools one by one; ran elsewhere after ${shown(recoveryMs.p50)} (median), ${shown(recoveryMs.p99)} (p99), with their time in line${never > 0 ? `; ${never} never` : ""}`,
  };
}

function stable({ plan, memory, deaths }: Judged): Criterion {
  const most = Math.max(memory.serverMb, memory.workerMb ?? 0, memory.runnerMb ?? 0);
  return {
    name: "Stable under failure",
    met: deaths.length === 0 && most <= plan.memoryAimMb,
    detail: `${deaths.length === 0 ? "no worker ended that was not killed" : `ended by themselves: ${deaths.join(", ")}`}; at most ${most} MB per process, limit ${plan.memoryAimMb} MB`,
  };
}

function shown(ms: number | null): string {
  return ms === null ? "unknown" : duration(ms);
}
