/** Nodes that run a program. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { MAX_PAYLOAD } from "../../../src/broker/limits.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import type { CommandStep, Json } from "../../../src/sdk/workflow/node.ts";
import { runTask } from "../../../src/worker/runner/task-run.ts";
import { failureOf, nodeJob, outputOf } from "../../fixtures/worker/node-job.ts";
import { eventually, failed, isAlive, lease, PoolHarness } from "../../fixtures/worker/pool-harness.ts";
import { newAttempt } from "../../../src/worker/attempt.ts";

let folder: string;

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "holdfast-commands-"));
});

after(() => rmSync(folder, { recursive: true }));

function command(text: CommandStep["command"], rest: Partial<CommandStep> = {}): CommandStep {
  return { kind: "command", command: text, ...rest };
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // not written yet
  }
}

for (const { what, text, output, expected } of [
  { what: "text", text: "printf 'one\\ntwo\\n'", output: undefined, expected: "one\ntwo" },
  { what: "lines", text: "printf 'one\\r\\n\\ntwo\\n'", output: "lines", expected: ["one", "", "two"] },
  { what: "no lines", text: "true", output: "lines", expected: [] },
  { what: "JSON", text: "echo '{\"a\": [1]}'", output: "json", expected: { a: [1] } },
  { what: "nothing that counts", text: "echo said", output: "none", expected: null },
] as const) {
  test(`what a command writes becomes its output: ${what}`, async () => {
    assert.deepEqual(await outputOf({ does: command(text, output === undefined ? {} : { output }) }), expected);
  });
}

test("a command reads its input as JSON, with outputs filled in", async () => {
  const does = command(["cat"], { output: "json" });
  const run = {
    does,
    input: { outputs: { up: -1 }, input: { got: { $output: ["up"] } } as Json },
    parents: { 9: "ü" },
  };
  assert.deepEqual(await outputOf(run), { got: "ü" });
});

test("a command that does not read its input runs all the same", async () => {
  const input = { input: "x".repeat(500_000) };
  assert.equal(await outputOf({ does: command("exec 0<&-; echo done"), input }), "done");
});

test("a command knows where it is, and has its folder and its environment", async () => {
  const text =
    'echo "$HOLDFAST_EXECUTION $HOLDFAST_NODE $HOLDFAST_ATTEMPT $HOLDFAST_WORKER $OWN"; pwd; test -n "$PATH"';
  const does = command(text, { cwd: folder, env: { OWN: "mine" }, output: "lines" });
  const [first, second] = (await outputOf({ does, input: { node: "a/b" } })) as string[];
  assert.equal(first, "e1 a/b 1 w1 mine");
  assert.ok(second?.endsWith(path.basename(folder)));
});

test("the words of a list are not read by a shell", async () => {
  assert.equal(await outputOf({ does: command(["echo", "$HOME; echo two"]) }), "$HOME; echo two");
});

for (const { what, does, failureClass, problem } of [
  {
    what: "ends with a code",
    does: command("echo why >&2; exit 3"),
    failureClass: "user-error",
    problem: /ended with exit code 3: why\.$/,
  },
  { what: "is killed", does: command("kill -9 $$"), failureClass: "user-error", problem: /was killed by SIGKILL\.$/ },
  {
    what: "is not there",
    does: command(["no-such-program"]),
    failureClass: "invalid-input",
    problem: /^no-such-program could not be started: .*not found/,
  },
  {
    what: "has no folder",
    does: command("true", { cwd: "/none" }),
    failureClass: "invalid-input",
    problem: /could not be started/,
  },
  {
    what: "cannot be a command",
    does: command(["a\0b"]),
    failureClass: "invalid-input",
    problem: /could not be started/,
  },
  {
    what: "writes no JSON",
    does: command("echo no", { output: "json" }),
    failureClass: "user-error",
    problem: /wrote no JSON to its standard output/,
  },
]) {
  test(`a command that ${what} is a failure that says so`, async () => {
    const failure = await failureOf({ does });
    assert.match(failure.message, problem);
    assert.deepEqual([failure.code, failure.class], ["COMMAND_FAILED", failureClass]);
  });
}

test("a command that writes without end is stopped", async () => {
  const failure = await failureOf({ does: command("exec yes") });
  assert.deepEqual([failure.code, failure.class], ["PAYLOAD_TOO_LARGE", "invalid-input"]);
  assert.match(failure.message, new RegExp(`limit is ${MAX_PAYLOAD}`));
});

test("nothing of a command is left when it has ended", async () => {
  const output = await outputOf({ does: command("sleep 600 & echo $!") });
  await eventually(() => !isAlive(Number(output)));
});

test("a command that is told to stop may say goodbye", async () => {
  const file = path.join(folder, "goodbye");
  const text = `trap 'echo goodbye >> ${file}; exit 0' TERM; echo $$ >> ${file}; while :; do sleep 0.01; done`;
  const job = nodeJob({ does: command(text) });
  const ending = runTask(job);
  await eventually(() => contentOf(file).endsWith("\n"));
  job.control.abort(new HoldfastError("EXECUTION_CANCELLED", { execution: "e1" }));
  const late = await ending;
  assert.equal(late.type === "failed" && late.failure.code, "EXECUTION_CANCELLED");
  assert.match(contentOf(file), /goodbye/);
});

test("a command that does not heed its timeout is killed with all that it has started", async () => {
  const harness = new PoolHarness({ settings: { graceMs: 5_000 } });
  const file = path.join(folder, "stubborn");
  const text = `trap '' TERM; sleep 600 & echo $! >> ${file}; while :; do wait; done`;
  const handler = JSON.stringify({ kind: "node", does: command(text) });
  const attempt = newAttempt(lease({ input: '{"node":"n"}' }), harness.spec("n", { handler, timeoutMs: 200 }));
  harness.pool.run([attempt]);
  assert.equal(failed(await harness.outcome(attempt)).failure.class, "timeout");
  await eventually(() => contentOf(file) !== "" && !isAlive(Number(contentOf(file))));
  await harness.close();
});

test("a command dies with its runner", async () => {
  const harness = new PoolHarness();
  const file = path.join(folder, "orphan");
  writeFileSync(file, "");
  const handler = JSON.stringify({ kind: "node", does: command(`echo $$ > ${file}; exec sleep 600`) });
  const attempt = newAttempt(lease({ input: '{"node":"n"}' }), harness.spec("n", { handler }));
  harness.pool.run([attempt]);
  await eventually(() => contentOf(file).endsWith("\n"));
  const pid = Number(contentOf(file));
  assert.ok(isAlive(pid));
  const [runner] = harness.pool.pids;
  assert.ok(runner !== undefined);
  process.kill(runner, "SIGKILL");
  assert.equal(failed(await harness.outcome(attempt)).failure.code, "RUNNER_EXITED");
  await eventually(() => !isAlive(pid));
  await harness.close();
});
