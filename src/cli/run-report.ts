/** What came out of an execution: for `run --json`, and as lines for a person. */
import type { Failure } from "../core/failure.ts";
import type { Execution, FailedItems } from "../sdk/execution.ts";
import type { ExecutionStatus } from "../sdk/progress.ts";
import type { Result } from "../sdk/results.ts";
import { HoldfastError } from "../errors/index.ts";
import { answerLines, compact, indented, resultLines } from "./answer-lines.ts";
import { count, counted, duration } from "./terminal/figures.ts";
import type { Screen } from "./terminal/screen.ts";
import { cut, printable, wrap } from "./terminal/text-width.ts";

type Look = Pick<Screen, "terminal" | "theme">;

export interface RunReport extends Pick<
  ExecutionStatus,
  "executionId" | "name" | "kind" | "state" | "counters" | "retries" | "lostAttempts" | "verification"
> {
  readonly wallMs: number;
  readonly itemsPerSecond: number;
  /** What a workflow answers, or the outputs of its nodes by id where that is not known. */
  readonly output?: unknown;
  /** What `reduce` made; absent where the sweep has none. */
  readonly aggregate?: unknown;
  /** The first results, where there is no `reduce`; `holdfast results` has all. */
  readonly firstResults?: readonly Pick<Result<unknown, unknown>, "index" | "point" | "value">[];
  readonly failures: readonly FailedItems<unknown>[];
}

const FIRST_RESULTS = 10;
const FAILURES_SHOWN = 5;
const OUTPUTS_SHOWN = 12;
const POINT_COLUMNS = 60;

export async function makeRunReport(execution: Execution): Promise<RunReport> {
  const {
    executionId,
    name,
    kind,
    state,
    counters,
    retries,
    lostAttempts,
    verification,
    createdAt,
    startedAt,
    endedAt,
  } = await execution.status();
  const wallMs = (endedAt ?? createdAt) - (startedAt ?? createdAt);
  return {
    executionId,
    name,
    kind,
    state,
    counters,
    retries,
    lostAttempts,
    ...(verification === undefined ? {} : { verification }),
    wallMs,
    itemsPerSecond: Math.round((counters.completed * 1_000) / Math.max(1, wallMs)),
    ...(kind === "workflow" ? { output: await workflowAnswer(execution) } : await answerOf(execution)),
    failures: counters.failed > 0 ? await execution.failures() : [],
  };
}

async function workflowAnswer(execution: Execution): Promise<unknown> {
  try {
    return await execution.output({ throwOnFailure: false });
  } catch (thrown) {
    if (!HoldfastError.is(thrown, "INVALID_OPTION")) throw thrown;
    return execution.outputs();
  }
}

/** What an execution of a kind has many of. */
export function unitOf(kind: RunReport["kind"]): string {
  if (kind === "workflow") return "node";
  return kind === "sweep" ? "point" : "input";
}

async function answerOf(execution: Execution): Promise<Pick<RunReport, "aggregate" | "firstResults">> {
  try {
    return { aggregate: await execution.aggregate({ follow: false }) };
  } catch (thrown) {
    // The sweep has no `reduce`; then its first results are the answer.
    if (!HoldfastError.is(thrown, "INVALID_OPTION")) throw thrown;
  }
  const firstResults: Pick<Result<unknown, unknown>, "index" | "point" | "value">[] = [];
  for await (const { index, point, value } of execution.results({ ordered: true, follow: false })) {
    firstResults.push({ index, point, value });
    if (firstResults.length === FIRST_RESULTS) break;
  }
  return { firstResults };
}

/** Whether all is as it should be. In a workflow some nodes may fail; its state says whether one was not to. */
export function isClean({ kind, state, counters }: RunReport): boolean {
  return state === "completed" && (kind === "workflow" || counters.failed === 0);
}

/** The end of a `run`: how it ended, the answer, what failed. */
export function outcomeLines(look: Look, report: RunReport): string[] {
  return [...endingLines(look, report), ...answerPart(look, report), ...failureLines(look, report)];
}

function endingLines(look: Look, report: RunReport): string[] {
  const { theme } = look;
  const { counters, state, wallMs } = report;
  const sign = isClean(report) ? theme.good(theme.signs.check) : theme.bad(theme.signs.cross);
  const unit = unitOf(report.kind);
  const extras = [
    ...(report.retries > 0 ? [counted(report.retries, "retry", "retries")] : []),
    ...(report.lostAttempts > 0 ? [`${counted(report.lostAttempts, "attempt")} lost with a worker and run again`] : []),
    ...(counters.failed > 0 ? [`${count(counters.failed)} failed`] : []),
    ...(counters.skipped > 0 ? [`${count(counters.skipped)} skipped`] : []),
    ...(counters.cancelled > 0 ? [`${count(counters.cancelled)} cancelled`] : []),
    ...verificationNote(report),
  ];
  const done = `${count(counters.completed)} of ${counted(counters.total, unit)} ${state === "completed" ? "completed" : `completed, execution ${state}`}`;
  const text = `${done} in ${duration(wallMs)} (${count(report.itemsPerSecond)}/s)${extras.length > 0 ? `; ${extras.join(", ")}` : ""}`;
  return wrap(text, look.terminal.columns - 3).map((line, at) => `${at === 0 ? sign : " "} ${line}`);
}

function verificationNote({ verification }: RunReport): string[] {
  if (verification === undefined) return [];
  const { agreed, disagreed } = verification;
  return disagreed === 0
    ? [`${counted(agreed, "chunk")} verified`]
    : [`${counted(disagreed, "chunk")} of ${count(agreed + disagreed)} DISAGREED when run twice`];
}

function answerPart(look: Look, report: RunReport): string[] {
  if (report.counters.completed === 0) return [];
  if (report.kind === "workflow") return ["", ...indented(look, (inner) => outputLines(inner, report.output))];
  if (report.aggregate !== undefined) return ["", ...indented(look, (inner) => answerLines(inner, report.aggregate))];
  const results = report.firstResults ?? [];
  const rest = report.counters.completed - results.length;
  const note =
    rest > 0
      ? [
          look.theme.faint(
            cut(
              `  and ${count(rest)} more: holdfast results ${report.executionId}`,
              look.terminal.columns - 1,
              look.theme.signs.ellipsis,
            ),
          ),
        ]
      : [];
  return results.length === 0 ? [] : ["", ...indented(look, (inner) => resultLines(inner, results)), ...note];
}

/** A recorded workflow has thousands of outputs, and nobody reads those. */
function outputLines(look: Look, output: unknown): string[] {
  const entries = typeof output === "object" && output !== null && !Array.isArray(output) ? Object.entries(output) : [];
  if (entries.length <= OUTPUTS_SHOWN) return answerLines(look, output);
  const rest = look.theme.faint(`and ${count(entries.length - OUTPUTS_SHOWN)} more`);
  return [...answerLines(look, Object.fromEntries(entries.slice(0, OUTPUTS_SHOWN))), rest];
}

function failureLines(look: Look, report: RunReport): string[] {
  const { failures } = report;
  if (failures.length === 0) return [];
  const shown = failures.slice(0, FAILURES_SHOWN).flatMap((failed) => {
    const text = `${which(failed, report.kind)}: ${failureText(failed.failure)} (${failed.failure.class}, ${tries(failed)})`;
    return wrap(text, look.terminal.columns - 3).map(
      (line, at) => `${at === 0 ? look.theme.bad(look.theme.signs.cross) : " "} ${line}`,
    );
  });
  const rest = failures.length - FAILURES_SHOWN;
  return ["", ...shown, ...(rest > 0 ? [look.theme.faint(`  and ${count(rest)} more`)] : [])];
}

/** `TypeError: no bad words`. */
function failureText({ code, message }: Failure): string {
  const text = printable(message);
  return code === undefined || text.includes(code) ? text : `${printable(code)}: ${text}`;
}

function which(failed: FailedItems<unknown>, kind: RunReport["kind"]): string {
  const unit = unitOf(kind);
  if (kind === "workflow") return `node ${printable(compact(failed.point))}`;
  if (failed.count > 1) return `${unit}s ${count(failed.index)} to ${count(failed.index + failed.count - 1)}`;
  const point = cut(compact(failed.point), POINT_COLUMNS, "...");
  return `${unit} ${count(failed.index)}${point === "" ? "" : ` (${point})`}`;
}

function tries(failed: FailedItems<unknown>): string {
  const total = failed.failures + failed.losses;
  const lost = failed.losses > 0 ? `, ${counted(failed.losses, "worker")} lost under it` : "";
  return `tried ${total === 1 ? "once" : `${total} times`}${lost}`;
}
