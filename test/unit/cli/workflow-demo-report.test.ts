/** What the workflow demo makes of a run: its verdict, its pictures, its report files, its lines. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import type { BrokerEvent } from "../../../src/broker/contract.ts";
import {
  checkReportLines,
  criterionLines,
  failedCheckLines,
  killLines,
  planLines,
  poolLines,
  recoveryLines,
  verdictDetails,
} from "../../../src/cli/demo/workflow/demo-lines.ts";
import { eventLine } from "../../../src/cli/demo/workflow/event-line.ts";
import {
  barsOf,
  criteriaOf,
  duplicateCommits,
  type Judged,
  mostAtOnce,
  orderViolations,
} from "../../../src/cli/demo/workflow/judge.ts";
import { FILES, OutputFolder } from "../../../src/cli/demo/workflow/output-folder.ts";
import { planWorkflowDemo } from "../../../src/cli/demo/workflow/plan.ts";
import { reportHtml } from "../../../src/cli/demo/workflow/report-html.ts";
import { spread } from "../../../src/cli/demo/workflow/report.ts";
import { graphSvg } from "../../../src/cli/demo/workflow/svg-graph.ts";
import { timelineSvg } from "../../../src/cli/demo/workflow/svg-timeline.ts";
import { axisStep, element, escaped } from "../../../src/cli/demo/workflow/svg.ts";
import { WorkBook } from "../../../src/cli/work-book.ts";
import { DELIVERY } from "../../../src/cli/demo/workflow/delivery.ts";
import type { Terminal } from "../../../src/cli/terminal/terminal.ts";
import { textWidth } from "../../../src/cli/terminal/text-width.ts";
import { themeFor } from "../../../src/cli/terminal/theme.ts";
import { demoReport, judged, validationReport } from "../../fixtures/cli/workflow-demo-report.ts";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";

// ── Findings ──────────────────────────────────────────────────────────────────────────────────

const NODES = DELIVERY.map(({ id }) => id);
const ALL = { executions: ["e"], nodeOf: NODES };

/** Attempts of tasks by node. */
function bookOf(...attempts: readonly (readonly [node: string, from: number, to: number])[]): WorkBook {
  const book = new WorkBook();
  const told = attempts.flatMap(([node, from, to]): BrokerEvent[] => {
    const tasks = [NODES.indexOf(node)];
    const change = { kind: "tasks", tasks, worker: "qa-1" } as const;
    return [
      { cursor: 0, at: from, executionId: "e", change: { ...change, state: "running" } },
      { cursor: 0, at: to, executionId: "e", change: { ...change, state: "completed" } },
    ];
  });
  for (const event of told.toSorted((one, other) => one.at - other.at)) book.apply(event);
  return book;
}

describe("what a run has shown", () => {
  test("a child that began before its parent was committed", () => {
    const [design, api, rest] = [
      ["system_design", 0, 10],
      ["api_development", 10, 20],
      ["auth_system", 19, 30],
    ] as const;
    assert.equal(orderViolations(bookOf(design, api), ALL), 0);
    assert.equal(orderViolations(bookOf(design, api, rest), ALL), 1);
    assert.equal(orderViolations(bookOf(api), ALL), 1, "its parent was never done");
  });

  test("a task that was committed twice", () => {
    assert.equal(duplicateCommits(bookOf(["system_design", 0, 10], ["database_design", 0, 10])), 0);
    assert.equal(duplicateCommits(bookOf(["system_design", 0, 10], ["system_design", 20, 30])), 1);
  });

  test("how many tasks of a delivery ran at once; what ends makes room first", () => {
    assert.equal(mostAtOnce(bookOf(["system_design", 0, 10], ["database_design", 10, 20]), ["e"]), 1);
    assert.equal(mostAtOnce(bookOf(["system_design", 0, 10], ["database_design", 9, 20]), ["e"]), 2);
  });

  test("bars, numbered by attempt and counted from the beginning", () => {
    const [first, second] = barsOf(bookOf(["system_design", 100, 110], ["system_design", 120, 130]), ALL, 100);
    assert.deepEqual(
      [first?.node, first?.delivery, first?.from, first?.to, first?.attempt],
      ["system_design", 1, 0, 10, 1],
    );
    assert.deepEqual([second?.from, second?.attempt], [20, 2]);
  });
});

describe("the criteria", () => {
  const missed = (changes: Partial<Judged>): string[] =>
    criteriaOf({ ...judged, ...changes }).flatMap(({ met, name }) => (met ? [] : [name]));

  test("are all met by a good run", () => {
    assert.deepEqual(missed({}), []);
    assert.equal(demoReport().verdict, "passed");
  });

  const { deliveries, phases, pools, kills, recoveries, plan } = judged;
  const bad: readonly (readonly [criterion: RegExp, why: string, changes: Partial<Judged>])[] = [
    [/eight phases/, "one was not", { phases: phases.map((phase) => ({ ...phase, done: phase.number !== 6 })) }],
    [/parallel/, "nothing ran at the same time", { deliveries: { ...deliveries, mostAtOnce: 1 } }],
    [/parallel/, "a child before its parent", { deliveries: { ...deliveries, orderViolations: 1 } }],
    [/parallel/, "wrong outputs", { deliveries: { ...deliveries, wrongOutputs: 1 } }],
    [/share/, "idle workers", { pools: pools.map((pool) => ({ ...pool, idleShare: 0.2 })) }],
    [/share/, "a pool that did nothing", { pools: pools.map((pool) => ({ ...pool, completed: 0 })) }],
    [/completion/, "one did not complete", { deliveries: { ...deliveries, completed: 0 } }],
    [/completion/, "a task was lost", { deliveries: { ...deliveries, committed: 10 } }],
    [/completion/, "a task was done twice", { deliveries: { ...deliveries, duplicateCommits: 1 } }],
    [/completion/, "no second wave", { kills: kills.filter(({ wave }) => wave === "one per pool") }],
    [/completion/, "a pool was spared", { kills: kills.slice(1) }],
    [/in time/, "too late", { takenBackMs: spread([plan.recoveryAimMs + 1]) }],
    [/in time/, "never", { recoveries: recoveries.map((one) => ({ ...one, recoveryMs: null })) }],
    [/in time/, "nothing was broken off", { recoveries: [], takenBackMs: spread([]), recoveryMs: spread([]) }],
    [/Stable/, "a worker ended by itself", { deaths: ["qa-3"] }],
    [/Stable/, "too much memory", { memory: { workerMb: 301, runnerMb: null, serverMb: 100 } }],
  ];
  for (const [criterion, why, changes] of bad) {
    test(`of which "${criterion.source}" is missed: ${why}`, () => {
      const names = missed(changes);
      assert.equal(names.length, 1, names.join("; "));
      assert.match(names[0] ?? "", criterion);
      assert.equal(demoReport(changes).verdict, "failed");
    });
  }

  test("do not take the time in line behind other work for a late take-over", () => {
    assert.deepEqual(missed({ recoveryMs: spread([60_000]) }), []);
  });

  test("name what they measured, also when there was nothing", () => {
    const [, , , , claimed] = criteriaOf({
      ...judged,
      recoveries: [],
      takenBackMs: spread([]),
      recoveryMs: spread([]),
    });
    assert.match(claimed?.detail ?? "", /0 tasks taken from dead workers after unknown/);
  });
});

test("percentiles are the nearest of what was measured", () => {
  assert.deepEqual(spread([]), { count: 0, p50: null, p99: null, max: null });
  assert.deepEqual(spread([5]), { count: 1, p50: 5, p99: 5, max: 5 });
  const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);
  assert.deepEqual(spread(hundred), { count: 100, p50: 50, p99: 99, max: 100 });
});

// ── Pictures and pages ────────────────────────────────────────────────────────────────────────

const VOID = new Set(["meta", "!doctype"]);

/** Fails unless every element is closed in order and every attribute is quoted. */
function assertWellFormed(markup: string): void {
  const open: string[] = [];
  const body = markup.replace(/<style>[^<]*<\/style>/, "");
  for (const [tag, slash = "", name = "", rest = ""] of body.matchAll(/<(\/?)([!\w]+)([^>]*)>/g)) {
    assert.match(rest, /^(?:\s+[\w-]+(?:="[^"<]*")?)*\s*\/?$/, tag);
    if (VOID.has(name)) continue;
    if (slash === "") open.push(name);
    else assert.equal(open.pop(), name, `${tag} closes something else`);
  }
  assert.deepEqual(open, []);
  const text = body.replaceAll(/<[^>]*>/g, "");
  assert.doesNotMatch(text, /[<>]|&(?!(?:amp|lt|gt|quot);)/);
}

describe("the report for people", () => {
  test("is one page that needs nothing else, and shows every figure", () => {
    const html = reportHtml(demoReport(), validationReport);
    assertWellFormed(html);
    assert.doesNotMatch(html, /https?:|\bsrc=|\bhref=|<script|<link|@import|url\(/);
    for (const { id } of DELIVERY) assert.match(html, new RegExp(`>${id}<`));
    for (const { name } of demoReport().criteria) assert.ok(html.includes(name), name);
    assert.match(html, /class="verdict passed"/);
    assert.match(html, /10,000\/s/);
    assert.match(html, /Tasks &lt;pass&gt;/);
    assert.match(html, /\/tmp\/&lt;a &amp; &quot;b&quot;&gt;/);
    assert.equal(html.match(/class="kill"/g)?.length, 5);
    assert.equal(html.match(/class="takeover"/g)?.length, 5);
  });

  test("is whole without validation, throughput and recoveries, and says that it failed", () => {
    const nothing = { recoveries: [], takenBackMs: spread([]), recoveryMs: spread([]), kills: [], throughput: null };
    const html = reportHtml(demoReport(nothing), undefined);
    assertWellFormed(html);
    assert.match(html, /class="verdict failed"/);
    assert.match(html, /No task was broken off/);
    assert.doesNotMatch(html, /<h2>Validation/);
    assert.doesNotMatch(html, /NaN|undefined|Infinity/);
  });

  test("draws the workflow with its critical path and the timeline with a row per worker", () => {
    const { bars } = demoReport();
    const graph = graphSvg(bars);
    assertWellFormed(graph);
    assert.equal(graph.match(/<rect/g)?.length, 11);
    assert.equal(graph.match(/class="edge/g)?.length, 15);
    assert.equal(graph.match(/class="edge critical"/g)?.length, 5);
    assert.doesNotMatch(graphSvg([]), /NaN/);
    const timeline = timelineSvg(demoReport());
    assertWellFormed(timeline);
    assert.equal(timeline.match(/class="bar /g)?.length, bars.length);
    assert.ok(timeline.indexOf(">architects-1<") < timeline.indexOf(">qa-2<"));
    assert.doesNotMatch(timelineSvg({ ...demoReport(), bars: [] }), /NaN|Infinity/);
  });

  test("writes markup that nothing can break out of", () => {
    assert.equal(escaped(`<a href="x">&'`), "&lt;a href=&quot;x&quot;&gt;&amp;'");
    assert.equal(element("g", { class: 'a"b', x: 1.26 }), `<g class="a&quot;b" x="1.3"></g>`);
    assert.deepEqual([axisStep(1_000, 10), axisStep(2_900, 10), axisStep(0, 10)], [100, 500, 1]);
  });
});

// ── Files ─────────────────────────────────────────────────────────────────────────────────────

describe("the folder of the report", () => {
  test("has the log and all files, of which the summary is without the timeline", () =>
    withTemporaryFolder(async (parent) => {
      const folder = path.join(parent, "deep", "out");
      let now = 0;
      const echoed: string[] = [];
      const output = new OutputFolder(folder, { now: () => now, echo: (line) => echoed.push(line) });
      output.log("one", "two");
      now = 61_234;
      output.logShown("phase 1");
      output.log();
      await output.writeValidation(validationReport);
      await output.writeDemonstration(demoReport(), validationReport);
      assert.equal(
        readFileSync(output.file("log"), "utf8"),
        "    0.000 s  one\n    0.000 s  two\n   61.234 s  phase 1\n",
      );
      assert.deepEqual(echoed, ["    0.000 s  one", "    0.000 s  two"]);
      const { workerLog: _, ...files } = FILES;
      assert.deepEqual(readdirSync(folder).toSorted(), Object.values(files).toSorted());
      const read = (name: keyof typeof FILES): Record<string, unknown> =>
        JSON.parse(readFileSync(output.file(name), "utf8")) as Record<string, unknown>;
      assert.deepEqual(read("validation"), validationReport);
      assert.deepEqual(read("demonstration"), demoReport());
      const summary = read("summary");
      assert.deepEqual(
        [summary["verdict"], summary["kills"], summary["recoveries"], summary["phasesDone"], summary["attempts"]],
        ["passed", 5, 5, 8, 22],
      );
      assert.deepEqual(summary["validation"], { ok: false, checks: 2 });
      assert.equal("bars" in summary, false);
    }));

  test("begins a new log each time", () =>
    withTemporaryFolder(async (folder) => {
      writeFileSync(path.join(folder, FILES.log), "old");
      const output = new OutputFolder(folder, { now: () => 0 });
      assert.equal(readFileSync(output.file("log"), "utf8"), "");
    }));

  test("is refused where nothing can be written", () =>
    withTemporaryFolder(async (folder) => {
      const file = path.join(folder, "file");
      writeFileSync(file, "");
      assert.throws(() => new OutputFolder(path.join(file, "below"), { now: () => 0 }), {
        code: "INVALID_OPTION",
        message: /--output-dir.*a folder that can be written/,
      });
    }));
});

// ── Lines ─────────────────────────────────────────────────────────────────────────────────────

describe("the lines of the screen", () => {
  for (const columns of [40, 60, 200]) {
    test(`fit into ${columns} columns`, () => {
      const terminal: Terminal = { interactive: true, colour: false, unicode: true, columns };
      const look = { terminal, theme: themeFor(terminal) };
      const report = demoReport({ deaths: ["qa-7"] });
      const pool = { pool: "backend", running: 8, queued: 1_234, sessions: 3 };
      const lines = [
        ...planLines(look, planWorkflowDemo("standard"), "embedded broker in /tmp/x"),
        ...poolLines(look, [pool] as unknown as Parameters<typeof poolLines>[1], () => ["a", "b", "c", "d"].length),
        ...killLines(look, report.kills.slice(0, 1)),
        ...killLines(look, report.kills.slice(4)),
        ...report.recoveries.flatMap((recovery) => recoveryLines(look, recovery)),
        ...report.criteria.flatMap((criterion) => criterionLines(look, criterion)),
        ...validationReport.checks.flatMap((check) => checkReportLines(look, check)),
        ...failedCheckLines(look, validationReport),
      ];
      for (const line of lines) assert.ok(textWidth(line) < columns, `${textWidth(line)}: ${line}`);
      const text = lines.join(" ").replaceAll(/\s+/g, " ");
      assert.match(text, /backend-1 killed|architects-1 killed/);
      assert.match(text, /1 of 2 checks failed; the demonstration goes on/);
      if (columns >= 60) assert.match(text, /3\/8 (?:workers )?\(\+1\) +8 running +1,234 waiting/);
    });
  }

  test("tell what was missed, or the figures", () => {
    assert.match(
      verdictDetails(demoReport()).join("\n"),
      /each committed exactly once.*\n.*40 ms \(p99\)[^]*10,000 tasks/,
    );
    assert.match(
      verdictDetails(demoReport({ deaths: ["qa-7"] })).join(),
      /^Stable under failure: ended by themselves: qa-7/,
    );
  });

  test("say of an event which task of which delivery moved where", () => {
    const names = { executions: ["x", "e"], nodeOf: NODES };
    const line = (change: BrokerEvent["change"], executionId = "e"): string | undefined =>
      eventLine({ executionId, change }, names);
    assert.equal(
      line({ kind: "tasks", state: "running", tasks: [2], worker: "backend-1" }),
      "delivery 2: api_development running on backend-1",
    );
    assert.equal(
      line({ kind: "tasks", state: "queued", tasks: [4, 5], reason: "released" }),
      "delivery 2: auth_system, ui_components queued (released)",
    );
    assert.equal(line({ kind: "execution", state: "completed" }, "x"), "delivery 1 completed");
    assert.equal(line({ kind: "execution", state: "completed" }, "other"), undefined);
    assert.equal(
      line({ kind: "session", state: "lost", session: "s", worker: "qa-1" }, "other"),
      "session of qa-1 lost",
    );
  });
});
