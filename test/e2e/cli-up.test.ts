/** The commands that look at and steer work, against a running `holdfast up`. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { ExecutionStatus } from "../../src/sdk/progress.ts";
import { cliFolder, type CliFolder, type CliProcess, packageUrl } from "../fixtures/cli/cli-process.ts";

const TIMEOUT_MS = 120_000;

/** Ends when the file named in GO_FILE is there; item 0 ends at once. */
const MODULE = `
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { defineTask, range, sweep } from "${packageUrl()}";
export const wait = defineTask({
  name: "wait, please",
  run: async (point: number, ctx) => {
    while (point > 0 && !existsSync(process.env["GO_FILE"] ?? "")) await delay(20, undefined, { signal: ctx.signal });
    return { double: point * 2, text: 'a "b", c' };
  },
});
export default sweep(wait, { over: range(0, 6), chunk: 1 });
`;

describe("a running holdfast up", { timeout: TIMEOUT_MS }, () => {
  let folder: CliFolder;
  let marks: CliFolder;
  let up: CliProcess;
  let id: string;
  let go: string;

  before(async () => {
    marks = await cliFolder();
    go = path.join(marks.path, "go");
    folder = await cliFolder({ GO_FILE: go });
    await writeFile(path.join(folder.path, "wait.ts"), MODULE);
    up = folder.start("up", "--workers", "2", "--listen-port", "0");
    await up.printed(/Stop +Ctrl-C/);
    const submitted = await folder.run("run", "wait.ts", "--detach");
    assert.equal(submitted.code, 0, submitted.stderr);
    id = submitted.stdout.trim();
  });
  after(async () => {
    await folder.remove();
    await marks.remove();
  });

  const json = async <T>(...args: readonly string[]): Promise<T> => {
    const end = await folder.run(...args, "--json");
    assert.equal(end.code, 0, end.stderr);
    return JSON.parse(end.stdout) as T;
  };

  test("tells how to reach its server, and keeps the token of its own folder to itself", async () => {
    const [, address = ""] = await up.printed(/Address +(http:\/\/127\.0\.0\.1:\d+)/);
    assert.equal((await fetch(`${address}/api/v1/health/live`)).status, 200);
    const note = JSON.parse(readFileSync(path.join(folder.path, ".holdfast", "owner.json"), "utf8")) as {
      readonly token: string;
      readonly url: string;
    };
    assert.notEqual(new URL(note.url).port, new URL(address).port, "the folder's own door is another one");
    const { stdout } = await up.printed(/Token +not needed/).then(() => folder.run("status"));
    assert.equal(stdout.includes(note.token), false);
  });

  test("is seen by status, with its workers and pools", async () => {
    const seen = await json<{
      executions: readonly ExecutionStatus[];
      workers: readonly { readonly state: string }[];
      pools: readonly unknown[];
    }>("status");
    assert.deepEqual(
      seen.executions.map(({ executionId }) => executionId),
      [id],
    );
    assert.equal(seen.workers.length, 2);
    assert.ok(seen.pools.length >= 1);
    const text = await folder.run("status");
    assert.match(text.stdout, new RegExp(`${id} +wait, please +sweep`));
  });

  test("shows one execution by the beginning of its id", async () => {
    const { execution } = await json<{ execution: ExecutionStatus }>("status", id.slice(0, 6));
    assert.equal(execution.executionId, id);
    assert.equal(execution.counters.total, 6);
    const text = await folder.run("status", id.slice(0, 6));
    assert.match(text.stdout, /Done +\d of 6/);
  });

  test("refuses an unknown id, and says so in JSON when asked", async () => {
    const end = await folder.run("status", "nope", "--json");
    assert.equal(end.code, 1);
    const { error } = JSON.parse(end.stderr) as { error: { readonly code: string } };
    assert.equal(error.code, "EXECUTION_NOT_FOUND");
    assert.match(
      (await folder.run("cancel", "nope")).stderr,
      /^error: There is no execution nope\. \[EXECUTION_NOT_FOUND\]\n$/,
    );
  });

  test("a second owner of the same store is refused", async () => {
    const end = await folder.run("up", "--listen-port", "0");
    assert.equal(end.code, 3);
    assert.match(end.stderr, /is in use by another process \(process \d+, ws:.*\[BROKER_OWNED\]/);
  });

  test("cancels an execution that would never end", async () => {
    const endless = (await folder.run("run", "wait.ts", "--detach")).stdout.trim();
    const { execution } = await json<{ execution: ExecutionStatus }>("cancel", endless, "--reason", "enough");
    assert.equal(execution.state, "cancelled");
    const again = await folder.run("resume", endless);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /\[EXECUTION_ENDED\]/);
  });

  test("pauses and resumes, ends, and hands out its results in three formats", async () => {
    assert.equal((await json<{ execution: ExecutionStatus }>("pause", id)).execution.state, "paused");
    assert.match((await folder.run("list", "--state", "paused")).stdout, new RegExp(id));
    assert.notEqual((await json<{ execution: ExecutionStatus }>("resume", id)).execution.state, "paused");
    await writeFile(go, "");

    const lines = await folder.run("results", id, "--follow");
    assert.equal(lines.code, 0, lines.stderr);
    assert.deepEqual(
      lines.stdout
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { readonly index: number }).index),
      [0, 1, 2, 3, 4, 5],
    );
    const csv = await folder.run("results", id, "--format", "csv", "--out", "results.csv");
    assert.equal(csv.stdout, "");
    assert.deepEqual(readFileSync(path.join(folder.path, "results.csv"), "utf8").split("\r\n").slice(0, 3), [
      "index,point,value.double,value.text",
      '0,0,0,"a ""b"", c"',
      '1,1,2,"a ""b"", c"',
    ]);
    const whole = await folder.run("results", id, "--format", "json");
    assert.equal((JSON.parse(whole.stdout) as readonly unknown[]).length, 6);
  });

  test("gets one more worker, which leaves when told", async () => {
    const worker = folder.start("worker", "--name", "extra-1", "--concurrency", "2");
    await worker.printed(/Worker extra-1 for \.holdfast, 2 attempts at a time/);
    const seen = async (): Promise<boolean> => {
      const { workers } = await json<{ workers: readonly { readonly worker: string }[] }>("status");
      return workers.some((each) => each.worker === "extra-1");
    };
    while (!(await seen())) continue;
    worker.kill("SIGTERM");
    assert.equal((await worker.ended).code, 0);
  });

  test("ends in order on SIGTERM and takes its note along", async () => {
    up.kill("SIGTERM");
    const end = await up.ended;
    assert.equal(end.code, 0, end.stderr);
    assert.equal(existsSync(path.join(folder.path, ".holdfast", "owner.json")), false);
    assert.equal((await json<{ executions: readonly unknown[] }>("list")).executions.length, 2);
  });
});

describe("without a store", { timeout: TIMEOUT_MS }, () => {
  test("looking makes none, and says how to get one", async (context) => {
    const folder = await cliFolder();
    context.after(() => folder.remove());
    for (const args of [["list"], ["status"], ["results", "x"], ["cancel", "x"]]) {
      const end = await folder.run(...args);
      assert.equal(end.code, 3);
      assert.match(
        end.stderr,
        /there is no store yet; `holdfast run FILE` or `holdfast up` makes one \[BROKER_UNREACHABLE\]/,
      );
    }
    assert.equal(existsSync(path.join(folder.path, ".holdfast")), false);
  });
});
