/** That the servers which other tests rely on do what is asked of them. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { siblingModule } from "../../../src/util/sibling-module.ts";
import { cleanups, eventually, startProgram } from "../../fixtures/sdk/scratch.ts";
import { type RedisServer, sharedRedis, startCluster, startRedis, startSentinel } from "../../support/redis-server.ts";

const DOOMED_STARTER = siblingModule(import.meta.url, "../../fixtures/redis/doomed-starter");

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

async function roleOf(server: RedisServer): Promise<unknown> {
  return ((await server.command("ROLE")) as readonly unknown[])[0];
}

describe("a single server", { concurrency: true }, () => {
  it("keeps what it answered for over a kill, if told to", async (t) => {
    const server = await startRedis({ appendonly: "always" });
    t.after(() => server.stop());
    assert.equal(await server.command("SET", "key", "value"), "OK");
    const { pid, port } = server;
    await server.kill();
    await assert.rejects(server.command("PING"), /ECONNREFUSED/);
    await server.restart();
    assert.equal(await server.command("GET", "key"), "value");
    assert.equal(server.port, port);
    assert.notEqual(server.pid, pid);
  });

  it("forgets all with a kill, if not told otherwise", async (t) => {
    const server = await startRedis({ config: { requirepass: "secret" } });
    t.after(() => server.stop());
    await server.command("SET", "key", "value");
    await server.restart();
    assert.equal(await server.command("GET", "key"), null);
  });

  it("answers later when it was paused", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    server.pause();
    const answer = server.command("PING");
    assert.ok(await listens(server.port), "the kernel still takes connections");
    server.resume();
    assert.equal(await answer, "PONG");
  });

  it("is gone with its folder after a stop, and a second stop does nothing", async () => {
    const server = await startRedis();
    await server.stop();
    assert.equal(await listens(server.port), false);
    assert.equal(existsSync(server.folder), false);
    await server.stop();
  });

  it("tells from its log why it does not start", async () => {
    const { port } = await sharedRedis();
    await assert.rejects(startRedis({ port }), /ended[^]*Address already in use/);
    await assert.rejects(startRedis({ config: { maxmemory: "lots" } }), /ended/);
  });

  it("is shared by those who do not mind, and dies with its process", async (t) => {
    assert.equal(await sharedRedis(), await sharedRedis());
    const cleanup = cleanups(t);
    const { child, said } = await startProgram(DOOMED_STARTER, [], cleanup);
    const { port, folder } = JSON.parse(said) as { port: number; folder: string };
    cleanup(() => rm(folder, { recursive: true, force: true }));
    assert.ok(await listens(port));
    child.kill("SIGKILL");
    await eventually("its server is gone", async () => !(await listens(port)));
  });
});

describe("a cluster", { concurrency: true }, () => {
  it("is complete, and slots move with their keys", async (t) => {
    const cluster = await startCluster();
    t.after(() => cluster.stop());
    const owner = await cluster.ownerOf("{tag}");
    await owner.command("SET", "{tag}key", "value");
    const other = cluster.masters.find((master) => master !== owner) as RedisServer;
    await assert.rejects(other.command("GET", "{tag}key"), /^\w*Error: MOVED /);
    await cluster.moveSlot(Number(await owner.command("CLUSTER", "KEYSLOT", "{tag}")), other);
    assert.equal(await cluster.ownerOf("{tag}"), other);
    assert.equal(await other.command("GET", "{tag}key"), "value");
    await assert.rejects(owner.command("GET", "{tag}key"), /MOVED/);
  });

  it("puts a replica in the place of its killed master", async (t) => {
    const cluster = await startCluster({ replicas: 1, config: { "cluster-node-timeout": "500" } });
    t.after(() => cluster.stop());
    const [master, replica] = [cluster.masters[0] as RedisServer, cluster.replicas[0] as RedisServer];
    assert.equal(await roleOf(replica), "slave");
    await master.kill();
    await eventually("the replica is master", async () => (await roleOf(replica)) === "master");
  });
});

describe("a pair under sentinels", () => {
  it("goes on with the replica when the master is killed", async (t) => {
    const setup = await startSentinel();
    t.after(() => setup.stop());
    assert.equal(await setup.currentMaster(), setup.master);
    await setup.master.command("SET", "key", "value");
    assert.equal(await setup.master.command("WAIT", "1", "5000"), 1);
    await setup.master.kill();
    await eventually("the sentinels name the replica", async () => (await setup.currentMaster()) === setup.replica);
    assert.equal(await setup.replica.command("GET", "key"), "value");
    assert.equal(await roleOf(setup.replica), "master");
  });
});
