/** The client as its caller sees it: what it waits for, when it gives up, and what it adds. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import { WebSocketServer } from "ws";
import type { Broker, CommitParams, Outcome, SubmitParams } from "../../../src/broker/contract.ts";
import { connectRemoteBroker } from "../../../src/broker/remote/connect.ts";
import { acceptToken } from "../../../src/broker/remote/token.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import type { Clock } from "../../../src/util/clock.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { Belongings, brokerOf, eventually, gate, TinyBroker, TOKEN } from "./support.ts";

const belongings = new Belongings();
afterEach(() => belongings.end());

const profile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 1 };

test("it says what it is: remote, as durable as its host, without duties", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const client = await belongings.connect(host.url);
  assert.deepEqual(client.features, { name: "remote", durable: true, needsCoordinator: false });
  const loose = await belongings.serve({
    ...new TinyBroker().broker,
    features: { name: "fake", durable: false, needsCoordinator: true },
  });
  assert.equal((await belongings.connect(loose.url)).features.durable, false);
});

test("an address without a path, or of the web, means the broker there", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const { origin } = new URL(host.url.replace("ws:", "http:"));
  for (const url of [origin, origin.replace("http", "ws")]) {
    assert.equal((await (await belongings.connect(url)).openSession(profile)).heartbeatMs, 1_000);
  }
});

test("an address that makes no sense is refused at once", async () => {
  for (const url of ["nonsense", "ftp://host", "./file"]) {
    await assert.rejects(belongings.connect(url), { code: "INVALID_BROKER_URL" });
  }
});

test("a host that cannot be reached is given up after the given time, with the reason", async () => {
  const clock = new VirtualClock();
  const connecting = connectRemoteBroker({
    url: () => Promise.reject(new Error("there is no owner")),
    clock,
    random: () => 0.5,
    giveUpAfterMs: 10_000,
  });
  const refused = assert.rejects(connecting, {
    code: "BROKER_UNREACHABLE",
    details: { url: "the broker", problem: "there is no owner" },
  });
  await clock.advance(10_000);
  await refused;
  assert.equal(clock.waiting, 0);
});

test("attempts come at once, then after growing, jittered pauses up to the longest", async () => {
  const clock = new VirtualClock();
  const start = clock.now();
  const attempts: number[] = [];
  const connecting = connectRemoteBroker({
    url: () => {
      attempts.push(clock.now() - start);
      throw new Error("nobody there");
    },
    clock,
    random: () => 0.5,
    reconnect: { baseMs: 20, maxMs: 100 },
    giveUpAfterMs: 500,
  });
  const refused = assert.rejects(connecting, { code: "BROKER_UNREACHABLE" });
  await clock.advance(500);
  await refused;
  // Three quarters of 20, 40, 80, 100, 100 … with random() at one half.
  assert.deepEqual(attempts.slice(0, 7), [0, 0, 15, 45, 105, 180, 255]);
});

test("a host that was away is found within half a second, however long it was", async () => {
  const clock = new VirtualClock();
  const attempts: number[] = [];
  const connecting = connectRemoteBroker({
    url: () => {
      attempts.push(clock.now());
      throw new Error("nobody there");
    },
    clock,
    random: () => 0.99,
    giveUpAfterMs: 20_000,
  });
  const refused = assert.rejects(connecting, { code: "BROKER_UNREACHABLE" });
  await clock.advance(20_000);
  await refused;
  const pauses = attempts.slice(1).map((at, no) => at - (attempts[no] ?? at));
  assert.ok(Math.max(...pauses) <= 500, `paused for ${Math.max(...pauses)} ms`);
});

test("a dial that hangs is given up and made again", async () => {
  const mute = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  belongings.keep(() => mute.close());
  await once(mute, "listening");
  const host = await belongings.serve(new TinyBroker().broker);
  let asked = 0;
  const { port } = mute.address() as { port: number };
  const url = (): string => ((asked += 1) === 1 ? `ws://127.0.0.1:${port}` : host.url);
  const client = await belongings.connect(url, { connectTimeoutMs: 50 });
  assert.equal((await client.openSession(profile)).session, "s1");
  assert.equal(asked, 2);
});

test("a call fails with BROKER_TIMEOUT when the host does not answer, and its own wait does not count", async () => {
  const calls: string[] = [];
  const never = (name: string) => () => {
    calls.push(name);
    return new Promise<never>(() => undefined);
  };
  const host = await belongings.serve(brokerOf({ listPools: never("listPools"), readEvents: never("readEvents") }));
  const clock = new VirtualClock();
  const connecting = belongings.connect(host.url, { clock, requestTimeoutMs: 2_000 });
  const client = await connecting;
  let readFailed = false;
  const pools = assert.rejects(client.listPools(), {
    code: "BROKER_TIMEOUT",
    details: { method: "listPools", url: host.url, timeoutMs: 2_000 },
  });
  const read = assert
    .rejects(client.readEvents({ cursor: 0, limit: 1, waitMs: 300 }), { code: "BROKER_TIMEOUT" })
    .then(() => (readFailed = true));
  await eventually(() => calls.length === 2);
  await clock.advance(2_250);
  await pools;
  assert.equal(readFailed, false);
  await clock.advance(250);
  await read;
});

test("a process that stood still reads what was said meanwhile before it judges anybody", async () => {
  let now = 1_000;
  const timers = new Set<{ readonly delayMs: number; readonly action: () => void }>();
  const clock: Clock = {
    now: () => now,
    schedule: (delayMs, action) => {
      const timer = { delayMs, action };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  const opening = gate();
  let calls = 0;
  const broker = brokerOf({
    listPools: async () => {
      calls += 1;
      await opening.opened;
      return { pools: [] };
    },
  });
  const host = await belongings.serve(broker);
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url, { clock, requestTimeoutMs: 5_000 });
  const call = client.listPools();
  await eventually(() => calls === 1);
  now += 3_600_000;
  const sweep = [...timers].find((timer) => timer.delayMs === 250);
  assert.ok(sweep !== undefined);
  sweep.action();
  opening.open();
  assert.deepEqual(await call, { pools: [] });
  assert.equal(cable.connections, 1);
});

test("leases of a claim that was given up are handed back when the reply comes after all", async () => {
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker);
  const clock = new VirtualClock();
  const client = await belongings.connect(host.url, { clock, requestTimeoutMs: 1_000 });
  const { session } = await client.openSession(profile);
  const claim = assert.rejects(client.claim({ session, max: 3, waitMs: 1_000 }), { code: "BROKER_TIMEOUT" });
  await tiny.until(() => tiny.waiting === 1);
  await clock.advance(2_250);
  await claim;
  tiny.add(3);
  await tiny.until(() => tiny.returned.length === 3);
  assert.equal(tiny.held.size, 0);
});

test("a wrong token is refused at once, for the first connection and for calls that wait", async () => {
  let token = TOKEN;
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker, { access: (request) => acceptToken(token)(request) });
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url);
  token = "another";
  cable.cut();
  await assert.rejects(client.openSession(profile), { code: "UNAUTHORIZED" });
  // Each call tries again: somebody may have put the token right.
  await assert.rejects(client.openSession(profile), { code: "UNAUTHORIZED" });
  token = TOKEN;
  assert.equal((await client.openSession(profile)).session, "s1");
});

test("the address is asked for again at every attempt, and a lasting refusal of it ends the wait", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const problem = new HoldfastError("INVALID_SETTING", { setting: "broker", value: "x", expected: "y" });
  let gone = false;
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(() => {
    if (gone) throw problem;
    return cable.url;
  });
  gone = true;
  cable.cut();
  await assert.rejects(client.listPools(), { code: "INVALID_SETTING" });
});

test("close fails what is pending, refuses what follows, and may be called twice", async () => {
  let calls = 0;
  const host = await belongings.serve(brokerOf({ listPools: () => new Promise<never>(() => (calls += 1)) }));
  const client = await belongings.connect(host.url);
  const pending = assert.rejects(client.listPools(), { code: "BROKER_CLOSED" });
  await eventually(() => calls === 1);
  const first = client.close();
  const second = client.close();
  await Promise.all([first, second, pending]);
  await assert.rejects(client.listPools(), { code: "BROKER_CLOSED" });
});

test("close while the connection is lost ends the attempts", async () => {
  const host = await belongings.serve(new TinyBroker().broker);
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url);
  cable.mended = false;
  cable.cut();
  const pending = assert.rejects(client.openSession(profile), { code: "BROKER_CLOSED" });
  await client.close();
  await pending;
});

const retry = { limit: 0, baseMs: 0, factor: 1, maxMs: 0, jitter: 0, never: [] };

function submission(key?: string): SubmitParams["submissions"][number] {
  const groups = [
    {
      name: "g",
      handler: "{}",
      pool: "p",
      requires: [],
      retry,
      maxLosses: 3,
      work: { kind: "tasks", inputs: ["1"] } as const,
    },
  ];
  return { name: "n", kind: "batch", priority: 5, groups, ...(key === undefined ? {} : { key }) };
}

test("a submission without a key is taken once, however often it is sent", async () => {
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker, { socketGraceMs: 1 });
  const cable = await belongings.cable(host.url);
  const client = await belongings.connect(cable.url);
  cable.deafClient = true;
  const call = client.submit({ submissions: [submission(), submission("mine")] });
  await tiny.until(() => tiny.keys.size === 2);
  // The stream is gone with the answer: the call is sent again on a new one.
  const [former] = [tiny.keys.size];
  cable.mended = false;
  cable.cut();
  const other = await belongings.connect(host.url);
  await other.openSession(profile);
  cable.deafClient = false;
  cable.mended = true;
  const { executions } = await call;
  assert.equal(tiny.keys.size, former);
  assert.equal(executions[0]?.created, true);
  const again = await client.submit({ submissions: [submission(), submission("mine")] });
  assert.deepEqual(
    again.executions.map((receipt) => receipt.created),
    [true, false],
  );
  assert.equal(tiny.keys.size, 3);
});

test("a commit that is too large for one frame goes in several, and claims with the last", async () => {
  const commits: CommitParams[] = [];
  const commit: Broker["commit"] = async (params) => {
    commits.push(params);
    const verdicts = params.outcomes.map((outcome): "accepted" | "refused" =>
      outcome.lease.task % 2 === 0 ? "accepted" : "refused",
    );
    return { verdicts, leases: [], specs: {}, cancel: [], drain: params.claim !== undefined };
  };
  const host = await belongings.serve(brokerOf({ commit }), { limits: { maxRequestBytes: 500_000 } });
  const client = await belongings.connect(host.url);
  const result = JSON.stringify('"'.repeat(10_000));
  const { groups } = submission();
  const outcomes = Array.from({ length: 20 }, (_, task): Outcome => {
    const ran = { lease: { executionId: "x", task, token: "t" }, durationMs: 1 };
    if (task % 4 === 0) return { ...ran, kind: "suspended", state: result, until: { kind: "delay", delayMs: 1 } };
    const added = groups.map((group) => ({ ...group, handler: result }));
    if (task % 4 === 2) return { ...ran, kind: "suspended", state: "1", until: { kind: "tasks", groups: added } };
    return { ...ran, kind: "completed", result };
  });
  const reply = await client.commit({ session: "s", outcomes, claim: { max: 5, waitMs: 0 } });
  assert.ok(commits.length > 1, `${commits.length} commits`);
  assert.deepEqual(
    commits.flatMap((part) => part.outcomes),
    outcomes,
  );
  assert.deepEqual(
    commits.map((part) => part.claim?.max),
    [...commits.slice(1).map(() => undefined), 5],
  );
  assert.deepEqual(
    reply.verdicts,
    outcomes.map((_, task) => (task % 2 === 0 ? "accepted" : "refused")),
  );
  assert.equal(reply.drain, true);
});

test("a call that no host would take is refused here", async () => {
  const host = await belongings.serve(new TinyBroker().broker, { limits: { maxRequestBytes: 10_000 } });
  const client = await belongings.connect(host.url);
  const huge = { ...submission(), meta: "x".repeat(20_000) };
  await assert.rejects(client.submit({ submissions: [huge] }), { code: "PAYLOAD_TOO_LARGE" });
  const circular: Record<string, unknown> = { session: "s", running: 0 };
  circular["self"] = circular;
  await assert.rejects(client.heartbeat(circular as unknown as Parameters<Broker["heartbeat"]>[0]), {
    code: "INVALID_REQUEST",
  });
  assert.equal((await client.openSession(profile)).session, "s1");
});

test("a reply that is not what the contract says fails its call and nothing else", async () => {
  const wrong = { leases: [{ task: 1 }], specs: {}, cancel: [], drain: false };
  const broker = brokerOf({
    claim: () => Promise.resolve(wrong as unknown as Awaited<ReturnType<Broker["claim"]>>),
    listPools: () => Promise.resolve({} as unknown as Awaited<ReturnType<Broker["listPools"]>>),
    lead: async () => ({ leader: true, term: 3 }),
  });
  const client = await belongings.connect((await belongings.serve(broker)).url);
  await assert.rejects(client.claim({ session: "s", max: 1, waitMs: 0 }), { code: "INTERNAL" });
  await assert.rejects(client.listPools(), { code: "INTERNAL", message: /listPools/ });
  assert.deepEqual(await client.lead({ lease: "l", holder: "h", ttlMs: 1_000 }), { leader: true, term: 3 });
});

test("a host that talks nonsense does not crash the client", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  belongings.keep(() => server.close());
  await once(server, "listening");
  const spoken = gate();
  server.on("connection", (socket) => {
    socket.once("message", () => {
      const welcome = {
        protocol: 1,
        host: "x",
        durable: true,
        resumed: false,
        taken: 0,
        maxRequestBytes: 1e6,
        keepaliveMs: 1_000,
      };
      socket.send(JSON.stringify(["welcome", welcome]));
      for (const text of ["", "[", "{}", "[1]", "[9,0,null]", "[0,1,{}]", '[0,1,{"code":"NEWER_CODE"}]', '["x",1,{}]'])
        socket.send(text);
      socket.on("message", () => socket.send('[1,1,{"code":"NEWER_CODE","details":{}}]'));
      spoken.open();
    });
  });
  const { port } = server.address() as { port: number };
  const client = await belongings.connect(`ws://127.0.0.1:${port}`);
  await spoken.opened;
  await assert.rejects(client.listPools(), { code: "INTERNAL", details: { problem: "error NEWER_CODE" } });
});
