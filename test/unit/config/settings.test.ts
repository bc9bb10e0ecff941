import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { DEFAULT_BROKER_SETTINGS } from "../../../src/broker/settings.ts";
import {
  defaultSettings,
  loadSettings,
  SETTING_NAMES,
  SETTINGS_FILE,
  type SettingsSources,
} from "../../../src/config/index.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { DEFAULT_WORKER_SETTINGS } from "../../../src/worker/worker-settings.ts";

function folderWith(t: TestContext, content: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "holdfast-settings-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, SETTINGS_FILE), content);
  return folder;
}

function isSetting(name: string): boolean {
  return (SETTING_NAMES as readonly string[]).includes(name);
}

function refusal(sources: SettingsSources): HoldfastError {
  try {
    loadSettings(sources);
  } catch (thrown) {
    assert.ok(thrown instanceof HoldfastError);
    return thrown;
  }
  assert.fail("these settings were taken");
}

describe("settings", () => {
  it("are complete and frozen when nothing is said", () => {
    const settings = defaultSettings();
    assert.equal(settings.heartbeatMs, 1_000);
    assert.equal(settings.token, undefined);
    assert.ok(Object.isFrozen(settings) && Object.isFrozen(settings.pools));
  });

  it("have the defaults of the broker and of workers", () => {
    const settings: Readonly<Record<string, unknown>> = { ...defaultSettings() };
    for (const [name, value] of Object.entries(DEFAULT_BROKER_SETTINGS)) assert.equal(settings[name], value, name);
    for (const [name, value] of Object.entries(DEFAULT_WORKER_SETTINGS)) {
      if (isSetting(name)) assert.equal(settings[name], value, name);
    }
  });

  it("take flags before the environment, the environment before the file, the file before defaults", (t) => {
    const cwd = folderWith(t, JSON.stringify({ workers: 2, concurrency: 2, prefetch: 2 }));
    const env = { HOLDFAST_CONCURRENCY: "3", HOLDFAST_PREFETCH: "3" };
    const { workers, concurrency, prefetch, graceMs } = loadSettings({
      cwd,
      env,
      flags: { prefetch: 4, workers: undefined },
    });
    assert.deepEqual({ workers, concurrency, prefetch }, { workers: 2, concurrency: 3, prefetch: 4 });
    assert.equal(graceMs, defaultSettings().graceMs);
  });

  it("of access are read, and what cannot be one is said", () => {
    const settings = loadSettings({
      env: {
        HOLDFAST_REQUIRE_TOKEN: "yes",
        HOLDFAST_TRUST_PROXY: "10.0.0.0/8, ::1",
        HOLDFAST_CORS_ORIGINS: "https://lab.example.org,http://localhost:3000",
        DISTRIBUTED_WORKER_SECRET: "shared",
        HOLDFAST_REQUESTS_PER_SECOND: "0",
      },
    });
    assert.equal(settings.requireToken, true);
    assert.deepEqual(settings.trustProxy, ["10.0.0.0/8", "::1"]);
    assert.deepEqual(settings.corsOrigins, ["https://lab.example.org", "http://localhost:3000"]);
    assert.equal(settings.workerSecret, "shared");
    assert.equal(settings.requestsPerSecond, 0);
    const byDefault = defaultSettings();
    assert.deepEqual([byDefault.requireToken, byDefault.trustProxy, byDefault.corsOrigins], [undefined, [], []]);
    for (const origin of ["*", "lab.example.org", "https://lab.example.org/", "https://*.example.org", "null"]) {
      const problem = refusal({ env: { HOLDFAST_CORS_ORIGINS: origin } });
      assert.equal(problem.code, "INVALID_SETTING", origin);
      assert.match(problem.message, /expected origins such as https:/);
    }
    const secret = refusal({ env: { HOLDFAST_WORKER_SECRET: "" } });
    assert.match(secret.message, /\[redacted\]/);
  });

  it("read text: numbers, times with and without a unit, lists", () => {
    const settings = loadSettings({
      env: {
        HOLDFAST_MAX_QUEUE_DEPTH: "1_000",
        HOLDFAST_DEAD_AFTER_MS: "1.5m",
        HOLDFAST_GRACE_MS: "250",
        HOLDFAST_POOLS: "a, b",
      },
    });
    assert.equal(settings.maxQueueDepth, 1_000);
    assert.equal(settings.deadAfterMs, 90_000);
    assert.equal(settings.graceMs, 250);
    assert.deepEqual(settings.pools, ["a", "b"]);
  });

  it("leave the rest of the environment alone", () => {
    assert.deepEqual(loadSettings({ env: { PATH: "/bin", holdfast_x: "1" } }), defaultSettings());
  });

  it("refuse a value with the place it stands in and what was expected", (t) => {
    assert.equal(
      refusal({ env: { HOLDFAST_WORKERS: "many" } }).message,
      'Setting HOLDFAST_WORKERS is "many"; expected a whole number from 1 to 1000.',
    );
    assert.match(
      refusal({ flags: { graceMs: "5 parsecs" } }).message,
      /^Setting --grace-ms is "5 parsecs"; expected a time/,
    );
    const cwd = folderWith(t, JSON.stringify({ logLevel: "loud" }));
    const inFile = refusal({ cwd });
    assert.equal(inFile.code, "INVALID_SETTING");
    assert.match(
      inFile.message,
      /^Setting logLevel in .*holdfast\.config\.json is "loud"; expected one of debug, info/,
    );
  });

  it("suggest the name that was probably meant", (t) => {
    const inEnvironment = refusal({ env: { HOLDFAST_HEARTBEET_MS: "5" } });
    assert.equal(inEnvironment.code, "UNKNOWN_SETTING");
    assert.equal(
      inEnvironment.message,
      "There is no setting HOLDFAST_HEARTBEET_MS. Did you mean HOLDFAST_HEARTBEAT_MS?",
    );
    assert.match(refusal({ cwd: folderWith(t, '{"retentoinMs":1}') }).message, /Did you mean retentionMs\?$/);
    assert.match(refusal({ cwd: folderWith(t, '{"colour":"red"}') }).message, /config\.json\.$/);
  });

  it("tell all problems at once", () => {
    const { code, message } = refusal({
      env: { HOLDFAST_WORKER: "3", HOLDFAST_PREFETCH: "-1", HOLDFAST_LOG_FORMAT: "xml" },
    });
    assert.equal(code, "INVALID_SETTINGS");
    assert.equal(message.split("\n").length, 4);
    for (const name of ["HOLDFAST_WORKER.", "HOLDFAST_PREFETCH", "HOLDFAST_LOG_FORMAT"])
      assert.ok(message.includes(name), name);
  });

  it("never repeat a secret", () => {
    const { message } = refusal({ flags: { token: ["hunter2"] } });
    assert.ok(!message.includes("hunter2"), message);
  });

  it("refuse a session that dies between two heartbeats", () => {
    assert.match(refusal({ flags: { heartbeatMs: 3_000 } }).message, /deadAfterMs \(5000\) to be at least twice/);
  });

  it("name a settings file that is no JSON object", (t) => {
    for (const content of ["{", "[]", "3"]) {
      const { code, message } = refusal({ cwd: folderWith(t, content) });
      assert.equal(code, "INVALID_SETTINGS_FILE");
      assert.ok(message.includes(SETTINGS_FILE), message);
    }
  });

  it("do without a file", (t) => {
    const cwd = folderWith(t, "{}");
    rmSync(path.join(cwd, SETTINGS_FILE));
    assert.deepEqual(loadSettings({ cwd }), defaultSettings());
  });
});
