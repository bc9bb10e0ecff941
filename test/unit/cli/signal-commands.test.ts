/** `signal` and `approve`, and commands that name nodes: at a server over its API, and at a store itself; the same answers. */
import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { describe, it, type TestContext } from "node:test";
import { openEmbedded } from "../../../src/app/open-broker.ts";
import type { Broker } from "../../../src/broker/contract.ts";
import { execute } from "../../../src/cli/main.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { Client } from "../../../src/sdk/client.ts";
import { defineWorkflow } from "../../../src/sdk/workflow.ts";
import { fakeContext } from "../../fixtures/cli/fake-context.ts";
import { step } from "../../fixtures/sdk/flow-tasks.ts";
import { scratchFolder } from "../../fixtures/sdk/scratch.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { startHttpWorld } from "../../support/http-server.ts";
import { completed, untilSignal } from "../../support/outcomes.ts";
import { batch } from "../../support/submissions.ts";

const chain = defineWorkflow("chain", (w) => {
  const one = w.task("one", step);
  const two = w.task("two", step, { after: [one] });
  w.task("three", step, { after: [two] });
});

interface Place {
  readonly broker: Broker;
  readonly address: string;
}

const PLACES: Readonly<Record<string, (t: TestContext) => Promise<Place>>> = {
  "at a server": async (t) => {
    const { broker, url } = await startHttpWorld(t);
    return { broker, address: url };
  },
  "at a store": async (t) => {
    const folder = await scratchFolder(t);
    const broker = await openEmbedded({ dir: folder });
    t.after(() => broker.close());
    return { broker, address: folder };
  },
};

async function run(address: string, ...args: readonly string[]) {
  const fake = fakeContext({ HOLDFAST_BROKER: address, COLUMNS: "200" });
  const code = await execute(args, fake.context);
  return { code, stdout: fake.stdout(), stderr: fake.stderr() };
}

/** An execution whose two tasks wait for these signals. */
async function waiting(broker: Broker, ...signals: readonly [string, string]) {
  const { executions } = await broker.submit({ submissions: [batch(2)] });
  const worker = await FakeWorker.join(broker);
  const leases = await worker.leases(2);
  await worker.deliver(...leases.map((lease, at) => untilSignal(lease, signals[at] ?? "")));
  return { id: executions[0]?.executionId ?? "", worker };
}

for (const [where, open] of Object.entries(PLACES)) {
  describe(`signals by command, ${where}`, () => {
    it("a signal lets what waits for it go on, once, with its payload as it was given", async (t) => {
      const { broker, address } = await open(t);
      const { id, worker } = await waiting(broker, "data/arrived", "other");
      const given = await run(address, "signal", id.slice(0, 8), "data/arrived", "--payload", '{ "rows": 12 }');
      assert.equal(given.code, 0, given.stderr);
      assert.match(given.stdout, new RegExp(`^Execution ${id} has signal data/arrived; 1 task goes on\\.`));
      assert.equal((await worker.take()).resumed?.signal, '{"rows":12}');
      const again = await run(address, "signal", id, "data/arrived", "--json");
      assert.deepEqual(
        [again.code, JSON.parse(again.stdout)],
        [1, { executionId: id, signal: "data/arrived", accepted: false, released: 0 }],
      );
      assert.match((await run(address, "signal", id, "data/arrived")).stdout, /already, with another payload, which/);
      assert.match((await run(address, "signal", id, "later")).stdout, /nothing waits for it now/);
      await broker.cancel({ executionId: id });
      assert.match((await run(address, "signal", id, "late")).stderr, /already cancelled\. \[EXECUTION_ENDED\]/);
    });

    it("an approval says who gave it, and a refusal why", async (t) => {
      const { broker, address } = await open(t);
      const { id, worker } = await waiting(broker, "release", "budget");
      assert.equal((await run(address, "approve", id, "release")).code, 0);
      await run(address, "approve", id, "budget", "--refuse", "--comment", "too dear");
      const by = userInfo().username;
      const payloads = (await worker.leases(2)).map(({ resumed }) => JSON.parse(resumed?.signal ?? "null") as unknown);
      assert.deepEqual(payloads, [
        { approved: true, by },
        { approved: false, by, comment: "too dear" },
      ]);
    });

    it("a node runs again by its id, with all that comes after it", async (t) => {
      const { broker, address } = await open(t);
      const { id } = await new Client({ broker }).submit(chain);
      const worker = await FakeWorker.join(broker);
      for (let node = 0; node < 3; node += 1) await worker.deliver(completed(await worker.take()));
      assert.equal((await broker.getExecution({ executionId: id })).state, "completed");
      const rerun = await run(address, "rerun", id.slice(0, 8), "two");
      assert.equal(rerun.code, 0, rerun.stderr);
      assert.match(rerun.stdout, new RegExp(`^2 tasks of execution ${id} run again\\.`));
      assert.equal((await worker.take()).label, "two");
      const byNumber = await run(address, "rerun", id, "2", "--json");
      assert.deepEqual(JSON.parse(byNumber.stdout), { executionId: id, node: "2", reset: 1 });
      const edited = await run(address, "edit", id, "--rewire", "three=one", "--hold", "three,1", "--apply", "--json");
      const { changes } = JSON.parse(edited.stdout) as { changes: { rewired: number; held: number } };
      assert.deepEqual([changes.rewired, changes.held], [1, 2]);
      assert.match((await run(address, "why", id, "three")).stdout, /held/);
      const unknown = await run(address, "rerun", id, "four");
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /has no task "four"\. \[TASK_UNKNOWN\]/);
    });
  });
}

describe("signals by program", () => {
  it("any JSON is a payload, null where nothing is said; what is no JSON is refused", async (t) => {
    const broker = await openEmbedded({ dir: await scratchFolder(t) });
    t.after(() => broker.close());
    const { id, worker } = await waiting(broker, "a", "b");
    const execution = await new Client({ broker }).get(id);
    assert.deepEqual(await execution.signal("a"), { accepted: true, released: 1 });
    assert.deepEqual(await execution.signal("b", [1, "two"]), { accepted: true, released: 1 });
    const payloads = (await worker.leases(2)).map(({ resumed }) => resumed?.signal);
    assert.deepEqual(payloads, ["null", '[1,"two"]']);
    for (const payload of [() => 1, 1n])
      await assert.rejects(
        () => execution.signal("c", payload),
        (thrown) => HoldfastError.is(thrown, "INVALID_INPUT") && thrown.details["path"] === "payload",
      );
  });
});
