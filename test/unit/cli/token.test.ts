/** `holdfast token`: in a store, and at a server. */
import assert from "node:assert/strict";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { openEmbedded } from "../../../src/app/open-broker.ts";
import { execute } from "../../../src/cli/main.ts";
import { defaultSettings } from "../../../src/config/index.ts";
import { createAccess } from "../../../src/server/access/create.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { fakeContext } from "../../fixtures/cli/fake-context.ts";
import { cleanups, scratchFolder } from "../../fixtures/sdk/scratch.ts";
import { accessParts } from "../../support/access.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";

async function token(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const fake = fakeContext(environment);
  const code = await execute(["token", ...args], fake.context);
  return { code, stdout: fake.stdout(), stderr: fake.stderr() };
}

/** A folder that has a store, and a server that needs tokens and shares it. */
async function world(t: TestContext): Promise<{ readonly folder: string; readonly server: HttpWorld }> {
  const folder = path.join(await scratchFolder(t), "store");
  const cleanup = cleanups(t);
  const broker = await openEmbedded({ dir: folder, settings: defaultSettings() });
  cleanup(() => broker.close());
  const access = await createAccess({
    ...accessParts(systemClock()),
    store: broker,
    audit: { write: () => undefined, close: () => undefined },
    listenHost: "127.0.0.1",
    requireToken: true,
    token: "of-the-setting",
    onFirstToken: () => undefined,
  });
  return { folder, server: await startHttpWorld(t, { broker, access }) };
}

test("a token made in the store lets its holder into the server until it is revoked", async (t) => {
  const { folder, server } = await world(t);
  const environment = { HOLDFAST_BROKER: folder };
  const made = await token(["create", "--name", "ci", "--role", "submit", "--expires", "30d"], environment);
  assert.equal(made.code, 0, made.stderr);
  const [secret = ""] = made.stdout.split("\n", 1);
  assert.match(secret, /^hf_[0-9a-z]{12}_[\w-]{43}$/);
  assert.match(made.stdout, /Expires +in (?:30|29) d/);
  const headers = { authorization: `Bearer ${secret}` };
  assert.equal((await server.call("GET /whoami", undefined, { headers })).json()["name"], "ci");
  const listed = await token(["list"], environment);
  assert.match(listed.stdout, /ci +submit/);
  assert.ok(!listed.stdout.includes(secret.slice(-43)));
  const id = secret.split("_")[1] ?? "";
  assert.equal((await token(["revoke", id], environment)).stdout, `Token ${id} is revoked.\n`);
  assert.match((await token(["list"], environment)).stdout, /There are no tokens/);
  const again = await token(["revoke", id], environment);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /There is no token .*\[TOKEN_NOT_FOUND\]/s);
});

test("at a server tokens are managed over its API, by an administrator", async (t) => {
  const { server } = await world(t);
  const environment = { HOLDFAST_BROKER: server.url, HOLDFAST_TOKEN: "of-the-setting" };
  const made = await token(
    ["create", "--name", "fleet", "--role", "worker", "--pools", "gpu, train", "--json"],
    environment,
  );
  assert.equal(made.code, 0, made.stderr);
  const told = JSON.parse(made.stdout) as Record<string, unknown>;
  assert.deepEqual([told["role"], told["pools"], told["createdBy"]], ["worker", ["gpu", "train"], "setting"]);
  const listed = JSON.parse((await token(["list", "--json"], environment)).stdout) as { tokens: { id: string }[] };
  assert.deepEqual(
    listed.tokens.map(({ id }) => id),
    [told["id"]],
  );
  const asWorker = { ...environment, HOLDFAST_TOKEN: String(told["token"]) };
  const refused = await token(["list"], asWorker);
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /its role is worker.*\[FORBIDDEN\]/s);
  assert.equal((await token(["revoke", String(told["id"])], environment)).code, 0);
  const gone = await token(["list"], { ...environment, HOLDFAST_TOKEN: String(told["token"]) });
  assert.match(gone.stderr, /TOKEN_REFUSED|UNAUTHORIZED/);
});
