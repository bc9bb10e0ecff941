/** What the run of a recorded workflow was like: for `run --json`, and as lines for a person. */
import type { PublicBroker } from "../../broker/http/http-broker.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import type { ExecutionState } from "../../core/states.ts";
import { type Graph, linked } from "../../core/graph.ts";
import type { WfFacts } from "../../sdk/workflow/wf-format.ts";
import type { WorkBook } from "../work-book.ts";
import { factLines } from "../terminal/facts.ts";
import { count, counted, duration } from "../terminal/figures.ts";
import type { Screen } from "../terminal/screen.ts";
import type { RecordingOptions } from "./load-recording.ts";

export interface RecordingReport {
  readonly executionId: string;
  readonly state: ExecutionState;
  readonly nodes: number;
  readonly completed: number;
  /** That were started, the broken ones included. */
  readonly attempts: number;
  readonly kills: number;
  /** Attempts that ended with their worker, whose task then ran elsewhere. */
  readonly takeovers: number;
  /** Commits of a node beyond its first. */
  readonly duplicateCommits: number;
  /** Attempts that began before a parent had been committed. */
  readonly orderViolations: number;
  /** Submit to end. */
  readonly makespanMs: number;
  readonly criticalPathMs: number;
  readonly workMs: number;
  /** No run with so many slots is shorter. */
  readonly lowerBoundMs: number;
  readonly ratio: number;
  readonly order: RecordingOptions["order"];
  readonly slots: number;
  readonly timeScale: number;
  /** What a run by the critical path, and one first come first served, would take if Holdfast took no time. */
  readonly estimatedMs: number;
  readonly fifoEstimatedMs: number;
}

export interface RecordingFindings {
  readonly broker: PublicBroker;
  readonly executionId: string;
  readonly graph: Graph;
  /** Ids of the graph's nodes. */
  readonly ids: readonly string[];
  readonly facts: WfFacts;
  readonly options: RecordingOptions;
  readonly book: WorkBook;
  readonly kills: number;
}

export async function makeRecordingReport(findings: RecordingFindings): Promise<RecordingReport> {
  const { broker, executionId, facts, options, book, kills } = findings;
  const { state, counters, createdAt, endedAt } = await broker.getExecution({ executionId });
  const tasks = await taskNumbers(findings);
  const makespanMs = (endedAt ?? createdAt) - createdAt;
  const commits = book.stretches.filter(({ end }) => end === "completed").length;
  return {
    executionId,
    state,
    nodes: facts.nodes,
    completed: counters.completed,
    attempts: book.stretches.length,
    kills,
    takeovers: takeovers(book),
    duplicateCommits: commits - new Set(committed(book)).size,
    orderViolations: orderViolations(findings, tasks),
    makespanMs,
    criticalPathMs: tenths(facts.criticalPathMs),
    workMs: tenths(facts.workMs),
    lowerBoundMs: tenths(facts.lowerBoundMs),
    ratio: Math.round((1_000 * makespanMs) / Math.max(facts.lowerBoundMs, 0.001)) / 1_000,
    order: options.order,
    slots: options.slots,
    timeScale: options.timeScale,
    estimatedMs: tenths(facts.estimatedMs),
    fifoEstimatedMs: tenths(facts.fifoMs),
  };
}

function committed(book: WorkBook): number[] {
  return book.stretches.flatMap(({ end, task }) => (end === "completed" ? [task] : []));
}

function takeovers(book: WorkBook): number {
  return book.stretches.filter((stretch) => {
    if (stretch.end !== "lost") return false;
    const attempts = book.attemptsOf(stretch.executionId, stretch.task);
    return attempts[attempts.indexOf(stretch) + 1] !== undefined;
  }).length;
}

/** Task number of each node of the graph. */
async function taskNumbers({ broker, executionId, ids }: RecordingFindings): Promise<readonly number[]> {
  const byLabel = new Map<string, number>();
  for (let after = -1; ;) {
    const { tasks } = await broker.listTasks({ executionId, after, limit: MAX_PAGE });
    for (const { label, task } of tasks) byLabel.set(label ?? "", task);
    const last = tasks.at(-1);
    if (last === undefined) return ids.map((id) => byLabel.get(id) ?? -1);
    after = last.task;
  }
}

function orderViolations({ book, graph, executionId }: RecordingFindings, tasks: readonly number[]): number {
  const done = new Map<number, number>();
  for (const { task, to, end } of book.stretches) if (end === "completed" && to !== undefined) done.set(task, to);
  let violations = 0;
  for (let node = 0; node < graph.nodes; node += 1) {
    const begun = book.attemptsOf(executionId, tasks[node] ?? -1);
    for (const parent of linked(graph.parents, node)) {
      const parentDone = done.get(tasks[parent] ?? -1) ?? Infinity;
      violations += begun.filter(({ from }) => from < parentDone).length;
    }
  }
  return violations;
}

/** Every node completed, each once, none before its parents. */
export function isClean({ state, duplicateCommits, orderViolations }: RecordingReport): boolean {
  return state === "completed" && duplicateCommits === 0 && orderViolations === 0;
}

export function recordingLines(look: Pick<Screen, "terminal" | "theme">, report: RecordingReport): string[] {
  const { theme } = look;
  const sign = isClean(report) ? theme.good(theme.signs.check) : theme.bad(theme.signs.cross);
  const kills =
    report.kills === 0
      ? []
      : ([["Kills", `${counted(report.kills, "worker")}, ${counted(report.takeovers, "take-over")}`]] as const);
  return [
    `${sign} ${count(report.completed)} of ${counted(report.nodes, "node")} completed, each once, in ${duration(report.makespanMs)}`,
    ...factLines(look, [
      ["Makespan", duration(report.makespanMs)],
      [
        "Lower bound",
        `${duration(report.lowerBoundMs)} on ${counted(report.slots, "slot")}; ratio ${report.ratio.toFixed(3)}`,
      ],
      ["Critical path", duration(report.criticalPathMs)],
      ["Work", `${duration(report.workMs)} in ${counted(report.attempts, "attempt")}`],
      ...kills,
      ["Out of order", String(report.orderViolations)],
      ["Twice", String(report.duplicateCommits)],
    ]),
  ];
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
