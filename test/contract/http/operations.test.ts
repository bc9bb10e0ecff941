/**
 * The contract of the HTTP API: one story that calls every operation of the OpenAPI document, on each
 * broker. Every answer must be a success and what the document says; at the end no operation may
 * have been left out.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { assertDocumented, DOCUMENTED, type Json } from "./document.ts";

interface Request {
  readonly params?: Readonly<Record<string, string | number>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Under the other prefix. */
  readonly prefix?: string;
}

class Caller {
  readonly called = new Set<string>();
  readonly #world: HttpWorld;

  constructor(world: HttpWorld) {
    this.#world = world;
  }

  async call<T = Json>(id: string, { params = {}, query, body, prefix = "/api/v1" }: Request = {}): Promise<T> {
    const operation = DOCUMENTED.find((one) => one.id === id) ?? assert.fail(`the document has no operation ${id}`);
    const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params[name])));
    const search = query === undefined ? "" : `?${new URLSearchParams(query).toString()}`;
    const answer = await this.#world.call(`${operation.method} ${prefix}${path}${search}`, body);
    assert.ok(answer.status < 300, `${id} answered ${answer.status}: ${answer.text}`);
    assertDocumented(operation, answer);
    this.called.add(id);
    return answer.json<T>();
  }
}

const GROUP = { name: "t", handler: { kind: "job" }, pool: "jobs", retry: { limit: 0 } };

interface Claimed {
  readonly tasks: readonly { readonly lease: string; readonly executionId: string; readonly task: number }[];
}

async function executions(api: Caller): Promise<string> {
  const work = { kind: "tasks", inputs: [{ n: 1 }, "two", 3], after: [[], [0], []] };
  const body = {
    name: "story",
    kind: "workflow",
    keepInputs: true,
    groups: [{ ...GROUP, work }],
    meta: { by: "test" },
  };
  const { executionId } = await api.call<{ executionId: string }>("submitExecution", { body });
  const params = { executionId };
  await api.call("submitExecutions", {
    body: {
      submissions: [{ name: "other", groups: [{ ...GROUP, pool: "idle", work: { kind: "tasks", inputs: [1] } }] }],
    },
  });
  const open = await api.call<{ executionId: string }>("submitExecution", {
    body: { name: "open", open: true, groups: [] },
  });
  await api.call("extendExecution", {
    params: { executionId: open.executionId },
    body: { part: 1, groups: [{ ...GROUP, pool: "idle", work: { kind: "tasks", inputs: [1] } }], seal: true },
  });
  await api.call("cancelExecution", { params: { executionId: open.executionId }, body: { reason: "enough" } });
  const { executions: found } = await api.call<{ executions: readonly Json[] }>("listExecutions", {
    query: { name: "story", state: "pending,running", kind: "workflow", order: "oldest" },
  });
  assert.deepEqual(
    found.map((one) => one["executionId"]),
    [executionId],
  );
  const view = await api.call("getExecution", { params });
  assert.deepEqual(view["meta"], { by: "test" });
  await api.call("pauseExecution", { params });
  const why = await api.call<{ why: { code: string; sentence: string } }>("explainTask", {
    params: { ...params, task: 0 },
  });
  assert.match(why.why.sentence, /paused by tester/);
  await api.call("resumeExecution", { params });
  const signal = { params: { ...params, signal: "go/on" }, body: { payload: { rows: 3 } } };
  assert.deepEqual(await api.call("signalExecution", signal), { accepted: true, released: 0 });
  assert.deepEqual(await api.call("signalExecution", { ...signal, body: {} }), { accepted: false, released: 0 });
  await edit(api, executionId);
  await api.call("explainExecution", { params });
  await api.call("listTasks", { params });
  await api.call("getTask", { params: { ...params, task: 1 } });
  const { nodes } = await api.call<{ nodes: readonly { children: readonly number[] }[] }>("getGraph", { params });
  assert.deepEqual(nodes[0]?.children, [1]);
  assert.equal((await api.call("getPlan", { params }))["onHold"], 0);
  return executionId;
}

/** A task comes and goes again. */
async function edit(api: Caller, executionId: string): Promise<void> {
  const params = { executionId };
  const added = { ...GROUP, pool: "idle", work: { kind: "tasks", inputs: [4], after: [[1]] } };
  const edits = [
    { kind: "priority", priority: 6 },
    { kind: "add", groups: [added] },
  ];
  const { version } = await api.call<{ version: string }>("previewEdit", { params, body: { edits } });
  const { changes } = await api.call<{ changes: Json }>("applyEdit", { params, body: { edits, version, editId: "e" } });
  assert.deepEqual([changes["added"], changes["firstAdded"]], [1, 3]);
  const { execution } = await api.call<{ execution: Json }>("applyEdit", {
    params,
    body: { edits: [{ kind: "remove", tasks: [3] }] },
  });
  assert.equal(execution["priority"], 6);
}

async function workers(api: Caller, executionId: string): Promise<void> {
  const registration = { workerId: "w1", hostname: "h", capabilities: ["cpu"], maxConcurrency: 4 };
  await api.call("registerWorker", { body: registration });
  const params = { workerId: "w1" };
  await api.call("heartbeatWorker", { params, body: { currentLoad: 0 }, prefix: "/api/distributed" });
  const { tasks } = await api.call<Claimed>("claimTasks", { params, body: { max: 3, wait: "5s", holding: [] } });
  const leaseOf = (task: number): string =>
    tasks.find((one) => one.task === task)?.lease ?? assert.fail(`no task ${task}`);
  const [first, third] = [leaseOf(0), leaseOf(2)];
  await api.call("completeTask", { params, body: { lease: first, result: { done: 1 }, stdout: "hello\n" } });
  await api.call("failTask", { params, body: { lease: third, error: { message: "it broke" } } });
  const again = await api.call<Claimed>("claimTasks", { params, body: { max: 3, wait: "5s", holding: [] } });
  const second = again.tasks.find(({ task }) => task === 1)?.lease ?? assert.fail("the second task was not released");
  await api.call("returnTask", { params, body: { lease: second } });
  const back = await api.call<Claimed>("claimTasks", { params, body: { max: 1, wait: "5s", holding: [] } });
  await api.call("completeTask", { params, body: { lease: back.tasks[0]?.lease, result: 2 } });
  await api.call("getWorker", { params });
  await api.call("listWorkers");
  const results = await api.call<{ rows: readonly { task: number; result: unknown }[] }>("readResults", {
    params: { executionId },
  });
  assert.deepEqual(
    results.rows.map(({ task, result }) => [task, result]),
    [
      [0, { done: 1 }],
      [1, 2],
    ],
  );
  await api.call("listAttempts", { params: { executionId } });
  const { logs } = await api.call<{ logs: readonly { stdout: string }[] }>("readLogs", { params: { executionId } });
  assert.ok(logs.some(({ stdout }) => stdout === "hello\n"));
  await api.call("listExecutionEvents", { params: { executionId } });
  await api.call("listEvents", { query: { cursor: "0" } });
}

async function deadLetters(api: Caller, executionId: string): Promise<void> {
  const { letters } = await api.call<{ letters: readonly { id: string }[] }>("listDeadLetters", {
    query: { class: "user-error" },
  });
  const letterId = letters[0]?.id ?? assert.fail("no dead letter");
  const letter = await api.call<{ input: unknown }>("getDeadLetter", { params: { letterId } });
  assert.equal(letter.input, 3);
  await api.call("replayDeadLetters", { body: { ids: [letterId] } });
  const fail = async (): Promise<void> => {
    const claimed = await api.call<Claimed>("claimTasks", {
      params: { workerId: "w1" },
      body: { max: 1, wait: "5s", holding: [] },
    });
    await api.call("failTask", {
      params: { workerId: "w1" },
      body: { lease: claimed.tasks[0]?.lease, error: { message: "again" } },
    });
  };
  await fail();
  await api.call("retryExecution", { params: { executionId }, body: {} });
  await fail();
  await api.call("discardDeadLetters", { body: { query: { execution: executionId } } });
  await api.call("rerunExecution", { params: { executionId }, body: { task: 1 } });
}

async function queue(api: Caller): Promise<void> {
  for (const id of ["pauseQueue", "resumeQueue"]) await api.call(id, { body: {} });
  await api.call("limitPool", { params: { pool: "jobs" }, body: { min: 1, max: 8 } });
  for (const id of ["pausePool", "resumePool", "getPool"]) await api.call(id, { params: { pool: "jobs" } });
  for (const id of ["getQueueStats", "listPools", "getStatistics"]) await api.call(id);
  const jobs = [
    { id: "a", type: "echo" },
    { id: "b", type: "echo", dependsOn: ["a"] },
  ];
  const executed = await api.call<{ executionId: string }>("executeJobs", {
    body: { workflowId: "wf", jobs },
    prefix: "/api/distributed",
  });
  const progress = await api.call<{ execution: { progress: { total: number } } }>("getExecute", {
    params: { executionId: executed.executionId },
    query: { jobs: "true" },
  });
  assert.equal(progress.execution.progress.total, 2);
}

async function state(api: Caller): Promise<void> {
  const key = { key: "runs/7 ü" };
  await api.call("putValue", { params: key, body: { value: { a: [1, null] } } });
  const { value } = await api.call<{ value: unknown }>("getValue", { params: key });
  assert.deepEqual(value, { a: [1, null] });
  await api.call("listValues", { query: { prefix: "runs/" } });
  await api.call("deleteValue", { params: key });
  const lock = { lock: "a/b" };
  const { owner } = await api.call<{ owner: string }>("acquireLock", { params: lock, body: {} });
  await api.call("getLock", { params: lock });
  await api.call("listLocks");
  await api.call("extendLock", { params: lock, body: { owner } });
  await api.call("releaseLock", { params: lock, body: { owner } });
  const scope = { scope: "x/1" };
  for (const data of [1, [2], { three: 3 }]) await api.call("saveCheckpoint", { params: scope, body: { data } });
  await api.call("listCheckpoints", { params: scope });
  const latest = await api.call<{ data: unknown }>("getLatestCheckpoint", { params: scope });
  assert.deepEqual(latest.data, { three: 3 });
  await api.call("getCheckpoint", { params: { ...scope, version: 2 } });
  await api.call("deleteCheckpoint", { params: { ...scope, version: 2 } });
  await api.call("pruneCheckpoints", { params: scope, body: { keep: 1 } });
  await api.call("deleteCheckpoints", { params: scope });
}

async function accessAndHealth(api: Caller): Promise<void> {
  const { id } = await api.call<{ id: string }>("createToken", { body: { name: "ci", role: "submit" } });
  await api.call("listTokens");
  await api.call("revokeToken", { params: { tokenId: id } });
  for (const one of ["whoAmI", "getHealth", "getLiveness", "getReadiness", "getVersion", "getOpenApi"])
    await api.call(one);
}

for (const store of ["sqlite", "redis"] as const) {
  test(`a story that calls every operation of the API, on ${store}`, async (t) => {
    const api = new Caller(await startHttpWorld(t, { store }));
    const executionId = await executions(api);
    await workers(api, executionId);
    await deadLetters(api, executionId);
    await queue(api);
    await state(api);
    await accessAndHealth(api);
    await api.call("drainWorker", { params: { workerId: "w1" } });
    await api.call("deregisterWorker", { params: { workerId: "w1" } });
    assert.deepEqual([...api.called].toSorted(), DOCUMENTED.map(({ id }) => id).toSorted());
  });
}
