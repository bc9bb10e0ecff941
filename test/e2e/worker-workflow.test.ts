/** Workflows on real workers and every store: every kind of node, from its definition to its output. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import type { Broker } from "../../src/broker/contract.ts";
import { openRedisBroker } from "../../src/broker/redis/index.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { Client } from "../../src/sdk/client.ts";
import { explainTask } from "../../src/server/explain.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { Worker } from "../../src/worker/index.ts";
import { everything, nested, undone } from "../fixtures/worker/flows.ts";
import { sharedRedis } from "../support/redis-server.ts";

const clock = systemClock({ keepAlive: true });
const ingredients = { clock, random: Math.random, newId: randomUUID };

const STORES: Readonly<Record<string, () => Promise<Broker>>> = {
  sqlite: async () => openSqliteBroker({ file: ":memory:", ...ingredients }),
  redis: async () => {
    const { host, port } = await sharedRedis();
    const target = { mode: "standalone", nodes: [{ host, port }], db: 0 } as const;
    return openRedisBroker({ target, namespace: `workflows-${randomUUID()}`, ...ingredients });
  },
};

for (const [store, open] of Object.entries(STORES)) describe(`workflows on ${store}`, () => tellWorkflows(open));

function tellWorkflows(open: () => Promise<Broker>): void {
  let folder: string;
  let broker: Broker;
  let client: Client;
  let cancelDuty = (): void => undefined;
  const workers: Worker[] = [];

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "holdfast-workflow-"));
    broker = await open();
    client = new Client({ broker, clock });
    const scheduleDuty = (): void => {
      cancelDuty = clock.schedule(10, () => {
        broker.promoteDue({ limit: 1_000 }).catch(() => undefined);
        scheduleDuty();
      });
    };
    scheduleDuty();
    const profile = { pools: ["default"], capabilities: ["cpu"], slots: 1 };
    for (const worker of ["a", "b"]) {
      workers.push(new Worker({ broker, profile: { worker, ...profile }, settings: {}, logger: silentLogger, clock }));
    }
    await Promise.all(workers.map((worker) => worker.start()));
  });

  after(async () => {
    await Promise.all(workers.map((worker) => worker.drain()));
    cancelDuty();
    await broker.close();
    rmSync(folder, { recursive: true });
  });

  it("a workflow of every kind of node comes to its output", { timeout: 20_000 }, async () => {
    const execution = await client.submit(everything);
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
    const { tasks } = await broker.listTasks({ executionId: execution.id, limit: 100 });
    const labels = tasks.map(({ label }) => label);
    for (const label of ["part/checks", "part/total", "part/checks[0]", "part/checks[2]"])
      assert.ok(labels.includes(label), `${label} is among ${labels.join(", ")}`);
  });

  it(
    "workflows lie in maps and in workflows, each with names and signals of its own",
    { timeout: 20_000 },
    async () => {
      const execution = await client.submit(nested);
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
      const { tasks } = await broker.listTasks({ executionId: execution.id, limit: 100 });
      const failed = tasks.filter(({ state }) => state === "failed").map(({ label }) => label);
      assert.deepEqual(failed, ["parts[1]/checks[1]"]);
    },
  );

  it(
    "what has completed is undone, newest first, when a node has failed that is to be compensated",
    { timeout: 20_000 },
    async () => {
      const file = path.join(folder, "undone");
      const execution = await client.submit(undone.with({ file }));
      const status = await execution.wait({ throwOnFailure: false });
      assert.equal(status.state, "failed");
      assert.deepEqual(readFileSync(file, "utf8").trim().split("\n"), ["one", "two", "not two", "not one"]);
    },
  );

  it("says what a node waits for that waits", { timeout: 20_000 }, async () => {
    const execution = await client.submit(nested);
    const reasons = new Map<string, string>();
    for await (const { id, task, reason } of execution.nodes()) {
      if (reason !== "suspended") continue;
      const parts = { broker, clock, rate: () => undefined };
      reasons.set(id, (await explainTask(parts, execution.id, task)).why.code);
      if (reasons.has("one") && reasons.has("one/ok")) break;
    }
    assert.equal(reasons.get("one"), "waits-for-added");
    assert.equal(reasons.get("one/ok"), "waits-for-signal");
    await execution.cancel();
  });
}
