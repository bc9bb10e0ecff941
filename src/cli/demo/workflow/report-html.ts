/** The report for people: one HTML file that needs nothing else. */
import { count, duration, percent } from "../../terminal/figures.ts";
import { DELIVERY_POOLS } from "./delivery.ts";
import type { DemonstrationReport, ValidationReport } from "./report.ts";
import { escaped } from "./svg.ts";
import { graphSvg } from "./svg-graph.ts";
import { timelineSvg } from "./svg-timeline.ts";

const STYLE = `
:root { color-scheme: light dark; --text: #1c2330; --faint: #677086; --line: #dfe3ea; --ground: #fff; --card: #f6f7f9;
  --architects: #7a5af5; --backend: #2d7ff9; --frontend: #12a594; --qa: #e5900b; --bad: #d6304a; --good: #1b8a4b; }
@media (prefers-color-scheme: dark) { :root { --text: #e7eaf0; --faint: #97a0b5; --line: #323949; --ground: #14181f; --card: #1c222c; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground); max-width: 1200px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 18px; margin: 36px 0 10px; }
p { margin: 6px 0; } .faint { color: var(--faint); }
.verdict { display: inline-block; margin: 14px 0 4px; padding: 4px 14px; border-radius: 6px; color: #fff; font-weight: 600; background: var(--good); }
.verdict.failed { background: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 10px; margin: 18px 0; }
.figure { background: var(--card); border-radius: 8px; padding: 12px 14px; } .figure b { display: block; font-size: 22px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--faint); font-weight: 500; }
td.number, th.number { text-align: right; } .yes { color: var(--good); font-weight: 600; } .no { color: var(--bad); font-weight: 600; }
svg { width: 100%; min-width: 760px; height: auto; display: block; } svg text { fill: var(--text); font: 11px system-ui, sans-serif; }
svg .axis, svg .time { fill: var(--faint); } svg .name { font-weight: 600; } svg .grid { stroke: var(--line); }
.bar.architects, .key.architects { fill: var(--architects); background: var(--architects); } .bar.backend, .key.backend { fill: var(--backend); background: var(--backend); }
.bar.frontend, .key.frontend { fill: var(--frontend); background: var(--frontend); } .bar.qa, .key.qa { fill: var(--qa); background: var(--qa); }
.bar.lost, .key.lost { fill: var(--bad); background: var(--bad); opacity: .45; } .kill { stroke: var(--bad); stroke-width: 2.4; fill: none; }
.takeover { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 3 2; fill: none; opacity: .8; }
.node { fill: var(--card); stroke-width: 1.5; } .node.architects { stroke: var(--architects); } .node.backend { stroke: var(--backend); }
.node.frontend { stroke: var(--frontend); } .node.qa { stroke: var(--qa); } .node.critical { stroke-width: 3; }
.edge { stroke: var(--faint); fill: none; opacity: .55; } .edge.critical { stroke: var(--text); stroke-width: 2.4; opacity: 1; }
.keys { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 8px 0; } .key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px; vertical-align: -1px; }
`;

export function reportHtml(report: DemonstrationReport, validation: ValidationReport | undefined): string {
  const { deliveries, verdict } = report;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast: ${count(deliveries.count)} deliveries under fire</title><style>${STYLE}</style></head><body>
<h1>Holdfast: ${count(deliveries.count)} deliveries under fire</h1>
<p class="faint">${escaped(report.startedAt)} · ${escaped(report.broker)} · ${report.machine.cpus} cores, Node ${escaped(report.machine.node)} · ${report.plan.mode} run of ${duration(report.wallMs)}</p>
<div class="verdict ${verdict}">${verdict === "passed" ? "Passed" : "Failed"}</div>
<p>${escaped(sentence(report))}</p>
${figures(report)}
<h2>Criteria</h2>${table(
    ["", "Criterion", "Measured"],
    report.criteria.map(({ name, met, detail }) => [met, name, detail]),
  )}
<h2>Who ran what when</h2>${keys()}<div class="wide">${timelineSvg(report)}</div>
<p class="faint">One row per worker process. A cross is a SIGKILL; a dashed line leads from it to where the broken task ran again. Point at a bar for details.</p>
<h2>The workflow</h2><div class="wide">${graphSvg(report.bars)}</div>
<p class="faint">Eleven tasks; times are medians of this run, the critical path is bold.</p>
<h2>Recovery</h2>${recoveries(report)}
<h2>Pools</h2>${pools(report)}
<h2>Phases</h2>${table(
    ["", "Phase", "Took", ""],
    report.phases.map((phase) => [
      phase.done,
      `${phase.number}. ${phase.name}`,
      duration(phase.durationMs),
      phase.facts.join("; "),
    ]),
  )}
${
  validation === undefined
    ? ""
    : `<h2>Validation</h2>${table(
        ["", "Check", "Took", "Found"],
        validation.checks.map(({ ok, name, ms, detail }) => [ok, name, duration(ms), detail]),
      )}`
}
</body></html>
`;
}

function sentence({ deliveries, kills, recoveries: all }: DemonstrationReport): string {
  return `${count(deliveries.completed)} of ${count(deliveries.count)} deliveries completed, ${count(deliveries.committed)} of ${count(deliveries.tasks)} tasks were committed exactly once, although ${count(kills.length)} workers were killed and ${count(all.length)} tasks broken off.`;
}

function figures({ deliveries, takenBackMs, recoveryMs, throughput, memory }: DemonstrationReport): string {
  const most = Math.max(memory.serverMb, memory.workerMb ?? 0, memory.runnerMb ?? 0);
  const entries: readonly (readonly [string, string])[] = [
    [count(deliveries.committed), "tasks committed, each once"],
    [shown(takenBackMs.p99), `p99 until one of ${count(takenBackMs.count)} broken tasks was taken back`],
    [
      `${shown(recoveryMs.p50)} / ${shown(recoveryMs.p99)}`,
      "median / p99 until it ran elsewhere, time in line included",
    ],
    ...(throughput === null
      ? []
      : [[`${count(throughput.perSecond)}/s`, `of ${count(throughput.messages)} tasks, end to end`] as const]),
    [shown(deliveries.makespanMs.p50), "median delivery, submit to end"],
    [`${count(most)} MB`, "most that a process took"],
  ];
  return `<div class="figures">${entries.map(([figure, what]) => `<div class="figure"><b>${escaped(figure)}</b>${escaped(what)}</div>`).join("")}</div>`;
}

function shown(ms: number | null): string {
  return ms === null ? "–" : duration(ms);
}

function keys(): string {
  const entries = [...DELIVERY_POOLS.map(({ pool, title }) => [pool, title]), ["lost", "broken off"]];
  return `<div class="keys">${entries.map(([name = "", title = ""]) => `<span><span class="key ${name}"></span>${escaped(title)}</span>`).join("")}</div>`;
}

function recoveries({ recoveries: all }: DemonstrationReport): string {
  if (all.length === 0) return `<p>No task was broken off.</p>`;
  return table(
    ["Wave", "Killed", "Had run", "Taken back after", "Ran again on", "After"],
    all.map(({ wave, from, ranForMs, takenBackMs, to, recoveryMs }) => [
      wave,
      from,
      duration(ranForMs),
      takenBackMs === null ? "never" : duration(takenBackMs),
      to ?? "nobody",
      recoveryMs === null ? "never" : duration(recoveryMs),
    ]),
  );
}

function pools({ pools: all }: DemonstrationReport): string {
  return table(
    ["Pool", "Workers (min to max)", "Most at once", "Tasks", "Most waiting", "Longest wait", "Idle while work waited"],
    all.map((pool) => [
      pool.pool,
      `${pool.workers} (${pool.min} to ${pool.max})`,
      String(pool.mostWorkers),
      count(pool.completed),
      count(pool.mostWaiting),
      duration(pool.longestWaitMs),
      pool.idleShare === 0 ? "0%" : percent(pool.idleShare * 1_000, 1_000),
    ]),
  );
}

/** Text, or whether something is as it should be. */
type Cell = string | boolean;

function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell): string => {
    if (typeof value === "string") return `<td>${escaped(value)}</td>`;
    return value ? `<td class="yes">✓</td>` : `<td class="no">✗</td>`;
  };
  const head = heads.map((text) => `<th>${escaped(text)}</th>`).join("");
  const body = rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("");
  return `<div class="wide"><table><tr>${head}</tr>${body}</table></div>`;
}
