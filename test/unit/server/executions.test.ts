/** Executions over HTTP: submitted, looked at, steered and read with nothing but requests. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { ExecutionView, ResultRow, Submission, TaskView } from "../../../src/broker/contract.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { chunkDone, completed, done, failed, failure, itemFailures } from "../../support/outcomes.ts";
import { batch, group, submission, sweep, tasks } from "../../support/submissions.ts";

interface Receipt {
  readonly executionId: string;
  readonly created: boolean;
  readonly execution?: ExecutionView;
}

interface Refusal {
  readonly code: string;
  readonly field?: string;
  readonly error: string;
}

interface ResultsPage {
  readonly rows: readonly (Omit<ResultRow, "result" | "values"> & {
    readonly result?: unknown;
    readonly values?: unknown;
  })[];
  readonly cursor: number;
  readonly done: boolean;
}

/** As a request has it: values in place of texts. */
function asBody(one: Submission): Record<string, unknown> {
  const { meta, groups, ...rest } = one;
  return {
    ...rest,
    ...(meta === undefined ? {} : { meta: JSON.parse(meta) as unknown }),
    groups: groups.map(({ handler, work, ...group }) => ({
      ...group,
      handler: JSON.parse(handler) as unknown,
      work:
        work.kind === "array"
          ? { ...work, source: JSON.parse(work.source) as unknown }
          : { ...work, inputs: work.inputs.map((input) => JSON.parse(input) as unknown) },
    })),
  };
}

async function submit(world: HttpWorld, one: Submission): Promise<string> {
  return (await world.expect<Receipt>(202, "POST /executions", asBody(one))).executionId;
}

async function refusal(world: HttpWorld, status: number, request: string, body?: unknown): Promise<Refusal> {
  return world.expect<Refusal>(status, request, body);
}

/** A worker that runs all there is. */
async function runAll(world: HttpWorld): Promise<void> {
  const worker = await FakeWorker.join(world.broker, { worker: "runner" });
  for (let leases = await worker.leases(100); leases.length > 0; leases = await worker.leases(100))
    await worker.finish(...leases);
  await worker.leave();
}

function stores(
  name: string,
  body: (t: TestContext, start: (t: TestContext) => Promise<HttpWorld>) => Promise<void>,
): void {
  for (const store of ["sqlite", "redis"] as const)
    it(`${name} (${store})`, (t) => body(t, (context) => startHttpWorld(context, { store })));
}

describe("submitting over HTTP", () => {
  stores("submits, runs and reads a batch", async (t, start) => {
    const world = await start(t);
    const executionId = await submit(world, batch(3, { name: "three", meta: '{"label":["x"]}' }));
    const before = await world.expect<ExecutionView>(200, `GET /executions/${executionId}`);
    assert.equal(before.name, "three");
    assert.deepEqual(before.meta, { label: ["x"] });
    assert.equal(before.counters.total, 3);
    await runAll(world);
    const after = await world.expect<ExecutionView>(200, `GET /executions/${executionId}`);
    assert.equal(after.state, "completed");
    const page = await world.expect<ResultsPage>(200, `GET /executions/${executionId}/results`);
    assert.deepEqual(
      page.rows.map(({ task, result }) => [task, result]),
      [
        [0, { task: 0 }],
        [1, { task: 1 }],
        [2, { task: 2 }],
      ],
    );
    assert.equal(page.done, true);
  });

  it("fills in what is not said", async (t) => {
    const world = await startHttpWorld(t);
    const { executionId } = await world.expect<Receipt>(202, "POST /executions", {
      name: "plain",
      groups: [{ handler: { kind: "anything" }, work: { kind: "tasks", inputs: [null, "text", { a: 1 }] } }],
    });
    const view = await world.expect<ExecutionView>(200, `GET /executions/${executionId}`);
    assert.equal(view.kind, "batch");
    assert.equal(view.priority, 5);
    const worker = await FakeWorker.join(world.broker);
    const { leases, specs } = await worker.claim(3);
    assert.deepEqual(
      leases.map(({ input }) => input),
      ["null", '"text"', '{"a":1}'],
    );
    const [spec] = Object.values(specs);
    assert.equal(spec?.handler, '{"kind":"anything"}');
    assert.equal(spec?.name, "plain");
  });

  it("waits for the end as long as it is told", async (t) => {
    const world = await startHttpWorld(t);
    const early = await world.expect<Receipt>(202, "POST /executions?wait=20ms", asBody(batch(1)));
    assert.equal(early.execution?.state, "pending");
    const worker = await FakeWorker.join(world.broker);
    await worker.finish(await worker.take());
    const claim = worker.waitForWork(20_000);
    const pending = world.expect<Receipt>(200, "POST /executions?wait=20s", asBody(batch(1)));
    const { leases } = await claim.promise;
    await worker.finish(...leases);
    const late = await pending;
    assert.equal(late.execution?.state, "completed");
  });

  it("knows a submission again by its key, of the body or the header", async (t) => {
    const world = await startHttpWorld(t);
    const one = asBody(batch(1, { key: "k1" }));
    const first = await world.expect<Receipt>(202, "POST /executions", one);
    const again = await world.expect<Receipt>(202, "POST /executions", one);
    assert.deepEqual([first.created, again.created, again.executionId], [true, false, first.executionId]);
    const headers = { "idempotency-key": "k1" };
    const { key: _, ...keyless } = one;
    const byHeader = await world.call("POST /executions", keyless, { headers });
    assert.deepEqual(byHeader.json<Receipt>(), { executionId: first.executionId, created: false });
    const differs = await world.call("POST /executions", { ...one, key: "k2" }, { headers });
    assert.equal(differs.status, 400);
    assert.equal(differs.json<Refusal>().field, "header idempotency-key");
    assert.equal((await refusal(world, 409, "POST /executions", { ...one, name: "other" })).code, "KEY_CONFLICT");
  });

  it("names what the broker refuses in the words of the request", async (t) => {
    const world = await startHttpWorld(t);
    const cyclic = asBody(submission([group(tasks(2, [[], [1]]))]));
    assert.equal((await refusal(world, 400, "POST /executions", cyclic)).field, "body.groups[0].work.after[1]");
    const empty = asBody(submission([]));
    assert.equal((await refusal(world, 400, "POST /executions", empty)).field, "body.groups");
    const large = asBody(submission([group({ kind: "tasks", inputs: [JSON.stringify("x".repeat(1_100_000))] })]));
    const tooLarge = await refusal(world, 413, "POST /executions", large);
    assert.deepEqual([tooLarge.code, tooLarge.field], ["PAYLOAD_TOO_LARGE", "body.groups[0].work.inputs[0]"]);
    const many = asBody(submission([group({ kind: "tasks", inputs: Array.from({ length: 20_001 }, () => "0") })]));
    const tooMany = await refusal(world, 413, "POST /executions", many);
    assert.deepEqual([tooMany.code, tooMany.field], ["BATCH_TOO_LARGE", "body.groups[0].work.inputs"]);
    const both = { submissions: [asBody(batch(1)), cyclic] };
    assert.equal(
      (await refusal(world, 400, "POST /executions/batch", both)).field,
      "body.submissions[1].groups[0].work.after[1]",
    );
    assert.equal((await world.broker.listExecutions({ limit: 10 })).executions.length, 0, "nothing was half done");
  });

  it("submits many in one step, and sends a large one in parts", async (t) => {
    const world = await startHttpWorld(t);
    const { executions } = await world.expect<{ executions: Receipt[] }>(202, "POST /executions/batch", {
      submissions: [asBody(batch(1, { name: "a" })), asBody(batch(2, { name: "b" }))],
    });
    assert.equal(executions.length, 2);
    const open = await submit(world, batch(2, { open: true }));
    const part = { part: 1, seal: false, groups: asBody(batch(3))["groups"] };
    assert.deepEqual(await world.expect(200, `POST /executions/${open}/parts`, part), { total: 5 });
    assert.deepEqual(await world.expect(200, `POST /executions/${open}/parts`, part), { total: 5 });
    assert.deepEqual(await world.expect(200, `POST /executions/${open}/parts`, { part: 2, seal: true }), { total: 5 });
    assert.equal(
      (await refusal(world, 409, `POST /executions/${open}/parts`, { part: 3, seal: true })).code,
      "EXECUTION_SEALED",
    );
    assert.equal((await refusal(world, 404, "POST /executions/none/parts", part)).code, "EXECUTION_NOT_FOUND");
  });
});

describe("JSON texts over HTTP", () => {
  const EXACT = '{ "b":1.0, "a" : [1e2,12345678901234567890], "1":"\\u0041" }';

  it("keeps them byte for byte where they come as texts", async (t) => {
    const world = await startHttpWorld(t);
    const exact = submission([group({ kind: "tasks", inputs: [EXACT] }, { handler: EXACT })], { meta: EXACT });
    const { executionId } = await world.expect<Receipt>(202, "POST /executions?texts=true", exact);
    const worker = await FakeWorker.join(world.broker);
    const { leases, specs } = await worker.claim(1);
    assert.equal(leases[0]?.input, EXACT);
    assert.equal(Object.values(specs)[0]?.handler, EXACT);
    for (const lease of leases) await worker.deliver(completed(lease, EXACT));
    const texts = await world.expect<ResultsPage>(200, `GET /executions/${executionId}/results?texts=true`);
    assert.equal(texts.rows[0]?.result, EXACT);
    const raw = await world.call(`GET /executions/${executionId}/results`);
    assert.ok(raw.text.includes(`"result":${EXACT}`), raw.text);
    const view = await world.call(`GET /executions/${executionId}`);
    assert.ok(view.text.includes(`"meta":${EXACT}`), view.text);
    assert.equal((await world.expect<ExecutionView>(200, `GET /executions/${executionId}?texts=true`)).meta, EXACT);
    const list = await world.expect<{ tasks: TaskView[] }>(200, `GET /executions/${executionId}/tasks?texts=true`);
    assert.equal(list.tasks[0]?.result, EXACT);
    const lines = await world.call(`GET /executions/${executionId}/results?format=ndjson`);
    assert.ok(lines.text.includes(`"value":${EXACT}`), lines.text);
    assert.ok(
      (await world.call(`GET /executions/${executionId}/results?format=csv`)).text.includes("12345678901234567890"),
    );
  });

  it("refuses texts that are no JSON", async (t) => {
    const world = await startHttpWorld(t);
    const broken = submission([group({ kind: "tasks", inputs: ["1", "{"] })]);
    const { field } = await refusal(world, 400, "POST /executions?texts=true", broken);
    assert.equal(field, "body.groups[0].work.inputs[1]");
    const values = { ...submission([group(tasks(1))]), meta: { a: 1 } };
    assert.equal((await refusal(world, 400, "POST /executions?texts=true", values)).field, "body.meta");
  });

  it("does not let a worker's broken result break the answer, or reach into it", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, batch(2));
    const worker = await FakeWorker.join(world.broker);
    const [one, other] = await worker.leases(2);
    assert.ok(one !== undefined && other !== undefined);
    await worker.deliver(completed(one, '1},{"task":77,"result":2'), completed(other, "}"));
    const page = await world.expect<ResultsPage>(200, `GET /executions/${executionId}/results`);
    assert.deepEqual(
      page.rows.map(({ task, result }) => [task, result]),
      [
        [0, '1},{"task":77,"result":2'],
        [1, "}"],
      ],
    );
  });
});

describe("looking over HTTP", () => {
  it("lists by state, kind, name and prefix, page by page, in both orders", async (t) => {
    const world = await startHttpWorld(t);
    const ids: string[] = [];
    for (const name of ["alpha", "beta", "alphabet"]) ids.push(await submit(world, batch(1, { name })));
    ids.push(await submit(world, sweep(4, 2, { name: "swept" })));
    await world.expect(200, `POST /executions/${ids[0]}/cancel`, { reason: "enough" });
    const list = async (query: string): Promise<(string | undefined)[]> => {
      const { executions } = await world.expect<{ executions: ExecutionView[] }>(200, `GET /executions?${query}`);
      return executions.map(({ name }) => name);
    };
    assert.deepEqual(await list(""), ["swept", "alphabet", "beta", "alpha"]);
    assert.deepEqual(await list("order=oldest&limit=2"), ["alpha", "beta"]);
    assert.deepEqual(await list("state=cancelled"), ["alpha"]);
    assert.deepEqual(await list("state=pending,cancelled&kind=sweep"), ["swept"]);
    assert.deepEqual(await list("name=alpha"), ["alphabet", "alpha"]);
    assert.deepEqual(await list(`prefix=${ids[1]?.slice(0, 12)}`), ["beta"]);
    const seen: string[] = [];
    let cursor = "";
    do {
      const page = await world.expect<{ executions: ExecutionView[]; next?: string }>(
        200,
        `GET /executions?limit=1${cursor}`,
      );
      seen.push(...page.executions.map(({ executionId }) => executionId));
      cursor = page.next === undefined ? "" : `&cursor=${encodeURIComponent(page.next)}`;
    } while (cursor !== "");
    assert.deepEqual(seen, ids.toReversed());
  });

  stores("tells of tasks, attempts and logs", async (t, start) => {
    const world = await start(t);
    const executionId = await submit(world, batch(3, {}, { requires: ["cpu"] }));
    const worker = await FakeWorker.join(world.broker, { worker: "w9" });
    const [one, other] = await worker.leases(2);
    assert.ok(one !== undefined && other !== undefined);
    await worker.deliver(
      { ...completed(one), output: { stdout: "hello\n", stderr: "careful", truncated: false } },
      failed(other, failure("user-error", "it broke")),
    );
    const path = `/executions/${executionId}`;
    const first = await world.expect<{ tasks: TaskView[]; next?: number }>(200, `GET ${path}/tasks?limit=2`);
    assert.deepEqual(
      first.tasks.map(({ task, state }) => [task, state]),
      [
        [0, "completed"],
        [1, "scheduled"],
      ],
    );
    assert.deepEqual(first.tasks[0]?.result, { task: 0 });
    const second = await world.expect<{ tasks: TaskView[]; next?: number }>(
      200,
      `GET ${path}/tasks?limit=2&cursor=${first.next}`,
    );
    assert.deepEqual([second.tasks.map(({ task }) => task), second.next], [[2], undefined]);
    const queued = await world.expect<{ tasks: TaskView[] }>(200, `GET ${path}/tasks?state=queued,blocked`);
    assert.deepEqual(
      queued.tasks.map(({ task }) => task),
      [2],
    );
    const { attempts } = await world.expect<{ attempts: Record<string, unknown>[] }>(
      200,
      `GET ${path}/attempts?task=1`,
    );
    assert.equal(attempts.length, 1);
    assert.equal(attempts[0]?.["outcome"], "failed");
    assert.equal("output" in (attempts[0] ?? {}), false);
    const { logs } = await world.expect<{ logs: Record<string, unknown>[] }>(200, `GET ${path}/logs?task=0`);
    assert.deepEqual([logs[0]?.["stdout"], logs[0]?.["stderr"], logs[0]?.["truncated"]], ["hello\n", "careful", false]);
    const text = await world.call(`GET ${path}/logs?format=text&task=0`);
    assert.match(text.text, /^--- task 0, attempt 1 on w9: completed, .*\nhello\ncareful\n$/);
    assert.match(text.headers.get("content-type") ?? "", /^text\/plain/);
    assert.equal((await refusal(world, 404, "GET /executions/none/tasks")).code, "EXECUTION_NOT_FOUND");
    assert.equal((await refusal(world, 404, "GET /executions/none/logs")).code, "EXECUTION_NOT_FOUND");
  });

  stores("tells of one task, and why it does not run", async (t, start) => {
    const world = await start(t);
    const executionId = await submit(world, submission([group(tasks(2, [[], [0]]), { requires: ["gpu"] })]));
    const { task, why, requires } = await world.expect<{
      task: TaskView;
      why: { code: string; sentence: string };
      requires: string[];
    }>(200, `GET /executions/${executionId}/tasks/1`);
    assert.equal(task.state, "blocked");
    assert.equal(why.code, "waits-for-parents");
    assert.deepEqual(requires, ["gpu"]);
    assert.equal((await refusal(world, 404, `GET /executions/${executionId}/tasks/2`)).code, "TASK_UNKNOWN");
  });
});

describe("steering over HTTP", () => {
  stores("pauses under the caller's name, resumes and cancels", async (t, start) => {
    const world = await start(t);
    const executionId = await submit(world, batch(2));
    const path = `/executions/${executionId}`;
    const paused = await world.expect<ExecutionView>(200, `POST ${path}/pause`);
    assert.deepEqual([paused.state, paused.paused?.by], ["paused", "tester"]);
    const worker = await FakeWorker.join(world.broker);
    assert.equal((await worker.leases(1)).length, 0);
    assert.equal((await world.expect<ExecutionView>(200, `POST ${path}/resume`)).paused, undefined);
    assert.equal((await worker.leases(1)).length, 1);
    const cancelled = await world.expect<ExecutionView>(200, `POST ${path}/cancel`, { reason: "no longer needed" });
    assert.equal(cancelled.state, "cancelled");
    assert.equal((await refusal(world, 409, `POST ${path}/pause`)).code, "EXECUTION_ENDED");
    assert.equal((await refusal(world, 404, "POST /executions/none/cancel")).code, "EXECUTION_NOT_FOUND");
  });

  stores("retries dead letters and runs tasks again", async (t, start) => {
    const world = await start(t);
    const retry = { limit: 0, baseMs: 0, factor: 1, maxMs: 0, jitter: 0, never: [] };
    const executionId = await submit(world, submission([group(tasks(2), { retry })], { keepInputs: true }));
    const path = `/executions/${executionId}`;
    const worker = await FakeWorker.join(world.broker);
    const [one, other] = await worker.leases(2);
    assert.ok(one !== undefined && other !== undefined);
    await worker.deliver(failed(one), done(other));
    assert.equal((await world.expect<ExecutionView>(200, `GET ${path}`)).state, "failed");
    const none = await world.expect<{ changed: number }>(200, `POST ${path}/retry`, { letters: [{ task: 1 }] });
    assert.equal(none.changed, 0);
    const some = await world.expect<{ changed: number; execution: ExecutionView }>(200, `POST ${path}/retry`);
    assert.deepEqual([some.changed, some.execution.state], [1, "running"]);
    await runAll(world);
    const again = await world.expect<{ reset: number; execution: ExecutionView }>(200, `POST ${path}/rerun`, {
      task: 1,
    });
    assert.equal(again.reset, 1);
    assert.equal((await refusal(world, 404, `POST ${path}/rerun`, { task: 9 })).code, "TASK_UNKNOWN");
    assert.equal((await refusal(world, 400, `POST ${path}/rerun`, {})).field, "body.task");
  });
});

describe("results over HTTP", () => {
  async function sweptWorld(t: TestContext, store: "sqlite" | "redis"): Promise<{ world: HttpWorld; path: string }> {
    const world = await startHttpWorld(t, { store });
    const retry = { limit: 0, baseMs: 0, factor: 1, maxMs: 0, jitter: 0, never: [] };
    const executionId = await submit(world, sweep(6, 3, {}, { retry }));
    const worker = await FakeWorker.join(world.broker, { worker: "s1" });
    const [one, other] = await worker.leases(2);
    assert.ok(one !== undefined && other !== undefined);
    await worker.deliver(chunkDone(one, itemFailures([1])), chunkDone(other));
    return { world, path: `/executions/${executionId}/results` };
  }

  for (const store of ["sqlite", "redis"] as const) {
    it(`come as pages, as lines and as a table (${store})`, async (t) => {
      const { world, path } = await sweptWorld(t, store);
      const first = await world.expect<ResultsPage>(200, `GET ${path}?limit=1`);
      assert.deepEqual(first.rows[0]?.values, [0, null, 2]);
      assert.deepEqual(first.rows[0]?.missing, [1]);
      const rest = await world.expect<ResultsPage>(200, `GET ${path}?cursor=${first.cursor}&wait=1s`);
      assert.deepEqual([rest.rows.map(({ values }) => values), rest.done], [[[3, 4, 5]], true]);
      const partials = await world.expect<ResultsPage>(200, `GET ${path}?partials=true`);
      assert.deepEqual(
        partials.rows.map(({ partial, values }) => [partial, values]),
        [
          [2, undefined],
          [3, undefined],
        ],
      );
      const lines = await world.call(`GET ${path}`, undefined, { headers: { accept: "application/x-ndjson" } });
      assert.match(lines.headers.get("content-type") ?? "", /^application\/x-ndjson/);
      assert.deepEqual(
        lines.text
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown),
        [0, 2, 3, 4, 5].map((index) => ({ task: 0, index, value: index, worker: "s1", attempt: 1 })),
      );
      const table = await world.call(`GET ${path}?format=csv`);
      assert.equal(table.text, `task,index,value\r\n${[0, 2, 3, 4, 5].map((at) => `0,${at},${at}\r\n`).join("")}`);
    });
  }

  it("are followed until the execution has ended", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, batch(2));
    const response = await fetch(`${world.url}/api/v1/executions/${executionId}/results?format=ndjson&follow=true`);
    assert.equal(response.status, 200);
    const worker = await FakeWorker.join(world.broker);
    const body = response.text();
    await worker.finish(await worker.take());
    await worker.finish(await worker.take());
    assert.deepEqual((await body).trim().split("\n").length, 2);
  });

  it("make a table with the fields of objects as columns, and nothing that a spreadsheet would run", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, batch(4));
    const worker = await FakeWorker.join(world.broker);
    const values = [
      { score: -1.5, deep: { "a,b": "x" }, list: [1, "two"] },
      { score: 2, note: '=HYPERLINK("http://evil")', "=cmd": "+1" },
      'a "quoted"\ntext',
      null,
    ];
    const leases = await worker.leases(4);
    await worker.deliver(...leases.map((lease) => completed(lease, JSON.stringify(values[lease.task]))));
    const { text } = await world.call(`GET /executions/${executionId}/results?format=csv`);
    assert.deepEqual(text.split("\r\n"), [
      'task,index,value.score,"value.deep.a,b",value.list,value.note,value.=cmd,value',
      '0,,-1.5,x,"[1,""two""]",,,',
      `1,,2,,,"'=HYPERLINK(""http://evil"")",'+1,`,
      '2,,,,,,,"a ""quoted""\ntext"',
      "3,,,,,,,null",
      "",
    ]);
  });

  it("are no table with more columns than one can have", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, batch(1));
    const worker = await FakeWorker.join(world.broker);
    const wide = Object.fromEntries(Array.from({ length: 1_001 }, (_, at) => [`c${at}`, at]));
    await worker.deliver(completed(await worker.take(), JSON.stringify(wide)));
    assert.equal(
      (await refusal(world, 413, `GET /executions/${executionId}/results?format=csv`)).code,
      "BATCH_TOO_LARGE",
    );
    assert.equal((await refusal(world, 404, "GET /executions/none/results?format=ndjson")).code, "EXECUTION_NOT_FOUND");
  });
});
