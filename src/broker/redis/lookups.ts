/** Reads over all shards: what people and programs look at. They change nothing. */
import { HoldfastError } from "../../errors/index.ts";
import { isExecutionEnded, type ExecutionState, TERMINAL_EXECUTION_STATES } from "../../core/states.ts";
import type {
  AttemptLog,
  BrokerEvent,
  DeadLetter,
  ExecutionView,
  LeaseSpec,
  ListExecutionsParams,
  ListExecutionsReply,
  ListTasksParams,
  PoolView,
  ReadEventsParams,
  ReadEventsReply,
  ReadResultsParams,
  ReadResultsReply,
  ResultRow,
  SessionView,
  TaskView,
} from "../contract.ts";
import { MAX_PAGE, MAX_REPLY_PAYLOAD } from "../limits.ts";
import type { Reply } from "./link/link.ts";
import { pairs, type Shard } from "./shard.ts";
import * as views from "./views.ts";

export class Lookups {
  readonly #shards: readonly Shard[];
  readonly #shardOf: (executionId: string) => Shard;

  constructor(shards: readonly Shard[], shardOf: (executionId: string) => Shard) {
    this.#shards = shards;
    this.#shardOf = shardOf;
  }

  // ── Executions ──────────────────────────────────────────────────────────────────────────────

  async execution(executionId: string): Promise<ExecutionView> {
    const shard = this.#shardOf(executionId);
    const view = await executionIn(shard, executionId);
    if (view === undefined) throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
    return view;
  }

  /** Newest first, over all shards by their birth. */
  async executions({ states, idPrefix = "", limit, before }: ListExecutionsParams): Promise<ListExecutionsReply> {
    const from = before === undefined ? Infinity : await this.#birthOf(before);
    const wanted = (view: ExecutionView): boolean =>
      view.executionId.startsWith(idPrefix) &&
      (states === undefined || states.length === 0 || states.includes(view.state));
    const set = onlyLive(states) ? "live" : "executions";
    const found = await Promise.all(
      this.#shards.map((shard) => pageOf(shard, { set, from, limit: limit + 1, wanted })),
    );
    const all = found.flat().toSorted((one, other) => other.birth - one.birth);
    const page = all.slice(0, limit).map(({ view }) => view);
    const last = page.at(-1);
    return { executions: page, ...(all.length > limit && last !== undefined ? { next: last.executionId } : {}) };
  }

  async #birthOf(executionId: string): Promise<number> {
    const shard = this.#shardOf(executionId);
    const score = await shard.send("ZSCORE", `${shard.prefix}executions`, executionId);
    return score === null ? Infinity : Number(score);
  }

  // ── Tasks ───────────────────────────────────────────────────────────────────────────────────

  async tasks({ executionId, states, limit, after = -1 }: ListTasksParams): Promise<TaskView[]> {
    const shard = this.#shardOf(executionId);
    const { state } = await this.execution(executionId);
    const groups = new Map<string, views.GroupFacts>();
    const found: TaskView[] = [];
    for (let from = String(after + 1); from !== "" && found.length < limit;) {
      const budget = Math.max(limit - found.length, states === undefined ? 1 : MAX_PAGE);
      const [code, next, ...rows] = await shard.run("list-tasks", [executionId, from, budget]);
      if (code !== "ok") throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
      for (const row of rows as string[][]) {
        const group = await groupFacts(shard, { executionId, no: row[2] as string, known: groups });
        const shown = { executionId, hasEnded: isExecutionEnded(state), group };
        const view = row[0] === "array" ? views.arrayTask(row, shown) : views.separateTask(row, shown);
        if (states === undefined || states.includes(view.state)) found.push(view);
      }
      from = String(next);
    }
    return found.slice(0, limit);
  }

  async deadLetters(executionId: string, limit: number): Promise<DeadLetter[]> {
    const shard = this.#shardOf(executionId);
    await this.execution(executionId);
    const key = `${shard.prefix}exec:${executionId}`;
    const members = (await shard.send("ZRANGE", `${key}:letters`, "0", String(limit - 1))) as string[];
    if (members.length === 0) return [];
    const texts = (await shard.send("HMGET", `${key}:tries`, ...members)) as (string | null)[];
    return members.flatMap((member, at) => {
      const text = texts[at];
      return typeof text === "string" ? [views.deadLetter(executionId, member, text)] : [];
    });
  }

  async attempts(executionId: string, task: number | undefined, limit: number): Promise<AttemptLog[]> {
    const shard = this.#shardOf(executionId);
    await this.execution(executionId);
    const entries = await shard.send("XREVRANGE", `${shard.prefix}exec:${executionId}:attempts`, "+", "-");
    return (entries as Reply[][])
      .map(([, fields]) => views.attemptLog(pairs(fields)))
      .filter((attempt) => task === undefined || attempt.task === task)
      .slice(0, limit);
  }

  // ── Results and events ──────────────────────────────────────────────────────────────────────

  async results({
    executionId,
    cursor = 0,
    limit,
    partialsOnly = false,
  }: ReadResultsParams): Promise<ReadResultsReply> {
    const shard = this.#shardOf(executionId);
    const args = [executionId, cursor, limit, MAX_REPLY_PAYLOAD, partialsOnly ? "1" : "0"];
    const [code, next, done, ...values] = (await shard.run("read-results", args)) as string[];
    if (code !== "ok") throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
    const rows: ResultRow[] = [];
    for (let at = 0; at < values.length; at += 5) {
      const [field = "", worker = "", told = "", record = "", text = ""] = values.slice(at, at + 5);
      if (record !== "") rows.push(views.resultRow({ field, worker, at: told, record, values: text }, partialsOnly));
    }
    return { rows, cursor: Number(next), done: Number(done) === 1 };
  }

  /**
   * Events of one execution, or of all. Over several shards a page ends at the time up to which every
   * shard has been heard, because an earlier event of a slower one may still come; `isUnsettled` when
   * that leaves nothing for now.
   */
  async events({
    cursor,
    executionId = "",
    limit,
  }: ReadEventsParams): Promise<{ readonly reply: ReadEventsReply; readonly isUnsettled: boolean }> {
    const shards = executionId === "" ? this.#shards : [this.#shardOf(executionId)];
    const pages = await Promise.all(
      shards.map(async (shard) => {
        const [code, ...values] = await shard.run("read-events", [cursor, executionId, limit]);
        if (code !== "ok") throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
        return readEvents(values);
      }),
    );
    const settled = shards.length === 1 ? Infinity : await this.#heardUntil();
    const found = pages.flat();
    const events = found
      .filter((event) => event.cursor < settled)
      .toSorted((one, other) => one.cursor - other.cursor)
      .slice(0, limit);
    const reply = { events, cursor: events.at(-1)?.cursor ?? cursor };
    return { reply, isUnsettled: events.length === 0 && found.length > 0 };
  }

  /** The cursor below which no shard will write any more. */
  async #heardUntil(): Promise<number> {
    const times = await Promise.all(this.#shards.map((shard) => shard.run("heard-until", [])));
    return Math.min(...times.map(([, until]) => Number(until)));
  }

  // ── Workers and pools ───────────────────────────────────────────────────────────────────────

  /** Live sessions in the order of their opening, then those that ended last. */
  async sessions(limit: number): Promise<SessionView[]> {
    const home = this.#shards[0] as Shard;
    const live = pairs(await home.send("ZRANGE", `${home.prefix}sessions`, "0", "-1", "WITHSCORES"));
    const first = await this.#sessionViews(live);
    const ordered = first.toSorted((one, other) => one.openedAt - other.openedAt || one.no - other.no);
    if (ordered.length >= limit) return ordered.slice(0, limit).map(({ view }) => view);
    const rest = String(limit - ordered.length - 1);
    const ended = await home.send("ZREVRANGE", `${home.prefix}ended-sessions`, "0", rest, "WITHSCORES");
    const last = await this.#sessionViews(pairs(ended));
    return [...ordered, ...last].map(({ view }) => view);
  }

  async #sessionViews(
    seen: Readonly<Record<string, string>>,
  ): Promise<{ readonly no: number; readonly openedAt: number; readonly view: SessionView }[]> {
    const found = await Promise.all(
      Object.entries(seen).map(async ([session, seenAt]) => {
        const hashes = await Promise.all(this.#shards.map((shard) => shard.hash(`session:${session}`)));
        const held = await Promise.all(
          this.#shards.map((shard) => shard.send("HVALS", `${shard.prefix}session:${session}:held`)),
        );
        const [hash = {}] = hashes;
        if (hash["profile"] === undefined) return [];
        const leases = (held.flat() as string[]).reduce((sum, count) => sum + Number(count), 0);
        const completed = hashes.reduce((sum, one) => sum + Number(one["completed"] ?? 0), 0);
        const lastSeenAt = Math.max(Number(seenAt), ...(await this.#seenElsewhere(session)));
        const view = views.sessionView(session, hash, { lastSeenAt, leases, completed });
        return [{ no: Number(hash["no"]), openedAt: view.openedAt, view }];
      }),
    );
    return found.flat();
  }

  async #seenElsewhere(session: string): Promise<number[]> {
    const others = this.#shards.slice(1);
    return Promise.all(
      others.map(async (shard) => Number(await shard.send("ZSCORE", `${shard.prefix}sessions`, session))),
    );
  }

  async pools(): Promise<PoolView[]> {
    const names = await Promise.all(this.#shards.map((shard) => shard.send("SMEMBERS", `${shard.prefix}pools`)));
    const all = [...new Set(names.flat() as string[])].toSorted();
    return Promise.all(all.map((pool) => this.pool(pool)));
  }

  async pool(pool: string): Promise<PoolView> {
    const hashes = await Promise.all(this.#shards.map((shard) => shard.hash(`pool:${pool}`)));
    const sum = (name: string): number => hashes.reduce((total, hash) => total + Number(hash[name] ?? 0), 0);
    return {
      pool,
      paused: hashes.some((hash) => hash["paused"] === "1"),
      queued: sum("queued"),
      running: sum("running"),
      sessions: Number(hashes[0]?.["sessions"] ?? 0),
    };
  }
}

async function executionIn(shard: Shard, executionId: string): Promise<ExecutionView | undefined> {
  const key = `exec:${executionId}`;
  const hash = await shard.hash(key);
  if (hash["state"] === undefined) return undefined;
  if (hash["verify"] === undefined) return views.executionView(executionId, hash, { report: {}, disagreements: [] });
  const [report, disagreements] = await Promise.all([
    shard.hash(`${key}:report`),
    shard.send("LRANGE", `${shard.prefix}${key}:disagreements`, "0", "-1"),
  ]);
  return views.executionView(executionId, hash, { report, disagreements: disagreements as string[] });
}

function onlyLive(states: readonly ExecutionState[] | undefined): boolean {
  const ended: readonly ExecutionState[] = TERMINAL_EXECUTION_STATES;
  return states !== undefined && states.length > 0 && states.every((state) => !ended.includes(state));
}

interface Paging {
  readonly set: "executions" | "live";
  /** Births below this. */
  readonly from: number;
  readonly limit: number;
  readonly wanted: (view: ExecutionView) => boolean;
}

async function pageOf(
  shard: Shard,
  { set, from, limit, wanted }: Paging,
): Promise<{ readonly birth: number; readonly view: ExecutionView }[]> {
  const found: { birth: number; view: ExecutionView }[] = [];
  let below = from === Infinity ? "+inf" : `(${from}`;
  while (found.length < limit) {
    const args = [`${shard.prefix}${set}`, below, "-inf", "WITHSCORES", "LIMIT", "0", String(limit)];
    const page = Object.entries(pairs(await shard.send("ZREVRANGEBYSCORE", ...args)));
    const views = await Promise.all(page.map(async ([id]) => executionIn(shard, id)));
    views.forEach((view, at) => {
      if (view !== undefined && wanted(view)) found.push({ birth: Number(page[at]?.[1]), view });
    });
    if (page.length < limit) break;
    below = `(${page.at(-1)?.[1]}`;
  }
  return found.slice(0, limit);
}

async function groupFacts(
  shard: Shard,
  { executionId, no, known }: { executionId: string; no: string; known: Map<string, views.GroupFacts> },
): Promise<views.GroupFacts> {
  const found = known.get(no);
  if (found !== undefined) return found;
  const key = `${shard.prefix}exec:${executionId}:group:${no}`;
  const [spec, pool, notBefore] = (await shard.send("HMGET", key, "spec", "pool", "notBefore")) as (string | null)[];
  const { name } = JSON.parse(spec ?? '{"name":""}') as LeaseSpec;
  const facts = { name, pool: pool ?? "", isDelayed: notBefore !== null };
  known.set(no, facts);
  return facts;
}

function readEvents(values: readonly Reply[]): BrokerEvent[] {
  const events: BrokerEvent[] = [];
  for (let at = 0; at < values.length; at += 3) {
    const hash = pairs(values[at + 2]);
    const executionId = String(values[at + 1]);
    events.push({
      cursor: Number(values[at]),
      at: Number(hash["at"]),
      ...(executionId === "" ? {} : { executionId }),
      change: views.eventChange(hash),
    });
  }
  return events;
}
