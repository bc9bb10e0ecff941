/** The process that owns the broker's file is killed while a worker runs: the worker goes on with what it runs. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { openEmbedded } from "../../src/app/open-broker.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { eventually, handler } from "../fixtures/worker/pool-harness.ts";
import { group, submission } from "../support/submissions.ts";

/** Long enough that the owner's death and its successor's start fall well within. */
const ATTEMPT_MS = 3_000;

const children: ChildProcess[] = [];
let folder: string;

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "holdfast-owner-"));
});

after(async () => {
  for (const child of children) {
    if (child.exitCode === null && child.signalCode === null && child.kill("SIGKILL")) await once(child, "exit");
  }
  rmSync(folder, { recursive: true });
});

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(process.execPath, [siblingModule(import.meta.url, program), ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  children.push(child);
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout !== null);
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return line;
}

/** Process ids of the runs so far; each run of the task adds one. */
function runs(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8").trim().split("\n");
  } catch {
    return []; // not run yet
  }
}

test("a running attempt outlives the owner and commits once, under its first number", { timeout: 60_000 }, async () => {
  const dir = path.join(folder, "store");
  const marks = path.join(folder, "runs");
  const owner = start("../fixtures/app/owner", [dir]);
  assert.equal(await firstLine(owner), "owner");
  // This process is a guest for now, and the owner's successor.
  const broker = await openEmbedded({ dir });
  assert.equal(broker.isOwner, false);
  // One slot runs; for the other a claim waits at the owner, and nobody can know whether it was granted.
  const worker = start("../../src/app/worker-entry", ["w1"], {
    HOLDFAST_BROKER: dir,
    HOLDFAST_CONCURRENCY: "2",
    HOLDFAST_LOG_LEVEL: "error",
  });
  const work = { kind: "tasks", inputs: [JSON.stringify({ file: marks, forMs: ATTEMPT_MS })] } as const;
  const { executions } = await broker.submit({
    submissions: [submission([group(work, { handler: handler("blocks") })])],
  });
  const executionId = executions[0]?.executionId ?? "";
  await eventually(() => runs(marks).length === 1);

  owner.kill("SIGKILL");
  await once(owner, "exit");
  const { rows } = await broker.readResults({ executionId, limit: 10, waitMs: 20_000 });
  assert.equal(broker.isOwner, true);
  assert.deepEqual(
    rows.map(({ task, attempt, worker: name }) => [task, attempt, name]),
    [[0, 1, "w1"]],
  );
  const view = await broker.getExecution({ executionId });
  assert.deepEqual([view.state, view.lostAttempts, view.retries, view.refusedOutcomes], ["completed", 0, 0, 0]);
  assert.equal(runs(marks).length, 1, "it ran once");
  const { sessions } = await broker.listSessions({ limit: 10 });
  assert.deepEqual(
    sessions.map(({ worker: name, state }) => [name, state]),
    [["w1", "live"]],
  );

  worker.kill("SIGTERM");
  assert.deepEqual(await once(worker, "exit"), [0, null]);
  await broker.close();
});
