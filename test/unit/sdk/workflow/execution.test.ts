import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";
import type { CompletedTask, Lease } from "../../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../../src/broker/sqlite/index.ts";
import { Client } from "../../../../src/sdk/client.ts";
import { defineTask } from "../../../../src/sdk/task.ts";
import { defineWorkflow } from "../../../../src/sdk/workflow.ts";
import type { NodeInput } from "../../../../src/sdk/workflow/node.ts";
import { systemClock } from "../../../../src/util/clock.ts";
import { FakeWorker } from "../../../support/fake-worker.ts";
import { refOf, untilSignal, untilTasks } from "../../../support/outcomes.ts";
import { group } from "../../../support/submissions.ts";
import { collect } from "../../../fixtures/sdk/collect.ts";
import { step } from "../../../fixtures/sdk/flow-tasks.ts";

const named = defineTask({ name: "named", run: () => ({ x: "" }) });

/** `a` → `b`, `c` → `d`; it answers what `d` and `a` have said. */
const diamond = defineWorkflow("diamond", (w) => {
  const a = w.task("a", named, { estimate: 1_000 });
  const b = w.task("b", step, { after: [a], estimate: 5_000 });
  const c = w.task("c", step, { after: [a], estimate: 2_000 });
  const d = w.task("d", step, { after: [b, c], input: { from: b } });
  return { last: d, first: a.output("x") };
});

interface World {
  readonly client: Client;
  readonly worker: FakeWorker;
}

async function world(t: TestContext): Promise<World> {
  let ids = 0;
  const clock = systemClock({ keepAlive: true });
  const broker = openSqliteBroker({ file: ":memory:", clock, random: () => 0.5, newId: () => `id${(ids += 1)}` });
  const client = new Client({ broker, clock });
  t.after(() => client.close());
  return { client, worker: await FakeWorker.join(broker) };
}

/** Completes the task with its own id as `x`. */
function completed(lease: Lease): CompletedTask {
  const { node } = JSON.parse(lease.input ?? "") as NodeInput;
  return { kind: "completed", lease: refOf(lease), durationMs: 10, result: JSON.stringify({ x: node }) };
}

async function finishAll(worker: FakeWorker): Promise<readonly string[]> {
  const order: string[] = [];
  for (let leases = await worker.leases(1); leases.length > 0; leases = await worker.leases(1)) {
    order.push(...leases.map(({ label }) => label ?? ""));
    await worker.deliver(...leases.map(completed));
  }
  return order;
}

describe("the execution of a workflow", () => {
  it("tells its nodes as they move, what came out of each, and what it answers", async (t) => {
    const { client, worker } = await world(t);
    const execution = await client.submit(diamond);
    const watching = collect(execution.nodes());
    assert.deepEqual(await finishAll(worker), ["a", "b", "c", "d"]);
    const told = await watching;
    const statesOf = (id: string): readonly string[] => told.filter((node) => node.id === id).map(({ state }) => state);
    assert.equal(statesOf("d").at(0), "blocked");
    for (const id of ["a", "b", "c", "d"]) assert.equal(statesOf(id).at(-1), "completed");
    assert.equal(told.findLast(({ id }) => id === "b")?.worker, "w1");
    assert.equal(told.findLast(({ id }) => id === "b")?.attempts, 1);
    assert.deepEqual(await execution.outputs(), { a: { x: "a" }, b: { x: "b" }, c: { x: "c" }, d: { x: "d" } });
    assert.deepEqual(await execution.output(), { last: { x: "d" }, first: "a" });
    assert.deepEqual(
      (await collect(execution.results({ ordered: true }))).map(({ point }) => point),
      ["a", "b", "c", "d"],
    );
    const found = await client.get(execution.id);
    assert.deepEqual(await found.output(), { last: { x: "d" }, first: "a" });
    assert.deepEqual(
      (await collect(found.results())).map(({ point }) => point),
      ["a", "b", "c", "d"],
    );
    // Told of what has ended already, too.
    assert.deepEqual(new Set((await collect(found.nodes())).map(({ state }) => state)), new Set(["completed"]));
  });

  it("is edited by the ids of its nodes, with what that does to its critical path", async (t) => {
    const { client, worker } = await world(t);
    const execution = await client.submit(diamond);
    await worker.deliver(completed(await worker.take()));
    const graph = await execution.graph();
    assert.deepEqual(graph.node("d").after.toSorted(), ["b", "c"]);
    assert.equal(graph.node("a").state, "completed");
    const edit = await graph.edit((e) => {
      const lint = e.task("lint", step, {
        after: [e.node("b")],
        input: { of: e.node<{ x: string }>("b").output("x") },
        estimate: 9_000,
      });
      e.command("report", "date", { after: [lint] });
      e.rewire("d", [e.node("b"), lint]);
      e.remove("c");
    });
    assert.deepEqual([edit.changes.added, edit.changes.rewired, edit.changes.removedCount], [2, 1, 1]);
    assert.deepEqual(edit.before.criticalPath, ["b", "d"]);
    assert.deepEqual(edit.after.criticalPath.slice(0, 2), ["b", "lint"]);
    assert.ok(edit.after.remainingMs > edit.before.remainingMs);
    await edit.apply();
    const order = await finishAll(worker);
    assert.deepEqual(new Set(order), new Set(["b", "lint", "d", "report"]));
    assert.deepEqual(order.slice(0, 2), ["b", "lint"]);
    assert.equal((await execution.wait()).counters.completed, 5);
    assert.equal((await execution.outputs())["c"], undefined);
  });

  it("gives nodes whose way to the end has become longer a higher rank", async (t) => {
    const { client, worker } = await world(t);
    const sides = defineWorkflow("sides", (w) => {
      const short = w.task("short", step, { input: { of: "short" }, estimate: 1_000 });
      w.task("long", step, { input: { of: "long" }, estimate: 5_000 });
      w.task("after", step, { after: [short], input: { of: "after" }, estimate: 1_000 });
    });
    const execution = await client.submit(sides);
    const edit = await (
      await execution.graph()
    ).edit((e) => {
      e.task("more", step, { after: [e.node("after")], input: { of: "more" }, estimate: 60_000 });
    });
    assert.equal(edit.changes.ranked, 2);
    await edit.apply();
    assert.deepEqual(await finishAll(worker), ["short", "after", "more", "long"]);
  });

  it("refuses an edit that makes no sense with all that is wrong", async (t) => {
    const { client } = await world(t);
    const graph = await (await client.submit(diamond)).graph();
    await assert.rejects(
      graph.edit((e) => {
        e.task("a", step);
        e.remove("e");
        e.task("late", step, { after: [e.node("bb")] });
      }),
      (thrown: Error) => {
        for (const told of ["nodes.a has the id of another node", 'remove names "e"', 'node names "bb"'])
          assert.ok(thrown.message.includes(told), `${told}: ${thrown.message}`);
        return true;
      },
    );
    await assert.rejects(
      graph.edit(() => undefined),
      { code: "INVALID_OPTION" },
    );
  });

  it("holds nodes, lets them go, and moves them before others", async (t) => {
    const { client, worker } = await world(t);
    const execution = await client.submit(diamond);
    await worker.deliver(completed(await worker.take()));
    const graph = await execution.graph();
    const hold = await graph.edit((e) => {
      e.hold("b");
    });
    await hold.apply();
    const urgent = await (
      await graph.refresh()
    ).edit((e) => {
      e.unhold("b");
      e.prioritise("c", 9);
    });
    assert.equal((await execution.graph()).node("b").held, true);
    await urgent.apply();
    assert.deepEqual(await finishAll(worker), ["c", "b", "d"]);
  });

  it("a rewired node keeps the outputs of nodes that have completed, and waits for no other", async (t) => {
    const { client, worker } = await world(t);
    const execution = await client.submit(diamond);
    const [first] = await worker.leases(1);
    await worker.deliver(completed(first ?? assert.fail()));
    const leases = await worker.leases(2);
    const b = leases.find(({ label }) => label === "b") ?? assert.fail();
    await worker.deliver(completed(b));
    const edit = await (await execution.graph()).edit((e) => e.rewire("d", []));
    await edit.apply();
    const last = await worker.take();
    assert.equal(last.label, "d");
    const { outputs = {} } = JSON.parse(last.input ?? "") as NodeInput;
    assert.equal(last.parents?.[last.task + (outputs["b"] ?? 0)], '{"x":"b"}');
  });

  it("tells of a node that waits that it has suspended itself, also who comes later", async (t) => {
    const { client, worker } = await world(t);
    const execution = await client.submit(defineWorkflow("asks", (w) => void w.signal("go")));
    await worker.deliver(untilSignal(await worker.take(), "go"));
    for await (const { id, state, reason } of execution.nodes()) {
      assert.deepEqual([id, state, reason], ["go", "blocked", "suspended"]);
      break;
    }
  });

  it("means the last parts of a node that has run again", async (t) => {
    const { client, worker } = await world(t);
    const execution = await client.submit(defineWorkflow("maps", (w) => void w.map("m", step, { over: [null] })));
    const part = group({ kind: "tasks", inputs: [JSON.stringify({ node: "m[0]" })], labels: ["m[0]"] });
    await worker.deliver(untilTasks(await worker.take(), [part]));
    await worker.deliver(completed(await worker.take()));
    const [resumed = assert.fail()] = await worker.leases(1);
    assert.deepEqual(await execution.rerun("m"), { reset: 1 });
    await worker.report(completed(resumed));
    await worker.deliver(untilTasks(await worker.take(), [part]));
    const graph = await execution.graph();
    assert.deepEqual(graph.nodes.map(({ id }) => id).toSorted(), ["m", "m[0]", "m[0]~1"]);
    assert.deepEqual([graph.node("m").after, graph.node("m[0]").state], [["m[0]"], "queued"]);
    assert.deepEqual(await execution.rerun("m[0]"), { reset: 2 });
  });
});
