import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { LinkBroken, RedisRefusal } from "../../../src/broker/redis/link/link.ts";
import { makeScript } from "../../../src/broker/redis/link/script.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { cleanups, eventually } from "../../fixtures/sdk/scratch.ts";
import { rejection, standalone, testLink } from "../../support/redis-link.ts";
import { type RedisServer, sharedRedis, startRedis } from "../../support/redis-server.ts";

const ECHO = makeScript("echo", "return {KEYS[1], ARGV[1]}");
const PATIENCE_MS = 20_000;
const REPLY_TIMEOUT_MS = 300;

/** A command that is answered by nobody until somebody pushes. */
const FOREVER = ["BLPOP", "link-test:nothing", "0"];

function isClosed(thrown: unknown): boolean {
  return HoldfastError.is(thrown, "BROKER_CLOSED");
}

async function isAwaiting(server: RedisServer, count = 1): Promise<void> {
  await eventually("the server has the command", async () =>
    String(await server.command("INFO", "clients")).includes(`blocked_clients:${count}`),
  );
}

async function isSubscribed(server: RedisServer, channel: string, count = 1): Promise<void> {
  await eventually("the server knows the subscription", async () => {
    const reply = (await server.command("PUBSUB", "NUMSUB", channel)) as readonly unknown[];
    return reply[1] === count;
  });
}

describe("a link's commands", { concurrency: true }, () => {
  it("are answered in the order of the calls", async (t) => {
    const { link } = await testLink(standalone(await sharedRedis()), cleanups(t));
    const order: number[] = [];
    const calls = Array.from({ length: 200 }, async (_, index) => {
      const reply = await link.send(["ECHO", String(index)]);
      assert.equal(reply, String(index));
      order.push(index);
    });
    await Promise.all(calls);
    assert.deepEqual(order, [...calls.keys()]);
  });

  it("carry any bytes, and replies any shape", async (t) => {
    const { link } = await testLink(standalone(await sharedRedis()), cleanups(t));
    const shapes = makeScript("shapes", "return {1, 'ü', false, {}, {'a', {-2}}}");
    assert.deepEqual(await link.run(shapes, [], []), [1, "ü", null, [], ["a", [-2]]]);
    assert.equal(await link.send(["STRLEN", "link-test:none"]), 0);
    const length = makeScript("length", "return #ARGV[1]");
    assert.equal(await link.run(length, [], [Buffer.from([0, 255, 13, 10])]), 4);
  });

  it("run scripts that the server has forgotten", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t));
    assert.deepEqual(await link.run(ECHO, ["k"], ["1"]), ["k", "1"]);
    await server.command("SCRIPT", "FLUSH");
    const calls = ["2", "3", "4"].map((value) => link.run(ECHO, ["k"], [value]));
    assert.deepEqual(await Promise.all(calls), [
      ["k", "2"],
      ["k", "3"],
      ["k", "4"],
    ]);
    await server.restart();
    await link.ready(PATIENCE_MS);
    assert.deepEqual(await link.run(ECHO, ["k"], ["5"]), ["k", "5"]);
  });

  it("hand out the server's refusals, those of our scripts too", async (t) => {
    const { link } = await testLink(standalone(await sharedRedis()), cleanups(t));
    const ours = makeScript("ours", "return redis.error_reply('LEASE_GONE of task ' .. ARGV[1])");
    const refusal = await rejection(link.run(ours, [], ["7"]));
    assert.ok(refusal instanceof RedisRefusal);
    assert.equal(refusal.code, "LEASE_GONE");
    assert.equal(refusal.text, "LEASE_GONE of task 7");
    await link.send(["SET", "link-test:text", "x"]);
    const wrong = await rejection(link.send(["LPUSH", "link-test:text", "y"]));
    assert.ok(wrong instanceof RedisRefusal && wrong.code === "WRONGTYPE");
    assert.ok(link.isUp);
  });
});

describe("a link whose server is killed", { concurrency: true }, () => {
  it("comes back with its subscriptions, and says so", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t));
    const heard: string[] = [];
    let ups = 0;
    link.subscribe("news", (message) => heard.push(message));
    link.onUp(() => {
      ups += 1;
    });
    await isSubscribed(server, "news");
    await eventually("the first connection is told", () => ups === 1);
    const first = { runId: link.server.runId, connectedAt: link.connectedAt };

    await server.restart();
    await link.ready(PATIENCE_MS);
    assert.equal(ups, 2);
    assert.notEqual(link.server.runId, first.runId);
    assert.ok(link.connectedAt >= first.connectedAt);
    // In place already, without waiting.
    assert.equal(await link.send(["PUBLISH", "news", "again"]), 1);
    await eventually("the message comes", () => heard.includes("again"));
  });

  it("tells what may have been performed from what was not sent", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t));
    const awaited = rejection(link.send(FOREVER));
    await isAwaiting(server);
    await server.kill();
    const sent = await awaited;
    assert.ok(sent instanceof LinkBroken && sent.sent);
    assert.equal(link.isUp, false);
    const unsent = await rejection(link.send(["PING"]));
    assert.ok(unsent instanceof LinkBroken && !unsent.sent);
    const unrun = await rejection(link.run(ECHO, [], []));
    assert.ok(unrun instanceof LinkBroken && !unrun.sent);
    const impatient = await rejection(link.ready(20));
    assert.ok(HoldfastError.is(impatient, "BROKER_UNREACHABLE"));
    assert.match(impatient.message, new RegExp(`^redis://127\\.0\\.0\\.1:${server.port}/0 cannot be reached: .`));
  });

  it("goes down with either connection", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t));
    let ups = 0;
    link.subscribe("news", () => undefined);
    link.onUp(() => {
      ups += 1;
    });
    await isSubscribed(server, "news");
    const awaited = rejection(link.send(FOREVER));
    await isAwaiting(server);
    await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    assert.ok((await awaited) instanceof LinkBroken);
    await eventually("both are there again", () => ups === 2);
    assert.equal(await link.send(["PING"]), "PONG");
  });

  it("waits while the server loads its data", async (t) => {
    const slow = { "key-load-delay": "2000", "loading-process-events-interval-bytes": "1024" };
    const server = await startRedis({ appendonly: "always", config: slow });
    t.after(() => server.stop());
    const { link, lines } = await testLink(standalone(server), cleanups(t));
    const values = Array.from({ length: 400 }, (_, index) => [`key-${index}`, "x".repeat(100)]);
    await link.send(["MSET", ...values.flat()]);
    await server.command("BGREWRITEAOF");
    await eventually("all is in the file that is loaded", async () => {
      const info = String(await server.command("INFO", "persistence"));
      return info.includes("aof_rewrite_in_progress:0") && info.includes("aof_rewrite_scheduled:0");
    });
    await server.restart();
    await link.ready(PATIENCE_MS);
    assert.equal(await link.send(["DBSIZE"]), 400);
    assert.ok(lines.some(({ fields }) => String(fields["problem"]).includes("loads its data")));
  });
});

describe("a link whose server is silent", { concurrency: true }, () => {
  it("notices by the reply that does not come", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t), { replyTimeoutMs: REPLY_TIMEOUT_MS });
    server.pause();
    const broken = await rejection(link.send(["PING"]));
    assert.ok(broken instanceof LinkBroken && broken.sent);
    assert.match(broken.message, /no reply within 300 ms/);
    server.resume();
    await link.ready(PATIENCE_MS);
    assert.equal(await link.send(["PING"]), "PONG");
  });

  it("notices without anything to send", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t), { replyTimeoutMs: REPLY_TIMEOUT_MS });
    link.subscribe("news", () => undefined);
    await eventually("both connections ask for a sign of life", async () => {
      const clients = String(await server.command("CLIENT", "LIST")).split("\n");
      return clients.filter((line) => line.includes("name=link-test") && line.includes("cmd=ping")).length === 2;
    });
    assert.ok(link.isUp);
    server.pause();
    await eventually("the link goes down", () => !link.isUp);
    server.resume();
    await link.ready(PATIENCE_MS);
  });

  it("does not blame the server for its own pause", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t), { replyTimeoutMs: REPLY_TIMEOUT_MS });
    const reply = link.send(["PING"]);
    await new Promise(setImmediate);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3 * REPLY_TIMEOUT_MS);
    assert.equal(await reply, "PONG");
    assert.ok(link.isUp);
  });
});

describe("a link whose server is no master any more", { concurrency: true }, () => {
  it("finds out by a refusal, and waits for a master", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link, lines } = await testLink(standalone(server), cleanups(t));
    const awaited = rejection(link.send(FOREVER));
    await isAwaiting(server);
    await server.command("REPLICAOF", "127.0.0.1", "1");
    const unblocked = await awaited;
    assert.ok(unblocked instanceof LinkBroken && !unblocked.sent);
    assert.match(unblocked.message, /^UNBLOCKED /);
    await eventually("the link asks who it is", () =>
      lines.some(({ fields }) => String(fields["problem"]).includes("it is a replica")),
    );
    await server.command("REPLICAOF", "NO", "ONE");
    await link.ready(PATIENCE_MS);

    await server.command("REPLICAOF", "127.0.0.1", "1");
    const readonly = await rejection(link.send(["SET", "key", "value"]));
    assert.ok(readonly instanceof LinkBroken && !readonly.sent);
    assert.match(readonly.message, /^READONLY /);
    assert.equal(link.isUp, false);
    await server.command("REPLICAOF", "NO", "ONE");
    await link.ready(PATIENCE_MS);
    assert.equal(await link.send(["SET", "key", "value"]), "OK");
  });
});

describe("a link's listeners", { concurrency: true }, () => {
  it("come and go", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link, lines } = await testLink(standalone(server), cleanups(t));
    const heard: string[] = [];
    const listen = (message: string): unknown => heard.push(message);
    link.subscribe("news", () => {
      throw new Error("a listener's own problem");
    });
    const ends = [link.subscribe("news", listen), link.subscribe("news", listen)];
    await isSubscribed(server, "news");
    await link.send(["PUBLISH", "news", "ü1"]);
    await eventually("both hear", () => heard.length === 2);
    assert.ok(lines.some(({ message }) => message === "a listener failed"));
    ends[0]?.();
    ends[0]?.();
    await link.send(["PUBLISH", "news", "ü2"]);
    await eventually("one hears", () => heard.length === 3);
    assert.deepEqual(heard, ["ü1", "ü1", "ü2"]);
    ends[1]?.();
    assert.ok(link.isUp);
  });

  it("may end and begin again at once", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t));
    const heard: string[] = [];
    link.subscribe("news", () => heard.push("first"))();
    const end = link.subscribe("news", () => heard.push("second"));
    await isSubscribed(server, "news");
    await eventually("it hears", async () => {
      await link.send(["PUBLISH", "news", "x"]);
      return heard.length > 0;
    });
    assert.ok(heard.every((who) => who === "second"));
    end();
    await isSubscribed(server, "news", 0);
  });
});

describe("opening a link", { concurrency: true }, () => {
  it("gives up after its patience", async (t) => {
    // Nothing of this machine listens there.
    const target = standalone({ host: "127.0.0.1", port: 1 });
    const error = await rejection(testLink(target, cleanups(t), { patienceMs: 500 }));
    assert.ok(HoldfastError.is(error, "BROKER_UNREACHABLE"));
    assert.match(error.message, /ECONNREFUSED/);
  });

  it("does not wait for a server that says nothing", async (t) => {
    const mute = createServer(() => undefined).listen(0, "127.0.0.1");
    t.after(() => mute.close());
    await once(mute, "listening");
    const target = standalone({ host: "127.0.0.1", port: (mute.address() as { port: number }).port });
    const options = { patienceMs: 300, connectTimeoutMs: 100 };
    const error = await rejection(testLink(target, cleanups(t), options));
    assert.ok(HoldfastError.is(error, "BROKER_UNREACHABLE"));
    assert.match(error.message, /no answer within 100 ms/);
  });

  it("waits for a server that comes", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    await server.kill();
    const opening = testLink(standalone(server), cleanups(t));
    await server.restart();
    const { link } = await opening;
    assert.equal(await link.send(["PING"]), "PONG");
  });
});

describe("closing a link", { concurrency: true }, () => {
  it("settles everything", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t));
    const awaited = rejection(link.send(FOREVER));
    await isAwaiting(server);
    await link.close();
    assert.ok(isClosed(await awaited));
    assert.ok(isClosed(await rejection(link.send(["PING"]))));
    assert.ok(isClosed(await rejection(link.run(ECHO, [], []))));
    assert.ok(isClosed(await rejection(link.ready(PATIENCE_MS))));
    assert.equal(link.isUp, false);
    link.subscribe("news", () => undefined)();
    await link.close();
    await eventually("the server has no client of ours", async () => {
      return !String(await server.command("CLIENT", "LIST")).includes("name=link-test");
    });
  });

  it("does so while the server is away, or does not answer", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const { link } = await testLink(standalone(server), cleanups(t));
    await server.kill();
    await eventually("the link is down", () => !link.isUp);
    const waiting = rejection(link.ready(PATIENCE_MS));
    await link.close();
    assert.ok(isClosed(await waiting));

    await server.restart();
    const { link: other } = await testLink(standalone(server), cleanups(t), { replyTimeoutMs: REPLY_TIMEOUT_MS });
    server.pause();
    await eventually("the link is down", () => !other.isUp);
    const dialling = rejection(other.ready(PATIENCE_MS));
    await other.close();
    assert.ok(isClosed(await dialling));
    server.resume();
  });
});
