/** Workers that have nothing but HTTP: the whole loop, and every way in which it can go wrong. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ExecutionView, Submission } from "../../../src/broker/contract.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { HttpWorker } from "../../support/http-worker.ts";
import { batch, group, submission, tasks } from "../../support/submissions.ts";
import { watchedBroker } from "../../support/watched-broker.ts";

async function submitted(world: HttpWorld, work: Submission = batch(1)): Promise<string> {
  const { executions } = await world.broker.submit({ submissions: [work] });
  return (executions[0] as { readonly executionId: string }).executionId;
}

function view(world: HttpWorld, executionId: string): Promise<ExecutionView> {
  return world.broker.getExecution({ executionId });
}

interface ListedWorker {
  readonly workerId: string;
  readonly status: string;
  readonly currentLoad: number;
  readonly utilization: number;
  readonly connection: string;
}

async function listed(world: HttpWorld, query = ""): Promise<readonly ListedWorker[]> {
  return (await world.expect<{ workers: readonly ListedWorker[] }>(200, `GET /workers${query}`)).workers;
}

describe("registering over HTTP", () => {
  it("answers how often to speak, and the worker is listed with its defaults", async (t) => {
    const world = await startHttpWorld(t);
    const reply = await world.expect(200, "POST /workers/register", {
      workerId: "w1",
      hostname: "node-7",
      capabilities: ["gpu", "anything"],
      maxConcurrency: 4,
      metadata: { cpuCores: 8, region: "north" },
    });
    const { registeredAt, ...rest } = reply;
    assert.deepEqual(rest, { success: true, workerId: "w1", heartbeatMs: 2_000, deadAfterMs: 5_000 });
    assert.equal(typeof registeredAt, "number");
    const { count, workers } = await world.expect<{ count: number; workers: Record<string, unknown>[] }>(
      200,
      "GET /workers",
    );
    assert.equal(count, 1);
    const { lastHeartbeat, uptime, ...worker } = workers[0] as Record<string, unknown>;
    assert.equal(typeof lastHeartbeat, "number");
    assert.ok((uptime as number) >= 0);
    assert.deepEqual(worker, {
      workerId: "w1",
      hostname: "node-7",
      pools: ["jobs"],
      capabilities: ["gpu", "anything"],
      status: "idle",
      currentLoad: 0,
      maxConcurrency: 4,
      utilization: 0,
      completed: 0,
      connection: "http",
      metadata: { cpuCores: 8, memoryGB: 0, gpuCount: 0, version: "1.0.0", platform: "unknown", region: "north" },
    });
    const one = await world.expect<{ worker: Record<string, unknown> }>(200, "GET /workers/w1");
    const { uptime: later } = one.worker;
    assert.deepEqual(one.worker, { ...worker, lastHeartbeat, uptime: later });
  });

  it("names the field that is missing or wrong", async (t) => {
    const world = await startHttpWorld(t);
    const whole: Record<string, unknown> = { workerId: "w", hostname: "h", capabilities: [], maxConcurrency: 1 };
    for (const field of Object.keys(whole)) {
      const { [field]: _left, ...rest } = whole;
      const refusal = await world.expect(400, "POST /workers/register", rest);
      assert.equal(refusal["field"], `body.${field}`);
    }
    for (const pools of [[], ["*"]]) {
      const refusal = await world.expect<{ field: string }>(400, "POST /workers/register", { ...whole, pools });
      assert.match(refusal.field, /^body\.pools/);
    }
    const metadata = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`key ${index}`, index]));
    const tooMuch = await world.expect(400, "POST /workers/register", { ...whole, metadata });
    assert.equal(tooMuch["field"], "body.metadata");
    const wrong = { maxConcurrency: 0, workerId: "", pools: [""], metadata: { cpuCores: "many" }, surprise: 1 };
    for (const [field, value] of Object.entries(wrong)) {
      const refusal = await world.expect<{ field: string }>(400, "POST /workers/register", {
        ...whole,
        [field]: value,
      });
      assert.ok(refusal.field.startsWith(`body.${field}`), refusal.field);
    }
    assert.deepEqual(await listed(world), []);
  });

  it("again takes back what the worker held, as lost, and keeps one worker", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submitted(world);
    const worker = await HttpWorker.join(world);
    const { lease } = await worker.take();
    await HttpWorker.join(world);
    assert.equal((await listed(world)).length, 1);
    assert.equal((await view(world, executionId)).lostAttempts, 1);
    const again = await worker.take();
    assert.equal(again.attempt, 2);
    assert.equal((await worker.expect(409, "complete", { lease, result: 1 }))["code"], "LEASE_LOST");
    await worker.expect(200, "complete", { lease: again.lease, result: 2 });
  });

  it("takes any name, percent-encoded in paths", async (t) => {
    const world = await startHttpWorld(t);
    const worker = await HttpWorker.join(world, "rack 1/näme?#%2F");
    await submitted(world);
    const { lease } = await worker.take();
    await worker.expect(200, "complete", { lease, result: null });
    await worker.leave();
  });
});

describe("a heartbeat over HTTP", () => {
  it("of an unknown worker is refused", async (t) => {
    const world = await startHttpWorld(t);
    const refusal = await world.expect(404, "POST /workers/ghost/heartbeat", { currentLoad: 0 });
    assert.equal(refusal["code"], "WORKER_NOT_FOUND");
    // One with a connection of its own is none of HTTP's either.
    await FakeWorker.join(world.broker, { worker: "direct" });
    await world.expect(404, "POST /workers/direct/heartbeat", { currentLoad: 0 });
  });

  it("tells its status by the load it reports, which the list does not believe", async (t) => {
    const world = await startHttpWorld(t);
    const worker = await HttpWorker.join(world, "w1", { maxConcurrency: 2 });
    const statuses = ["idle", "active", "busy", "busy"];
    for (const [currentLoad, status] of statuses.entries()) {
      const reply = await worker.expect(200, "heartbeat", { currentLoad });
      assert.deepEqual([reply["status"], reply["currentLoad"], reply["cancel"]], [status, currentLoad, []]);
    }
    assert.deepEqual(
      (await listed(world)).map(({ status, currentLoad }) => [status, currentLoad]),
      [["idle", 0]],
    );
    await submitted(world, batch(2));
    await worker.claim({ max: 1 });
    assert.deepEqual(
      (await listed(world)).map((one) => [one.status, one.currentLoad, one.utilization]),
      [["active", 1, 50]],
    );
    const [busy] = await listed(world, "?status=busy");
    assert.equal(busy, undefined);
    await world.expect(200, "GET /workers?status=active&limit=1");
  });

  it("costs one call of the broker and no more", async (t) => {
    const inner = await startHttpWorld(t);
    const called: string[] = [];
    const broker = watchedBroker(inner.broker, (method, perform) => {
      // The server's own looks at how much gets done are nobody's request.
      if (method !== "listPools") called.push(method);
      return perform();
    });
    const world = await startHttpWorld(t, { broker });
    const worker = await HttpWorker.join(world);
    called.length = 0;
    for (let beat = 0; beat < 10; beat += 1) await worker.expect(200, "heartbeat", { currentLoad: 0 });
    assert.deepEqual(
      called,
      Array.from({ length: 10 }, () => "heartbeat"),
    );
  });

  it("names what to stop by how the lease begins", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submitted(world, batch(2));
    const worker = await HttpWorker.join(world, "w1", { maxConcurrency: 3 });
    const { tasks: stopped } = await worker.claim({ max: 2 });
    await submitted(world);
    const { tasks: goesOn } = await worker.claim({ max: 1, holding: stopped.map(({ lease }) => lease) });
    await world.broker.cancel({ executionId });
    const { cancel } = await worker.expect<{ cancel: readonly string[] }>(200, "heartbeat", { currentLoad: 3 });
    const isStopped = (lease: string): boolean => cancel.some((beginning) => lease.startsWith(beginning));
    assert.deepEqual(
      [...stopped, ...goesOn].map(({ lease }) => isStopped(lease)),
      [true, true, false],
    );
    // An order that was lost with its answer is given again: the worker names a lease that it does not hold.
    const { cancel: again } = await worker.claim({
      wait: "20s",
      holding: [...stopped, ...goesOn].map(({ lease }) => lease),
    });
    assert.deepEqual(again.toSorted(), cancel.toSorted());
  });

  it("that stays out is a death: the work goes elsewhere, and the worker must register again", async (t) => {
    const world = await startHttpWorld(t, { settings: { heartbeatMs: 20, deadAfterMs: 150 } });
    const executionId = await submitted(world);
    const silent = await HttpWorker.join(world, "silent");
    const { lease } = await silent.take();
    const other = await HttpWorker.join(world, "other");
    const taken = await eventually("the task is taken over", async () => {
      await other.call("heartbeat", { currentLoad: 0 });
      await world.broker.reapSessions({ limit: 100 });
      return (await other.claim()).tasks[0];
    });
    assert.equal(taken.attempt, 2);
    assert.equal((await view(world, executionId)).lostAttempts, 1);
    await silent.expect(404, "heartbeat", { currentLoad: 1 });
    await silent.expect(404, "complete", { lease, result: 1 });
    await other.expect(200, "complete", { lease: taken.lease, result: 2 });
  });
});

describe("working over HTTP", () => {
  it("claims with all that a task needs, in any language", async (t) => {
    const world = await startHttpWorld(t);
    const handler = '{ "kind": "job", "type": "echo", "big": 1.50 }';
    const work = submission([
      group({ kind: "tasks", inputs: ['{"a": 1.0}', "[true]"], after: [[], [0]] }, { handler, timeoutMs: 9_000 }),
    ]);
    const executionId = await submitted(world, work);
    const worker = await HttpWorker.join(world);
    const answer = await worker.call("claim", { holding: [] });
    // Payloads go through as they were written.
    assert.ok(answer.text.includes(`"handler":${handler}`) && answer.text.includes('"input":{"a": 1.0}'), answer.text);
    const [first] = answer.json<{ tasks: Record<string, unknown>[] }>().tasks;
    const { lease, ...rest } = first as { lease: string };
    assert.deepEqual(rest, {
      executionId,
      task: 0,
      attempt: 1,
      name: "work",
      handler: JSON.parse(handler) as unknown,
      type: "echo",
      timeoutMs: 9_000,
      input: { a: 1 },
    });
    await worker.expect(200, "complete", {
      lease,
      result: { answer: 42 },
      durationMs: 5,
      stdout: "hello",
      stderr: "hm",
    });
    const second = await worker.take();
    assert.deepEqual(second.parents, { 0: { answer: 42 } });
    await worker.expect(200, "complete", { lease: second.lease });
    const { state } = await view(world, executionId);
    assert.equal(state, "completed");
    const { attempts } = await world.broker.listAttempts({ executionId, limit: 10, task: 0 });
    assert.deepEqual(attempts[0]?.output, { stdout: "hello", stderr: "hm", truncated: false });
    const { rows } = await world.broker.readResults({ executionId, limit: 10 });
    assert.deepEqual(
      rows.map(({ result, durationMs }) => [result, durationMs === 5]),
      [
        ['{"answer":42}', true],
        ["null", false],
      ],
    );
  });

  it("never tells the session", async (t) => {
    const world = await startHttpWorld(t);
    await submitted(world);
    const worker = await HttpWorker.join(world);
    const { sessions } = await world.broker.listSessions({ limit: 1 });
    const answers = [
      await worker.call("heartbeat", { currentLoad: 0 }),
      await worker.call("claim", { holding: [] }),
      await world.call("GET /workers"),
      await world.call("GET /workers/w1"),
    ];
    for (const { text, status } of answers) {
      assert.equal(status, 200);
      const leases = [...text.matchAll(/"lease":"([^"]+)"/g)].map((found) =>
        Buffer.from(found[1] ?? "", "base64url").toString(),
      );
      assert.ok(![text, ...leases].some((shown) => shown.includes(sessions[0]?.session ?? "?")));
    }
  });

  it("takes a result once: again it is accepted again, late it is refused", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submitted(world);
    const worker = await HttpWorker.join(world);
    const { lease } = await worker.take();
    for (let time = 0; time < 3; time += 1) await worker.expect(200, "complete", { lease, result: time });
    assert.deepEqual(
      (await world.broker.readResults({ executionId, limit: 10 })).rows.map(({ result }) => result),
      ["0"],
    );
    const refusal = await worker.expect(409, "fail", { lease, error: { message: "too late" } });
    assert.deepEqual([refusal["code"], refusal["details"]], ["LEASE_LOST", { execution: executionId, task: 0 }]);
  });

  it("fails with a class and a story, cut where it is too long, and the task is tried again", async (t) => {
    const world = await startHttpWorld(t);
    const retry = { limit: 1, baseMs: 1, factor: 1, maxMs: 1, jitter: 0 };
    const executionId = await submitted(world, batch(1, {}, { retry: { ...group(tasks(1)).retry, ...retry } }));
    const worker = await HttpWorker.join(world);
    const { lease } = await worker.take();
    const error = { message: "é".repeat(5_000), class: "network", code: "ECONN", stack: "s".repeat(20_000) };
    await worker.expect(200, "fail", { lease, error, stderr: "x".repeat(100_000) });
    const again = await eventually("it is tried again", async () => {
      await world.broker.promoteDue({ limit: 10 });
      return (await worker.claim()).tasks[0];
    });
    assert.equal(again.attempt, 2);
    await worker.expect(200, "fail", { lease: again.lease, error: { message: "no" } });
    const { letters } = await world.broker.listDeadLetters({ executionId, limit: 1 });
    assert.deepEqual([letters[0]?.failures, letters[0]?.failure.class], [2, "user-error"]);
    const { attempts } = await world.broker.listAttempts({ executionId, limit: 10 });
    const first = attempts.find(({ attempt }) => attempt === 1);
    assert.deepEqual(
      [first?.failure?.class, first?.failure?.code, first?.failure?.message.length],
      ["network", "ECONN", 2_000],
    );
    assert.deepEqual([first?.output?.stderr.length, first?.output?.truncated], [65_536, true]);
  });

  it("refuses a result that is too large, or too deep, and the attempt goes on", async (t) => {
    const world = await startHttpWorld(t);
    await submitted(world);
    const worker = await HttpWorker.join(world);
    const { lease } = await worker.take();
    const large = await worker.expect(413, "complete", { lease, result: "x".repeat(1_048_576) });
    assert.deepEqual([large["code"], large["field"]], ["PAYLOAD_TOO_LARGE", "body.result"]);
    const depth = 100_000;
    const deep = `{"lease":"${lease}","result":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    const answer = await worker.call("complete", {}, { body: deep });
    assert.equal(answer.status, 400, answer.text);
    await worker.expect(200, "complete", { lease, result: 1 });
  });

  it("returns a task, which costs nothing", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submitted(world);
    const worker = await HttpWorker.join(world);
    const { lease } = await worker.take();
    await worker.expect(200, "return", { lease });
    await worker.expect(200, "return", { lease });
    const again = await worker.take();
    await worker.expect(200, "complete", { lease: again.lease, result: 1 });
    const { lostAttempts, retries } = await view(world, executionId);
    assert.deepEqual([lostAttempts, retries], [0, 0]);
  });

  it("gives tasks only to who has what they require", async (t) => {
    const world = await startHttpWorld(t);
    await submitted(world, batch(1, {}, { requires: ["gpu"] }));
    await submitted(world, batch(1, {}, { pool: "other" }));
    const without = await HttpWorker.join(world, "without");
    assert.deepEqual((await without.claim({ max: 10 })).tasks, []);
    const having = await HttpWorker.join(world, "having", { capabilities: ["cpu", "gpu"] });
    assert.equal((await having.claim({ max: 10 })).tasks.length, 1);
  });

  it("refuses what is no lease, naming the field", async (t) => {
    const world = await startHttpWorld(t);
    await submitted(world);
    const worker = await HttpWorker.join(world);
    const { lease } = await worker.take();
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const [refPart = "", factsPart = ""] = lease.split(".");
    const ref = JSON.parse(Buffer.from(refPart, "base64url").toString()) as Record<string, unknown>;
    const broken = [
      "x",
      refPart,
      `${refPart}.`,
      `.${factsPart}`,
      `${lease}.${factsPart}`,
      `${encode(null)}.${factsPart}`,
      `${encode({ ...ref, more: 1 })}.${factsPart}`,
      `${encode({ ...ref, start: 0 })}.${factsPart}`,
      `${encode({ ...ref, task: -1 })}.${factsPart}`,
      `${encode({ ...ref, token: "" })}.${factsPart}`,
      `${refPart}.${encode({ at: 0, range: { end: 1, keeps: true } })}`,
      `${encode({ ...ref, start: 5 })}.${encode({ at: 0, range: { end: 5, keeps: true } })}`,
      `${encode({ ...ref, start: 0 })}.${encode({ at: 0, range: { end: 1e9, keeps: true } })}`,
    ];
    for (const text of broken) {
      for (const [what, body] of [
        ["complete", { lease: text, result: 1 }],
        ["fail", { lease: text, error: { message: "m" } }],
        ["return", { lease: text }],
      ] as const) {
        const refusal = await worker.expect(400, what, body);
        assert.equal(refusal["field"], "body.lease", text);
      }
      assert.equal((await worker.expect(400, "claim", { holding: [lease, text] }))["field"], "body.holding[1]");
    }
    // Well-formed, but of nobody: refused as any late one.
    for (const changes of [{ token: "NaN" }, { token: "1; DROP" }, { executionId: "nobody" }, { task: 16_777_215 }]) {
      await worker.expect(409, "complete", { lease: `${encode({ ...ref, ...changes })}.${factsPart}`, result: 1 });
    }
    await worker.expect(200, "complete", { lease, result: 1 });
  });
});

describe("a claim over HTTP", () => {
  it("waits for work, as long as it is told, and counts as a sign of life", async (t) => {
    const world = await startHttpWorld(t, { settings: { heartbeatMs: 20, deadAfterMs: 1_200 } });
    const worker = await HttpWorker.join(world);
    assert.deepEqual((await worker.claim({ wait: "2s" })).tasks, []);
    await world.broker.reapSessions({ limit: 10 });
    const waiting = worker.claim({ wait: "30s" });
    await submitted(world);
    assert.equal((await waiting).tasks.length, 1);
    for (const wait of ["31s", "-1s", "5", "5m", 5]) {
      assert.equal((await worker.expect(400, "claim", { wait, holding: [] }))["field"], "body.wait");
    }
    assert.equal((await worker.expect(400, "claim", {}))["field"], "body.holding");
  });

  it("gives back what the worker does not know of: an answer that was lost strands nothing", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submitted(world, batch(2));
    const worker = await HttpWorker.join(world, "w1", { maxConcurrency: 2 });
    const first = await worker.take();
    // Granted, and the answer never arrives.
    await worker.claim({ holding: [first.lease] });
    const again = await worker.claim({ max: 2, holding: [first.lease] });
    assert.deepEqual(
      again.tasks.map(({ task }) => task),
      [1],
    );
    await worker.expect(200, "complete", { lease: first.lease, result: 1 });
    await worker.expect(200, "complete", { lease: again.tasks[0]?.lease, result: 2 });
    const { state, lostAttempts } = await view(world, executionId);
    assert.deepEqual([state, lostAttempts], ["completed", 0]);
  });

  it("whose caller has gone gives back what it is granted too late", async (t) => {
    const inner = await startHttpWorld(t);
    const granted = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const broker = watchedBroker(inner.broker, async (method, perform) => {
      const reply = await perform();
      if (method !== "claim") return reply;
      granted.resolve();
      await gate.promise;
      return reply;
    });
    const world = await startHttpWorld(t, { broker });
    const executionId = await submitted(world);
    const gone = await HttpWorker.join(world, "gone");
    const caller = new AbortController();
    const claim = gone.call("claim", { wait: "30s", holding: [] }, { signal: caller.signal });
    await granted.promise;
    caller.abort();
    await assert.rejects(claim);
    // By the time that a later request is answered, the server has seen the connection end.
    for (let time = 0; time < 3; time += 1) await gone.expect(200, "heartbeat", { currentLoad: 0 });
    gate.resolve();
    const other = await HttpWorker.join(world, "other");
    const task = await other.take();
    await other.expect(200, "complete", { lease: task.lease, result: 1 });
    const { lostAttempts, state } = await view(world, executionId);
    assert.deepEqual([lostAttempts, state], [0, "completed"]);
  });

  it("whose caller has gone soon waits no longer", async (t) => {
    const inner = await startHttpWorld(t);
    let waiting = 0;
    let claims = 0;
    const broker = watchedBroker(inner.broker, async (method, perform) => {
      if (method !== "claim") return perform();
      claims += 1;
      waiting += 1;
      return perform().finally(() => (waiting -= 1));
    });
    const world = await startHttpWorld(t, { broker });
    const gone = await HttpWorker.join(world, "gone");
    const caller = new AbortController();
    const claim = gone.call("claim", { wait: "30s", holding: [] }, { signal: caller.signal });
    await eventually("the claim waits", () => waiting === 1);
    caller.abort();
    await assert.rejects(claim);
    await eventually("nobody waits any more", () => waiting === 0);
    // A whole wait would have taken sixty.
    assert.ok(claims < 10, `${claims} claims`);
  });

  it("ends an earlier one of the same worker, and has what it would have got", async (t) => {
    const world = await startHttpWorld(t);
    const worker = await HttpWorker.join(world);
    const earlier = worker.call("claim", { wait: "30s", holding: [] });
    const later = worker.call("claim", { wait: "30s", holding: [] });
    const ended = await Promise.race([earlier, later]);
    assert.deepEqual([ended.status, ended.json()["code"]], [409, "CLAIM_SUPERSEDED"]);
    await submitted(world);
    const answers = await Promise.all([earlier, later]);
    const [granted] = answers.filter(({ status }) => status === 200);
    const [task] = granted?.json<{ tasks: readonly { readonly lease: string }[] }>().tasks ?? [];
    await worker.expect(200, "complete", { lease: task?.lease, result: 1 });
  });

  it("ends when the worker leaves or starts anew while it waits", async (t) => {
    const world = await startHttpWorld(t);
    const worker = await HttpWorker.join(world);
    const waiting = worker.call("claim", { wait: "30s", holding: [] });
    await HttpWorker.join(world);
    assert.equal((await waiting).status, 404);
    const again = worker.call("claim", { wait: "30s", holding: [] });
    await worker.leave();
    assert.equal((await again).status, 404);
  });

  it("ends with the server, which gives back what it grants too late", async (t) => {
    const world = await startHttpWorld(t);
    const worker = await HttpWorker.join(world);
    const waiting = worker.call("claim", { wait: "30s", holding: [] }).catch(() => undefined);
    await eventually("the claim waits", async () => (await world.call("GET /workers/w1")).status === 200);
    await world.server.close();
    const answer = await waiting;
    assert.ok(answer === undefined || answer.status === 200);
  });
});

describe("the end of a worker over HTTP", () => {
  it("hands back what it held when it leaves", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submitted(world);
    const worker = await HttpWorker.join(world);
    await worker.take();
    const other = await HttpWorker.join(world, "other");
    const { message } = await world.expect<{ message: string }>(200, "DELETE /workers/w1");
    assert.match(message, /w1 has left/);
    assert.equal((await other.take()).attempt, 1);
    assert.equal((await view(world, executionId)).lostAttempts, 0);
    await world.expect(404, "DELETE /workers/w1");
    await world.expect(404, "GET /workers/w1");
    assert.deepEqual(
      (await listed(world)).map(({ workerId }) => workerId),
      ["other"],
    );
  });

  it("is asked for: it finishes, gets nothing more, and goes on living until it leaves", async (t) => {
    const world = await startHttpWorld(t);
    await submitted(world, batch(2));
    const worker = await HttpWorker.join(world);
    const { lease } = await worker.take();
    await world.expect(200, "POST /workers/w1/drain");
    const beat = await worker.expect(200, "heartbeat", { currentLoad: 1 });
    assert.deepEqual([beat["drain"], beat["status"]], [true, "draining"]);
    const { tasks: none, drain } = await worker.claim({ holding: [lease], wait: "20s" });
    assert.deepEqual([none, drain], [[], true]);
    assert.deepEqual(
      (await listed(world)).map(({ status }) => status),
      ["draining"],
    );
    await worker.expect(200, "complete", { lease, result: 1 });
    await worker.leave();
    await world.expect(404, "POST /workers/w1/drain");
  });

  it("reaches workers of every kind", async (t) => {
    const world = await startHttpWorld(t);
    const direct = await FakeWorker.join(world.broker, { worker: "direct", slots: 3, pools: ["train"] });
    await HttpWorker.join(world);
    assert.deepEqual(
      new Map((await listed(world)).map(({ workerId, connection }) => [workerId, connection])),
      new Map([
        ["w1", "http"],
        ["direct", "direct"],
      ]),
    );
    assert.deepEqual(
      (await listed(world, "?pool=train")).map(({ workerId }) => workerId),
      ["direct"],
    );
    const { message } = await world.expect<{ message: string }>(200, "DELETE /workers/direct");
    assert.match(message, /is asked to finish and leave/);
    assert.equal((await direct.heartbeat()).drain, true);
  });

  it("lists page by page", async (t) => {
    const world = await startHttpWorld(t);
    for (const id of ["a", "b", "c"]) await HttpWorker.join(world, id);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await world.expect<{ workers: readonly ListedWorker[]; next?: string }>(
        200,
        `GET /workers?limit=2${query}`,
      );
      seen.push(...page.workers.map(({ workerId }) => workerId));
      cursor = page.next;
    } while (cursor !== undefined);
    assert.deepEqual(seen.toSorted(), ["a", "b", "c"]);
    for (const query of ["limit=0", "limit=1001", "limit=x", "status=asleep", "more=1"]) {
      const refusal = await world.expect<{ field: string }>(400, `GET /workers?${query}`);
      assert.equal(refusal.field, `query.${query.slice(0, query.indexOf("="))}`);
    }
  });
});
