/** Executions, workers and pools as lines for `status`, `list` and `run`. */
import type { PoolView, VerificationReport } from "../broker/contract.ts";
import type { WorkerSummary } from "../broker/http/http-broker.ts";
import type { ExecutionStatus } from "../sdk/progress.ts";
import type { ExecutionState } from "../core/states.ts";
import { ago, count, counted, duration, percent } from "./terminal/figures.ts";
import type { Screen } from "./terminal/screen.ts";
import { type Column, table } from "./terminal/table.ts";
import { printable, wrap } from "./terminal/text-width.ts";
import type { Theme } from "./terminal/theme.ts";

type Look = Pick<Screen, "terminal" | "theme">;

export function executionTable(look: Look, executions: readonly ExecutionStatus[], now: number): string[] {
  const columns: readonly Column[] = [
    { title: "ID" },
    { title: "NAME", shrinkTo: 8 },
    { title: "KIND" },
    { title: "STATE", paint: (cell, bare) => stateColour(look.theme, bare as ExecutionState)(cell) },
    { title: "DONE", align: "right" },
    { title: "FAILED", align: "right", paint: (cell, bare) => (bare === "0" ? cell : look.theme.bad(cell)) },
    { title: "STARTED", align: "right" },
  ];
  const rows = executions.map((view) => [
    view.executionId,
    printable(view.name),
    view.kind,
    view.state,
    `${count(view.counters.completed)}/${count(view.counters.total)}`,
    count(view.counters.failed),
    ago(now - (view.startedAt ?? view.createdAt)),
  ]);
  return table(columns, rows, look);
}

export function workerTable(look: Look, sessions: readonly WorkerSummary[], now: number): string[] {
  const columns: readonly Column[] = [
    { title: "WORKER", shrinkTo: 10 },
    { title: "HOST", shrinkTo: 6 },
    { title: "PID", align: "right" },
    {
      title: "STATE",
      paint: (cell, bare) =>
        bare === "lost" ? look.theme.bad(cell) : bare === "live" ? look.theme.good(cell) : look.theme.faint(cell),
    },
    { title: "LEASES", align: "right" },
    { title: "DONE", align: "right" },
    { title: "SEEN", align: "right" },
  ];
  const byName = sessions.toSorted((one, other) => one.worker.localeCompare(other.worker, "en", { numeric: true }));
  const rows = byName.map((session) => [
    printable(session.worker),
    printable(session.host),
    String(session.pid ?? "-"),
    session.state,
    `${session.leases}/${session.slots}`,
    count(session.completed),
    ago(now - session.lastSeenAt),
  ]);
  return table(columns, rows, look);
}

export function poolTable(look: Look, pools: readonly PoolView[]): string[] {
  const hasLimits = pools.some(({ min, max }) => min > 0 || max !== undefined);
  const columns: readonly Column[] = [
    { title: "POOL", shrinkTo: 8 },
    { title: "STATE", paint: (cell, bare) => (bare === "paused" ? look.theme.warning(cell) : cell) },
    { title: "QUEUED", align: "right" },
    { title: "LATER", align: "right" },
    { title: "RUNNING", align: "right" },
    { title: "DONE", align: "right" },
    { title: "FAILED", align: "right" },
    { title: "WORKERS", align: "right" },
    { title: "SLOTS", align: "right" },
    ...(hasLimits ? ([{ title: "STANDBY", align: "right" }, { title: "LIMITS" }] as const) : []),
  ];
  const rows = pools.map((pool) => [
    printable(pool.pool),
    pool.paused ? "paused" : "open",
    count(pool.queued),
    count(pool.blocked + pool.scheduled),
    count(pool.running),
    count(pool.completed),
    count(pool.failed),
    count(pool.sessions),
    count(pool.slots),
    ...(hasLimits ? [count(pool.standby), limitsOf(pool)] : []),
  ]);
  return table(columns, rows, look);
}

function limitsOf({ min, max }: PoolView): string {
  if (max !== undefined) return `${count(min)} to ${count(max)}`;
  return min > 0 ? `${count(min)} or more` : "";
}

/** Everything worth knowing about one execution, as name and value. */
export function executionFacts(view: ExecutionStatus, now: number): readonly (readonly [string, string])[] {
  const { counters } = view;
  const facts: [string, string][] = [
    ["Execution", view.executionId],
    ["Name", `${printable(view.name)} (${view.kind}, priority ${view.priority})`],
    ["State", stateFact(view, now)],
    [
      "Done",
      `${count(counters.completed)} of ${count(counters.total)} (${percent(counters.completed, counters.total)})`,
    ],
  ];
  const others = (["running", "queued", "scheduled", "blocked", "failed", "cancelled", "skipped"] as const).filter(
    (state) => counters[state] > 0,
  );
  if (others.length > 0) facts.push(["Also", others.map((state) => `${count(counters[state])} ${state}`).join(", ")]);
  facts.push(["Time", timeFact(view, now)]);
  if (view.retries > 0 || view.lostAttempts > 0 || view.refusedOutcomes > 0) facts.push(["Trouble", troubleFact(view)]);
  if (view.firstFailure !== undefined)
    facts.push(["First failure", `${printable(view.firstFailure.message)} (${view.firstFailure.class})`]);
  if (view.verification !== undefined) facts.push(["Verification", verificationFact(view.verification)]);
  return facts;
}

export function stateColour(theme: Theme, state: ExecutionState): (text: string) => string {
  switch (state) {
    case "completed":
      return theme.good;
    case "failed":
      return theme.bad;
    case "running":
      return theme.active;
    case "paused":
      return theme.warning;
    case "pending":
    case "cancelled":
      return theme.faint;
  }
}

function stateFact({ state, paused }: ExecutionStatus, now: number): string {
  if (paused === undefined) return state;
  const by = paused.by === undefined ? "" : ` by ${printable(paused.by)}`;
  return `${state}${by}, ${ago(now - paused.at)}`;
}

function timeFact(view: ExecutionStatus, now: number): string {
  const startedAt = view.startedAt;
  if (startedAt === undefined) return `waiting for ${duration(now - view.createdAt)}`;
  const spentMs = (view.endedAt ?? now) - startedAt;
  const rate = spentMs > 0 ? ` (${count(Math.round((view.counters.completed * 1_000) / spentMs))}/s)` : "";
  return view.endedAt === undefined
    ? `running for ${duration(spentMs)}${rate}`
    : `took ${duration(spentMs)}${rate}, ended ${ago(now - view.endedAt)}`;
}

function troubleFact(view: ExecutionStatus): string {
  const parts = [
    ...(view.retries > 0 ? [counted(view.retries, "retry", "retries")] : []),
    ...(view.lostAttempts > 0
      ? [`${counted(view.lostAttempts, "attempt")} lost with ${view.lostAttempts === 1 ? "its" : "their"} worker`]
      : []),
    ...(view.refusedOutcomes > 0 ? [`${counted(view.refusedOutcomes, "late outcome")} refused`] : []),
  ];
  return parts.join(", ");
}

function verificationFact(report: VerificationReport): string {
  const parts = [`${counted(report.sampled, "chunk")} run twice`, `${count(report.agreed)} agreed`];
  if (report.disagreed > 0) parts.push(`${count(report.disagreed)} DISAGREED`);
  if (report.pending > 0) parts.push(`${count(report.pending)} pending`);
  if (report.skipped > 0) parts.push(`${count(report.skipped)} skipped`);
  return parts.join(", ");
}

/** A list heading with its lines, or a sentence in their place when there are none. */
export function section(look: Look, heading: string, lines: readonly string[]): string[] {
  return [look.theme.strong(heading), ...lines];
}

export function sentence(look: Look, text: string): string[] {
  return wrap(text, look.terminal.columns - 1);
}
