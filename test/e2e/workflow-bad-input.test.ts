/** What is wrong with a workflow and shows only while it runs: one clear failure with its node, on every store. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Broker } from "../../src/broker/contract.ts";
import { deep, stuck, text, wrong } from "../fixtures/worker/bad-flows.ts";
import { STORES, workflowWorld } from "../support/workflow-world.ts";

const EXPECTED: Readonly<Record<string, RegExp>> = {
  "wrong-type": /^input\.n: Invalid input: expected number, received string/,
  "no-list": /^Node no-list: it runs once per entry of a list, but was given "a text"$/,
  "too-many": /^What node too-many adds has more than 20000 entries; the limit is 20000\.$/,
  "runs-fail": /^Node runs-fail: 1 of its 2 runs failed, the first of them runs-fail\[1\]$/,
  "runs-fail[1]": /^input\.n: Invalid input: expected number, received string/,
  "large-output": /^The task's result is 1048578 bytes; the limit is 1048576\.$/,
  "no-json": /BigInt/,
  "no-json-text": /^echo no wrote no JSON to its standard output: /,
  "no-program": /^no-such-program-anywhere could not be started: /,
  "no-folder": /^true could not be started: .*\/no\/such\/folder/,
  throws: /^The condition of node throws could not be judged: cannot say$/,
  "says-yes": /^The condition of node says-yes could not be judged: it is neither true nor false$/,
  "has-none": /^The condition of node has-none could not be judged: outputs\.some\.deep == 1: No such key: deep$/,
  "is-text": /^The condition of node is-text could not be judged: outputs\.some: is a text; expected true or false$/,
  sleeps: /^Node sleeps: it sleeps for as long as its input says, which is "a text"; expected milliseconds$/,
  "too-late": /^Node too-late has waited 20 ms for signal too-late, which did not come\.$/,
};

for (const [store, open] of Object.entries(STORES))
  describe(`workflows with what is wrong for them, on ${store}`, () => tellFailures(open));

function tellFailures(open: () => Promise<Broker>): void {
  const world = workflowWorld(open);

  it("each node that is given what is wrong fails with a message that says so, once", { timeout: 20_000 }, async () => {
    const execution = await world.client.submit(wrong);
    const status = await execution.wait({ throwOnFailure: false });
    const failures = await execution.failures();
    const told = new Map(failures.map(({ point, failure }) => [point, failure.message]));
    for (const [node, message] of Object.entries(EXPECTED))
      assert.match(told.get(node) ?? `${node} is not told`, message);
    assert.deepEqual(
      failures.filter(({ failures: tries }) => tries !== 1),
      [],
      "no other try would have changed it",
    );
    assert.equal(status.state, "completed", "all of them may fail");
    assert.deepEqual(await execution.outputs(), { some: "a text", list: Array.from({ length: 20_001 }, () => 0) });
  });

  it(
    "a compensation that fails is a failure of its own; what came before it stays done",
    { timeout: 20_000 },
    async () => {
      const execution = await world.client.submit(stuck);
      await assert.rejects(execution.wait(), { code: "EXECUTION_FAILED", message: /First failure: node three: boom$/ });
      const failures = await execution.failures();
      assert.deepEqual(
        failures.map(({ point, failure }) => [point, failure.message]),
        [
          ["three", "boom"],
          ["(compensation)/two", "cannot be undone"],
        ],
      );
    },
  );

  it("a failure deep in a workflow is told with the way to it", { timeout: 20_000 }, async () => {
    const execution = await world.client.submit(deep);
    await assert.rejects(execution.wait(), {
      code: "EXECUTION_FAILED",
      message: /First failure: node part\/each\[0\]: boom$/,
    });
  });

  it("an ended execution takes no edit; one that is not there is not found", { timeout: 20_000 }, async () => {
    const execution = await world.client.submit(deep);
    await execution.wait({ throwOnFailure: false });
    const graph = await execution.graph();
    await assert.rejects(
      graph.edit((e) => void e.task("more", text)),
      { code: "EXECUTION_ENDED" },
    );
    await assert.rejects(world.client.get("nosuchexecution"), { code: "EXECUTION_NOT_FOUND" });
    await assert.rejects(execution.rerun("nowhere"), { code: "TASK_UNKNOWN", message: /has no task "nowhere"\.$/ });
  });
}
