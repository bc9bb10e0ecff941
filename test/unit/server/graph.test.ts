/** What HTTP shows of workflows: names, ranks and children of tasks, the graph in pages, what is left of it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Submission } from "../../../src/broker/contract.ts";
import { rankOf } from "../../../src/core/graph.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { completed, untilSignal } from "../../support/outcomes.ts";
import { batch } from "../../support/submissions.ts";

interface Node {
  readonly task: number;
  readonly label?: string;
  readonly state: string;
  readonly rank?: number;
  readonly durationMs?: number;
  readonly children?: readonly number[];
}

interface Plan {
  readonly left: number;
  readonly unknown: number;
  readonly onHold: number;
  readonly workMs: number;
  readonly criticalPath: readonly { readonly task: number; readonly label?: string; readonly leftMs: number }[];
  readonly criticalPathMs: number;
  readonly pools: readonly { readonly pool: string; readonly left: number; readonly slots: number }[];
  readonly leftMs?: number;
  readonly estimatedEndAt?: number;
}

const LABELS = ["design", "api", "ui", "tests"];
const WAYS = [210_000, 150_000, 140_000, 60_000];

/** Submitted over HTTP, with all that a workflow's tasks have. */
async function submitDelivery(world: HttpWorld): Promise<string> {
  const ranks = WAYS.map((way) => rankOf(undefined, way));
  const work = { kind: "tasks", inputs: [0, 1, 2, 3], after: [[], [0], [0], [1, 2]], labels: LABELS, ranks };
  const rescue = { kind: "tasks", inputs: [4], labels: ["undo"] };
  const { executionId } = await world.expect<{ executionId: string }>(202, "POST /executions", {
    name: "delivery",
    kind: "workflow",
    groups: [
      { name: "deliver", handler: {}, onFailure: "continue", work },
      { name: "undo", handler: {}, when: "failed", work: rescue },
    ],
  });
  return executionId;
}

for (const store of ["sqlite", "redis"] as const) {
  describe(`a workflow over HTTP, on ${store}`, () => {
    it("shows names, ranks and measured times of its tasks, and children where they are asked for", async (t) => {
      const world = await startHttpWorld(t, { store });
      const executionId = await submitDelivery(world);
      const worker = await FakeWorker.join(world.broker);
      await worker.deliver(completed(await worker.take()));
      const list = `GET /executions/${executionId}/tasks`;
      const { tasks } = await world.expect<{ tasks: readonly Node[] }>(200, `${list}?children=true`);
      assert.deepEqual(
        tasks.map(({ label, state, children }) => [label, state, children]),
        [
          ["design", "completed", [1, 2]],
          ["api", "queued", [3]],
          ["ui", "queued", [3]],
          ["tests", "blocked", []],
          ["undo", "blocked", []],
        ],
      );
      assert.equal(tasks[1]?.rank, rankOf(undefined, 150_000));
      assert.equal(tasks[0]?.durationMs, 5);
      const plain = await world.expect<{ tasks: readonly Node[] }>(200, `${list}?state=queued&limit=1`);
      assert.deepEqual(
        plain.tasks.map(({ label, children }) => [label, children]),
        [["api", undefined]],
      );
      const one = await world.expect<{ task: Node; why: { parents: readonly { label?: string }[] } }>(
        200,
        `GET /executions/${executionId}/tasks/3`,
      );
      assert.equal(one.task.label, "tests");
      assert.deepEqual(
        one.why.parents.map(({ label }) => label),
        ["api", "ui"],
      );
    });

    it("shows what a suspended task waits for, and what is held", async (t) => {
      const world = await startHttpWorld(t, { store });
      const executionId = await submitDelivery(world);
      const worker = await FakeWorker.join(world.broker);
      await worker.deliver(untilSignal(await worker.take(), "approval"));
      await world.expect(200, `POST /executions/${executionId}/edit/apply`, { edits: [{ kind: "hold", tasks: [3] }] });
      const task = async (number: number): Promise<Record<string, unknown>> =>
        (await world.expect<{ task: Record<string, unknown> }>(200, `GET /executions/${executionId}/tasks/${number}`))
          .task;
      assert.deepEqual((await task(0))["suspended"], { until: "signal", signal: "approval" });
      assert.equal((await task(3))["held"], true);
      const plan = await world.expect<Plan>(200, `GET /executions/${executionId}/plan`);
      assert.equal(plan.onHold, 2);
    });

    it("gives its graph in pages, without results", async (t) => {
      const world = await startHttpWorld(t, { store });
      const executionId = await submitDelivery(world);
      const worker = await FakeWorker.join(world.broker);
      await worker.deliver(completed(await worker.take()));
      const nodes: Node[] = [];
      for (let next: number | undefined = -1; next !== undefined;) {
        const cursor = next < 0 ? "" : `&cursor=${next}`;
        const page: { readonly nodes: readonly Node[]; readonly next?: number } = await world.expect(
          200,
          `GET /executions/${executionId}/graph?limit=2${cursor}`,
        );
        nodes.push(...page.nodes);
        next = page.next;
      }
      assert.deepEqual(
        nodes.map(({ task, label, children }) => [task, label, children]),
        [
          [0, "design", [1, 2]],
          [1, "api", [3]],
          [2, "ui", [3]],
          [3, "tests", []],
          [4, "undo", []],
        ],
      );
      assert.equal("result" in (nodes[0] ?? {}), false);
      assert.deepEqual(
        (await world.expect<{ code: string }>(404, "GET /executions/nowhere/graph")).code,
        "EXECUTION_NOT_FOUND",
      );
    });

    it("plans what is left with the workers that there are", async (t) => {
      const world = await startHttpWorld(t, { store });
      const executionId = await submitDelivery(world);
      const ask = `GET /executions/${executionId}/plan`;
      const without = await world.expect<Plan>(200, ask);
      assert.equal(without.leftMs, undefined);
      assert.deepEqual(without.pools, [{ pool: "default", left: 5, slots: 0 }]);
      const worker = await FakeWorker.join(world.broker);
      await worker.deliver(completed(await worker.take()));
      const alone = await world.expect<Plan>(200, ask);
      assert.deepEqual(
        alone.criticalPath.map(({ label, leftMs }) => [label, leftMs]),
        [
          ["api", 90_000],
          ["tests", 60_000],
        ],
      );
      assert.deepEqual([alone.left, alone.workMs, alone.criticalPathMs], [4, 230_000, 150_000]);
      assert.equal(alone.leftMs, 230_000);
      await FakeWorker.join(world.broker, { worker: "w2" });
      const both = await world.expect<Plan>(200, ask);
      assert.equal(both.leftMs, 150_000);
      assert.ok((both.estimatedEndAt ?? 0) > 150_000);
    });

    it("has nothing left when it has ended", async (t) => {
      const world = await startHttpWorld(t, { store });
      const { executions } = await world.broker.submit({ submissions: [batch(1) satisfies Submission] });
      const executionId = executions[0]?.executionId ?? "";
      const worker = await FakeWorker.join(world.broker);
      await worker.deliver(completed(await worker.take()));
      const plan = await world.expect<Plan>(200, `GET /executions/${executionId}/plan`);
      assert.deepEqual([plan.left, plan.criticalPath, plan.leftMs], [0, [], 0]);
    });
  });
}
