import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Counters, PoolView } from "../../../src/broker/contract.ts";
import { answerLines, compact, resultLines } from "../../../src/cli/answer-lines.ts";
import { ChunkLedger } from "../../../src/cli/demo/chunk-ledger.ts";
import {
  bannerLines,
  bestLines,
  checkLines,
  completionLines,
  configurationLines,
  faultLines,
  takeoverLines,
} from "../../../src/cli/demo/demo-lines.ts";
import { planDemo } from "../../../src/cli/demo/demo-plan.ts";
import { monitorLines } from "../../../src/cli/demo/monitor-lines.ts";
import { ResultBook } from "../../../src/cli/demo/proof.ts";
import { type QueueMeasured, reportQueue } from "../../../src/cli/demo/queue-report.ts";
import { executionFacts, executionTable, poolTable, workerTable } from "../../../src/cli/execution-lines.ts";
import { formatResults } from "../../../src/cli/results-format.ts";
import { outcomeLines, type RunReport } from "../../../src/cli/run-report.ts";
import { factLines } from "../../../src/cli/terminal/facts.ts";
import { openScreen, type Screen } from "../../../src/cli/terminal/screen.ts";
import type { Terminal } from "../../../src/cli/terminal/terminal.ts";
import { textWidth } from "../../../src/cli/terminal/text-width.ts";
import { themeFor } from "../../../src/cli/terminal/theme.ts";
import type { ExecutionStatus } from "../../../src/sdk/progress.ts";
import type { Result } from "../../../src/sdk/results.ts";

interface Look {
  readonly terminal: Terminal;
  readonly theme: ReturnType<typeof themeFor>;
}

function look(columns: number): Look {
  const terminal: Terminal = { interactive: true, colour: false, unicode: true, columns };
  return { terminal, theme: themeFor(terminal) };
}

const counters: Counters = {
  total: 1_000,
  blocked: 0,
  scheduled: 0,
  queued: 500,
  running: 20,
  completed: 450,
  failed: 30,
  cancelled: 0,
  skipped: 0,
};
const status: ExecutionStatus = {
  executionId: "k7m2q9xw4t3v",
  name: "tune \u001b[31mthe penguins",
  kind: "sweep",
  state: "running",
  priority: 5,
  counters,
  lostAttempts: 1,
  retries: 2,
  refusedOutcomes: 0,
  createdAt: 0,
  startedAt: 1_000,
  firstFailure: { class: "user-error", message: "boom\nwith a second line" },
  verification: { sampled: 4, agreed: 3, disagreed: 1, skipped: 0, pending: 0, byWorker: {}, disagreements: [] },
};
const pool: PoolView = {
  pool: "default",
  paused: true,
  blocked: 40,
  scheduled: 2,
  queued: 5_000,
  running: 2,
  completed: 1_000_000,
  failed: 7,
  sessions: 3,
  slots: 12,
  standby: 0,
  min: 0,
};
const report: RunReport = {
  executionId: status.executionId,
  name: status.name,
  kind: "sweep",
  state: "completed",
  counters: { ...counters, queued: 0, running: 0, completed: 970 },
  retries: 3,
  lostAttempts: 1,
  wallMs: 12_000,
  itemsPerSecond: 81,
  aggregate: {
    best: {
      count: 970,
      ignored: 0,
      entries: [{ index: 7, score: 0.9234567, point: { k: 3, distance: "manhattan" }, value: {} }],
    },
    mean: { value: 0.5, count: 970, ignored: 2 },
    spread: {
      sum: 1,
      mean: 2,
      min: 0,
      max: 4,
      variance: 1,
      stddev: 1,
      count: 970,
      ignored: 0,
      quantiles: [{ at: 0.5, value: 2 }],
    },
    own: { nested: ["a", 1] },
  },
  failures: [
    {
      index: 4,
      count: 1,
      point: { k: 9 },
      failure: { class: "user-error", message: "no k of 9", code: "RangeError" },
      failures: 4,
      losses: 0,
      at: 0,
    },
    {
      index: 20,
      count: 10,
      point: { k: 2 },
      failure: { class: "worker-lost", message: "the worker died" },
      failures: 0,
      losses: 3,
      at: 0,
    },
  ],
};

describe("every screen fits terminals from 20 columns up", () => {
  const ledger = new ChunkLedger();
  for (const [at, worker] of ["worker-1", "worker-2", "worker-10"].entries()) {
    ledger.apply({ cursor: at, at: 0, change: { kind: "session", session: worker, worker, state: "opened" } });
    ledger.apply({
      cursor: at,
      at: 0,
      change: { kind: "tasks", state: "running", worker, tasks: [[0, at * 100, at * 100 + 100]] },
    });
  }
  ledger.apply({
    cursor: 9,
    at: 1,
    change: { kind: "session", session: "worker-1", worker: "worker-1", state: "lost" },
  });
  const chunk = { task: 0, start: 99_900, end: 100_000, claimedAt: 0 };
  const kill = { worker: "worker-1", pid: 4_194_304, chunk, intoChunkMs: 210, at: 0 };
  const settings = {
    k: 9,
    distance: "manhattan",
    vote: "inverse-square",
    scaling: "min-max",
    weights: [1.7, 1.1, 1.8, 2.1],
  } as const;
  const screens: Readonly<Record<string, (at: Look) => readonly string[]>> = {
    banner: (at) => bannerLines(at, "0.1.0", "a parameter sweep that does not let go"),
    configuration: (at) =>
      configurationLines(at, planDemo({ scale: "large", workers: 3, fault: true, mode: "queue", seed: 1 }), 333),
    check: (at) => checkLines(at, "Prerequisites met: Node 24.21.0, 333 penguins in 6 classes"),
    fault: (at) => faultLines(at, kill, 2),
    takeover: (at) => takeoverLines(at, { ...chunk, from: "worker-1", to: "worker-3", at: 9 }, 438),
    completion: (at) => completionLines(at, { chunks: 1_000, points: 100_000, wallMs: 123_456 }),
    best: (at) => bestLines(at, { point: 99_999, accuracy: 0.92, settings }),
    monitor: (at) => monitorLines(at, ledger, 500),
    executions: (at) => executionTable(at, [status], 5_000),
    workers: (at) =>
      workerTable(
        at,
        [
          {
            worker: "machine-77",
            host: "a-long-host-name",
            pid: 1,
            pools: [],
            capabilities: [],
            slots: 4,
            state: "live",
            openedAt: 0,
            lastSeenAt: 0,
            leases: 2,
            completed: 5,
          },
        ],
        900,
      ),
    pools: (at) => poolTable(at, [pool]),
    status: (at) => factLines(at, executionFacts(status, 5_000)),
    "paused status": (at) =>
      factLines(at, executionFacts({ ...status, state: "paused", paused: { by: "ann", at: 2_000 } }, 5_000)),
    outcome: (at) => outcomeLines(at, report),
    results: (at) => resultLines(at, [{ index: 0, point: { a: 1, b: "two" }, value: [1, 2, 3] }]),
  };
  for (const [name, lines] of Object.entries(screens)) {
    test(name, () => {
      for (let columns = 20; columns <= 130; columns++) {
        for (const line of lines(look(columns))) {
          assert.ok(textWidth(line) < columns, `${columns}: ${line}`);
          assert.equal(line.includes("\u001b"), false);
        }
      }
    });
  }
});

describe("what is said", () => {
  test("an execution in full", () => {
    assert.deepEqual(executionFacts(status, 5_000), [
      ["Execution", status.executionId],
      ["Name", "tune the penguins (sweep, priority 5)"],
      ["State", "running"],
      ["Done", "450 of 1,000 (45%)"],
      ["Also", "20 running, 500 queued, 30 failed"],
      ["Time", "running for 4.0 s (113/s)"],
      ["Trouble", "2 retries, 1 attempt lost with its worker"],
      ["First failure", "boom with a second line (user-error)"],
      ["Verification", "4 chunks run twice, 3 agreed, 1 DISAGREED"],
    ]);
  });

  test("the end of a run", () => {
    assert.deepEqual(outcomeLines(look(100), report), [
      "✗ 970 of 1,000 points completed in 12 s (81/s); 3 retries, 1 attempt lost with a worker and run",
      "  again, 30 failed",
      "",
      "  best",
      "           SCORE  POINT  INPUT",
      "    1.  0.923457      7  k 3, distance manhattan",
      "  mean  0.5 (of 970, 2 ignored)",
      "  spread",
      "      count   970",
      "      mean    2",
      "      stddev  1",
      "      min     0",
      "      max     4",
      "      sum     1",
      "      p50     2",
      "  own",
      "    nested  [a, 1]",
      "",
      "✗ point 4 (k 9): RangeError: no k of 9 (user-error, tried 4 times)",
      "✗ points 20 to 29: the worker died (worker-lost, tried 3 times, 3 workers lost under it)",
    ]);
  });

  test("an answer of any shape", () => {
    assert.deepEqual(answerLines(look(80), 42), ["42"]);
    assert.deepEqual(answerLines(look(80), "text"), ['"text"']);
    assert.deepEqual(answerLines(look(80), { value: 1.5, count: 2, ignored: 0 }), ["1.5 (of 2)"]);
    assert.equal(compact({ a: 0.1 + 0.2, b: { c: null }, d: [true] }), "a 0.3, b { c null }, d [true]");
  });
});

describe("results for other programs", () => {
  async function* results(): AsyncGenerator<Result<unknown, unknown>, void> {
    yield { index: 0, point: { k: 1 }, value: { y: 0.5, note: 'a "b",\nc' }, worker: "w", attempt: 1 };
    yield { index: 1, point: { k: 2, extra: [1] }, value: 7, worker: "w", attempt: 1 };
  }
  const text = async (format: "json" | "ndjson" | "csv", of = results): Promise<string> => {
    let whole = "";
    for await (const part of formatResults(format, of)) whole += part;
    return whole;
  };

  test("JSON and JSON lines", async () => {
    assert.deepEqual(JSON.parse(await text("json")), [
      { index: 0, point: { k: 1 }, value: { y: 0.5, note: 'a "b",\nc' } },
      { index: 1, point: { k: 2, extra: [1] }, value: 7 },
    ]);
    assert.equal((await text("ndjson")).split("\n").length, 3);
  });

  test("CSV has a column for every field that any result has", async () => {
    assert.equal(
      await text("csv"),
      'index,point.k,value.y,value.note,point.extra,value\r\n0,1,0.5,"a ""b"",\nc",,\r\n1,2,,,[1],7\r\n',
    );
  });

  test("no results are still a document", async () => {
    async function* none(): AsyncGenerator<Result<unknown, unknown>, void> {}
    assert.deepEqual(
      [await text("json", none), await text("ndjson", none), await text("csv", none)],
      ["[]\n", "", "index\r\n"],
    );
  });
});

describe("the demo's verdict", () => {
  const plan = {
    ...planDemo({ scale: "small", workers: 3, fault: true, mode: "queue", seed: 1 }),
    points: 10,
    chunks: 1,
  };
  const book = new ResultBook(10);
  book.add({
    task: 0,
    start: 0,
    end: 10,
    values: JSON.stringify(Array.from({ length: 10 }, () => 1)),
    worker: "worker-2",
    attempt: 2,
    durationMs: 1,
    at: 1,
  });
  const view = {
    ...status,
    state: "completed",
    counters: { ...counters, total: 10, queued: 0, running: 0, completed: 10, failed: 0 },
    endedAt: 2_000,
  } as const;
  const chunk = { task: 0, start: 0, end: 10, claimedAt: 0 };
  const ledger = new ChunkLedger();
  ledger.takeovers.push({ ...chunk, from: "worker-1", to: "worker-2", at: 140 });
  const measured: QueueMeasured = {
    plan,
    outcome: {
      ledger,
      view,
      kill: { worker: "worker-1", pid: 1, chunk, intoChunkMs: 50, at: 100 },
      killedAtShare: 0.3,
      takeover: ledger.takeovers[0],
      recomputedAt: 190,
    },
    book,
    best: undefined,
    check: { identical: true, firstDifference: undefined },
    sequentialMs: 5,
  };
  const silent: Screen = openScreen({ write: () => true }, {});

  test("passes when all is proved", () => {
    const passed = reportQueue(silent, measured);
    assert.equal(passed.verdict, "passed");
    assert.deepEqual([passed.recoveryMs, passed.recomputedMs, passed.takeovers, passed.wallMs], [40, 90, 1, 1_000]);
  });

  test("fails without a take-over of the killed chunk, with a point missing, twice, different or waiting", () => {
    const twice = new ResultBook(10);
    const missing = new ResultBook(10);
    const row = {
      task: 0,
      start: 0,
      end: 9,
      values: JSON.stringify(Array.from({ length: 9 }, () => 1)),
      worker: "w",
      attempt: 1,
      durationMs: 1,
      at: 1,
    };
    for (const each of [row, row, { ...row, start: 9, end: 10, values: "[1]" }]) twice.add(each);
    missing.add(row);
    const bad: readonly Partial<QueueMeasured>[] = [
      { outcome: { ...measured.outcome, takeover: undefined } },
      { book: twice },
      { book: missing },
      { check: { identical: false, firstDifference: 3 } },
      { outcome: { ...measured.outcome, view: { ...view, counters: { ...view.counters, queued: 1 } } } },
      { outcome: { ...measured.outcome, view: { ...view, state: "failed" } } },
    ];
    for (const wrong of bad) {
      const failed = reportQueue(silent, { ...measured, ...wrong });
      assert.equal(failed.verdict, "failed");
      assert.equal(failed.problems.length, 1, failed.problems.join(" "));
    }
  });
});

test("a pool is told in one line, with what waits for something else apart from what could start", () => {
  const [, line] = poolTable(look(130), [pool]);
  assert.deepEqual(line?.trim().split(/ {2,}/), ["default", "paused", "5,000", "42", "2", "1,000,000", "7", "3", "12"]);
});

test("a paused execution says who paused it, and how long ago", () => {
  const facts = new Map(executionFacts({ ...status, state: "paused", paused: { by: "ann", at: 2_000 } }, 5_000));
  assert.equal(facts.get("State"), "paused by ann, 3 s ago");
  const unnamed = new Map(executionFacts({ ...status, state: "paused", paused: { at: 2_000 } }, 5_000));
  assert.equal(unnamed.get("State"), "paused, 3 s ago");
  assert.equal(new Map(executionFacts(status, 5_000)).get("State"), "running");
});
