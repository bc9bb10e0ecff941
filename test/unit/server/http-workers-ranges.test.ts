/** Ranges of arrays for workers over HTTP: the server computes their inputs and folds their results. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { ExecutionView, ResultRow, SubmitReceipt } from "../../../src/broker/contract.ts";
import { compileAggregator, type ReduceSpec, toReduceSpec, topK } from "../../../src/core/aggregate.ts";
import { grid, list, range, type SpaceSpec } from "../../../src/core/space.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { type HttpTask, HttpWorker } from "../../support/http-worker.ts";
import { array, group, submission } from "../../support/submissions.ts";

interface Swept {
  readonly world: HttpWorld;
  readonly worker: HttpWorker;
  readonly executionId: string;
}

interface Sweep {
  readonly source: unknown;
  readonly length: number;
  readonly chunk?: number;
  readonly results?: "keep" | "discard";
}

async function swept(t: TestContext, { source, length, chunk = length, results = "keep" }: Sweep): Promise<Swept> {
  const world = await startHttpWorld(t);
  const work = array(length, chunk, { source: JSON.stringify(source), results });
  const { executions } = await world.broker.submit({ submissions: [submission([group(work)], { kind: "sweep" })] });
  const { executionId } = executions[0] as SubmitReceipt;
  return { world, worker: await HttpWorker.join(world, "w1", { maxConcurrency: 8 }), executionId };
}

async function rowsOf({ world, executionId }: Swept): Promise<readonly ResultRow[]> {
  return (await world.broker.readResults({ executionId, limit: 1_000 })).rows;
}

function viewOf({ world, executionId }: Swept): Promise<ExecutionView> {
  return world.broker.getExecution({ executionId });
}

const GRID: SpaceSpec = grid({ k: range(1, 6), metric: list(["l1", "l2"]) });

describe("ranges of arrays over HTTP", () => {
  it("come with the inputs of their items, and go with their values", async (t) => {
    const sweep = await swept(t, { source: { space: GRID }, length: 10, chunk: 4 });
    const { tasks } = await sweep.worker.claim({ max: 8 });
    assert.deepEqual(
      tasks.map(({ start, end, input, problem }) => [start, end, input, problem]),
      [
        [0, 4, undefined, undefined],
        [4, 8, undefined, undefined],
        [8, 10, undefined, undefined],
      ],
    );
    assert.deepEqual(tasks[1]?.inputs, [
      { k: 3, metric: "l1" },
      { k: 3, metric: "l2" },
      { k: 4, metric: "l1" },
      { k: 4, metric: "l2" },
    ]);
    for (const { lease, inputs } of tasks) {
      const values = (inputs as { k: number }[]).map(({ k }) => k * k);
      await sweep.worker.expect(200, "complete", { lease, values, durationMs: 12 });
      await sweep.worker.expect(200, "complete", { lease, values, durationMs: 12 });
    }
    assert.equal((await viewOf(sweep)).state, "completed");
    const rows = (await rowsOf(sweep)).toSorted((one, other) => (one.start ?? 0) - (other.start ?? 0));
    assert.deepEqual(
      rows.map(({ values, partial }) => [values, partial]),
      [
        ["[1,1,4,4]", undefined],
        ["[9,9,16,16]", undefined],
        ["[25,25]", undefined],
      ],
    );
  });

  it("tell of items that failed, each of which is tried again by itself", async (t) => {
    const sweep = await swept(t, { source: { space: range(0, 5) }, length: 5 });
    const [{ lease }] = (await sweep.worker.claim()).tasks as [HttpTask];
    const failures = [3, 1].map((item) => ({ item, error: { message: `item ${item}`, class: "invalid-input" } }));
    await sweep.worker.expect(200, "complete", { lease, values: [0, "ignored", 2, null, 4], failures });
    const [row] = await rowsOf(sweep);
    assert.deepEqual([row?.values, row?.missing], ["[0,null,2,null,4]", [1, 3]]);
    const { counters } = await viewOf(sweep);
    assert.deepEqual([counters.completed, counters.failed], [3, 2]);
    assert.match((await viewOf(sweep)).firstFailure?.message ?? "", /^item [13]$/);
  });

  it("name the item that a whole range died on", async (t) => {
    const sweep = await swept(t, { source: { space: range(10, 14) }, length: 4 });
    const [{ lease }] = (await sweep.worker.claim()).tasks as [HttpTask];
    const error = { message: "crashed", class: "invalid-input" };
    assert.equal((await sweep.worker.expect(400, "fail", { lease, error, item: 4 }))["field"], "body.item");
    await sweep.worker.expect(200, "fail", { lease, error, item: 2 });
    const { tasks } = await sweep.worker.claim({ max: 8 });
    assert.deepEqual(
      tasks.map(({ start, end, inputs }) => [start, end, inputs]),
      [
        [0, 2, [10, 11]],
        [3, 4, [13]],
      ],
    );
    assert.equal((await viewOf(sweep)).counters.failed, 1);
  });

  it("are aggregated as a worker of ours would have done it", async (t) => {
    const reduce = toReduceSpec({ best: topK("score", 3), all: { kind: "stats", field: "score" } });
    const sweep = await swept(t, { source: { space: GRID, reduce }, length: 10, chunk: 3, results: "discard" });
    const { tasks } = await sweep.worker.claim({ max: 8 });
    const score = (index: number): { score: number } => ({ score: 0.1 * ((index * 7) % 10) });
    for (const { lease, start = 0, end = 0 } of tasks) {
      const values = Array.from({ length: end - start }, (_, at) => score(start + at));
      const failures = start === 3 ? [{ item: 4, error: { message: "no", class: "invalid-input" } }] : [];
      await sweep.worker.expect(200, "complete", { lease, values, failures });
    }
    const rows = await rowsOf(sweep);
    assert.deepEqual(
      rows.map(({ values }) => values),
      [undefined, undefined, undefined, undefined],
    );
    const aggregator = compileAggregator(reduce);
    const found = aggregator.empty();
    for (const { partial = "" } of rows) aggregator.merge(found, aggregator.decode(partial));
    const expected = aggregator.empty();
    const space = tasks.flatMap(({ inputs }) => inputs ?? []);
    space.forEach((point, index) => {
      if (index !== 4) aggregator.add(expected, { index, point, value: score(index) });
    });
    assert.deepEqual(aggregator.finish(found), aggregator.finish(expected));
  });

  it("say so when the server cannot compute or aggregate them, and are refused as done", async (t) => {
    const user: ReduceSpec = { kind: "user", module: "file:///tasks.ts", name: "mine" };
    const count: ReduceSpec = { kind: "count" };
    const long = list(Array.from({ length: 400 }, (_, index) => `value ${index}`));
    const file = { kind: "file", path: "/etc/passwd", format: "csv", rows: 2, bytes: 10, sha256: "0".repeat(64) };
    const cases = [
      { source: { space: range(0, 2), reduce: user }, problem: /reducer of a module/ },
      { source: { space: long, reduce: count }, problem: /longer than 2048 characters/ },
      { source: { reduce: count }, problem: /describes no space/ },
    ];
    for (const { source, problem } of cases) {
      const sweep = await swept(t, { source, length: 2 });
      const [task] = (await sweep.worker.claim()).tasks as [HttpTask];
      assert.match(task.problem ?? "", problem);
      const refusal = await sweep.worker.expect(400, "complete", { lease: task.lease, values: [1, 2] });
      assert.equal(refusal["field"], "body.lease");
      const error = { message: task.problem, class: "invalid-input" };
      await sweep.worker.expect(200, "fail", { lease: task.lease, error, item: 0 });
    }
    const sweep = await swept(t, { source: { space: file }, length: 2 });
    const [task] = (await sweep.worker.claim()).tasks as [HttpTask];
    assert.match(task.problem ?? "", /reads a parameter file/);
    assert.equal(task.inputs, undefined);
  });

  it("of a source that is none of ours are passed on as they are", async (t) => {
    const sweep = await swept(t, { source: { seeds: [1, 2, 3] }, length: 3 });
    const [task] = (await sweep.worker.claim()).tasks as [HttpTask];
    assert.deepEqual([task.source, task.inputs, task.problem], [{ seeds: [1, 2, 3] }, undefined, undefined]);
    await sweep.worker.expect(200, "complete", { lease: task.lease, values: [1, 2, 3] });
  });

  it("refuse what does not fit them, naming the field", async (t) => {
    const sweep = await swept(t, { source: { space: range(0, 3) }, length: 3 });
    const [{ lease }] = (await sweep.worker.claim()).tasks as [HttpTask];
    const error = { message: "m" };
    const cases: readonly (readonly [field: string, body: object])[] = [
      ["body.values", {}],
      ["body.values", { values: [1, 2] }],
      ["body.values", { values: [1, 2, 3, 4] }],
      ["body.result", { result: 1 }],
      ["body.failures[0].item", { values: [1, 2, 3], failures: [{ item: 3, error }] }],
      [
        "body.failures[1].item",
        {
          values: [1, 2, 3],
          failures: [
            { item: 1, error },
            { item: 1, error },
          ],
        },
      ],
    ];
    for (const [field, body] of cases) {
      const refusal = await sweep.worker.expect(400, "complete", { lease, ...body });
      assert.equal(refusal["field"], field);
    }
    await sweep.worker.expect(200, "complete", { lease, values: [1, 2, 3] });
  });

  it("do not exceed one answer: what finds no room goes back", async (t) => {
    const big = "x".repeat(100_000);
    const sweep = await swept(t, {
      source: { space: grid({ big: list([big]), n: range(0, 300) }) },
      length: 300,
      chunk: 100,
    });
    const { tasks } = await sweep.worker.claim({ max: 8 });
    assert.deepEqual(
      tasks.map(({ start, inputs }) => [start, inputs?.length]),
      [
        [0, 100],
        [100, 100],
      ],
    );
    const { counters } = await viewOf(sweep);
    assert.deepEqual([counters.running, counters.queued], [200, 100]);
    const tooBig = await swept(t, { source: { space: grid({ big: list([big]), n: range(0, 300) }) }, length: 300 });
    const [task] = (await tooBig.worker.claim()).tasks as [HttpTask];
    assert.match(task.problem ?? "", /too long for one answer; use smaller chunks/);
  });
});
