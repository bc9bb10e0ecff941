/** Shared state over HTTP: values, locks and checkpoints, on both brokers. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RESERVED_PREFIX } from "../../../src/broker/limits.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { watchedBroker } from "../../support/watched-broker.ts";

const WEEK_MS = 604_800_000;

interface Page {
  readonly values: readonly { readonly key: string; readonly value: unknown }[];
  readonly next?: string;
}

interface Grant {
  readonly owner: string;
  readonly token: number;
  readonly expiresAt: number;
}

function put(world: HttpWorld, path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${world.url}/api/v1${path}`, {
    method: "PUT",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
}

for (const store of ["sqlite", "redis"] as const) {
  describe(`values over HTTP (${store})`, () => {
    it("are written, read, listed and deleted, with their versions", async (t) => {
      const world = await startHttpWorld(t, { store });
      const written = await world.expect<{ version: number; expiresAt: number }>(200, "PUT /state/values/config", {
        value: { lr: 0.1 },
      });
      const read = await world.call("GET /state/values/config");
      const { updatedAt, ...rest } = read.json<{ updatedAt: number; expiresAt: number }>();
      const { version, expiresAt } = written;
      assert.deepEqual(rest, { success: true, key: "config", value: { lr: 0.1 }, version, expiresAt });
      assert.equal(expiresAt - updatedAt, WEEK_MS);
      assert.equal(read.headers.get("etag"), `"${version}"`);
      const again = await world.expect<{ version: number; expiresAt?: number }>(200, "PUT /state/values/config", {
        value: [],
        ttlMs: null,
      });
      assert.ok(again.version > version);
      assert.equal(again.expiresAt, undefined);
      assert.deepEqual(await world.expect(200, "DELETE /state/values/config"), { success: true, deleted: true });
      assert.deepEqual(await world.expect(200, "DELETE /state/values/config"), { success: true, deleted: false });
      assert.equal((await world.expect(404, "GET /state/values/config"))["code"], "VALUE_NOT_FOUND");
    });

    it("are any JSON, and come back as they were", async (t) => {
      const world = await startHttpWorld(t, { store });
      const texts = ["null", "false", "0", '""', "[]", "{}", '"\\ud800"', '{"a":[1.5,{"ü":null}]}', "1e-300"];
      for (const text of texts) {
        assert.equal((await put(world, "/state/values/v", `{"value":${text}}`)).status, 200, text);
        const { text: found } = await world.call("GET /state/values/v");
        assert.ok(found.includes(`"value":${text}`), found);
      }
      const refused = { "{}": "body.value", '{"value":12345678901234567890}': "body.value" };
      for (const [body, field] of Object.entries(refused)) {
        const answer = await put(world, "/state/values/v", body);
        assert.ok(answer.status === 400 || answer.status === 422, body);
        assert.equal(((await answer.json()) as { field: string }).field, field);
      }
      const deep = await put(world, "/state/values/v", `{"value":${"[".repeat(200_000)}${"]".repeat(200_000)}}`);
      assert.deepEqual([deep.status, ((await deep.json()) as { field: string }).field.startsWith("body")], [400, true]);
      const big = await put(world, "/state/values/v", JSON.stringify({ value: "x".repeat(1_048_577) }));
      assert.deepEqual([big.status, ((await big.json()) as { field: string }).field], [413, "body.value"]);
    });

    it("are compared and set, by field and in the words of HTTP", async (t) => {
      const world = await startHttpWorld(t, { store });
      const write = async (
        body: object,
        headers: Record<string, string> = {},
      ): Promise<[number, string | undefined]> => {
        const answer = await put(world, "/state/values/k", JSON.stringify({ value: 1, ...body }), headers);
        return [answer.status, ((await answer.json()) as { code?: string }).code];
      };
      const conflict = [409, "VERSION_CONFLICT"];
      assert.deepEqual(await write({}, { "if-none-match": "*" }), [200, undefined]);
      assert.deepEqual(await write({}, { "if-none-match": "*" }), conflict);
      assert.deepEqual(await write({ ifVersion: 0 }), conflict);
      const { version } = (await world.call("GET /state/values/k")).json<{ version: number }>();
      const etag = `"${version}"`;
      assert.deepEqual(await write({ ifVersion: version }, { "if-match": etag }), [200, undefined]);
      assert.deepEqual(await write({}, { "if-match": etag }), conflict);
      for (const headers of [{ "if-match": "*" }, { "if-match": "3" }, { "if-none-match": etag }]) {
        const answer = await put(world, "/state/values/k", '{"value":1}', headers);
        const { field } = (await answer.json()) as { field: string };
        assert.deepEqual([answer.status, field], [400, `header ${Object.keys(headers)[0]}`]);
      }
      assert.deepEqual(await write({ ifVersion: 3 }, { "if-match": '"4"' }), [400, "INVALID_REQUEST"]);
      assert.deepEqual(await write({}, { "if-match": '"4"', "if-none-match": "*" }), [400, "INVALID_REQUEST"]);
      const stale = await world.call(`DELETE /state/values/k?ifVersion=${version}`);
      assert.equal(stale.status, 409);
      const now = (await world.call("GET /state/values/k")).headers.get("etag") ?? "";
      const deleted = await world.call("DELETE /state/values/k", undefined, { headers: { "if-match": now } });
      assert.deepEqual(deleted.json(), { success: true, deleted: true });
    });

    it("are written once under one write id", async (t) => {
      const world = await startHttpWorld(t, { store });
      const write = (value: number, writeId: string): Promise<unknown> =>
        world.expect(200, "PUT /state/values/k", { value, writeId });
      const first = await write(1, "a");
      await write(2, "b");
      assert.deepEqual(await write(1, "a"), first);
      assert.equal((await world.expect(200, "GET /state/values/k"))["value"], 2);
    });

    it("are found under any name, listed by prefix, page by page", async (t) => {
      const world = await startHttpWorld(t, { store });
      const names = ["run/1", "run/2", "run/a b?#%", "run/../x", "run/ü", "latest"];
      for (const name of names) {
        await world.expect(200, `PUT /state/values/${encodeURIComponent(name)}`, { value: name });
      }
      const { value } = await world.expect<{ value: unknown }>(200, "GET /state/values/run%2F..%2Fx");
      assert.equal(value, "run/../x");
      const keys: string[] = [];
      let cursor: string | undefined;
      do {
        const more: string = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
        const page: Page = await world.expect<Page>(200, `GET /state/values?prefix=run%2F&limit=2${more}`);
        keys.push(...page.values.map(({ key }) => key));
        cursor = page.next;
      } while (cursor !== undefined);
      assert.deepEqual(keys, names.filter((name) => name.startsWith("run/")).toSorted());
    });

    it("of Holdfast itself are refused by name and not listed", async (t) => {
      const world = await startHttpWorld(t, { store });
      await world.broker.writeValue({ key: `${RESERVED_PREFIX}secret`, value: "1", ttlMs: null });
      await world.broker.acquireLock({ lock: `${RESERVED_PREFIX}l`, owner: "o", ttlMs: 60_000, waitMs: 0 });
      await world.expect(200, "PUT /state/values/mine", { value: 1 });
      const calls: readonly (readonly [string, string, unknown?])[] = [
        ["GET /state/values/holdfast%3Asecret", "params.key"],
        ["PUT /state/values/holdfast:secret", "params.key", { value: 2 }],
        ["DELETE /state/values/holdfast:secret", "params.key"],
        ["GET /state/values?prefix=holdfast:sec", "query.prefix"],
        ["POST /state/locks/holdfast:l/acquire", "params.lock", {}],
        ["POST /state/locks/holdfast:l/release", "params.lock", { owner: "o" }],
        ["GET /state/locks/holdfast:l", "params.lock"],
        ["POST /state/checkpoints/holdfast:c", "params.scope", { data: 1 }],
        ["GET /state/checkpoints/holdfast:c/latest", "params.scope"],
      ];
      for (const [request, field, body] of calls) {
        const refusal = await world.expect(403, request, body);
        assert.deepEqual([refusal["code"], refusal["field"]], ["NAME_RESERVED", field], request);
      }
      const { values } = await world.expect<Page>(200, "GET /state/values?prefix=");
      assert.deepEqual(
        values.map(({ key }) => key),
        ["mine"],
      );
      assert.deepEqual((await world.expect(200, "GET /state/locks"))["locks"], []);
    });
  });

  describe(`locks over HTTP (${store})`, () => {
    it("are acquired, shown, extended and released", async (t) => {
      const world = await startHttpWorld(t, { store });
      const path = "/state/locks/gpu%2F0";
      const grant = await world.expect<Grant>(200, `POST ${path}/acquire`, { owner: "me", note: "training" });
      const again = await world.expect<Grant>(200, `POST ${path}/acquire`, { owner: "me" });
      assert.equal(again.token, grant.token);
      const { lock } = await world.expect<{ lock: Record<string, unknown> }>(200, `GET ${path}`);
      assert.deepEqual(
        [lock["lock"], lock["owner"], lock["token"], lock["note"], lock["waiting"]],
        ["gpu/0", "me", grant.token, "training", 0],
      );
      assert.equal((lock["expiresAt"] as number) - (lock["acquiredAt"] as number) >= 30_000, true);
      const extended = await world.expect<Grant>(200, `POST ${path}/extend`, { owner: "me", ttlMs: 90_000 });
      assert.ok(extended.token === grant.token && extended.expiresAt > grant.expiresAt + 30_000);
      assert.equal((await world.expect(409, `POST ${path}/extend`, { owner: "you" }))["code"], "LOCK_LOST");
      assert.deepEqual(await world.expect(200, `POST ${path}/release`, { owner: "you" }), {
        success: true,
        released: false,
      });
      assert.deepEqual(await world.expect(200, `POST ${path}/release`, { owner: "me" }), {
        success: true,
        released: true,
      });
      assert.equal((await world.expect(404, `GET ${path}`))["code"], "LOCK_NOT_HELD");
      const next = await world.expect<Grant>(200, `POST ${path}/acquire`);
      assert.ok(next.token > grant.token && next.owner !== "");
    });

    it("tell whoever did not get one who holds it and how many come before", async (t) => {
      const world = await startHttpWorld(t, { store });
      await world.expect(200, "POST /state/locks/l/acquire", { owner: "holder" });
      const refusal = await world.expect<{ code: string; details: Record<string, unknown> }>(
        409,
        "POST /state/locks/l/acquire",
        {
          owner: "second",
          wait: "10ms",
        },
      );
      const { holderExpiresAt, ...details } = refusal.details;
      assert.equal(refusal.code, "LOCK_TAKEN");
      assert.equal(typeof holderExpiresAt, "number");
      assert.deepEqual(details, { lock: "l", owner: "second", waitedMs: 10, ahead: 0, holder: "holder" });
      const third = await world.expect<{ details: Record<string, unknown> }>(409, "POST /state/locks/l/acquire", {
        owner: "third",
        wait: "10ms",
      });
      assert.equal(third.details["ahead"], 1);
    });

    it("are waited for longer than one slice, and go to whoever waits as soon as they are free", async (t) => {
      const world = await startHttpWorld(t, { store });
      await world.expect(200, "POST /state/locks/l/acquire", { owner: "holder" });
      const waiting = world.expect<Grant>(200, "POST /state/locks/l/acquire", { owner: "waiter", wait: "30s" });
      await waits(world, "l");
      await world.expect(409, "POST /state/locks/l/acquire", { owner: "impatient", wait: "700ms" });
      await world.expect(200, "POST /state/locks/l/release", { owner: "holder" });
      assert.equal((await waiting).owner, "waiter");
    });

    it("are not given to a caller that has gone and that nobody can speak for", async (t) => {
      const world = await startHttpWorld(t, { store });
      await world.expect(200, "POST /state/locks/l/acquire", { owner: "holder" });
      const caller = new AbortController();
      const gone = world.call(
        "POST /state/locks/l/acquire",
        { wait: "30s", ttlMs: 600_000 },
        { signal: caller.signal },
      );
      await waits(world, "l");
      caller.abort();
      await assert.rejects(gone);
      await eventually("its place in line is given up", async () => {
        const { lock } = await world.expect<{ lock: { waiting: number } }>(200, "GET /state/locks/l");
        return lock.waiting === 0;
      });
      await world.expect(200, "POST /state/locks/l/release", { owner: "holder" });
      await world.expect(200, "POST /state/locks/l/acquire", { owner: "next" });
    });

    it("keep an owner's place while it comes back over another connection", async (t) => {
      const world = await startHttpWorld(t, { store });
      await world.expect(200, "POST /state/locks/l/acquire", { owner: "holder" });
      const caller = new AbortController();
      const body = { owner: "named", wait: "30s" };
      const gone = world.call("POST /state/locks/l/acquire", body, { signal: caller.signal });
      await waits(world, "l");
      caller.abort();
      await assert.rejects(gone);
      const back = world.expect<Grant>(200, "POST /state/locks/l/acquire", body);
      await world.expect(409, "POST /state/locks/l/acquire", { owner: "later", wait: "1s" });
      await world.expect(200, "POST /state/locks/l/release", { owner: "holder" });
      const { token } = await back;
      // What the first connection still had under way must not take the lock from it again.
      await world.expect(409, "POST /state/locks/l/acquire", { owner: "later", wait: "1s" });
      assert.equal((await world.expect<{ lock: Grant }>(200, "GET /state/locks/l")).lock.token, token);
    });

    it("name the field that is wrong", async (t) => {
      const world = await startHttpWorld(t, { store });
      const wrong = { ttlMs: 0, wait: "1h", owner: "", note: 5, more: 1 };
      for (const [field, value] of Object.entries(wrong)) {
        const refusal = await world.expect(400, "POST /state/locks/l/acquire", { [field]: value });
        assert.equal(refusal["field"], `body.${field}`);
      }
      assert.equal((await world.expect(400, "POST /state/locks/l/release", {}))["field"], "body.owner");
      assert.equal((await world.expect(400, `GET /state/locks/${"l".repeat(513)}`))["field"], "params.lock");
    });
  });

  describe(`checkpoints over HTTP (${store})`, () => {
    it("are saved, listed, read, pruned and deleted", async (t) => {
      const world = await startHttpWorld(t, { store });
      const path = "/state/checkpoints/exec%2F3";
      for (let version = 1; version <= 7; version += 1) {
        const saved = await world.expect(200, `POST ${path}`, { data: { step: version }, label: `step ${version}` });
        assert.deepEqual(saved, { success: true, scope: "exec/3", version });
      }
      const versions = async (): Promise<number[]> => {
        const { checkpoints } = await world.expect<{ checkpoints: { version: number }[] }>(200, `GET ${path}`);
        return checkpoints.map(({ version }) => version);
      };
      assert.deepEqual(await versions(), [7, 6, 5, 4, 3]);
      const { savedAt, ...latest } = await world.expect(200, `GET ${path}/latest`);
      assert.equal(typeof savedAt, "number");
      assert.deepEqual(latest, {
        success: true,
        scope: "exec/3",
        version: 7,
        fence: 0,
        size: '{"step":7}'.length,
        label: "step 7",
        data: { step: 7 },
      });
      assert.deepEqual((await world.expect(200, `GET ${path}/4`))["data"], { step: 4 });
      assert.equal((await world.expect(404, `GET ${path}/2`))["code"], "CHECKPOINT_NOT_FOUND");
      for (const version of ["0", "x", "-1", "1.5"]) {
        assert.equal((await world.expect(400, `GET ${path}/${version}`))["field"], "params.version");
      }
      assert.equal((await world.expect(200, `DELETE ${path}/6`))["deleted"], 1);
      assert.equal((await world.expect(200, `POST ${path}/prune`, { keep: 2 }))["deleted"], 2);
      assert.deepEqual(await versions(), [7, 5]);
      assert.equal((await world.expect(200, `POST ${path}/prune`))["deleted"], 0);
      assert.equal((await world.expect(200, `DELETE ${path}`))["deleted"], 2);
      assert.deepEqual(await versions(), []);
      await world.expect(404, `GET ${path}/latest`);
    });

    it("of one who was replaced are refused", async (t) => {
      const world = await startHttpWorld(t, { store });
      await world.expect(200, "POST /state/checkpoints/s", { data: 1, fence: 2 });
      await world.expect(200, "POST /state/checkpoints/s", { data: 2, fence: 2 });
      const refusal = await world.expect(409, "POST /state/checkpoints/s", { data: 3, fence: 1 });
      assert.equal(refusal["code"], "CHECKPOINT_FENCED");
      assert.equal((await world.expect(200, "GET /state/checkpoints/s/latest"))["data"], 2);
    });

    it("may be large, up to a limit, and are saved once under one save id", async (t) => {
      const world = await startHttpWorld(t, { store });
      const data = "y".repeat(3_000_000);
      const first = await world.expect(200, "POST /state/checkpoints/s", { data, saveId: "a" });
      await world.expect(200, "POST /state/checkpoints/s", { data: 2 });
      assert.deepEqual(await world.expect(200, "POST /state/checkpoints/s", { data, saveId: "a" }), first);
      assert.equal((await world.expect(200, "GET /state/checkpoints/s/1"))["data"], data);
      const refusal = await world.expect(413, "POST /state/checkpoints/s", { data: "z".repeat(8_388_608) });
      assert.equal(refusal["field"], "body.data");
    });
  });
}

/** Somebody stands in line for the lock. */
async function waits(world: HttpWorld, lock: string): Promise<void> {
  await eventually("somebody stands in line", async () => {
    const { lock: held } = await world.expect<{ lock: { waiting: number } }>(200, `GET /state/locks/${lock}`);
    return held.waiting > 0;
  });
}

describe("a lock that is granted to a caller that has gone", () => {
  it("is free at once where nobody else can know its owner", async (t) => {
    const inner = await startHttpWorld(t);
    const granted = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const broker = watchedBroker(inner.broker, async (method, perform) => {
      const reply = await perform();
      if (method !== "acquireLock") return reply;
      granted.resolve();
      await gate.promise;
      return reply;
    });
    const world = await startHttpWorld(t, { broker });
    const caller = new AbortController();
    const gone = world.call("POST /state/locks/l/acquire", { ttlMs: 600_000 }, { signal: caller.signal });
    await granted.promise;
    caller.abort();
    await assert.rejects(gone);
    // By the time that a later request is answered, the server has seen the connection end.
    for (let time = 0; time < 3; time += 1) await world.expect(200, "GET /state/locks");
    gate.resolve();
    await world.expect(200, "POST /state/locks/l/acquire", { owner: "next", wait: "10s" });
  });
});
