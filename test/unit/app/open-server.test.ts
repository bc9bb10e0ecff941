/** A server as the settings say: every one of its settings has the effect that is told of it. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import path from "node:path";
import { describe, test, type TestContext } from "node:test";
import { type OpenedServer, openServer } from "../../../src/app/open-server.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { loadSettings } from "../../../src/config/index.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { scratchFolder } from "../../fixtures/sdk/scratch.ts";
import { SELF_SIGNED } from "../../support/self-signed.ts";

interface Opened {
  readonly server: OpenedServer;
  readonly folder: string;
  readonly firstTokens: readonly string[];
  readonly said: readonly string[];
}

async function open(t: TestContext, flags: Readonly<Record<string, unknown>> = {}): Promise<Opened> {
  const folder = await scratchFolder(t);
  const clock = systemClock({ keepAlive: true });
  const broker = openSqliteBroker({ file: ":memory:", clock, random: Math.random, newId: () => crypto.randomUUID() });
  const firstTokens: string[] = [];
  const said: string[] = [];
  const logger = createLogger({ level: "warn", format: "json", destination: { write: (line) => said.push(line) } });
  const settings = loadSettings({ flags: { broker: folder, listenPort: 0, ...flags }, env: {}, cwd: folder });
  try {
    const server = await openServer({
      broker,
      settings,
      logger,
      version: "0.0.0-test",
      onFirstToken: (token) => firstTokens.push(token),
    });
    t.after(() => server.close());
    return { server, folder, firstTokens, said };
  } finally {
    t.after(() => broker.close());
  }
}

function ask(server: OpenedServer, what: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${server.url}/api/v1${what}`, init);
}

/** Three inputs, each within the limit of one, together above a megabyte. */
const LARGE = {
  name: "x",
  groups: [{ handler: {}, work: { kind: "tasks", inputs: Array.from({ length: 3 }, () => "x".repeat(500_000)) } }],
};

function post(body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
}

describe("a server as its settings say", () => {
  test("needs no token on loopback, and writes its audit log beside the store", async (t) => {
    const { server, folder, firstTokens } = await open(t);
    assert.equal(server.needsToken, false);
    assert.deepEqual(firstTokens, []);
    const groups = [{ handler: {}, work: { kind: "tasks", inputs: [1] } }];
    const submissions = ["a", "b"].map((name) => ({ name, groups }));
    const answer = await ask(server, "/executions/batch", post({ submissions }));
    const { executions } = (await answer.json()) as { executions: { executionId: string }[] };
    const file = path.join(folder, "audit.jsonl");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const line = JSON.parse(readFileSync(file, "utf8")) as { operation: string; params: Record<string, unknown> };
    assert.equal(line.operation, "submitExecutions");
    const made = executions.map(({ executionId }) => executionId).join(" ");
    assert.equal(line.params["executionIds"], made, "the line says what was made");
  });

  test("listens elsewhere with a first token only, which is told once", async (t) => {
    const { server, firstTokens } = await open(t, { listenHost: "0.0.0.0" });
    assert.equal(server.needsToken, true);
    assert.equal(firstTokens.length, 1);
    const url = server.url.replace("0.0.0.0", "127.0.0.1");
    assert.equal((await fetch(`${url}/api/v1/pools`)).status, 401);
    const headers = { authorization: `Bearer ${firstTokens[0] ?? ""}` };
    assert.equal((await fetch(`${url}/api/v1/pools`, { headers })).status, 200);
  });

  test("takes the token of the settings, and asks for one then", async (t) => {
    const { server } = await open(t, { token: "a-set-token" });
    assert.equal((await ask(server, "/pools")).status, 401);
    assert.equal((await ask(server, "/pools", { headers: { authorization: "Bearer a-set-token" } })).status, 200);
  });

  test("takes workers' signatures under workerSecret", async (t) => {
    const { server } = await open(t, { workerSecret: "shared", requireToken: "yes" });
    const timestamp = String(Date.now());
    const headers = {
      "x-worker-id": "w1",
      "x-worker-timestamp": timestamp,
      "x-worker-signature": createHmac("sha256", "shared").update(`w1:${timestamp}`).digest("hex"),
    };
    const worker = { workerId: "w1", hostname: "h", capabilities: [], maxConcurrency: 1 };
    assert.equal((await ask(server, "/workers/register", post(worker))).status, 401);
    assert.equal((await ask(server, "/workers/register", post(worker, headers))).status, 200);
  });

  test("lets the named origins in, and refuses bodies and rates beyond its limits", async (t) => {
    const origin = "https://lab.example";
    const { server } = await open(t, { corsOrigins: origin, maxBodyMb: 1, requestsPerSecond: 5 });
    const allowed = await ask(server, "/version", { headers: { origin } });
    assert.equal(allowed.headers.get("access-control-allow-origin"), origin);
    const tooLarge = await ask(server, "/executions", post(LARGE));
    assert.equal(tooLarge.status, 413);
    const statuses = await Promise.all(Array.from({ length: 60 }, async () => (await ask(server, "/pools")).status));
    assert.ok(statuses.includes(429));
  });

  test("without maxBodyMb takes what a submission may be", async (t) => {
    const { server } = await open(t);
    assert.equal((await ask(server, "/executions", post(LARGE))).status, 202);
  });

  test("asks for tokens on loopback, too, where it is told so", async (t) => {
    const { server, firstTokens } = await open(t, { requireToken: "yes" });
    assert.deepEqual([server.needsToken, firstTokens.length], [true, 1]);
    assert.equal((await ask(server, "/pools")).status, 401);
  });

  test("speaks TLS with the files of the settings", async (t) => {
    const folder = await scratchFolder(t);
    const { cert, key } = SELF_SIGNED;
    const [certFile, keyFile] = [path.join(folder, "c.pem"), path.join(folder, "k.pem")];
    await writeFile(certFile, cert);
    await writeFile(keyFile, key);
    const { server } = await open(t, { tlsCert: certFile, tlsKey: keyFile });
    assert.match(server.url, /^https:/);
    const status = await new Promise((resolve, reject) => {
      const asked = request(`${server.url}/api/v1/health/live`, { rejectUnauthorized: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.on("error", reject).end();
    });
    assert.equal(status, 200);
  });

  test("refuses half of a TLS setting, and files that cannot be used", async (t) => {
    await assert.rejects(open(t, { tlsCert: "/nowhere.pem" }), { code: "INVALID_SETTING" });
    await assert.rejects(open(t, { tlsCert: "/nowhere.pem", tlsKey: "/nowhere.key" }), /nowhere\.pem/);
    await assert.rejects(open(t, { auditLog: "/nowhere/audit.jsonl" }), { code: "INVALID_SETTING" });
  });

  test("puts the audit log into the log, whatever the log's level", async (t) => {
    const { server, said } = await open(t, { auditLog: "-" });
    await ask(server, "/executions", post({ name: "x", groups: [] }));
    assert.ok(said.some((line) => line.includes('"submitExecution"')));
  });
});
