/** bin/holdfast.js: finds a Node that is new enough, and the build; says one sentence when there is none. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

/** Makes a process believe, until it has handed over, that it is an old Node. */
const OLD_NODE = `if (process.env.HOLDFAST_PINNED_RUNTIME !== "1" || process.env.ALWAYS_OLD) {
  Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.0" } });
}`;
const MAIN = `export const runCli = async () => {
  console.log(JSON.stringify({ args: process.argv.slice(2), node: process.versions.node, left: process.env.HOLDFAST_PINNED_RUNTIME ?? null }));
  if (process.argv[2] === "die") process.kill(process.pid, "SIGTERM");
  process.exitCode = 7;
};`;

describe("bin/holdfast.js", { skip: process.platform === "win32" ? "uses links and signals" : false }, () => {
  let folder: string;

  const bin = (
    args: readonly string[],
    options: { readonly old?: boolean; readonly env?: Readonly<Record<string, string>> } = {},
  ) => {
    const preload = options.old === true ? ["--import", `data:text/javascript,${encodeURIComponent(OLD_NODE)}`] : [];
    const { HOLDFAST_PINNED_RUNTIME: _none, NODE_OPTIONS: _options, ...environment } = process.env;
    return spawnSync(process.execPath, [...preload, path.join(folder, "bin", "holdfast.js"), ...args], {
      encoding: "utf8",
      env: { ...environment, ...options.env },
    });
  };

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "holdfast-bin-test-"));
    await mkdir(path.join(folder, "bin"));
    await writeFile(path.join(folder, "package.json"), '{"type":"module"}');
    await copyFile(path.join(packageFolder(), "bin", "holdfast.js"), path.join(folder, "bin", "holdfast.js"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("without a build, says how to get one", () => {
    const { status, stderr } = bin(["demo"]);
    assert.equal(status, 3);
    assert.equal(stderr, "error: Holdfast is not built; run npm run build first. [NOT_BUILT]\n");
  });

  test("an old Node without a pinned runtime is refused in one sentence", () => {
    const { status, stderr } = bin(["demo"], { old: true });
    assert.equal(status, 3);
    assert.equal(stderr, "error: Holdfast needs Node 24 or newer; this is 18.20.0. [RUNTIME_TOO_OLD]\n");
  });

  test("runs the build with the arguments as they are", async () => {
    await mkdir(path.join(folder, "dist", "src", "cli"), { recursive: true });
    await writeFile(path.join(folder, "dist", "src", "cli", "main.js"), MAIN);
    const { status, stdout, stderr } = bin(["run", "a b.ts", "--workers", "2"]);
    assert.equal(stderr, "");
    assert.deepEqual(JSON.parse(stdout), {
      args: ["run", "a b.ts", "--workers", "2"],
      node: process.versions.node,
      left: null,
    });
    assert.equal(status, 7);
  });

  test("an old Node hands over to the pinned runtime, and passes its end through", async () => {
    await mkdir(path.join(folder, "node_modules", ".bin"), { recursive: true });
    await symlink(process.execPath, path.join(folder, "node_modules", ".bin", "node"));
    const { status, stdout } = bin(["status", "--json"], { old: true });
    assert.deepEqual(JSON.parse(stdout), { args: ["status", "--json"], node: process.versions.node, left: null });
    assert.equal(status, 7);
    assert.equal(bin(["die"], { old: true }).status, 143, "128 + SIGTERM");
  });

  test("a pinned runtime that is old itself ends the search", () => {
    const { status, stderr } = bin(["demo"], { old: true, env: { ALWAYS_OLD: "1" } });
    assert.equal(status, 3);
    assert.match(stderr, /\[RUNTIME_TOO_OLD\]/);
  });

  test("is found through a link, as npm makes them", async () => {
    const link = path.join(folder, "node_modules", ".bin", "holdfast");
    await symlink("../../bin/holdfast.js", link);
    const { status, stdout } = spawnSync(process.execPath, [link, "list"], { encoding: "utf8" });
    assert.deepEqual((JSON.parse(stdout) as { readonly args: readonly string[] }).args, ["list"]);
    assert.equal(status, 7);
  });
});

/** The folder of this package, two levels above the tests' or one more above the built ones'. */
function packageFolder(): string {
  const here = fileURLToPath(import.meta.url);
  return path.resolve(path.dirname(here), here.endsWith(".ts") ? "../.." : "../../..");
}
