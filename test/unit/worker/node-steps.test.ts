/** What each kind of node does, but for commands (node-commands.test.ts). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_PAYLOAD, MAX_TASKS_PER_CALL } from "../../../src/broker/limits.ts";
import { MAX_NAME } from "../../../src/broker/schema-parts.ts";
import type { TaskGroup } from "../../../src/broker/contract.ts";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import type { CompensateStep, GroupHead, Json, NodeInput, WorkflowStep } from "../../../src/sdk/workflow/node.ts";
import { MAX_LABEL } from "../../../src/worker/runner/suspension.ts";
import { runTask } from "../../../src/worker/runner/task-run.ts";
import { addedBy, failureOf, nodeJob, outputOf, runNode, suspensionOf } from "../../fixtures/worker/node-job.ts";

const head: GroupHead = {
  name: "item",
  handler: '{"kind":"node","does":{"kind":"replay"}}',
  pool: "default",
  requires: [],
  retry: DEFAULT_RETRY,
  maxLosses: 3,
};

function group(
  inputs: readonly NodeInput[],
  rest: { readonly after?: number[][]; readonly ranks?: number[] } = {},
): TaskGroup {
  return { ...head, work: { kind: "tasks", inputs: inputs.map((input) => JSON.stringify(input)), ...rest } };
}

// ── map ───────────────────────────────────────────────────────────────────────────────────────

test("a map adds a task per entry of its list, named and ranked like itself", async () => {
  const input = { node: "qa/tests", outputs: { plan: -1 }, input: { $output: ["plan", "cases"] } as Json, rank: 7 };
  const run = { does: { kind: "map", each: head }, input, parents: { 9: { cases: ["a", { b: 1 }] } } } as const;
  const added = await addedBy(run);
  assert.deepEqual(added.labels, ["qa/tests[0]", "qa/tests[1]"]);
  assert.deepEqual(added.inputs, [
    { node: "qa/tests[0]", input: "a", rank: 7 },
    { node: "qa/tests[1]", input: { b: 1 }, rank: 7 },
  ]);
  assert.deepEqual(added.ranks, [7, 7]);
  assert.deepEqual(added.handlers, [head.handler]);
});

test("a map's input is filled in with the item and with outputs, and data that look like a template stay data", async () => {
  const template = { item: { $input: [] }, name: { $input: ["name"] }, of: { $output: ["up"] } };
  const added = await addedBy({
    does: { kind: "map", each: head, input: template },
    input: { outputs: { up: -1 }, input: [{ name: "x" }, { $output: ["up"] }] },
    parents: { 9: 5 },
  });
  const [first, second] = added.inputs as { readonly input: Json }[];
  assert.deepEqual(first?.input, { item: { name: "x" }, name: "x", of: 5 });
  assert.deepEqual(second?.input, { item: 5, name: null, of: 5 });
});

test("an item that looks like a reference reaches its task as it is", async () => {
  const item = { $output: ["secret"] };
  const added = await addedBy({
    does: { kind: "map", each: head },
    input: { outputs: { list: -1 }, input: { $output: ["list"] } },
    parents: { 9: [item] },
  });
  assert.deepEqual((added.inputs[0] as NodeInput).input, { $literal: item });
});

test("a map that goes on has the outputs of what it added, null where there is none", async () => {
  const resumed = { state: "null", first: 20, count: 3 };
  const output = await outputOf({ does: { kind: "map", each: head }, resumed, parents: { 9: [1], 20: "a", 22: null } });
  assert.deepEqual(output, ["a", null, null]);
});

test("a map over an empty list has an empty output at once", async () => {
  assert.deepEqual(await outputOf({ does: { kind: "map", each: head }, input: { input: [] } }), []);
});

for (const { what, input, code, problem } of [
  { what: "no list", input: { a: 1 }, code: "NODE_FAILED", problem: /Node n: .*list, but was given \{"a":1\}/ },
  {
    what: "too long a list",
    input: Array(MAX_TASKS_PER_CALL + 1).fill(0),
    code: "BATCH_TOO_LARGE",
    problem: /node n adds/,
  },
  {
    what: "too large an item",
    input: ["x".repeat(MAX_PAYLOAD)],
    code: "PAYLOAD_TOO_LARGE",
    problem: /input of n\[0\]/,
  },
  {
    what: "too large a list",
    input: Array(11).fill("x".repeat(MAX_PAYLOAD - 100)),
    code: "PAYLOAD_TOO_LARGE",
    problem: /What node n adds is 9\d* bytes/,
  },
] as const) {
  test(`a map over ${what} fails, and is not tried again`, async () => {
    const run = {
      does: { kind: "map", each: head },
      input: { outputs: { up: -1 }, input: { $output: ["up"] } },
      parents: { 9: input },
    } as const;
    const failure = await failureOf(run);
    assert.deepEqual([failure.code, failure.class], [code, "invalid-input"], failure.message);
    assert.match(failure.message, problem);
  });
}

test("names that the broker would refuse are a failure", async () => {
  assert.equal(MAX_LABEL, MAX_NAME);
  const failure = await failureOf({
    does: { kind: "map", each: head },
    input: { node: "n".repeat(MAX_NAME), input: [1] },
  });
  assert.match(failure.message, /longer than 256 characters/);
});

test("a map whose outputs are too large together fails", async () => {
  const resumed = { state: "null", first: 20, count: 2 };
  const half = "x".repeat(MAX_PAYLOAD / 2);
  const failure = await failureOf({ does: { kind: "map", each: head }, resumed, parents: { 20: half, 21: half } });
  assert.equal(failure.code, "PAYLOAD_TOO_LARGE");
});

// ── workflow ──────────────────────────────────────────────────────────────────────────────────

const inner: WorkflowStep = {
  kind: "workflow",
  groups: [
    group([{ node: "a", input: { tag: { $input: ["tag"] }, own: { $output: ["x"] } } }], { ranks: [30] }),
    group(
      [
        { node: "b", outputs: { a: -1 }, input: { $output: ["a"] }, rank: 20, code: "b" },
        { node: "c", outputs: { a: -2 } },
      ],
      { after: [[0], [0, 1]], ranks: [20, 5] },
    ),
  ],
  nodes: ["a", "b", "c"],
  output: { all: [{ $output: ["c"] }, { $output: ["a", "deep"] }] },
};

test("a sub-workflow adds its nodes under its own name, with its input filled in and nothing else", async () => {
  const input = { node: "release", outputs: { v: -1 }, input: { tag: { $output: ["v"] } } as Json, rank: 100 };
  const added = await addedBy({ does: inner, input, parents: { 9: "1.0" } });
  assert.deepEqual(added.labels, ["release/a", "release/b", "release/c"]);
  assert.deepEqual(added.inputs, [
    { node: "release/a", input: { tag: "1.0", own: { $output: ["x"] } } },
    { node: "release/b", outputs: { a: -1 }, input: { $output: ["a"] }, rank: 90, code: "b" },
    { node: "release/c", outputs: { a: -2 } },
  ]);
  assert.deepEqual(added.after, [[], [0], [0, 1]]);
  assert.deepEqual(added.ranks, [100, 90, 75]);
});

test("an input that looks like a reference is no reference in a sub-workflow's nodes", async () => {
  const added = await addedBy({
    does: inner,
    input: { outputs: { v: -1 }, input: { $output: ["v"] } },
    parents: { 9: { tag: { $output: ["x"] } } },
  });
  assert.deepEqual((added.inputs[0] as NodeInput).input, {
    tag: { $literal: { $output: ["x"] } },
    own: { $output: ["x"] },
  });
});

test("a text in which more than the input stands is finished when its node starts", async () => {
  const text = (...parts: Json[]): NodeInput => ({ node: "a", input: { $text: parts } });
  const input = { $input: ["tag"] };
  const groups = [group([text("v", input), text("v", input, { $output: ["x"] })])];
  const added = await addedBy({ does: { ...inner, groups }, input: { input: { tag: "1.0" } } });
  const texts = added.inputs.map((given) => (given as NodeInput).input);
  assert.deepEqual(texts, ["v1.0", { $text: ["v", "1.0", { $output: ["x"] }] }]);
});

test("a sub-workflow's output is filled in from its nodes", async () => {
  const resumed = { state: "null", first: 40, count: 3 };
  const output = await outputOf({ does: inner, resumed, parents: { 40: { deep: 1 }, 41: "b", 42: ["c"] } });
  assert.deepEqual(output, { all: [["c"], 1] });
});

test("a sub-workflow's output may name its input", async () => {
  const does: WorkflowStep = { ...inner, output: { was: { $input: ["tag"] } } };
  const input = { input: { tag: "t" } };
  const { state } = await suspensionOf({ does, input });
  assert.deepEqual(await outputOf({ does, input, resumed: { state, first: 40, count: 3 }, parents: {} }), { was: "t" });
});

test("a sub-workflow without nodes has its output at once", async () => {
  const does: WorkflowStep = { kind: "workflow", groups: [], nodes: [], output: { $input: ["x"] } };
  assert.equal(await outputOf({ does, input: { input: { x: 3 } } }), 3);
});

for (const { what, does, problem } of [
  {
    what: "a node's input is none",
    does: { ...inner, groups: [group([{} as NodeInput])] },
    problem: /input\.node: is missing/,
  },
  {
    what: "an array is among its nodes",
    does: { ...inner, groups: [{ ...head, work: { kind: "array" } } as unknown as TaskGroup] },
    problem: /does\.groups/,
  },
]) {
  test(`a sub-workflow of which ${what} fails`, async () => {
    const failure = await failureOf({ does });
    assert.match(failure.message, problem);
    assert.equal(failure.class, "invalid-input");
  });
}

test("a sub-workflow whose output names a node that it does not have fails", async () => {
  const does = { ...inner, output: { $output: ["z"] } } as const;
  const failure = await failureOf({ does, resumed: { state: "null", first: 40, count: 3 }, parents: {} });
  assert.match(failure.message, /Node n: its output names node z/);
});

// ── wait ──────────────────────────────────────────────────────────────────────────────────────

test("a node waits for its signal, or for one named like itself", async () => {
  const first = await suspensionOf({ does: { kind: "wait", signal: "go", timeoutMs: 100.5 } });
  assert.deepEqual(first.until, { kind: "signal", signal: "go", timeoutMs: 101 });
  const second = await suspensionOf({ does: { kind: "wait" }, input: { node: "release/go" } });
  assert.deepEqual(second.until, { kind: "signal", signal: "release/go" });
});

test("the signal's payload is the node's output", async () => {
  const resumed = { state: "null", signal: '{"v":2}' };
  assert.deepEqual(await outputOf({ does: { kind: "wait", signal: "go" }, resumed }), { v: 2 });
});

test("an approval that approves is the output, one that does not is a failure", async () => {
  const does = { kind: "wait", signal: "ok", approval: true } as const;
  const answer = (payload: unknown): { state: string; signal: string } => ({
    state: "null",
    signal: JSON.stringify(payload),
  });
  assert.deepEqual(await outputOf({ does, resumed: answer({ approved: true, by: "ann" }) }), {
    approved: true,
    by: "ann",
  });
  const refused = await failureOf({ does, resumed: answer({ approved: false, by: "bob", comment: "too early" }) });
  assert.deepEqual(refused, {
    code: "APPROVAL_REFUSED",
    class: "invalid-input",
    message: "Node n was not approved by bob: too early.",
  });
  const unclear = await failureOf({ does, resumed: answer("yes") });
  assert.match(unclear.message, /Node n: the answer to it is "yes"; expected an object with "approved"/);
});

test("when the time is over first, the node fails, or goes on without", async () => {
  const does = { kind: "wait", signal: "go", timeoutMs: 50 } as const;
  const resumed = { state: "null" };
  const failure = await failureOf({ does, resumed });
  assert.deepEqual([failure.code, failure.class], ["SIGNAL_TIMED_OUT", "invalid-input"]);
  assert.match(failure.message, /Node n has waited 50 ms for signal go/);
  assert.equal(await outputOf({ does: { ...does, onTimeout: "continue" }, resumed }), null);
});

// ── sleep ─────────────────────────────────────────────────────────────────────────────────────

test("a sleep takes the time of its step, or of its input", async () => {
  assert.deepEqual((await suspensionOf({ does: { kind: "sleep", ms: 1.2 } })).until, { kind: "delay", delayMs: 2 });
  assert.deepEqual((await suspensionOf({ does: { kind: "sleep" }, input: { input: 30 } })).until, {
    kind: "delay",
    delayMs: 30,
  });
  assert.equal(await outputOf({ does: { kind: "sleep", ms: 0 } }), null);
  assert.equal(await outputOf({ does: { kind: "sleep", ms: 5 }, resumed: { state: "null" } }), null);
});

for (const input of [undefined, "5", -1]) {
  test(`a sleep of ${JSON.stringify(input)} fails`, async () => {
    const failure = await failureOf({ does: { kind: "sleep" }, ...(input === undefined ? {} : { input: { input } }) });
    assert.match(failure.message, /Node n: it sleeps for as long as its input says.*expected milliseconds/);
  });
}

// ── compensate ────────────────────────────────────────────────────────────────────────────────

const undo: CompensateStep = {
  kind: "compensate",
  nodes: [
    { node: "a", group: { ...head, name: "undo-a" }, after: [], input: { size: 1 } },
    { node: "b", group: { ...head, name: "undo-b" }, after: ["a"], input: { $output: ["a"] } },
    { node: "c", group: head, after: ["a"], input: null },
    { node: "d", group: head, after: ["a", "b", "c"], input: null },
  ],
  because: ["d"],
};
const outputs = { a: -4, b: -3, c: -2, d: -1 };

test("what has completed is undone newest first, each after those that came after it", async () => {
  const run = { does: undo, input: { node: "undo", outputs }, parents: { 6: "of a", 7: null, 8: "of c" } };
  const added = await addedBy(run);
  assert.deepEqual(added.labels, ["undo/c", "undo/b", "undo/a"]);
  assert.deepEqual(added.inputs, [
    { node: "undo/c", input: { input: null, output: "of c" } },
    { node: "undo/b", input: { input: "of a", output: null } },
    { node: "undo/a", input: { input: { size: 1 }, output: "of a" } },
  ]);
  assert.deepEqual(added.after, [[], [], [0, 1]]);
  const { state } = await suspensionOf(run);
  assert.deepEqual(await outputOf({ ...run, resumed: { state, first: 20, count: 3 } }), ["c", "b", "a"]);
});

test("nothing is undone when what failed is not to be undone, or nothing has completed", async () => {
  const input = { outputs };
  assert.deepEqual(await outputOf({ does: undo, input, parents: { 6: 1, 9: 1 } }), []);
  assert.deepEqual(await outputOf({ does: undo, input, parents: {} }), []);
});

// ── replay ────────────────────────────────────────────────────────────────────────────────────

test("a replay takes its time and never less, and has the output that it is told to", async () => {
  const since = performance.now();
  assert.deepEqual(await outputOf({ does: { kind: "replay" }, input: { input: { ms: 20.5 } } }), { ms: 20.5 });
  assert.ok(performance.now() - since >= 20.5);
  assert.equal(await outputOf({ does: { kind: "replay" }, input: { input: { ms: 0, outputBytes: 4 } } }), "xxxx");
});

test("a replay ends when it is told to stop", async () => {
  const job = nodeJob({ does: { kind: "replay" }, input: { input: { ms: 600_000 } } });
  const ending = runTask(job);
  assert.ok(ending instanceof Promise);
  job.control.abort(new Error("stopped"));
  const late = await ending;
  assert.equal(late.type === "failed" && late.failure.message, "stopped");
});

for (const input of [{ ms: -1 }, { ms: "5" }, { ms: 1e12 }, { ms: 0, outputBytes: MAX_PAYLOAD }]) {
  test(`a replay of ${JSON.stringify(input)} fails`, async () => {
    const ending = await runNode({ does: { kind: "replay" }, input: { input } });
    assert.ok(ending.type === "failed");
    assert.equal(ending.failure.class, "invalid-input");
  });
}

test("a step that never suspends itself does not go on", async () => {
  const failure = await failureOf({ does: { kind: "replay" }, resumed: { state: "null" } });
  assert.match(failure.message, /a replay never suspends itself/);
});
