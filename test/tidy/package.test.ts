/** What a fresh clone and a published package rely on. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { exists, filesIn, read } from "./repository.ts";

type Versions = Readonly<Record<string, string>>;

interface Manifest {
  readonly version: string;
  readonly dependencies: Versions;
  readonly devDependencies: Versions;
  readonly engines: Versions;
  readonly scripts: Versions;
  readonly files: readonly string[];
}

const manifest = JSON.parse(read("package.json")) as Manifest;
const lock = JSON.parse(read("package-lock.json")) as { readonly packages: Readonly<Record<string, Manifest>> };

describe("package.json", () => {
  it("names exact versions, so that every clone is the same", () => {
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    const loose = all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version) && !version.startsWith("file:"));
    assert.deepEqual(loose, []);
  });

  it("agrees with the lock file, else npm ci refuses to install", () => {
    const locked = lock.packages[""];
    assert.deepEqual(locked?.dependencies, manifest.dependencies);
    assert.deepEqual(locked?.devDependencies, manifest.devDependencies);
    assert.deepEqual(locked?.engines, manifest.engines);
  });

  it("publishes files that are there", () => {
    const missing = manifest.files.filter((file) => !file.startsWith("dist/") && !exists(file));
    assert.deepEqual(missing, []);
  });

  it("has its version in the changelog", () => {
    assert.match(read("CHANGELOG.md"), new RegExp(`^## ${manifest.version.replaceAll(".", "\\.")}$`, "m"));
  });

  it("runs every test file there is", () => {
    const commands = `${manifest.scripts["test"]} ${manifest.scripts["test:slow"]}`;
    const kinds = [...commands.matchAll(/dist\/test\/(?:\{([\w,]+)\}|(\w+))\//g)].flatMap(([, several, one]) =>
      (several ?? one ?? "").split(","),
    );
    const forgotten = filesIn("test", ".test.ts").filter((file) => !kinds.includes(file.split("/")[1] ?? ""));
    assert.deepEqual(forgotten, []);
  });
});
