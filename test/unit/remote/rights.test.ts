/** What the host lets each owner of a socket do, and what it keeps apart. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { afterEach, test } from "node:test";
import { ALL_RIGHTS, bearerToken, type SocketAccess, type SocketRights } from "../../../src/broker/remote/token.ts";
import { sessionStandIn } from "../../../src/broker/remote/veil.ts";
import type { BrokerEvent, SessionView, WorkerProfile } from "../../../src/broker/contract.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { Belongings, brokerOf, eventually, type RawClient, TinyBroker } from "./support.ts";

const belongings = new Belongings();
afterEach(() => belongings.end());

const PROFILE: WorkerProfile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 1 };

/** Everybody may call everything, but is only themselves: the token says who. */
function rightsByName(more: (name: string) => Partial<SocketRights> = () => ({})): SocketAccess {
  return async ({ headers }: IncomingMessage) => {
    const name = bearerToken(headers.authorization) ?? "nobody";
    if (name === "admin") return ALL_RIGHTS;
    return { owner: name, seesAll: false, check: () => undefined, ...more(name) };
  };
}

function hello(client: string, received = 0): unknown {
  return ["hello", { protocol: 1, client, received }];
}

function errorCode(frame: unknown): string {
  const [, status, error] = frame as [number, number, { code: string }];
  return status === 1 ? error.code : "none";
}

async function nextReply(client: RawClient): Promise<unknown> {
  return client.frame(client.frames.length);
}

async function ask(client: RawClient, frame: readonly unknown[]): Promise<unknown> {
  const reply = nextReply(client);
  client.send(frame);
  return reply;
}

test("a call that the rights refuse does not reach the broker, and is told with its code", async () => {
  const calls: string[] = [];
  const broker = brokerOf({
    cancel: async () => {
      calls.push("cancel");
      throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: "x" });
    },
  });
  const noted: string[] = [];
  const access = rightsByName(() => ({
    check: (method) => {
      if (method !== "cancel") throw new HoldfastError("FORBIDDEN", { problem: method });
    },
    note: ({ method, error }) => noted.push(`${method} ${error?.code ?? "done"}`),
  }));
  const host = await belongings.serve(broker, { access });
  const client = await belongings.raw(host.url, { token: "a" });
  await client.frame(0);
  assert.equal(errorCode(await ask(client, [1, 0, "pause", { executionId: "x" }])), "FORBIDDEN");
  assert.equal(errorCode(await ask(client, [2, 1, "cancel", { executionId: "x" }])), "EXECUTION_NOT_FOUND");
  assert.deepEqual(calls, ["cancel"]);
  assert.deepEqual(noted, ["pause FORBIDDEN", "cancel EXECUTION_NOT_FOUND"]);
});

test("a refusal has its status, and a client that meets it does not come again by itself", async () => {
  let comings = 0;
  const access: SocketAccess = async () => {
    comings += 1;
    throw new HoldfastError("FORBIDDEN", { problem: "not from there" });
  };
  const host = await belongings.serve(new TinyBroker().broker, { access });
  await assert.rejects(belongings.connect(host.url), { code: "UNAUTHORIZED" });
  assert.equal(comings, 1);
  const busy = await belongings.serve(new TinyBroker().broker, {
    access: async () => {
      comings += 1;
      throw new HoldfastError("RATE_LIMITED", { reason: "", retryAfterMs: 1 });
    },
  });
  await assert.rejects(belongings.connect(busy.url, { giveUpAfterMs: 100 }), {
    code: "BROKER_UNREACHABLE",
    message: /HTTP status 429/,
  });
  assert.ok(comings > 2);
});

test("a stream is resumed by its owner only, whoever knows its name", async () => {
  const tiny = new TinyBroker();
  const host = await belongings.serve(tiny.broker, { access: rightsByName(), socketGraceMs: 60_000 });
  const mine = await belongings.raw(host.url, { token: "a", hello: hello("stream") });
  await mine.frame(0);
  await ask(mine, [1, 0, "openSession", PROFILE]);

  const thief = await belongings.raw(host.url, { token: "b", hello: hello("stream") });
  const [, welcome] = (await thief.frame(0)) as [string, { resumed: boolean; taken: number }];
  assert.deepEqual([welcome.resumed, welcome.taken], [false, 0]);
  // The owner's stream goes on, and so does its session.
  assert.equal(errorCode(await ask(mine, [2, 1, "heartbeat", { session: "s1", running: 0 }])), "none");
  mine.socket.terminate();
  await once(mine.socket, "close");
  const again = await belongings.raw(host.url, { token: "a", hello: hello("stream", 2) });
  const [, resumed] = (await again.frame(0)) as [string, { resumed: boolean; taken: number }];
  assert.deepEqual([resumed.resumed, resumed.taken], [true, 2]);
  assert.equal(tiny.sessions.get("s1"), "live");
});

test("a resumed stream has the rights of the connection that resumes it", async () => {
  let mayPause = true;
  const broker = brokerOf({ listPools: async () => ({ pools: [] }) });
  const access = rightsByName(() => {
    const may = mayPause;
    return {
      check: () => {
        if (!may) throw new HoldfastError("FORBIDDEN", { problem: "no more" });
      },
    };
  });
  const host = await belongings.serve(broker, { access, socketGraceMs: 60_000 });
  const before = await belongings.raw(host.url, { token: "a", hello: hello("stream") });
  await before.frame(0);
  assert.equal(errorCode(await ask(before, [1, 0, "listPools", null])), "none");
  mayPause = false;
  const after = await belongings.raw(host.url, { token: "a", hello: hello("stream", 1) });
  const [, welcome] = (await after.frame(0)) as [string, { resumed: boolean }];
  assert.equal(welcome.resumed, true);
  assert.equal(errorCode(await ask(after, [2, 1, "listPools", null])), "FORBIDDEN");
});

test("a session is used and closed by its owner only, though an administrator may", async () => {
  const tiny = new TinyBroker();
  tiny.add(1);
  const host = await belongings.serve(tiny.broker, { access: rightsByName() });
  const mine = await belongings.raw(host.url, { token: "a" });
  const other = await belongings.raw(host.url, { token: "b" });
  await Promise.all([mine.frame(0), other.frame(0)]);
  await ask(mine, [1, 0, "openSession", PROFILE]);
  const [, , granted] = (await ask(mine, [2, 1, "claim", { session: "s1", max: 1, waitMs: 0 }])) as [
    number,
    number,
    { leases: { executionId: string; task: number; token: string }[] },
  ];
  const { executionId = "", task = 0, token = "" } = granted.leases[0] ?? {};
  const lease = { executionId, task, token };
  const outcomes = [{ kind: "completed", lease, durationMs: 1, result: '"stolen"' }];
  const attacks = [
    ["commit", { session: "s1", outcomes }],
    ["heartbeat", { session: "s1", running: 0 }],
    ["claim", { session: "s1", max: 1, waitMs: 0 }],
    ["reconcile", { session: "s1", held: [] }],
    ["closeSession", { session: "s1", reason: "lost" }],
  ] as const;
  for (const [at, [method, params]] of attacks.entries()) {
    assert.equal(errorCode(await ask(other, [at + 1, at, method, params])), "FORBIDDEN", method);
  }
  assert.equal(tiny.sessions.get("s1"), "live");
  assert.equal(tiny.completions.size, 0);
  // The owner may come over another stream.
  const second = await belongings.raw(host.url, { token: "a" });
  await second.frame(0);
  assert.equal(errorCode(await ask(second, [1, 0, "commit", { session: "s1", outcomes }])), "none");
  assert.equal(tiny.completions.size, 1);
  const admin = await belongings.raw(host.url, { token: "admin" });
  await admin.frame(0);
  assert.equal(errorCode(await ask(admin, [1, 0, "closeSession", { session: "s1", reason: "left" }])), "none");
  assert.equal(tiny.sessions.get("s1"), "left");
});

test("the ids of others' sessions are told to nobody who may not use them", async () => {
  const view = (session: string): SessionView => ({
    ...PROFILE,
    session,
    state: "live",
    openedAt: 0,
    lastSeenAt: 0,
    leases: 0,
    completed: 0,
  });
  const events: readonly BrokerEvent[] = [
    { cursor: 1, at: 0, change: { kind: "session", session: "theirs", worker: "w", state: "opened" } },
    { cursor: 2, at: 0, change: { kind: "execution", state: "running" } },
  ];
  const broker = brokerOf({
    openSession: async () => ({ session: "mine", heartbeatMs: 1_000, deadAfterMs: 5_000 }),
    listSessions: async () => ({ sessions: [view("mine"), view("theirs")] }),
    readEvents: async () => ({ events, cursor: 2 }),
  });
  const host = await belongings.serve(broker, { access: rightsByName() });
  const sessionsFor = async (token: string): Promise<string[]> => {
    const client = await belongings.connectAs(token, host.url);
    await client.openSession(PROFILE);
    return (await client.listSessions({ limit: 10 })).sessions.map(({ session }) => session);
  };
  assert.deepEqual(await sessionsFor("a"), ["mine", sessionStandIn("theirs")]);
  assert.deepEqual(await sessionsFor("admin"), ["mine", "theirs"]);
  const reader = await belongings.connectAs("b", host.url);
  const read = await reader.readEvents({ cursor: 0, limit: 10 });
  assert.ok(!JSON.stringify(read).includes("theirs"));
  assert.deepEqual(read.events[1], events[1]);
  assert.equal((await reader.listSessions({ limit: 10 })).sessions[0]?.session, sessionStandIn("mine"));
});

test("a session that is opened through a host is marked so, whatever the client says", async () => {
  const profiles: WorkerProfile[] = [];
  const broker = brokerOf({
    openSession: async (profile) => {
      profiles.push(profile);
      return { session: "s", heartbeatMs: 1_000, deadAfterMs: 5_000 };
    },
  });
  const host = await belongings.serve(broker);
  const client = await belongings.connect(host.url);
  await client.openSession(PROFILE);
  await client.openSession({ ...PROFILE, hosted: false });
  assert.deepEqual(
    profiles.map(({ hosted }) => hosted),
    [true, true],
  );
});

test("whose rights are gone loses the connection with the next keepalive, and its sessions their work", async () => {
  const clock = new VirtualClock();
  const tiny = new TinyBroker();
  tiny.add(1);
  let answer: () => Promise<boolean> = async () => true;
  const access = rightsByName(() => ({ stillHold: () => answer() }));
  const host = await belongings.serve(tiny.broker, { access, clock, keepaliveMs: 1_000 });
  const client = await belongings.raw(host.url, { token: "a" });
  await client.frame(0);
  await ask(client, [1, 0, "openSession", PROFILE]);
  await ask(client, [2, 1, "claim", { session: "s1", max: 1, waitMs: 0 }]);
  await clock.advance(1_000);
  // A store that is away for a moment costs nobody the connection.
  answer = () => Promise.reject(new Error("the store of tokens is away"));
  await clock.advance(1_000);
  assert.equal(errorCode(await ask(client, [3, 2, "heartbeat", { session: "s1", running: 0 }])), "none");
  answer = async () => false;
  const closed = once(client.socket, "close");
  await clock.advance(1_000);
  await closed;
  await tiny.until(() => tiny.sessions.get("s1") === "lost");
  assert.deepEqual(tiny.lost, [0]);
  assert.deepEqual(tiny.queued, [0]);
  await eventually(() => client.socket.readyState === client.socket.CLOSED);
});
