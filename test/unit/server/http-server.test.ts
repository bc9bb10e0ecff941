/** The server itself: what it refuses, how it says so, how it ends. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { connectRemoteBroker } from "../../../src/broker/remote/connect.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { startServer } from "../../../src/server/index.ts";
import { createLogger, silentLogger } from "../../../src/telemetry/log.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { type HttpWorld, rawRequest, startHttpWorld } from "../../support/http-server.ts";
import { openAccess } from "../../support/open-access.ts";
import { batch } from "../../support/submissions.ts";
import { SELF_SIGNED } from "../../support/self-signed.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const GOOD = { name: "small", groups: [{ handler: {}, work: { kind: "tasks", inputs: [1] } }] };

interface Refusal {
  readonly success: boolean;
  readonly error: string;
  readonly code: string;
  readonly field?: string;
  readonly problems?: readonly { readonly field: string; readonly problem: string }[];
  readonly requestId: string;
}

async function refused(
  world: HttpWorld,
  status: number,
  request: string,
  init: RequestInit = {},
): Promise<Refusal & { readonly headers: Headers }> {
  const answer = await world.call(request, undefined, init);
  assert.equal(answer.status, status, answer.text);
  const refusal = answer.json<Refusal>();
  assert.equal(refusal.success, false);
  assert.equal(refusal.requestId, answer.headers.get("x-request-id"));
  assert.ok(refusal.error.length > 10);
  return { ...refusal, headers: answer.headers };
}

function json(body: string | Buffer, headers: Record<string, string> = {}): RequestInit {
  return { body, headers: { "content-type": "application/json", ...headers } };
}

function storeOf(): Broker {
  return openSqliteBroker({
    file: ":memory:",
    clock: systemClock(),
    random: Math.random,
    newId: () => crypto.randomUUID(),
  });
}

describe("http server: routes", () => {
  it("serves every operation under both prefixes", async (t) => {
    const world = await startHttpWorld(t);
    const { executionId } = await world.expect<{ executionId: string }>(202, "POST /executions", GOOD);
    const one = await world.call(`GET /api/v1/executions/${executionId}`);
    const other = await world.call(`GET /api/distributed/executions/${executionId}`);
    assert.equal(one.status, 200);
    assert.deepEqual(other.json(), one.json());
  });

  it("tells of paths that are not there, without a word about why", async (t) => {
    const world = await startHttpWorld(t);
    for (const path of ["/nothing", "/api/v2/executions", "/api/v1/Executions", "/api/v1//executions"]) {
      const answer = await fetch(world.url + path);
      assert.equal(answer.status, 404, path);
      assert.equal(((await answer.json()) as Refusal).code, "ROUTE_NOT_FOUND", path);
    }
  });

  it("names the methods that a path takes", async (t) => {
    const world = await startHttpWorld(t);
    const { code, headers } = await refused(world, 405, "PATCH /executions");
    assert.equal(code, "METHOD_NOT_ALLOWED");
    assert.equal(headers.get("allow"), "GET, HEAD, OPTIONS, POST");
    const options = await world.call("OPTIONS /executions/some/pause");
    assert.equal(options.status, 204);
    assert.equal(options.headers.get("allow"), "OPTIONS, POST");
    assert.equal(options.headers.get("access-control-allow-origin"), null);
  });

  it("answers HEAD like GET, without a body", async (t) => {
    const world = await startHttpWorld(t);
    const { executionId } = await world.expect<{ executionId: string }>(202, "POST /executions", GOOD);
    const answer = await world.call(`HEAD /executions/${executionId}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.text, "");
    assert.equal(answer.headers.get("content-type"), "application/json; charset=utf-8");
    const stream = await world.call(`HEAD /executions/${executionId}/results?format=ndjson&follow=true`);
    assert.equal(stream.status, 200);
    assert.equal((await world.call("HEAD /executions/none")).status, 404);
  });

  it("is not led astray by tricks with paths", async (t) => {
    const world = await startHttpWorld(t);
    const { port } = world.server;
    const ask = async (target: string): Promise<string> =>
      rawRequest(port, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    for (const target of [
      "/api/v1/../../etc/passwd",
      "/api/v1/executions/../pools",
      "/api/v1/executions/%2e%2e/%2e%2e/pools",
      "/api/v1/executions/..%2fpools",
      "/api/v1/executions/%00",
      "/api/v1/executions/__proto__",
      "/api/v1/executions/constructor",
      `/api/v1/executions/${"x".repeat(513)}`,
      `/api/v1/${"../".repeat(1_000)}`,
      "/api/v1/executions/%ff%fe",
      "/api/v1/executions/%",
      "*",
    ]) {
      const answer = await ask(target);
      assert.match(answer, /^HTTP\/1\.1 (?:400|404) /, `${target}: ${answer.slice(0, 100)}`);
      assert.match(answer, /"success":false/, target);
    }
    // An absolute target is the same path.
    assert.match(await ask("http://localhost/api/v1/executions"), /^HTTP\/1\.1 200 /);
  });

  it("puts security headers and an id on every answer", async (t) => {
    const world = await startHttpWorld(t);
    const answers = [
      await world.call("GET /executions"),
      await world.call("GET /nothing"),
      await world.call("OPTIONS /executions"),
    ];
    for (const { headers } of answers) {
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("cache-control"), "no-store");
      assert.match(headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
      assert.equal(headers.get("referrer-policy"), "no-referrer");
      assert.ok((headers.get("x-request-id") ?? "").length > 8);
    }
    const raw = await rawRequest(world.server.port, "GARBAGE\r\n\r\n");
    assert.match(raw, /^HTTP\/1\.1 400 /);
    assert.match(raw, /x-content-type-options: nosniff/);
  });

  it("lets pages of named origins call, and no others", async (t) => {
    const world = await startHttpWorld(t, { server: { corsOrigins: ["https://ops.example"] } });
    const ask = (method: string, origin: string) =>
      world.call(`${method} /executions`, undefined, { headers: { origin } });
    const good = await ask("GET", "https://ops.example");
    assert.equal(good.headers.get("access-control-allow-origin"), "https://ops.example");
    assert.equal(good.headers.get("vary"), "origin");
    const preflight = await ask("OPTIONS", "https://ops.example");
    assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /POST/);
    const foreign = await ask("GET", "https://ops.example.evil");
    assert.equal(foreign.headers.get("access-control-allow-origin"), null);
  });
});

describe("http server: bodies", () => {
  it("takes JSON only", async (t) => {
    const world = await startHttpWorld(t);
    const body = JSON.stringify(GOOD);
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/json; charset=latin1",
      "application/jsonx",
    ]) {
      const { code } = await refused(world, 415, "POST /executions", { body, headers: { "content-type": type } });
      assert.equal(code, "UNSUPPORTED_MEDIA_TYPE", type);
    }
    await refused(world, 415, "POST /executions", json(body, { "content-encoding": "gzip" }));
    const good = await world.call(
      "POST /executions",
      undefined,
      json(body, { "content-type": "application/JSON; charset=UTF-8" }),
    );
    assert.equal(good.status, 202, good.text);
  });

  it("says where JSON is broken", async (t) => {
    const world = await startHttpWorld(t);
    for (const [text, position] of [
      ['{"name":}', 8],
      ['{"name":"x"', 11],
      ['{"name":"x",}', 12],
      ["{'name':1}", 1],
      ["tru", 0],
      ["[1,2", 4],
      ['{"a":1} x', 8],
      ['["\u0001"]', 2],
      ['["\\x"]', 2],
      [`["${"a".repeat(100_000)}`, 100_002],
      ['{"\u0080\ud800":1,,}', 8],
      ['["a" "b"]', 5],
      ["[1.5.2]", 1],
      ["[01]", 1],
      ["]", 0],
      ["   ", 3],
    ] as const) {
      const { code, field, error } = await refused(world, 400, "POST /executions", json(text));
      assert.equal(code, "INVALID_REQUEST");
      assert.equal(field, "body", text);
      assert.match(error, new RegExp(`at position ${position} `), `${text}: ${error}`);
    }
  });

  it("refuses what is no UTF-8, and what is nested too deep", async (t) => {
    const world = await startHttpWorld(t);
    const broken = await refused(world, 400, "POST /executions", json(Buffer.from([0x22, 0xff, 0x22])));
    assert.match(broken.error, /UTF-8/);
    const deep = `{"name":"x","meta":${"[".repeat(100_000)}${"]".repeat(100_000)},"groups":[]}`;
    assert.match((await refused(world, 400, "POST /executions", json(deep))).error, /nested/);
    const marked = `{"name":"x","meta":${"[".repeat(100_000)}12345678901234567890${"]".repeat(100_000)},"groups":[]}`;
    assert.match((await refused(world, 400, "POST /executions", json(marked))).error, /nested/);
  });

  it("refuses whole numbers that would be changed, by their path", async (t) => {
    const world = await startHttpWorld(t);
    const withInput = (input: string): string =>
      JSON.stringify({ ...GOOD, groups: [{ handler: {}, work: { kind: "tasks", inputs: ["@"] } }] }).replace(
        '"@"',
        input,
      );
    const { code, field, error } = await refused(
      world,
      422,
      "POST /executions",
      json(withInput('{"a":[0,9007199254740993]}')),
    );
    assert.equal(code, "TOO_BIG_INTEGER");
    assert.equal(field, "body.groups[0].work.inputs[0].a[1]");
    assert.match(error, /9007199254740993/);
    await refused(world, 422, "POST /executions", json(withInput("1e400")));
    await refused(world, 422, "POST /executions", json(withInput("-1E+999")));
    // What stays as it is goes through, also where it looks alike.
    for (const input of [
      "9007199254740991",
      '"9007199254740993"',
      "0.12345678901234567890",
      "100000000000000000000",
      "1e308",
    ]) {
      const answer = await world.call("POST /executions", undefined, json(withInput(input)));
      assert.equal(answer.status, 202, `${input}: ${answer.text}`);
    }
  });

  it("refuses keys that reach for prototypes", async (t) => {
    const world = await startHttpWorld(t);
    for (const key of ['"__proto__"', '"\\u005f_proto__"']) {
      const { field, error } = await refused(
        world,
        400,
        "POST /executions",
        json(`{"name":"x","groups":[],"meta":{"a":{${key}:{"x":1}}}}`),
      );
      assert.equal(field, "body.meta.a");
      assert.match(error, /__proto__/);
    }
    assert.equal(({} as Record<string, unknown>)["x"], undefined);
  });

  it("refuses bodies that are too large, whether announced or not", async (t) => {
    const world = await startHttpWorld(t, { server: { limits: { maxBodyBytes: 10_000 } } });
    const large = JSON.stringify({ ...GOOD, meta: "x".repeat(20_000) });
    const { code, headers } = await refused(world, 413, "POST /executions", json(large));
    assert.equal(code, "PAYLOAD_TOO_LARGE");
    assert.equal(headers.get("connection"), "close");
    const head =
      "POST /api/v1/executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    const chunk = `1000\r\n${"x".repeat(0x1000)}\r\n`;
    const answer = await rawRequest(world.server.port, head + chunk.repeat(4));
    assert.match(answer, /^HTTP\/1\.1 413 /);
  });

  it("refuses bodies that do not arrive, and heads that do not", async (t) => {
    const limits = { bodyTimeoutMs: 100, headersTimeoutMs: 1_000 };
    const world = await startHttpWorld(t, { server: { limits } });
    const head = "POST /api/v1/executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    const slow = await rawRequest(world.server.port, `${head}Content-Length: 100\r\n\r\n{"name"`);
    assert.match(slow, /^HTTP\/1\.1 408 /);
    assert.match(slow, /"code":"BODY_TIMEOUT"/);
    const headless = await rawRequest(world.server.port, head);
    assert.match(headless, /^HTTP\/1\.1 408 /);
    assert.match(headless, /"code":"BODY_TIMEOUT"/);
  });

  it("refuses a head that is too large", async (t) => {
    const world = await startHttpWorld(t);
    const answer = await rawRequest(
      world.server.port,
      `GET /api/v1/executions HTTP/1.1\r\nHost: x\r\nA: ${"x".repeat(20_000)}\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 431 /);
    assert.match(answer, /"code":"HEADERS_TOO_LARGE"/);
  });

  it("takes an empty body or an empty object where nothing is to be said, and nothing else", async (t) => {
    const world = await startHttpWorld(t);
    const { executionId } = await world.expect<{ executionId: string }>(202, "POST /executions", GOOD);
    await world.expect(200, `POST /executions/${executionId}/pause`);
    await world.expect(200, `POST /executions/${executionId}/pause`, {});
    const { field } = await refused(world, 400, `POST /executions/${executionId}/pause`, json('{"by":"me"}'));
    assert.equal(field, "body");
  });
});

describe("http server: what requests say", () => {
  it("names every field that is wrong", async (t) => {
    const world = await startHttpWorld(t);
    const { field, problems } = await refused(
      world,
      400,
      "POST /executions",
      json(
        '{"name":1,"priority":11,"groups":[{"handler":{},"work":{"kind":"tasks","inputs":[1]},"extra":1},{"work":{"kind":"none"}}],"huh":1}',
      ),
    );
    assert.equal(field, "body.name");
    const fields = problems?.map((problem) => problem.field) ?? [];
    for (const expected of [
      "body.name",
      "body.priority",
      "body.groups[0].extra",
      "body.groups[1].handler",
      "body.groups[1].work.kind",
      "body.huh",
    ])
      assert.ok(fields.includes(expected), `${expected} in ${fields.join(", ")}`);
  });

  it("refuses parameters that it does not know, or that are wrong", async (t) => {
    const world = await startHttpWorld(t);
    for (const [query, field] of [
      ["limit=0", "query.limit"],
      ["limit=1001", "query.limit"],
      ["limit=ten", "query.limit"],
      ["limit=1&limit=2", "query.limit"],
      ["state=queued", "query.state[0]"],
      ["state=running,nonsense", "query.state[1]"],
      ["stat=running", "query.stat"],
      ["__proto__=1", "query.__proto__"],
      ["texts=yes", "query.texts"],
    ] as const) {
      const refusal = await refused(world, 400, `GET /executions?${query}`);
      assert.equal(refusal.field, field, `${query}: ${refusal.error}`);
    }
    assert.equal((await refused(world, 400, "GET /executions/x/tasks/-1")).field, "params.task");
    assert.equal((await refused(world, 400, "GET /executions/x/results?wait=1h")).field, "query.wait");
    await world.expect(200, "GET /executions?state=running,paused&state=failed&limit=10");
  });
});

describe("http server: who calls", () => {
  it("asks before it reads the body, and writes refusals and changes down", async (t) => {
    const broker = storeOf();
    t.after(() => broker.close());
    const open = openAccess(broker);
    let isRefusing = true;
    const access = {
      ...open,
      identify: async (...args: Parameters<typeof open.identify>) => {
        if (isRefusing) throw new HoldfastError("RATE_LIMITED", { reason: "", retryAfterMs: 2_500 });
        return open.identify(...args);
      },
    };
    const world = await startHttpWorld(t, { broker, access });
    // The body never comes, and nobody waits for it.
    const head =
      "POST /api/v1/executions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n";
    const answer = await rawRequest(world.server.port, head);
    assert.match(answer, /^HTTP\/1\.1 429 /);
    assert.match(answer, /retry-after: 3\r\n/);
    await refused(world, 429, "GET /executions");
    isRefusing = false;
    await world.expect(200, "GET /executions");
    await world.expect(202, "POST /executions", GOOD);
    await refused(world, 404, "POST /executions/none/pause");
    assert.deepEqual(
      open.recorded.map(({ operation, status, error, principal }) => [operation, status, error, principal?.name]),
      [
        ["submitExecution", 429, "RATE_LIMITED", undefined],
        ["listExecutions", 429, "RATE_LIMITED", undefined],
        ["submitExecution", 202, undefined, "tester"],
        ["pauseExecution", 404, "EXECUTION_NOT_FOUND", "tester"],
      ],
    );
    assert.deepEqual({ ...open.recorded.at(-1)?.params }, { executionId: "none" });
  });

  it("tells nothing about its inside when something breaks, and logs it under the request's id", async (t) => {
    const broker = storeOf();
    t.after(() => broker.close());
    const lines: string[] = [];
    const logger = createLogger({ level: "info", format: "json", destination: { write: (line) => lines.push(line) } });
    const broken = new Proxy(broker, {
      get: (target, name) =>
        name === "getExecution"
          ? () => Promise.reject(new TypeError("secret detail in /etc/store"))
          : (Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)),
    });
    const world = await startHttpWorld(t, { broker: broken, logger });
    const answer = await world.call("GET /executions/x");
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /secret|store|TypeError/);
    const { requestId, code } = answer.json<Refusal>();
    assert.equal(code, "INTERNAL");
    const line = lines.find((one) => one.includes(requestId)) ?? "";
    assert.match(line, /secret detail/);
    assert.match(line, /http-server\.test/);
    await refused(world, 404, "GET /nothing");
    assert.ok(
      lines.some((one) => one.includes("ROUTE_NOT_FOUND")),
      "refusals are logged, too",
    );
  });
});

describe("http server: sockets of workers", () => {
  it("takes brokers' clients on the same port", async (t) => {
    const world = await startHttpWorld(t);
    const remote = await connectRemoteBroker({
      url: () => ({ url: `${world.url.replace("http", "ws")}/broker`, token: "any" }),
      clock: systemClock({ keepAlive: true }),
      random: Math.random,
    });
    t.after(() => remote.close());
    const { executions } = await remote.submit({ submissions: [batch(1)] });
    await world.expect(200, `GET /executions/${executions[0]?.executionId ?? ""}`);
  });

  it("answers other upgrades as if they had not been asked for", async (t) => {
    const world = await startHttpWorld(t);
    for (const [path, upgrade] of [
      ["/api/v1/executions", "h2c"],
      ["/api/v1/executions", "websocket"],
      ["/elsewhere", "websocket"],
    ]) {
      const answer = await rawRequest(
        world.server.port,
        `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: ${upgrade}\r\n\r\n`,
      );
      assert.match(answer, path === "/elsewhere" ? /^HTTP\/1\.1 404 / : /^HTTP\/1\.1 200 /);
    }
  });
});

describe("http server: its end", () => {
  it("answers what is under way, ends waits, and takes no more", async (t) => {
    const world = await startHttpWorld(t);
    const { executionId } = await world.expect<{ executionId: string }>(202, "POST /executions", GOOD);
    const waiting = world.call(`GET /executions/${executionId}/results?wait=30s`);
    const submitting = world.call("POST /executions?wait=30s", GOOD);
    await eventually("both executions are there", async () => {
      const { executions } = await world.broker.listExecutions({ limit: 10 });
      return executions.length === 2;
    });
    const idle = connect({ host: "127.0.0.1", port: world.server.port });
    await once(idle, "connect");
    const ended = once(idle, "close");
    await world.server.close();
    const page = await waiting;
    assert.equal(page.status, 200, page.text);
    assert.deepEqual(page.json<{ rows: unknown[]; done: boolean }>(), {
      rows: [],
      cursor: page.json<{ cursor: number }>().cursor,
      done: false,
    });
    assert.equal(page.headers.get("connection"), "close");
    assert.equal((await submitting).status, 202);
    await ended;
    await assert.rejects(fetch(`${world.url}/api/v1/executions`));
    await world.server.close();
  });

  it("breaks streams off so that nobody takes them for whole", async (t) => {
    const world = await startHttpWorld(t);
    const { executionId } = await world.expect<{ executionId: string }>(202, "POST /executions", GOOD);
    const response = await fetch(`${world.url}/api/v1/executions/${executionId}/results?format=ndjson&follow=true`);
    assert.equal(response.status, 200);
    const reading = response.text();
    reading.catch(() => undefined);
    await world.server.close();
    await assert.rejects(reading);
  });

  it("does not wait for ever for those who do not go", async (t) => {
    const world = await startHttpWorld(t, { server: { limits: { closeGraceMs: 50, bodyTimeoutMs: 60_000 } } });
    const socket = connect({ host: "127.0.0.1", port: world.server.port });
    await once(socket, "connect");
    socket.write(
      "POST /api/v1/executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
    );
    socket.on("error", () => undefined);
    const closed = new Promise<void>((resolve) => {
      socket.once("close", () => resolve());
    });
    await world.server.close();
    await closed;
  });

  it("says that a port is taken, and leaves nothing running", async (t) => {
    const world = await startHttpWorld(t);
    const broker = storeOf();
    t.after(() => broker.close());
    const clock = new VirtualClock();
    const starting = startServer({
      parts: {
        broker,
        clock,
        random: Math.random,
        newId: () => crypto.randomUUID(),
        logger: silentLogger,
        version: "1",
      },
      access: openAccess(broker),
      listen: { host: "127.0.0.1", port: world.server.port },
    });
    await assert.rejects(starting, (thrown: unknown) => HoldfastError.is(thrown, "LISTEN_FAILED"));
    await eventually("no timer waits", () => clock.waiting === 0);
  });
});

describe("http server: TLS", () => {
  it("speaks it when it has a certificate", async (t) => {
    const world = await startHttpWorld(t, { server: { tls: SELF_SIGNED } });
    assert.match(world.url, /^https:/);
    const { request } = await import("node:https");
    const response = await new Promise<{ status: number | undefined; hsts: string | undefined }>((resolve, reject) => {
      request(`${world.url}/api/v1/executions`, { ca: SELF_SIGNED.cert, servername: "localhost" }, (answer) => {
        answer.resume();
        resolve({ status: answer.statusCode, hsts: answer.headers["strict-transport-security"] });
      })
        .on("error", reject)
        .end();
    });
    assert.equal(response.status, 200);
    assert.match(response.hsts ?? "", /max-age/);
    await assert.rejects(fetch(world.url.replace("https", "http")));
  });
});
