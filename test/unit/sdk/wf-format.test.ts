import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { MAX_PAYLOAD } from "../../../src/broker/limits.ts";
import { readGraph } from "../../../src/core/graph.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { isWfFormat, readWfFormat, wfFormatFacts, wfFormatPlan } from "../../../src/sdk/workflow/wf-format.ts";
import type { WorkflowPlan } from "../../../src/sdk/workflow/plan.ts";
import { type MadeTask, WF_INSTANCES, wfInstance } from "../../support/wf-instances.ts";
import { filesIn, read, ROOT } from "../../tidy/repository.ts";

const OWN = filesIn("test/fixtures/wf-format", ".json").map((file) => path.join(ROOT, file));
/** Recordings that lie beside the repository, where they do. */
const RECORDED = jsonFilesIn(path.join(ROOT, "../shared/data/workflows"));

function jsonFilesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}

function jsonOf(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8")) as unknown;
}

function task(id: string, after: readonly string[] = [], changes: Partial<MadeTask> = {}): MadeTask {
  return { id, after, seconds: 2, outputBytes: 100, ...changes };
}

interface Editable {
  schemaVersion?: unknown;
  workflow: {
    specification: { tasks: Record<string, unknown>[]; files?: unknown[] };
    execution?: { tasks: Record<string, unknown>[] };
  };
}

/** A recording with something changed in it. */
function changed(change: (json: Editable) => void, tasks = [task("a"), task("b", ["a"])]): unknown {
  const json = structuredClone(wfInstance("test", tasks)) as Editable;
  change(json);
  return json;
}

/** Of any number of tasks that do not wait for each other. */
function withoutEdges(tasks: readonly MadeTask[]): unknown {
  return changed(({ workflow }) => {
    workflow.specification.tasks = tasks.map(({ id }) => ({ id, parents: [], children: [] }));
    workflow.execution = { tasks: tasks.map(({ id, seconds }) => ({ id, runtimeInSeconds: seconds })) };
  });
}

function planOf(json: unknown, options: Parameters<typeof wfFormatPlan>[1] = { timeScale: 1 }): WorkflowPlan {
  return wfFormatPlan(readWfFormat(json, "run.json"), options);
}

function problemOf(json: unknown): string {
  try {
    readWfFormat(json, "run.json");
  } catch (thrown) {
    assert.ok(HoldfastError.is(thrown, "INVALID_FILE"), String(thrown));
    assert.equal(thrown.details["file"], "run.json");
    return String(thrown.details["problem"]);
  }
  return "nothing";
}

const SPEC = "workflow.specification.tasks";

describe("a recording in WfFormat", () => {
  it("is a plan of nodes that take as long, scaled", () => {
    const json = wfInstance("two", [task("a", [], { seconds: 1.5 }), task("b", ["a"], { seconds: 20 })]);
    const plan = planOf(json, { timeScale: 0.01, pool: "lab", key: "k" });
    assert.deepEqual(
      plan.nodes.map(({ id, after, uses, estimateMs, input }) => ({ id, after, uses, estimateMs, input })),
      [
        { id: "a", after: [], uses: [], estimateMs: 15, input: { node: "a", input: { ms: 15 } } },
        { id: "b", after: ["a"], uses: [], estimateMs: 200, input: { node: "b", input: { ms: 200 } } },
      ],
    );
    const [head] = plan.nodes.map((node) => node.head);
    assert.deepEqual(JSON.parse(head?.handler ?? ""), { kind: "node", does: { kind: "replay" } });
    assert.equal(head?.pool, "lab");
    assert.deepEqual(
      { name: plan.name, key: plan.key, keepInputs: plan.keepInputs },
      { name: "two", key: "k", keepInputs: true },
    );
  });

  it("hands on as many bytes as its files have, as far as results may be so large", () => {
    const wide = Array.from({ length: 100 }, (_, at) => task(`part-${at}`, [], { outputBytes: at === 0 ? 7 : 1e9 }));
    const json = wfInstance("wide", [
      ...wide,
      task(
        "all",
        wide.map(({ id }) => id),
      ),
    ]);
    const bytes = planOf(json, { timeScale: 1, files: true }).nodes.map(
      ({ input }) => (input.input as { outputBytes: number }).outputBytes,
    );
    assert.equal(bytes[0], 7);
    const most = bytes[1] ?? 0;
    assert.ok(most > 1_000 && most * 100 <= MAX_PAYLOAD, String(most));
    const two = planOf(wfInstance("two", [task("a", [], { outputBytes: 1e9 })]), { timeScale: 1, files: true });
    assert.deepEqual(two.nodes[0]?.input.input, { ms: 2_000, outputBytes: 65_536 });
  });

  it("is understood when only one end tells of an edge", () => {
    const forget = (end: string) => (json: Editable) => {
      for (const one of json.workflow.specification.tasks) one[end] = [];
    };
    for (const end of ["parents", "children"])
      assert.deepEqual(planOf(changed(forget(end))).nodes[1]?.after, ["a"], `without ${end}`);
  });

  it("has ids that nodes may have, each its own", () => {
    const json = wfInstance("ids", [task("a b#1"), task("a_b_1", ["a b#1"]), task("/x".repeat(300), ["a_b_1"])]);
    const { nodes } = planOf(json);
    assert.deepEqual(
      nodes.slice(0, 2).map(({ id }) => id),
      ["a_b_1", "a_b_1-2"],
    );
    assert.deepEqual(nodes[1]?.after, ["a_b_1"]);
    assert.deepEqual(nodes[2]?.after, ["a_b_1-2"]);
    assert.equal(nodes[2]?.id.length, 200);
  });

  it("tells what a run cannot beat, and what it would take", () => {
    const instance = readWfFormat(jsonOf(path.join(ROOT, "test/fixtures/wf-format/lopsided.json")), "lopsided.json");
    const facts = wfFormatFacts(instance, { timeScale: 0.1, slots: 4 });
    assert.deepEqual([facts.nodes, facts.edges], [23, 38]);
    assert.ok(facts.lowerBoundMs >= facts.criticalPathMs && facts.lowerBoundMs >= facts.workMs / 4);
    assert.ok(facts.estimatedMs < facts.lowerBoundMs * 1.1, "the critical path first is near the bound");
    assert.ok(facts.fifoMs > facts.lowerBoundMs * 1.4, "first come first served is not");
    assert.equal(facts.recordedMakespanMs, 96_071);
  });

  it("is known by what it says of itself", () => {
    assert.equal(isWfFormat(changed(() => undefined)), true);
    assert.equal(isWfFormat({ schemaVersion: "1.4", workflow: { tasks: [] } }), true);
    for (const other of [null, [], "1.5", { name: "x", nodes: {} }, { workflow: {} }, { schemaVersion: "1.5" }])
      assert.equal(isWfFormat(other), false, JSON.stringify(other));
  });

  it("comes with time scales that make sense", () => {
    for (const timeScale of [-1, Number.NaN, Infinity])
      assert.throws(
        () =>
          planOf(
            changed(() => undefined),
            { timeScale },
          ),
        /timeScale: is .*; expected a number from 0/,
      );
  });
});

describe("a file that is no recording", () => {
  it("is told of with what is wrong and where", () => {
    const cases: readonly (readonly [json: unknown, problem: string | RegExp])[] = [
      [
        changed((json) => (json.schemaVersion = "1.4")),
        'schemaVersion is "1.4"; expected "1.5", the version that can be read',
      ],
      [changed((json) => delete json.workflow.execution), /^workflow\.execution is missing; .* no times to replay$/],
      [
        changed((json) => (json.workflow.specification.tasks = [])),
        new RegExp(`^${SPEC.replaceAll(".", "\\.")} is empty`),
      ],
      [
        changed((json) => (json.workflow.specification.tasks[1] = { id: "b" })),
        `${SPEC}[1].parents is missing; expected a list of ids; ${SPEC}[1].children is missing; expected a list of ids`,
      ],
      [
        changed((json) => (json.workflow.specification.tasks[1] = { id: "b", parents: ["a", 5], children: [] })),
        `${SPEC}[1].parents[1] is 5; expected an id`,
      ],
      [
        changed((json) => (json.workflow.specification.files = [{ id: "f", sizeInBytes: -1 }])),
        "workflow.specification.files[0].sizeInBytes is -1; expected 0 or more",
      ],
      [
        changed((json) => json.workflow.execution?.tasks.pop()),
        `${SPEC}[1] "b" is not in workflow.execution.tasks: how long it took is not known`,
      ],
      [
        changed((json) => json.workflow.execution?.tasks.push({ id: "c", runtimeInSeconds: 1 })),
        `workflow.execution.tasks[2].id is "c", and there is no such task in ${SPEC}`,
      ],
      [
        changed((json) => json.workflow.execution?.tasks.push({ id: "b", runtimeInSeconds: 1 })),
        'workflow.execution.tasks[2].id is "b", which is there before',
      ],
      [
        changed((json) => json.workflow.execution?.tasks.splice(0, 1, { id: "a", runtimeInSeconds: -1 })),
        "workflow.execution.tasks[0].runtimeInSeconds is -1; expected 0 or more seconds",
      ],
      [
        JSON.parse('{"name":"x","schemaVersion":"1.5","workflow":[]}'),
        "workflow is []; expected an object with specification and execution",
      ],
    ];
    for (const [json, problem] of cases) {
      if (typeof problem === "string") assert.equal(problemOf(json), problem);
      else assert.match(problemOf(json), problem);
    }
  });

  it("has its graph's problems told all at once", () => {
    const json = changed(
      (changing) => {
        const [a, b, c] = changing.workflow.specification.tasks;
        if (a !== undefined) a["parents"] = ["c", "nothing"];
        if (b !== undefined) b["children"] = ["nobody"];
        if (c !== undefined) c["children"] = ["c"];
      },
      [task("a"), task("b", ["a"]), task("c", ["b"])],
    );
    assert.equal(
      problemOf(json),
      [
        `${SPEC}[1].children[0] is "nobody", and there is no such task`,
        `${SPEC}[0].parents[1] is "nothing", and there is no such task`,
        `${SPEC}[2].children[0] is "c": a task cannot depend on itself`,
        `${SPEC}[0].parents[0] closes a cycle: a waits for c waits for b waits for a`,
      ].join("; "),
    );
  });

  it("costs no more than reading it, however wrong it is", () => {
    const wrong = Array.from({ length: 50_000 }, () => ({ id: 5, parents: 7 }));
    const told = problemOf(changed((json) => (json.workflow.specification.tasks = wrong)));
    assert.ok(told.length < 3_000 && told.startsWith(`${SPEC}[0].id is 5; expected an id`), told.slice(0, 200));
    const many = Array.from({ length: 200_001 }, () => ({}));
    assert.equal(
      problemOf(changed((json) => (json.workflow.specification.tasks = many))),
      `${SPEC} has more than 200000 entries`,
    );
    const alike = Array.from({ length: 50_000 }, (_, at) =>
      task(at.toString(2).replaceAll("0", "#").replaceAll("1", "/")),
    );
    const { ids } = readWfFormat(withoutEdges(alike), "run.json");
    assert.equal(new Set(ids).size, alike.length);
    const parents = Array.from({ length: 100_000 }, (_, at) => `p${at}`);
    assert.ok(
      problemOf(changed((json) => (json.workflow.specification.tasks[1] = { id: "b", parents, children: [] }))).length <
        3_000,
    );
  });
});

describe("recordings", () => {
  it("of our own are as the generator makes them", () => {
    assert.deepEqual(
      OWN.map((file) => path.basename(file, ".json")),
      Object.keys(WF_INSTANCES).toSorted(),
    );
    for (const [name, make] of Object.entries(WF_INSTANCES))
      assert.deepEqual(JSON.parse(read(`test/fixtures/wf-format/${name}.json`)), make(), name);
  });

  for (const file of [...OWN, ...RECORDED]) {
    it(`${path.basename(file)} is a plan whose schedule by rank is near its lower bound`, () => {
      const json = jsonOf(file);
      assert.ok(isWfFormat(json));
      const instance = readWfFormat(json, file);
      const plan = wfFormatPlan(instance, { timeScale: 0.001, files: true });
      const { graph } = readGraph(plan.nodes);
      const facts = wfFormatFacts(instance, { timeScale: 0.001, slots: 8 });
      assert.deepEqual([graph?.nodes, graph?.edges], [facts.nodes, facts.edges]);
      assert.ok(facts.estimatedMs >= facts.lowerBoundMs * (1 - 1e-9));
      assert.ok(facts.estimatedMs <= facts.lowerBoundMs * 1.16, `${facts.estimatedMs} of ${facts.lowerBoundMs}`);
      assert.ok(facts.estimatedMs <= facts.fifoMs);
    });
  }
});
