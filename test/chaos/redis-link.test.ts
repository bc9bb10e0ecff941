/** A link finds the master of its shard again: by sentinels, and in a cluster. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Link, LinkBroken } from "../../src/broker/redis/link/link.ts";
import { slotOf } from "../../src/broker/redis/link/slots.ts";
import type { RedisTarget } from "../../src/broker/redis/link/target.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";
import { rejection, testLink } from "../support/redis-link.ts";
import { type RedisServer, startCluster, startSentinel } from "../support/redis-server.ts";

const PATIENCE_MS = 30_000;
const TAG = "shard-1";
const KEY = `{${TAG}}:key`;
const SLOT = slotOf(TAG);

function nodesOf(servers: readonly RedisServer[]): RedisTarget["nodes"] {
  return servers.map(({ host, port }) => ({ host, port }));
}

async function portOf(link: Link): Promise<number> {
  return Number(/tcp_port:(\d+)/.exec(String(await link.send(["INFO", "server"])))?.[1]);
}

/** As a broker does: sends until it is answered. */
async function insist(link: Link, command: readonly string[]): Promise<unknown> {
  for (;;) {
    await link.ready(PATIENCE_MS);
    try {
      return await link.send(command);
    } catch (thrown) {
      if (!(thrown instanceof LinkBroken)) throw thrown;
    }
  }
}

describe("a link by sentinels", () => {
  it("follows the master", async (t) => {
    const cleanup = cleanups(t);
    const setup = await startSentinel();
    cleanup(() => setup.stop());
    const target: RedisTarget = {
      mode: "sentinel",
      // The first one to be asked is dead.
      nodes: [{ host: "127.0.0.1", port: 1 }, ...nodesOf(setup.sentinels)],
      masterName: setup.masterName,
      db: 3,
    };
    const { link } = await testLink(target, cleanup, { replyTimeoutMs: 500, connectTimeoutMs: 500 });
    const heard: string[] = [];
    link.subscribe("news", (message) => heard.push(message));
    assert.equal(await portOf(link), setup.master.port);
    assert.equal(await link.send(["SET", KEY, "before"]), "OK");
    assert.equal(await link.send(["WAIT", "1", "5000"]), 1);

    await setup.master.kill();
    assert.equal(await insist(link, ["GET", KEY]), "before");
    assert.equal(await portOf(link), setup.replica.port);
    assert.equal(await link.send(["PUBLISH", "news", "from the new master"]), 1);
    await eventually("the message comes", () => heard.length === 1);

    // The old master comes back as one, is made a replica, and is of no interest.
    await setup.master.restart();
    await eventually("the sentinels have made it a replica", async () =>
      String(await setup.master.command("INFO", "replication")).includes("master_link_status:up"),
    );
    assert.equal(await insist(link, ["SET", KEY, "after"]), "OK");

    // Stopped and not killed: only silence tells.
    setup.replica.pause();
    assert.equal(await insist(link, ["SET", KEY, "third"]), "OK");
    assert.equal(await portOf(link), setup.master.port);
    setup.replica.resume();
  });

  it("says what they do not know", async (t) => {
    const cleanup = cleanups(t);
    const setup = await startSentinel();
    cleanup(() => setup.stop());
    const target: RedisTarget = { mode: "sentinel", nodes: nodesOf(setup.sentinels), masterName: "nobody", db: 0 };
    const error = await rejection(testLink(target, cleanup, { patienceMs: 5_000 }));
    assert.ok(HoldfastError.is(error, "BROKER_UNREACHABLE"));
    assert.match(error.message, /knows no master named nobody/);
  });
});

describe("a link into a cluster", () => {
  it("goes where its slot is, and moves with it", async (t) => {
    const cleanup = cleanups(t);
    const cluster = await startCluster();
    cleanup(() => cluster.stop());
    const owner = await cluster.ownerOf(KEY);
    const [other, third] = cluster.masters.filter((master) => master !== owner);
    assert.ok(other !== undefined && third !== undefined);
    // It is told of one node only, and not of the right one.
    const target: RedisTarget = { mode: "cluster", nodes: nodesOf([other]), db: 0 };
    const { link, lines } = await testLink(target, cleanup, { slot: SLOT });
    assert.equal(await portOf(link), owner.port);
    assert.equal(await link.send(["SET", KEY, "1"]), "OK");

    await cluster.moveSlot(SLOT, third);
    const moved = await rejection(link.send(["GET", KEY]));
    assert.ok(moved instanceof LinkBroken && !moved.sent);
    assert.match(moved.message, /^MOVED /);
    assert.equal(await insist(link, ["GET", KEY]), "1");
    assert.equal(await portOf(link), third.port);

    // On its way: keys that are not there may be elsewhere, and a script may find half of its keys.
    const [thirdId, otherId] = await Promise.all([third.command("CLUSTER", "MYID"), other.command("CLUSTER", "MYID")]);
    await other.command("CLUSTER", "SETSLOT", String(SLOT), "IMPORTING", String(thirdId));
    await third.command("CLUSTER", "SETSLOT", String(SLOT), "MIGRATING", String(otherId));
    const missing = [KEY, `{${TAG}}:missing`];
    const torn = await rejection(link.send(["MGET", ...missing]));
    assert.ok(torn instanceof LinkBroken && !torn.sent);
    assert.match(torn.message, /^TRYAGAIN /);
    const insisting = insist(link, ["MGET", ...missing]);
    // One that greets and then refuses is not hammered: tries count as failed and pauses grow.
    await eventually("it tries with growing pauses", () => lines.some(({ fields }) => Number(fields["failures"]) >= 4));
    await third.command("CLUSTER", "SETSLOT", String(SLOT), "STABLE");
    await other.command("CLUSTER", "SETSLOT", String(SLOT), "STABLE");
    assert.deepEqual(await insisting, ["1", null]);
  });

  it("follows a fail-over", async (t) => {
    const cleanup = cleanups(t);
    const cluster = await startCluster({ replicas: 1 });
    cleanup(() => cluster.stop());
    const owner = await cluster.ownerOf(KEY);
    const replica = cluster.replicas[cluster.masters.indexOf(owner)];
    // The first one that it asks is the one that dies.
    const target: RedisTarget = { mode: "cluster", nodes: nodesOf([owner]), db: 0 };
    const { link } = await testLink(target, cleanup, { slot: SLOT });
    assert.equal(await link.send(["SET", KEY, "1"]), "OK");
    assert.equal(await link.send(["WAIT", "1", "5000"]), 1);
    await owner.kill();
    assert.equal(await insist(link, ["GET", KEY]), "1");
    assert.equal(await portOf(link), replica?.port);
  });
});
