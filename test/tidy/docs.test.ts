import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";
import { SETTING_NAMES } from "../../src/config/index.ts";
import { assertNoBreaches, type Breach } from "./exceptions.ts";
import { GENERATED_DOCS } from "./generated-docs.ts";
import { exists, filesIn, read, sourceFiles } from "./repository.ts";

const PAGES = ["README.md", "CHANGELOG.md", ...filesIn("docs", ".md")];

function matchesIn(pattern: RegExp): { readonly file: string; readonly found: string }[] {
  return PAGES.flatMap((file) => [...read(file).matchAll(pattern)].map((match) => ({ file, found: match[1] ?? "" })));
}

describe("docs", () => {
  for (const [file, make] of Object.entries(GENERATED_DOCS)) {
    it(`${file} says what the code says`, () => {
      assert.ok(exists(file) && read(file) === make(), `${file} is not fresh; run npm run docs`);
    });
  }

  it("link to pages and headings that are there", () => {
    const breaches: Breach[] = [];
    for (const { file, found } of matchesIn(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(found)) continue;
      const [target = "", anchor] = found.split("#");
      const page = target === "" ? file : path.posix.join(path.posix.dirname(file), target);
      if (!exists(page)) breaches.push({ file, problem: `links to ${found}, which is not there` });
      else if (anchor !== undefined && !anchorsOf(page).includes(anchor))
        breaches.push({ file, problem: `${found}: no such heading` });
    }
    assertNoBreaches("links", breaches);
  });

  it("name source files that are there", () => {
    const missing = matchesIn(/`((?:src|test|bench|bin|tools|examples|docs)\/[\w./-]*)`/g).filter(
      ({ found }) => !exists(found),
    );
    assertNoBreaches(
      "named files",
      missing.map(({ file, found }) => ({ file, problem: `names ${found}, which is not there` })),
    );
  });

  it("name npm scripts that are there", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const missing = matchesIn(/npm run ([\w:-]+)/g).filter(({ found }) => !(found in scripts));
    assertNoBreaches(
      "named scripts",
      missing.map(({ file, found }) => ({ file, problem: `npm run ${found} is no script` })),
    );
  });

  it("show code that is compiled with everything else", () => {
    const breaches = matchesIn(/^```ts\n([\s\S]*?)^```/gm).flatMap(({ file, found }) => {
      const [, name, code = ""] = /^\/\/ ([\w-]+\.ts)\n([\s\S]*)$/.exec(found) ?? [];
      const fixture = `test/fixtures/readme/${name}`;
      const isKept = name !== undefined && exists(fixture) && read(fixture) === code;
      return isKept
        ? []
        : [{ file, problem: `a ts block is not the file it names, in test/fixtures/readme/: ${found.slice(0, 40)}…` }];
    });
    assertNoBreaches("shown code", breaches);
  });

  it("are all reachable from the README", () => {
    const reached = new Set<string>();
    const visit = (page: string): void => {
      if (reached.has(page) || !exists(page)) return;
      reached.add(page);
      for (const link of read(page).matchAll(/\]\(([^)#\s]+\.md)/g))
        visit(path.posix.join(path.posix.dirname(page), link[1] ?? ""));
    };
    visit("README.md");
    assertNoBreaches(
      "lost pages",
      PAGES.filter((page) => !reached.has(page)).map((file) => ({ file, problem: "no page links here" })),
    );
  });
});

describe("settings", () => {
  it("are each read by the program", () => {
    const program = sourceFiles("src").filter(({ file }) => /^src\/(?:app|cli|worker)\//.test(file));
    const unread = SETTING_NAMES.filter((name) => !program.some(({ code }) => new RegExp(`\\b${name}\\b`).test(code)));
    assertNoBreaches(
      "unread settings",
      unread.map((name) => ({ file: "src/config/schema.ts", problem: `nothing reads ${name}` })),
    );
  });
});

function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
