/**
 * Pages of names in order, from all shards: each shard tells its next names, and the page ends where one
 * of them has not been heard yet.
 */
import type { Reply } from "./link/link.ts";
import type { ScriptName } from "./scripts.ts";
import type { Shard } from "./shard.ts";
import { shownName, storedName } from "./state-names.ts";

/** Names that a script looks at in one step; some may be over. */
const MAX_LOOKED_AT = 1_000;
/** Above every character that a stored name can hold. */
const LAST_CHARACTER = "\u{10ffff}";

export interface PageParams<T> {
  readonly script: Extract<ScriptName, "lock-list" | "value-list">;
  readonly prefix?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
  /** For texts; the entry that uses it up is the last one. */
  readonly room: number;
  readonly read: (name: string, row: readonly Reply[]) => T;
  readonly sizeOf: (entry: T) => number;
}

export interface Page<T> {
  readonly entries: readonly T[];
  readonly next?: string;
}

interface Named<T> {
  readonly name: string;
  readonly entry: T;
}

/** What a shard has told: all of its names up to `until`, or to the end. */
interface Told<T> {
  readonly found: readonly Named<T>[];
  readonly until: string | undefined;
}

export async function pageOfState<T>(shards: readonly Shard[], params: PageParams<T>): Promise<Page<T>> {
  const told = await Promise.all(shards.map((shard) => askShard(shard, params)));
  const heardUntil = told.flatMap(({ until }) => (until === undefined ? [] : [until])).toSorted(byCodeUnits)[0];
  const found = told.flatMap((one) => one.found).toSorted((one, other) => byCodeUnits(one.name, other.name));
  const page: Named<T>[] = [];
  let { room } = params;
  for (const one of found) {
    if (page.length >= params.limit || room <= 0 || (heardUntil !== undefined && one.name > heardUntil)) break;
    page.push(one);
    room -= params.sizeOf(one.entry);
  }
  const isLast = page.length === found.length && heardUntil === undefined;
  const next = page.at(-1)?.name;
  return { entries: page.map(({ entry }) => entry), ...(isLast || next === undefined ? {} : { next }) };
}

/** One entry more than a page holds, so that the last page is known to be the last. */
async function askShard<T>(shard: Shard, params: PageParams<T>): Promise<Told<T>> {
  const { script, prefix = "", after, limit, read, sizeOf } = params;
  const greatest = prefix === "" ? "+" : `(${storedName(prefix)}${LAST_CHARACTER}`;
  let { room } = params;
  let least = firstOf(prefix, after);
  const found: Named<T>[] = [];
  for (;;) {
    const wanted = limit + 1 - found.length;
    const [, last, ...rows] = await shard.run(script, [least, greatest, MAX_LOOKED_AT, wanted, room]);
    for (const [stored, ...row] of rows as Reply[][]) {
      const name = shownName(String(stored));
      const entry = read(name, row);
      found.push({ name, entry });
      room -= sizeOf(entry);
    }
    if (last === "") return { found, until: undefined };
    if (found.length > limit || room <= 0) return { found, until: shownName(String(last)) };
    least = `(${String(last)}`;
  }
}

function firstOf(prefix: string, after: string | undefined): string {
  if (after !== undefined && after >= prefix) return `(${storedName(after)}`;
  return prefix === "" ? "-" : `[${storedName(prefix)}`;
}

function byCodeUnits(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
