/** Events over HTTP: streams and pages, from a real server. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import type { BrokerEvent } from "../../../src/broker/contract.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { checkedReply } from "../../support/checked-reply.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { SseReader } from "../../support/sse.ts";
import { batch } from "../../support/submissions.ts";

interface Opened {
  readonly response: Response;
  readonly reader: SseReader;
  readonly leave: () => void;
}

async function openStream(
  t: TestContext,
  world: HttpWorld,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Opened> {
  const gone = new AbortController();
  t.after(() => gone.abort());
  const response = await fetch(`${world.url}/api/v1${path}`, {
    headers: { accept: "text/event-stream", ...headers },
    signal: gone.signal,
  });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const stream = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
  stream.on("error", () => undefined);
  return { response, reader: new SseReader(stream), leave: () => gone.abort() };
}

async function submit(world: HttpWorld, count: number): Promise<string> {
  const { executions } = await world.broker.submit({ submissions: [batch(count)] });
  return executions[0]?.executionId ?? "";
}

async function told(world: HttpWorld, executionId?: string): Promise<readonly BrokerEvent[]> {
  const params = executionId === undefined ? {} : { executionId };
  return (await world.broker.readEvents({ ...params, cursor: 0, limit: 1_000 })).events;
}

function cursorsOf(events: readonly BrokerEvent[]): number[] {
  return events.map(({ cursor }) => cursor);
}

async function readersAt(world: HttpWorld): Promise<number> {
  const { server } = await checkedReply<{ server: { eventReaders: number } }>(world, "getStatistics");
  return server.eventReaders;
}

/** A worker does all that is there. */
async function work(world: HttpWorld): Promise<void> {
  const worker = await FakeWorker.join(world.broker);
  for (let leases = await worker.leases(10); leases.length > 0; leases = await worker.leases(10))
    await worker.finish(...leases);
  await worker.leave();
}

describe("events as a stream", () => {
  it("tells an execution from its first event to its end, and ends", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, 3);
    const { reader, response } = await openStream(t, world, `/executions/${executionId}/events`);
    assert.equal(response.headers.get("x-accel-buffering"), "no");
    await work(world);
    await eventually("the stream has ended", () => reader.hasEnded);
    assert.deepEqual(reader.cursors, cursorsOf(await told(world, executionId)));
    const end = reader.events.at(-1);
    assert.equal(end?.event, "end");
    assert.equal((JSON.parse(end.data) as { state: string }).state, "completed");
  });

  it("goes on after the last event that a reader names, whatever its address says", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, 3);
    await work(world);
    const all = cursorsOf(await told(world, executionId));
    const last = String(all[1]);
    const path = `/executions/${executionId}/events?cursor=0`;
    const { reader } = await openStream(t, world, path, { "last-event-id": last });
    await eventually("the stream has ended", () => reader.hasEnded);
    assert.deepEqual(reader.cursors, all.slice(2));
  });

  it("tells everything of everybody, from now on", async (t) => {
    const world = await startHttpWorld(t);
    await submit(world, 1);
    const before = cursorsOf(await told(world)).length;
    const { reader } = await openStream(t, world, "/events");
    await eventually("the reader is greeted", () => reader.text !== "");
    const executionId = await submit(world, 2);
    await work(world);
    const expected = cursorsOf(await told(world)).slice(before);
    await eventually("all is told", () => reader.cursors.length >= expected.length);
    assert.deepEqual(reader.cursors, expected);
    const kinds = new Set(reader.events.map(({ event }) => event));
    assert.deepEqual(kinds, new Set(["execution", "session", "tasks"]));
    assert.ok(reader.events.some(({ data }) => (JSON.parse(data) as BrokerEvent).executionId === executionId));
  });

  it("forgets a reader that has gone", async (t) => {
    // The client opens a connection in place of the one it broke off, and says nothing on it.
    const world = await startHttpWorld(t, { server: { limits: { closeGraceMs: 100 } } });
    const { leave } = await openStream(t, world, "/events");
    await eventually("it is counted", async () => (await readersAt(world)) === 1);
    leave();
    await eventually("it is forgotten", async () => (await readersAt(world)) === 0);
  });

  it("lets readers go when the server ends", async (t) => {
    const world = await startHttpWorld(t);
    const { reader } = await openStream(t, world, "/events");
    await world.server.close();
    await eventually("the stream has ended", () => reader.hasEnded);
  });

  it("refuses what is wrong before the stream begins", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, 1);
    const init = (headers: Record<string, string>): RequestInit => ({
      headers: { accept: "text/event-stream", ...headers },
    });
    const unknown = await world.call("GET /executions/none/events", undefined, init({}));
    assert.equal(unknown.status, 404);
    assert.equal(unknown.json()["code"], "EXECUTION_NOT_FOUND");
    const path = `GET /executions/${executionId}/events`;
    const id = await world.call(path, undefined, init({ "last-event-id": "soon" }));
    assert.deepEqual([id.status, id.json()["field"]], [400, "header last-event-id"]);
    const cursor = await world.call(`${path}?cursor=-5`, undefined, init({}));
    assert.deepEqual([cursor.status, cursor.json()["field"]], [400, "query.cursor"]);
    assert.equal(await readersAt(world), 0);
  });

  it("does not open a stream for a HEAD", async (t) => {
    const world = await startHttpWorld(t);
    const answer = await world.call("HEAD /events", undefined, { headers: { accept: "text/event-stream" } });
    assert.equal(answer.status, 200);
    await eventually("nobody reads", async () => (await readersAt(world)) === 0);
  });
});

interface Page {
  readonly events: readonly BrokerEvent[];
  readonly cursor: number;
}

describe("events page by page", () => {
  it("gives them all, in pages that go on where the last one ended", async (t) => {
    const world = await startHttpWorld(t);
    const executionId = await submit(world, 5);
    await work(world);
    const expected = await told(world, executionId);
    const found: BrokerEvent[] = [];
    for (let cursor = 0, more = true; more;) {
      const query = `cursor=${cursor}&limit=2`;
      const page = await checkedReply<Page>(world, "listExecutionEvents", { params: { executionId }, query });
      assert.ok(page.events.length <= 2);
      found.push(...page.events);
      more = page.events.length > 0;
      ({ cursor } = page);
    }
    assert.deepEqual(found, expected);
  });

  it("waits for news as long as it is told to", async (t) => {
    const world = await startHttpWorld(t);
    const now = await checkedReply<Page>(world, "listEvents", { query: "cursor=now" });
    assert.deepEqual(now.events, []);
    const waiting = checkedReply<Page>(world, "listEvents", { query: `cursor=${now.cursor}&wait=20s` });
    const executionId = await submit(world, 1);
    const page = await waiting;
    assert.equal(page.events[0]?.executionId, executionId);
    assert.ok(page.cursor > now.cursor);
  });

  it("waits for what is to come", async (t) => {
    const world = await startHttpWorld(t);
    await submit(world, 1);
    let page: Page | undefined;
    void checkedReply<Page>(world, "listEvents", { query: "cursor=now&wait=20s" }).then((found) => (page = found));
    // Once the call has arrived, the next execution is news.
    await eventually("there is news", async () => {
      await submit(world, 1);
      return page !== undefined;
    });
    assert.ok((page?.events.length ?? 0) > 0);
    const [oldest] = await told(world);
    assert.notEqual(page?.events[0]?.cursor, oldest?.cursor);
  });

  it("answers what waits when the server ends", async (t) => {
    const world = await startHttpWorld(t);
    const now = await checkedReply<Page>(world, "listEvents", { query: "cursor=now" });
    const waiting = checkedReply<Page>(world, "listEvents", { query: `cursor=${now.cursor}&wait=30s` });
    await eventually("the call has arrived", async () => (await checkedReply(world, "getLiveness")) !== undefined);
    await world.server.close();
    assert.deepEqual(await waiting, { events: [], cursor: now.cursor });
  });
});
