/** What people and programs look at: rows of the file as the contract's views. Reads change nothing. */
import { isExecutionEnded, isTaskEnded } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import type {
  AttemptLog,
  Counters,
  ExecutionView,
  ListExecutionsParams,
  ListExecutionsReply,
  ListTasksParams,
  TaskView,
} from "../contract.ts";
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import { pauseOf } from "./load.ts";
import {
  BLOCKED,
  type GroupSpec,
  type ItemCounts,
  noItems,
  QUEUED,
  RUNNING,
  SCHEDULED,
  TASK_ID_SPAN,
  STORED_STATES,
} from "./model.ts";
import { suspensionView, wakeIn } from "./wake.ts";

export function executionRow(engine: Engine, executionId: string): Row {
  const row = engine.db.get("SELECT * FROM executions WHERE id = ?", executionId);
  if (row === undefined) throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
  return row;
}

export function executionView(row: Row): ExecutionView {
  const counts = JSON.parse(String(row["counters"])) as ItemCounts & { lost: number; retries: number; refused: number };
  const state = String(row["state"]) as ExecutionView["state"];
  return {
    executionId: String(row["id"]),
    name: String(row["name"]),
    kind: String(row["kind"]) as ExecutionView["kind"],
    state,
    priority: Number(row["priority"]),
    counters: counters(counts, isExecutionEnded(state)),
    lostAttempts: counts.lost,
    retries: counts.retries,
    refusedOutcomes: counts.refused,
    createdAt: Number(row["created_at"]),
    ...optional("key", row["key"]),
    ...optional("startedAt", row["started_at"]),
    ...optional("endedAt", row["ended_at"]),
    ...(state === "paused" ? { paused: pauseOf(row) } : {}),
    ...optional("meta", row["meta"]),
    ...parsed("verification", row["verification"]),
    ...parsed("firstFailure", row["first_failure"]),
  };
}

/** What had not ended when its execution did was cancelled. */
function counters(counts: ItemCounts, hasEnded: boolean): Counters {
  const { blocked, scheduled, queued, running, completed, failed, skipped } = counts;
  const open = blocked + scheduled + queued + running;
  const total = open + completed + failed + skipped;
  if (!hasEnded) return { total, blocked, scheduled, queued, running, completed, failed, cancelled: 0, skipped };
  return { total, blocked: 0, scheduled: 0, queued: 0, running: 0, completed, failed, cancelled: open, skipped };
}

export function optional(name: string, value: unknown): Record<string, unknown> {
  return value === null || value === undefined ? {} : { [name]: value };
}

export function parsed(name: string, value: unknown): Record<string, unknown> {
  return typeof value === "string" ? { [name]: JSON.parse(value) as unknown } : {};
}

export function listExecutions(engine: Engine, params: ListExecutionsParams): ListExecutionsReply {
  const { states = [], kinds = [], name = "", idPrefix = "", order = "newest" } = params;
  const after = placeOf(params.after) ?? (order === "newest" ? Number.MAX_SAFE_INTEGER : 0);
  const which = `(?1 = '[]' OR state IN (SELECT value FROM json_each(?1)))
    AND (?2 = '[]' OR kind IN (SELECT value FROM json_each(?2)))
    AND instr(name, ?3) > 0 AND substr(id, 1, length(?4)) = ?4`;
  const place = order === "newest" ? "no < ?5 ORDER BY no DESC" : "no > ?5 ORDER BY no";
  const rows = engine.db.all(
    `SELECT * FROM executions WHERE ${which} AND ${place} LIMIT ?6`,
    JSON.stringify(states),
    JSON.stringify(kinds),
    name,
    idPrefix,
    after,
    params.limit + 1,
  );
  const page = rows.slice(0, params.limit);
  const last = page.at(-1);
  return {
    executions: page.map(executionView),
    ...(rows.length > params.limit && last !== undefined ? { next: String(last["no"]) } : {}),
  };
}

/** The number of an execution, which stays a place in the list when the execution is gone. */
function placeOf(after: string | undefined): number | undefined {
  if (after === undefined) return undefined;
  const place = Number(after);
  if (Number.isSafeInteger(place)) return place;
  throw new HoldfastError("INVALID_REQUEST", {
    method: "listExecutions",
    path: "after",
    problem: `is ${after}, which no reply has given as next`,
  });
}

// ── Tasks ─────────────────────────────────────────────────────────────────────────────────────

export function listTasks(engine: Engine, params: ListTasksParams): TaskView[] {
  const execution = executionRow(engine, params.executionId);
  const no = Number(execution["no"]);
  const hasEnded = execution["ended_at"] !== null;
  const tasks: TaskView[] = [];
  const groups = engine.db.all("SELECT * FROM groups WHERE execution = ? ORDER BY no", no);
  const after = params.after ?? -1;
  for (const group of groups) {
    if (tasks.length >= params.limit) break;
    const [first, count] = [Number(group["first"]), Number(group["count"])];
    if (first + count - 1 <= after) continue;
    const views =
      group["array"] === null
        ? separateTasks(engine, { group, no, hasEnded, params, from: Math.max(first, after + 1) })
        : [
            {
              ...arrayTask({ group, executionId: params.executionId, hasEnded }),
              ...(params.children === true && !hasEnded
                ? { children: childrenIn(engine, no * TASK_ID_SPAN, no * TASK_ID_SPAN + first) }
                : {}),
            },
          ];
    for (const view of views) {
      if (tasks.length < params.limit && (params.states === undefined || params.states.includes(view.state)))
        tasks.push(view);
    }
  }
  return tasks;
}

/** What the leases of a group share, from its row. */
export function groupSpec(group: Row): GroupSpec {
  return JSON.parse(String(group["spec"])) as GroupSpec;
}

interface SeparateTasks {
  readonly group: Row;
  readonly no: number;
  readonly hasEnded: boolean;
  readonly params: ListTasksParams;
  readonly from: number;
}

function separateTasks(engine: Engine, { group, no, hasEnded, params, from }: SeparateTasks): TaskView[] {
  const base = no * TASK_ID_SPAN;
  const isDelayed = group["not_before"] !== null;
  const wanted = (params.states ?? STORED_STATES).flatMap((state) => storedStates(state, { hasEnded, isDelayed }));
  const rows = engine.db.all(
    `SELECT t.*, json_extract(s.profile, '$.worker') AS worker FROM tasks t LEFT JOIN sessions s ON s.no = t.session
     WHERE t.id >= ? AND t.id < ? AND t.state IN (SELECT value FROM json_each(?)) ORDER BY t.id LIMIT ?`,
    base + from,
    base + Number(group["first"]) + Number(group["count"]),
    JSON.stringify(wanted),
    params.limit,
  );
  const spec = groupSpec(group);
  return rows.map((row) => ({
    ...taskView({ row, spec, base, executionId: params.executionId, hasEnded, isDelayed }),
    ...(params.children === true && !hasEnded ? { children: childrenIn(engine, base, Number(row["id"])) } : {}),
  }));
}

function childrenIn({ db }: Engine, base: number, id: number): number[] {
  return db
    .all("SELECT child FROM edges WHERE parent = ? ORDER BY child", id)
    .map((row) => Number(row["child"]) - base);
}

/**
 * States of the file that a view shows as `state`. A delayed group's tasks are stored as queued, and
 * what had not ended when its execution did is stored as it was then.
 */
function storedStates(
  state: TaskView["state"],
  group: { readonly hasEnded: boolean; readonly isDelayed: boolean },
): number[] {
  if (state === "cancelled") return group.hasEnded ? [BLOCKED, SCHEDULED, QUEUED, RUNNING] : [];
  if (group.hasEnded && !isTaskEnded(state)) return [];
  if (state === "scheduled") return group.isDelayed ? [SCHEDULED, QUEUED] : [SCHEDULED];
  if (state === "queued") return group.isDelayed ? [] : [QUEUED];
  return [STORED_STATES.indexOf(state)];
}

interface StoredTask {
  readonly row: Row;
  readonly spec: GroupSpec;
  readonly base: number;
  readonly executionId: string;
  readonly hasEnded: boolean;
  readonly isDelayed: boolean;
}

function taskView({ row, spec, base, executionId, hasEnded, isDelayed }: StoredTask): TaskView {
  const stored = STORED_STATES[Number(row["state"])] ?? "queued";
  const shown = stored === "queued" && isDelayed ? "scheduled" : stored;
  const isOpen = ["blocked", "scheduled", "queued", "running"].includes(shown);
  return {
    executionId,
    task: Number(row["id"]) - base,
    name: spec.name,
    pool: spec.pool,
    state: hasEnded && isOpen ? "cancelled" : shown,
    attempts: Number(row["attempt"]),
    failures: Number(row["failures"]),
    losses: Number(row["losses"]),
    ...optional("worker", row["worker"]),
    ...optional("notBefore", row["not_before"]),
    ...(stored === "completed" ? { result: (row["result"] as string | null) ?? "null" } : {}),
    ...(row["removed"] === 1 ? { removed: true } : {}),
    ...parsed("lastFailure", row["failure"]),
    ...optional("label", row["label"]),
    ...(Number(row["rank"]) > 0 ? { rank: Number(row["rank"]) } : {}),
    ...(stored === "completed" ? optional("durationMs", row["duration_ms"]) : {}),
    ...(row["held"] === 1 && isOpen && !hasEnded ? { held: true } : {}),
    ...(hasEnded ? {} : suspended(stored, row)),
  };
}

function suspended(state: TaskView["state"], row: Row): Pick<TaskView, "suspended"> {
  const wake = state === "blocked" || state === "scheduled" ? wakeIn(row["wake"]) : undefined;
  return wake === undefined || wake.awake === true ? {} : { suspended: suspensionView(wake) };
}

function arrayTask({ group, executionId, hasEnded }: { group: Row; executionId: string; hasEnded: boolean }): TaskView {
  const spec = groupSpec(group);
  const counts = { ...noItems(), ...(JSON.parse(String(group["counters"])) as ItemCounts) };
  return {
    executionId,
    task: Number(group["first"]),
    name: spec.name,
    pool: spec.pool,
    state: arrayState(counts, hasEnded),
    items: counters(counts, hasEnded),
    attempts: 0,
    failures: counts.failed,
    losses: 0,
  };
}

function arrayState(counts: ItemCounts, hasEnded: boolean): TaskView["state"] {
  const open = counts.queued + counts.running + counts.scheduled;
  if (open > 0 && hasEnded) return "cancelled";
  if (counts.running > 0 || (open > 0 && counts.completed + counts.failed > 0)) return "running";
  if (counts.queued > 0) return "queued";
  if (counts.scheduled > 0) return "scheduled";
  return counts.failed > 0 ? "failed" : "completed";
}

export function listAttempts(
  engine: Engine,
  params: { readonly executionId: string; readonly task?: number; readonly limit: number },
): AttemptLog[] {
  const no = Number(executionRow(engine, params.executionId)["no"]);
  const rows = engine.db.all(
    "SELECT * FROM attempts WHERE execution = ?1 AND (?2 IS NULL OR task = ?2) ORDER BY seq DESC LIMIT ?3",
    no,
    params.task ?? null,
    params.limit,
  );
  return rows.map(
    (row) =>
      ({
        task: Number(row["task"]),
        attempt: Number(row["attempt"]),
        worker: String(row["worker"]),
        outcome: String(row["outcome"]),
        at: Number(row["at"]),
        ...optional("start", row["start"]),
        ...optional("end", row["end"]),
        ...optional("durationMs", row["duration_ms"]),
        ...parsed("failure", row["failure"]),
        ...parsed("output", row["output"]),
      }) as AttemptLog,
  );
}
