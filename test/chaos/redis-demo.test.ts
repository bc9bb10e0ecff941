/** `holdfast demo --fault-demo` with a real Redis as the broker. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import type { DemoReport } from "../../src/cli/demo/demo-report.ts";
import { cliFolder } from "../fixtures/cli/cli-process.ts";
import { startRedis } from "../support/redis-server.ts";

const TIMEOUT_MS = 170_000;
const PASSWORD = "a:b/c@d";

describe("the demo on a Redis with a password", { timeout: TIMEOUT_MS }, () => {
  test("loses nothing by its kill, and takes its keys along", async (t) => {
    const server = await startRedis({ appendonly: "everysec", config: { requirepass: PASSWORD } });
    t.after(() => server.stop());
    const folder = await cliFolder({ REDIS_PASSWORD: PASSWORD });
    t.after(() => folder.remove());
    const keys = (): Promise<unknown> => server.command("KEYS", "*");
    const before = await keys();
    const args = ["demo", "--scale", "small", "--fault-demo", "--broker", `redis://127.0.0.1:${server.port}`];
    const end = await folder.run(...args, "--json", "demo.json");
    assert.equal(end.code, 0, `${end.stdout}\n${end.stderr}`);
    const report = JSON.parse(readFileSync(path.join(folder.path, "demo.json"), "utf8")) as DemoReport;
    assert.deepEqual([report.verdict, report.completed, report.duplicateCommits], ["passed", 1_000, 0]);
    assert.ok(report.takeovers >= 1);
    assert.doesNotMatch(end.stdout + end.stderr, /a:b\/c@d/);
    assert.deepEqual(await keys(), before);
  });
});
