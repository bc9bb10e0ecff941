/** The workflow demo's screen, as lines of text made from data. Nothing here prints, waits or measures. */
import type { PoolView } from "../../../broker/contract.ts";
import { factLines } from "../../terminal/facts.ts";
import { count, counted, duration } from "../../terminal/figures.ts";
import type { Screen } from "../../terminal/screen.ts";
import { cut, padEnd, padStart, wrap } from "../../terminal/text-width.ts";
import { checkLines, signLines } from "../demo-lines.ts";
import type { Kill, Recovery } from "./crisis.ts";
import { DELIVERY, DELIVERY_POOLS } from "./delivery.ts";
import { criticalPathMs, type WorkflowDemoPlan } from "./plan.ts";
import { PHASES } from "./phases.ts";
import type { CheckReport, Criterion, DemonstrationReport, ValidationReport } from "./report.ts";

type Look = Pick<Screen, "terminal" | "theme">;

export function planLines(look: Look, plan: WorkflowDemoPlan, broker: string): string[] {
  return factLines(look, [
    ["Workflow", `software delivery: ${DELIVERY.length} tasks, critical path ${duration(criticalPathMs(plan))}`],
    ["Deliveries", `${count(plan.workflows)} at the same time, and more until the crisis is over`],
    ["Pools", DELIVERY_POOLS.map(({ pool, min, max }) => `${pool} ${min}${look.theme.signs.dash}${max}`).join(", ")],
    ["Crisis", "SIGKILL for one worker of every pool in mid-task, then for half of all workers"],
    ["Broker", broker],
  ]);
}

export function phaseLine(look: Look, number: number, name: string): string {
  return look.theme.title(`Phase ${number} of ${PHASES.length}: ${name}`);
}

export function checkReportLines(look: Look, { ok, name, detail }: CheckReport): string[] {
  const { theme } = look;
  const sign = ok ? theme.good(theme.signs.check) : theme.bad(theme.signs.cross);
  return [
    ...signLines(look, sign, name),
    ...wrap(detail, look.terminal.columns - 3).map((line) => theme.faint(`  ${line}`)),
  ];
}

/** The demonstration goes on without what was not validated. */
export function failedCheckLines(look: Look, { checks }: ValidationReport): string[] {
  const failed = checks.filter(({ ok }) => !ok).length;
  const text = `${failed} of ${counted(checks.length, "check")} failed; the demonstration goes on`;
  return ["", ...signLines(look, look.theme.warning("!"), text)];
}

/** Columns that the lines of pools take with all their words. */
const WIDE = 70;

/** One line per pool: workers that are there of those that there may be, more that are being started, what runs and waits. */
export function poolLines(look: Look, pools: readonly PoolView[], alive: (pool: string) => number): string[] {
  const nameWidth = Math.max(...DELIVERY_POOLS.map(({ title }) => title.length));
  const isWide = look.terminal.columns >= WIDE;
  return DELIVERY_POOLS.map(({ pool, title, max }) => {
    const view = pools.find((one) => one.pool === pool);
    const [running, queued] = [view?.running ?? 0, view?.queued ?? 0];
    const there = Math.min(view?.sessions ?? 0, alive(pool));
    const starting = alive(pool) - there;
    const workers = `${there}/${max}${isWide ? " workers" : ""}${starting === 0 ? "" : ` (+${starting})`}`;
    const line = `  ${padEnd(title, nameWidth)}  ${padEnd(workers, isWide ? 16 : 8)}  ${padStart(count(running), 3)} running  ${padStart(count(queued), 4)} waiting`;
    return cut(line, look.terminal.columns - 1, look.theme.signs.ellipsis);
  });
}

export function killLines(look: Look, kills: readonly Kill[]): string[] {
  const { theme } = look;
  const bolt = theme.warning(theme.signs.bolt);
  const [first] = kills;
  if (first === undefined) return [];
  if (first.wave === "one per pool") {
    const [held] = first.held;
    const during = held === undefined ? "" : `, ${duration(held.ranForMs)} into a task`;
    return signLines(look, bolt, `${first.worker} killed (SIGKILL, pid ${first.pid ?? "unknown"})${during}`);
  }
  const broken = kills.reduce((sum, { held }) => sum + held.length, 0);
  const names = kills.map(({ worker }) => worker).join(", ");
  return signLines(
    look,
    bolt,
    `Half of all workers killed: ${counted(kills.length, "worker")}, ${counted(broken, "task")} broken off (${names})`,
  );
}

export function recoveryLines(look: Look, { from, to, killedAt, runningAt }: Recovery): string[] {
  return checkLines(look, `Task of ${from} runs on ${to ?? ""} after ${count((runningAt ?? killedAt) - killedAt)} ms`);
}

export function criterionLines(look: Look, { name, met, detail }: Criterion): string[] {
  const { theme } = look;
  const sign = met ? theme.good(theme.signs.check) : theme.bad(theme.signs.cross);
  return [
    ...signLines(look, sign, name),
    ...wrap(detail, look.terminal.columns - 3).map((line) => theme.faint(`  ${line}`)),
  ];
}

export function verdictDetails({
  deliveries,
  takenBackMs,
  recoveryMs,
  throughput,
  criteria,
}: DemonstrationReport): string[] {
  const failed = criteria.filter(({ met }) => !met);
  if (failed.length > 0) return failed.map(({ name, detail }) => `${name}: ${detail}`);
  return [
    `${count(deliveries.completed)} deliveries, ${count(deliveries.committed)} tasks, each committed exactly once.`,
    `${count(takenBackMs.count)} broken tasks were taken back after ${duration(takenBackMs.p99 ?? 0)} (p99) and ran elsewhere after ${duration(recoveryMs.p50 ?? 0)} (median).`,
    ...(throughput === null ? [] : [`${count(throughput.perSecond)} tasks per second from end to end.`]),
  ];
}
