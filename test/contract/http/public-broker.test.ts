/**
 * The broker behind a server, reached by its API alone, answers as the broker itself does: each of its
 * calls is made on both, on the same store, and compared. What only the API's side adds or leaves out
 * is named here.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Broker, Submission } from "../../../src/broker/contract.ts";
import { httpBroker, type PublicBroker } from "../../../src/broker/http/http-broker.ts";
import { HttpLink } from "../../../src/broker/http/http-link.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { startHttpWorld } from "../../support/http-server.ts";
import { batch, sweep, workflow } from "../../support/submissions.ts";

const clock = systemClock({ keepAlive: true });

function brokerAt(url: string): PublicBroker {
  const link = new HttpLink({ urls: [url], clock, logger: silentLogger, giveUpAfterMs: 5_000, answerWithinMs: 5_000 });
  const broker = httpBroker(link, () => crypto.randomUUID());
  after(() => broker.close());
  return broker;
}

async function submit(broker: Pick<Broker, "submit">, submission: Submission): Promise<string> {
  const { executions } = await broker.submit({ submissions: [submission] });
  return executions[0]?.executionId ?? assert.fail("no receipt");
}

/** Commits, or fails, all that waits. */
async function work(broker: Broker, how: "complete" | "fail"): Promise<void> {
  const profile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: ["cpu"], slots: 9 };
  const { session } = await broker.openSession(profile);
  const { leases } = await broker.claim({ session, max: 100, waitMs: 0 });
  const outcomes = leases.map((lease) => {
    const { executionId, task, token, start, end } = lease;
    const ref = { executionId, task, token, ...(start === undefined ? {} : { start }) };
    if (how === "fail")
      return { kind: "failed", lease: ref, durationMs: 1, failure: { class: "invalid-input", message: "no" } } as const;
    if (start === undefined)
      return { kind: "completed", lease: ref, durationMs: 1, result: '{"n":1.50,"b":"\\u00fc"}' } as const;
    const values = JSON.stringify(Array.from({ length: (end ?? start) - start }, (_, at) => start + at));
    return { kind: "chunk", lease: ref, durationMs: 1, values, partial: '{"count":1}', failures: [] } as const;
  });
  await broker.commit({ session, outcomes });
  await broker.closeSession({ session, reason: "left" });
}

for (const store of ["sqlite", "redis"] as const) {
  test(`a server's broker is the broker, on ${store}`, async (t) => {
    const { broker, url } = await startHttpWorld(t, { store });
    const api = brokerAt(url);
    const same = async (call: (broker: PublicBroker) => Promise<unknown>): Promise<void> =>
      assert.deepEqual(await call(api), await call(broker));

    // Submitting: a key makes a repeat the same execution, none makes each a new one.
    const keyed = { ...batch(2), key: "k", meta: '{"a":[1,null]}' };
    const first = await submit(api, keyed);
    assert.equal(await submit(broker, keyed), first);
    const { executions } = await api.submit({ submissions: [keyed, batch(1)] });
    assert.deepEqual([executions[0]?.created, executions[1]?.created], [false, true]);
    const { key: _, ...unkeyed } = batch(1);
    assert.notEqual(await submit(api, unkeyed), await submit(api, unkeyed));
    const open = await submit(api, { ...batch(1), open: true });
    const groups = [...batch(3).groups];
    assert.deepEqual(await api.extend({ executionId: open, part: 1, groups, seal: true }), { total: 4 });
    const array = await submit(api, sweep(10, 4));
    const flow = await submit(api, { ...workflow([[], [0], [1]]), priority: 3 });

    // Steering.
    await api.pause({ executionId: first });
    assert.equal((await broker.getExecution({ executionId: first })).state, "paused");
    assert.equal((await broker.getExecution({ executionId: first })).paused?.by, "tester");
    await api.resume({ executionId: first });
    await api.pausePool({ pool: "default" });
    assert.ok((await broker.listPools()).pools.some(({ pool, paused }) => pool === "default" && paused));
    await api.resumePool({ pool: "default" });
    assert.equal((await api.limitPool({ pool: "default", min: 1, max: 3 })).max, 3);
    assert.ok((await broker.listPools()).pools.some(({ pool, max }) => pool === "default" && max === 3));
    const edits = [{ kind: "priority", priority: 8 } as const];
    const preview = await api.editExecution({ executionId: flow, edits, apply: false });
    assert.deepEqual(preview.changes.priority, { from: 3, to: 8 });
    await api.editExecution({ executionId: flow, edits, apply: true, version: preview.version });
    assert.equal((await broker.getExecution({ executionId: flow })).priority, 8);
    await api.cancel({ executionId: open, reason: "enough" });
    assert.equal((await broker.getExecution({ executionId: open })).state, "cancelled");
    await work(broker, "complete");
    await work(broker, "fail");

    // Looking.
    for (const executionId of [first, open, array, flow]) {
      await same((at) => at.getExecution({ executionId }));
      await same((at) => at.readResults({ executionId, limit: 10 }));
      await same((at) => at.readResults({ executionId, limit: 10, partialsOnly: true }));
      await same((at) => at.readEvents({ executionId, cursor: 0, limit: 100 }));
      await same((at) => at.listTasks({ executionId, limit: 10, children: true }));
      await same((at) => at.listTasks({ executionId, limit: 10, after: 0, states: ["completed"] }));
    }
    await same((at) => at.listExecutions({ limit: 100 }));
    await same((at) => at.listExecutions({ limit: 2, order: "oldest", states: ["completed", "failed"] }));
    await same((at) => at.listExecutions({ limit: 9, kinds: ["sweep"], idPrefix: array.slice(0, 8), name: "" }));
    const lettersOf = async (at: PublicBroker): Promise<unknown> => {
      const { letters } = await at.listDeadLetters({ limit: 100 });
      return letters.map(({ executionId, task, failure, failures, losses, at: when }) => [
        executionId,
        task,
        failure,
        failures,
        losses,
        when,
      ]);
    };
    await same(lettersOf);
    assert.equal(((await lettersOf(api)) as unknown[]).length, 1);
    const { changed } = await api.retry({ executionId: flow, letters: [{ task: 1 }] });
    assert.equal(changed, 1);
    assert.equal((await broker.getExecution({ executionId: flow })).counters.failed, 0);
    const pools = async (at: PublicBroker): Promise<unknown> =>
      (await at.listPools()).pools.map(({ pool, queued, completed, failed, slots }) => [
        pool,
        queued,
        completed,
        failed,
        slots,
      ]);
    await same(pools);
    await broker.openSession({
      worker: "seen",
      host: "h",
      pid: 1,
      pools: ["default"],
      capabilities: ["gpu"],
      slots: 3,
    });
    const workers = async (at: PublicBroker): Promise<unknown> =>
      (await at.listSessions({ limit: 10, live: true })).sessions.map(
        ({ worker, host, pools: own, capabilities, slots, state, leases, completed }) => [
          worker,
          host,
          own,
          capabilities,
          slots,
          state,
          leases,
          completed,
        ],
      );
    await same(workers);

    // Shared state.
    await api.writeValue({ key: "a/b", value: '{"x":1}', ttlMs: null });
    await api.writeValue({ key: "a/c", value: "[]", ttlMs: 60_000 });
    for (const key of ["a/b", "a/c", "nothing"]) await same((at) => at.readValue({ key }));
    await same((at) => at.listValues({ prefix: "a/", limit: 10 }));
    await assert.rejects(api.writeValue({ key: "a/b", value: "1", ttlMs: null, ifVersion: 0 }), {
      code: "VERSION_CONFLICT",
    });
    assert.deepEqual(await api.deleteValue({ key: "a/c" }), { deleted: true });
    assert.deepEqual(await api.deleteValue({ key: "a/c" }), { deleted: false });
    const { grant } = await api.acquireLock({ lock: "l", owner: "me", ttlMs: 60_000, waitMs: 0, note: "test" });
    const { lock } = await broker.readLock({ lock: "l" });
    assert.deepEqual([lock?.owner, lock?.token, lock?.note], ["me", grant?.token, "test"]);
    await broker.acquireLock({ lock: "l", owner: "second", ttlMs: 60_000, waitMs: 1 });
    assert.deepEqual(await api.acquireLock({ lock: "l", owner: "third", ttlMs: 60_000, waitMs: 0 }), { ahead: 1 });
    assert.ok((await api.extendLock({ lock: "l", owner: "me", ttlMs: 90_000 })).expiresAt > (grant?.expiresAt ?? 0));
    await assert.rejects(api.extendLock({ lock: "l", owner: "other", ttlMs: 1 }), { code: "LOCK_LOST" });
    assert.deepEqual(await api.releaseLock({ lock: "l", owner: "me" }), { released: true });
    const saving = { scope: "s/1", fence: 2, keep: 5, ttlMs: 60_000 };
    await api.saveCheckpoint({ ...saving, data: "[1]", label: "first" });
    await api.saveCheckpoint({ ...saving, data: '{"n":2}' });
    await assert.rejects(api.saveCheckpoint({ ...saving, fence: 1, data: "0" }), { code: "CHECKPOINT_FENCED" });
    for (const version of [undefined, 1, 2, 3])
      await same((at) => at.readCheckpoint({ scope: "s/1", ...(version === undefined ? {} : { version }) }));

    // Errors are the broker's own.
    await assert.rejects(api.getExecution({ executionId: "nobody" }), { code: "EXECUTION_NOT_FOUND" });
    await assert.rejects(api.pause({ executionId: open }), { code: "EXECUTION_ENDED" });
  });
}
