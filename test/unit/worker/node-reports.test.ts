/** How a node's endings leave its runner and its worker. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { outcomeSchema } from "../../../src/broker/schemas-working.ts";
import { newAttempt } from "../../../src/worker/attempt.ts";
import { outcomeOf } from "../../../src/worker/outcome.ts";
import { isRunnerReport } from "../../../src/worker/runner-wire.ts";
import { fixtureUrl, lease, PoolHarness } from "../../fixtures/worker/pool-harness.ts";

const ran = { id: 1, ms: 1, out: 0, err: 0 };
const suspended = { ...ran, type: "suspended", state: "null" };
const group = { handler: "{}", work: { kind: "tasks", inputs: ["1"] } };
const harness = new PoolHarness();

after(() => harness.close());

for (const report of [
  { ...ran, type: "skipped", dependents: "release" },
  { ...suspended, until: { kind: "delay", delayMs: 5 } },
  { ...suspended, until: { kind: "signal", signal: "go" } },
  { ...suspended, until: { kind: "tasks", groups: [group] } },
]) {
  test(`${JSON.stringify(report)} is a report`, () => assert.ok(isRunnerReport(report)));
}

for (const report of [
  { ...ran, type: "skipped" },
  { ...ran, type: "skipped", dependents: "fail" },
  { type: "skipped", dependents: "skip", id: 1 },
  suspended,
  { ...suspended, state: 1, until: { kind: "delay", delayMs: 5 } },
  { ...suspended, until: null },
  { ...suspended, until: "tasks" },
  { ...suspended, until: { kind: "for-ever" } },
  { ...suspended, until: { kind: "tasks" } },
  { ...suspended, until: { kind: "tasks", groups: [null] } },
  { ...suspended, until: { kind: "tasks", groups: [{ ...group, handler: 1 }] } },
  { ...suspended, until: { kind: "tasks", groups: [{ ...group, work: { kind: "array", length: 1 } }] } },
  { ...suspended, until: { kind: "tasks", groups: [{ ...group, work: { kind: "tasks", inputs: [null] } }] } },
]) {
  test(`${JSON.stringify(report)} is no report`, () => assert.ok(!isRunnerReport(report)));
}

const spec = { number: 1, name: "x", handler: "", timeoutMs: 10, averageMs: undefined };
const skip = { ...ran, type: "skipped", dependents: "release" } as const;
const suspend = { ...ran, type: "suspended", state: "7", until: { kind: "delay", delayMs: 5 } } as const;

test("skipped and suspended answers become outcomes, unless they came too late or do not count", () => {
  const attempt = newAttempt(lease(), spec);
  const { executionId, task, token } = attempt.lease;
  const of = { lease: { executionId, task, token }, durationMs: 1 };
  assert.deepEqual(outcomeOf(attempt, skip, undefined), { kind: "skipped", dependents: "release", ...of });
  const { until } = suspend;
  assert.deepEqual(outcomeOf(attempt, suspend, undefined), { kind: "suspended", state: "7", until, ...of });
  assert.equal(outcomeOf(attempt, { ...suspend, ms: 11 }, undefined)?.kind, "failed");
  attempt.stop = "cancelled";
  assert.equal(outcomeOf(attempt, skip, undefined), undefined);
});

test("a runner hands on what a lease says of a task that goes on, and what it suspends itself for", async () => {
  const does = { kind: "map", each: head("adds-one") };
  const handler = JSON.stringify({ kind: "node", does });
  const first = newAttempt(lease({ input: '{"node":"n","input":[1,2]}' }), harness.spec("map", { handler }));
  harness.pool.run([first]);
  const outcome = await harness.outcome(first);
  assert.ok(outcome?.kind === "suspended" && outcome.until.kind === "tasks", JSON.stringify(outcome));
  assert.ok(outcomeSchema.safeParse(outcome).success, "the broker reads it");
  const resumed = { state: outcome.state, first: 5, count: 2 };
  const parents = { 5: '"a"', 6: '"b"' };
  const second = newAttempt(lease({ input: '{"node":"n"}', parents, resumed }), harness.spec("map", { handler }));
  harness.pool.run([second]);
  const end = await harness.outcome(second);
  assert.equal(end?.kind === "completed" && end.result, '["a","b"]');
});

test("a node whose condition does not hold is skipped by its runner", async () => {
  const handler = JSON.stringify({ kind: "node", does: { kind: "replay" } });
  const input = JSON.stringify({ node: "n", condition: { kind: "expression", expression: "input == 1" } });
  const attempt = newAttempt(lease({ input }), harness.spec("skips", { handler }));
  harness.pool.run([attempt]);
  const outcome = await harness.outcome(attempt);
  assert.equal(outcome?.kind === "skipped" && outcome.dependents, "skip");
});

function head(task: string): object {
  const handler = JSON.stringify({ kind: "node", does: { kind: "function", module: fixtureUrl("node-tasks"), task } });
  const retry = { limit: 3, baseMs: 1, factor: 2, maxMs: 10, jitter: 0, never: [] };
  return { name: task, handler, pool: "default", requires: [], retry, maxLosses: 3 };
}
