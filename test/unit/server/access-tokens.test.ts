/** Tokens in the store that all servers share, and what each server keeps of them. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { digestOf, parseToken } from "../../../src/server/access/token-text.ts";
import { LOOK_EVERY_MS, type NewToken, TokenStore } from "../../../src/server/access/token-store.ts";
import { MemoryValues } from "../../support/value-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const DAY_MS = 86_400_000;
const CI: NewToken = { name: "ci", role: "submit", createdBy: "test" };

interface World {
  readonly clock: VirtualClock;
  readonly values: MemoryValues;
  readonly server: () => TokenStore;
}

function world(): World {
  const clock = new VirtualClock();
  const values = new MemoryValues(clock);
  let ids = 0;
  const newId = (): string => `id${(ids += 1)}`;
  const newSecret = (): string => randomBytes(32).toString("base64url");
  return { clock, values, server: () => new TokenStore({ store: values, clock, newId, newSecret }) };
}

async function verdictOf(tokens: TokenStore, text: string): Promise<string> {
  const verdict = await tokens.verify(text);
  return "token" in verdict ? verdict.token.role : verdict.refused;
}

test("a token is good on every server at once, and only whole", async () => {
  const { server } = world();
  const [one, other] = [server(), server()];
  assert.equal(await verdictOf(other, "hf_none_00000000000000000000000000000000"), "unknown");
  const made = await one.create({ name: "ci", role: "worker", pools: ["gpu"], createdBy: "test" });
  const verdict = await other.verify(made.token);
  assert.ok("token" in verdict);
  const { id, name, role, pools } = verdict.token;
  assert.deepEqual({ id, name, role, pools }, { id: made.id, name: "ci", role: "worker", pools: ["gpu"] });
  const wrong = [made.token.slice(0, -1), `${made.token}A`, made.token.toUpperCase(), ` ${made.token}`, made.id, ""];
  for (const text of wrong) assert.equal(await verdictOf(one, text), "unknown", text);
  const { secret = "" } = parseToken(made.token) ?? {};
  assert.equal(await verdictOf(one, `hf_other_${secret}`), "unknown");
});

test("what is stored does not give the token away", async () => {
  const { server, values } = world();
  const { token, id } = await server().create(CI);
  const { secret = "" } = parseToken(token) ?? {};
  const stored = [...values.values].map(([key, { value }]) => `${key} ${value}`).join("\n");
  assert.match(stored, new RegExp(`^holdfast:token:${id} `, "m"));
  assert.ok(stored.includes(digestOf(secret).toString("hex")));
  assert.ok(!stored.includes(secret));
  assert.ok(Buffer.from(secret, "base64url").length * 8 >= 192);
});

test("a token that is revoked on one server is refused by another within two seconds", async () => {
  const { server, clock } = world();
  const [one, other] = [server(), server()];
  const { token, id } = await one.create(CI);
  assert.equal(await verdictOf(other, token), "submit");
  assert.equal(await other.isGood(id), true);
  await one.revoke(id);
  assert.equal(await verdictOf(one, token), "unknown");
  await clock.advance(LOOK_EVERY_MS);
  assert.ok(LOOK_EVERY_MS <= 2_000);
  assert.equal(await verdictOf(other, token), "unknown");
  assert.equal(await other.isGood(id), false);
});

test("a revocation whose note was lost in a crash counts after a minute, or when it is repeated", async () => {
  const { server, clock, values } = world();
  const [one, other] = [server(), server()];
  const { token, id } = await one.create(CI);
  const second = await one.create(CI);
  for (const text of [token, second.token]) assert.equal(await verdictOf(other, text), "submit");
  await values.deleteValue({ key: `holdfast:token:${id}` });
  await assert.rejects(one.revoke(id), { code: "TOKEN_NOT_FOUND" });
  await clock.advance(LOOK_EVERY_MS);
  assert.equal(await verdictOf(other, token), "unknown");
  await values.deleteValue({ key: `holdfast:token:${second.id}` });
  await clock.advance(60_000);
  assert.equal(await verdictOf(other, second.token), "unknown");
});

test("an expired token is refused the moment it expires, stays in the list for a week, and goes", async () => {
  const { server, clock } = world();
  const tokens = server();
  const { token, id } = await tokens.create({ ...CI, expiresInMs: 30 * DAY_MS });
  await clock.advance(30 * DAY_MS - 1);
  assert.equal(await verdictOf(tokens, token), "submit");
  await clock.advance(1);
  assert.equal(await verdictOf(tokens, token), "expired");
  assert.equal(await tokens.isGood(id), false);
  assert.deepEqual(
    (await tokens.list()).map((view) => [view.id, view.expired]),
    [[id, true]],
  );
  await clock.advance(7 * DAY_MS);
  assert.deepEqual(await tokens.list(), []);
  assert.equal(await verdictOf(tokens, token), "unknown");
});

test("thousands of calls with thousands of tokens cost the store one read a second", async () => {
  const { server, clock, values } = world();
  const tokens = server();
  const made = await Promise.all(
    Array.from({ length: 1_500 }, (_, at) => tokens.create({ ...CI, name: `worker ${at}` })),
  );
  await tokens.verify(made[0]?.token ?? "");
  const before = { ...values.calls };
  for (let second = 0; second < 5; second += 1) {
    await clock.advance(LOOK_EVERY_MS);
    const verdicts = await Promise.all(made.map(({ token }) => tokens.verify(token)));
    assert.ok(verdicts.every((verdict) => "token" in verdict));
  }
  assert.equal(values.calls.readValue - before.readValue, 5);
  assert.equal(values.calls.listValues - before.listValues, 0);
});

test("bad tokens that come together cost the store one read, and texts that are no tokens none", async () => {
  const { server, values } = world();
  const tokens = server();
  await tokens.create(CI);
  const before = values.calls.readValue;
  await Promise.all(Array.from({ length: 5_000 }, (_, at) => tokens.verify(`Bearer nonsense ${at}`)));
  assert.equal(values.calls.readValue, before);
  const bad = Array.from({ length: 5_000 }, (_, at) => `hf_id${at}_${randomBytes(32).toString("base64url")}`);
  await Promise.all(bad.map((text) => tokens.verify(text)));
  assert.ok(values.calls.readValue - before <= 2, String(values.calls.readValue - before));
});

test("a wrong secret takes the same way as an id that nobody has", async () => {
  const { server, values } = world();
  const tokens = server();
  const { id } = await tokens.create(CI);
  const costOf = async (text: string): Promise<unknown> => {
    const before = { ...values.calls };
    assert.equal(await verdictOf(tokens, text), "unknown");
    return [values.calls.readValue - before.readValue, values.calls.listValues - before.listValues];
  };
  const secret = randomBytes(32).toString("base64url");
  assert.deepEqual(await costOf(`hf_${id}_${secret}`), await costOf(`hf_nobody_${secret}`));
});

test("of three servers that start at once on an empty store one makes the first token", async () => {
  const { server, clock } = world();
  const servers = [server(), server(), server()];
  const made = (await Promise.all(servers.map((tokens) => tokens.createFirst("first start")))).filter(
    (token) => token !== undefined,
  );
  assert.equal(made.length, 1);
  assert.equal(made[0]?.role, "admin");
  for (const tokens of servers) assert.equal(await verdictOf(tokens, made[0]?.token ?? ""), "admin");
  await clock.advance(DAY_MS);
  assert.equal(await server().createFirst("second start"), undefined);
});

test("a server that died while it made the first token does not keep others from it for ever", async () => {
  const { server, clock, values } = world();
  const { writeValue } = values;
  const died = new Error("died");
  values.writeValue = (params) =>
    params.key.startsWith("holdfast:token:") ? Promise.reject(died) : writeValue(params);
  await assert.rejects(server().createFirst("first start"), died);
  values.writeValue = writeValue;
  assert.equal(await server().createFirst("first start"), undefined);
  await clock.advance(30_000);
  assert.equal((await server().createFirst("first start"))?.role, "admin");
});

test("a token that this version cannot read is passed over", async () => {
  const { server, values } = world();
  const tokens = server();
  await values.writeValue({ key: "holdfast:token:old", value: "{", ttlMs: null });
  await values.writeValue({ key: "holdfast:token:new", value: '{"role":"owner"}', ttlMs: null });
  const { token } = await tokens.create(CI);
  assert.equal(await verdictOf(tokens, token), "submit");
  assert.equal((await tokens.list()).length, 1);
});

test("a store that is away is said, not taken for a bad token", async () => {
  const { server, values, clock } = world();
  const tokens = server();
  const { token } = await tokens.create(CI);
  const away = new Error("away");
  const { readValue } = values;
  values.readValue = () => Promise.reject(away);
  await clock.advance(LOOK_EVERY_MS);
  await assert.rejects(tokens.verify(token), away);
  values.readValue = readValue;
  assert.equal(await verdictOf(tokens, token), "submit");
});
