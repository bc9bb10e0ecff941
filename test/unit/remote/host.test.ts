/** The host as strangers meet it: who may come in, and what nonsense does to it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { afterEach, test } from "node:test";
import * as fc from "fast-check";
import { BROKER_METHODS } from "../../../src/broker/contract.ts";
import { acceptToken } from "../../../src/broker/remote/token.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { Belongings, brokerOf, eventually, gate, RawClient, TinyBroker, TOKEN } from "./support.ts";

const belongings = new Belongings();
afterEach(() => belongings.end());

function refusal(frame: unknown): unknown[] {
  const [id, status, error] = frame as [number, number, { code: string }];
  return [id, status, error.code];
}

async function upgradeStatus(url: string, headers: Record<string, string>): Promise<number> {
  const { request } = await import("node:http");
  const target = new URL(url.replace("ws:", "http:"));
  const upgrade = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };
  const sent = request(target, { headers: { ...upgrade, ...headers } });
  sent.end();
  const [response] = (await once(sent, "response")) as [{ statusCode: number; resume(): void }];
  response.resume();
  return response.statusCode;
}

test("without a good token nobody gets in, and the token is in no log line", async () => {
  const lines: string[] = [];
  const logger = createLogger({ level: "debug", format: "json", destination: { write: (line) => lines.push(line) } });
  const host = await belongings.serve(new TinyBroker().broker, { logger });
  assert.equal(await upgradeStatus(host.url, {}), 401);
  assert.equal(await upgradeStatus(host.url, { Authorization: "Bearer wrong-secret" }), 401);
  assert.equal(await upgradeStatus(host.url, { Authorization: `Basic ${TOKEN}` }), 401);
  assert.equal(await upgradeStatus(`${host.url}?token=${TOKEN}`, {}), 401);
  assert.equal(await upgradeStatus(host.url.replace("/broker", "/other"), { Authorization: `Bearer ${TOKEN}` }), 404);
  await assert.rejects(belongings.connect(host.url, { url: () => ({ url: host.url, token: "wrong-secret" }) }), {
    code: "UNAUTHORIZED",
  });
  await belongings.connect(host.url);
  assert.doesNotMatch(lines.join(""), new RegExp(`wrong-secret|${TOKEN}`));
});

test("a check that fails lets nobody in", async () => {
  const host = await belongings.serve(new TinyBroker().broker, {
    access: () => Promise.reject(new Error("the store of tokens is away")),
  });
  assert.equal(await upgradeStatus(host.url, { Authorization: `Bearer ${TOKEN}` }), 401);
});

test("tokens are compared whole", async () => {
  const access = acceptToken("abc");
  const asked = ["abc", "ab", "abcd", "", "ABC"].map((token) =>
    access({ headers: { authorization: `Bearer ${token}` } } as IncomingMessage),
  );
  assert.deepEqual(
    (await Promise.all(asked)).map((rights) => rights !== undefined),
    [true, false, false, false, false],
  );
});

test("a plain request is told to upgrade", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const response = await fetch(host.url.replace("ws:", "http:"));
  assert.equal(response.status, 426);
});

test("it lives next to others on a server of the caller", async () => {
  const server = createServer((_request, response) => response.end("other"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  belongings.keep(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  const host = await belongings.serve(new TinyBroker().broker, { server });
  const client = await belongings.connect(host.url);
  assert.equal((await client.openSession(profile)).session, "s1");
  assert.equal(await (await fetch(host.url.replace("ws:", "http:"))).text(), "other");
  await host.close();
  assert.equal(server.listening, true);
});

const profile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 1 };

test("an address in use is said in one sentence", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const port = Number(new URL(host.url).port);
  await assert.rejects(belongings.serve(new TinyBroker().broker, { listen: { host: "127.0.0.1", port } }), {
    code: "LISTEN_FAILED",
  });
});

test("another version of the protocol is refused on both sides", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const old = await belongings.raw(host.url, { hello: ["hello", { protocol: 0, client: "old", received: 0 }] });
  assert.deepEqual(await old.frame(0), [
    "refused",
    { code: "PROTOCOL_MISMATCH", details: { url: "the client", theirs: "0", ours: 1 } },
  ]);
  await once(old.socket, "close");

  const newer = new (await import("ws")).WebSocketServer({ host: "127.0.0.1", port: 0 });
  belongings.keep(() => newer.close());
  newer.on("connection", (socket) =>
    socket.on("message", () => socket.send(JSON.stringify(["welcome", { protocol: 9 }]))),
  );
  await once(newer, "listening");
  const { port } = newer.address() as { port: number };
  await assert.rejects(belongings.connect(`ws://127.0.0.1:${port}`), { code: "PROTOCOL_MISMATCH" });
});

test("a first frame that is no hello ends the socket", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  for (const hello of [
    [1, 0, "listPools", null],
    "hello",
    ["hello"],
    ["hello", { protocol: 1, client: "", received: 0 }],
  ]) {
    const client = await belongings.raw(host.url, { hello });
    const [closed] = (await once(client.socket, "close")) as [number];
    assert.equal(closed, 1002);
  }
});

test("a frame that makes no sense gets INVALID_REQUEST, and the next one its answer", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const client = await belongings.raw(host.url);
  await client.frame(0);
  const nonsense = [
    "",
    "{",
    "null",
    "[]",
    "[1]",
    '["1",0,"claim",{}]',
    '[-1,0,"claim",{}]',
    "[1,0]",
    '[1,0,"claim",{},5]',
    '{"id":1}',
  ];
  for (const text of nonsense) client.sendText(text);
  client.send([1, 0, "noSuchMethod", {}]);
  client.send([2, 0, "toString", {}]);
  client.send([3, 0, "claim", { session: 5 }]);
  client.send([4, 0, "openSession", profile]);
  client.send([4, 0, "openSession", profile]);
  await client.frame(nonsense.length + 5);
  const replies = client.frames.slice(1);
  const expected = nonsense.map(() => [0, 1, "INVALID_REQUEST"]);
  assert.deepEqual(replies.slice(0, nonsense.length).map(refusal), expected);
  const rest = replies.slice(nonsense.length);
  assert.deepEqual(
    rest
      .filter((frame) => (frame as number[])[1] === 1)
      .map(refusal)
      .toSorted(([one], [other]) => Number(one) - Number(other)),
    [
      [0, 1, "INVALID_REQUEST"],
      [1, 1, "INVALID_REQUEST"],
      [2, 1, "INVALID_REQUEST"],
      [3, 1, "INVALID_REQUEST"],
    ],
  );
  assert.deepEqual(
    rest.filter((frame) => (frame as number[])[1] === 0),
    [[4, 0, { session: "s1", heartbeatMs: 1_000, deadAfterMs: 5_000 }]],
  );
});

test("a frame above the limit ends its socket, not the host", async () => {
  const host = await belongings.serve(new TinyBroker().broker, { limits: { maxRequestBytes: 10_000 } });
  const client = await belongings.raw(host.url);
  await client.frame(0);
  client.sendText("x".repeat(10_001));
  const [code] = (await once(client.socket, "close")) as [number];
  assert.equal(code, 1009);
  const other = await belongings.connect(host.url);
  assert.equal((await other.openSession(profile)).heartbeatMs, 1_000);
});

test("no JSON whatsoever crashes the host", async () => {
  const host = await belongings.serve(brokerOf({}));
  const client = await belongings.raw(host.url);
  await client.frame(0);
  let id = 0;
  const method = fc.oneof(fc.constantFrom(...BROKER_METHODS), fc.string(), fc.jsonValue());
  const frame = fc.oneof(fc.jsonValue(), fc.tuple(fc.nat(), fc.nat(), method, fc.jsonValue()));
  await fc.assert(
    fc.asyncProperty(method, fc.jsonValue(), frame, fc.string(), async (name, params, any, text) => {
      client.send(any);
      client.sendText(text);
      id = Math.max(
        id + 1,
        Array.isArray(any) && Number.isSafeInteger(any[0]) ? Number(any[0]) + 1 : 0,
        ...client.frames.map(lastId),
      );
      client.send([id, 0, name, params]);
      await eventually(() => client.frames.some((reply) => Array.isArray(reply) && reply[0] === id && reply[1] === 1));
      client.frames.length = 0;
    }),
    { numRuns: 200 },
  );
  const other = await belongings.raw(host.url);
  assert.equal(((await other.frame(0)) as unknown[])[0], "welcome");
});

function lastId(frame: unknown): number {
  return Array.isArray(frame) && typeof frame[0] === "number" ? frame[0] + 1 : 0;
}

test("a thousand calls at once are answered, each with its own answer", async () => {
  const opening = gate();
  let underWay = 0;
  let most = 0;
  const host = await belongings.serve(
    brokerOf({
      extend: async ({ part }) => {
        underWay += 1;
        most = Math.max(most, underWay);
        if (underWay === 1_000) opening.open();
        await opening.opened;
        underWay -= 1;
        return { total: part };
      },
    }),
  );
  const client = await belongings.connect(host.url);
  const calls = Array.from({ length: 1_000 }, (_, index) =>
    client.extend({ executionId: "x", part: index + 1, groups: [], seal: false }),
  );
  const totals = (await Promise.all(calls)).map((reply) => reply.total);
  assert.deepEqual(
    totals,
    Array.from({ length: 1_000 }, (_, index) => index + 1),
  );
  assert.equal(most, 1_000);
});

test("no more calls are under way than the limit; the others wait their turn", async () => {
  let underWay = 0;
  let most = 0;
  const host = await belongings.serve(
    brokerOf({
      extend: async ({ part }) => {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        return { total: part };
      },
    }),
    { limits: { maxInFlight: 10 } },
  );
  const client = await belongings.connect(host.url);
  // Each frame is larger than a socket's read block, so that pausing takes effect at once.
  const handler = "x".repeat(100_000);
  const group = {
    name: "g",
    handler,
    pool: "p",
    requires: [],
    retry: { limit: 0, baseMs: 0, factor: 1, maxMs: 0, jitter: 0, never: [] },
    maxLosses: 1,
  };
  const groups = [{ ...group, work: { kind: "tasks", inputs: [] } as const }];
  const calls = Array.from({ length: 100 }, (_, index) =>
    client.extend({ executionId: "x", part: index + 1, groups, seal: false }),
  );
  assert.equal((await Promise.all(calls)).length, 100);
  assert.ok(most <= 11, `${most} under way`);
});

test("a reply that is too large is an error, and its leases go back", async () => {
  const tiny = new TinyBroker();
  tiny.add(50);
  const host = await belongings.serve(tiny.broker, { limits: { maxReplySize: 1_000 } });
  const client = await belongings.connect(host.url);
  const { session } = await client.openSession(profile);
  await assert.rejects(client.claim({ session, max: 50, waitMs: 0 }), { code: "PAYLOAD_TOO_LARGE" });
  assert.equal(tiny.queued.length, 50);
  assert.equal((await client.claim({ session, max: 2, waitMs: 0 })).leases.length, 2);
});

test("errors keep their code and details on the way", async () => {
  const host = await belongings.serve(brokerOf({ listPools: () => Promise.reject(new Error("a defect")) }));
  const client = await belongings.connect(host.url);
  await assert.rejects(client.listPools(), { code: "INTERNAL", details: { problem: "a defect" } });
  await assert.rejects(client.getExecution({ executionId: "" }), { code: "INVALID_REQUEST" });
});

test("a socket that says nothing does not keep the host from ending", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const silent = new RawClient(host.url, TOKEN);
  await once(silent.socket, "open");
  const closed = once(silent.socket, "close");
  await host.close();
  await closed;
});
