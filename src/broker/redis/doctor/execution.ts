/**
 * Looks at one live execution while workers go on with it.
 *
 * Each script looks at a bounded part in one step. Counters are compared with a count of everything,
 * which takes many steps; it is believed only when the execution stood still meanwhile, which its seal
 * tells (scripts/lib/examining.lua), and is made again otherwise. An execution that never stands still
 * is well enough to be left for another time.
 */
import type { Reply } from "../link/link.ts";
import type { ScriptName } from "../scripts.ts";
import type { ScriptArgument, Shard } from "../shard.ts";
import { type ArrayFacts, type ArrayMend, type ArrayView, coverArray } from "./array-coverage.ts";
import { Findings, type Finding, type Looked, readFindings } from "./findings.ts";
import { toldStates } from "./told-states.ts";

export interface Examination {
  readonly shard: Shard;
  readonly repair: boolean;
  readonly findings: Findings;
  readonly looked: Looked;
}

/** Tasks, entries or groups that one script looks at: some milliseconds. */
export const PAGE = 500;
/** How often an execution is counted before it is called busy. */
const MAX_COUNTS = 8;

const ITEM_STATES = ["blocked", "scheduled", "queued", "running", "completed", "failed", "skipped"] as const;

type Counts = Record<(typeof ITEM_STATES)[number], number>;

export interface Told {
  readonly findings: readonly Finding[];
  readonly rest: readonly Reply[];
}

/** One script of the examination: what it found, and the rest of its reply. */
export async function ask(
  { shard, repair }: Pick<Examination, "shard" | "repair">,
  name: ScriptName,
  args: readonly ScriptArgument[],
): Promise<Told> {
  const [, findings, ...rest] = await shard.run(name, [repair ? "1" : "0", ...args]);
  return { findings: readFindings(findings), rest };
}

export async function examineExecution(examination: Examination, id: string): Promise<void> {
  await inPages(examination, "doctor-leases", (from) => [id, from || "0", PAGE, PAGE]);
  const { shard } = examination;
  const groups = Number(await shard.send("HGET", `${shard.prefix}exec:${id}`, "groups"));
  for (let no = 0; no < groups; no += 1) await inPages(examination, "doctor-again", (from) => [id, no, from, PAGE]);
  await count(examination, id);
  await inPages(examination, "doctor-order", (from) => [id, from || "0", PAGE]);
  await inPages(examination, "doctor-verifications", (from) => [id, from || "0", PAGE]);
}

/** Runs a script until it names no next part. */
export async function inPages(
  examination: Examination,
  name: ScriptName,
  args: (from: string) => readonly ScriptArgument[],
): Promise<void> {
  for (let from = ""; ;) {
    const { findings, rest } = await ask(examination, name, args(from));
    examination.findings.add(findings);
    from = String(rest[0]);
    if (from === "") return;
  }
}

// ── Counting ────────────────────────────────────────────────────────────────────────────────────

/** One count of an execution. */
interface Count {
  readonly findings: Findings;
  /** By group. */
  readonly groups: Map<string, Counts>;
  /** Of the execution while it was counted; undefined when it moved. */
  seal: string | undefined;
  vanished: number[];
  tasks: number;
}

async function count(examination: Examination, id: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const taken = await countOnce(examination, id);
    const isDone = (await compare(examination, id, taken)) || taken.seal === "";
    if (isDone || attempt === MAX_COUNTS) {
      examination.findings.add(taken.findings.all);
      examination.looked.tasks += taken.tasks;
      if (!isDone) examination.looked.busy += 1;
      return;
    }
    examination.findings.addMended(taken.findings.all);
  }
}

/** The counters against the count, where it is one of a single moment. */
async function compare(examination: Examination, id: string, taken: Count): Promise<boolean> {
  if (taken.vanished.length > 0 && examination.repair && taken.seal !== "") return bury(examination, id, taken);
  noteVanished(id, taken);
  if (taken.seal === undefined || taken.seal === "" || (examination.repair && taken.findings.mended > 0)) return false;
  const groups = [...taken.groups].flatMap(([no, counts]) => [no, ...ITEM_STATES.map((state) => counts[state])]);
  const { findings, rest } = await ask(examination, "doctor-recount", [id, taken.seal, ...groups]);
  taken.findings.add(findings);
  return rest[0] === 1;
}

function noteVanished(id: string, { vanished, findings }: Count): void {
  const [first] = vanished;
  if (first === undefined) return;
  findings.add([{ name: "task-vanished", count: vanished.length, mended: 0, where: `${first} of ${id}` }]);
}

/** Tasks that are nowhere become dead letters; then everything is counted again. */
async function bury(examination: Examination, id: string, taken: Count): Promise<false> {
  const pieces = taken.vanished.map((task) => ({ task, start: 0, end: 1 }));
  const told = await toldStates(examination.shard, id, pieces);
  for (let from = 0; from < told.length; from += PAGE) {
    const args = told.slice(from, from + PAGE).flatMap((piece) => [piece.task, piece.told]);
    taken.findings.add((await ask(examination, "doctor-bury", [id, ...args])).findings);
  }
  return false;
}

async function countOnce(examination: Examination, id: string): Promise<Count> {
  const taken: Count = { findings: new Findings(), groups: new Map(), seal: undefined, vanished: [], tasks: 0 };
  const seals = new Set<string>();
  for (let from = "0"; from !== "";) {
    const { findings, rest } = await ask(examination, "doctor-tasks", [id, from, PAGE]);
    const [next, seal, vanished, ...rows] = rest;
    taken.findings.add(findings);
    taken.vanished.push(...(vanished as string[]).map(Number));
    seals.add(String(seal));
    for (const row of rows as string[][]) await countRow(examination, { id, row, taken, seals });
    from = String(next);
  }
  taken.seal = seals.has("") ? "" : seals.size === 1 ? [...seals][0] : undefined;
  return taken;
}

interface Row {
  readonly id: string;
  readonly row: readonly string[];
  readonly taken: Count;
  readonly seals: Set<string>;
}

async function countRow(examination: Examination, { id, row, taken, seals }: Row): Promise<void> {
  const [kind, group = "", ...values] = row;
  const known = taken.groups.get(group) ?? nobody();
  taken.groups.set(group, known);
  if (kind === "array") {
    Object.assign(known, await countArray(examination, { id, group, row, taken, seals }));
    taken.tasks += 1;
    return;
  }
  ITEM_STATES.forEach((state, at) => {
    known[state] += Number(values[at]);
    taken.tasks += Number(values[at]);
  });
}

function nobody(): Counts {
  return { blocked: 0, scheduled: 0, queued: 0, running: 0, completed: 0, failed: 0, skipped: 0 };
}

// ── Arrays ──────────────────────────────────────────────────────────────────────────────────────

const PLACES = ["rows", "letters", "discarded", "chunks", "leases", "later", "ranges"] as const;

type Pieces = Readonly<Record<(typeof PLACES)[number], readonly (readonly string[])[]>>;

type ArrayRow = Row & { readonly group: string };

async function countArray(examination: Examination, array: ArrayRow): Promise<ArrayView["counts"]> {
  const [, , , length, cursor, delayed] = array.row;
  const pieces = await readPlaces(examination, array);
  const view = coverArray({
    length: Number(length),
    cursor: Number(cursor),
    isDelayed: Number(delayed) === 1,
    ...factsOf(pieces),
  });
  const isStill = array.seals.size === 1;
  if (isStill && view.mends.length > 0) await mendArray(examination, array, view.mends);
  return view.counts;
}

/** Everything that the places hold of the array; a page of a hash may tell of a field twice. */
async function readPlaces(examination: Examination, { id, group, taken, seals }: ArrayRow): Promise<Pieces> {
  const found = {
    rows: new Map(),
    letters: new Map(),
    discarded: new Map(),
    chunks: new Map(),
    leases: new Map(),
    later: new Map(),
    ranges: new Map(),
  };
  for (const place of PLACES) {
    for (let cursor = ""; ;) {
      const { findings, rest } = await ask(examination, "doctor-array", [id, group, place, cursor, PAGE]);
      const [next, seal, ...pieces] = rest;
      taken.findings.add(findings);
      seals.add(String(seal));
      for (const piece of pieces as string[][]) (found[place] as Map<string, string[]>).set(piece.join(" "), piece);
      cursor = String(next);
      if (cursor === "") break;
    }
  }
  return Object.fromEntries(PLACES.map((place) => [place, [...found[place].values()]])) as unknown as Pieces;
}

function factsOf(pieces: Pieces): Omit<ArrayFacts, "length" | "cursor" | "isDelayed"> {
  const rangeOf = ([start, end]: readonly string[]) => ({ start: Number(start), end: Number(end) });
  return {
    rows: pieces.rows.map((row) => ({ ...rangeOf(row), missing: numbersOf(row[2] ?? "") })),
    letters: [...pieces.letters, ...pieces.discarded].map(rangeOf),
    chunks: pieces.chunks.map((chunk) => ({
      ...rangeOf(chunk),
      entry: chunk[2] ?? "",
      isReplica: chunk[3] !== "",
      isHeld: Number(chunk[4]) === 1,
    })),
    later: pieces.later.map((range) => ({ ...rangeOf(range), hasTimer: Number(range[2]) === 1 })),
    ranges: pieces.ranges.map((range) => ({ ...rangeOf(range), member: range[2] ?? "" })),
  };
}

function numbersOf(list: string): number[] {
  return list === "" ? [] : list.split(",").map(Number);
}

async function mendArray(examination: Examination, array: ArrayRow, mends: readonly ArrayMend[]): Promise<void> {
  const { id, group, row, taken, seals } = array;
  const task = Number(row[2]);
  const gaps = mends.flatMap((mend) => (mend.kind === "lost" ? [{ task, start: mend.start, end: mend.end }] : []));
  const told = gaps.length === 0 ? [] : await toldStates(examination.shard, id, gaps);
  const lost = told.map((piece) => ["lost", piece.start, piece.end, piece.told]);
  const args = [...lost, ...mends.flatMap((mend) => (mend.kind === "lost" ? [] : [argumentsOf(mend)]))].slice(0, PAGE);
  const { findings } = await ask(examination, "doctor-requeue", [id, group, String([...seals][0]), ...args.flat()]);
  taken.findings.add(findings);
}

function argumentsOf(mend: Exclude<ArrayMend, { kind: "lost" }>): ScriptArgument[] {
  switch (mend.kind) {
    case "cut":
      return ["cut", mend.member];
    case "add":
      return ["add", mend.start, mend.end];
    case "drop":
      return ["drop", mend.entry];
    case "forget":
    case "timer":
      return [mend.kind, mend.start];
  }
}
