/** What the doctor says of real servers, set up well and badly. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Check } from "../../../src/broker/redis/doctor/check.ts";
import { configurationChecks, configurationProblems } from "../../../src/broker/redis/doctor/configuration.ts";
import { conditionChecks } from "../../../src/broker/redis/doctor/condition.ts";
import { examine } from "../../../src/broker/redis/doctor/index.ts";
import { readServerTexts } from "../../../src/broker/redis/doctor/server-texts.ts";
import { openLink } from "../../../src/broker/redis/link/link.ts";
import type { RedisTarget } from "../../../src/broker/redis/link/target.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";

const PARTS = { clock: systemClock({ keepAlive: true }), random: () => 0.5, logger: silentLogger };

function targetOf(server: RedisServer, login: Pick<RedisTarget, "username" | "password"> = {}): RedisTarget {
  return { mode: "standalone", nodes: [{ host: "127.0.0.1", port: server.port }], db: 0, ...login };
}

function examined(target: RedisTarget): Promise<readonly Check[]> {
  return examine({ ...PARTS, target, namespace: "doctor", repair: false, patienceMs: 5_000 });
}

function verdicts(checks: readonly Check[]): Record<string, string> {
  return Object.fromEntries(checks.map(({ name, verdict }) => [name, verdict]));
}

function finding(checks: readonly Check[], name: string): Check {
  const found = checks.find((check) => check.name === name);
  assert.ok(found !== undefined, `nothing about ${name}`);
  return found;
}

describe("a Redis before the doctor", { timeout: 30_000 }, () => {
  let server: RedisServer;
  before(async () => (server = await startRedis({ appendonly: "always" })));
  after(() => server.stop());

  it("is well when it is set up well", async () => {
    const checks = await examined(targetOf(server));
    assert.deepEqual(
      checks.filter(({ verdict }) => verdict !== "ok"),
      [],
    );
    assert.deepEqual(Object.keys(verdicts(checks)).slice(0, 8), [
      "Version",
      "Eviction",
      "Persistence",
      "Memory",
      "Disk",
      "Replicas",
      "Clock",
      "Latency",
    ]);
    assert.match(finding(checks, "Persistence").found, /nothing that was acknowledged is lost/);
  });

  it("has a problem when it evicts, or is nearly full", async () => {
    await server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    assert.equal(finding(await examined(targetOf(server)), "Eviction").verdict, "warning");
    await server.command("CONFIG", "SET", "maxmemory", "1500000");
    const checks = await examined(targetOf(server));
    assert.equal(finding(checks, "Eviction").verdict, "problem");
    assert.match(finding(checks, "Memory").found, /% of maxmemory, 1\.4 MB/);
    await server.command("CONFIG", "SET", "maxmemory", "0");
    await server.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
  });

  it("tells what each kind of persistence loses", async () => {
    const told = async (...settings: readonly (readonly [string, string])[]): Promise<Check> => {
      for (const [name, value] of settings) await server.command("CONFIG", "SET", name, value);
      return finding(await examined(targetOf(server)), "Persistence");
    };
    assert.match((await told(["appendfsync", "everysec"])).found, /about the last second/);
    assert.equal((await told(["appendfsync", "no"])).verdict, "warning");
    const none = await told(["appendonly", "no"]);
    assert.match(none.found, /everything is lost/);
    assert.equal(none.verdict, "warning");
    assert.match((await told(["save", "60 1"])).found, /Snapshots only \(save 60 1\)/);
  });

  it("is examined as far as it lets itself be examined", async () => {
    await server.command("ACL", "SETUSER", "half", "on", ">pw", "~*", "&*", "+@all", "-config");
    const half = await examined(targetOf(server, { username: "half", password: "pw" }));
    assert.equal(finding(half, "Eviction").verdict, "ok");
    assert.match(finding(half, "Persistence").found, /CONFIG GET is forbidden/);
  });
});

describe("what a server says", () => {
  const info = (...fields: readonly (readonly [string, string])[]): ReadonlyMap<string, string> => new Map(fields);

  it("is judged by its version", () => {
    const judged = (...fields: readonly (readonly [string, string])[]): Check =>
      finding(configurationChecks({ info: info(...fields), config: undefined }), "Version");
    assert.equal(judged(["redis_version", "6.0.16"]).verdict, "problem");
    assert.equal(judged(["redis_version", "6.2.0"]).verdict, "ok");
    assert.equal(judged(["redis_version", "10.0.1"]).verdict, "ok");
    assert.equal(judged(["redis_version", "7.2.4"], ["valkey_version", "8.1.0"]).found, "Valkey 8.1.0.");
  });

  it("may be nothing", () => {
    const nothing = { info: undefined, config: undefined };
    assert.deepEqual(verdicts(configurationChecks(nothing)), { Configuration: "warning" });
    assert.deepEqual(conditionChecks(nothing), []);
    assert.deepEqual(verdicts(configurationChecks({ info: info(["redis_version", "7.0.0"]), config: undefined })), {
      Version: "ok",
      Eviction: "warning",
      Persistence: "warning",
    });
  });

  it("may be that it is in trouble", () => {
    const checks = conditionChecks({
      info: info(
        ["used_memory", "96"],
        ["maxmemory", "100"],
        ["rdb_last_bgsave_status", "err"],
        ["aof_last_write_status", "ok"],
        ["slave0", "ip=a,port=1,state=online,offset=1,lag=0"],
        ["slave1", "ip=b,port=1,state=wait_bgsave,offset=0,lag=0"],
      ),
      config: undefined,
    });
    assert.deepEqual(verdicts(checks), { Memory: "problem", Disk: "problem", Replicas: "warning" });
    assert.match(finding(checks, "Disk").found, /failed at taking a snapshot/);
    assert.match(finding(checks, "Replicas").found, /1 of 2/);
  });
});

describe("whoever opens a broker", { timeout: 20_000 }, () => {
  it("hears of what is set up badly and of nothing else", async () => {
    const server = await startRedis({ config: { "maxmemory-policy": "volatile-lru", maxmemory: "100mb" } });
    const link = await openLink({ ...PARTS, target: targetOf(server), slot: 0, name: "test" });
    assert.deepEqual(verdicts(await configurationProblems(link)), { Eviction: "problem", Persistence: "warning" });
    assert.equal((await readServerTexts(link)).config?.get("maxmemory-policy"), "volatile-lru");
    await link.close();
    await server.stop();
  });
});
