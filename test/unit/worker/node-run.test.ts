/** What a runner does before a node's step: its texts, its input, its condition. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionStep, NodeInput } from "../../../src/sdk/workflow/node.ts";
import { runTask } from "../../../src/worker/runner/task-run.ts";
import { failureOf, nodeJob, outputOf, runNode } from "../../fixtures/worker/node-job.ts";
import { fixtureUrl } from "../../fixtures/worker/pool-harness.ts";

const module = fixtureUrl("node-tasks");
const workflow = { module, name: "coded" };
const tellsAll: FunctionStep = { kind: "function", module, task: "tells-all" };

test("a task gets its input with outputs filled in, its node's id, and the outputs that it uses", async () => {
  const told = await outputOf({
    does: tellsAll,
    input: {
      node: "release/tests[3]",
      outputs: { schema: -1, api: -4 },
      input: {
        all: { $output: ["schema"] },
        second: [{ $output: ["schema", "tables", 1] }],
        none: { $output: ["api", "no", "such"] },
        plain: { $output: 1, and: 2 },
        kept: { $literal: { $output: ["schema"] } },
        text: {
          $text: ["of ", { $output: ["api"] }, "/", { $output: ["schema", "tables"] }, { $output: ["api", "no"] }],
        },
      },
    },
    parents: { 9: { tables: ["a", "b"] }, 6: 5, 3: "not used" },
  });
  assert.deepEqual(told, {
    node: "release/tests[3]",
    outputs: { schema: { tables: ["a", "b"] }, api: 5 },
    input: {
      all: { tables: ["a", "b"] },
      second: ["b"],
      none: null,
      plain: { $output: 1, and: 2 },
      kept: { $output: ["schema"] },
      text: 'of 5/["a","b"]',
    },
  });
});

test("a node that has failed and was to, or was skipped, has the output null", async () => {
  const told = await outputOf({
    does: tellsAll,
    input: { outputs: { gone: -1 }, input: { $output: ["gone"] } },
    parents: {},
  });
  assert.deepEqual(told, { node: "n", outputs: { gone: null }, input: null });
});

test("keys of an object's ancestors are not looked into", async () => {
  const input = [{ $output: ["up", "constructor"] }, { $output: ["up", "__proto__"] }, { $output: ["list", "length"] }];
  const told = await outputOf({
    does: tellsAll,
    input: { outputs: { up: -1, list: -2 }, input },
    parents: { 9: {}, 8: [1] },
  });
  assert.deepEqual((told as { input: unknown }).input, [null, null, null]);
});

test("a node whose task is loaded answers without a promise", async () => {
  const first = nodeJob({ does: { kind: "function", module, task: "adds-one" }, input: { input: 1 } });
  await runTask(first);
  const ending = runTask({ ...nodeJob({ does: tellsAll, input: { input: 4 } }), spec: first.spec });
  assert.deepEqual(ending, { type: "completed", result: "5" });
});

for (const { what, handler, problem } of [
  { what: "does nothing", handler: { kind: "node" }, problem: /^handler\.does: is missing/ },
  {
    what: "does something unknown",
    handler: { kind: "node", does: { kind: "dance" } },
    problem: /does\.kind: is "dance"/,
  },
  {
    what: "does something of every object",
    handler: { kind: "node", does: { kind: "toString" } },
    problem: /"toString"/,
  },
  {
    what: "names no task",
    handler: { kind: "node", does: { kind: "function", module } },
    problem: /^handler\.does\.task/,
  },
  {
    what: "has a head that is none",
    handler: { kind: "node", does: { kind: "map", each: {} } },
    problem: /does\.each/,
  },
  {
    what: "has groups that are none",
    handler: { kind: "node", does: { kind: "workflow", groups: [{ handler: "{}" }], nodes: [], output: null } },
    problem: /does\.groups/,
  },
  {
    what: "has its code nowhere",
    handler: { kind: "node", does: { kind: "replay" }, workflow: "w" },
    problem: /^handler\.workflow: is "w"/,
  },
]) {
  test(`a handler that ${what} is a failure that says so`, async () => {
    const job = nodeJob({ does: { kind: "replay" } });
    Object.assign(job.spec.command, { handler: JSON.stringify(handler) });
    const ending = await runTask(job);
    assert.ok(ending.type === "failed", JSON.stringify(ending));
    assert.match(ending.failure.message, problem);
    assert.equal(ending.failure.class, "invalid-input");
  });
}

for (const { what, input, problem } of [
  { what: "no id", input: { node: 1 }, problem: /^input\.node: is 1/ },
  { what: "a child among those that it uses", input: { outputs: { up: 1 } }, problem: /^input\.outputs/ },
  { what: "a condition of no kind", input: { condition: true }, problem: /^input\.condition: is true/ },
  { what: "no way to be skipped", input: { onSkip: "fail" }, problem: /^input\.onSkip: is "fail"/ },
  {
    what: "a template with a node that it does not use",
    input: { input: { $output: ["x"] } },
    problem: /Node n: it has no node x/,
  },
  { what: "a template that names nothing", input: { input: { $output: "x" } }, problem: /\$output: is no list/ },
] as readonly { what: string; input: object; problem: RegExp }[]) {
  test(`an input with ${what} is a failure that says so`, async () => {
    const failure = await failureOf({ does: tellsAll, input });
    assert.match(failure.message, problem);
    assert.equal(failure.class, "invalid-input");
  });
}

for (const { what, code, input, runs } of [
  { what: "holds", code: "sync", input: 5, runs: true },
  { what: "does not hold", code: "sync", input: 6, runs: false },
  { what: "holds later", code: "late", input: 1, runs: true },
  { what: "later does not hold", code: "late", input: 2, runs: false },
]) {
  test(`a node whose coded condition ${what} ${runs ? "runs" : "is skipped"}`, async () => {
    const node: Partial<NodeInput> = { code, condition: { kind: "code" }, outputs: { up: -1 }, input };
    const run = { does: tellsAll, workflow, input: node, parents: { 9: 5 } };
    const ending = await runNode(run);
    if (runs) assert.equal(ending.type, "completed");
    else assert.deepEqual(ending, { type: "skipped", dependents: "skip" });
  });
}

test("what a skip means to those after it is told", async () => {
  const condition = { kind: "expression", expression: "false" } as const;
  assert.deepEqual(await runNode({ does: tellsAll, input: { condition, onSkip: "release" } }), {
    type: "skipped",
    dependents: "release",
  });
});

for (const { what, input, problem } of [
  {
    what: "throws",
    input: { code: "throws" },
    problem: /condition of node n could not be judged: nothing to judge by$/,
  },
  { what: "is neither true nor false", input: { code: "unsure" }, problem: /neither true nor false/ },
]) {
  test(`a coded condition that ${what} is a failure that is not retried`, async () => {
    const failure = await failureOf({ does: tellsAll, workflow, input: { ...input, condition: { kind: "code" } } });
    assert.match(failure.message, problem);
    assert.deepEqual([failure.code, failure.class], ["CONDITION_FAILED", "invalid-input"]);
  });
}

for (const { what, code, place, problem } of [
  { what: "not there", code: "elsewhere", place: workflow, problem: /workflow coded has no condition for it/ },
  {
    what: "of a workflow that is not there",
    code: "x",
    place: { module, name: "other" },
    problem: /no workflow named other/,
  },
  {
    what: "in no module",
    code: "x",
    place: { module: "file:///none.ts", name: "w" },
    problem: /none\.ts could not be loaded/,
  },
  { what: "of no workflow", code: "x", place: undefined, problem: /nothing says where that is/ },
]) {
  test(`a coded condition that is ${what} is a failure that is not retried`, async () => {
    const input: Partial<NodeInput> = { code, condition: { kind: "code" } };
    const failure = await failureOf({ does: tellsAll, ...(place && { workflow: place }), input });
    assert.match(failure.message, problem);
    assert.equal(failure.class, "invalid-input");
  });
}

test("what a task of a node throws is its own failure", async () => {
  const failure = await failureOf({ does: { kind: "function", module, task: "fails" } });
  assert.deepEqual(failure, { code: "RangeError", class: "user-error", message: "as it should" });
});

for (const { expression, verdict } of [
  { expression: "outputs.up.count > 3", verdict: true },
  { expression: "outputs.up.count + 1 == 6 && 1 + outputs.up.count == 6", verdict: true },
  { expression: "outputs.up.count % 2 == 0", verdict: false },
  { expression: 'input.env == "production"', verdict: true },
  { expression: 'outputs["up"].names.exists(name, name.startsWith("b"))', verdict: true },
  { expression: "has(outputs.up.missing)", verdict: false },
  { expression: "outputs.gone == null", verdict: true },
]) {
  test(`${expression} is ${verdict}`, async () => {
    const ending = await runNode({
      does: tellsAll,
      input: {
        outputs: { up: -1, gone: -2 },
        input: { env: "production" },
        condition: { kind: "expression", expression },
      },
      parents: { 9: { count: 5, names: ["a", "b"] } },
    });
    assert.equal(ending.type, verdict ? "completed" : "skipped", JSON.stringify(ending));
  });
}

for (const { expression, problem } of [
  { expression: "outputs.up.count +", problem: /Unexpected token/ },
  { expression: "outputs.up.count", problem: /is a number; expected true or false/ },
  { expression: "1 + 1", problem: /is a int; expected true or false/ },
  { expression: "outputs.up.missing == 1", problem: /No such key: missing/ },
  { expression: "outputs.up.constructor == null", problem: /No such key: constructor/ },
  { expression: "process.exit()", problem: /process/ },
  { expression: `${"!".repeat(2_000)}true`, problem: /./ },
  { expression: `"${"x".repeat(20_000)}" == ""`, problem: /longer than 10000/ },
]) {
  test(`${expression.slice(0, 40)} cannot be judged`, async () => {
    const failure = await failureOf({
      does: tellsAll,
      input: { outputs: { up: -1 }, condition: { kind: "expression", expression } },
      parents: { 9: { count: 5 } },
    });
    assert.match(failure.message, /^The condition of node n could not be judged/);
    assert.match(failure.message, problem);
    assert.deepEqual([failure.code, failure.class], ["CONDITION_FAILED", "invalid-input"]);
  });
}

test("an expression that would take for ever is stopped", async () => {
  const expression = 'outputs.up.matches("(x+x+)+y")';
  const failure = await failureOf({
    does: tellsAll,
    input: { outputs: { up: -1 }, condition: { kind: "expression", expression } },
    parents: { 9: "x".repeat(50) },
  });
  assert.match(failure.message, /takes longer than 500 ms/);
  assert.equal(failure.code, "CONDITION_FAILED");
});
