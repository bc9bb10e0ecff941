/** What docs/redis-keys.md says that a user must be allowed is enough, and rights to functions are not needed. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Broker, Edit } from "../../../src/broker/contract.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { failed, failure, untilSignal, untilTasks } from "../../support/outcomes.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { batch, group, ranked, submission, tasks } from "../../support/submissions.ts";
import { read } from "../../tidy/repository.ts";

/** The rights as the page states them. */
function rightsOfPage(): string[] {
  const [, rights = ""] = /^ACL SETUSER holdfast on >PASSWORD (.+)$/m.exec(read("docs/redis-keys.md")) ?? [];
  return rights.split(" ");
}

/** A workflow that fails, waits, grows, is edited and runs again: by far the most scripts, and most of their parts. */
async function steer(broker: Broker, worker: FakeWorker): Promise<void> {
  const groups = [group(ranked([1, 4, 3, 2], [[], [], [0], []])), group(tasks(1), { when: "failed" })];
  const [receipt] = (await broker.submit({ submissions: [submission(groups, { keepInputs: true })] })).executions;
  const { executionId = "" } = receipt ?? {};
  const edit = (...edits: readonly Edit[]): Promise<unknown> =>
    broker.editExecution({ executionId, edits, apply: true });
  await broker.limitPool({ pool: "default", min: 0, max: 9 });
  await broker.pause({ executionId });
  await broker.resume({ executionId });
  await edit(
    { kind: "hold", tasks: [3] },
    { kind: "rank", tasks: [0], ranks: [9] },
    { kind: "rewire", task: 2, after: [] },
  );
  await edit({ kind: "undo" });
  const [first, second] = await worker.leases(2);
  assert.deepEqual([first?.task, second?.task], [1, 3]);
  assert.ok(first !== undefined && second !== undefined);
  await worker.deliver(untilSignal(first, "go"), untilTasks(second, [group(tasks(1))]));
  await broker.signal({ executionId, signal: "go", payload: "1" });
  await broker.promoteDue({ limit: 10 });
  await broker.reapOverdue({ limit: 10 });
  const failing = (await worker.leases(9)).filter(({ task }) => task === 0);
  await worker.deliver(...failing.map((lease) => failed(lease, failure("invalid-input"))));
  await broker.explainTask({ executionId, task: 2 });
  await broker.retry({ executionId });
  await broker.rerun({ executionId, task: 1 });
  await broker.cancel({ executionId });
}

describe("a user with the rights that the docs name", () => {
  let server: RedisServer;
  let users = 0;
  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());

  async function work(rights: readonly string[]): Promise<string> {
    users += 1;
    const username = `user-${users}`;
    await server.command("ACL", "SETUSER", username, "on", ">secret", ...rights);
    const broker = await openRedisBroker({
      target: {
        mode: "standalone",
        nodes: [{ host: server.host, port: server.port }],
        db: 0,
        username,
        password: "secret",
      },
      clock: systemClock({ keepAlive: true }),
      random: Math.random,
      newId: () => crypto.randomUUID(),
      namespace: "holdfast",
    });
    try {
      const worker = await FakeWorker.join(broker);
      const waiting = worker.waitForWork(10_000, 2);
      const [receipt] = (await broker.submit({ submissions: [batch(3)] })).executions;
      const edits = [{ kind: "remove", tasks: [2] } as const];
      await broker.editExecution({ executionId: receipt?.executionId ?? "", edits, apply: true });
      await worker.finish(...(await waiting.promise).leases, ...(await worker.leases(2)));
      await broker.reapSessions({ limit: 10 });
      await steer(broker, worker);
      return (await broker.getExecution({ executionId: receipt?.executionId ?? "" })).state;
    } finally {
      await broker.close();
    }
  }

  it("runs everything", async () => {
    const rights = rightsOfPage();
    assert.ok(rights.length > 8, "the page names the rights");
    assert.equal(await work(rights), "completed");
  });

  it("runs everything by scripts when it may not use functions", async () => {
    await server.command("CONFIG", "RESETSTAT");
    assert.equal(await work(rightsOfPage().filter((right) => !/^\+(fcall|function)/.test(right))), "completed");
    assert.match(String(await server.command("INFO", "commandstats")), /cmdstat_eval:/);
  });
});
