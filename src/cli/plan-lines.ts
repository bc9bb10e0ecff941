/** A workflow's plan as lines for a person. */
import type { Forecast } from "../sdk/workflow/forecast.ts";
import { count, counted, duration } from "./terminal/figures.ts";
import type { Screen } from "./terminal/screen.ts";
import { table } from "./terminal/table.ts";
import { cut, printable, wrap } from "./terminal/text-width.ts";

type Look = Pick<Screen, "terminal" | "theme">;

/** What is beyond is counted. */
const LEVELS_SHOWN = 20;
const PATH_SHOWN = 30;

export function planLines(look: Look, plan: Forecast): string[] {
  const { theme } = look;
  const levels = plan.levels.length;
  const head = `${printable(plan.name)}: ${counted(plan.nodes, "node")}, ${counted(plan.edges, "dependency", "dependencies")}, ${counted(levels, "level")}`;
  return [
    ...wrap(head, look.terminal.columns - 1).map((line) => theme.title(line)),
    "",
    ...levelLines(look, plan),
    "",
    ...pathLines(look, plan),
    "",
    ...poolLines(look, plan),
    "",
    ...endLines(look, plan),
  ];
}

function levelLines({ terminal, theme }: Look, { levels }: Forecast): string[] {
  const width = String(Math.min(levels.length, LEVELS_SHOWN)).length;
  const lines = levels.slice(0, LEVELS_SHOWN).map((ids, level) => {
    const start = `  ${String(level + 1).padStart(width)}  `;
    const many = ids.length > 1 ? theme.faint(` (${count(ids.length)})`) : "";
    const room = terminal.columns - start.length - 10;
    return `${start}${cut(printable(ids.slice(0, terminal.columns).join(", ")), room, theme.signs.ellipsis)}${many}`;
  });
  const rest = levels.length - LEVELS_SHOWN;
  return [theme.strong("Levels"), ...lines, ...(rest > 0 ? [theme.faint(`  and ${count(rest)} more`)] : [])];
}

function pathLines({ terminal, theme }: Look, { criticalPath, criticalPathMs }: Forecast): string[] {
  const named = criticalPath
    .slice(0, PATH_SHOWN)
    .map(({ id, durationMs }) => `${printable(id)} ${duration(durationMs)}`);
  const rest = criticalPath.length - PATH_SHOWN;
  if (rest > 0) named.push(`${count(rest)} more`);
  const arrow = ` ${theme.signs.arrow} `;
  return [
    theme.strong(`Critical path, ${duration(criticalPathMs)}`),
    ...wrap(named.join(arrow), terminal.columns - 3).map((line) => `  ${line}`),
  ];
}

function poolLines(look: Look, { pools }: Forecast): string[] {
  const columns = [
    { title: "POOL", shrinkTo: 8 },
    { title: "NODES", align: "right" as const },
    { title: "WORK", align: "right" as const },
    { title: "SLOTS", align: "right" as const },
  ];
  const rows = pools.map(({ pool, nodes, workMs, slots }) => [
    printable(pool),
    count(nodes),
    duration(workMs),
    slots === undefined ? look.theme.signs.dash : count(slots),
  ]);
  return table(columns, rows, look);
}

function endLines({ terminal }: Look, { makespanMs, lowerBoundMs, workMs }: Forecast): string[] {
  const makespan = Number.isFinite(makespanMs) ? `About ${duration(makespanMs)}` : "It never ends: a pool has no slots";
  const text = `${makespan}; no run with so many slots takes less than ${duration(lowerBoundMs)}. Work in sum: ${duration(workMs)}.`;
  return wrap(text, terminal.columns - 1);
}
