/** The command line with a real Redis as the broker, and no process of ours that owns anything. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { ExecutionStatus } from "../../src/sdk/progress.ts";
import { cliFolder, type CliFolder, packageUrl } from "../fixtures/cli/cli-process.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";

const TIMEOUT_MS = 170_000;
const PASSWORD = "a:b/c@d";

/** Whoever runs point 0 first loses its worker, by the signal that the file named signal names. */
const MODULE = `
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { defineTask, range, sweep } from "${packageUrl()}";
export const double = defineTask({
  name: "double",
  run: (point: number) => {
    if (point === 0 && existsSync("signal") && !existsSync("done")) {
      writeFileSync("done", "");
      process.kill(process.ppid, readFileSync("signal", "utf8") as NodeJS.Signals);
    }
    return point * 2;
  },
});
export default sweep(double, { over: range(0, 6), chunk: 1 });
`;

interface Overview {
  readonly executions: readonly ExecutionStatus[];
  readonly workers: readonly { readonly worker: string }[];
}

describe("on a Redis with a password", { timeout: TIMEOUT_MS }, () => {
  let server: RedisServer;
  let folder: CliFolder;
  let broker: string;

  before(async () => {
    server = await startRedis({ appendonly: "everysec", config: { requirepass: PASSWORD } });
    broker = `redis://127.0.0.1:${server.port}`;
    folder = await cliFolder({ REDIS_PASSWORD: PASSWORD });
    await writeFile(path.join(folder.path, "double.ts"), MODULE);
  });
  after(async () => {
    await folder.remove();
    await server.stop();
  });

  const overview = async (): Promise<Overview> => {
    const end = await folder.run("status", "--broker", broker, "--json");
    assert.equal(end.code, 0, end.stderr);
    return JSON.parse(end.stdout) as Overview;
  };

  test("run needs nobody else, and its results are read afterwards", async () => {
    const end = await folder.run("run", "double.ts", "--workers", "2", "--broker", broker, "--json", "run.json");
    assert.equal(end.code, 0, `${end.stdout}\n${end.stderr}`);
    const { executions } = await overview();
    assert.equal(executions[0]?.state, "completed");
    const results = await folder.run("results", executions[0]?.executionId ?? "", "--broker", broker);
    assert.equal(results.stdout.trim().split("\n").length, 6, results.stderr);
    assert.match((await folder.run("list", "--broker", broker)).stdout, /completed/);
  });

  test("up says where it is and how to join, without the password", async () => {
    const up = folder.start(
      "up",
      "--workers",
      "1",
      "--listen-port",
      "0",
      "--broker",
      `redis://:${PASSWORD}@127.0.0.1:${server.port}`,
    );
    await up.printed(/Stop +Ctrl-C/);
    const [, shown = ""] = await up.printed(/Add a worker +(REDIS_PASSWORD=… holdfast worker --broker \S+)/);
    assert.equal(shown, `REDIS_PASSWORD=… holdfast worker --broker ${broker}/0`);
    const worker = folder.start("worker", "--name", "extra", "--broker", broker);
    await worker.printed(/Worker extra for redis:\/\/127\.0\.0\.1:\d+\/0, 1 attempt at a time/);
    while (!(await overview()).workers.some((each) => each.worker === "extra")) continue;
    worker.kill("SIGTERM");
    assert.equal((await worker.ended).code, 0);
    up.kill("SIGTERM");
    const end = await up.ended;
    assert.equal(end.code, 0, end.stderr);
    assert.doesNotMatch(end.stdout + end.stderr, /a:b\/c@d/);
  });

  for (const signal of ["SIGKILL", "SIGSTOP"]) {
    test(`two workers and nothing else: one takes over from the other's ${signal}, however soon it would be idle`, async () => {
      const alone = await cliFolder({
        REDIS_URL: `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}`,
        HOLDFAST_NAMESPACE: `two-workers-${signal}`,
        HOLDFAST_HEARTBEAT_MS: "250ms",
        HOLDFAST_DEAD_AFTER_MS: "2s",
        HOLDFAST_IDLE_EXIT_MS: "300ms",
      });
      try {
        await writeFile(path.join(alone.path, "double.ts"), MODULE);
        await writeFile(path.join(alone.path, "signal"), signal);
        const submitted = await alone.run("run", "double.ts", "--detach");
        assert.equal(submitted.code, 0, submitted.stderr);
        const workers = ["one", "two"].map((name) => alone.start("worker", "--name", name, "--prefetch", "0"));
        const follow = await alone.run("results", submitted.stdout.trim(), "--follow");
        assert.equal(follow.stdout.trim().split("\n").length, 6, follow.stderr);
        const first = await Promise.race(workers.map(async ({ ended }) => (await ended).code));
        const survivors =
          signal === "SIGSTOP" ? [first] : await Promise.all(workers.map(async ({ ended }) => (await ended).code));
        assert.ok(survivors.includes(0), "the survivor leaves by itself when it is idle");
      } finally {
        await alone.remove();
      }
    });
  }

  test("the doctor finds it well, and a wrong password is told without it", async () => {
    const well = await folder.run("doctor", "--broker", broker, "--json");
    assert.equal(well.code, 0, well.stdout + well.stderr);
    const { problems } = JSON.parse(well.stdout) as { problems: number };
    assert.equal(problems, 0);
    const end = await folder.run("status", "--broker", `redis://:wrong-one@127.0.0.1:${server.port}`);
    assert.equal(end.code, 3);
    assert.match(
      end.stderr,
      /check HOLDFAST_TOKEN, or for a Redis REDIS_USERNAME and REDIS_PASSWORD\. \[UNAUTHORIZED\]/,
    );
    assert.doesNotMatch(end.stderr, /wrong-one/);
  });
});
