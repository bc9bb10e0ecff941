/** The answer of an execution for a person: what its `reduce` made, or its first results. */
import type { StatsResult, StatisticResult, TopResult } from "../core/aggregate.ts";
import { factLines } from "./terminal/facts.ts";
import { count } from "./terminal/figures.ts";
import type { Screen } from "./terminal/screen.ts";
import { table } from "./terminal/table.ts";
import { cut, printable, textWidth, wrap } from "./terminal/text-width.ts";

type Look = Pick<Screen, "terminal" | "theme">;

const INDENT = "  ";
const SIGNIFICANT_DIGITS = 6;
/** Entries of a top-k that are printed; `--json` has them all. */
const TOP_SHOWN = 10;

/** Lines for whatever an aggregation answers: built-in shapes are laid out, anything else is JSON. */
export function answerLines(look: Look, answer: unknown): string[] {
  if (isTop(answer)) return topLines(look, answer);
  if (isStats(answer)) return statsLines(look, answer);
  if (isStatistic(answer)) return [`${number(answer.value)}${ignoredNote(answer)}`];
  if (isRecord(answer)) return recordLines(look, answer);
  return valueLines(look, answer);
}

/** Lines moved to the right by two, laid out for the room that is left. */
export function indented(look: Look, lines: (inner: Look) => string[]): string[] {
  const inner = { theme: look.theme, terminal: { ...look.terminal, columns: look.terminal.columns - INDENT.length } };
  return lines(inner).map((line) => INDENT + line);
}

/** One result per line: number, point, value. */
export function resultLines(
  look: Look,
  results: readonly { readonly index: number; readonly point: unknown; readonly value: unknown }[],
): string[] {
  const rows = results.map(({ index, point, value }) => [count(index), compact(point), compact(value)]);
  const columns = [
    { title: "#", align: "right" as const },
    { title: "INPUT", shrinkTo: 8 },
    { title: "RESULT", shrinkTo: 8 },
  ];
  return table(columns, rows, look);
}

/** JSON on one line, without the quotes of names. */
export function compact(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "number") return number(value);
  if (Array.isArray(value)) return `[${value.map(compact).join(", ")}]`;
  if (!isRecord(value)) return printable(typeof value === "string" ? value : JSON.stringify(value));
  return Object.entries(value)
    .map(([name, part]) => `${printable(name)} ${isRecord(part) ? `{ ${compact(part)} }` : compact(part)}`)
    .join(", ");
}

/** Parts of one figure side by side with their names; larger ones below theirs. */
function recordLines(look: Look, record: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(record).flatMap(([name, part]) => {
    const title = printable(name);
    const short = shortForm(part);
    const fits = short !== undefined && textWidth(title) + INDENT.length + textWidth(short) < look.terminal.columns;
    if (fits) return [`${look.theme.strong(title)}${INDENT}${short}`];
    const lines = (inner: Look): string[] =>
      short === undefined || Array.isArray(part) ? answerLines(inner, part) : wrap(short, inner.terminal.columns - 1);
    return [look.theme.strong(title), ...indented(look, lines)];
  });
}

/** What may stand beside a name, if there is room. */
function shortForm(part: unknown): string | undefined {
  if (isStatistic(part)) return `${number(part.value)}${ignoredNote(part)}`;
  return isRecord(part) ? undefined : compact(part);
}

function topLines(look: Look, top: TopResult): string[] {
  const shown = top.entries.slice(0, TOP_SHOWN);
  const rows = shown.map((entry, place) => [
    `${place + 1}.`,
    number(entry.score),
    count(entry.index),
    compact(entry.point),
  ]);
  const columns = [
    { title: "", align: "right" as const },
    { title: "SCORE", align: "right" as const },
    { title: "POINT", align: "right" as const },
    { title: "INPUT", shrinkTo: 8 },
  ];
  const rest = top.entries.length - shown.length;
  return [...table(columns, rows, look), ...(rest > 0 ? [look.theme.faint(`and ${count(rest)} more`)] : [])];
}

function statsLines(look: Look, stats: StatsResult): string[] {
  const facts: [string, string][] = [
    ["count", `${count(stats.count)}${stats.ignored > 0 ? ` (${count(stats.ignored)} ignored)` : ""}`],
    ...(["mean", "stddev", "min", "max", "sum"] as const).map((name): [string, string] => [name, number(stats[name])]),
    ...stats.quantiles.map(({ at, value }): [string, string] => [`p${number(at * 100)}`, number(value)]),
  ];
  return factLines(look, facts);
}

function valueLines(look: Look, value: unknown): string[] {
  const room = look.terminal.columns - 1;
  return (JSON.stringify(value, null, 2) ?? "nothing")
    .split("\n")
    .map((line) => cut(line, room, look.theme.signs.ellipsis));
}

function ignoredNote(statistic: StatisticResult): string {
  const ignored = statistic.ignored > 0 ? `, ${count(statistic.ignored)} ignored` : "";
  return ` (of ${count(statistic.count)}${ignored})`;
}

function number(value: number | null): string {
  if (value === null) return "none";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(SIGNIFICANT_DIGITS)));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTop(value: unknown): value is TopResult {
  return (
    isRecord(value) &&
    Array.isArray(value["entries"]) &&
    typeof value["count"] === "number" &&
    typeof value["ignored"] === "number"
  );
}

function isStats(value: unknown): value is StatsResult {
  return isRecord(value) && "stddev" in value && "mean" in value && Array.isArray(value["quantiles"]);
}

function isStatistic(value: unknown): value is StatisticResult {
  return (
    isRecord(value) && Object.keys(value).length === 3 && "value" in value && "count" in value && "ignored" in value
  );
}
