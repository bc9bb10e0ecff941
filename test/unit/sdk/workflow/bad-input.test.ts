/** What is wrong with a workflow and can be found before it runs: told with the node and the field, and nothing of it submitted. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import type { Broker } from "../../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../../src/broker/sqlite/index.ts";
import { execute } from "../../../../src/cli/main.ts";
import { type ErrorCode, HoldfastError } from "../../../../src/errors/index.ts";
import { Client } from "../../../../src/sdk/client.ts";
import { defineWorkflow, type WorkflowBuilder, type WorkflowDefinition } from "../../../../src/sdk/workflow.ts";
import type { NodeRef } from "../../../../src/sdk/workflow/reference.ts";
import { systemClock } from "../../../../src/util/clock.ts";
import { fakeContext } from "../../../fixtures/cli/fake-context.ts";
import { deploy, runTest, step, testAll } from "../../../fixtures/sdk/flow-tasks.ts";
import { scratchFolder } from "../../../fixtures/sdk/scratch.ts";

/** What a program in JavaScript may pass. */
const idOf = (id: string): NodeRef => id as unknown as NodeRef;
const LARGE = "x".repeat(1_048_576);

type Build = (w: WorkflowBuilder) => void;

const NODES: Readonly<Record<string, readonly [Build, ...(string | RegExp)[]]>> = {
  "a cycle": [
    (w) => {
      w.task("a", step, { after: [idOf("c")] });
      w.task("b", step, { after: [idOf("a")] });
      w.task("c", step, { after: [idOf("b")] });
    },
    /nodes\.a\.after\[0\] closes a cycle: a waits for c waits for b waits for a/,
  ],
  "a node after itself": [(w) => void w.task("a", step, { after: [idOf("a")] }), /nodes\.a\.after\[0\] .*itself/],
  "a node after one that is not there": [
    (w) => {
      w.task("first", step);
      w.task("a", step, { after: [idOf("frist")] });
    },
    /nodes\.a\.after\[0\] is "frist", and there is no such node; did you mean "first"\?/,
  ],
  "two nodes with one id": [
    (w) => {
      w.task("a", step);
      w.command("a", "true");
    },
    /nodes\.a is "a", as is the id of nodes\[0\]/,
  ],
  "several of these at once": [
    (w) => {
      w.task("a", step, { after: [idOf("a")] });
      w.task("b", step, { after: [idOf("nowhere")] });
      w.task("b", step, { condition: "outputs.b ==" });
    },
    "nodes.a.after[0]",
    "nodes.b.after[0]",
    "nodes.b is",
    "nodes.b.condition",
  ],
  "an input that is too large": [
    (w) => void w.task("a", step, { input: { text: LARGE } }),
    /nodes\.a\.input is \d+ bytes; the limit is 1048576/,
  ],
  "a program that is too large": [(w) => void w.command("a", `echo ${LARGE}`), /nodes\.a takes \d+ bytes to describe/],
  "a list that is too long": [
    (w) => void w.map("a", step, { over: Array.from({ length: 20_001 }, () => 1) }),
    /nodes\.a\.over has 20001 items; at most 20000/,
  ],
  "what is no list": [
    (w) => void w.map("a", step, { over: { length: 1 } as unknown as [] }),
    /nodes\.a\.over is .*; expected a list/,
  ],
  "inputs that their tasks refuse": [
    (w) => {
      w.task("a", deploy, { input: { url: "x", env: "moon" as "staging", tables: 1 } });
      w.workflow("b", testAll, { input: { cases: [{ name: 1 as unknown as string, deep: true }], label: "x" } });
    },
    "nodes.a.input.env",
    "nodes.b.input.cases[0].name",
  ],
  "what is no JSON": [
    (w) => void w.task("a", step, { input: { big: 1n, nan: Number.NaN } }),
    "nodes.a.input.big",
    "nodes.a.input.nan",
  ],
  "workflows that may fail": [
    (w) => {
      w.workflow("a", testAll, { input: { cases: [], label: "x" }, onFailure: "continue" as "fail" });
      w.map("b", testAll, { over: [{ cases: [], label: "x" }], continueOnFailure: true });
    },
    "nodes.a.onFailure lets a workflow fail; say of its own nodes",
    "nodes.b lets a workflow fail",
  ],
};

const circular: Record<string, unknown> = {};
circular["itself"] = circular;

const taking = defineWorkflow(
  "taking",
  (w) => {
    w.task("a", runTest, { input: { name: w.input("name"), deep: true } });
  },
  { input: z.object({ name: z.string() }) },
);
const takingAnything = defineWorkflow("anything", (w) => void w.task("a", step, { input: { as: w.input() } }));

const INPUTS: Readonly<Record<string, readonly [WorkflowDefinition, ErrorCode, RegExp]>> = {
  "none, though one is needed": [taking, "INVALID_INPUT", /^input: .*; none was given$/],
  "one of another type": [taking.with({ name: 1 as never }), "INVALID_INPUT", /^input\.name: /],
  "one that is too large": [
    takingAnything.with(LARGE),
    "INVALID_WORKFLOW",
    /nodes\.a\.input is \d+ bytes; the limit is 1048576/,
  ],
  "one that is no JSON": [takingAnything.with({ n: 1n }), "INVALID_INPUT", /^input: .*BigInt/],
  "one that contains itself": [takingAnything.with(circular), "INVALID_INPUT", /^input: .*circular/],
};

describe("workflows that are wrong", () => {
  let broker: Broker;
  let client: Client;

  before(() => {
    const clock = systemClock({ keepAlive: true });
    broker = openSqliteBroker({ file: ":memory:", clock, random: Math.random, newId: randomUUID });
    client = new Client({ broker, clock });
  });

  after(() => broker.close());

  async function refusal(definition: WorkflowDefinition): Promise<HoldfastError> {
    const thrown = await client.submit(definition).then(
      () => assert.fail("was submitted"),
      (error: unknown) => error,
    );
    assert.ok(HoldfastError.is(thrown), String(thrown));
    assert.deepEqual((await broker.listExecutions({ limit: 10 })).executions, [], "something of it was submitted");
    return thrown;
  }

  for (const [what, [build, ...expected]] of Object.entries(NODES)) {
    it(`${what}: refused`, async () => {
      const { code, message } = await refusal(defineWorkflow("wrong", build));
      assert.equal(code, "INVALID_WORKFLOW");
      for (const part of expected)
        assert.ok(typeof part === "string" ? message.includes(part) : part.test(message), `${part}: ${message}`);
    });
  }

  for (const [what, [definition, code, message]] of Object.entries(INPUTS)) {
    it(`as input ${what}: refused`, async () => {
      const error = await refusal(definition);
      assert.equal(error.code, code);
      assert.match(error.message, message);
    });
  }
});

describe("workflow files that are wrong", () => {
  const FILES: Readonly<Record<string, readonly [text: string, ...RegExp[]]>> = {
    "a cycle": [
      "name: x\nnodes:\n  a: { run: 'true', after: [b] }\n  b: { run: 'true', after: [a] }\n",
      /x\.yaml:[34]:\d+: nodes\.\w\.after\[0\] .*cycle/,
    ],
    "references in programs, which take them for something of their own": [
      'name: x\nnodes:\n  a: { run: "echo ${{ input.v }}" }\n  b: { run: [echo, "${{ outputs.a }}"] }\n  c:\n    run: env\n    env: { V: "${{ input.v }}" }\n',
      /x\.yaml:3:\d+: nodes\.a\.run has \$\{\{ … \}\}, which is filled in only in inputs/,
      /x\.yaml:4:\d+: nodes\.b\.run has/,
      /x\.yaml:7:\d+: nodes\.c\.env\.V has/,
    ],
    "a file that is too large": [
      `name: x\nnodes:\n  a: { run: 'true' }\n# ${"x".repeat(16 * 1_048_576)}`,
      /at most 16777216/,
    ],
  };

  for (const [what, [text, ...expected]] of Object.entries(FILES)) {
    it(`${what}: refused with exit code 2`, async (t) => {
      const folder = await scratchFolder(t);
      await writeFile(path.join(folder, "x.yaml"), text);
      const fake = fakeContext({ HOLDFAST_BROKER: folder, COLUMNS: "400" });
      const context = { ...fake.context, workingDirectory: folder };
      assert.equal(await execute(["run", "x.yaml"], context), 2);
      for (const part of expected) assert.match(fake.stderr(), part);
    });
  }
});
