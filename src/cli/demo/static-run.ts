/**
 * The baseline without Holdfast: every worker gets one fixed range, nobody takes anything over, and
 * worker 1 is killed at the same share of progress as in the real demo.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fixedRanges } from "../../core/chunking.ts";
import { siblingModule } from "../../util/sibling-module.ts";
import { type DemoPlan, FAULT_AT_SHARE, VICTIM } from "./demo-plan.ts";
import type { StaticAssignment, StaticMessage } from "./static-protocol.ts";

export interface StaticProgress {
  readonly computed: number;
  readonly elapsedMs: number;
}

export interface StaticRunHooks {
  readonly onReady: () => void;
  readonly onProgress: (progress: StaticProgress) => void;
  readonly onKill: (kill: { readonly pid: number; readonly computedByVictim: number }) => void;
  readonly signal: AbortSignal;
}

export interface StaticOutcome {
  /** Results that were handed in, by point. */
  readonly results: ReadonlyMap<number, string>;
  readonly wallMs: number;
  readonly killedPid: number | undefined;
  readonly killedAtShare: number | undefined;
  /** Points that worker 1 had computed and took with it. */
  readonly computedButLost: number;
}

interface StaticWorker {
  readonly number: number;
  readonly range: { readonly start: number; readonly end: number };
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  computed: number;
}

/** Throws the signal's reason when interrupted. All processes have ended when it returns. */
export async function runStatic(plan: DemoPlan, hooks: StaticRunHooks): Promise<StaticOutcome> {
  const workers = fixedRanges(plan.points, plan.workers).map((range, at) => startWorker(at + 1, range));
  try {
    await Promise.all(workers.map((worker) => readyOrEnded(worker)));
    hooks.onReady();
    return await runRanges(plan, workers, hooks);
  } finally {
    for (const worker of workers) worker.child.kill("SIGKILL");
    await Promise.all(workers.map((worker) => worker.ended));
  }
}

async function runRanges(
  plan: DemoPlan,
  workers: readonly StaticWorker[],
  hooks: StaticRunHooks,
): Promise<StaticOutcome> {
  const results = new Map<number, string>();
  const startedAt = performance.now();
  let killed: { readonly pid: number; readonly share: number; readonly computed: number } | undefined;
  const interrupt = (): void => {
    for (const worker of workers) worker.child.kill("SIGKILL");
  };
  hooks.signal.addEventListener("abort", interrupt, { once: true });
  for (const worker of workers) {
    worker.child.on("message", (message: StaticMessage) => {
      if (message.kind === "results")
        message.values.forEach((value, offset) => results.set(worker.range.start + offset, value));
      if (message.kind !== "progress") return;
      worker.computed = message.computed;
      const computed = workers.reduce((sum, each) => sum + each.computed, 0);
      hooks.onProgress({ computed, elapsedMs: performance.now() - startedAt });
      const victim = workers[VICTIM - 1];
      if (killed !== undefined || victim?.child.pid === undefined || computed < FAULT_AT_SHARE * plan.points) return;
      killed = { pid: victim.child.pid, share: computed / plan.points, computed: victim.computed };
      victim.child.kill("SIGKILL");
      hooks.onKill({ pid: killed.pid, computedByVictim: victim.computed });
    });
    const assignment: StaticAssignment = { plan, ...worker.range };
    worker.child.send(assignment);
  }
  await Promise.all(workers.map((worker) => worker.ended));
  hooks.signal.removeEventListener("abort", interrupt);
  hooks.signal.throwIfAborted();
  return {
    results,
    wallMs: performance.now() - startedAt,
    killedPid: killed?.pid,
    killedAtShare: killed?.share,
    computedButLost: killed?.computed ?? 0,
  };
}

function startWorker(number: number, range: StaticWorker["range"]): StaticWorker {
  const child = fork(siblingModule(import.meta.url, "./static-worker"), [], {
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  return { number, range, child, ended: once(child, "close"), computed: 0 };
}

async function readyOrEnded(worker: StaticWorker): Promise<void> {
  await Promise.race([once(worker.child, "message"), worker.ended]);
}
