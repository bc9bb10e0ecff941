import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertNoBreaches, type Breach } from "./exceptions.ts";
import { entryFiles, read, sourceFiles } from "./repository.ts";

/**
 * Layers, lowest first; rooms of one layer do not import each other. The first room that a path
 * starts with is its own.
 */
const ROOMS: readonly { readonly room: string; readonly layer: number; readonly mayImport?: readonly string[] }[] = [
  { room: "src/errors/", layer: 0 },
  { room: "src/util/", layer: 0, mayImport: ["src/errors/"] },
  { room: "src/core/", layer: 1 },
  { room: "src/config/", layer: 2 },
  { room: "src/telemetry/", layer: 2 },
  { room: "src/lifecycle/", layer: 2 },
  { room: "src/broker/sqlite/", layer: 4 },
  { room: "src/broker/remote/", layer: 4 },
  { room: "src/broker/redis/", layer: 4 },
  { room: "src/broker/http/", layer: 4 },
  { room: "src/broker/", layer: 3 },
  { room: "src/api/", layer: 3, mayImport: ["src/broker/"] },
  { room: "src/sdk/", layer: 4 },
  { room: "src/worker/", layer: 5 },
  { room: "src/coordinator/", layer: 5 },
  { room: "src/server/", layer: 6 },
  { room: "src/app/", layer: 7 },
  { room: "src/cli/", layer: 7, mayImport: ["src/app/"] },
  { room: "src/index.ts", layer: 8 },
];

const SOURCES = sourceFiles("src");
const BY_FILE = new Map(SOURCES.map((source) => [source.file, source]));

function roomOf(file: string): (typeof ROOMS)[number] {
  const found = ROOMS.find(({ room }) => file.startsWith(room));
  assert.ok(found !== undefined, `${file} is in no room of the layer table`);
  return found;
}

describe("imports", () => {
  it("only point downwards", () => {
    const breaches: Breach[] = [];
    for (const { file, imports } of SOURCES) {
      const from = roomOf(file);
      for (const target of imports) {
        const to = roomOf(target);
        const allowed = to.room === from.room || to.layer < from.layer || from.mayImport?.includes(to.room) === true;
        if (!allowed) breaches.push({ file, problem: `imports ${target}; ${from.room} is not above ${to.room}` });
      }
    }
    assertNoBreaches("import direction", breaches);
  });

  it("resolve to files of this repository", () => {
    const breaches = SOURCES.flatMap(({ file, imports, siblings }) =>
      [...imports, ...siblings]
        .filter((target) => !BY_FILE.has(target))
        .map((target) => ({ file, problem: `${target} is not there` })),
    );
    assertNoBreaches("import targets", breaches);
  });

  it("make no cycles", () => {
    const state = new Map<string, "open" | "done">();
    const breaches: Breach[] = [];
    const visit = (file: string, trail: readonly string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        breaches.push({ file, problem: `cycle: ${[...trail.slice(trail.indexOf(file)), file].join(" → ")}` });
        return;
      }
      state.set(file, "open");
      for (const target of BY_FILE.get(file)?.imports ?? []) visit(target, [...trail, file]);
      state.set(file, "done");
    };
    for (const { file } of SOURCES) visit(file, []);
    assertNoBreaches("import cycles", breaches);
  });

  it("never take the package's own entry from inside", () => {
    const breaches = SOURCES.filter(({ imports }) => imports.includes("src/index.ts"));
    assertNoBreaches(
      "package entry",
      breaches.map(({ file }) => ({
        file,
        problem: "imports src/index.ts; import the file that defines what you need",
      })),
    );
  });

  it("keep the core pure: nothing of the platform", () => {
    const breaches = SOURCES.filter(({ file }) => file.startsWith("src/core/")).flatMap(({ file, packages }) =>
      packages
        .filter((name) => name.startsWith("node:"))
        .map((name) => ({ file, problem: `imports ${name}; take what it gives as an argument` })),
    );
    assertNoBreaches("pure core", breaches);
  });

  it("only name packages that users get, and all of those", () => {
    const manifest = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
    const declared = Object.keys(manifest.dependencies);
    const used = new Set<string>();
    const breaches: Breach[] = [];
    for (const { file, packages } of SOURCES) {
      for (const specifier of packages.filter((name) => !name.startsWith("node:"))) {
        const name = specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/");
        used.add(name);
        if (!declared.includes(name))
          breaches.push({ file, problem: `imports ${name}, which is no dependency in package.json` });
      }
    }
    // A package of data is named where it is looked up, not imported.
    const isNamed = (name: string): boolean => SOURCES.some(({ text }) => text.includes(`"${name}/`));
    for (const name of declared)
      if (!used.has(name) && !isNamed(name))
        breaches.push({ file: "package.json", problem: `nothing imports ${name}` });
    assertNoBreaches("dependencies", breaches);
  });

  it("reach every source file from the program or the package's entry", () => {
    const entries = entryFiles();
    assert.ok(entries.length > 0, "package.json names entries");
    const reached = new Set<string>();
    const visit = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      const source = BY_FILE.get(file);
      for (const target of [...(source?.imports ?? []), ...(source?.siblings ?? [])]) visit(target);
    };
    entries.forEach(visit);
    const dead = SOURCES.filter(({ file }) => !reached.has(file));
    assertNoBreaches(
      "dead files",
      dead.map(({ file }) => ({ file, problem: "nothing uses it; delete it" })),
    );
  });
});

describe("test and bench files", () => {
  const sources = [...sourceFiles("test"), ...sourceFiles("bench")];

  it("are each a test, a bench, or used by one", () => {
    const isStart = (file: string): boolean =>
      file.endsWith(".test.ts") || file.includes("/fixtures/") || file === "bench/main.ts";
    const used = new Set(sources.flatMap(({ imports, siblings }) => [...imports, ...siblings]));
    const dead = sources.filter(({ file }) => !isStart(file) && !used.has(file));
    assertNoBreaches(
      "dead test files",
      dead.map(({ file }) => ({ file, problem: "nothing uses it; delete it" })),
    );
  });
});
