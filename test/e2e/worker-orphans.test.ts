/** A runner does not outlive its supervisor, whatever its code is doing; nor a worker the process that it belongs to. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { eventually, isAlive } from "../fixtures/worker/pool-harness.ts";

let folder: string;

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "holdfast-orphans-"));
});

after(() => rmSync(folder, { recursive: true }));

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // not written yet
  }
}

function startSupervisor(task: string, input: object): ChildProcess {
  const program = siblingModule(import.meta.url, "../fixtures/worker/supervisor");
  return spawn(process.execPath, [program, task, JSON.stringify(input)], { stdio: "inherit" });
}

for (const { what, task } of [
  { what: "blocks its event loop", task: "blocks" },
  { what: "waits", task: "hangs" },
]) {
  test(`a runner whose code ${what} dies with a supervisor that was killed`, { timeout: 20_000 }, async () => {
    const file = path.join(folder, task);
    const supervisor = startSupervisor(task, { file });
    await eventually(() => contentOf(file).endsWith("\n"));
    const runner = Number(contentOf(file));
    assert.ok(isAlive(runner));
    const since = performance.now();
    supervisor.kill("SIGKILL");
    await eventually(() => !isAlive(runner));
    console.log(`${task}: the runner was gone ${(performance.now() - since).toFixed(0)} ms after its supervisor`);
  });
}

test("what user code has started dies as well", { timeout: 20_000 }, async () => {
  const file = path.join(folder, "tree");
  const supervisor = startSupervisor("starts-child", { block: true, file });
  await eventually(() => contentOf(file).split("\n").length === 3);
  const pids = contentOf(file).trim().split("\n").map(Number);
  assert.deepEqual(pids.map(isAlive), [true, true]);
  supervisor.kill("SIGKILL");
  await eventually(() => !pids.some(isAlive));
});

test("a worker that has not found its broker yet leaves with its parent", { timeout: 20_000 }, async () => {
  const program = siblingModule(import.meta.url, "../../src/app/worker-entry");
  const environment = { HOLDFAST_BROKER: "ws://127.0.0.1:1", HOLDFAST_TOKEN: "a-token", HOLDFAST_LOG_LEVEL: "warn" };
  const worker = spawn(process.execPath, [program, "w1"], {
    env: { ...process.env, ...environment },
    stdio: ["pipe", "ignore", "pipe"],
  });
  let told = "";
  worker.stderr.setEncoding("utf8").on("data", (text: string) => {
    told += text;
  });
  const ended = once(worker, "close");
  // What a parent's death does.
  worker.stdin.end();
  assert.deepEqual(await ended, [3, null]);
  assert.match(told, /the process that started this worker is gone/);
});
