import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkExtension, checkSubmissions } from "../../../../src/broker/check-submission.ts";
import type { TaskGroup } from "../../../../src/broker/contract.ts";
import { MAX_TASKS_PER_CALL } from "../../../../src/broker/limits.ts";
import { defineWorkflow } from "../../../../src/sdk/workflow.ts";
import type { NodeInput } from "../../../../src/sdk/workflow/node.ts";
import type { NodeRef } from "../../../../src/sdk/workflow/reference.ts";
import { submissionOf, type WorkflowSubmission } from "../../../../src/sdk/workflow/submission.ts";
import { buildApi, designSchema, step } from "../../../fixtures/sdk/flow-tasks.ts";

interface Flat {
  readonly label: string;
  readonly pool: string;
  readonly after: readonly number[];
  readonly input: NodeInput;
  readonly rank: number | undefined;
}

/** Tasks by number. */
function tasksOf({ submission, rest }: WorkflowSubmission): readonly Flat[] {
  return [...submission.groups, ...rest.flat()].flatMap(({ work, pool }) => {
    assert.ok(work.kind === "tasks");
    return work.inputs.map((input, index) => ({
      label: work.labels?.[index] ?? "",
      pool,
      after: work.after?.[index] ?? [],
      input: JSON.parse(input) as NodeInput,
      rank: work.ranks?.[index],
    }));
  });
}

/** As every broker checks it. */
function check({ submission, rest }: WorkflowSubmission): void {
  checkSubmissions({ submissions: [submission] });
  let first = sizeOf(submission.groups);
  for (const [at, groups] of rest.entries()) {
    checkExtension({ executionId: "e", part: at + 1, groups, seal: at === rest.length - 1 }, first);
    first += sizeOf(groups);
  }
}

function sizeOf(groups: readonly TaskGroup[]): number {
  return groups.reduce((sum, { work }) => sum + (work.kind === "tasks" ? work.inputs.length : 1), 0);
}

describe("the submission of a workflow", () => {
  it("numbers parents before children and says how far away the outputs are", async () => {
    const flow = defineWorkflow("release", (w) => {
      const schema = w.task("schema", designSchema);
      const lint = w.task("lint", step, { after: [schema] });
      w.task("api", buildApi, { after: { schema } });
      w.task("end", step, { after: [lint], condition: "outputs.schema.version != ''" });
    });
    const made = submissionOf(await flow.plan(), { meta: "{}" });
    check(made);
    const tasks = tasksOf(made);
    assert.deepEqual(
      tasks.map(({ label, after }) => [label, after]),
      [
        ["schema", []],
        ["lint", [0]],
        ["end", [0, 1]],
        ["api", [0]],
      ],
    );
    assert.deepEqual(made.ids, ["schema", "lint", "end", "api"]);
    assert.deepEqual(tasks[2]?.input.outputs, { schema: -2, lint: -1 });
    assert.deepEqual(tasks[3]?.input.outputs, { schema: -3 });
    const { kind, name, priority, maxFailures, keepInputs, open } = made.submission;
    assert.deepEqual(
      [kind, name, priority, maxFailures, keepInputs, open],
      ["workflow", "release", 5, 1, true, undefined],
    );
  });

  it("ranks by priority, then by the longest way to the end, where that is not the order of numbers", async () => {
    const flow = defineWorkflow("ranked", (w) => {
      const short = w.task("short", step, { estimate: "1s" });
      const long = w.task("long", step, { estimate: "2s" });
      const urgent = w.task("urgent", step, { priority: 6, estimate: 0 });
      w.task("end", step, { after: [short, long, urgent], estimate: "10s" });
    });
    const plan = await flow.plan();
    const ranks = (made: WorkflowSubmission): Record<string, number | undefined> =>
      Object.fromEntries(tasksOf(made).map(({ label, rank }) => [label, rank]));
    assert.deepEqual(ranks(submissionOf(plan)), {
      short: 5e12 + 11_000,
      long: 5e12 + 12_000,
      urgent: 6e12 + 10_000,
      end: 5e12 + 10_000,
    });
    const measured = submissionOf(plan, { measured: new Map([["short", 9_000]]) });
    assert.equal(ranks(measured)["short"], 5e12 + 19_000);
  });

  it("sends no ranks where the numbers are the order already", async () => {
    const chain = defineWorkflow("chain", (w) => {
      let last: NodeRef | undefined;
      for (const id of ["a", "b", "c"]) last = w.task(id, step, { after: last === undefined ? [] : [last] });
    });
    assert.deepEqual(
      tasksOf(submissionOf(await chain.plan())).map(({ rank }) => rank),
      [undefined, undefined, undefined],
    );
    const pools = defineWorkflow("pools", (w) => {
      w.task("short", step, { pool: "a" });
      w.task("long", step, { pool: "b", estimate: "1h" });
    });
    assert.equal(tasksOf(submissionOf(await pools.plan()))[0]?.rank, undefined);
  });

  it("holds for any graph: parents first, nodes of one kind together, distances that lead to the right node", async () => {
    const graphs = fc.array(fc.record({ kind: fc.nat(2), parents: fc.array(fc.nat(30), { maxLength: 4 }) }), {
      minLength: 1,
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(graphs, async (written) => {
        const flow = defineWorkflow("any", (w) => {
          const nodes: NodeRef[] = [];
          for (const [at, { kind, parents }] of written.entries()) {
            const after = [...new Set(parents.filter((parent) => parent < at))].map(
              (parent) => nodes[parent] ?? assert.fail(),
            );
            const [first] = after;
            nodes.push(
              w.task(`n${at}`, step, { after, pool: `p${kind}`, ...(first === undefined ? {} : { input: first }) }),
            );
          }
        });
        const plan = await flow.plan();
        const made = submissionOf(plan);
        check(made);
        const tasks = tasksOf(made);
        assert.equal(tasks.length, written.length);
        for (const [number, { label, after, input, pool }] of tasks.entries()) {
          const node = plan.nodes.find(({ id }) => id === label) ?? assert.fail();
          assert.equal(pool, node.head.pool);
          assert.deepEqual(new Set(after.map((parent) => tasks[parent]?.label)), new Set(node.after));
          for (const [id, distance] of Object.entries(input.outputs ?? {}))
            assert.equal(tasks[number + distance]?.label, id);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("takes 100,000 nodes in few calls and few groups, quickly", async () => {
    const count = 100_000;
    // Not by the clock on the wall: the tests share the machine.
    const before = process.cpuUsage();
    const flow = defineWorkflow("large", (w) => {
      const nodes: NodeRef[] = [];
      for (let at = 0; at < count; at += 1) {
        const after = at < 100 ? [] : [at - 100, at - 51, at - 17].map((parent) => nodes[parent] ?? assert.fail());
        nodes.push(w.task(`node-${at}`, step, { after }));
      }
    });
    const made = submissionOf(await flow.plan());
    const { user, system } = process.cpuUsage(before);
    const tookMs = (user + system) / 1_000;
    check(made);
    assert.deepEqual([made.submission.open, made.rest.length], [true, count / MAX_TASKS_PER_CALL - 1]);
    assert.deepEqual([made.submission.groups.length, ...made.rest.map((groups) => groups.length)], [1, 1, 1, 1, 1]);
    assert.ok(tookMs < 2_000, `took ${tookMs} ms`);
  });
});
