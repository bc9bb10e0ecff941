/** Access as callers meet it: real servers on one real store, over HTTP and over sockets. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Role } from "../../../src/api/operation.ts";
import { OPERATION_LIST } from "../../../src/api/operations.ts";
import { pathOf } from "../../../src/api/operation.ts";
import { type Broker, BROKER_METHODS, type BrokerMethod, type WorkerProfile } from "../../../src/broker/contract.ts";
import { connectRemoteBroker } from "../../../src/broker/remote/connect.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { LOOK_EVERY_MS, type NewToken } from "../../../src/server/access/token-store.ts";
import { type AccessOptions, createAccess } from "../../../src/server/access/create.ts";
import { permitCall } from "../../../src/server/access/socket-rights.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { accessParts } from "../../support/access.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { completed, untilSignal, untilTasks } from "../../support/outcomes.ts";
import { batch, group, tasks } from "../../support/submissions.ts";

const PROFILE: WorkerProfile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 1 };

interface GuardedServer extends HttpWorld {
  readonly firstTokens: readonly string[];
  readonly audit: () => readonly Record<string, unknown>[];
  /** Status and body of `GET /x` under the first prefix, with this token. */
  as(token: string | undefined, request: string, body?: unknown): Promise<[number, Record<string, unknown>]>;
  socket(token: string): Promise<Broker>;
}

function storeOf(t: TestContext): Broker {
  const store = openSqliteBroker({
    file: ":memory:",
    clock: systemClock(),
    random: Math.random,
    newId: () => crypto.randomUUID(),
  });
  t.after(() => store.close());
  return store;
}

async function guardedServer(
  t: TestContext,
  broker: Broker,
  options: Partial<AccessOptions> = {},
): Promise<GuardedServer> {
  const [firstTokens, lines]: [string[], string[]] = [[], []];
  const clock = systemClock();
  const access = await createAccess({
    ...accessParts(clock),
    newId: () => crypto.randomUUID(),
    store: broker,
    audit: { write: (line) => lines.push(line), close: () => undefined },
    listenHost: "127.0.0.1",
    requireToken: true,
    onFirstToken: (token) => firstTokens.push(token),
    ...options,
  });
  t.after(() => access.close());
  const world = await startHttpWorld(t, { broker, access });
  const socket = async (token: string): Promise<Broker> => {
    const client = await connectRemoteBroker({
      url: () => ({ url: world.url, token }),
      clock: systemClock({ keepAlive: true }),
      random: Math.random,
      giveUpAfterMs: 5_000,
    });
    t.after(() => client.close());
    return client;
  };
  return {
    ...world,
    firstTokens,
    socket,
    audit: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    as: async (token, request, body) => {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const answer = await world.call(request, body, { headers });
      return [answer.status, answer.json()];
    },
  };
}

async function make(
  server: GuardedServer,
  wanted: Omit<NewToken, "createdBy">,
): Promise<{ id: string; token: string }> {
  const [status, made] = await server.as(server.firstTokens[0], "POST /tokens", wanted);
  assert.equal(status, 201, JSON.stringify(made));
  return { id: String(made["id"]), token: String(made["token"]) };
}

test("the first token is made at the first start, and makes the others", async (t) => {
  const server = await guardedServer(t, storeOf(t));
  const [admin] = server.firstTokens;
  assert.deepEqual(await server.as(admin, "GET /whoami"), [
    200,
    { success: true, name: "first", role: "admin", tokenId: admin?.split("_")[1] },
  ]);
  const { id, token } = await make(server, { name: "fleet", role: "worker", pools: ["gpu"], expiresInMs: 60_000 });
  const [, listed] = await server.as(admin, "GET /tokens");
  const tokens = listed["tokens"] as Record<string, unknown>[];
  assert.deepEqual(
    tokens.map(({ name, role, pools, expired }) => [name, role, pools, expired]),
    [
      ["first", "admin", undefined, false],
      ["fleet", "worker", ["gpu"], false],
    ],
  );
  assert.ok(!JSON.stringify(listed).includes(token.split("_").slice(2).join("_")));
  assert.deepEqual(await server.as(admin, `DELETE /tokens/${id}`), [200, { success: true, tokenId: id }]);
  const [status, gone] = await server.as(admin, `DELETE /tokens/${id}`);
  assert.deepEqual([status, gone["code"]], [404, "TOKEN_NOT_FOUND"]);
});

test("what is wrong with a wanted token is said with its field", async (t) => {
  const server = await guardedServer(t, storeOf(t));
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ role: "read" }, /name/],
    [{ name: "", role: "read" }, /name/],
    [{ name: "x", role: "owner" }, /role/],
    [{ name: "x", role: "read", pools: ["gpu"] }, /pools/],
    [{ name: "x", role: "worker", pools: [] }, /pools/],
    [{ name: "x", role: "worker", expiresInMs: 0 }, /expiresInMs/],
    [{ name: "x", role: "worker", secret: "mine" }, /secret/],
  ];
  for (const [body, field] of wrong) {
    const [status, answer] = await server.as(server.firstTokens[0], "POST /tokens", body);
    assert.equal(status, 400, JSON.stringify(body));
    assert.match(String(answer["field"]), field);
  }
});

test("without a good token every operation that is not for anyone is refused, before its body is looked at", async (t) => {
  const server = await guardedServer(t, storeOf(t), { trustProxy: ["127.0.0.1", "::1"] });
  let refused = 0;
  for (const [id, { method, path, callers }] of OPERATION_LIST) {
    const params = new Proxy({}, { get: () => "x" });
    const request = `${method} ${pathOf(path, params)}`;
    // Each from an address of its own, so that no limit hides what is tested.
    const headers = { "x-forwarded-for": `198.51.100.${refused % 250}`, authorization: "Bearer wrong" };
    const answer = await server.call(request, method === "GET" ? undefined : { nonsense: true }, { headers });
    if (callers === "anyone") {
      assert.ok(answer.status !== 401 && answer.status !== 403, id);
      continue;
    }
    refused += 1;
    assert.equal(answer.status, 401, `${id}: ${answer.text}`);
    assert.equal(answer.json()["code"], "TOKEN_REFUSED");
    assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer/);
  }
  assert.ok(refused > 0);
  assert.equal(server.audit().filter(({ status }) => status === 401).length, Math.min(refused, 100));
});

test("every operation is for the roles that it names, and for no other", async (t) => {
  const server = await guardedServer(t, storeOf(t));
  const tokens = new Map<Role, string>();
  for (const role of ["submit", "worker", "read"] as const) {
    tokens.set(role, (await make(server, { name: role, role })).token);
  }
  for (const [id, { method, path, callers }] of OPERATION_LIST) {
    if (callers === "anyone") continue;
    for (const [role, token] of tokens) {
      if ((callers as readonly Role[]).includes(role)) continue;
      const params = new Proxy({}, { get: () => "x" });
      const [status, answer] = await server.as(token, `${method} ${pathOf(path, params)}`);
      assert.deepEqual([status, answer["code"]], [403, "FORBIDDEN"], `${id} as ${role}`);
    }
  }
  const refusal = server.audit().find(({ status, principal }) => status === 403 && principal === "read");
  assert.equal(refusal?.["role"], "read");
});

test("a token that another server revokes is refused within two seconds, over HTTP and on an open socket", async (t) => {
  const store = storeOf(t);
  const one = await guardedServer(t, store);
  const other = await guardedServer(t, store);
  assert.deepEqual(other.firstTokens, []);
  const { id, token } = await make(one, { name: "fleet", role: "worker" });
  assert.equal((await other.as(token, "GET /whoami"))[0], 200);
  const worker = await other.socket(token);
  const { session } = await worker.openSession(PROFILE);
  const clock = systemClock();
  const revokedAt = clock.now();
  await one.as(one.firstTokens[0], `DELETE /tokens/${id}`);
  await eventually("the other server refuses it", async () => (await other.as(token, "GET /whoami"))[0] === 401);
  assert.ok(clock.now() - revokedAt < LOOK_EVERY_MS + 1_000, `${clock.now() - revokedAt} ms`);
  await eventually("its session is lost", async () => {
    const { sessions } = await store.listSessions({ limit: 10 });
    return sessions.find((view) => view.session === session)?.state === "lost";
  });
  assert.ok(clock.now() - revokedAt < 3_000, `${clock.now() - revokedAt} ms`);
  await assert.rejects(worker.listSessions({ limit: 10 }), { code: "UNAUTHORIZED" });
});

test("an expired token is refused and said to be expired", async (t) => {
  const server = await guardedServer(t, storeOf(t));
  const { token } = await make(server, { name: "short", role: "read", expiresInMs: 1_000 });
  assert.equal((await server.as(token, "GET /whoami"))[0], 200);
  await eventually("it expires", async () => {
    const [status, answer] = await server.as(token, "GET /whoami");
    return status === 401 && /expired/.test(String(answer["error"]));
  });
});

test("thousands of bad tokens are refused cheaply, and do not keep good ones of other addresses out", async (t) => {
  const server = await guardedServer(t, storeOf(t), { trustProxy: ["127.0.0.1", "::1"] });
  const { token } = await make(server, { name: "good", role: "read" });
  const from = async (address: string, bearer: string): Promise<number> => {
    const headers = { authorization: `Bearer ${bearer}`, "x-forwarded-for": address };
    return (await server.call("GET /whoami", undefined, { headers })).status;
  };
  const statuses = new Map<number, number>();
  for (let round = 0; round < 40; round += 1) {
    const bad = Array.from({ length: 50 }, (_, at) => from("203.0.113.66", `hf_x${round}-${at}_${"0".repeat(43)}`));
    for (const status of await Promise.all(bad)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  assert.deepEqual(
    [...statuses.keys()].sort((one, other) => one - other),
    [401, 429],
  );
  assert.ok((statuses.get(429) ?? 0) > 1_900);
  assert.equal(await from("203.0.113.66", token), 429);
  assert.equal(await from("203.0.113.67", token), 200);
  assert.ok(server.audit().length <= 110, String(server.audit().length));
});

test("the audit log tells changing calls and refusals, and no secret", async (t) => {
  const server = await guardedServer(t, storeOf(t));
  const [admin = ""] = server.firstTokens;
  const { id, token } = await make(server, { name: "reader", role: "read" });
  await server.as(token, "GET /whoami");
  await server.as(token, "POST /tokens", { name: "mine", role: "admin" });
  await server.as("hf_none_wrong-secret", "GET /whoami");
  await server.as(admin, `DELETE /tokens/${id}`);
  const told = server
    .audit()
    .map(({ operation, principal, role, status, error }) => [operation, principal, role, status, error]);
  assert.deepEqual(told, [
    ["createToken", "first", "admin", 201, undefined],
    ["createToken", "reader", "read", 403, "FORBIDDEN"],
    ["whoAmI", undefined, undefined, 401, "TOKEN_REFUSED"],
    ["revokeToken", "first", "admin", 200, undefined],
  ]);
  const text = JSON.stringify(server.audit());
  assert.ok(![admin, token].some((secret) => text.includes(secret.slice(-20))));
  assert.ok(!text.includes("wrong-secret"));
  assert.match(String(server.audit()[0]?.["time"]), /^\d{4}-\d\d-\d\dT.*Z$/);
});

test("on a socket each role has its own calls, and workers their own pools", async (t) => {
  const server = await guardedServer(t, storeOf(t));
  const reader = await server.socket((await make(server, { name: "r", role: "read" })).token);
  const submitter = await server.socket((await make(server, { name: "s", role: "submit" })).token);
  const worker = await server.socket((await make(server, { name: "w", role: "worker", pools: ["gpu"] })).token);
  await reader.listPools();
  const value = { key: "k", value: "1", ttlMs: null } as const;
  await assert.rejects(reader.writeValue(value), { code: "FORBIDDEN" });
  await assert.rejects(reader.openSession(PROFILE), { code: "FORBIDDEN" });
  await submitter.writeValue(value);
  await submitter.pausePool({ pool: "gpu" });
  await assert.rejects(submitter.openSession(PROFILE), { code: "FORBIDDEN" });
  await assert.rejects(submitter.purge({ limit: 1 }), { code: "FORBIDDEN" });
  await assert.rejects(worker.openSession(PROFILE), { code: "FORBIDDEN", message: /pool default, only for gpu/ });
  await assert.rejects(worker.openSession({ ...PROFILE, pools: ["gpu", "qa"] }), { code: "FORBIDDEN", message: /qa/ });
  const { session } = await worker.openSession({ ...PROFILE, pools: ["gpu"] });
  await worker.claim({ session, max: 1, waitMs: 0 });
  await assert.rejects(worker.pausePool({ pool: "gpu" }), { code: "FORBIDDEN" });
  await assert.rejects(worker.cancel({ executionId: "x" }), { code: "FORBIDDEN" });
  const told = server.audit().map(({ operation, principal, status }) => [principal, operation, status].join(" "));
  for (const line of ["s openSocket 101", "s pausePool 200", "r writeValue 403", "w openSession 403", "w cancel 403"]) {
    assert.ok(told.includes(line), line);
  }
  assert.ok(!told.some((line) => line.includes("claim")));
});

test("a worker that is limited to pools adds tasks to no others as it suspends itself", async (t) => {
  const store = storeOf(t);
  const server = await guardedServer(t, store);
  const worker = await server.socket((await make(server, { name: "w", role: "worker", pools: ["gpu"] })).token);
  const { executions } = await store.submit({ submissions: [batch(2, {}, { pool: "gpu" })] });
  const { session } = await worker.openSession({ ...PROFILE, pools: ["gpu"] });
  const { leases } = await worker.claim({ session, max: 2, waitMs: 0 });
  const [first, second] = leases;
  assert.ok(first !== undefined && second !== undefined);
  const mixed = untilTasks(first, [group(tasks(1), { pool: "gpu" }), group(tasks(1), { pool: "vault" })]);
  await assert.rejects(worker.commit({ session, outcomes: [completed(second), mixed] }), {
    code: "FORBIDDEN",
    message: /may not add tasks for pool vault, only for gpu/,
  });
  const { executionId = "" } = executions[0] ?? {};
  assert.equal((await store.getExecution({ executionId })).counters.running, 2, "nothing of it was done");
  const own = untilTasks(first, [group(tasks(1), { pool: "gpu" })]);
  assert.deepEqual((await worker.commit({ session, outcomes: [own, untilSignal(second, "go")] })).verdicts, [
    "accepted",
    "accepted",
  ]);
});

test("the servers' own values are out of reach on a socket, or a worker could make itself an administrator", async (t) => {
  const server = await guardedServer(t, storeOf(t));
  const submitter = await server.socket((await make(server, { name: "s", role: "submit" })).token);
  const worker = await server.socket((await make(server, { name: "w", role: "worker" })).token);
  const key = "holdfast:token:mine";
  for (const client of [submitter, worker]) {
    const calls: readonly (() => Promise<unknown>)[] = [
      () => client.writeValue({ key, value: "{}", ttlMs: null }),
      () => client.readValue({ key }),
      () => client.deleteValue({ key }),
      () => client.listValues({ prefix: "holdfast:token:", limit: 10 }),
      () => client.acquireLock({ lock: "holdfast:x", owner: "o", ttlMs: 1_000, waitMs: 0 }),
      () => client.saveCheckpoint({ scope: "holdfast:x", data: "1", fence: 1, keep: 1, ttlMs: 1_000 }),
    ];
    for (const call of calls) await assert.rejects(call(), { code: "NAME_RESERVED" });
    await client.writeValue({ key: "mine", value: "1", ttlMs: null });
    const { values } = await client.listValues({ limit: 100 });
    assert.deepEqual(
      values.map((view) => view.key),
      ["mine"],
    );
  }
  const admin = await server.socket(server.firstTokens[0] ?? "");
  assert.ok((await admin.listValues({ prefix: "holdfast:token:", limit: 10 })).values.length >= 3);
});

test("a socket that a web page of another origin asks for is refused on a server without tokens", async (t) => {
  const server = await guardedServer(t, storeOf(t), { requireToken: false });
  const { WebSocket } = await import("ws");
  const statusOf = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`${server.url.replace("http", "ws")}/broker`, { headers });
      socket.on("open", () => resolve(101));
      socket.on("unexpected-response", (request, response) => {
        request.destroy();
        resolve(response.statusCode ?? 0);
      });
      socket.on("error", reject);
      t.after(() => socket.terminate());
    });
  assert.equal(await statusOf({}), 101);
  assert.equal(await statusOf({ origin: "https://evil.example" }), 403);
  assert.equal(await statusOf({ host: "evil.example" }), 403);
  assert.equal(await statusOf({ authorization: "Bearer wrong" }), 401);
});

test("events over HTTP do not tell the id of a session, by which its worker could be spoken for", async (t) => {
  const store = storeOf(t);
  const server = await guardedServer(t, store);
  const worker = await server.socket((await make(server, { name: "w", role: "worker" })).token);
  const { session } = await worker.openSession(PROFILE);
  const { token } = await make(server, { name: "r", role: "read" });
  const [status, { events }] = await server.as(token, "GET /events?cursor=0");
  assert.equal(status, 200);
  assert.match(JSON.stringify(events), /"state":"opened"/);
  assert.ok(!JSON.stringify(events).includes(session));
  const ended = new AbortController();
  const response = await fetch(`${server.url}/api/v1/events?cursor=0`, {
    headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
    signal: ended.signal,
  });
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.includes('"opened"')) break;
  }
  ended.abort();
  assert.ok(!text.includes(session));
});

test("on a socket a worker that signed opens sessions of its own name only", () => {
  const signed = { name: "worker:w1", role: "worker", workerId: "w1" } as const;
  permitCall(signed, "openSession", { ...PROFILE, worker: "w1" });
  assert.throws(() => permitCall(signed, "openSession", { ...PROFILE, worker: "w2" }), { code: "FORBIDDEN" });
});

test("every method of the broker was thought of", () => {
  const may = (role: Role, method: BrokerMethod): boolean => {
    try {
      permitCall({ name: "x", role }, method, { pools: [], outcomes: [] });
      return true;
    } catch {
      return false;
    }
  };
  const onlyAdmin = BROKER_METHODS.filter(
    (method) => !(["submit", "worker", "read"] as const).some((role) => may(role, method)),
  );
  // A new method falls here until it is given to a role.
  assert.deepEqual(onlyAdmin, [
    "drainSession",
    "lead",
    "reapSessions",
    "promoteDue",
    "reapOverdue",
    "purge",
    "pendingVerifications",
    "judgeVerifications",
  ]);
  assert.ok(BROKER_METHODS.every((method) => may("admin", method)));
  assert.ok(!may("read", "submit") && !may("worker", "submit") && !may("submit", "commit"));
});
