/**
 * Recorded workflows under kills: every recording at hand, on a file and on a real Redis, on eight
 * slots whose workers are killed at random; each node is committed once, and none before its parents.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { RecordingReport } from "../../src/cli/recording/recording-report.ts";
import { readWfFormat, wfFormatFacts } from "../../src/sdk/workflow/wf-format.ts";
import { cliFolder, type CliFolder } from "../fixtures/cli/cli-process.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";

const SLOTS = 8;
/** About as long as a run would take at best. */
const LENGTH_MS = 2_500;
const KILL_EVERY_MS = 300;
const TIMEOUT_MS = 120_000;

/** Our own, and those that lie beside the repository where it is developed. */
const FOLDERS = ["test/fixtures/wf-format", "../shared/data/workflows"];
const FILES = FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => path.resolve(folder, file)),
);

function timeScaleOf(file: string): number {
  const instance = readWfFormat(JSON.parse(readFileSync(file, "utf8")), file);
  return LENGTH_MS / wfFormatFacts(instance, { timeScale: 1, slots: SLOTS }).lowerBoundMs;
}

async function replay(folder: CliFolder, file: string, broker: string): Promise<RecordingReport> {
  const report = path.join(folder.path, "report.json");
  const flags = [
    "--time-scale",
    String(timeScaleOf(file)),
    "--slots",
    String(SLOTS),
    "--kill-every",
    String(KILL_EVERY_MS),
  ];
  const end = await folder.run("run", file, ...flags, "--broker", broker, "--json", report);
  assert.equal(end.code, 0, `${end.stdout}\n${end.stderr}`);
  return JSON.parse(readFileSync(report, "utf8")) as RecordingReport;
}

for (const store of ["sqlite", "redis"] as const) {
  describe(`recorded workflows under kills on ${store}`, () => {
    let folder: CliFolder;
    let redis: RedisServer | undefined;
    let kills = 0;
    let takeovers = 0;

    before(async () => {
      folder = await cliFolder();
      if (store === "redis") redis = await startRedis();
    });
    after(async () => {
      await redis?.stop();
      await folder.remove();
    });

    for (const file of FILES) {
      test(path.basename(file, ".json"), { timeout: TIMEOUT_MS }, async () => {
        const report = await replay(folder, file, redis?.url ?? path.join(folder.path, path.basename(file)));
        assert.equal(report.state, "completed");
        assert.equal(report.completed, report.nodes);
        assert.equal(report.duplicateCommits, 0);
        assert.equal(report.orderViolations, 0);
        assert.ok(report.attempts >= report.nodes + report.takeovers);
        kills += report.kills;
        takeovers += report.takeovers;
      });
    }

    test("workers were killed in the middle of tasks", () => {
      assert.ok(kills > 0 && takeovers > 0, `${kills} kills, ${takeovers} take-overs`);
    });
  });
}
