/** Who is let in, what one is told who is not, and TLS. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { describe, it } from "node:test";
import { RedisRefusal } from "../../../src/broker/redis/link/link.ts";
import { describeTarget, type RedisTarget } from "../../../src/broker/redis/link/target.ts";
import { type ErrorCode, HoldfastError } from "../../../src/errors/index.ts";
import { cleanups, eventually, scratchFolder } from "../../fixtures/sdk/scratch.ts";
import { rejection, standalone, testLink } from "../../support/redis-link.ts";
import { type RedisServer, sharedRedis, startRedis } from "../../support/redis-server.ts";

const PASSWORD = "correct-horse";
const USER_PASSWORD = "battery-staple";

function guarded(): Promise<RedisServer> {
  return startRedis({
    config: {
      requirepass: PASSWORD,
      "user worker": `on >${USER_PASSWORD} ~app:* &app:* +@all -@dangerous +info`,
      "user blind": `on >${USER_PASSWORD} ~* &* +@all -info`,
    },
  });
}

describe("a link to a server with users", { concurrency: true }, () => {
  it("comes in with the password", async (t) => {
    const cleanup = cleanups(t);
    const server = await guarded();
    cleanup(() => server.stop());
    const { link } = await testLink(standalone(server, { password: PASSWORD }), cleanup);
    assert.equal(await link.send(["PING"]), "PONG");
    const login = { username: "worker", password: USER_PASSWORD };
    const { link: workers } = await testLink(standalone(server, login), cleanup);
    assert.equal(await workers.send(["SET", "app:key", "1"]), "OK");
    const refusal = await rejection(workers.send(["SET", "other:key", "1"]));
    assert.ok(refusal instanceof RedisRefusal && refusal.code === "NOPERM");
    assert.ok(workers.isUp);
  });

  it("is told at once what is wrong, without the secret", async (t) => {
    const cleanup = cleanups(t);
    const server = await guarded();
    cleanup(() => server.stop());
    const wrong = "wrong-secret";
    const logins: Partial<RedisTarget>[] = [
      {},
      { password: wrong },
      { username: "worker", password: wrong },
      { username: "stranger", password: wrong },
      { username: "blind", password: USER_PASSWORD },
    ];
    for (const login of logins) {
      const error = await rejection(testLink(standalone(server, login), cleanup, { patienceMs: 60_000 }));
      assert.ok(HoldfastError.is(error, "UNAUTHORIZED"), String(error));
      const told = JSON.stringify([error.message, error.details, String(error.cause)]);
      assert.ok(![wrong, PASSWORD, USER_PASSWORD].some((secret) => told.includes(secret)), told);
    }
  });

  it("goes on trying when it was let in before", async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis();
    cleanup(() => server.stop());
    const { link } = await testLink(standalone(server), cleanup);
    await server.command("CONFIG", "SET", "requirepass", PASSWORD);
    await link.send(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]).catch(() => undefined);
    await eventually("the link is down", () => !link.isUp);
    const error = await rejection(link.ready(3_000));
    assert.ok(HoldfastError.is(error, "BROKER_UNREACHABLE"));
    assert.match(error.message, /NOAUTH/);
  });
});

describe("a link to the wrong thing", { concurrency: true }, () => {
  const refusals: readonly [what: string, more: Partial<RedisTarget>, code: ErrorCode, message: RegExp][] = [
    ["a database that is not there", { db: 99 }, "BROKER_UNREACHABLE", /DB index is out of range/],
    ["a password where none is set", { password: "x" }, "UNAUTHORIZED", /./],
    ["a cluster that is none", { mode: "cluster" }, "BROKER_UNREACHABLE", /cluster support disabled/],
  ];
  for (const [what, more, code, message] of refusals) {
    it(`is told at once: ${what}`, async (t) => {
      const target = standalone(await sharedRedis(), more);
      const error = await rejection(testLink(target, cleanups(t), { patienceMs: 60_000 }));
      assert.ok(HoldfastError.is(error, code), String(error));
      assert.match(error.message, message);
    });
  }

  it("is told at once: a node of a cluster taken for a server", async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis({ config: { "cluster-enabled": "yes" } });
    cleanup(() => server.stop());
    const error = await rejection(testLink(standalone(server), cleanup, { patienceMs: 60_000 }));
    assert.ok(HoldfastError.is(error, "BROKER_UNREACHABLE"));
    assert.match(error.message, /is part of a cluster/);
  });
});

describe("a link by TLS", () => {
  it("is made, and refuses a certificate that nobody vouches for", async (t) => {
    const cleanup = cleanups(t);
    const folder = await scratchFolder(t);
    if (!hasOpenssl()) {
      t.skip("there is no openssl to make a certificate with");
      return;
    }
    const { key, cert } = makeCertificate(folder);
    const port = await freePort();
    const tlsFiles = { "tls-cert-file": cert, "tls-key-file": key, "tls-ca-cert-file": cert };
    const server = await startRedis({ config: { "tls-port": String(port), "tls-auth-clients": "no", ...tlsFiles } });
    cleanup(() => server.stop());
    const place = { host: "localhost", port };
    const { link } = await testLink(standalone(place, { tls: { ca: readFileSync(cert, "utf8") } }), cleanup);
    assert.equal(await link.send(["PING"]), "PONG");
    await server.restart();
    await link.ready(20_000);

    const stranger = standalone(place, { tls: {} });
    assert.match(describeTarget(stranger), /^rediss:/);
    const error = await rejection(testLink(stranger, cleanup, { patienceMs: 3_000 }));
    assert.ok(HoldfastError.is(error, "BROKER_UNREACHABLE"));
    assert.match(error.message, /self-signed certificate/);
    const careless = standalone(place, { tls: { rejectUnauthorized: false } });
    assert.ok((await testLink(careless, cleanup)).link.isUp);
  });
});

function hasOpenssl(): boolean {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function makeCertificate(folder: string): { readonly key: string; readonly cert: string } {
  const key = path.join(folder, "key.pem");
  const cert = path.join(folder, "cert.pem");
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", ...kind, ...names, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { key, cert };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
