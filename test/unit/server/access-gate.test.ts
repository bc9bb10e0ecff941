/** Who is let into a server, and who is not. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { describe, test } from "node:test";
import type { Role } from "../../../src/api/operation.ts";
import { callerAddress, callerKey, isLoopbackHost, trustedProxies } from "../../../src/server/access/address.ts";
import { FAILURE_WINDOW_MS, MAX_FAILURES } from "../../../src/server/access/gate.ts";
import { FailureLimit, RateLimit } from "../../../src/server/access/limits.ts";
import { permit, permitPools, permitWorker } from "../../../src/server/principal.ts";
import {
  accessWorld,
  bearer,
  type CallersKind,
  LOCAL,
  newTestSecret,
  OPERATIONS_BY_CALLERS,
} from "../../support/access.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function strangeToken(): string {
  return `hf_nobody_${newTestSecret()}`;
}

describe("a server that only this machine reaches", () => {
  test("lets everybody in without a token, as an administrator", async () => {
    const { ask, access, firstTokens } = await accessWorld();
    assert.equal(access.needsToken, false);
    assert.deepEqual(firstTokens, []);
    for (const host of ["127.0.0.1:7420", "localhost:7420", "LOCALHOST", "[::1]:7420", "127.8.8.8"]) {
      assert.equal(await ask("admin", { host }), "loopback admin", host);
    }
  });

  test("takes no request under another name: a page's site may let its name point here", async () => {
    const { ask } = await accessWorld();
    const hosts = ["evil.example:7420", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.5", "", "[::2]:1"];
    for (const host of hosts) assert.equal(await ask("submit", { host }), "FORBIDDEN", host);
    assert.equal(await ask("submit", {}), "FORBIDDEN");
  });

  test("takes no request of a web page of another origin", async () => {
    const { ask } = await accessWorld({ corsOrigins: ["https://lab.example"] });
    const headers = (more: IncomingHttpHeaders): IncomingHttpHeaders => ({ ...LOCAL, ...more });
    const foreign = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "http://127.0.0.1:3000" },
      { origin: "http://localhost:7420" },
      { origin: "https://lab.example.evil.example" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ];
    for (const more of foreign) assert.equal(await ask("submit", headers(more)), "FORBIDDEN", JSON.stringify(more));
    const own = [
      { origin: "http://127.0.0.1:7420" },
      { origin: "https://lab.example", "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-origin" },
      { "sec-fetch-site": "none" },
    ];
    for (const more of own) assert.equal(await ask("submit", headers(more)), "loopback admin", JSON.stringify(more));
  });

  test("takes nothing without a token that a proxy passes on", async () => {
    const { ask } = await accessWorld();
    for (const name of ["x-forwarded-for", "x-real-ip", "forwarded", "x-forwarded-host"]) {
      assert.equal(await ask("look", { ...LOCAL, [name]: "203.0.113.9" }), "FORBIDDEN", name);
    }
  });

  test("believes no Host header of a caller from elsewhere, also where it was told to need no token", async () => {
    const { ask } = await accessWorld({ listenHost: "0.0.0.0", requireToken: false });
    assert.equal(await ask("admin", LOCAL), "loopback admin");
    for (const address of ["203.0.113.9", "10.0.0.5", "::ffff:10.0.0.5", "2001:db8::1"])
      assert.equal(await ask("look", { host: "localhost" }, address), "TOKEN_REFUSED", address);
  });

  test("judges a token that is shown, and its role", async () => {
    const { ask, access } = await accessWorld();
    const { token } = await access.tokens.create({ name: "ci", role: "read", createdBy: "test" });
    assert.equal(await ask("look", bearer(token)), "ci read");
    assert.equal(await ask("look", bearer(strangeToken())), "TOKEN_REFUSED");
    assert.equal(await ask("look", { ...LOCAL, authorization: "Basic abc" }), "TOKEN_REFUSED");
    assert.equal(await ask("look", { ...LOCAL, authorization: "Bearer " }), "loopback admin");
  });

  test("takes tokens only, if it is told so", async () => {
    const { ask, access, firstTokens } = await accessWorld({ requireToken: true });
    assert.equal(access.needsToken, true);
    assert.equal(await ask("look"), "TOKEN_REFUSED");
    assert.equal(firstTokens.length, 1);
    assert.equal(await ask("admin", bearer(firstTokens[0] ?? "")), "first admin");
  });

  test("needs tokens where one is set", async () => {
    const set = await accessWorld({ token: "a-set-token" });
    assert.equal(await set.ask("look"), "TOKEN_REFUSED");
    assert.equal(await set.ask("admin", bearer("a-set-token")), "setting admin");
  });

  test("needs tokens as soon as a proxy stands before it", async () => {
    const { access } = await accessWorld({ trustProxy: ["127.0.0.1"] });
    assert.equal(access.needsToken, true);
  });
});

describe("a server that others reach", () => {
  test("needs a token, made at the first start and told once", async () => {
    for (const listenHost of ["0.0.0.0", "::", "10.0.0.5", "worker-7"]) {
      const { ask, firstTokens, access } = await accessWorld({ listenHost });
      assert.equal(access.needsToken, true);
      assert.equal(await ask("look"), "TOKEN_REFUSED");
      assert.equal(firstTokens.length, 1);
      assert.equal(await ask("admin", { host: "anything", ...bearer(firstTokens[0] ?? "") }), "first admin");
    }
  });

  test("takes the token of its settings, and makes none then", async () => {
    const token = "a secret of the settings";
    const { ask, firstTokens } = await accessWorld({ listenHost: "0.0.0.0", token: token.replaceAll(" ", "-") });
    assert.deepEqual(firstTokens, []);
    assert.equal(await ask("admin", bearer("a-secret-of-the-settings")), "setting admin");
    assert.equal(await ask("admin", bearer("a-secret-of-the-setting")), "TOKEN_REFUSED");
  });

  test("lets everybody call what is for anyone, whatever token they show", async () => {
    const { ask } = await accessWorld({ listenHost: "0.0.0.0" });
    for (let time = 0; time < 2 * MAX_FAILURES; time += 1) {
      assert.equal(await ask("anyone", bearer(strangeToken())), "anyone read");
    }
    assert.equal(await ask("anyone", {}), "anyone read");
  });
});

test("each role may call what is for it, and an administrator everything", () => {
  const allowed: Readonly<Record<Role, readonly CallersKind[]>> = {
    admin: ["anyone", "admin", "submit", "worker", "look"],
    submit: ["anyone", "submit", "look"],
    worker: ["anyone", "worker", "look"],
    read: ["anyone", "look"],
  };
  for (const [role, kinds] of Object.entries(allowed)) {
    for (const [kind, operation] of Object.entries(OPERATIONS_BY_CALLERS)) {
      const call = (): void => permit({ name: "ci", tokenId: "id", role: role as Role }, operation);
      if ((kinds as readonly string[]).includes(kind)) call();
      else assert.throws(call, { code: "FORBIDDEN", message: new RegExp(`Token ci .*/${kind}.* role is ${role}`) });
    }
  }
});

test("a worker's token may be limited to pools, and a signature to one worker", () => {
  const limited = { name: "gpu", role: "worker", tokenId: "id", pools: ["gpu", "train"] } as const;
  permitPools(limited, ["train"]);
  permitPools({ ...limited, role: "worker" }, []);
  assert.throws(() => permitPools(limited, ["gpu", "qa"]), {
    code: "FORBIDDEN",
    message: /pool qa, only for gpu, train/,
  });
  permitPools({ name: "any", role: "worker" }, ["qa"]);
  const signed = { name: "worker:w1", role: "worker", workerId: "w1" } as const;
  permitWorker(signed, "w1");
  assert.throws(() => permitWorker(signed, "w2"), { code: "FORBIDDEN", message: /w1 .*w2/ });
  permitWorker(limited, "w2");
});

describe("signed requests of workers", () => {
  const SECRET = "shared by all workers";
  const sign = (id: string, at: number, secret = SECRET): IncomingHttpHeaders => ({
    host: "server:7420",
    "x-worker-id": id,
    "x-worker-timestamp": String(at),
    "x-worker-signature": createHmac("sha256", secret).update(`${id}:${at}`).digest("hex"),
  });

  test("let a worker in within five minutes, either way", async () => {
    const { ask, clock } = await accessWorld({ listenHost: "0.0.0.0", workerSecret: SECRET });
    const now = clock.now();
    for (const off of [0, -300_000, 300_000]) {
      assert.equal(await ask("worker", sign("w1", now + off)), "worker:w1 worker", String(off));
    }
    for (const off of [-300_001, 300_001]) {
      assert.equal(await ask("worker", sign("w1", now + off)), "TOKEN_REFUSED", String(off));
    }
  });

  test("are refused when any part is wrong or missing", async () => {
    const { ask, clock } = await accessWorld({ listenHost: "0.0.0.0", workerSecret: SECRET });
    const good = sign("w1", clock.now());
    const signature = String(good["x-worker-signature"]);
    const wrong: IncomingHttpHeaders[] = [
      { ...good, "x-worker-id": "w2" },
      { ...good, "x-worker-timestamp": String(clock.now() + 1) },
      { ...good, "x-worker-signature": sign("w1", clock.now(), "another")["x-worker-signature"] },
      { ...good, "x-worker-signature": signature.slice(0, 62) },
      { ...good, "x-worker-signature": `${signature}00` },
      { ...good, "x-worker-signature": "" },
      { ...good, "x-worker-id": undefined },
      { ...good, "x-worker-timestamp": undefined },
      { ...good, "x-worker-timestamp": "1e12" },
      { ...good, "x-worker-timestamp": new Date(clock.now()).toISOString() },
      { host: "server:7420" },
    ];
    for (const headers of wrong) assert.equal(await ask("worker", headers), "TOKEN_REFUSED", JSON.stringify(headers));
  });

  test("and tokens are asked for on loopback too, once there is a secret, but only for workers' calls", async () => {
    const { ask, access, clock } = await accessWorld({ workerSecret: SECRET });
    assert.equal(await ask("worker"), "TOKEN_REFUSED");
    assert.equal(await ask("look"), "loopback admin");
    assert.equal(await ask("submit"), "loopback admin");
    assert.equal(await ask("worker", { ...sign("w1", clock.now()), ...LOCAL }), "worker:w1 worker");
    const { token } = await access.tokens.create({ name: "fleet", role: "worker", createdBy: "test" });
    assert.equal(await ask("worker", bearer(token)), "fleet worker");
  });

  test("count for nothing where there is no secret", async () => {
    const { ask, clock } = await accessWorld({ listenHost: "0.0.0.0" });
    assert.equal(await ask("worker", sign("w1", clock.now())), "TOKEN_REFUSED");
  });
});

describe("limits", () => {
  test("an address that shows bad tokens waits for the rest of the minute, others do not", async () => {
    const { ask, access, clock } = await accessWorld({ listenHost: "0.0.0.0" });
    const { token } = await access.tokens.create({ name: "ci", role: "read", createdBy: "test" });
    for (let time = 0; time < MAX_FAILURES; time += 1) {
      assert.equal(await ask("look", bearer(strangeToken()), "203.0.113.9"), "TOKEN_REFUSED");
    }
    assert.equal(await ask("look", bearer(strangeToken()), "203.0.113.9"), "RATE_LIMITED");
    assert.equal(await ask("look", bearer(token), "203.0.113.9"), "RATE_LIMITED");
    assert.equal(await ask("look", bearer(token), "203.0.113.10"), "ci read");
    const request = { method: "GET", url: "/", headers: bearer(token), remoteAddress: "203.0.113.9" };
    await assert.rejects(access.identify(request, OPERATIONS_BY_CALLERS.look), {
      code: "RATE_LIMITED",
      details: { reason: " with a bad token", retryAfterMs: FAILURE_WINDOW_MS },
    });
    await clock.advance(FAILURE_WINDOW_MS);
    assert.equal(await ask("look", bearer(token), "203.0.113.9"), "ci read");
  });

  test("thousands of bad tokens from thousands of addresses lock nobody out and are cheap", async () => {
    const { ask, access, values } = await accessWorld({ listenHost: "0.0.0.0" });
    const { token } = await access.tokens.create({ name: "ci", role: "read", createdBy: "test" });
    const before = values.calls.readValue;
    const bad = Array.from({ length: 20_000 }, (_, at) =>
      ask("look", bearer(strangeToken()), `198.51.${at >> 8}.${at & 255}`),
    );
    const answers = await Promise.all([...bad, ask("look", bearer(token), "203.0.113.10")]);
    assert.equal(answers.at(-1), "ci read");
    assert.deepEqual([...new Set(answers.slice(0, -1))], ["TOKEN_REFUSED"]);
    assert.ok(values.calls.readValue - before <= 2);
    assert.equal(await ask("look", bearer(token), "203.0.113.10"), "ci read");
  });

  test("a store that is away is nobody's failure", async () => {
    const { ask, access, values, clock } = await accessWorld({ listenHost: "0.0.0.0" });
    const { token } = await access.tokens.create({ name: "ci", role: "read", createdBy: "test" });
    const { readValue } = values;
    await clock.advance(1_000);
    values.readValue = () => Promise.reject(new Error("away"));
    for (let time = 0; time < 2 * MAX_FAILURES; time += 1) await ask("look", bearer(token), "203.0.113.9");
    values.readValue = readValue;
    assert.equal(await ask("look", bearer(token), "203.0.113.9"), "ci read");
  });

  test("a token has so many requests per second", async () => {
    const { ask, access, clock } = await accessWorld({ requestsPerSecond: 10 });
    const create = (name: string) => access.tokens.create({ name, role: "read", createdBy: "test" });
    const [one, other] = [await create("one"), await create("other")];
    for (let time = 0; time < 10; time += 1) assert.equal(await ask("look", bearer(one.token)), "one read");
    assert.equal(await ask("look", bearer(one.token)), "RATE_LIMITED");
    assert.equal(await ask("look", bearer(other.token)), "other read");
    await clock.advance(100);
    assert.equal(await ask("look", bearer(one.token)), "one read");
    assert.equal(await ask("look", bearer(one.token)), "RATE_LIMITED");
    const unlimited = await accessWorld({ requestsPerSecond: 0 });
    for (let time = 0; time < 100; time += 1) assert.equal(await unlimited.ask("look"), "loopback admin");
  });

  test("counters are kept for a bounded number of callers", async () => {
    const clock = new VirtualClock();
    const failures = new FailureLimit(clock, { most: 1, windowMs: 1_000 });
    for (let at = 0; at < 50_000; at += 1) failures.fail(`caller ${at}`);
    assert.equal(failures.callers, 10_000);
    assert.equal(failures.waitMs("caller 49999"), 1_000);
    assert.equal(failures.waitMs("caller 0"), 0);
    await clock.advance(999);
    assert.equal(failures.waitMs("caller 49999"), 1);
    const rate = new RateLimit(clock, 1);
    assert.deepEqual([rate.take("a"), rate.take("a"), rate.take("b")], [0, 1_000, 0]);
  });
});

describe("addresses", () => {
  test("of a caller are what the last trusted proxy says", () => {
    const proxies = trustedProxies(["10.0.0.0/8", "::1"]);
    const of = (socketAddress: string, forwarded?: string): string =>
      callerAddress(
        { headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded }, socketAddress },
        proxies,
      );
    assert.equal(of("203.0.113.9", "1.2.3.4"), "203.0.113.9");
    assert.equal(of("10.0.0.1"), "10.0.0.1");
    assert.equal(of("10.0.0.1", "203.0.113.9"), "203.0.113.9");
    assert.equal(of("::ffff:10.0.0.1", "6.6.6.6, 203.0.113.9"), "203.0.113.9");
    assert.equal(of("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.2.2.2"), "203.0.113.9");
    assert.equal(of("10.0.0.1", "nonsense"), "10.0.0.1");
    assert.equal(of("::1", "2001:db8::7"), "2001:db8::7");
    for (const wrong of ["proxy.example", "10.0.0.0/33", "10.0.0.0/x", ""]) {
      assert.throws(() => trustedProxies([wrong]), { code: "INVALID_SETTING" }, wrong);
    }
  });

  test("of this machine are told from others", () => {
    for (const host of ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"]) {
      assert.equal(isLoopbackHost(host), true, host);
    }
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "localhost.example", "128.0.0.1", "", "1270.0.0.1"]) {
      assert.equal(isLoopbackHost(host), false, host);
    }
  });

  test("of one IPv6 network count as one caller", () => {
    assert.equal(callerKey("2001:db8:0:7::1"), callerKey("2001:0db8::7:ffff:0:0:9"));
    assert.notEqual(callerKey("2001:db8:0:7::1"), callerKey("2001:db8:0:8::1"));
    assert.equal(callerKey("203.0.113.9"), "203.0.113.9");
  });
});
