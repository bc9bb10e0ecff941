/**
 * Whether what lies in Redis adds up: executions, tasks, counters, leases and sessions, the order of
 * work, timers, copies, and keys that nobody owns.
 *
 * All of it is looked at beside running workers: by scripts that each look at a bounded part in one
 * step, so that what they find is true at that moment, and mend it in the same step. What one mend
 * uncovers is found in the next round.
 */
import type { Reply } from "../link/link.ts";
import type { Shard } from "../shard.ts";
import type { Check } from "./check.ts";
import { ask, type Examination, examineExecution, inPages, PAGE } from "./execution.ts";
import { checksOf, Findings, nothingLooked } from "./findings.ts";

export interface DataCheckParams {
  /** All of the namespace. */
  readonly shards: readonly Shard[];
  /** Set right what does not add up. */
  readonly repair: boolean;
}

/** Sorted sets and hashes that name what is in the shard. */
const LISTS = [
  "executions",
  "live",
  "purge",
  "dead",
  "keys",
  "due",
  "verifying",
  "sessions",
  "opened",
  "ended-sessions",
  "unheard",
  "locks",
  "values",
];
/** Keys of locks, values and checkpoints, without the shard's prefix. */
const STATE_KEY = /^(lock|line|patience|callers|value|writes(-before)?|checkpoints?|saves(-before)?):/;
/** What the counters of pools are summed over in one step: some tens of milliseconds. */
const MAX_SUMMED_GROUPS = 20_000;
const MAX_ROUNDS = 5;

/** Errors: those of Shard.run. */
export async function dataChecks({ shards, repair }: DataCheckParams): Promise<readonly Check[]> {
  const findings = new Findings();
  for (let round = 1; ; round += 1) {
    const found = new Findings();
    const looked = nothingLooked();
    for (const shard of shards) await examineShard({ shard, repair, findings: found, looked });
    const isLast = found.mended === 0 || round === MAX_ROUNDS;
    if (isLast) findings.add(found.all);
    else findings.addMended(found.all);
    if (isLast) return checksOf(findings, looked);
  }
}

async function examineShard(examination: Examination): Promise<void> {
  const { shard, looked } = examination;
  await examineKeys(examination);
  for (const list of LISTS) await examineList(examination, list);
  for await (const id of membersOf(shard, `${shard.prefix}live`)) {
    looked.live += 1;
    await examineExecution(examination, id);
  }
  const { findings, rest } = await ask(examination, "doctor-pools", [MAX_SUMMED_GROUPS]);
  examination.findings.add(findings);
  if (rest[0] !== 1) looked.unsummed += 1;
}

/** Walks over all keys of the shard; in a Redis that others share, past theirs. */
async function examineKeys(examination: Examination): Promise<void> {
  const { shard, looked } = examination;
  const pattern = `${shard.prefix.replaceAll(/[*?[\]\\^-]/g, String.raw`\$&`)}*`;
  for (let cursor = ""; cursor !== "0";) {
    const reply = await shard.send("SCAN", cursor || "0", "MATCH", pattern, "COUNT", String(2 * PAGE));
    const [next, keys] = reply as [string, string[]];
    looked.keys += keys.length;
    const isState = (key: string): boolean => STATE_KEY.test(key.slice(shard.prefix.length));
    await examineSome(examination, "doctor-state", keys.filter(isState));
    await examineSome(
      examination,
      "doctor-keys",
      keys.filter((key) => !isState(key)),
    );
    cursor = next;
  }
}

async function examineSome(
  examination: Examination,
  script: "doctor-keys" | "doctor-state",
  keys: readonly string[],
): Promise<void> {
  for (let from = 0; from < keys.length; from += PAGE) {
    const { findings } = await ask(examination, script, keys.slice(from, from + PAGE));
    examination.findings.add(findings);
  }
}

async function examineList(examination: Examination, list: string): Promise<void> {
  const { shard, looked } = examination;
  await inPages(examination, "doctor-lists", (from) => [list, from || "0", PAGE]);
  if (list !== "executions" && list !== "sessions") return;
  const size = Number(await shard.send("ZCARD", `${shard.prefix}${list}`));
  if (list === "executions") looked.executions += size;
  // Every session is in every shard.
  else looked.sessions = Math.max(looked.sessions, size);
}

/** Members of a sorted set that may change meanwhile, each once. */
async function* membersOf(shard: Shard, key: string): AsyncGenerator<string> {
  const seen = new Set<string>();
  for (let cursor = ""; cursor !== "0";) {
    const [next, page] = (await shard.send("ZSCAN", key, cursor || "0", "COUNT", String(PAGE))) as [string, Reply[]];
    for (let at = 0; at < page.length; at += 2) {
      const member = String(page[at]);
      if (!seen.has(member)) yield member;
      seen.add(member);
    }
    cursor = next;
  }
}
