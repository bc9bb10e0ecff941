/** The timeline of the report: one row per worker, a bar per attempt, kills and take-overs marked. */
import { duration } from "../../terminal/figures.ts";
import { DELIVERY_POOLS } from "./delivery.ts";
import type { Bar, DemonstrationReport } from "./report.ts";
import { axisStep, element, label, tip } from "./svg.ts";

const WIDTH = 1_160;
const LEFT = 116;
const ROW = 17;
const BAR = 11;
const TOP = 26;
const POOL_GAP = 12;

interface Row {
  readonly worker: string;
  readonly pool: string;
  readonly y: number;
}

export function timelineSvg(report: DemonstrationReport): string {
  const rows = rowsOf(report.bars);
  const height = (rows.at(-1)?.y ?? TOP) + ROW + 8;
  const end = Math.max(1, ...report.bars.map(({ to }) => to));
  const x = (ms: number): number => LEFT + ((WIDTH - LEFT - 12) * ms) / end;
  const yOf = new Map(rows.map(({ worker, y }) => [worker, y]));
  const parts = [
    ...axis({ end, height, x }),
    ...rows.map(({ worker, y }) => label(worker, { x: LEFT - 8, y: y + BAR - 1, anchor: "end" })),
    ...report.bars.map((bar) => barOf(bar, { x, y: yOf.get(bar.worker) ?? 0 })),
    ...takeovers(report, { x, yOf }),
    ...kills(report, { x, yOf }),
  ];
  return element("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "timeline", role: "img" }, parts);
}

/** Workers by pool, in order of number. */
function rowsOf(bars: readonly Bar[]): Row[] {
  const rows: Row[] = [];
  let y = TOP;
  for (const { pool } of DELIVERY_POOLS) {
    const workers = new Set(bars.filter((bar) => bar.pool === pool).map(({ worker }) => worker));
    const numberOf = (worker: string): number => Number(/\d+$/.exec(worker)?.[0] ?? 0);
    for (const worker of [...workers].sort((one, other) => numberOf(one) - numberOf(other))) {
      rows.push({ worker, pool, y });
      y += ROW;
    }
    y += POOL_GAP;
  }
  return rows;
}

function axis({ end, height, x }: { end: number; height: number; x: (ms: number) => number }): string[] {
  const step = axisStep(end, 10);
  const marks: string[] = [];
  for (let ms = 0; ms <= end; ms += step) {
    marks.push(
      element("line", { x1: x(ms), x2: x(ms), y1: TOP - 8, y2: height, class: "grid" }),
      label(ms === 0 ? "0" : duration(ms), { x: x(ms), y: TOP - 12, anchor: "middle", class: "axis" }),
    );
  }
  return marks;
}

function barOf(bar: Bar, place: { readonly x: (ms: number) => number; readonly y: number }): string {
  const from = place.x(bar.from);
  const title = `${bar.node} of delivery ${bar.delivery}, attempt ${bar.attempt}, on ${bar.worker}: ${duration(bar.to - bar.from)}, ${bar.end}`;
  return element(
    "rect",
    {
      x: from,
      y: place.y,
      width: Math.max(1, place.x(bar.to) - from - 0.6),
      height: BAR,
      rx: 1.5,
      class: `bar ${bar.end === "completed" ? bar.pool : "lost"}`,
    },
    tip(title),
  );
}

interface Places {
  readonly x: (ms: number) => number;
  readonly yOf: ReadonlyMap<string, number>;
}

function kills({ kills: all, beganAt }: DemonstrationReport, { x, yOf }: Places): string[] {
  return all.flatMap(({ worker, at, wave, pid }) => {
    const y = yOf.get(worker);
    if (y === undefined) return [];
    const at0 = x(Math.max(0, at - beganAt));
    const cross = `M${at0 - 5} ${y}l10 ${BAR}m0 ${-BAR}l-10 ${BAR}`;
    return [
      element("path", { d: cross, class: "kill" }, tip(`SIGKILL for ${worker} (pid ${pid ?? "unknown"}), ${wave}`)),
    ];
  });
}

function takeovers({ recoveries, beganAt }: DemonstrationReport, { x, yOf }: Places): string[] {
  return recoveries.flatMap(({ from, to, killedAt, runningAt, recoveryMs }) => {
    const [y1, y2] = [yOf.get(from), yOf.get(to ?? "")];
    if (y1 === undefined || y2 === undefined || runningAt === undefined) return [];
    const [x1, x2] = [x(killedAt - beganAt), x(runningAt - beganAt)];
    const middle = (y1 + y2) / 2 + BAR / 2;
    const curve = `M${x1} ${y1 + BAR / 2}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2 + BAR / 2}`;
    return [
      element(
        "path",
        { d: curve, class: "takeover" },
        tip(`${to ?? ""} took over from ${from} after ${recoveryMs ?? 0} ms`),
      ),
    ];
  });
}
