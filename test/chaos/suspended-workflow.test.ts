/**
 * Workflows whose nodes suspend themselves (for a time, for a signal, for tasks that they add, these
 * again for others) while real worker processes are killed at random: every task commits once, none
 * before those that it waits for, and each goes on with what it has waited for.
 *
 * CHAOS_SEED repeats a run's choices (not its timing), CHAOS_KILLS sets the deaths.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Broker, BrokerEvent, Submission, TaskGroup } from "../../src/broker/contract.ts";
import type { NodeHandler, Step } from "../../src/sdk/workflow/node.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { allEvents, allResults, auditBroker } from "../contract/audit.ts";
import { cleanups, scratchFolder } from "../fixtures/sdk/scratch.ts";
import { startRedis } from "../support/redis-server.ts";
import { type RedisWorkers, startRedisWorkers } from "../support/redis-workers.ts";
import { seededRandom, wholeBetween } from "../support/seeded-random.ts";
import { group, submission } from "../support/submissions.ts";

const KILLS = Number(process.env["CHAOS_KILLS"] ?? 12);
const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const WORKFLOWS = 30;
const WORKERS = 3;
const KILL_WITHIN_MS = 300;
const SIGNAL_WITHIN_MS = 3_000;
const LONGEST_ITEM_MS = 300;
const LIMIT_MS = 120_000;
const CLOCK = systemClock({ keepAlive: true });

/** A worker may die as often as it likes. */
const HEAD = { name: "node", maxLosses: 1_000 };

function head(does: Step): Omit<TaskGroup, "work"> {
  const handler = JSON.stringify({ kind: "node", does } satisfies NodeHandler);
  const { work: _work, ...rest } = group({ kind: "tasks", inputs: [] }, { ...HEAD, handler });
  return rest;
}

function node(id: string, after: readonly number[], does: Step, more: object = {}): TaskGroup {
  const input = JSON.stringify({ node: id, ...more });
  return { ...head(does), work: { kind: "tasks", inputs: [input], labels: [id], after: [after] } };
}

const ITEMS = 4;

/** Nodes 0…4: sleep and a signal; then a map; then a workflow of a sleep and a map; then the end. */
function workflow(random: () => number): Submission {
  const naps = Array.from({ length: ITEMS }, () => ({ ms: wholeBetween(random, 1, LONGEST_ITEM_MS) }));
  const map: Step = { kind: "map", each: head({ kind: "replay" }) };
  const inner: Step = {
    kind: "workflow",
    nodes: ["nap", "twice"],
    groups: [
      node("nap", [], { kind: "sleep", ms: wholeBetween(random, 1, 200) }),
      node("twice", [0], map, { input: [{ ms: 5 }, { ms: 10 }] }),
    ],
    output: { twice: { $output: ["twice"] } },
  };
  return submission(
    [
      node("sleep", [], { kind: "sleep", ms: wholeBetween(random, 1, 500) }),
      node("wait", [], { kind: "wait", signal: "go" }),
      node("map", [0, 1], map, { input: naps }),
      node("inner", [2], inner),
      node("end", [2, 3], { kind: "replay" }, { input: { ms: 1 } }),
    ],
    { kind: "workflow", name: "suspended" },
  );
}

/** Those that are at work die, and others come, as long as there are deaths left and work to do. */
async function killAtRandom(world: RedisWorkers, random: () => number, hasEnded: () => boolean): Promise<number> {
  let kills = 0;
  while (kills < KILLS && !hasEnded()) {
    await sleep(CLOCK, wholeBetween(random, 1, KILL_WITHIN_MS));
    const { sessions } = await world.broker.listSessions({ limit: 100, live: true });
    const busy = sessions.filter(({ leases, worker }) => leases > 0 && world.alive.has(worker));
    const victim = busy[wholeBetween(random, 0, Math.max(0, busy.length - 1))];
    if (victim === undefined) continue;
    world.kill(victim.worker, "SIGKILL");
    kills += 1;
    world.start(`spare${kills}`);
  }
  return kills;
}

/** Places of the task's `state` among the events. */
function placesOf(events: readonly BrokerEvent[], task: number, state: string): readonly number[] {
  return events.flatMap(({ change }, at) =>
    change.kind === "tasks" && change.state === state && change.tasks.includes(task) ? [at] : [],
  );
}

async function checkOne(broker: Broker, executionId: string): Promise<void> {
  const { state, counters } = await broker.getExecution({ executionId });
  // The map's items, the workflow's two nodes, and the items of its map.
  const total = 5 + ITEMS + 2 + 2;
  assert.deepEqual([state, counters.completed, counters.total], ["completed", total, total]);
  const rows = await allResults(broker, executionId);
  assert.equal(new Set(rows.map(({ task }) => task)).size, rows.length, "each committed once");
  const { tasks } = await broker.listTasks({ executionId, limit: 100 });
  const numbers = new Map(tasks.map(({ label, task }) => [label ?? "", task]));
  const outputOf = (label: string): unknown =>
    JSON.parse(rows.find(({ task }) => task === numbers.get(label))?.result ?? "null");
  assert.deepEqual(outputOf("wait"), { execution: executionId });
  assert.deepEqual(outputOf("inner"), { twice: [{ ms: 5 }, { ms: 10 }] });
  assert.equal((outputOf("map") as unknown[]).length, ITEMS);
  const events = await allEvents(broker, executionId);
  const waits = [
    ["map", "sleep"],
    ["map", "wait"],
    ["inner", "map"],
    ["end", "inner"],
    ["inner/twice", "inner/nap"],
  ];
  for (const label of numbers.keys()) {
    if (/^map\[\d\]$/.test(label)) waits.push(["end", label]);
    if (/^inner\/twice\[\d\]$/.test(label)) waits.push(["end", label]);
  }
  for (const [later = "", first = ""] of waits) {
    const [started] = placesOf(events, numbers.get(later) ?? -1, "running");
    const [done] = placesOf(events, numbers.get(first) ?? -1, "completed");
    assert.ok(done !== undefined && started !== undefined && done < started, `${later} started after ${first}`);
  }
  for (const task of numbers.values()) assert.equal(placesOf(events, task, "completed").length, 1);
}

async function survive(t: TestContext, address: string): Promise<void> {
  const random = seededRandom(SEED);
  const world = await startRedisWorkers(t, { address, workers: WORKERS });
  const { broker } = world;
  await world.warmUp();
  const submissions = Array.from({ length: WORKFLOWS }, () => workflow(random));
  const { executions } = await broker.submit({ submissions });
  const ids = executions.map(({ executionId }) => executionId);
  let left = ids.length;
  const ends = ids.map(async (id) => {
    await (await world.client.get(id)).wait();
    left -= 1;
  });
  const signals = ids.map(async (executionId) => {
    await sleep(CLOCK, wholeBetween(random, 1, SIGNAL_WITHIN_MS));
    await broker.signal({ executionId, signal: "go", payload: JSON.stringify({ execution: executionId }) });
  });
  const [kills] = await Promise.all([killAtRandom(world, random, () => left === 0), ...signals, ...ends]);
  for (const id of ids) await checkOne(broker, id);
  await auditBroker(broker);
  const views = await Promise.all(ids.map((executionId) => broker.getExecution({ executionId })));
  const lost = views.reduce((sum, { lostAttempts }) => sum + lostAttempts, 0);
  t.diagnostic(`${WORKFLOWS} workflows, ${kills} workers killed, ${lost} attempts lost`);
  assert.ok(lost > 0, "some died at work");
}

const SAYS = `suspended nodes go on, and commit once, while ${KILLS} workers are killed (CHAOS_SEED=${SEED})`;

test(`on Redis: ${SAYS}`, { timeout: LIMIT_MS }, async (t) => {
  const cleanup = cleanups(t);
  const server = await startRedis({ appendonly: "everysec" });
  cleanup(() => server.stop());
  await survive(t, server.url);
});

test(`on the embedded broker: ${SAYS}`, { timeout: LIMIT_MS }, async (t) => {
  await survive(t, await scratchFolder(t));
});
