import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import type { HoldfastError } from "../../../../src/errors/index.ts";
import { defineTask } from "../../../../src/sdk/task.ts";
import { defineWorkflow, type WorkflowDefinition } from "../../../../src/sdk/workflow.ts";
import type { NodeHandler } from "../../../../src/sdk/workflow/node.ts";
import type { PlannedNode } from "../../../../src/sdk/workflow/plan.ts";
import type { NodeHandle, NodeRef, Reference } from "../../../../src/sdk/workflow/reference.ts";
import {
  buildApi,
  deploy,
  designSchema,
  runTest,
  type Schema,
  step,
  testAll,
  undeploy,
} from "../../../fixtures/sdk/flow-tasks.ts";
import { type Same, typeIs } from "../../../fixtures/sdk/type-equality.ts";

async function refusal(definition: WorkflowDefinition): Promise<HoldfastError> {
  try {
    await definition.plan();
  } catch (thrown) {
    return thrown as HoldfastError;
  }
  return assert.fail("was not refused");
}

async function planned(definition: Pick<WorkflowDefinition, "plan">, id: string): Promise<PlannedNode> {
  const node = (await definition.plan()).nodes.find((one) => one.id === id);
  return node ?? assert.fail(`no node ${id}`);
}

function doesOf(node: PlannedNode): NodeHandler["does"] {
  return (JSON.parse(node.head.handler) as NodeHandler).does;
}

describe("the definition of a workflow", () => {
  it("passes outputs by name, by reference and in part, and waits for all that it uses", async () => {
    const release = defineWorkflow("release", (w) => {
      const schema = w.task("schema", designSchema);
      const api = w.task("api", buildApi, { after: { schema }, priority: "deployment" });
      const tests = w.map("tests", runTest, { over: api.output("testCases"), pool: "qa" });
      w.task("deploy", deploy, {
        after: [tests],
        input: { url: api.output("url"), env: "staging", tables: schema.output("tables", 0, "rows") },
      });
    });
    const api = await planned(release, "api");
    assert.deepEqual([api.after, api.uses, api.priority], [["schema"], ["schema"], 8]);
    assert.deepEqual(api.input, { node: "api", input: { schema: { $output: ["schema"] } } });
    assert.deepEqual(
      [api.head.pool, api.head.requires, api.head.timeoutMs, api.head.retry.limit],
      ["backend", ["ssd"], 30_000, 1],
    );
    const deployed = await planned(release, "deploy");
    assert.deepEqual(
      [deployed.after, deployed.uses],
      [
        ["tests", "api", "schema"],
        ["api", "schema"],
      ],
    );
    assert.deepEqual(deployed.input.input, {
      url: { $output: ["api", "url"] },
      env: "staging",
      tables: { $output: ["schema", "tables", 0, "rows"] },
    });
    const tests = await planned(release, "tests");
    assert.deepEqual([tests.input.input, tests.head.pool], [{ $output: ["api", "testCases"] }, "qa"]);
    const map = doesOf(tests);
    assert.ok(map.kind === "map");
    assert.equal((JSON.parse(map.each.handler) as NodeHandler).does.kind, "function");
  });

  it("has types that know what a node's input needs and what its output is", () => {
    const flow = defineWorkflow(
      "typed",
      (w) => {
        const schema = w.task("schema", designSchema);
        typeIs(true satisfies Same<typeof schema, NodeHandle<Schema>>);
        const version = schema.output("version");
        typeIs(true satisfies Same<typeof version, Reference<string>>);
        const rows = schema.output("tables", 0, "rows");
        typeIs(true satisfies Same<typeof rows, Reference<number>>);
        const seed = w.input("seed");
        typeIs(true satisfies Same<typeof seed, Reference<number>>);
        // @ts-expect-error: there is no such field
        schema.output("tabels");
        // @ts-expect-error: a list has no names
        schema.output("tables", "first");
        const api = w.task("api", buildApi, { after: { schema } });
        // @ts-expect-error: the input needs a schema
        w.task("a", buildApi);
        // @ts-expect-error: likewise
        w.task("b", buildApi, { after: [schema] });
        // @ts-expect-error: a url is no schema
        w.task("c", buildApi, { after: { schema: api } });
        // @ts-expect-error: nothing of the input is called so
        w.task("d", buildApi, { after: { shema: schema } });
        // @ts-expect-error: env and tables are missing
        w.task("e", deploy, { input: { url: api.output("url") } });
        // @ts-expect-error: a version is no number of tables
        w.task("f", deploy, { input: { url: api.output("url"), env: "staging", tables: version } });
        // @ts-expect-error: no such environment
        w.task("g", deploy, { input: { url: api.output("url"), env: "stage", tables: 1 } });
        w.task("h", deploy, { input: { url: "x", env: "staging", tables: rows } });
        // @ts-expect-error: tables are no test cases
        w.map("i", runTest, { over: schema.output("tables") });
        const tests = w.map("j", runTest, { over: api.output("testCases") });
        typeIs(true satisfies Same<typeof tests, NodeHandle<readonly { name: string; passed: boolean }[]>>);
        w.map("k", runTest, {
          over: schema.output("tables"),
          input: (table) => ({ name: table.at("name"), deep: true }),
        });
        const tables = schema.output("tables");
        // @ts-expect-error: a name is no flag
        w.map("l", runTest, { over: tables, input: (one) => ({ name: "x", deep: one.at("name") }) });
        const text = w.command("m", "date");
        typeIs(true satisfies Same<typeof text, NodeHandle<string>>);
        const lines = w.command("n", ["ls", "-1"], { output: "lines" });
        typeIs(true satisfies Same<typeof lines, NodeHandle<readonly string[]>>);
        const all = w.workflow("o", testAll, { input: { cases: api.output("testCases"), label: "x" } });
        const label = all.output("label");
        typeIs(true satisfies Same<typeof label, Reference<string>>);
        // @ts-expect-error: the workflow needs a label
        w.workflow("p", testAll, { input: { cases: api.output("testCases") } });
        w.sleep("q", rows);
        // @ts-expect-error: a text from an output is no time
        w.sleep("r", version);
        return { url: api.output("url"), tests };
      },
      { input: z.object({ seed: z.number() }) },
    );
    // @ts-expect-error: a seed is a number
    flow.with({ seed: "1" });
    interface Answer {
      readonly url: string;
      readonly tests: readonly { name: string; passed: boolean }[];
    }
    typeIs(true satisfies Same<typeof flow, WorkflowDefinition<{ seed: number }, Answer>>);
  });

  it("has types that know which outputs may be missing", () => {
    defineWorkflow("missing", (w) => {
      const may = w.task("a", designSchema, { onFailure: "continue" });
      typeIs(true satisfies Same<typeof may, NodeHandle<Schema | null>>);
      const version = may.output("version");
      typeIs(true satisfies Same<typeof version, Reference<string | null>>);
      // @ts-expect-error: there may be none
      w.task("b", buildApi, { after: { schema: may } });
      const left = w.command("c", "ls", { output: "lines", condition: "false", onSkip: "release" });
      typeIs(true satisfies Same<typeof left, NodeHandle<readonly string[] | null>>);
      const must = w.task("d", designSchema, { onFailure: "fail", onSkip: "skip" });
      typeIs(true satisfies Same<typeof must, NodeHandle<Schema>>);
      const cases = [{ name: "a", deep: true }];
      const some = w.map("e", runTest, { over: cases, continueOnFailure: true });
      typeIs(true satisfies Same<typeof some, NodeHandle<readonly ({ name: string; passed: boolean } | null)[]>>);
      const none = w.map("f", runTest, { over: cases, onFailure: "continue" });
      typeIs(true satisfies Same<typeof none, NodeHandle<readonly { name: string; passed: boolean }[] | null>>);
    });
  });

  it("tells everything that is wrong at once, each with the node and the field", async () => {
    const homeless = defineTask({ name: "homeless", module: "", run: () => null });
    const other = defineWorkflow("other", (w) => w.task("theirs", step));
    let theirs: NodeRef | undefined;
    const lender = defineWorkflow("lender", (w) => {
      theirs = w.task("lent", step);
    });
    await lender.plan();
    const broken = defineWorkflow("broken", (w) => {
      const first = w.task("first", step);
      w.task("first", step, { after: [first] });
      w.task("bad id", step);
      w.task("own", deploy, { input: { url: "x", env: "staging", tables: 1 }, timeout: "3 weeks" as "3m", pool: "*" });
      w.task("wrong", runTest, { input: { name: 3 as unknown as string, deep: true } });
      w.task("foreign", step, { after: [theirs ?? assert.fail()] });
      w.task("function", step, { input: { when: () => 1 } });
      w.task("judged", step, { after: [first], condition: "outputs.frist.passed == " });
      w.task("choice", step, { onSkip: "drop" as "skip", onFailure: "ignore" as "fail", priority: 11 as 10 });
      w.map("all", other, { over: "abc" as unknown as [] });
      w.workflow("nothing", other.name as unknown as typeof other);
      assert.equal(homeless.module, "");
    });
    const { code, message } = await refusal(broken);
    assert.equal(code, "INVALID_WORKFLOW");
    for (const expected of [
      'nodes.first is "first", as is the id of nodes[0]; ids must differ',
      'nodes.bad id has the id "bad id"; expected letters, digits',
      'nodes.own.timeout is "3 weeks"; expected a duration',
      'nodes.own.pool is "*"; expected the name of a pool',
      "nodes.wrong.input.name Invalid input: expected string",
      "nodes.foreign.after[0] is node lent of another workflow",
      "nodes.function.input.when is a function; expected JSON",
      'nodes.judged uses "frist", and there is no such node; did you mean "first"?',
      "nodes.judged.condition is no condition",
      'nodes.choice.onSkip is "drop"; expected skip or release',
      'nodes.choice.onFailure is "ignore"; expected fail, continue or compensate',
      "nodes.choice.priority is 11; expected 1 to 10",
      'nodes.all.over is "abc"; expected a list',
      'nodes.nothing runs "other"; expected a workflow',
    ])
      assert.ok(message.includes(expected), `${expected}\n  is not told by\n${message}`);
  });

  it("refuses what is no workflow", async () => {
    const nested: WorkflowDefinition = defineWorkflow("nested", (w) => {
      w.workflow("again", nested);
    });
    assert.match((await refusal(nested)).message, /nodes contain the workflow itself/);
    assert.match((await refusal(defineWorkflow("empty", () => undefined))).message, /nodes is empty/);
    assert.match((await refusal(defineWorkflow("late", async () => undefined))).message, /async function/);
    assert.throws(() => defineWorkflow(" ", () => undefined), /name of a workflow/);
    assert.throws(() => defineWorkflow("x", () => undefined, { priority: 12 as 1 }), /priority of workflow x/);
  });

  it("takes an input, checked by its schema and filled in before it is submitted", async () => {
    const all = await planned(testAll.with({ cases: [{ name: "a", deep: false }], label: "x" }), "tests");
    assert.deepEqual(all.input.input, [{ name: "a", deep: false }]);
    await assert.rejects(testAll.plan(), { code: "INVALID_INPUT" });
    await assert.rejects(
      testAll.with({ cases: [{ name: "a" } as never], label: "x" }).plan(),
      /input\.cases\[0\]\.deep/,
    );
    const echo = defineWorkflow("echo", (w) => w.task("echo", step, { input: { as: w.input() } }));
    const tricky = await planned(echo.with({ $output: ["echo"] }), "echo");
    assert.deepEqual(tricky.input.input, { as: { $literal: { $output: ["echo"] } } });
  });

  it("keeps an object of the user's that looks like a reference from being taken for one", async () => {
    const flow = defineWorkflow("looks", (w) => {
      w.task("one", step, { input: { mine: { $output: "text" } } });
    });
    assert.deepEqual((await planned(flow, "one")).input.input, { mine: { $literal: { $output: "text" } } });
  });

  it("gives conditions the outputs that they need, and finds their code again", async () => {
    const flow = defineWorkflow("judging", (w) => {
      const tests = w.task("tests", designSchema);
      w.task("lint", step);
      w.task("ship", step, {
        after: [tests],
        condition: 'outputs["lint"] == null && outputs.tests.version == "outputs.no"',
        onSkip: "release",
      });
      w.task("code", step, { after: [tests], condition: ({ outputs }) => outputs["tests"] !== null });
    });
    const ship = await planned(flow, "ship");
    assert.deepEqual([ship.after, ship.uses, ship.input.onSkip], [["tests", "lint"], ["tests", "lint"], "release"]);
    assert.equal(ship.input.condition?.kind, "expression");
    const code = await planned(flow, "code");
    assert.deepEqual([code.input.condition, code.input.code], [{ kind: "code" }, "code"]);
    const { workflow } = JSON.parse(code.head.handler) as NodeHandler;
    assert.deepEqual(workflow, { module: import.meta.url, name: "judging" });
    const found = (
      flow as unknown as { code(node: string): { condition: (facts: unknown) => boolean } | undefined }
    ).code("code");
    assert.equal(found?.condition({ outputs: { tests: 1 }, input: null }), true);
  });

  it("embeds a sub-workflow with its nodes numbered from its first", async () => {
    const inner = defineWorkflow(
      "inner",
      (w) => {
        const one = w.task("one", step, { input: { seed: w.input("seed") } });
        const two = w.task("two", step, { after: [one], pool: "qa" });
        return { last: two };
      },
      { input: z.object({ seed: z.number() }) },
    );
    const flow = defineWorkflow("outer", (w) => {
      w.workflow("part", inner, { input: { seed: 3 } });
      w.map("parts", inner, { over: [{ seed: 1 }, { seed: 2 }] });
    });
    const wrong = defineWorkflow("wrong", (w) => void w.workflow("part", inner, { input: { seed: "3" as never } }));
    assert.match((await refusal(wrong)).message, /nodes\.part\.input\.seed Invalid input: expected number/);
    const part = await planned(flow, "part");
    const does = doesOf(part);
    assert.ok(does.kind === "workflow");
    assert.deepEqual([does.nodes, does.output, part.addsTasks], [["one", "two"], { last: { $output: ["two"] } }, true]);
    assert.deepEqual(
      does.groups.map(({ pool, work }) => [
        pool,
        work.kind === "tasks" ? [work.labels, work.after, work.inputs] : work,
      ]),
      [
        ["default", [["one"], [[]], ['{"node":"one","input":{"seed":{"$input":["seed"]}}}']]],
        ["qa", [["two"], [[0]], ['{"node":"two"}']]],
      ],
    );
    assert.deepEqual(part.estimateMs, 2_000);
    const map = doesOf(await planned(flow, "parts"));
    assert.equal(map.kind === "map" && (JSON.parse(map.each.handler) as NodeHandler).does.kind, "workflow");
    assert.deepEqual(flow.needs, [
      { pool: "default", requires: [] },
      { pool: "qa", requires: [] },
    ]);
  });

  it("undoes with one task at the end, which knows what came after what", async () => {
    const flow = defineWorkflow("saga", (w) => {
      const book = w.task("book", step, { compensate: undeploy, input: { for: "me" } });
      const pay = w.task("pay", step, { after: [book], compensate: undeploy });
      w.task("ship", step, { after: [pay], onFailure: "compensate" });
    });
    const plan = await flow.plan();
    assert.deepEqual([plan.maxFailures, plan.compensation?.head.when], [undefined, "failed"]);
    assert.deepEqual(plan.compensation?.uses, ["ship", "book", "pay"]);
    const does = doesOf(plan.compensation ?? assert.fail());
    assert.ok(does.kind === "compensate");
    assert.deepEqual(does.because, ["ship"]);
    assert.deepEqual(
      does.nodes.map(({ node, after, input }) => [node, after, input]),
      [
        ["book", [], { for: "me" }],
        ["pay", ["book"], null],
      ],
    );
    const part = defineWorkflow("part-of", (w) => void w.workflow("saga", flow));
    assert.match((await refusal(part)).message, /only the workflow that is submitted can/);
  });

  it("waits for signals, approvals and time", async () => {
    const flow = defineWorkflow("waiting", (w) => {
      const ok = w.approval("ok", { timeout: "1h", onTimeout: "continue" });
      const data = w.signal<{ ms: number }>("data", { name: "upload" });
      w.sleep("long", "2h", { after: [ok] });
      w.sleep("short", data.output("ms"));
    });
    assert.deepEqual(doesOf(await planned(flow, "ok")), {
      kind: "wait",
      approval: true,
      timeoutMs: 3_600_000,
      onTimeout: "continue",
    });
    assert.deepEqual(doesOf(await planned(flow, "data")), { kind: "wait", signal: "upload" });
    assert.deepEqual(
      [doesOf(await planned(flow, "long")), (await planned(flow, "long")).estimateMs],
      [{ kind: "sleep", ms: 7_200_000 }, 7_200_000],
    );
    const short = await planned(flow, "short");
    assert.deepEqual([doesOf(short), short.input.input], [{ kind: "sleep" }, { $output: ["data", "ms"] }]);
  });
});
