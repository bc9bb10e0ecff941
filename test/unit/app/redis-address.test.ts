import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { parseBrokerAddress } from "../../../src/app/broker-address.ts";
import { displayAddress, secretsOf } from "../../../src/app/display-address.ts";
import { redisOf } from "../../../src/app/redis-target.ts";
import type { RedisTarget } from "../../../src/broker/redis/link/target.ts";
import { loadSettings, type SettingsSources } from "../../../src/config/index.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";

function target(sources: SettingsSources): RedisTarget {
  const found = redisOf(loadSettings(sources));
  assert.ok(found !== undefined, "no Redis is named");
  return found;
}

function at(broker: string, env: Readonly<Record<string, string>> = {}): RedisTarget {
  return target({ flags: { broker }, env });
}

function refusal(act: () => unknown): HoldfastError {
  try {
    act();
  } catch (thrown) {
    assert.ok(thrown instanceof HoldfastError);
    return thrown;
  }
  assert.fail("this was taken");
}

const HOME = { host: "127.0.0.1", port: 6_379 };

describe("an address of Redis", () => {
  it("names one server", () => {
    assert.deepEqual(at("redis://here"), { mode: "standalone", nodes: [{ host: "here", port: 6_379 }], db: 0 });
    assert.deepEqual(at("REDIS://[::1]:7000/3/"), { mode: "standalone", nodes: [{ host: "::1", port: 7_000 }], db: 3 });
    assert.deepEqual(at("rediss://me:p%40ss@here:1"), {
      mode: "standalone",
      nodes: [{ host: "here", port: 1 }],
      db: 0,
      username: "me",
      password: "p@ss",
      tls: {},
    });
    assert.equal(at("redis://:a:b/c@d@here").password, "a:b/c@d");
  });

  it("names sentinels and their master", () => {
    assert.deepEqual(at("redis+sentinel://:pw@one,two:7/main/2"), {
      mode: "sentinel",
      nodes: [
        { host: "one", port: 26_379 },
        { host: "two", port: 7 },
      ],
      masterName: "main",
      db: 2,
      password: "pw",
    });
  });

  it("names nodes of a cluster", () => {
    const { mode, nodes, tls } = at("rediss+cluster://one,two:7/0");
    assert.deepEqual({ mode, tls }, { mode: "cluster", tls: {} });
    assert.deepEqual(nodes, [
      { host: "one", port: 6_379 },
      { host: "two", port: 7 },
    ]);
  });

  it("is refused when it is cut off or says too much, and never shows its password", () => {
    const wrong = [
      ...["redis://", "redis://a,b", "redis://a/x", "redis://a/1/2", "redis://a:99999", "redis://a:0", "redis://a?x=1"],
      ...["redis+sentinel://a", "redis+sentinel://a/main/x", "redis+cluster://a/1", "redis+tunnel://a", "redis:6379"],
      ...["redis://a b", "redis://%zz:x@a", "rediss:", "redis://me:hunter2@", "redis:/me:hunter2@here"],
    ];
    for (const address of wrong) {
      const error = refusal(() => parseBrokerAddress(address));
      assert.equal(error.code, "INVALID_BROKER_URL", address);
      assert.doesNotMatch(error.message, /hunter2/);
    }
    assert.doesNotMatch(refusal(() => parseBrokerAddress("me:hunter2@here")).message, /hunter2/);
    assert.equal(parseBrokerAddress("./redis").kind, "home");
  });
});

describe("the Redis of the settings", () => {
  it("is the broker where nobody names another", () => {
    assert.deepEqual(target({ env: { REDIS_URL: "redis://here:7/1" } }).nodes, [{ host: "here", port: 7 }]);
    assert.deepEqual(target({ env: { REDIS_HOST: "here", REDIS_PORT: "7", REDIS_DB: "2" } }), {
      mode: "standalone",
      nodes: [{ host: "here", port: 7 }],
      db: 2,
    });
    const sentinels = target({ env: { REDIS_SENTINELS: "a, b:1", REDIS_SENTINEL_MASTER: "main" } });
    assert.equal(sentinels.masterName, "main");
    assert.deepEqual(
      sentinels.nodes.map(({ port }) => port),
      [26_379, 1],
    );
    assert.equal(target({ env: { REDIS_CLUSTER_NODES: "a:1" } }).mode, "cluster");
  });

  it("is left alone where somebody does, and where only a password is set", () => {
    const REDIS_URL = "redis://here";
    for (const env of [
      { REDIS_URL, HOLDFAST_BROKER: "folder" },
      { REDIS_PASSWORD: "x", REDIS_PORT: "7" },
      { REDIS_URL: "", REDIS_HOST: "" },
    ])
      assert.equal(redisOf(loadSettings({ env })), undefined, JSON.stringify(env));
  });

  it("is meant by redis: and by redis", () => {
    for (const broker of ["redis:", "redis", " Redis: "]) {
      assert.deepEqual(at(broker), { mode: "standalone", nodes: [HOME], db: 0 });
      assert.deepEqual(at(broker, { REDIS_URL: "redis+cluster://a:1" }).mode, "cluster");
    }
  });

  it("completes an address with what it leaves out", () => {
    const env = { REDIS_USERNAME: "me", REDIS_PASSWORD: "pw", REDIS_DB: "4", REDIS_HOST: "elsewhere" };
    const plain = { mode: "standalone", nodes: [{ host: "here", port: 6_379 }] };
    assert.deepEqual(at("redis://here", env), { ...plain, db: 4, username: "me", password: "pw" });
    assert.deepEqual(at("redis://you@here/0", env), { ...plain, db: 0, username: "you", password: "pw" });
    assert.deepEqual(at("redis://:own@here/0", env), { ...plain, db: 0, password: "own" });
    const { sentinelPassword } = at("redis+sentinel://a/main", { REDIS_SENTINEL_PASSWORD: "s" });
    assert.equal(sentinelPassword, "s");
    assert.deepEqual(at("redis://here", { REDIS_TLS: "true" }).tls, {});
    assert.deepEqual(at("rediss://here", { REDIS_TLS: "no" }).tls, {});
    assert.equal(at("redis://here", { REDIS_TLS: "0" }).tls, undefined);
  });

  it("reads certificates from files", () =>
    withTemporaryFolder(async (folder) => {
      const [ca, cert, key] = ["ca", "cert", "key"].map((name) => path.join(folder, name)) as [string, string, string];
      await Promise.all([ca, cert, key].map((file) => writeFile(file, `the ${path.basename(file)}`)));
      const env = { REDIS_TLS_CA: ca, REDIS_TLS_CERT: cert, REDIS_TLS_KEY: key };
      assert.deepEqual(at("redis:", env).tls, { ca: "the ca", cert: "the cert", key: "the key" });
      assert.match(refusal(() => at("redis:", { REDIS_TLS_CERT: cert })).message, /REDIS_TLS_KEY is not set/);
      assert.match(refusal(() => at("redis:", { ...env, REDIS_TLS: "no" })).message, /REDIS_TLS is no; expected yes/);
      assert.match(
        refusal(() => at("redis:", { REDIS_TLS_CA: path.join(folder, "gone") })).message,
        /REDIS_TLS_CA is ".*gone"; expected a file that can be read \(ENOENT/,
      );
    }));

  it("is refused where it contradicts itself", () => {
    const wrong: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
      [
        { REDIS_URL: "redis://a", REDIS_HOST: "b" },
        /REDIS_HOST is set as well; expected one of REDIS_URL and REDIS_HOST/,
      ],
      [{ REDIS_SENTINELS: "a", REDIS_CLUSTER_NODES: "b" }, /expected one of REDIS_SENTINELS and REDIS_CLUSTER_NODES/],
      [{ REDIS_SENTINELS: "a" }, /REDIS_SENTINEL_MASTER is not set/],
      [{ REDIS_CLUSTER_NODES: "a", REDIS_DB: "1" }, /REDIS_DB is 1; expected 0/],
      [{ REDIS_CLUSTER_NODES: "a:0" }, /REDIS_CLUSTER_NODES is a:0; expected hosts with ports/],
      [{ REDIS_URL: "http://me:hunter2@a" }, /REDIS_URL is "http:\/\/\*\*\*@a"; expected an address such as redis:/],
    ];
    for (const [env, message] of wrong) {
      const error = refusal(() => target({ env }));
      assert.equal(error.code, "INVALID_SETTING");
      assert.match(error.message, message);
    }
    assert.equal(target({ env: { REDIS_URL: "redis://a:7", REDIS_HOST: "a", REDIS_PORT: "7" } }).nodes[0]?.port, 7);
  });

  it("refuses wrong values by the name that the person wrote, but not those that Kubernetes makes", () => {
    assert.match(
      refusal(() => loadSettings({ env: { REDIS_PORT: "99999" } })).message,
      /^Setting REDIS_PORT is "99999"; expected a whole number from 1 to 65535\.$/,
    );
    assert.match(refusal(() => loadSettings({ env: { REDIS_TLS: "maybe" } })).message, /expected yes or no/);
    assert.match(
      refusal(() => loadSettings({ env: { REDIS_SENTINELS: "a b" } })).message,
      /expected addresses such as/,
    );
    assert.equal(loadSettings({ env: { REDIS_PORT: "tcp://10.0.0.1:6379" } }).redisPort, 6_379);
    assert.equal(loadSettings({ env: { REDIS_PORT: "7", HOLDFAST_REDIS_PORT: "8" } }).redisPort, 8);
    assert.equal(loadSettings({ env: { REDIS_HOTS: "x" } }).redisHost, undefined);
    assert.match(
      refusal(() => loadSettings({ env: { HOLDFAST_NAMESPACE: "a b" } })).message,
      /expected up to 64 letters/,
    );
    assert.match(refusal(() => loadSettings({ env: { HOLDFAST_SHARDS: "33" } })).message, /from 1 to 32/);
  });
});

describe("an address for the screen", () => {
  const shown = (broker: string, env: Readonly<Record<string, string>> = {}): string =>
    displayAddress(loadSettings({ flags: { broker }, env }));

  it("finds the same place again and tells no secret", () => {
    assert.equal(shown("redis://me:hunter2@here"), "redis://here:6379/0");
    assert.equal(shown("redis:", { REDIS_URL: "rediss://:hunter2@[::1]:7/2" }), "rediss://[::1]:7/2");
    assert.equal(shown("redis+sentinel://:hunter2@a,b/main/1"), "redis+sentinel://a:26379,b:26379/main/1");
    assert.equal(shown("redis+cluster://me:hunter2@a"), "redis+cluster://a:6379");
    assert.equal(shown("wss://me:hunter2@here/x?token=hunter2"), "wss://***@here/x?token=***");
    for (const same of [".holdfast", "sqlite:a@b.db", "a@b"]) assert.equal(shown(same), same);
  });

  it("knows what no log may hold", () => {
    const env = { HOLDFAST_TOKEN: "t0", REDIS_URL: "redis://:p%2F0@h", REDIS_SENTINEL_PASSWORD: "s0" };
    const secrets = secretsOf(loadSettings({ flags: { broker: "redis://me:b0@h" }, env }));
    assert.deepEqual(secrets.toSorted(), ["b0", "b0", "p%2F0", "p/0", "s0", "t0"]);
  });
});
