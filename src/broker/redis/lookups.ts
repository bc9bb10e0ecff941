/** Reads over all shards: what people and programs look at. They change nothing. */
import { HoldfastError } from "../../errors/index.ts";
import { isExecutionEnded } from "../../core/states.ts";
import {
  ALL_POOLS,
  type AttemptLog,
  type BrokerEvent,
  type ExecutionView,
  FROM_NOW,
  type LeaseSpec,
  type ListTasksParams,
  type PoolView,
  type ReadEventsParams,
  type ReadEventsReply,
  type ReadResultsParams,
  type ReadResultsReply,
  type ResultRow,
  type TaskFacts,
  type TaskView,
} from "../contract.ts";
import { MAX_PAGE, MAX_PARENTS_TOLD, MAX_REPLY_PAYLOAD } from "../limits.ts";
import type { Reply } from "./link/link.ts";
import { executionView } from "./listings.ts";
import { pairs, type Shard } from "./shard.ts";
import { UNIT } from "./submit-arguments.ts";
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
    const hash = await shard.hash(`exec:${executionId}`);
    if (hash["state"] === undefined) throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
    return executionView(shard, executionId, hash);
  }

  // ── Tasks ───────────────────────────────────────────────────────────────────────────────────

  async tasks({ executionId, states, limit, after = -1, children = false }: ListTasksParams): Promise<TaskView[]> {
    const shard = this.#shardOf(executionId);
    const { state } = await this.execution(executionId);
    const groups = new Map<string, views.GroupFacts>();
    const found: TaskView[] = [];
    for (let from = String(after + 1); from !== "" && found.length < limit;) {
      const budget = Math.max(limit - found.length, states === undefined ? 1 : MAX_PAGE);
      const [code, next, ...rows] = await shard.run("list-tasks", [executionId, from, budget, children ? "1" : "0"]);
      if (code !== "ok") throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
      for (const row of rows as string[][]) {
        const view = await taskView(shard, row, { executionId, hasEnded: isExecutionEnded(state), known: groups });
        if (states === undefined || states.includes(view.state)) found.push(view);
      }
      from = String(next);
    }
    return found.slice(0, limit);
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
    if (cursor === FROM_NOW)
      return { reply: { events: [], cursor: await this.#newest(executionId) }, isUnsettled: false };
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

  /** Cursor of the newest event; over several shards, of the newest before which none can still come. */
  async #newest(executionId: string): Promise<number> {
    if (executionId !== "") {
      await this.execution(executionId);
      const shard = this.#shardOf(executionId);
      const key = `${shard.prefix}exec:${executionId}:events`;
      const [last] = (await shard.send("XREVRANGE", key, "+", "-", "COUNT", "1")) as [string, Reply][];
      return Number.parseInt(last?.[0] ?? "0", 10);
    }
    const cursors = await Promise.all(this.#shards.map((shard) => shard.send("HGET", `${shard.prefix}meta`, "cursor")));
    const newest = Math.max(...cursors.map(Number));
    return this.#shards.length === 1 ? newest : Math.min(newest, (await this.#heardUntil()) - 1);
  }

  /** The cursor below which no shard will write any more. */
  async #heardUntil(): Promise<number> {
    const times = await Promise.all(this.#shards.map((shard) => shard.run("heard-until", [])));
    return Math.min(...times.map(([, until]) => Number(until)));
  }

  // ── Workers and pools ───────────────────────────────────────────────────────────────────────

  /** Those that anybody has named; `*` is none of them. */
  async pools(): Promise<PoolView[]> {
    const names = await this.#poolNames();
    return Promise.all(names.map((pool) => this.pool(pool)));
  }

  async #poolNames(): Promise<string[]> {
    const names = await Promise.all(this.#shards.map((shard) => shard.send("SMEMBERS", `${shard.prefix}pools`)));
    return [...new Set(names.flat() as string[])].toSorted();
  }

  async pool(pool: string): Promise<PoolView> {
    const home = this.#shards[0] as Shard;
    const [hashes, paused] = await Promise.all([
      Promise.all(this.#shards.map((shard) => shard.hash(`pool:${pool}`))),
      home.send("HMGET", `${home.prefix}paused`, pool, ALL_POOLS),
    ]);
    return views.poolView(pool, hashes, paused as (string | null)[]);
  }

  /** All pools in sum; `slots` of all live sessions, each counted once. */
  async allPools(slots: number): Promise<PoolView> {
    const home = this.#shards[0] as Shard;
    const [names, paused, sessions] = await Promise.all([
      this.#poolNames(),
      home.send("HGET", `${home.prefix}paused`, ALL_POOLS),
      home.send("ZCARD", `${home.prefix}sessions`),
    ]);
    const hashes = await Promise.all(
      names.map((pool) => Promise.all(this.#shards.map((shard) => shard.hash(`pool:${pool}`)))),
    );
    const totals = { sessions: Number(sessions), slots, ...views.limitsInSum(hashes) };
    const { max: _, ...view } = views.poolView(ALL_POOLS, hashes.flat(), [paused as string | null]);
    return { ...view, ...totals };
  }

  // ── Why ─────────────────────────────────────────────────────────────────────────────────────

  async explain(executionId: string, task: number): Promise<TaskFacts> {
    const shard = this.#shardOf(executionId);
    const execution = await this.execution(executionId);
    const [code, row, requires, retryLimit, ...rest] = await shard.run("explain-task", [
      executionId,
      task,
      MAX_PARENTS_TOLD,
    ]);
    if (code === "TASK_UNKNOWN") throw new HoldfastError("TASK_UNKNOWN", { execution: executionId, task });
    if (code !== "ok") throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
    const [notBefore, runningSince, ahead, waitsForCount, parents] = rest;
    const known = new Map<string, views.GroupFacts>();
    const hasEnded = isExecutionEnded(execution.state);
    const show = async (one: Reply): Promise<TaskView> =>
      taskView(shard, one as string[], { executionId, hasEnded, known });
    const view = await show(row as Reply);
    const waitsFor = await Promise.all((parents as Reply[]).map(show));
    return {
      task: view,
      execution: pick(execution),
      requires: requires === "" ? [] : String(requires).split(UNIT),
      pool: await this.pool(view.pool),
      waitsFor: waitsFor.map(({ task: parent, name, state, label }) => ({
        task: parent,
        name,
        state,
        ...(label === undefined ? {} : { label }),
      })),
      waitsForCount: Number(waitsForCount),
      ahead: Number(ahead),
      ...(notBefore === "" ? {} : { notBefore: Number(notBefore) }),
      ...(runningSince === "" ? {} : { runningSince: Number(runningSince) }),
      retryLimit: Number(retryLimit),
    };
  }
}

function pick({ executionId, name, state, priority, paused }: ExecutionView): TaskFacts["execution"] {
  return { executionId, name, state, priority, ...(paused === undefined ? {} : { paused }) };
}

async function taskView(
  shard: Shard,
  row: readonly string[],
  shown: { executionId: string; hasEnded: boolean; known: Map<string, views.GroupFacts> },
): Promise<TaskView> {
  const { executionId, hasEnded, known } = shown;
  const group = await groupFacts(shard, { executionId, no: row[2] as string, known });
  const view = row[0] === "array" ? views.arrayTask : views.separateTask;
  return view(row, { executionId, hasEnded, group });
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
