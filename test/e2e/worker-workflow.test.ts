/** Workflows on real workers and every store: every kind of node, from its definition to its output. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import type { Broker } from "../../src/broker/contract.ts";
import { explainTask } from "../../src/server/explain.ts";
import { systemClock } from "../../src/util/clock.ts";
import { everything, leavesOut, nested, partsLeaveOut, undone } from "../fixtures/worker/flows.ts";
import { STORES, workflowWorld } from "../support/workflow-world.ts";

const clock = systemClock({ keepAlive: true });

for (const [store, open] of Object.entries(STORES)) describe(`workflows on ${store}`, () => tellWorkflows(open));

function tellWorkflows(open: () => Promise<Broker>): void {
  const world = workflowWorld(open);
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), "holdfast-workflow-"));
  });

  after(() => rmSync(folder, { recursive: true }));

  it("a workflow of every kind of node comes to its output", { timeout: 20_000 }, async () => {
    const execution = await world.client.submit(everything);
    await execution.signal("go", { by: "ann" });
    const status = await execution.wait();
    assert.equal(status.state, "completed");
    assert.equal(status.counters.skipped, 1);
    assert.deepEqual(await execution.output(), {
      shell: { of: "staging" },
      part: { total: 60, label: "x" },
      go: { by: "ann" },
      last: 8,
      never: null,
    });
    const { tasks } = await world.broker.listTasks({ executionId: execution.id, limit: 100 });
    const labels = tasks.map(({ label }) => label);
    for (const label of ["part/checks", "part/total", "part/checks[0]", "part/checks[2]"])
      assert.ok(labels.includes(label), `${label} is among ${labels.join(", ")}`);
  });

  it(
    "workflows lie in maps and in workflows, each with names and signals of its own",
    { timeout: 20_000 },
    async () => {
      const execution = await world.client.submit(nested);
      for (const [node, by] of Object.entries({ "two/ok": "bob", "one/ok": "ann" }))
        await execution.signal(node, { approved: true, by });
      await execution.wait();
      assert.deepEqual(await execution.output(), {
        parts: [
          { total: 10, label: "y" },
          { total: 20, label: "y" },
          { total: 0, label: "y" },
        ],
        one: { by: "ann" },
        two: { by: "bob" },
      });
      const { tasks } = await world.broker.listTasks({ executionId: execution.id, limit: 100 });
      const failed = tasks.filter(({ state }) => state === "failed").map(({ label }) => label);
      assert.deepEqual(failed, ["parts[1]/checks[1]"]);
    },
  );

  it(
    "what has completed is undone, newest first, when a node has failed that is to be compensated",
    { timeout: 20_000 },
    async () => {
      const file = path.join(folder, "undone");
      const execution = await world.client.submit(undone.with({ file }));
      const status = await execution.wait({ throwOnFailure: false });
      assert.equal(status.state, "failed");
      assert.deepEqual(readFileSync(file, "utf8").trim().split("\n"), ["one", "two", "not two", "not one"]);
    },
  );

  it("a part of which a node is skipped completes without it, as it does alone", { timeout: 20_000 }, async () => {
    const left = { head: 1, tail: null, soft: null, end: null, others: 5 };
    const alone = await world.client.submit(leavesOut);
    assert.deepEqual(await alone.output(), left);
    const execution = await world.client.submit(partsLeaveOut);
    assert.deepEqual(await execution.output(), { part: left, number: 5, last: null });
    const { tasks } = await world.broker.listTasks({ executionId: execution.id, limit: 100, states: ["skipped"] });
    const skipped = tasks.map(({ label }) => label);
    for (const part of ["part", "parts[0]", "parts[1]"])
      for (const node of ["tail", "soft", "end"]) assert.ok(skipped.includes(`${part}/${node}`), `${part}/${node}`);
    assert.equal(skipped.length, 9);
  });

  it("says what a node waits for that waits", { timeout: 20_000 }, async () => {
    const execution = await world.client.submit(nested);
    const reasons = new Map<string, string>();
    for await (const { id, task, reason } of execution.nodes()) {
      if (reason !== "suspended") continue;
      const parts = { broker: world.broker, clock, rate: () => undefined };
      reasons.set(id, (await explainTask(parts, execution.id, task)).why.code);
      if (reasons.has("one") && reasons.has("one/ok")) break;
    }
    assert.equal(reasons.get("one"), "waits-for-added");
    assert.equal(reasons.get("one/ok"), "waits-for-signal");
    await execution.cancel();
  });
}
