/** Jobs over HTTP: the graph is checked as a whole, runs in order, and tells how far it is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lease } from "../../../src/broker/contract.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { completed, failed, failure } from "../../support/outcomes.ts";

interface Receipt {
  readonly success: boolean;
  readonly executionId: string;
  readonly status: string;
  readonly startedAt: number | null;
  readonly completedAt: number | null;
  readonly jobCount: number;
  readonly parallelism: { readonly wanted: number; readonly enforced: boolean };
}

interface Progress {
  readonly success: boolean;
  readonly execution: {
    readonly executionId: string;
    readonly workflowId: string;
    readonly status: string;
    readonly startedAt: number | null;
    readonly completedAt: number | null;
    readonly progress: Record<string, number>;
    readonly checkpointId: string | null;
  };
  readonly jobs?: readonly {
    readonly id: string;
    readonly status: string;
    readonly output?: unknown;
    readonly failure?: unknown;
  }[];
  readonly next?: number;
}

interface Refusal {
  readonly field?: string;
  readonly error: string;
  readonly problems?: readonly { readonly field: string; readonly problem: string }[];
}

interface JobInput {
  readonly job: string;
  readonly type: string;
  readonly config: unknown;
  readonly dependencies: Record<string, number>;
  readonly priority: number;
}

const DIAMOND = [
  { id: "report", type: "fan-in", dependsOn: ["left", "right"] },
  { id: "left", type: "training", dependsOn: ["load"], config: { rate: 0.1 } },
  { id: "right", type: "validation", dependsOn: ["load"] },
  { id: "load", type: "preprocessing" },
];

function inputOf(lease: Lease): JobInput {
  return JSON.parse(lease.input ?? "null") as JobInput;
}

function progressOf(world: HttpWorld, executionId: string, query = ""): Promise<Progress> {
  return world.expect<Progress>(200, `GET /execute/${executionId}${query}`);
}

for (const store of ["sqlite", "redis"] as const) {
  describe(`jobs over HTTP (${store})`, () => {
    it("run in the order of what depends on what, each with the outputs of those before it", async (t) => {
      const world = await startHttpWorld(t, { store });
      const receipt = await world.expect<Receipt>(202, "POST /execute", { workflowId: "release", jobs: DIAMOND });
      assert.deepEqual(
        { ...receipt, executionId: typeof receipt.executionId },
        {
          success: true,
          executionId: "string",
          status: "pending",
          startedAt: null,
          completedAt: null,
          jobCount: 4,
          parallelism: { wanted: 10, enforced: true },
        },
      );
      const { executionId } = receipt;
      const { execution } = await progressOf(world, executionId);
      assert.deepEqual(execution, {
        executionId,
        workflowId: "release",
        status: "pending",
        startedAt: null,
        completedAt: null,
        progress: { total: 4, completed: 0, failed: 0, running: 0, waiting: 4, skipped: 0, cancelled: 0 },
        checkpointId: null,
      });
      const worker = await FakeWorker.join(world.broker, { pools: ["jobs"] });
      const ran: string[] = [];
      for (let leases = await worker.leases(10); leases.length > 0; leases = await worker.leases(10)) {
        for (const lease of leases) {
          const input = inputOf(lease);
          // Every parent's output is there, under the number that the input names it by.
          for (const [parent, task] of Object.entries(input.dependencies))
            assert.equal(lease.parents?.[task], JSON.stringify(`made by ${parent}`));
          ran.push(input.job);
          await worker.deliver(completed(lease, JSON.stringify(`made by ${input.job}`)));
        }
      }
      assert.deepEqual(ran, ["load", "right", "left", "report"]);
      const ended = await progressOf(world, executionId, "?jobs=true");
      assert.equal(ended.execution.status, "completed");
      assert.ok((ended.execution.completedAt ?? 0) >= (ended.execution.startedAt ?? Infinity));
      assert.equal(ended.execution.progress["completed"], 4);
      assert.deepEqual(
        ended.jobs?.map(({ id, status, output }) => [id, status, output]),
        ran.map((id) => [id, "completed", `made by ${id}`]),
      );
    });

    it("skips what depends on a job that failed for good", async (t) => {
      const world = await startHttpWorld(t, { store });
      const jobs = DIAMOND.map((job) => ({ ...job, retryConfig: { maxRetries: 0 } }));
      const { executionId } = await world.expect<Receipt>(202, "POST /execute", { workflowId: "w", jobs });
      const worker = await FakeWorker.join(world.broker, { pools: ["jobs"] });
      await worker.deliver(failed(await worker.take(), failure("user-error", "no data")));
      const { execution, jobs: told = [] } = await progressOf(world, executionId, "?jobs=true");
      assert.equal(execution.status, "failed");
      assert.deepEqual([execution.progress["failed"], execution.progress["skipped"]], [1, 3]);
      assert.deepEqual(told[0]?.failure, { class: "user-error", message: "no data" });
      assert.deepEqual(
        told.slice(1).map(({ status }) => status),
        ["skipped", "skipped", "skipped"],
      );
    });
  });
}

describe("jobs over HTTP", () => {
  it("are answered at once, or waited for as long as is asked", async (t) => {
    const world = await startHttpWorld(t);
    const worker = await FakeWorker.join(world.broker, { pools: ["jobs"] });
    const claim = worker.waitForWork(20_000);
    const one = { workflowId: "w", jobs: [{ id: "a", type: "echo" }] };
    const pending = world.expect<Receipt>(200, "POST /execute?wait=20s", one);
    const { leases } = await claim.promise;
    for (const lease of leases) await worker.deliver(completed(lease));
    const receipt = await pending;
    assert.equal(receipt.status, "completed");
    assert.ok((receipt.completedAt ?? 0) > 0);
    assert.equal((await world.expect<Receipt>(202, "POST /execute?wait=10ms", one)).status, "pending");
  });

  it("tell everything that is wrong with the graph at once, and leave nothing behind", async (t) => {
    const world = await startHttpWorld(t);
    const { field, problems } = await world.expect<Refusal>(400, "POST /execute", {
      workflowId: "w",
      jobs: [
        { id: "a", type: "t", dependsOn: ["b"] },
        { id: "b", type: "t", dependsOn: ["a", "missing"] },
        { id: "a", type: "t" },
        { id: "c", type: "t", dependsOn: ["c"] },
      ],
    });
    assert.equal(field, "body.jobs[2].id");
    assert.deepEqual(
      problems?.map((one) => one.field),
      ["body.jobs[2].id", "body.jobs[1].dependsOn[1]", "body.jobs[3].dependsOn[0]", "body.jobs[0].dependsOn[0]"],
    );
    assert.match(problems?.[3]?.problem ?? "", /a waits for b waits for a/);
    for (const [body, wrong] of [
      [{ jobs: [{ id: "a", type: "t" }] }, "body.workflowId"],
      [{ workflowId: "w" }, "body.jobs"],
      [{ workflowId: "w", jobs: [] }, "body.jobs"],
      [{ workflowId: "w", jobs: [{ id: "a" }] }, "body.jobs[0].type"],
      [{ workflowId: "w", jobs: [{ id: "a", type: "t", priority: 11 }] }, "body.jobs[0].priority"],
      [{ workflowId: "w", jobs: [{ id: "a", type: "t", condition: "x > 1" }] }, "body.jobs[0].condition"],
      [
        {
          workflowId: "w",
          jobs: [
            { id: "a", type: "t", pool: "*", dependsOn: ["b"] },
            { id: "b", type: "t" },
          ],
        },
        "body.jobs[0].pool",
      ],
      [{ workflowId: "w", jobs: [{ id: "a", type: "t" }], parallelism: 0 }, "body.parallelism"],
    ] as const) {
      const refusal = await world.expect<Refusal>(400, "POST /execute", body);
      assert.equal(refusal.field, wrong, refusal.error);
    }
    assert.equal((await world.broker.listExecutions({ limit: 10 })).executions.length, 0);
  });

  it("say whether as few run at once as was asked for", async (t) => {
    const world = await startHttpWorld(t);
    const jobs = Array.from({ length: 3 }, (_, at) => ({ id: `j${at}`, type: "echo" }));
    const receipt = await world.expect<Receipt>(202, "POST /execute", { workflowId: "w", jobs, parallelism: 2 });
    assert.deepEqual(receipt.parallelism, { wanted: 2, enforced: false });
  });

  it("carry their needs to the broker", async (t) => {
    const world = await startHttpWorld(t);
    const jobs = [
      { id: "plain", type: "echo" },
      {
        id: "gate",
        type: "regression-gate",
        resourceLimits: { requireGpu: true, minMemoryGB: 32, memoryLimitMb: 512 },
      },
      { id: "tuned", type: "train", config: { priority: 99, minMemoryGB: 17 }, requires: ["ssd"], timeoutMs: 1_000 },
      {
        id: "named",
        type: "echo",
        priority: "deployment",
        pool: "special",
        retryConfig: { maxRetries: 1, retryDelayMs: 400_000, backoffMultiplier: 3 },
      },
    ];
    const { executionId } = await world.expect<Receipt>(202, "POST /execute", { workflowId: "needs", jobs });
    const view = await world.broker.getExecution({ executionId });
    assert.deepEqual([view.kind, view.name, view.priority], ["workflow", "needs", 10]);
    const worker = await FakeWorker.join(world.broker, {
      pools: ["jobs", "special"],
      capabilities: ["gpu", "high-memory", "ssd"],
      slots: 4,
    });
    const { leases, specs } = await worker.claim(4);
    const byJob = new Map(leases.map((lease) => [inputOf(lease).job, lease]));
    assert.deepEqual(
      ["plain", "gate", "tuned", "named"].map((id) => inputOf(byJob.get(id) as Lease).priority),
      [5, 8, 10, 8],
    );
    const specOf = (id: string) => specs[byJob.get(id)?.spec ?? ""];
    assert.equal(specOf("gate")?.memoryLimitMb, 512);
    assert.equal(specOf("tuned")?.timeoutMs, 1_000);
    assert.equal(specOf("plain")?.handler, '{"kind":"job","type":"echo","job":"plain"}');
    const needs = async (task: number) => (await world.broker.explainTask({ executionId, task })).requires;
    const numbers = new Map(leases.map((lease) => [inputOf(lease).job, lease.task]));
    assert.deepEqual(await needs(numbers.get("gate") ?? -1), ["gpu", "high-memory"]);
    assert.deepEqual(await needs(numbers.get("tuned") ?? -1), ["ssd", "high-memory"]);
    // A longer delay than the usual longest one is meant.
    await worker.deliver(failed(byJob.get("named") as Lease));
    const facts = await eventually("the retry is scheduled", async () => {
      const found = await world.broker.explainTask({ executionId, task: numbers.get("named") ?? -1 });
      return found.notBefore === undefined ? undefined : found;
    });
    assert.ok((facts.notBefore ?? 0) - Date.now() > 350_000);
  });

  it("tell of their jobs page by page", async (t) => {
    const world = await startHttpWorld(t);
    const jobs = Array.from({ length: 5 }, (_, at) => ({ id: `j${at}`, type: "echo" }));
    const { executionId } = await world.expect<Receipt>(202, "POST /execute", { workflowId: "w", jobs });
    const first = await progressOf(world, executionId, "?jobs=true&limit=3");
    const second = await progressOf(world, executionId, `?jobs=true&limit=3&cursor=${first.next}`);
    assert.deepEqual(
      [...(first.jobs ?? []), ...(second.jobs ?? [])].map(({ id }) => id),
      jobs.map(({ id }) => id),
    );
    assert.equal(second.next, undefined);
    await world.expect(404, "GET /execute/none");
  });

  it("are one execution when the call is repeated under its key", async (t) => {
    const world = await startHttpWorld(t);
    const body = { workflowId: "w", jobs: [{ id: "a", type: "echo" }] };
    const headers = { "idempotency-key": "release-7" };
    const first = await world.call("POST /execute", body, { headers });
    const again = await world.call("POST /execute", body, { headers });
    assert.equal(again.json<Receipt>().executionId, first.json<Receipt>().executionId);
  });
});
