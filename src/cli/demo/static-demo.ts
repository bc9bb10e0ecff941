/** `demo --static`: the baseline on screen and in the report. */
import { count, counted } from "../terminal/figures.ts";
import type { CliContext } from "../context.ts";
import { ProgressDisplay } from "../terminal/progress-display.ts";
import type { Screen } from "../terminal/screen.ts";
import { checkLines, completionLines, signLines, survivorsContinue, verdictLines } from "./demo-lines.ts";
import { type DemoPlan, VICTIM } from "./demo-plan.ts";
import { type DemoReport, emptyReport, tenths } from "./demo-report.ts";
import { runStatic, type StaticOutcome } from "./static-run.ts";

export async function runStaticDemo(
  plan: DemoPlan,
  { out: screen, clock, interrupts }: CliContext,
): Promise<DemoReport> {
  let computed = 0;
  let startedAt = performance.now();
  let display: ProgressDisplay | undefined;
  const progress = () => {
    const elapsedMs = performance.now() - startedAt;
    return {
      done: Math.floor(computed / plan.chunkSize),
      total: plan.chunks,
      unit: "chunks",
      ratePerSecond: elapsedMs > 0 ? (computed * 1_000) / elapsedMs : 0,
      rateUnit: "points",
      elapsedMs,
    };
  };
  try {
    const outcome = await runStatic(plan, {
      onReady: () => {
        screen.print(...checkLines(screen, `All ${plan.workers} workers running, each with one fixed range`));
        startedAt = performance.now();
        display = new ProgressDisplay({ screen, clock }, { progress });
      },
      onProgress: (news) => {
        computed = news.computed;
        display?.refresh();
      },
      onKill: (kill) => display?.print(killLines(screen, plan, kill)),
      signal: interrupts.signal,
    });
    display?.stop();
    return reportStatic(plan, screen, outcome);
  } finally {
    display?.stop();
  }
}

function killLines(
  screen: Screen,
  plan: DemoPlan,
  kill: { readonly pid: number; readonly computedByVictim: number },
): string[] {
  const { theme } = screen;
  return [
    "",
    theme.warning(`${theme.signs.bolt} FAULT: killing Worker ${VICTIM} ${theme.signs.bolt}`),
    ...signLines(
      screen,
      theme.bad(theme.signs.cross),
      `Worker ${VICTIM} killed (SIGKILL, pid ${kill.pid}) with ${counted(kill.computedByVictim, "computed point")} that it had not handed in`,
    ),
    ...signLines(
      screen,
      theme.active(theme.signs.arrow),
      `${survivorsContinue(plan.workers - 1)}, each with its own range; nobody takes over`,
    ),
    "",
  ];
}

function reportStatic(plan: DemoPlan, screen: Screen, outcome: StaticOutcome): DemoReport {
  const completed = outcome.results.size;
  const lost = plan.points - completed;
  const lostPercent = tenths((100 * lost) / plan.points);
  const shown = outcome.killedPid !== undefined && lost > 0;
  const chunks = Math.floor(completed / plan.chunkSize);
  screen.print(...completionLines(screen, { chunks, points: completed, wallMs: outcome.wallMs }), "");
  const problem = "The kill lost nothing, so the baseline shows nothing.";
  screen.print(
    ...verdictLines(screen, {
      passed: shown,
      headline: shown ? `LOSS SHOWN: ${lostPercent}% of the points are gone` : `FAILED: ${problem}`,
      details: [
        `${count(completed)} of ${count(plan.points)} points have a result, ${count(lost)} are lost for good.`,
        "Without --static the same kill loses none.",
      ],
    }),
  );
  return {
    ...emptyReport(plan),
    completed,
    pending: 0,
    lost,
    lostPercent,
    wallMs: Math.round(outcome.wallMs),
    pointsPerSecond: tenths((completed * 1_000) / outcome.wallMs),
    killedWorker: outcome.killedPid === undefined ? null : `worker-${VICTIM}`,
    killedPid: outcome.killedPid ?? null,
    killedAtShare: outcome.killedAtShare ?? null,
    verdict: shown ? "loss-shown" : "failed",
    problems: shown ? [] : [problem],
  };
}
