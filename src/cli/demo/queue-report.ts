/** From what was measured to the report and the verdict on screen. */
import type { Screen } from "../terminal/screen.ts";
import { count } from "../terminal/figures.ts";
import { wrap } from "../terminal/text-width.ts";
import { bestLines, verdictLines } from "./demo-lines.ts";
import { type DemoPlan, workerTitle } from "./demo-plan.ts";
import { type DemoReport, emptyReport, tenths } from "./demo-report.ts";
import { type Findings, problemsOf, type ResultBook } from "./proof.ts";
import type { QueueOutcome } from "./queue-run.ts";
import type { SequentialOutcome } from "./sequential-check.ts";

export type BestPoint = NonNullable<DemoReport["best"]>;

export interface QueueMeasured {
  readonly plan: DemoPlan;
  readonly outcome: QueueOutcome;
  readonly book: ResultBook;
  readonly best: BestPoint | undefined;
  readonly check: SequentialOutcome;
  readonly sequentialMs: number;
}

/** Prints the best point and the verdict, and returns the report. */
export function reportQueue(screen: Screen, measured: QueueMeasured): DemoReport {
  const findings = findingsOf(measured);
  const report = makeReport(measured, findings);
  const passed = report.verdict === "passed";
  if (measured.best !== undefined) screen.print("", ...bestLines(screen, measured.best));
  screen.print(
    "",
    ...verdictLines(screen, {
      passed,
      headline: headline(report),
      details: passed ? proofLines(report) : report.problems,
    }),
  );
  if (passed && report.killedWorker !== null) {
    const closing = `All tasks finished although ${workerTitle(report.killedWorker)} was killed in the middle of its work.`;
    screen.print("", ...wrap(closing, screen.terminal.columns - 1));
  }
  return report;
}

function findingsOf({ plan, outcome, book, check }: QueueMeasured): Findings {
  const { counters } = outcome.view;
  const pending = counters.blocked + counters.scheduled + counters.queued + counters.running;
  return {
    points: plan.points,
    completed: book.distinct,
    pending,
    lost: Math.max(0, plan.points - book.distinct - pending),
    duplicateCommits: book.duplicates,
    takeovers: plan.fault ? (outcome.takeover === undefined ? 0 : outcome.ledger.takeovers.length) : undefined,
    identicalToSequential: check.identical,
    firstDifference: check.firstDifference,
  };
}

function makeReport(measured: QueueMeasured, findings: Findings): DemoReport {
  const { plan, outcome, best, check, sequentialMs } = measured;
  const { view, kill, takeover, recomputedAt } = outcome;
  const wallMs = (view.endedAt ?? view.createdAt) - (view.startedAt ?? view.createdAt);
  const problems = problemsOf(findings);
  if (view.state !== "completed") problems.push(`The execution ended as ${view.state}.`);
  return {
    ...emptyReport(plan),
    completed: findings.completed,
    pending: findings.pending,
    lost: findings.lost,
    lostPercent: tenths((100 * findings.lost) / plan.points),
    duplicateCommits: findings.duplicateCommits,
    takeovers: outcome.ledger.takeovers.length,
    recoveryMs: kill === undefined || takeover === undefined ? null : takeover.at - kill.at,
    recomputedMs: kill === undefined || recomputedAt === undefined ? null : recomputedAt - kill.at,
    wallMs,
    pointsPerSecond: tenths((findings.completed * 1_000) / Math.max(1, wallMs)),
    identicalToSequential: check.identical,
    sequentialMs: Math.round(sequentialMs),
    killedWorker: kill?.worker ?? null,
    killedPid: kill?.pid ?? null,
    killedChunk:
      kill === undefined
        ? null
        : { task: kill.chunk.task, start: kill.chunk.start, end: kill.chunk.end, takenOverBy: takeover?.to ?? null },
    killedIntoChunkMs: kill?.intoChunkMs ?? null,
    killedAtShare: outcome.killedAtShare ?? null,
    best: best ?? null,
    verdict: problems.length === 0 ? "passed" : "failed",
    problems,
  };
}

function headline(report: DemoReport): string {
  if (report.verdict !== "passed") return "FAILED";
  return `PASSED: ${count(report.completed)} of ${count(report.points)} points, nothing lost`;
}

function proofLines(report: DemoReport): string[] {
  const recovery =
    report.recoveryMs === null
      ? []
      : [`Worker killed in mid-chunk; the chunk ran again after ${count(report.recoveryMs)} ms.`];
  return [
    ...recovery,
    "Every point committed exactly once, 0 pending.",
    "Results equal those of one process, bit for bit.",
  ];
}
