/** The step before the tests: silent where Redis is, one sentence where it cannot be had. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";
import { ROOT } from "../../tidy/repository.ts";

function ensureRedis(env: NodeJS.ProcessEnv): { status: number | null; said: string } {
  const program = path.join(ROOT, "tools", "ensure-redis.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { env, encoding: "utf8", timeout: 20_000 });
  return { status, said: stdout + stderr };
}

describe("ensure-redis", () => {
  it("says nothing where Redis is", () => {
    assert.deepEqual(ensureRedis(process.env), { status: 0, said: "" });
  });

  it("stops with a sentence where Redis is missing and cannot be installed", () =>
    withTemporaryFolder(async (folder) => {
      const { status, said } = ensureRedis({ PATH: folder });
      assert.equal(status, 1);
      assert.match(said, /^The tests start redis-server, which does not run here: install Redis 6\.2 or newer .+\n$/);
    }));

  it("takes no other program than the one that is named", () => {
    const { status, said } = ensureRedis({ ...process.env, TEST_REDIS_SERVER: "/nowhere/redis-server" });
    assert.equal(status, 1);
    assert.match(said, /^TEST_REDIS_SERVER names \/nowhere\/redis-server, which does not run here: .+\n$/);
  });

  it("refuses a Redis that is too old", () =>
    withTemporaryFolder(async (folder) => {
      const old = path.join(folder, "redis-server");
      await writeFile(old, "#!/bin/sh\necho 'Redis server v=5.0.7 sha=00000000:0 malloc=libc bits=64'\n");
      await chmod(old, 0o755);
      const { status, said } = ensureRedis({ PATH: folder, TEST_REDIS_SERVER: old });
      assert.equal(status, 1);
      assert.match(said, /which is 5\.0 here: install Redis 6\.2 or newer/);
    }));
});
