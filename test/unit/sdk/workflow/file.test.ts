import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { HoldfastError } from "../../../../src/errors/index.ts";
import { loadWorkflowFile } from "../../../../src/sdk/workflow/file/load.ts";
import { withReferences } from "../../../../src/sdk/workflow/file/references.ts";
import { workflowJsonSchema } from "../../../../src/sdk/workflow/file/schema.ts";
import type { NodeHandler } from "../../../../src/sdk/workflow/node.ts";
import { submissionOf } from "../../../../src/sdk/workflow/submission.ts";
import { toTemplate } from "../../../../src/sdk/workflow/template.ts";

// The sources' own, as a file of a user's names it; compiled, the tests have it as JavaScript.
const TASKS = fileURLToPath(
  new URL(`../../../fixtures/sdk/flow-tasks${path.extname(import.meta.url)}`, import.meta.url),
);

describe("a workflow file", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "holdfast-flow-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function write(name: string, text: string): Promise<string> {
    const file = path.join(folder, name);
    await writeFile(file, text.replaceAll("TASKS", path.relative(folder, TASKS)));
    return file;
  }

  /** Every line of the error, without the file's name. */
  async function problemsOf(name: string, text: string): Promise<readonly string[]> {
    const file = await write(name, text);
    try {
      await loadWorkflowFile(file, { shown: name });
    } catch (thrown) {
      assert.ok(HoldfastError.is(thrown, "INVALID_WORKFLOW"), String(thrown));
      return String(thrown.details["problems"])
        .split("\n")
        .map((line) => line.replace(`${name}:`, ""));
    }
    return assert.fail("was not refused");
  }

  it("says what defineWorkflow says", async () => {
    const file = await write(
      "release.yaml",
      `
name: release
input:
  version: text
  cases: { type: list, default: [] }
pool: build
nodes:
  schema: { task: TASKS#designSchema }
  api:
    task: TASKS#buildApi
    input: { schema: "\${{ outputs.schema }}" }
    priority: deployment
    timeout: 1m
    retry: { limit: 2, base: 1s }
  tests:
    map: TASKS#runTest
    over: \${{ outputs.api.testCases }}
    input: { name: "test \${{ item.name }}", deep: true }
    continueOnFailure: true
  greet:
    run: [echo, "hi"]
    input: "\${{ input.version }} of \${{ outputs.schema.version }}"
    when: outputs.tests.size() > 0
    onSkip: release
    output: json
  part: { workflow: ./part.yaml, input: { label: x }, after: [greet] }
  ok: { approval: ok, timeout: 1h, onTimeout: continue }
  data: { signal: upload }
  pause: { sleep: "\${{ outputs.data.ms }}" }
output: { url: "\${{ outputs.api.url }}" }
`,
    );
    await write(
      "part.yaml",
      `input: { label: text }\nnodes: { one: { sleep: 1s }, two: { sleep: 2s, after: [one] } }\n`,
    );
    const flow = await loadWorkflowFile(file);
    const plan = await flow.with({ version: "2" }).plan();
    const node = (id: string) => plan.nodes.find((one) => one.id === id) ?? assert.fail(id);
    const does = (id: string) => (JSON.parse(node(id).head.handler) as NodeHandler).does;
    assert.deepEqual([plan.name, plan.maxFailures, node("schema").head.pool], ["release", 1, "build"]);
    const api = node("api");
    assert.deepEqual(
      [api.after, api.priority, api.head.timeoutMs, api.head.retry.baseMs],
      [["schema"], 8, 60_000, 1_000],
    );
    assert.deepEqual(api.input.input, { schema: { $output: ["schema"] } });
    const map = does("tests");
    assert.ok(map.kind === "map");
    assert.deepEqual(map.input, { name: { $text: ["test ", { $input: ["name"] }] }, deep: true });
    assert.equal(map.each.onFailure, "continue");
    const greet = node("greet");
    assert.deepEqual(greet.input.input, { $text: ["2", " of ", { $output: ["schema", "version"] }] });
    assert.deepEqual([greet.after, greet.input.onSkip], [["schema", "tests"], "release"]);
    assert.deepEqual(does("greet"), { kind: "command", command: ["echo", "hi"], cwd: folder, output: "json" });
    assert.equal(does("part").kind, "workflow");
    assert.deepEqual(does("ok"), {
      kind: "wait",
      signal: "ok",
      approval: true,
      timeoutMs: 3_600_000,
      onTimeout: "continue",
    });
    assert.deepEqual(node("pause").input.input, { $output: ["data", "ms"] });
    submissionOf(plan);
    await assert.rejects(flow.with({}).plan(), /input\.version/);
    await assert.rejects(flow.with({ version: "1", vresion: 2 }).plan(), /vresion/);
  });

  it("is the same in JSON", async () => {
    const file = await write(
      "flow.json",
      JSON.stringify({ nodes: { a: { sleep: "1s" }, b: { sleep: 5, after: ["a"] } } }),
    );
    const plan = await (await loadWorkflowFile(file)).plan();
    assert.deepEqual(
      [plan.name, plan.nodes.map(({ id, after: parents }) => [id, parents])],
      [
        "flow",
        [
          ["a", []],
          ["b", ["a"]],
        ],
      ],
    );
  });

  it("tells every problem with its line, what was expected and what may have been meant", async () => {
    const problems = await problemsOf(
      "wrong.yaml",
      `name: wrong
pirority: 3
nodes:
  a:
    taks: TASKS#step
  b:
    task: TASKS#stpe
    afer: [a]
`,
    );
    assert.deepEqual(problems, ['2:1: pirority is no field here; did you mean "priority"?']);
    const inNodes = await problemsOf(
      "nodes.yaml",
      `nodes:
  a:
    taks: TASKS#step
  b:
    task: TASKS#step
    afer: [a]
  c:
    task: TASKS#stpe
    priority: urgent
  d:
    task: TASKS#stpe
    after: [aa, d]
  e: { task: TASKS#runTest, input: { name: "\${{ outputs.dd.x }}", deep: true } }
  f: { task: TASKS#runTest, input: { name: 1, deep: true } }
  g: { sleep: 1s, when: "outputs.a >" }
  h: { run: x, task: y }
  i:
  j: { task: ./nowhere.ts#x }
  k: { run: date, timeout: soon }
  l: { sleep: 1s, input: 3 }
  m: { task: TASKS#step, input: "\${{ outptus.a }}" }
  o: { workflow: TASKS#step }
`,
    );
    const expected = [
      /^2:3: nodes.a does not say what it does; expected one of task, run, .*; did you mean "task"\?$/,
      /^6:5: nodes.b.afer is no field here; did you mean "after"\?$/,
      /^9:15: nodes.c.priority is "urgent"; expected .*deployment/,
      /^11:11: nodes.d.task names stpe, which .* does not export; did you mean step\?$/,
      /^13:.*: nodes.e uses "dd", and there is no such node/,
      /^14:.*: nodes.f.input.name Invalid input: expected string/,
      /^15:.*: nodes.g.when is no condition: /,
      /^16:.*: nodes.h.task is given beside run; a node does one thing|^16:.*: nodes.h.run is given beside task/,
      /^17:.*: nodes.i is null; expected what it does/,
      /^18:14: nodes.j.task names .\/nowhere.ts, and there is no such file$/,
      /^19:.*: nodes.k.timeout is "soon"; expected a duration/,
      /^20:.*: nodes.l.input is no field here; expected sleep, after/,
      /^21:.*: nodes.m.input has \$\{\{ outptus.a \}\}; expected outputs, input/,
      /^22:.*: nodes.o.workflow is a task; expected `task:` for it$/,
    ];
    for (const wanted of expected)
      assert.ok(
        inNodes.some((line) => wanted.test(line)),
        `${wanted} is not in\n${inNodes.join("\n")}`,
      );
  });

  it("tells cycles and unknown nodes at the line of the dependency", async () => {
    const problems = await problemsOf(
      "cycle.yaml",
      `nodes:
  a: { sleep: 1s, after: [c] }
  b: { sleep: 1s, after: [a] }
  c: { sleep: 1s, after: [b] }
`,
    );
    assert.deepEqual(problems, ["2:27: nodes.a.after[0] closes a cycle: a waits for c waits for b waits for a"]);
  });

  it("tells what is no YAML, and what would be too much of it", async () => {
    assert.match((await problemsOf("bad.yaml", "nodes:\n  a: [1, 2\nname: x\n"))[0] ?? "", /^3:1: /);
    assert.match(
      (await problemsOf("twice.yaml", "nodes:\n  a: { sleep: 1 }\n  a: { sleep: 1 }\n"))[0] ?? "",
      /^3:3: Map keys must be unique/,
    );
    assert.match((await problemsOf("list.yaml", "- a\n"))[0] ?? "", /expected a workflow/);
    assert.match((await problemsOf("empty.yaml", ""))[0] ?? "", /expected a workflow/);
    assert.match(
      (await problemsOf("none.yaml", "name: x\nnode:\n  a: 1\n")).join(),
      /has no nodes; did you mean "node"\?/,
    );
    for (const depth of [70, 20_000]) {
      const text = `{"nodes": ${"[".repeat(depth)}${"]".repeat(depth)}}`;
      assert.match((await problemsOf("deep.json", text))[0] ?? "", /^1:\d+: is nested deeper than 64 levels/);
    }
    const bomb = [
      "a: &a [x, x, x, x, x, x, x, x, x]",
      ...Array.from("bcdefghij", (name, at) =>
        `${name}: &${name} [${"abcdefghij"[at]}]`.replace(
          /\[(.)\]/,
          (_all, alias: string) => `[${Array(9).fill(`*${alias}`).join(", ")}]`,
        ),
      ),
    ];
    assert.match((await problemsOf("bomb.yaml", bomb.join("\n")))[0] ?? "", /alias/i);
    await assert.rejects(loadWorkflowFile(path.join(folder, "none-such.yaml")), { code: "INVALID_FILE" });
  });

  it("does not go round in circles of files", async () => {
    await write("one.yaml", "nodes: { a: { workflow: ./two.yaml } }\n");
    const problems = await problemsOf("two.yaml", "nodes: { b: { workflow: ./one.yaml } }\n");
    assert.match(problems.join("\n"), /is a part of itself: two.yaml → one.yaml → two.yaml/);
  });

  it("reads references as whole values, as parts of texts, and not where they are escaped", () => {
    const read = (text: string): unknown => {
      const problems: string[] = [];
      const problem = (_path: string, told: string): void => void problems.push(told);
      const template = toTemplate(withReferences(text, "x", problem), "x", { uses: new Set(), owner: {}, problem });
      return problems.length > 0 ? problems : template;
    };
    assert.deepEqual(read('${{ outputs.a-b.list[0]["any name"].x }}'), {
      $output: ["a-b", "list", 0, "any name", "x"],
    });
    assert.deepEqual(read("${{outputs['a.b']}}"), { $output: ["a.b"] });
    assert.deepEqual(read("a ${{ input }} b"), { $text: ["a ", { $input: [] }, " b"] });
    assert.deepEqual(read("cost: $${{ x }}"), "cost: ${{ x }}");
    assert.deepEqual(read("plain"), "plain");
    for (const wrong of ["${{ outputs }}", "${{ a b }}", "${{ outputs.a", "${{ outputs.a. }}", "${{}}"])
      assert.ok(Array.isArray(read(wrong)), wrong);
  });

  it("has a JSON Schema for editors, which takes what is right and refuses what is not", () => {
    const takes = new Ajv2020({ strict: false }).compile(workflowJsonSchema() as object);
    const node = { task: "./tasks.ts#step", after: ["b"], retry: { limit: 1 }, input: { any: ["${{ outputs.b }}"] } };
    assert.equal(takes({ name: "x", input: { v: "text" }, nodes: { a: node, b: { sleep: "1s" } } }), true);
    for (const wrong of [{ taks: "./tasks.ts#step" }, { ...node, afer: [] }, { ...node, onFailure: "ignore" }])
      assert.equal(takes({ nodes: { a: wrong } }), false);
  });
});
