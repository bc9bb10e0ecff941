/** Dead letters over HTTP, on a real server and store. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Submission } from "../../../src/broker/contract.ts";
import type { FailureClass } from "../../../src/core/failure.ts";
import { ascending } from "../../support/ascending.ts";
import { checkedReply, type CheckedRequest } from "../../support/checked-reply.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { openAccess } from "../../support/open-access.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { chunkDone, failed, failure, itemFailures } from "../../support/outcomes.ts";
import { array, batch, group, submission } from "../../support/submissions.ts";

interface Letter {
  readonly id: string;
  readonly executionId: string;
  readonly executionName: string;
  readonly name: string;
  readonly task: number;
  readonly start?: number;
  readonly failure: { readonly class: string; readonly message: string };
}

interface Page {
  readonly letters: readonly Letter[];
  readonly next?: string;
}

interface Done {
  readonly changed: number;
  readonly letters: number;
  readonly executions: number;
  readonly problems: readonly { readonly executionId: string; readonly code: string }[];
  readonly next?: string;
}

/** No second try: whatever fails is dead. */
const ONCE = { limit: 0, baseMs: 1, factor: 1, maxMs: 1, jitter: 0, never: [] };

/** An execution whose tasks have all failed, in the order given. */
async function allDead(
  world: HttpWorld,
  classes: readonly FailureClass[],
  changes: Partial<Submission> = {},
): Promise<string> {
  const { executions } = await world.broker.submit({
    submissions: [batch(classes.length, changes, { retry: ONCE, name: "fit" })],
  });
  const worker = await FakeWorker.join(world.broker);
  for (const failureClass of classes) {
    const lease = await worker.take();
    const output = { stdout: `try of ${lease.task}\n`, stderr: "", truncated: false };
    await worker.deliver({ ...failed(lease, failure(failureClass, `broke ${lease.task}`)), output });
  }
  await worker.leave();
  return executions[0]?.executionId ?? "";
}

function list(world: HttpWorld, query = ""): Promise<Page> {
  return checkedReply<Page>(world, "listDeadLetters", query === "" ? {} : { query });
}

function act(world: HttpWorld, verb: "replay" | "discard", body: unknown, more: CheckedRequest = {}): Promise<Done> {
  return checkedReply<Done>(world, verb === "replay" ? "replayDeadLetters" : "discardDeadLetters", { body, ...more });
}

async function ids(world: HttpWorld, query = ""): Promise<readonly string[]> {
  return (await list(world, query)).letters.map(({ id }) => id);
}

async function worldOf(t: TestContext): Promise<HttpWorld> {
  return startHttpWorld(t);
}

describe("dead letters: looking", () => {
  it("lists those of all executions, with the names of their tasks", async (t) => {
    const world = await worldOf(t);
    const one = await allDead(world, ["user-error", "timeout"], { name: "first" });
    const two = await allDead(world, ["gpu"], { name: "second" });
    const { letters } = await list(world);
    assert.deepEqual(
      letters.map(({ id, executionName, name }) => [id, executionName, name]),
      [
        [`${one}~0`, "first", "fit"],
        [`${one}~1`, "first", "fit"],
        [`${two}~0`, "second", "fit"],
      ],
    );
  });

  it("lists those that a filter means", async (t) => {
    const world = await worldOf(t);
    const one = await allDead(world, ["user-error", "timeout", "user-error"], { name: "first" });
    const two = await allDead(world, ["timeout"], { name: "second" });
    assert.deepEqual(await ids(world, "class=timeout"), [`${one}~1`, `${two}~0`]);
    assert.deepEqual(await ids(world, `class=timeout&execution=${one}`), [`${one}~1`]);
    assert.deepEqual(await ids(world, "name=econ"), [`${two}~0`]);
    assert.equal((await ids(world, "name=fi")).length, 4);
    assert.deepEqual(await ids(world, "name=nothing"), []);
    assert.deepEqual(await ids(world, `since=${systemClock().now() + 60_000}`), []);
    assert.equal((await ids(world, "since=2020-01-01T00:00:00Z")).length, 4);
  });

  it("goes through them page by page, also when few of them are meant", async (t) => {
    const world = await worldOf(t);
    const classes = Array.from({ length: 40 }, (_, at): FailureClass => (at % 9 === 0 ? "gpu" : "user-error"));
    const id = await allDead(world, classes);
    const found: string[] = [];
    for (let query = "class=gpu&limit=2"; ;) {
      const page = await list(world, query);
      assert.ok(page.letters.length <= 2);
      found.push(...page.letters.map((letter) => letter.id));
      if (page.next === undefined) break;
      query = `class=gpu&limit=2&cursor=${page.next}`;
    }
    assert.deepEqual(
      found,
      [0, 9, 18, 27, 36].map((task) => `${id}~${task}`),
    );
  });

  it("shows one with its input, its attempts and what it wrote", async (t) => {
    const world = await worldOf(t);
    const id = await allDead(world, ["user-error", "timeout"]);
    const letter = await checkedReply(world, "getDeadLetter", {
      params: { letterId: `${id}~1` },
    });
    assert.deepEqual([letter["input"], letter["name"], letter["failures"]], [1, "fit", 1]);
    assert.equal((letter["attempts"] as readonly unknown[]).length, 1);
    assert.deepEqual(letter["outputTail"], { stdout: "try of 1\n", stderr: "" });
  });

  it("shows items of an array that runs on", async (t) => {
    const world = await worldOf(t);
    const work = group(array(20, 10), { name: "points", retry: ONCE });
    const { executions } = await world.broker.submit({ submissions: [submission([work])] });
    const id = executions[0]?.executionId ?? "";
    const worker = await FakeWorker.join(world.broker);
    await worker.deliver(chunkDone(await worker.take(), itemFailures([3, 7])));
    const { letters } = await list(world);
    assert.deepEqual(
      letters.map((letter) => [letter.id, letter.name]),
      [
        [`${id}~0~3`, "points"],
        [`${id}~0~7`, "points"],
      ],
    );
    const letter = await checkedReply<Letter>(world, "getDeadLetter", { params: { letterId: `${id}~0~7` } });
    assert.equal(letter.start, 7);
    const done = await act(world, "replay", { ids: [`${id}~0~7`] });
    assert.deepEqual([done.changed, done.letters], [1, 1]);
    assert.deepEqual(await ids(world), [`${id}~0~3`]);
  });

  it("finds one among many without reading the inputs of all", async (t) => {
    const world = await worldOf(t);
    const id = await allDead(world, Array<FailureClass>(120).fill("user-error"));
    const letter = await checkedReply<Letter & { readonly input: number }>(world, "getDeadLetter", {
      params: { letterId: `${id}~111` },
    });
    assert.deepEqual([letter.task, letter.input, letter.failure.message], [111, 111, "broke 111"]);
  });

  it("does not know what is no dead letter", async (t) => {
    const world = await worldOf(t);
    const id = await allDead(world, ["user-error"]);
    for (const letterId of [`${id}~1`, `${id}~0~0`, "none~0"]) {
      const answer = await world.call(`GET /dead-letters/${letterId}`);
      assert.deepEqual([answer.status, answer.json()["code"]], [404, "DEAD_LETTER_NOT_FOUND"], letterId);
    }
    const wrong = await world.call(`GET /dead-letters/${id}`);
    assert.deepEqual([wrong.status, wrong.json()["field"]], [400, "params.letterId"]);
  });

  it("names the field that is wrong", async (t) => {
    const world = await worldOf(t);
    const cases = [
      ["class=nothing", "query.class"],
      ["since=yesterday", "query.since"],
      ["limit=0", "query.limit"],
      ["cursor=zzz", "query.cursor"],
      ["colour=red", "query.colour"],
    ] as const;
    for (const [query, field] of cases) {
      const answer = await world.call(`GET /dead-letters?${query}`);
      assert.deepEqual([answer.status, answer.json()["field"]], [400, field], query);
    }
  });
});

describe("dead letters: replaying and discarding", () => {
  it("queues those again that are named, and says how many", async (t) => {
    const world = await worldOf(t);
    const id = await allDead(world, ["user-error", "timeout", "gpu"]);
    const done = await act(world, "replay", { ids: [`${id}~0`, `${id}~2`, `${id}~9`, "none~1"] });
    assert.deepEqual([done.changed, done.letters, done.executions], [2, 4, 2]);
    assert.deepEqual(
      done.problems.map(({ executionId, code }) => [executionId, code]),
      [["none", "EXECUTION_NOT_FOUND"]],
    );
    assert.deepEqual(await ids(world), [`${id}~1`]);
    const worker = await FakeWorker.join(world.broker);
    const leases = await worker.leases(10);
    assert.deepEqual(ascending(leases.map(({ task }) => task)), [0, 2]);
  });

  it("queues those again that a query means, over all executions", async (t) => {
    const world = await worldOf(t);
    const one = await allDead(world, ["user-error", "timeout"]);
    const two = await allDead(world, ["timeout", "timeout"]);
    const done = await act(world, "replay", { query: { class: "timeout" } });
    assert.deepEqual([done.changed, done.letters, done.executions, done.next], [3, 3, 2, undefined]);
    assert.deepEqual(await ids(world), [`${one}~0`]);
    assert.equal((await world.broker.getExecution({ executionId: two })).counters.queued, 2);
  });

  it("stops at a bound and says where to go on", async (t) => {
    const world = await worldOf(t);
    await allDead(world, Array<FailureClass>(7).fill("user-error"));
    let [changed, calls] = [0, 0];
    for (let cursor: string | undefined, more = true; more;) {
      const done = await act(world, "replay", { query: {}, limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      assert.ok(done.letters <= 3);
      changed += done.changed;
      calls += 1;
      cursor = done.next;
      more = cursor !== undefined;
    }
    assert.deepEqual([changed, calls], [7, 3]);
    assert.deepEqual(await ids(world), []);
  });

  it("strikes letters off; their tasks stay failed", async (t) => {
    const world = await worldOf(t);
    const id = await allDead(world, ["user-error", "timeout"]);
    const done = await act(world, "discard", { query: { execution: id, class: "timeout" } });
    assert.deepEqual([done.changed, done.letters], [1, 1]);
    assert.deepEqual(await ids(world), [`${id}~0`]);
    assert.equal((await world.broker.getExecution({ executionId: id })).counters.failed, 2);
    assert.equal((await act(world, "discard", { ids: [`${id}~1`] })).changed, 0);
  });

  it("refuses by its own error what concerns one execution", async (t) => {
    const world = await worldOf(t);
    const { executions } = await world.broker.submit({ submissions: [batch(2, {}, { retry: ONCE })] });
    const id = executions[0]?.executionId ?? "";
    const worker = await FakeWorker.join(world.broker);
    await worker.deliver(failed(await worker.take()));
    await world.broker.cancel({ executionId: id });
    const answer = await world.call("POST /dead-letters/replay", { ids: [`${id}~0`] });
    assert.deepEqual([answer.status, answer.json()["code"]], [409, "EXECUTION_CANCELLED"]);
  });

  it("takes either ids or a query", async (t) => {
    const world = await worldOf(t);
    const cases = [
      [{}, "body.ids"],
      [{ ids: ["a~0"], query: {} }, "body.ids"],
      [{ ids: ["a~0", "b"] }, "body.ids[1]"],
      [{ query: { class: "none" } }, "body.query.class"],
      [{ query: {}, limit: 0 }, "body.limit"],
    ] as const;
    for (const [body, field] of cases) {
      const answer = await world.call("POST /dead-letters/replay", body);
      assert.deepEqual([answer.status, answer.json()["field"]], [400, field], JSON.stringify(body));
    }
  });

  it("is written to the audit log", async (t) => {
    const clock = systemClock({ keepAlive: true });
    const newId = (): string => crypto.randomUUID();
    const broker = openSqliteBroker({ file: ":memory:", clock, random: Math.random, newId });
    const access = openAccess(broker);
    const world = await startHttpWorld(t, { broker, access });
    t.after(() => broker.close());
    await allDead(world, ["user-error"]);
    await act(world, "replay", { query: {} });
    await list(world);
    assert.deepEqual(
      access.recorded.map(({ operation }) => operation),
      ["replayDeadLetters"],
    );
  });
});
