/** docs/redis-keys.md names every key and every script of the Redis broker. */
import path from "node:path";
import { describe, it } from "node:test";
import { assertNoBreaches } from "./exceptions.ts";
import { filesIn, read } from "./repository.ts";

const PAGE = "docs/redis-keys.md";
const SCRIPTS = filesIn("src/broker/redis/scripts", ".lua");

/** Keys as the scripts build them: `PREFIX .. 'due'`, `execution.key .. ':results'`, `… .. ':bucket:' .. bucket`. */
const SHARD_KEY = /PREFIX \.\. '([\w-]+):?'/g;
const PART_OF_KEY = /\.\. '(:[a-z][\w-]*):?'/gi;
/** Names that a script joins to a key in a loop. */
const STREAMS = /records\.STREAMS = \{([^}]*)\}/;
const PURGED_PARTS = /local PARTS = \{([^}]*)\}/;

function found(pattern: RegExp): string[] {
  return SCRIPTS.flatMap((file) => [...read(file).matchAll(pattern)].map(([, name = ""]) => name));
}

function listed(pattern: RegExp): string[] {
  const list = SCRIPTS.map((file) => pattern.exec(read(file))?.[1]).find((text) => text !== undefined) ?? "";
  return [...list.matchAll(/'([\w-]+)'/g)].map(([, name = ""]) => `:${name}`);
}

describe("docs/redis-keys.md", () => {
  const page = read(PAGE);
  const isNamed = (name: string): boolean => new RegExp(`\`[^\`\\s]*${name}(?![\\w-])`).test(page);
  const missing = (names: readonly string[]): { file: string; problem: string }[] =>
    [...new Set(names)]
      .filter((name) => !isNamed(name))
      .map((name) => ({ file: PAGE, problem: `does not name ${name}` }));

  it("names every key that the scripts build", () => {
    const names = [...found(SHARD_KEY), ...found(PART_OF_KEY), ...listed(STREAMS), ...listed(PURGED_PARTS)];
    assertNoBreaches("keys", names.length < 40 ? [{ file: PAGE, problem: "the keys were not found" }] : missing(names));
  });

  it("names every script", () => {
    const scripts = SCRIPTS.filter((file) => !file.includes("/lib/"));
    assertNoBreaches("scripts", missing(scripts.map((file) => path.posix.basename(file, ".lua"))));
  });
});
