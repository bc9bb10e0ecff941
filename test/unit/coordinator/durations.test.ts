/** What the nodes of workflows took, folded into the means that the next run is planned by. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Broker, Lease, Submission, TaskList } from "../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { workflowDurations } from "../../../src/coordinator/durations.ts";
import { startCoordinator } from "../../../src/coordinator/index.ts";
import type { Duty } from "../../../src/coordinator/duty.ts";
import { durationsKey, parseDurations } from "../../../src/core/durations.ts";
import { measuredDurations } from "../../../src/sdk/workflow/durations.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { completed, failed } from "../../support/outcomes.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { group, submission } from "../../support/submissions.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { scriptedBroker } from "./scripted-broker.ts";

interface World {
  readonly broker: Broker;
  readonly clock: VirtualClock;
  readonly duty: Duty;
  readonly worker: FakeWorker;
}

async function worldOf(t: TestContext): Promise<World> {
  const clock = new VirtualClock();
  let ids = 0;
  const newId = (): string => `id-${(ids += 1)}`;
  const broker = openSqliteBroker({ file: ":memory:", clock, random: seededRandom(7), newId });
  t.after(() => broker.close());
  return { broker, clock, duty: workflowDurations(clock), worker: await FakeWorker.join(broker, { slots: 100 }) };
}

function labelled(labels: readonly string[], changes: Partial<Submission> = {}): Submission {
  const list: TaskList = { kind: "tasks", inputs: labels.map(() => "0"), labels };
  return submission([group(list)], { kind: "workflow", name: "release", ...changes });
}

/** Runs all that is ready; each task takes what `msOf` says. */
async function run(worker: FakeWorker, msOf: (lease: Lease) => number): Promise<void> {
  const leases = await worker.leases(1_000);
  await worker.deliver(...leases.map((lease) => ({ ...completed(lease), durationMs: msOf(lease) })));
}

async function runWorkflow(world: World, msByLabel: Readonly<Record<string, number>>): Promise<void> {
  await runWorkflowAtOnce(world, msByLabel);
  await world.clock.advance(2_000);
}

async function runWorkflowAtOnce(
  { broker, worker }: World,
  msByLabel: Readonly<Record<string, number>>,
): Promise<void> {
  await broker.submit({ submissions: [labelled(Object.keys(msByLabel))] });
  await run(worker, ({ label = "" }) => msByLabel[label] ?? 0);
}

async function meansOf(broker: Broker, name = "release"): Promise<Readonly<Record<string, number>>> {
  const { value } = await broker.readValue({ key: durationsKey(name) });
  return value === undefined ? {} : Object.fromEntries(parseDurations(value.value).means);
}

describe("durations duty", () => {
  it("measures a workflow when it has completed, and the next run sees it", async (t) => {
    const world = await worldOf(t);
    const { broker, duty, clock } = world;
    assert.deepEqual(await duty.runOnce(broker), { handled: 0, more: false });
    await runWorkflow(world, { build: 100, "tests[0]": 10, "tests[1]": 30 });
    assert.deepEqual(await duty.runOnce(broker), { handled: 1, more: false });
    assert.deepEqual(await meansOf(broker), { build: 100, "tests[*]": 20 });
    await runWorkflow(world, { build: 200, deploy: 5 });
    assert.equal((await duty.runOnce(broker)).handled, 1);
    assert.deepEqual(await meansOf(broker), { "tests[*]": 20, build: 130, deploy: 5 });
    assert.equal((await measuredDurations(broker, "release", clock)).get("build"), 130);
    const { value } = await broker.readValue({ key: durationsKey("release") });
    assert.equal((value?.expiresAt ?? 0) - clock.now(), 90 * 86_400_000);
    assert.equal((await duty.runOnce(broker)).handled, 0, "there is nothing new");
  });

  it("begins with what had completed before it led, and takes nothing twice", async (t) => {
    const world = await worldOf(t);
    const { broker, clock } = world;
    await runWorkflow(world, { a: 100, b: 10 });
    await runWorkflow(world, { a: 200, b: 10 });
    assert.equal((await workflowDurations(clock).runOnce(broker)).handled, 1);
    assert.deepEqual(await meansOf(broker), { a: 200, b: 10 });
    assert.equal((await workflowDurations(clock).runOnce(broker)).handled, 0, "another leader finds it measured");
    assert.deepEqual(await meansOf(broker), { a: 200, b: 10 });
  });

  it("measures at the latest when its coordinator ends", async (t) => {
    const world = await worldOf(t);
    const { broker, clock } = world;
    const coordinator = startCoordinator({ broker, clock, random: () => 0.5, logger: silentLogger, holder: "one" });
    await clock.advance(2_600);
    await runWorkflowAtOnce(world, { a: 3, b: 4 });
    assert.deepEqual(await meansOf(broker), {});
    await coordinator.stop();
    assert.deepEqual(await meansOf(broker), { a: 3, b: 4 });
  });

  it("passes over what says nothing of a workflow's nodes", async (t) => {
    const { broker, duty, worker } = await worldOf(t);
    await duty.runOnce(broker);
    await broker.submit({
      submissions: [
        labelled(["a", "b"], { kind: "batch", name: "no workflow" }),
        labelled(["only[0]", "only[1]"], { name: "all alike" }),
        submission([group({ kind: "tasks", inputs: ["0", "1"] })], { kind: "workflow", name: "no labels" }),
      ],
    });
    await run(worker, () => 5);
    assert.equal((await duty.runOnce(broker)).handled, 0);
    assert.deepEqual((await broker.listValues({ limit: 10 })).values, []);
  });

  it("waits for the end, and does not measure what failed", async (t) => {
    const { broker, duty, worker, clock } = await worldOf(t);
    await duty.runOnce(broker);
    const never = { limit: 0, baseMs: 0, factor: 1, maxMs: 0, jitter: 0, never: [] };
    await broker.submit({
      submissions: [
        submission([group({ kind: "tasks", inputs: ["0", "1", "2"], labels: ["a", "b", "c"] }, { retry: never })], {
          kind: "workflow",
          name: "release",
        }),
      ],
    });
    const [one, other, last] = await worker.leases(3);
    assert.ok(one !== undefined && other !== undefined && last !== undefined);
    await worker.deliver(completed(one), completed(other));
    assert.equal((await duty.runOnce(broker)).handled, 0);
    await worker.deliver(failed(last));
    await clock.advance(2_000);
    assert.equal((await duty.runOnce(broker)).handled, 0);
    assert.deepEqual(await meansOf(broker), {});
  });

  it("counts an attempt after a failure, and not the last stretch of a task that had suspended itself", async (t) => {
    const { broker, duty, worker, clock } = await worldOf(t);
    await duty.runOnce(broker);
    await broker.submit({ submissions: [labelled(["retried", "plain", "napper"])] });
    const [retried, plain, napper] = await worker.leases(3);
    assert.ok(retried !== undefined && plain !== undefined && napper !== undefined);
    const { lease, durationMs } = completed(napper);
    const until = { kind: "delay", delayMs: 1_000 } as const;
    await worker.deliver(
      failed(retried),
      { ...completed(plain), durationMs: 40 },
      { kind: "suspended", lease, durationMs, state: "0", until },
    );
    await clock.advance(10_000);
    await broker.promoteDue({ limit: 10 });
    await run(worker, () => 7);
    assert.equal((await duty.runOnce(broker)).handled, 1);
    assert.deepEqual(await meansOf(broker), { retried: 7, plain: 40 });
  });
});

describe("durations duty where much happens", () => {
  it("looks at one execution of a name every two seconds", async (t) => {
    const world = await worldOf(t);
    const { broker, duty, worker, clock } = world;
    await duty.runOnce(broker);
    let handled = 0;
    for (let second = 0; second < 10; second += 1) {
      await broker.submit({ submissions: Array.from({ length: 5 }, () => labelled(["a", "b"])) });
      await run(worker, () => 10);
      await clock.advance(1_000);
      handled += (await duty.runOnce(broker)).handled;
    }
    assert.equal(handled, 5);
  });

  it("reads one page of events and looks at some of the newest, however many end", async () => {
    const asked: unknown[] = [];
    let looks = 0;
    const broker = scriptedBroker({
      listExecutions: async () => ({ executions: [] }),
      readEvents: async ({ cursor, limit }) => {
        asked.push([cursor, limit]);
        if (cursor === -1) return { events: [], cursor: 70 };
        const events = Array.from({ length: limit }, (_, at) => ({
          cursor: cursor + at + 1,
          at: 0,
          executionId: `e${at}`,
          change: { kind: "execution", state: "completed" } as const,
        }));
        return { events, cursor: cursor + limit };
      },
      getExecution: async ({ executionId }) => {
        looks += 1;
        return {
          executionId,
          name: "sweep",
          kind: "sweep",
          state: "completed",
          priority: 5,
          counters: {
            total: 1,
            blocked: 0,
            scheduled: 0,
            queued: 0,
            running: 0,
            completed: 1,
            failed: 0,
            cancelled: 0,
            skipped: 0,
          },
          lostAttempts: 0,
          retries: 0,
          refusedOutcomes: 0,
          createdAt: 0,
        };
      },
    });
    const duty = workflowDurations(new VirtualClock());
    for (let runs = 0; runs < 4; runs += 1) await duty.runOnce(broker);
    assert.deepEqual(asked, [
      [-1, 1],
      [70, 1_000],
      [-1, 1_000],
      [70, 1_000],
    ]);
    assert.equal(looks, 100);
  });
});
