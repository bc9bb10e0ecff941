/** Workers in other languages, as the documentation has them: run for real against a real server. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import type { ExecutionView } from "../../src/broker/contract.ts";
import { startCoordinator } from "../../src/coordinator/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { eventually } from "../fixtures/sdk/scratch.ts";
import { type HttpWorld, startHttpWorld } from "../support/http-server.ts";
import { read, ROOT } from "../tidy/repository.ts";

const TIMEOUT_MS = 120_000;
const PYTHON_WORKER = path.join(ROOT, "examples/http-worker/worker.py");

interface Job {
  readonly id: string;
  readonly type: string;
  readonly dependsOn?: readonly string[];
  readonly config?: object;
  readonly retryConfig?: object;
}

/** A server with the duties that find out who is dead. */
async function startWorld(t: TestContext, store: "sqlite" | "redis" = "sqlite"): Promise<HttpWorld> {
  const world = await startHttpWorld(t, { store, settings: { heartbeatMs: 250, deadAfterMs: 1_500 } });
  const coordinator = startCoordinator({
    broker: world.broker,
    clock: systemClock({ keepAlive: true }),
    random: Math.random,
    logger: silentLogger,
    holder: "test",
  });
  t.after(() => coordinator.stop());
  return world;
}

/** A program that is dead by the time the test is over. */
function start(t: TestContext, command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: "inherit", detached: true });
  const exited = once(child, "exit");
  t.after(async () => {
    // With what it has started.
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
      process.kill(-child.pid, "SIGKILL");
    await exited;
  });
  return child;
}

function python(t: TestContext, world: HttpWorld, id: string): ChildProcess {
  return start(t, ["python3", PYTHON_WORKER], { HOLDFAST_URL: world.url, WORKER_ID: id });
}

async function execute(world: HttpWorld, jobs: readonly Job[]): Promise<string> {
  const reply = await world.expect<{ executionId: string }>(202, "POST /execute", { workflowId: "test", jobs });
  return reply.executionId;
}

function ended(world: HttpWorld, executionId: string): Promise<ExecutionView> {
  return eventually("the execution has ended", async () => {
    const view = await world.broker.getExecution({ executionId });
    return view.endedAt !== undefined && view;
  });
}

/** By task number. */
async function resultsOf(world: HttpWorld, executionId: string): Promise<Map<number, unknown>> {
  const { rows } = await world.broker.readResults({ executionId, limit: 1_000 });
  return new Map(rows.map(({ task, result }) => [task, JSON.parse(result ?? "null") as unknown]));
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "holdfast-http-worker-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The shell blocks of a page. */
function shellOf(page: string): string[] {
  return [...read(page).matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, code = ""]) => code);
}

describe("the example worker in Python", { timeout: TIMEOUT_MS }, () => {
  for (const store of ["sqlite", "redis"] as const) {
    it(`does a hundred jobs with a failing one, and one that is killed is replaced by another (${store})`, async (t) => {
      const world = await startWorld(t, store);
      const slow = 60;
      const jobs = Array.from({ length: 100 }, (_, index): Job => {
        const id = `job-${index}`;
        if (index === slow) return { id, type: "sleep", config: { s: 1.5 } };
        if (index === 7) return { id, type: "flaky", retryConfig: { retryDelayMs: 10 } };
        return { id, type: "square", config: { x: index } };
      });
      const executionId = await execute(world, jobs);
      const doomed = python(t, world, "doomed");
      await eventually("it is in the middle of the slow one", async () => {
        const { tasks } = await world.broker.listTasks({ executionId, after: slow - 1, limit: 1 });
        return tasks[0]?.state === "running";
      });
      doomed.kill("SIGKILL");
      const heir = python(t, world, "heir");
      const view = await ended(world, executionId);
      assert.deepEqual(
        [view.state, view.counters.completed, view.lostAttempts, view.retries],
        ["completed", 100, 1, 1],
      );
      const results = await resultsOf(world, executionId);
      const expected = jobs.map(({ type }, index) => (type === "square" ? index ** 2 : type === "flaky" ? 1 : null));
      assert.deepEqual(
        [...expected.keys()].map((task) => results.get(task)),
        expected,
      );
      const { attempts } = await world.broker.listAttempts({ executionId, task: 7, limit: 10 });
      const failure = attempts.find(({ outcome }) => outcome === "failed")?.failure;
      assert.match(failure?.message ?? "", /division by zero/);
      assert.match(failure?.stack ?? "", /Traceback/);
      // Asked to go, it leaves in order.
      heir.kill("SIGTERM");
      const [code] = (await once(heir, "exit")) as [number];
      assert.equal(code, 0);
      await world.expect(404, "GET /workers/heir");
    });
  }

  it("stops what was cancelled, does ranges of sweeps, and goes when it is asked to", async (t) => {
    const world = await startWorld(t);
    const worker = python(t, world, "w");
    const endless = await execute(world, [{ id: "endless", type: "sleep", config: { s: 3_600 } }]);
    await eventually(
      "it runs",
      async () => (await world.broker.getExecution({ executionId: endless })).counters.running === 1,
    );
    await world.broker.cancel({ executionId: endless });
    const { executionId } = await world.expect<{ executionId: string }>(202, "POST /executions", {
      name: "squares",
      kind: "sweep",
      groups: [
        {
          handler: { type: "square" },
          pool: "jobs",
          work: {
            kind: "array",
            length: 20,
            chunk: { kind: "fixed", size: 8 },
            results: "keep",
            source: { space: { kind: "grid", dimensions: { x: { kind: "range", start: 0, stop: 20, step: 1 } } } },
          },
        },
      ],
    });
    assert.equal((await ended(world, executionId)).state, "completed");
    const { rows } = await world.broker.readResults({ executionId, limit: 10 });
    const values = rows
      .toSorted((one, other) => (one.start ?? 0) - (other.start ?? 0))
      .flatMap((row) => JSON.parse(row.values ?? "[]") as number[]);
    assert.deepEqual(
      values,
      Array.from({ length: 20 }, (_, x) => x * x),
    );
    await world.expect(200, "POST /workers/w/drain");
    const [code] = (await once(worker, "exit")) as [number];
    assert.equal(code, 0);
  });

  it("registers again when it was given up, and works on", async (t) => {
    const world = await startWorld(t);
    python(t, world, "w");
    const openedAt = async (): Promise<number | undefined> => {
      const { sessions } = await world.broker.listSessions({ limit: 10, live: true });
      return sessions.find((session) => session.worker === "w")?.openedAt;
    };
    const first = await eventually("it has come", openedAt);
    await world.expect(200, "DELETE /workers/w");
    await eventually("it has come again", async () => ((await openedAt()) ?? first) > first);
    const executionId = await execute(world, [{ id: "a", type: "square", config: { x: 12 } }]);
    await ended(world, executionId);
    assert.deepEqual([...(await resultsOf(world, executionId)).values()], [144]);
  });
});

describe("the loop in a shell", { timeout: TIMEOUT_MS }, () => {
  it("works call by call, as the page has it", async (t) => {
    const world = await startWorld(t);
    const executionId = await execute(world, [{ id: "a", type: "train" }]);
    const calls = shellOf("docs/http-workers.md");
    assert.ok(calls.length >= 5);
    await promisify(execFile)("bash", ["-euc", calls.join("\n")], {
      cwd: await temporaryFolder(t),
      env: { ...process.env, HOLDFAST_URL: world.url },
    });
    assert.equal((await world.broker.getExecution({ executionId })).state, "completed");
    assert.deepEqual([...(await resultsOf(world, executionId)).values()], [{ accuracy: 0.97 }]);
    await world.expect(404, "GET /workers/w1");
  });

  it("goes round and round, as the example's script", async (t) => {
    const world = await startWorld(t);
    const folder = await temporaryFolder(t);
    const [script = ""] = shellOf("examples/http-worker/README.md");
    const program =
      '#!/bin/bash\ntee -a inputs | jq --exit-status "if .config.ok then .config.x * 2 else error(1) end" 2> /dev/null\n';
    await writeFile(path.join(folder, "worker.sh"), script);
    await writeFile(path.join(folder, "run.sh"), program, { mode: 0o755 });
    const executionId = await execute(world, [
      ...[1, 2, 3].map((x) => ({ id: `job-${x}`, type: "double", config: { ok: true, x } })),
      { id: "bad", type: "double", config: { ok: false }, retryConfig: { maxRetries: 0 } },
    ]);
    const worker = start(t, ["bash", "-c", 'cd "$0" && exec bash worker.sh', folder], {
      HOLDFAST_URL: world.url,
      WORKER_ID: "shell",
      RUN: path.join(folder, "run.sh"),
    });
    const view = await ended(world, executionId);
    assert.deepEqual([view.counters.completed, view.counters.failed, view.lostAttempts], [3, 1, 0]);
    assert.deepEqual(new Set((await resultsOf(world, executionId)).values()), new Set([2, 4, 6]));
    assert.match(await readFile(path.join(folder, "inputs"), "utf8"), /"workflowId"/);
    worker.kill("SIGTERM");
    await once(worker, "exit");
    await eventually("it has left", async () => (await world.call("GET /workers/shell")).status === 404);
  });
});
