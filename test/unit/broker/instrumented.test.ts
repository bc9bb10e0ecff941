/** The wrapper around the contract: it sees everything, changes nothing, and lets no broken reply through. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Broker, BROKER_METHODS, type BrokerMethod, type ClaimReply } from "../../../src/broker/contract.ts";
import { instrument } from "../../../src/broker/instrumented.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

interface Observed {
  readonly broker: Broker;
  readonly seen: [string, number, string?][];
  readonly lines: Record<string, unknown>[];
  readonly clock: VirtualClock;
}

/** An instrumented broker whose methods all do `act`. */
function observed(act: (method: BrokerMethod, params: unknown) => Promise<unknown>): Observed {
  const seen: [string, number, string?][] = [];
  const lines: Record<string, unknown>[] = [];
  const clock = new VirtualClock();
  const methods = Object.fromEntries(
    BROKER_METHODS.map((method) => [method, (params: unknown) => act(method, params)]),
  ) as unknown as Pick<Broker, BrokerMethod>;
  const inner: Broker = {
    ...methods,
    features: { name: "fake", durable: true, needsCoordinator: true },
    close: async () => void seen.push(["close", 0]),
  };
  const logger = createLogger({
    level: "debug",
    format: "json",
    destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const metrics = {
    observe: (method: BrokerMethod, durationMs: number, errorCode?: string) =>
      seen.push(errorCode === undefined ? [method, durationMs] : [method, durationMs, errorCode]),
  };
  return { broker: instrument(inner, { logger, metrics, clock }), seen, lines, clock };
}

const idle: ClaimReply = { leases: [], specs: {}, cancel: [], drain: false };
const lease = { executionId: "x", task: 0, token: "t", spec: "a", attempt: 1 };
const returned = { kind: "returned", lease: { executionId: "x", task: 0, token: "t" } } as const;

test("every method is passed on with its params and its reply, and observed", async () => {
  for (const method of BROKER_METHODS) {
    const reply = { ...idle, executions: [], verdicts: [], lost: [], cursor: 0, rows: [], events: [], method };
    const { broker, seen, clock } = observed(async (name, given) => {
      assert.equal(name, method);
      await clock.advance(7);
      return { ...reply, given };
    });
    const params = { submissions: [], outcomes: [], held: [], cursor: 0, limit: 1, max: 1, waitMs: 0 };
    const answer = await (broker[method] as (given: unknown) => Promise<unknown>)(params);
    assert.deepEqual(answer, { ...reply, given: params });
    assert.deepEqual(seen, [[method, 7]]);
  }
});

test("features and close are the broker's own", async () => {
  const { broker, seen } = observed(async () => undefined);
  assert.deepEqual(broker.features, { name: "fake", durable: true, needsCoordinator: true });
  await broker.close();
  assert.deepEqual(seen, [["close", 0]]);
});

test("a catalogued error passes as it is; any other becomes INTERNAL and is logged", async () => {
  const known = new HoldfastError("QUEUE_FULL", { pool: "p", depth: 1, limit: 1 });
  const first = observed(() => Promise.reject(known));
  await assert.rejects(first.broker.listPools(), (thrown) => thrown === known);
  assert.deepEqual(first.seen, [["listPools", 0, "QUEUE_FULL"]]);
  assert.deepEqual(first.lines, []);
  const second = observed(() => Promise.reject(new TypeError("a defect")));
  await assert.rejects(second.broker.listPools(), { code: "INTERNAL", details: { problem: "a defect" } });
  assert.deepEqual(second.seen, [["listPools", 0, "INTERNAL"]]);
  assert.deepEqual(
    second.lines.map((line) => [line["level"], line["method"]]),
    [["error", "listPools"]],
  );
});

test("a call that is slow beyond its own wait is logged", async () => {
  const { broker, lines, clock } = observed(async (method) => {
    await clock.advance(1_500);
    return method === "claim" ? idle : { ...idle, verdicts: [] };
  });
  await broker.claim({ session: "s", max: 1, waitMs: 1_000 });
  await broker.commit({ session: "s", outcomes: [], claim: { max: 1, waitMs: 1_000 } });
  assert.deepEqual(lines, []);
  await broker.claim({ session: "s", max: 1, waitMs: 100 });
  assert.deepEqual(
    lines.map((line) => [line["level"], line["msg"], line["method"], line["durationMs"]]),
    [["debug", "slow broker call", "claim", 1_500]],
  );
});

test("a reply that breaks its promise becomes INTERNAL", async () => {
  const cases: readonly [BrokerMethod, unknown, unknown, RegExp][] = [
    ["submit", { submissions: [{}, {}] }, { executions: [{}] }, /1 receipts for 2/],
    [
      "claim",
      { session: "s", max: 1, waitMs: 0 },
      { ...idle, leases: [lease, lease], specs: { a: {} } },
      /2 leases where 1/,
    ],
    ["claim", { session: "s", max: 1, waitMs: 0 }, { ...idle, leases: [lease] }, /without its spec a/],
    ["commit", { session: "s", outcomes: [returned] }, { ...idle, verdicts: [] }, /0 verdicts for 1/],
    [
      "commit",
      { session: "s", outcomes: [] },
      { ...idle, verdicts: [], leases: [lease], specs: { a: {} } },
      /1 leases where 0/,
    ],
    ["reconcile", { session: "s", held: [] }, { returned: 0, lost: [lease] }, /1 lost leases where 0/],
    [
      "readResults",
      { executionId: "x", cursor: 5, limit: 1 },
      { rows: [], cursor: 4, done: false },
      /back from 5 to 4/,
    ],
    ["readEvents", { cursor: 5, limit: 1 }, { events: [], cursor: 4 }, /back from 5 to 4/],
    ["readEvents", { cursor: 0, limit: 1 }, { events: [{}, {}], cursor: 4 }, /2 entries where 1/],
  ];
  for (const [method, params, reply, problem] of cases) {
    const { broker, seen } = observed(async () => reply);
    await assert.rejects((broker[method] as (given: unknown) => Promise<unknown>)(params), (thrown: unknown) => {
      assert.ok(HoldfastError.is(thrown, "INTERNAL"));
      assert.match(thrown.message, problem);
      return true;
    });
    assert.deepEqual(seen, [[method, 0, "INTERNAL"]]);
  }
});
