/**
 * What the data checks can find, and how it is told: one check per part of the data, each with the
 * findings that belong to it.
 *
 * The scripts (scripts/doctor-*.lua) name what they find; the words are here.
 */
import type { Reply } from "../link/link.ts";
import type { Check } from "./check.ts";

/** The checks, in the order in which they are told. */
const PARTS = [
  "Executions",
  "Tasks",
  "Counters",
  "Leases",
  "Sessions",
  "Order",
  "Timers",
  "Verification",
  "State",
  "Keys",
] as const;

type Part = (typeof PARTS)[number];

interface Kind {
  readonly part: Part;
  /** What there are so many of. */
  readonly words: string;
  /** It is only untidy: no work is held up and nothing is told wrongly. */
  readonly isHarmless?: true;
  /** Why it is not mended, and what to do. */
  readonly advice?: string;
}

const KINDS: Readonly<Record<string, Kind>> = {
  "execution-gone": { part: "Executions", words: "listed executions that are not there" },
  "execution-unlisted": { part: "Executions", words: "executions that no list names" },
  "ended-among-live": { part: "Executions", words: "ended executions among the live ones" },
  "live-unlisted": { part: "Executions", words: "live executions missing among the live ones" },
  "ended-never-purged": { part: "Executions", words: "ended executions that would be kept for ever" },
  "live-to-be-purged": { part: "Executions", words: "live executions that would be purged" },
  "key-gone": { part: "Executions", words: "submit keys of executions that are not there" },
  "letters-unlisted": { part: "Executions", words: "executions with dead letters that no list names" },
  "letters-gone": { part: "Executions", words: "listed executions that have no dead letters", isHarmless: true },
  unended: { part: "Executions", words: "executions with nothing left to do that have not ended" },
  "group-gone": {
    part: "Executions",
    words: "task groups whose description is gone",
    advice: "Nothing can be done for their executions: submit them again, in another namespace while these are there.",
  },
  "stream-broken": { part: "Tasks", words: "queues without their stream or its consumer group" },
  "task-vanished": { part: "Tasks", words: "tasks that are nowhere" },
  "items-vanished": { part: "Tasks", words: "items of sweeps that are nowhere" },
  "items-twice": { part: "Tasks", words: "parts of sweeps that stand twice" },
  "entry-of-ended": { part: "Tasks", words: "entries of tasks that have ended or stand elsewhere" },
  "blocked-for-nothing": { part: "Tasks", words: "blocked tasks whose parents have ended" },
  "waits-wrong": { part: "Tasks", words: "blocked tasks that wait for a wrong number of parents" },
  "signal-unheard": { part: "Tasks", words: "suspended tasks that their signal does not reach" },
  "link-missing": { part: "Tasks", words: "blocked tasks that their parent does not know" },
  "letter-missing": { part: "Tasks", words: "failed tasks missing among the dead letters" },
  "group-counter-wrong": { part: "Counters", words: "counters of task groups that are wrong" },
  "counter-wrong": { part: "Counters", words: "counters of executions that are wrong" },
  "pool-counter-wrong": { part: "Counters", words: "counters of pools that are wrong" },
  "running-wrong": { part: "Counters", words: "task groups that are wrongly said to run or to rest" },
  "lease-without-session": { part: "Leases", words: "leases whose session is gone" },
  "lease-of-nothing": { part: "Leases", words: "leases of work that is gone" },
  "held-wrong": { part: "Leases", words: "sessions with a wrong number of leases" },
  "lane-untimed": { part: "Leases", words: "task groups whose timeouts nobody watches" },
  "session-gone": { part: "Sessions", words: "listed sessions that are not there" },
  "session-unlisted": { part: "Sessions", words: "sessions that no list names" },
  "member-gone": { part: "Sessions", words: "workers of a pool that are gone", isHarmless: true },
  "member-missing": { part: "Sessions", words: "workers that their pool does not know" },
  "standby-wrong": { part: "Sessions", words: "workers that get work or stand by against their pool's limit" },
  "idle-gone": { part: "Sessions", words: "idle workers that are gone", isHarmless: true },
  "unheard-gone": { part: "Sessions", words: "notes on connections of sessions that are gone", isHarmless: true },
  "not-offered": { part: "Order", words: "task groups with work that is never handed out" },
  "offered-without-work": { part: "Order", words: "task groups in the order that have no work to hand out" },
  "bucket-gone": { part: "Order", words: "places in the order of work that is gone" },
  "pool-unlisted": { part: "Order", words: "pools that no list names" },
  "timer-missing": { part: "Timers", words: "delayed pieces of work without a timer" },
  "timer-for-nothing": { part: "Timers", words: "timers of nothing", isHarmless: true },
  "copy-missing": { part: "Verification", words: "verifications whose copies are gone" },
  "verification-unlisted": { part: "Verification", words: "verifications that no list names" },
  "verification-gone": { part: "Verification", words: "listed verifications that are not there", isHarmless: true },
  "replica-gone": { part: "Verification", words: "waiting copies of nothing", isHarmless: true },
  "state-gone": { part: "State", words: "listed locks and values that are not there", isHarmless: true },
  "state-unlisted": { part: "State", words: "locks and values that no list names" },
  "state-endless": { part: "State", words: "locks, values and checkpoints that would be kept for ever" },
  "state-broken": { part: "State", words: "locks, values and checkpoints of which a part is gone" },
  "line-broken": { part: "State", words: "owners that stand in line for a lock in part only" },
  "checkpoint-gone": { part: "State", words: "listed checkpoints that are not there" },
  orphan: { part: "Keys", words: "keys of executions and sessions that are gone", isHarmless: true },
  "strange-key": {
    part: "Keys",
    words: "keys in the namespace that are not of this Holdfast",
    isHarmless: true,
    advice: "See what they are; nothing else should write into the namespace.",
  },
};

/** One kind of finding. */
export interface Finding {
  readonly name: string;
  readonly count: number;
  readonly mended: number;
  /** The first one. */
  readonly where: string;
}

/** Reads what a script tells: name, count, mended, where, and so on. */
export function readFindings(reply: Reply | undefined): Finding[] {
  const list = reply as readonly (string | number)[];
  const found: Finding[] = [];
  for (let at = 0; at < list.length; at += 4) {
    const [name = "", count = 0, mended = 0, where = ""] = list.slice(at, at + 4);
    found.push({ name: String(name), count: Number(count), mended: Number(mended), where: String(where) });
  }
  return found;
}

/** Adds up findings of many scripts. */
export class Findings {
  readonly #byName = new Map<string, Finding>();

  add(findings: Iterable<Finding>): void {
    for (const one of findings) {
      const known = this.#byName.get(one.name);
      const sum = { count: one.count + (known?.count ?? 0), mended: one.mended + (known?.mended ?? 0) };
      this.#byName.set(one.name, { ...one, ...sum, where: known?.where ?? one.where });
    }
  }

  /** Of what will be looked at again: only what cannot be found again. */
  addMended(findings: Iterable<Finding>): void {
    for (const one of findings) if (one.mended > 0) this.add([{ ...one, count: one.mended }]);
  }

  get all(): readonly Finding[] {
    return [...this.#byName.values()];
  }

  get mended(): number {
    return this.all.reduce((sum, one) => sum + one.mended, 0);
  }
}

/** What was looked at, of each part, for the sentence that all is well. */
export interface Looked {
  executions: number;
  live: number;
  /** Executions that moved all the time while they were counted. */
  busy: number;
  tasks: number;
  sessions: number;
  keys: number;
  /** Shards whose pools were not summed, because their executions have too many groups. */
  unsummed: number;
}

export function nothingLooked(): Looked {
  return { executions: 0, live: 0, busy: 0, tasks: 0, sessions: 0, keys: 0, unsummed: 0 };
}

/** One check per part. */
export function checksOf(findings: Findings, looked: Looked): Check[] {
  return PARTS.map((part) => {
    const own = findings.all.filter(({ name }) => kindOf(name).part === part);
    return own.length === 0 ? { name: part, verdict: "ok", found: wellText(part, looked) } : checkOf(part, own);
  });
}

function kindOf(name: string): Kind {
  return KINDS[name] ?? { part: "Keys", words: name };
}

function checkOf(part: Part, findings: readonly Finding[]): Check {
  const left = findings.filter(({ count, mended }) => count > mended);
  const mended = findings.filter((one) => one.mended > 0);
  const repaired = mended.map((one) => phrase(one, one.mended)).join("; ");
  const found = left.map((one) => phrase(one, one.count - one.mended)).join("; ");
  const texts = [...(found === "" ? [] : [`${found}.`]), ...(repaired === "" ? [] : [`Mended: ${repaired}.`])];
  const base = { name: part, found: capitalized(texts.join(" ")), ...(repaired === "" ? {} : { repaired }) };
  if (left.length === 0) return { ...base, verdict: "ok" };
  const isHarmless = left.every(({ name }) => kindOf(name).isHarmless === true);
  return { ...base, verdict: isHarmless ? "warning" : "problem", advice: adviceOn(left) };
}

/** `tasks that are nowhere: 2 (first: 5 of …)` */
function phrase({ name, where }: Finding, count: number): string {
  const { words } = kindOf(name);
  return count === 1 ? `${words}: 1 (${where})` : `${words}: ${count} (first: ${where})`;
}

function adviceOn(left: readonly Finding[]): string {
  const special = left.flatMap(({ name }) => kindOf(name).advice ?? []);
  const isMendable = left.some(({ name }) => kindOf(name).advice === undefined);
  return [...(isMendable ? ["Run `holdfast doctor --repair`, also beside running workers."] : []), ...special].join(
    " ",
  );
}

function wellText(part: Part, looked: Looked): string {
  switch (part) {
    case "Executions":
      return `${looked.executions}, of which ${looked.live} are live: all in their lists.`;
    case "Tasks":
      return `${looked.tasks} of live executions: each in its one place.${busyText(looked)}`;
    case "Counters":
      return looked.unsummed === 0
        ? `They add up.${busyText(looked)}`
        : "Those of executions add up; there are too many of them to sum pools beside running workers.";
    case "Leases":
      return "Each has a session that knows of it.";
    case "Sessions":
      return `${looked.sessions}, all in their lists.`;
    case "Order":
      return "What has work is in it, and nothing else.";
    case "Timers":
      return "Each delayed piece of work has one.";
    case "Verification":
      return "Each copy that is wanted is there, runs or waits.";
    case "State":
      return "Locks, values and checkpoints are whole, in their lists, and end in time.";
    case "Keys":
      return `${looked.keys}, none without an owner.`;
  }
}

function busyText({ busy }: Looked): string {
  return busy === 0 ? "" : ` Executions that never stood still to be counted: ${busy}.`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
