import { describe, it } from "node:test";
import { assertNoBreaches, type Breach } from "./exceptions.ts";
import { filesIn, read, sourceFiles } from "./repository.ts";
import { lineOf } from "./source-text.ts";

interface Ban {
  readonly rule: string;
  readonly found: RegExp;
  readonly instead: string;
  /** Folders and files that exist for just this. */
  readonly allowedIn: readonly string[];
}

const BANNED_IN_SOURCES: readonly Ban[] = [
  {
    rule: "time",
    found: /\bDate\.now\b|\bnew Date\(\s*\)|\bprocess\.hrtime\b/g,
    instead: "take a Clock (src/util/clock.ts) and call now()",
    allowedIn: ["src/util/clock.ts"],
  },
  {
    rule: "timers",
    found: /\bset(?:Timeout|Interval)\b|\bnode:timers/g,
    instead: "take a Clock and call schedule(), or sleep(clock, …)",
    allowedIn: ["src/util/clock.ts"],
  },
  {
    rule: "randomness",
    found: /\bMath\.random\b|\brandomUUID\b|\brandomBytes\b|\brandomInt\b|\bgetRandomValues\b/g,
    instead: "take `random` or `newId` as an argument",
    allowedIn: ["src/app/"],
  },
  {
    rule: "console",
    found: /\bconsole\./g,
    instead: "take a Logger, or write through src/cli/terminal",
    allowedIn: ["src/cli/terminal/"],
  },
  {
    rule: "exit",
    found: /\bprocess\.exit\b(?!Code)/g,
    instead: "throw, or return and let the caller end",
    allowedIn: ["src/cli/", "src/app/", "src/worker/runner-main.ts"],
  },
  {
    rule: "environment",
    found: /\bprocess\.env\b/g,
    instead: "take a setting from src/config",
    allowedIn: ["src/cli/", "src/app/"],
  },
];

const BANNED_IN_TESTS: readonly Ban[] = [
  {
    rule: "sleeping tests",
    found: /\bset(?:Timeout|Interval)\b|\bnode:timers\/promises/g,
    instead: "wait for a condition, or move a virtual clock",
    allowedIn: ["test/support/", "test/fixtures/"],
  },
  {
    rule: "focused tests",
    found: /\b(?:it|test|describe|suite)\.(?:only|todo)\b|\bonly:\s*true/g,
    instead: "run one file by naming it",
    allowedIn: [],
  },
];

function breachesOf(ban: Ban, folder: string): Breach[] {
  return sourceFiles(folder)
    .filter(({ file }) => !ban.allowedIn.some((place) => file.startsWith(place)))
    .flatMap(({ file, text, code }) =>
      [...code.matchAll(ban.found)].map((found) => ({
        file,
        problem: `line ${lineOf(text, found.index)} has ${found[0]}; ${ban.instead}`,
      })),
    );
}

describe("banned", () => {
  for (const ban of BANNED_IN_SOURCES) {
    it(`in sources: ${ban.rule}`, () => assertNoBreaches(ban.rule, breachesOf(ban, "src")));
  }
  for (const ban of BANNED_IN_TESTS) {
    it(`in tests: ${ban.rule}`, () => assertNoBreaches(ban.rule, breachesOf(ban, "test")));
  }
});

describe("text of all files", () => {
  const files = [
    ...["src", "test", "bench", "examples", "bin", "tools", "docs"].flatMap((folder) =>
      [".ts", ".js", ".mjs", ".md", ".py", ".sh", ".yaml"].flatMap((suffix) => filesIn(folder, suffix)),
    ),
    "README.md",
    "CHANGELOG.md",
    "package.json",
  ];

  function linesWith(pattern: RegExp, problem: string): Breach[] {
    return files.flatMap((file) =>
      read(file)
        .split("\n")
        .flatMap((line, index) => (pattern.test(line) ? [{ file, problem: `line ${index + 1} ${problem}` }] : [])),
    );
  }

  it("leaves nothing for later", () => {
    const marks = ["T_O_D_O", "F_I_X_M_E", "X_X_X", "H_A_C_K"].map((mark) => mark.replaceAll("_", ""));
    const breaches = linesWith(
      new RegExp(`\\b(?:${marks.join("|")})\\b`),
      "has a mark for later; do it or file an issue",
    );
    assertNoBreaches("marks for later", breaches);
  });

  it("names no folder of somebody's machine", () => {
    const folders = ["home", "root", "Users", "work"].map((name) => `/${name}/`);
    const breaches = linesWith(
      new RegExp(`(?:^|[\\s"'\`(=:])(?:file://)?(?:${folders.join("|")})`),
      "names a folder of one machine",
    );
    assertNoBreaches("machine paths", breaches);
  });
});
