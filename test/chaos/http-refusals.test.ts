/**
 * A `holdfast server` in a process of its own and everybody who should not get in, or sends what it
 * should not: refused with the right status, written down, and of no harm to those who may.
 *
 * CHAOS_SLOW_BODIES=1 also waits the minute after which a body that does not come is refused.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import path from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { WebSocket } from "ws";
import { eventually } from "../fixtures/sdk/scratch.ts";
import { callApi, rawRequest } from "../support/http-server.ts";
import { type ServerProcesses, startServerProcesses } from "../support/http-server-processes.ts";

const BAD_TOKENS = 3_000;
const AT_ONCE = 50;
const TIMEOUT_MS = 120_000;
const JOB = JSON.stringify({ name: "job", handler: { type: "echo" }, inputs: [1] });
/** Of an operation that changes something. */
const CHANGING = "POST /executions";

interface AuditLine {
  readonly operation?: string;
  readonly status?: number;
  readonly principal?: string;
  readonly error?: string;
  readonly refusalsNotListed?: number;
}

describe("a server in a process of its own refuses", { timeout: TIMEOUT_MS }, () => {
  let servers: ServerProcesses;
  let url: string;
  let port: number;
  let admin: string;
  const endings: (() => unknown)[] = [];

  before(async () => {
    const context = { after: (action: () => unknown) => endings.push(action) } as unknown as TestContext;
    servers = await startServerProcesses(context, {
      environment: { HOLDFAST_REQUIRE_TOKEN: "yes", HOLDFAST_LOG_LEVEL: "info", HOLDFAST_MAX_BODY_MB: "1" },
    });
    const [server] = servers.servers;
    assert.ok(server !== undefined);
    ({ url, port } = server);
    [, admin = ""] = /^ +(hf_\S+)$/m.exec(servers.output()) ?? [];
    assert.notEqual(admin, "");
  });
  after(async () => {
    for (const ending of endings.reverse()) await ending();
  });

  const audit = (): readonly AuditLine[] =>
    readFileSync(path.join(servers.folder, ".holdfast", "audit.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as AuditLine);
  const isAudited = (told: AuditLine): boolean =>
    audit().some((line) => Object.entries(told).every(([key, value]) => line[key as keyof AuditLine] === value));
  const as = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });
  const statusOf = async (call: string, body?: unknown, token?: string): Promise<number> =>
    (await callApi(url, call, body, token === undefined ? {} : as(token))).status;
  const makeToken = async (wanted: object): Promise<string> => {
    const answer = await callApi(url, "POST /tokens", wanted, as(admin));
    assert.equal(answer.status, 201, answer.text);
    return answer.json<{ token: string }>().token;
  };
  /** What came back for bytes that no HTTP client would send. */
  const raw = async (text: string): Promise<number> => {
    const answer = await rawRequest(port, text);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  };

  test("no token and an unknown one, over HTTP and for a socket", async () => {
    assert.equal(await statusOf(CHANGING, {}), 401);
    assert.equal(await statusOf("GET /executions"), 401);
    assert.equal(await statusOf("GET /executions", undefined, "hf_aaaaaaaaaaaa_bbbb"), 401);
    assert.ok(isAudited({ operation: "submitExecution", status: 401, error: "TOKEN_REFUSED" }));
    assert.equal(await socketStatus(url, undefined), 401);
    assert.equal(await socketStatus(url, "hf_aaaaaaaaaaaa_bbbb"), 401);
    assert.ok(isAudited({ operation: "openSocket", status: 401 }));
    assert.equal(await statusOf("GET /health/live"), 200);
  });

  test("the wrong role, an expired token, a foreign pool", async () => {
    const reader = await makeToken({ name: "reader", role: "read" });
    assert.equal(await statusOf("GET /executions", undefined, reader), 200);
    assert.equal(await statusOf(CHANGING, {}, reader), 403);
    assert.ok(isAudited({ operation: "submitExecution", status: 403, principal: "reader" }));
    const brief = await makeToken({ name: "brief", role: "admin", expiresInMs: 1_000 });
    await eventually("the token is over", async () => (await statusOf("GET /whoami", undefined, brief)) === 401);
    assert.equal(await statusOf(CHANGING, {}, brief), 401);
    const fleet = await makeToken({ name: "fleet", role: "worker", pools: ["gpu"] });
    const profile = { workerId: "w", hostname: "h", capabilities: ["cpu"], maxConcurrency: 1 };
    assert.equal(await statusOf("POST /workers/register", { ...profile, pools: ["gpu", "cpu"] }, fleet), 403);
    assert.ok(isAudited({ operation: "registerWorker", status: 403, principal: "fleet" }));
    assert.equal(await statusOf("POST /workers/register", { ...profile, pools: ["gpu"] }, fleet), 200);
  });

  test("bodies that are too large, announced or not, and those that are no JSON", async () => {
    const headers = (more: string): string =>
      `POST /api/v1/executions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${admin}\r\nContent-Type: application/json\r\n` +
      `Connection: close\r\n${more}\r\n\r\n`;
    assert.equal(await raw(headers("Content-Length: 999999999")), 413);
    assert.equal(await statusOfStream(url, admin), 413);
    assert.ok(isAudited({ operation: "submitExecution", status: 413, error: "PAYLOAD_TOO_LARGE" }));
    for (const body of ["{", '{"name":}', JOB.slice(0, -1), "null null", '{"__proto__":{"x":1}}', "\u{FF}"]) {
      const head = headers(`Content-Length: ${Buffer.byteLength(body)}`);
      assert.equal(await raw(head + body), 400, body);
    }
    assert.ok(isAudited({ operation: "submitExecution", status: 400, error: "INVALID_REQUEST" }));
  });

  test("paths that want out, and heads that are none", async () => {
    const paths = [
      "/api/v1/../../../etc/passwd",
      "/api/v1/executions/..%2f..%2f..%2fetc%2fpasswd",
      "/api/v1/executions/%2e%2e/%2e%2e/tokens",
      "//api/v1/tokens",
      "/api/v1//tokens",
      "/api/v1/tokens/",
      "/API/V1/TOKENS",
      "/api/v1/tokens;x=/health/live",
      "/api/v1/health/live/../../tokens",
      "/api/v1/executions/%00",
      "/api/v1/executions/%ff%fe",
      "/api/v1/executions/%",
      `/api/v1/executions/${"a".repeat(5_000)}`,
    ];
    for (const one of paths) {
      // With a good token, and without: nothing is found, and nobody is let in, by another way of writing.
      for (const line of [`Authorization: Bearer ${admin}\r\n`, ""]) {
        const status = await raw(`GET ${one} HTTP/1.1\r\nHost: h\r\n${line}Connection: close\r\n\r\n`);
        assert.ok([400, 401, 404].includes(status), `${one}: ${status}`);
      }
    }
    assert.equal(await raw("GARBAGE\r\n\r\n"), 400);
    assert.equal(await raw(`GET / HTTP/1.1\r\nHost: h\r\nX: ${"a".repeat(20_000)}\r\n\r\n`), 431);
    const smuggling = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    assert.equal(await raw(`POST /api/v1/executions HTTP/1.1\r\nHost: h\r\n${smuggling}\r\n0\r\n\r\n`), 400);
    assert.match(servers.output(), /a call was refused.*path=\/api\/v1\/\.\.\/\.\.\/\.\.\/etc\/passwd/);
  });

  test("heads that do not come", async () => {
    assert.equal(await raw("GET /api/v1/health/live HTTP/1.1\r\nHost: h\r\n"), 408);
  });

  test(
    "bodies that do not come",
    { skip: process.env["CHAOS_SLOW_BODIES"] === "1" ? false : "takes a minute; only with CHAOS_SLOW_BODIES=1" },
    async () => {
      const head = `POST /api/v1/executions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${admin}\r\n`;
      assert.equal(await raw(`${head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{`), 408);
      assert.ok(isAudited({ operation: "submitExecution", status: 408, error: "BODY_TIMEOUT" }));
    },
  );

  test(`${BAD_TOKENS} bad tokens, while others are served`, async () => {
    const statuses = new Map<number, number>();
    const over = new AbortController();
    const others: number[] = [];
    const served = (async () => {
      while (!over.signal.aborted) others.push(await statusFrom(url, admin, "127.0.0.2"));
    })();
    for (let no = 0; no < BAD_TOKENS; no += AT_ONCE) {
      const tries = Array.from({ length: AT_ONCE }, (_, at) =>
        statusOf("GET /executions", undefined, `hf_${String(no + at).padStart(12, "0")}_guess`),
      );
      for (const status of await Promise.all(tries)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    over.abort();
    await served;
    assert.deepEqual(new Set(statuses.keys()), new Set([401, 429]), "told so at first, not even listened to later");
    assert.ok((statuses.get(401) ?? 0) < 100);
    assert.ok(others.length > 10 && others.every((status) => status === 200), "nobody elsewhere is kept out");
    const refusals = audit().filter(({ status }) => status === 401 || status === 429).length;
    assert.ok(refusals > 20 && refusals < 500, `${refusals} lines: told, and no disk is filled`);
    const text = `${JSON.stringify(audit())}${servers.output().replaceAll(` ${admin}`, "")}`;
    assert.ok(!text.includes("_guess") && !text.includes(admin.split("_")[2] ?? admin), "no secret is written down");
  });

  test("and ends in order, with all that it did not list counted", async () => {
    assert.equal(await servers.servers[0]?.end(), 0, servers.output());
    assert.ok(audit().some(({ refusalsNotListed = 0 }) => refusalsNotListed > 1_000));
  });
});

/** With what the upgrade to a socket is answered. */
function socketStatus(url: string, token: string | undefined): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const socket = new WebSocket(`${url.replace("http:", "ws:")}/broker`, { headers });
    socket.once("unexpected-response", (asked, response) => {
      resolve(response.statusCode);
      asked.destroy();
    });
    socket.once("open", () => reject(new Error("it was let in")));
    socket.on("error", () => undefined);
  });
}

/** A body that does not say how long it will be. */
async function statusOfStream(url: string, token: string): Promise<number> {
  const body = ReadableStream.from(Array.from({ length: 100 }, () => Buffer.alloc(65_536, "[")));
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${url}/api/v1/executions`, { method: "POST", headers, body, duplex: "half" });
  await answer.body?.cancel();
  return answer.status;
}

function statusFrom(url: string, token: string, localAddress: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    request(`${url}/api/v1/whoami`, { headers, localAddress }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    })
      .on("error", reject)
      .end();
  });
}
