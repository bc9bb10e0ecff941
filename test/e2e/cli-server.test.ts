/** `holdfast server` as people use it: tokens, its API, commands and workers elsewhere. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "../../src/app/connect.ts";
import { cliFolder, type CliFolder, type CliProcess, packageUrl } from "../fixtures/cli/cli-process.ts";

const TIMEOUT_MS = 120_000;

const MODULE = `
import { defineTask, range, sweep } from "${packageUrl()}";
export const double = defineTask({
  name: "double",
  run: async (point: number, ctx) => {
    await ctx.state.update("sum", (sum = 0) => sum + point);
    return point * 2;
  },
});
export default sweep(double, { over: range(0, 8), chunk: 2 });
`;

const JOBS = `
import { defineTask } from "${packageUrl()}";
export const double = defineTask({ name: "double", run: ({ config }: { config: { n: number } }) => config.n * 2 });
`;

/** `hf_ID_SECRET` */
function secretOf(token: string): string {
  return token.slice(token.indexOf("_", "hf_".length) + 1);
}

describe("a server that needs tokens", { timeout: TIMEOUT_MS }, () => {
  let home: CliFolder;
  let away: CliFolder;
  let server: CliProcess;
  let url: string;
  let admin: string;
  const started: CliFolder[] = [];

  /** A folder of somebody with this token. */
  const withToken = async (token?: string): Promise<CliFolder> => {
    const folder = await cliFolder({
      HOLDFAST_BROKER: url,
      ...(token === undefined ? {} : { HOLDFAST_TOKEN: token }),
    });
    started.push(folder);
    return folder;
  };

  before(async () => {
    home = await cliFolder();
    server = home.start("server", "--require-token", "yes", "--listen-port", "0");
    [, admin = ""] = await server.printed(/^ +(hf_\S+)$/m);
    [, url = ""] = await server.printed(/Address +(http:\/\/\S+)/);
    away = await withToken(admin);
    await writeFile(path.join(away.path, "double.ts"), MODULE);
  });
  after(async () => {
    for (const folder of started) await folder.remove();
    await home.remove();
  });

  test("lets nobody in without one, and says what is missing", async () => {
    const stranger = await withToken();
    const refused = await stranger.run("status");
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /check HOLDFAST_TOKEN.*\[UNAUTHORIZED\]/s);
    const answer = await fetch(`${url}/api/v1/executions`);
    assert.equal(answer.status, 401);
    assert.equal((await fetch(`${url}/api/v1/health/live`)).status, 200);
  });

  test("runs work for a command elsewhere, on a worker elsewhere", async () => {
    const worker = away.start("worker", "--name", "far");
    await worker.printed(/Worker far for http:/);
    const end = await away.run("run", "double.ts", "--workers", "1");
    assert.equal(end.code, 0, end.stderr);
    const [id = ""] = (await away.run("list")).stdout.match(/^\S+(?= +double)/m) ?? [];
    const results = await away.run("results", id, "--format", "ndjson");
    assert.equal(results.stdout.trim().split("\n").length, 8, results.stderr);
    assert.match((await away.run("status")).stdout, /far/);
    worker.kill("SIGTERM");
    assert.equal((await worker.ended).code, 0);
  });

  test("serves a program by its API alone: submit, results, state, locks", async () => {
    await using client = await connect(url, { token: admin });
    const { executions } = await client.list();
    const execution = await client.get(executions[0]?.executionId ?? "");
    const values: unknown[] = [];
    for await (const { value } of execution.results()) values.push(value);
    assert.deepEqual(
      values.toSorted((a, b) => Number(a) - Number(b)),
      [0, 2, 4, 6, 8, 10, 12, 14],
    );
    assert.equal(await client.state.get("sum"), 28);
    await client.state.set("a/b c", { deep: [1, "ü"] });
    assert.deepEqual(await client.state.get("a/b c"), { deep: [1, "ü"] });
    await using lock = await client.lock("report", { wait: 0 });
    await assert.rejects(client.lock("report", { wait: 0 }), { code: "LOCK_TAKEN" });
    assert.ok(lock.token > 0);
  });

  test("runs jobs that are known by their type, with the module of a worker's --jobs", async () => {
    await writeFile(path.join(away.path, "jobs.ts"), JOBS);
    const worker = away.start("worker", "--name", "jobber", "--pools", "jobs", "--jobs", "jobs.ts");
    await worker.printed(/Worker jobber/);
    const jobs = [
      { id: "a", type: "double", config: { n: 4 } },
      { id: "b", type: "double", dependsOn: ["a"], config: { n: 5 } },
    ];
    const answer = await fetch(`${url}/api/distributed/execute?wait=30s`, {
      method: "POST",
      headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
      body: JSON.stringify({ workflowId: "w", jobs }),
    });
    const { executionId, status } = (await answer.json()) as { executionId: string; status: string };
    assert.deepEqual([answer.status, status], [200, "completed"]);
    const results = await away.run("results", executionId, "--format", "ndjson");
    assert.match(results.stdout, /8[^]*10/, results.stderr);
    worker.kill("SIGTERM");
    assert.equal((await worker.ended).code, 0);
  });

  test("makes, lists and revokes tokens, each for what its role is", async () => {
    const made = await away.run("token", "create", "--name", "looker", "--role", "read");
    assert.equal(made.code, 0, made.stderr);
    const [token = ""] = made.stdout.match(/hf_[\w-]+/) ?? [];
    const looker = await withToken(token);
    assert.equal((await looker.run("status")).code, 0);
    await writeFile(path.join(looker.path, "double.ts"), MODULE);
    const refused = await looker.run("run", "double.ts", "--detach");
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /\[FORBIDDEN\]/);
    const list = await away.run("token", "list");
    assert.match(list.stdout, /looker +read/);
    assert.equal(list.stdout.includes(secretOf(token)), false, "a secret is shown once");
    const [, id = ""] = token.split("_");
    assert.equal((await away.run("token", "revoke", id)).code, 0);
    const gone = await looker.run("status");
    assert.equal(gone.code, 3, "a revocation counts within two seconds");
  });

  test("writes down who changed what, without secrets, for its user only", () => {
    const file = path.join(home.path, ".holdfast", "audit.jsonl");
    const text = readFileSync(file, "utf8");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly operation: string; readonly status: number });
    assert.ok(lines.some(({ operation }) => operation === "createToken"));
    assert.ok(lines.some(({ status }) => status === 401));
    assert.equal(text.includes(secretOf(admin)), false);
  });

  test("that listens on every interface says what others have to fill in", async () => {
    const wide = await cliFolder();
    started.push(wide);
    const open = wide.start("server", "--listen-host", "0.0.0.0", "--listen-port", "0");
    await open.printed(/Add a worker +HOLDFAST_TOKEN=… holdfast worker --broker http:\/\/HOST:\d+$/m);
    open.kill("SIGTERM");
    assert.equal((await open.ended).code, 0);
  });

  test("ends in order", async () => {
    server.kill("SIGTERM");
    const end = await server.ended;
    assert.equal(end.code, 0, end.stderr);
    assert.match(end.stdout, /Stopping/);
  });
});
