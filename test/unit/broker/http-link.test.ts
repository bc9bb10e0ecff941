/** Calls to any of several servers: which failures go on to the next one, and which are final. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { HEALTH_OPERATIONS } from "../../../src/api/operations/health.ts";
import { HttpLink } from "../../../src/broker/http/http-link.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { systemClock } from "../../../src/util/clock.ts";

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

interface Server {
  readonly url: string;
  asked: number;
}

async function serve(t: TestContext, answer: Answer): Promise<Server> {
  const server = createServer((request, response) => {
    told.asked += 1;
    answer(response, request);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const told: Server = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: 0 };
  return told;
}

function says(status: number, body: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return (response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

const WELL = says(200, { live: true });

function link(t: TestContext, servers: readonly (Server | string)[], changes: object = {}): HttpLink {
  const urls = servers.map((server) => (typeof server === "string" ? server : server.url)) as [string, ...string[]];
  const made = new HttpLink({
    urls,
    clock: systemClock({ keepAlive: true }),
    logger: silentLogger,
    giveUpAfterMs: 3_000,
    answerWithinMs: 300,
    ...changes,
  });
  t.after(() => made.close());
  return made;
}

const ask = (on: HttpLink): Promise<unknown> => on.call(HEALTH_OPERATIONS.getLiveness, {});

test("a server that is gone, hangs, closes or is none of ours is passed over, and the one that answered is kept", async (t) => {
  const hangs = await serve(t, () => undefined);
  const closing = await serve(t, says(503, { success: false, code: "BROKER_CLOSED", error: "The broker is closed." }));
  const strange = await serve(t, (response) => response.writeHead(502).end("<html>"));
  const well = await serve(t, WELL);
  const to = link(t, ["http://127.0.0.1:1", hangs, closing, strange, well]);
  assert.deepEqual(await ask(to), { live: true });
  assert.deepEqual(await ask(to), { live: true });
  assert.deepEqual([hangs.asked, closing.asked, strange.asked, well.asked], [1, 1, 1, 2]);
});

test("what a server answers is final, and is the error that it was there", async (t) => {
  const refuses = await serve(t, says(404, { code: "EXECUTION_NOT_FOUND", details: { execution: "x" } }));
  const other = await serve(t, WELL);
  await assert.rejects(ask(link(t, [refuses, other])), {
    code: "EXECUTION_NOT_FOUND",
    message: "There is no execution x.",
  });
  const stranger = await serve(t, says(401, { code: "TOKEN_REFUSED", details: { problem: "no" } }));
  await assert.rejects(ask(link(t, [stranger, other])), { code: "UNAUTHORIZED" });
  assert.equal(other.asked, 0);
});

test("too many requests: the same server is asked again after the time that it says", async (t) => {
  let isBusy = true;
  const busy = await serve(t, (response, request) => {
    const answer = isBusy
      ? says(429, { code: "RATE_LIMITED", details: { retryAfterMs: 1_000 } }, { "retry-after": "1" })
      : WELL;
    isBusy = false;
    answer(response, request);
  });
  const other = await serve(t, WELL);
  const from = performance.now();
  assert.deepEqual(await ask(link(t, [busy, other])), { live: true });
  assert.ok(performance.now() - from >= 990);
  assert.deepEqual([busy.asked, other.asked], [2, 0]);
});

test("nobody there: an error that names the place and the reason, when patience is over, without the token", async (t) => {
  const to = link(t, ["http://127.0.0.1:1"], { giveUpAfterMs: 200, token: "secret-token" });
  await assert.rejects(ask(to), (thrown: Error & { code: string }) => {
    assert.equal(thrown.code, "BROKER_UNREACHABLE");
    assert.match(thrown.message, /127\.0\.0\.1:1 cannot be reached: .*(?:ECONNREFUSED|bad port)/);
    assert.doesNotMatch(thrown.message, /secret/);
    return true;
  });
});

test("a call goes with its token, and a closed link makes none", async (t) => {
  let authorization: string | undefined;
  const well = await serve(t, (response, request) => {
    ({ authorization } = request.headers);
    WELL(response, request);
  });
  const to = link(t, [well], { token: "a-token" });
  await ask(to);
  assert.equal(authorization, "Bearer a-token");
  to.close();
  await assert.rejects(ask(to), { code: "BROKER_CLOSED" });
});
