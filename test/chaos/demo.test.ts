/** The demo, really run once with a fault and once as the static baseline. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { DemoReport } from "../../src/cli/demo/demo-report.ts";
import { type CliEnd, cliFolder, type CliFolder } from "../fixtures/cli/cli-process.ts";

const TIMEOUT_MS = 170_000;

function readReport(folder: CliFolder, file: string): DemoReport {
  return JSON.parse(readFileSync(path.join(folder.path, file), "utf8")) as DemoReport;
}

describe("holdfast demo --scale small --fault-demo", { timeout: TIMEOUT_MS }, () => {
  let folder: CliFolder;
  let end: CliEnd;
  let report: DemoReport;

  before(async () => {
    folder = await cliFolder();
    end = await folder.run(
      "demo",
      "--scale",
      "small",
      "--fault-demo",
      "--monitor",
      "cli",
      "--skip-cleanup",
      "--json",
      "out.json",
    );
    assert.equal(end.code, 0, `${end.stdout}\n${end.stderr}`);
    report = readReport(folder, "out.json");
  });
  after(() => folder.remove());

  test("computes and commits every point exactly once", () => {
    assert.equal(report.points, 1_000);
    assert.equal(report.chunks, 100);
    assert.equal(report.workers, 3);
    assert.equal(report.completed, 1_000);
    assert.equal(report.pending, 0);
    assert.equal(report.lost, 0);
    assert.equal(report.duplicateCommits, 0);
    assert.equal(report.verdict, "passed");
    assert.deepEqual(report.problems, []);
    assert.ok(report.wallMs > 0 && report.pointsPerSecond > 0);
  });

  test("kills worker 1 in mid-chunk at 30%, and the same chunk runs on another within a second", () => {
    assert.equal(report.killedWorker, "worker-1");
    assert.ok((report.killedAtShare ?? 0) >= 0.3 && (report.killedAtShare ?? 1) < 0.5, String(report.killedAtShare));
    assert.ok((report.killedIntoChunkMs ?? 0) > 0);
    assert.ok(report.takeovers >= 1);
    assert.ok(report.killedChunk?.takenOverBy !== null && report.killedChunk?.takenOverBy !== "worker-1");
    assert.ok(
      report.recoveryMs !== null && report.recoveryMs >= 0 && report.recoveryMs < 1_000,
      `recoveryMs ${report.recoveryMs}`,
    );
    assert.ok((report.recomputedMs ?? 0) >= (report.recoveryMs ?? 0));
  });

  test("gives the same bits as one process computing all points in order", () => {
    assert.equal(report.identicalToSequential, true);
    assert.ok((report.best?.accuracy ?? 0) > 0.85);
  });

  test("tells its story in plain lines, in order", () => {
    const story = [
      /Holdfast \d+\.\d+\.\d+ · a parameter sweep/,
      /Scale +small/,
      /Points +1,000/,
      /Chunks +100/,
      /Workers +3/,
      /Fault demo +on/,
      /✓ Prerequisites met/,
      /✓ Environment ready/,
      /✓ All 3 workers running/,
      /\d+\/100 chunks \(\d+%\) {2}[\d.,]+ points\/s {2}/,
      /FAULT: killing Worker 1/,
      /Worker 1 killed \(SIGKILL, pid \d+\)/,
      /2 survivors continue/,
      /taken over by Worker [23], running again after \d+ ms/,
      /Worker 1 +\d+ chunks +killed/,
      /✓ 100 chunks completed in [\d.]+ s/,
      /✓ 1,000 results equal those of one process/,
      /Best point +number \d+/,
      /│ {2}✓ PASSED: 1,000 of 1,000 points/,
      /All tasks finished although Worker 1 was killed/,
    ];
    let from = 0;
    for (const line of story) {
      const found = end.stdout.slice(from).search(line);
      assert.ok(
        found >= 0,
        `${String(line)} is missing after:\n${end.stdout.slice(0, from)}\nin:\n${end.stdout.slice(from)}`,
      );
      from += found;
    }
    assert.equal(end.stdout.includes("\u001b"), false, "a pipe gets no escape sequences");
    assert.equal(end.stderr, "");
  });

  test("leaves its folder in place when told to, and its store can be looked at", async () => {
    const kept = /^Kept: (\S+)$/m.exec(end.stdout)?.[1] ?? "";
    assert.ok(existsSync(kept), kept);
    const listed = await folder.run("list", "--broker", kept, "--json");
    const { executions } = JSON.parse(listed.stdout) as {
      readonly executions: readonly { readonly name: string; readonly state: string; readonly lostAttempts: number }[];
    };
    assert.deepEqual(
      executions.map(({ name, state, lostAttempts }) => ({ name, state, lostAttempts })),
      [{ name: "penguins", state: "completed", lostAttempts: 1 }],
    );
    const { rm } = await import("node:fs/promises");
    await rm(kept, { recursive: true, force: true });
  });
});

describe("holdfast demo --static", { timeout: TIMEOUT_MS }, () => {
  test("shows that a fixed split loses the killed worker's whole range", async (context) => {
    const folder = await cliFolder();
    context.after(() => folder.remove());
    const end = await folder.run("demo", "--static", "--json", "out.json");
    assert.equal(end.code, 0, `${end.stdout}\n${end.stderr}`);
    const report = readReport(folder, "out.json");
    assert.equal(report.mode, "static");
    assert.equal(report.completed, 667);
    assert.equal(report.lost, 333);
    assert.equal(report.lostPercent, 33.3);
    assert.equal(report.takeovers, 0);
    assert.equal(report.recoveryMs, null);
    assert.equal(report.verdict, "loss-shown");
    assert.match(end.stdout, /LOSS SHOWN: 33\.3% of the points are gone/);
  });
});
