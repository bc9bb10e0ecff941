/** `holdfast run FILE` on modules as users write them, good and bad. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { RunReport } from "../../src/cli/run-report.ts";
import { cliFolder, type CliFolder, packageUrl } from "../fixtures/cli/cli-process.ts";

const TIMEOUT_MS = 120_000;
const HOLDFAST = packageUrl();

const SQUARES = `
import { defineTask, grid, range, stats, sweep, topK } from "${HOLDFAST}";
interface Point { readonly k: number; readonly kind: "a" | "b" }
export const square = defineTask({ name: "square", run: ({ k, kind }: Point) => ({ y: k * k + (kind === "b" ? 0.5 : 0) }) });
export default sweep(square, {
  over: grid({ k: range(0, 10), kind: ["a", "b"] }),
  reduce: { best: topK("y", 2), y: stats("y") },
});
`;

const WORDS = `
import { batch, defineTask } from "${HOLDFAST}";
export const shout = defineTask({
  name: "shout",
  retry: 0,
  run: (word: string) => {
    if (word === "bad") throw new TypeError("no\\u001b[31m bad words");
    return word.toUpperCase();
  },
});
export default () => batch(shout, ["a", "b", "bad", "d"]);
`;

/** Each point waits for a file, so that the test decides when work ends. */
const WAITING = `
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { count, defineTask, range, sweep } from "${HOLDFAST}";
export const wait = defineTask({
  name: "wait",
  run: async (point: number, ctx) => {
    while (point > 0 && !existsSync(process.env["GO_FILE"] ?? "")) await delay(20, undefined, { signal: ctx.signal });
    return point;
  },
});
export default sweep(wait, { over: range(0, 6), chunk: 1, reduce: count() });
`;

describe("holdfast run", { timeout: TIMEOUT_MS }, () => {
  let folder: CliFolder;

  before(async () => {
    folder = await cliFolder();
    const modules = {
      "squares.ts": SQUARES,
      "words.ts": WORDS,
      "nothing.ts": "export const x = 1;\n",
      "number.ts": "export default 5;\n",
      "syntax.ts": "const a: number = 1;\nexport default sweep(\n",
      "throws.ts": "\n\nthrow new RangeError('at the top');\n",
      "import.ts": "import './nowhere.ts';\nexport default 1;\n",
      "space.ts": `import { defineTask, range, sweep } from "${HOLDFAST}";\nexport const t = defineTask({ name: "t", run: (n: number) => n });\nexport default sweep(t, { over: range(0, 10, 0) });\n`,
    };
    await Promise.all(Object.entries(modules).map(([name, text]) => writeFile(path.join(folder.path, name), text)));
  });
  after(() => folder.remove());

  test("runs a sweep in TypeScript and prints its answer", async () => {
    const end = await folder.run("run", "squares.ts", "--workers", "2", "--json", "report.json");
    assert.equal(end.code, 0, end.stderr);
    assert.match(end.stdout, /✓ 20 of 20 points completed/);
    assert.match(end.stdout, /1\. +81\.5 +19 +k 9, kind b/);
    assert.match(end.stdout, /mean +28\.75/);
    assert.match(end.stderr, /square: 20 points, 2 workers, execution [0-9a-z]{8,}/);
    assert.match(end.stderr, /20\/20 points \(100%\)/);
    const report = JSON.parse(readFileSync(path.join(folder.path, "report.json"), "utf8")) as RunReport;
    assert.equal(report.state, "completed");
    assert.equal(report.counters.completed, 20);
    assert.deepEqual(report.failures, []);
  });

  test("tells what failed and why, and exits with 1", async () => {
    const end = await folder.run("run", "words.ts", "--workers", "1");
    assert.equal(end.code, 1);
    assert.match(end.stdout, /✗ 3 of 4 inputs completed/);
    assert.match(end.stdout, /input 2 \(bad\): TypeError: no bad words \(user-error, tried once\)/);
    assert.match(end.stdout, /0 +a +A/);
    assert.equal(end.stdout.includes("\u001b"), false);
  });

  for (const bad of [
    { file: "nowhere-at-all.ts", code: 2, says: /could not be loaded: there is no such file \[MODULE_NOT_LOADED\]/ },
    {
      file: "nothing.ts",
      code: 2,
      says: /has no default export to run; end it with `export default sweep\(.*\[NOTHING_TO_RUN\]/,
    },
    { file: "number.ts", code: 2, says: /\[NOTHING_TO_RUN\]/ },
    { file: "syntax.ts", code: 2, says: /SyntaxError: .*\(syntax\.ts:\d\) \[MODULE_NOT_LOADED\]/ },
    { file: "throws.ts", code: 2, says: /RangeError: at the top \(throws\.ts:3\) \[MODULE_NOT_LOADED\]/ },
    { file: "import.ts", code: 2, says: /Cannot find module .*nowhere\.ts.*\[MODULE_NOT_LOADED\]/ },
    { file: "space.ts", code: 2, says: /\[INVALID_SPACE\]/ },
  ]) {
    test(`refuses ${bad.file} in one sentence`, async () => {
      const end = await folder.run("run", bad.file, "--workers", "1");
      assert.equal(end.code, bad.code);
      assert.match(end.stderr, bad.says);
      assert.match(end.stderr, /^error: .*\n$/, "one line, no stack");
      assert.equal(end.stdout, "");
    });
  }

  test("HOLDFAST_DEBUG adds the stack", async () => {
    const debugging = await cliFolder({ HOLDFAST_DEBUG: "1" });
    const end = await debugging.run("run", "nowhere.ts");
    await debugging.remove();
    assert.match(end.stderr, /\[MODULE_NOT_LOADED\]\n.*\n? +at /);
  });
});

describe("Ctrl-C during holdfast run", { timeout: TIMEOUT_MS }, () => {
  test("hands work back, keeps the execution, and holdfast up goes on with it", async (context) => {
    const go = path.join(await newFolder(context), "go");
    const folder = await cliFolder({ GO_FILE: go });
    context.after(() => folder.remove());
    await writeFile(path.join(folder.path, "waiting.ts"), WAITING);

    const running = folder.start("run", "waiting.ts", "--workers", "1");
    await running.printed(/1\/6 points/);
    running.kill("SIGINT");
    await running.printed(/Stopping: what runs is finished or handed back/);
    await writeFile(go, "");
    const end = await running.ended;
    assert.equal(end.code, 130, end.stderr);
    const [, id = ""] = /execution ([0-9a-z]{8,})/.exec(end.stderr) ?? [];
    const left = JSON.parse((await folder.run("status", id, "--json")).stdout) as {
      readonly execution: { readonly state: string; readonly counters: Readonly<Record<string, number>> };
    };
    assert.equal(left.execution.state, "running");
    assert.equal(left.execution.counters["running"], 0, "nothing is held by a worker that has left");
    assert.equal(left.execution.counters["failed"], 0);

    const up = folder.start("up", "--workers", "1", "--listen-port", "0");
    await up.printed(/Ctrl-C/);
    const results = await folder.run("results", id, "--follow");
    assert.equal(results.stdout.trim().split("\n").length, 6);
    up.kill("SIGTERM");
    assert.equal((await up.ended).code, 0);
  });

  test("a second one ends it at once, and nothing committed is lost", async (context) => {
    const folder = await cliFolder({ GO_FILE: "/never" });
    context.after(() => folder.remove());
    await writeFile(path.join(folder.path, "waiting.ts"), WAITING);
    const running = folder.start("run", "waiting.ts", "--workers", "1");
    await running.printed(/1\/6 points/);
    running.kill("SIGINT");
    await running.printed(/Stopping/);
    running.kill("SIGINT");
    const end = await running.ended;
    assert.equal(end.code, 130);
    const [, id = ""] = /execution ([0-9a-z]{8,})/.exec(end.stderr) ?? [];
    const kept = await folder.run("results", id);
    assert.deepEqual(kept.stdout, '{"index":0,"point":0,"value":0}\n');
    assert.equal(existsSync(path.join(folder.path, ".holdfast", "holdfast.db")), true);
  });
});

async function newFolder(context: { after(action: () => Promise<void>): void }): Promise<string> {
  const folder = await cliFolder();
  context.after(() => folder.remove());
  return folder.path;
}
