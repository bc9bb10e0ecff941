/** `holdfast demo workflow`, really run: on a broker of its own, and on a Redis. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test, type TestContext } from "node:test";
import { FILES } from "../../src/cli/demo/workflow/output-folder.ts";
import type { DemonstrationReport, ValidationReport } from "../../src/cli/demo/workflow/report.ts";
import { type CliFolder, cliFolder } from "../fixtures/cli/cli-process.ts";
import { startRedis } from "../support/redis-server.ts";

const TIMEOUT_MS = 300_000;
const OUT = "out";

async function freshFolder(t: TestContext, environment: Readonly<Record<string, string>> = {}): Promise<CliFolder> {
  const folder = await cliFolder(environment);
  t.after(() => folder.remove());
  return folder;
}

function readJson(folder: CliFolder, name: keyof typeof FILES): unknown {
  return JSON.parse(readFileSync(path.join(folder.path, OUT, FILES[name]), "utf8"));
}

/** Runs it quickly; fails with the criteria that it missed. */
async function demonstrate(folder: CliFolder, ...args: readonly string[]): Promise<DemonstrationReport> {
  const end = await folder.run("demo", "workflow", "--quick", "--demo-only", "--output-dir", OUT, ...args);
  assert.ok(readdirSync(path.join(folder.path, OUT)).includes(FILES.demonstration), end.stdout + end.stderr);
  const report = readJson(folder, "demonstration") as DemonstrationReport;
  const missed = report.criteria.filter(({ met }) => !met).map(({ name, detail }) => `${name}: ${detail}`);
  assert.deepEqual(missed, []);
  assert.deepEqual([end.code, end.stderr, report.verdict], [0, "", "passed"], end.stdout);
  assert.doesNotMatch(end.stdout, /\u001B/);
  return report;
}

function assertPlausible(report: DemonstrationReport): void {
  const { deliveries, kills, recoveries, phases, bars, pools } = report;
  assert.ok(deliveries.count >= 4);
  assert.equal(deliveries.committed, deliveries.count * 11);
  assert.deepEqual([deliveries.duplicateCommits, deliveries.orderViolations, deliveries.wrongOutputs], [0, 0, 0]);
  const [oneByOne, atOnce] = (["one per pool", "half of all"] as const).map((wave) =>
    kills.filter((kill) => kill.wave === wave),
  );
  assert.deepEqual(
    [...new Set(oneByOne?.map(({ pool }) => pool))].toSorted(),
    pools.map(({ pool }) => pool).toSorted(),
  );
  assert.ok((atOnce?.length ?? 0) >= 3, "half of six workers or more");
  assert.ok(recoveries.length >= 4);
  for (const { from, to, takenBackMs, recoveryMs, ranForMs } of recoveries) {
    assert.notEqual(to, from);
    assert.ok(takenBackMs !== null && recoveryMs !== null && recoveryMs >= takenBackMs && takenBackMs >= 0);
    assert.ok(ranForMs >= 0);
  }
  assert.equal(deliveries.lostAttempts, recoveries.length);
  assert.equal(bars.length, deliveries.attempts);
  assert.equal(bars.filter(({ end }) => end === "completed").length, deliveries.committed);
  assert.ok(phases.every(({ done, durationMs }) => done && durationMs >= 0));
  assert.ok(deliveries.wallMs > deliveries.criticalPathMs);
}

describe("demo workflow --quick", { timeout: TIMEOUT_MS }, () => {
  test("loses nothing on a broker of its own, and leaves its report", async (t) => {
    const folder = await freshFolder(t);
    assertPlausible(await demonstrate(folder));
    const { validation: _, ...files } = FILES;
    assert.deepEqual(readdirSync(path.join(folder.path, OUT)).toSorted(), Object.values(files).toSorted());
    const log = readFileSync(path.join(folder.path, OUT, FILES.log), "utf8");
    for (let phase = 1; phase <= 8; phase += 1) assert.match(log, new RegExp(`phase ${phase}: `));
    assert.match(log, /SIGKILL \w+-\d+ with 1 running task/);
    assert.match(log, /delivery 1: integration_tests completed on qa-\d+/);
    const summary = readJson(folder, "summary") as { readonly verdict: string; readonly phasesDone: number };
    assert.deepEqual([summary.verdict, summary.phasesDone], ["passed", 8]);
    assert.match(readFileSync(path.join(folder.path, OUT, FILES.html), "utf8"), /class="verdict passed"/);
  });

  test("loses nothing on a Redis, and takes its keys along", async (t) => {
    const server = await startRedis({ appendonly: "everysec" });
    t.after(() => server.stop());
    const folder = await freshFolder(t);
    const keys = (): Promise<unknown> => server.command("KEYS", "*");
    const before = await keys();
    const report = await demonstrate(folder, "--broker", `redis://127.0.0.1:${server.port}`);
    assert.match(report.broker, new RegExp(`^redis, .*:${server.port}`));
    assertPlausible(report);
    assert.deepEqual(await keys(), before);
  });

  test("--validate-only tries what the demonstration rests on, and nothing else", async (t) => {
    const folder = await freshFolder(t);
    const end = await folder.run("demo", "workflow", "--quick", "--validate-only", "--output-dir", OUT);
    assert.equal(end.code, 0, end.stdout + end.stderr);
    const { ok, checks, skipped } = readJson(folder, "validation") as ValidationReport;
    assert.deepEqual([ok, checks.length, checks.every((check) => check.ok), skipped.length], [true, 5, true, 1]);
    assert.equal(readdirSync(path.join(folder.path, OUT)).includes(FILES.demonstration), false);
    assert.doesNotMatch(end.stdout, /Phase/);
    assert.match(end.stdout, /Report after .*out.validation_results\.json/);
  });

  test("ends with 130 when it is interrupted, and leaves no process and no store", async (t) => {
    const folder = await freshFolder(t);
    const demo = folder.start("demo", "workflow", "--quick", "--demo-only", "--verbose", "--output-dir", OUT);
    const [, store = ""] = await demo.printed(/embedded broker in (\S+)/);
    const [, pid = ""] = await demo.printed(/worker backend-1 started, pid (\d+)/);
    await demo.printed(/Phase 4 of 8/);
    demo.kill("SIGINT");
    const end = await demo.ended;
    assert.equal(end.code, 130, end.stdout + end.stderr);
    assert.match(end.stdout, /Stopped\.\n$/);
    assert.throws(() => process.kill(Number(pid), 0), { code: "ESRCH" });
    assert.throws(() => readdirSync(store), { code: "ENOENT" });
    assert.deepEqual(readdirSync(path.join(folder.path, OUT)).toSorted(), [FILES.log, FILES.workerLog].toSorted());
    assert.match(readFileSync(path.join(folder.path, OUT, FILES.log), "utf8"), /broken off: /);
  });
});
