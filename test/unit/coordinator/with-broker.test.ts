/** The duties on a real broker in virtual time: what would stay undone without them gets done. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { DEFAULT_BROKER_SETTINGS } from "../../../src/broker/settings.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { type Coordinator, startCoordinator } from "../../../src/coordinator/index.ts";
import { LEADER_TTL_MS } from "../../../src/coordinator/leadership.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { done, failed } from "../../support/outcomes.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { batch, sweep } from "../../support/submissions.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const { deadAfterMs } = DEFAULT_BROKER_SETTINGS;

interface World {
  readonly broker: Broker;
  readonly clock: VirtualClock;
  readonly start: (holder: string) => Coordinator;
}

function worldOf(t: TestContext): World {
  const clock = new VirtualClock();
  const random = seededRandom(7);
  let ids = 0;
  const newId = (): string => `id-${(ids += 1)}`;
  const broker = openSqliteBroker({ file: ":memory:", clock, random, newId });
  const coordinators: Coordinator[] = [];
  t.after(async () => {
    for (const coordinator of coordinators) await coordinator.stop();
    await broker.close();
  });
  return {
    broker,
    clock,
    start: (holder) => {
      const coordinator = startCoordinator({ broker, clock, random, logger: silentLogger, holder });
      coordinators.push(coordinator);
      return coordinator;
    },
  };
}

async function submitOne(broker: Broker): Promise<string> {
  const { executions } = await broker.submit({ submissions: [batch(1)] });
  return executions[0]?.executionId ?? "";
}

describe("coordinator on a broker", () => {
  it("gives a silent worker's task to another one soon after the worker counts as dead", async (t) => {
    const { broker, clock, start } = worldOf(t);
    start("one");
    const executionId = await submitOne(broker);
    const silent = await FakeWorker.join(broker, { worker: "silent" });
    const lease = await silent.take();
    await clock.advance(deadAfterMs - 300);
    const other = await FakeWorker.join(broker, { worker: "other" });
    assert.deepEqual(await other.leases(), [], "not yet");
    await clock.advance(600);
    await other.finish(await other.take());
    await assert.rejects(silent.report(done(lease)), (thrown) => HoldfastError.is(thrown, "SESSION_LOST"));
    const { state, lostAttempts } = await broker.getExecution({ executionId });
    assert.deepEqual({ state, lostAttempts }, { state: "completed", lostAttempts: 1 });
  });

  it("queues a retry at the moment its backoff is over", async (t) => {
    const { broker, clock, start } = worldOf(t);
    start("one");
    await submitOne(broker);
    const worker = await FakeWorker.join(broker);
    await worker.deliver(failed(await worker.take()));
    await clock.advance(4_999);
    await worker.heartbeat();
    assert.deepEqual(await worker.leases(), [], "4,999 ms after the failure");
    await clock.advance(1);
    assert.equal((await worker.leases()).length, 1, "5,000 ms after the failure");
  });

  it("compares the copies of verified chunks and names the worker that is off", async (t) => {
    const { broker, clock, start } = worldOf(t);
    start("one");
    const verify = { sample: 0, replicas: 3, tolerance: 0, seed: 1 };
    const { executions } = await broker.submit({ submissions: [sweep(2, 2, { verify })] });
    for (const name of ["a", "b", "c"]) {
      const worker = await FakeWorker.join(broker, { worker: name });
      const lease = await worker.take();
      const values = name === "b" ? "[0,7]" : "[0,1]";
      await worker.deliver({ ...done(lease), values } as ReturnType<typeof done>);
    }
    await clock.advance(1_000);
    const { state, verification } = await broker.getExecution({ executionId: executions[0]?.executionId ?? "" });
    assert.equal(state, "completed");
    assert.equal(verification?.disagreed, 1);
    assert.deepEqual(verification?.disagreements[0]?.workers, ["b"]);
  });

  it("deletes what has ended and is older than it is to be kept", async (t) => {
    const { broker, clock, start } = worldOf(t);
    start("one");
    const { executions } = await broker.submit({ submissions: [batch(1, { retentionMs: 90_000 })] });
    const executionId = executions[0]?.executionId ?? "";
    const worker = await FakeWorker.join(broker);
    await worker.finish(await worker.take());
    await clock.advance(60_000);
    assert.equal((await broker.getExecution({ executionId })).state, "completed");
    await clock.advance(91_000);
    await assert.rejects(broker.getExecution({ executionId }), (thrown) =>
      HoldfastError.is(thrown, "EXECUTION_NOT_FOUND"),
    );
  });

  it("does each thing once although two run all duties at the same time", async (t) => {
    const { broker, clock, start } = worldOf(t);
    const coordinators = [start("one"), start("two")];
    const executionId = await submitOne(broker);
    const silent = await FakeWorker.join(broker);
    await silent.take();
    await clock.advance(deadAfterMs / 2);
    // Both reap in the same moment, as two that take themselves for the leader would.
    await clock.advance(deadAfterMs / 2 + 1);
    await Promise.all(coordinators.map((coordinator) => coordinator.runOnce("reaper")));
    const { lostAttempts, counters } = await broker.getExecution({ executionId });
    assert.deepEqual({ lostAttempts, queued: counters.queued }, { lostAttempts: 1, queued: 1 });
  });

  it("goes on when the leader is gone", async (t) => {
    const { broker, clock, start } = worldOf(t);
    const [one, two] = [start("one"), start("two")];
    await clock.advance(LEADER_TTL_MS);
    assert.deepEqual([one.isLeader, two.isLeader], [true, false]);
    await one.stop();
    await submitOne(broker);
    const silent = await FakeWorker.join(broker);
    await silent.take();
    await clock.advance(deadAfterMs + 1_000);
    const { sessions } = await broker.listSessions({ limit: 10 });
    assert.equal(sessions[0]?.state, "lost");
    assert.equal(two.isLeader, true);
  });
});
