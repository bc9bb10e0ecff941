/**
 * Lists over all shards, page by page: executions, dead letters, sessions. They change nothing.
 *
 * A cursor says where to go on: an execution's birth, which is another one in every shard; the shard and
 * the letter told last; the number of a session. What it names may be gone by then.
 */
import { HoldfastError } from "../../errors/index.ts";
import { type ExecutionState, TERMINAL_EXECUTION_STATES } from "../../core/states.ts";
import type {
  DeadLetter,
  ExecutionView,
  ListDeadLettersParams,
  ListDeadLettersReply,
  ListExecutionsParams,
  ListExecutionsReply,
  ListSessionsParams,
  ListSessionsReply,
  SessionView,
} from "../contract.ts";
import { MAX_REPLY_PAYLOAD } from "../limits.ts";
import type { Reply } from "./link/link.ts";
import type { ScriptArgument, Shard } from "./shard.ts";
import { pairs } from "./shard.ts";
import { UNIT } from "./submit-arguments.ts";
import * as views from "./views.ts";

/** Executions that one call looks at in one shard: some milliseconds of the server. */
const MAX_LOOKED_AT = 2_000;

export class Listings {
  readonly #shards: readonly Shard[];
  readonly #shardOf: (executionId: string) => Shard;

  constructor(shards: readonly Shard[], shardOf: (executionId: string) => Shard) {
    this.#shards = shards;
    this.#shardOf = shardOf;
  }

  // ── Executions ──────────────────────────────────────────────────────────────────────────────

  /** By their birth over all shards. Errors: INVALID_REQUEST. */
  async executions(params: ListExecutionsParams): Promise<ListExecutionsReply> {
    const { limit, order = "newest", after = "" } = params;
    if (after !== "" && !/^\d+$/.test(after)) throw foreignCursor("listExecutions", after);
    const sign = order === "newest" ? -1 : 1;
    const found = await Promise.all(this.#shards.map((shard) => executionsIn(shard, params)));
    // Beyond the place that a shard has looked at it may hold others that come first.
    const heardUntil = found.flatMap(({ until }) => (until === undefined ? [] : [until]));
    const end = heardUntil.length === 0 ? undefined : sign * Math.min(...heardUntil.map((birth) => sign * birth));
    const rows = found
      .flatMap((one) => one.rows)
      .filter(({ birth }) => end === undefined || sign * birth <= sign * end)
      .toSorted((one, other) => sign * (one.birth - other.birth));
    const page = rows.slice(0, limit);
    const next = rows.length > limit ? page.at(-1)?.birth : end;
    return { executions: page.map(({ view }) => view), ...(next === undefined ? {} : { next: String(next) }) };
  }

  // ── Dead letters ────────────────────────────────────────────────────────────────────────────

  /** Of one execution, or of all: shard by shard, by the birth of their executions. Errors: EXECUTION_NOT_FOUND, INVALID_REQUEST. */
  async letters(params: ListDeadLettersParams): Promise<ListDeadLettersReply> {
    const { executionId, limit, after } = params;
    const cursor = after === undefined ? undefined : parseLetterCursor(after);
    if (executionId !== undefined) return this.#lettersIn(this.#shardOf(executionId), params, cursor);
    const letters: DeadLetter[] = [];
    for (let no = cursor?.shard ?? 0; no < this.#shards.length; no += 1) {
      const shard = this.#shards[no] as Shard;
      const rest = { ...params, limit: limit - letters.length };
      const found = await this.#lettersIn(shard, rest, no === cursor?.shard ? cursor : undefined);
      letters.push(...found.letters);
      if (found.next !== undefined) return { letters, next: found.next };
    }
    return { letters };
  }

  async #lettersIn(
    shard: Shard,
    params: ListDeadLettersParams,
    cursor: LetterCursor | undefined,
  ): Promise<ListDeadLettersReply> {
    const { executionId = "", limit, inputs = false } = params;
    const { birth = "", place = "", name = "" } = cursor ?? {};
    const args = [executionId, birth, place, name, limit, inputs ? "1" : "0", MAX_REPLY_PAYLOAD];
    const [code, next, ...rows] = await shard.run("list-letters", args);
    if (code !== "ok") throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
    const letters = (rows as string[][]).map(([id = "", letter = "", text = "", input = ""]) => ({
      ...views.deadLetter(id, letter, text),
      ...(input === "" ? {} : { input }),
    }));
    const parts = next as string[];
    return { letters, ...(parts.length === 0 ? {} : { next: [shard.no, ...parts].join("/") }) };
  }

  // ── Sessions ────────────────────────────────────────────────────────────────────────────────

  /** As the first shard knows them; what a session does in the others is added. Errors: INVALID_REQUEST. */
  async sessions({ limit, live = false, after = "" }: ListSessionsParams): Promise<ListSessionsReply> {
    if (after !== "" && !/^\d+$/.test(after)) throw foreignCursor("listSessions", after);
    const [home, ...others] = this.#shards as [Shard, ...Shard[]];
    const [, next, ...rows] = await home.run("list-sessions", [limit, live ? "1" : "0", after]);
    const sessions = await Promise.all((rows as Reply[][]).map((row) => sessionOf(row, others)));
    return { sessions: sessions.flat(), ...(next === "" ? {} : { next: String(next) }) };
  }
}

function foreignCursor(method: string, after: string): HoldfastError {
  const problem = `is "${after.slice(0, 64)}"; pass the \`next\` of the page before`;
  return new HoldfastError("INVALID_REQUEST", { method, path: "after", problem });
}

// ── Executions ──────────────────────────────────────────────────────────────────────────────────

interface ExecutionRows {
  readonly rows: readonly { readonly birth: number; readonly view: ExecutionView }[];
  /** Birth up to which the shard has looked; undefined: to the end. */
  readonly until: number | undefined;
}

/** One more than a page holds, so that the last page is known to be the last. */
async function executionsIn(shard: Shard, params: ListExecutionsParams): Promise<ExecutionRows> {
  const { states = [], kinds = [], name = "", order = "newest", idPrefix = "", limit, after = "" } = params;
  const args: ScriptArgument[] = [onlyLive(states) ? "live" : "executions", order, after, limit + 1, MAX_LOOKED_AT];
  args.push(idPrefix, name, amongText(states), amongText(kinds));
  const [, until, ...found] = await shard.run("list-executions", args);
  const rows = await Promise.all(
    (found as [string, string, Reply][]).map(async ([id, birth, fields]) => ({
      birth: Number(birth),
      view: await executionView(shard, id, pairs(fields)),
    })),
  );
  return { rows, until: until === "" ? undefined : Number(until) };
}

function amongText(list: readonly string[]): string {
  return list.length === 0 ? "" : `${UNIT}${list.join(UNIT)}${UNIT}`;
}

function onlyLive(states: readonly ExecutionState[]): boolean {
  const ended: readonly ExecutionState[] = TERMINAL_EXECUTION_STATES;
  return states.length > 0 && states.every((state) => !ended.includes(state));
}

/** The view of an execution whose hash was read; what a verification found is read besides. */
export async function executionView(shard: Shard, executionId: string, hash: views.Hash): Promise<ExecutionView> {
  if (hash["verify"] === undefined) return views.executionView(executionId, hash, { report: {}, disagreements: [] });
  const key = `exec:${executionId}`;
  const [report, disagreements] = await Promise.all([
    shard.hash(`${key}:report`),
    shard.send("LRANGE", `${shard.prefix}${key}:disagreements`, "0", "-1"),
  ]);
  return views.executionView(executionId, hash, { report, disagreements: disagreements as string[] });
}

// ── Dead letters ────────────────────────────────────────────────────────────────────────────────

/** The letter told last. */
interface LetterCursor {
  readonly shard: number;
  /** Of its execution. */
  readonly birth: string;
  /** In the execution's list. */
  readonly place: string;
  readonly name: string;
}

function parseLetterCursor(after: string): LetterCursor {
  const parts = /^(\d+)\/(\d*)\/(\d+)\/(\d+(?::\d+)?)$/.exec(after);
  if (parts === null) throw foreignCursor("listDeadLetters", after);
  const [, shard = "", birth = "", place = "", name = ""] = parts;
  return { shard: Number(shard), birth, place, name };
}

// ── Sessions ────────────────────────────────────────────────────────────────────────────────────

async function sessionOf([id, seenAt, leases, fields]: Reply[], others: readonly Shard[]): Promise<SessionView[]> {
  const hash = pairs(fields);
  if (hash["profile"] === undefined) return [];
  const session = String(id);
  const elsewhere = await Promise.all(others.map((shard) => sessionIn(shard, session)));
  const sum = (own: number, name: "leases" | "completed"): number =>
    elsewhere.reduce((total, one) => total + one[name], own);
  const lastSeenAt = Math.max(Number(seenAt), ...elsewhere.map((one) => one.seenAt));
  const seen = {
    lastSeenAt,
    leases: sum(Number(leases), "leases"),
    completed: sum(Number(hash["completed"] ?? 0), "completed"),
  };
  return [views.sessionView(session, hash, seen)];
}

async function sessionIn(
  shard: Shard,
  session: string,
): Promise<{ readonly seenAt: number; readonly leases: number; readonly completed: number }> {
  const key = `${shard.prefix}session:${session}`;
  const [seenAt, held, completed] = await Promise.all([
    shard.send("ZSCORE", `${shard.prefix}sessions`, session),
    shard.send("HVALS", `${key}:held`),
    shard.send("HGET", key, "completed"),
  ]);
  const leases = (held as string[]).reduce((total, one) => total + Number(one), 0);
  return { seenAt: Number(seenAt), leases, completed: Number(completed) };
}
