/** Hashes and streams of the store as the contract's views. Pure. */
import type {
  AttemptLog,
  Counters,
  DeadLetter,
  Disagreement,
  EventChange,
  ExecutionView,
  Pause,
  PoolView,
  ResultRow,
  SessionView,
  TaskView,
  VerificationReport,
  WorkerProfile,
} from "../contract.ts";
import type { Failure } from "../../core/failure.ts";
import { isExecutionEnded } from "../../core/states.ts";
import { UNIT } from "./submit-arguments.ts";
import { attemptOf, durationOf, missingOf, partialOf, resultOf } from "./result-records.ts";

export type Hash = Readonly<Record<string, string>>;

function numberOf(hash: Hash, name: string): number {
  return Number(hash[name] ?? 0);
}

function optionalNumber<N extends string>(hash: Hash, field: string, name: N): Partial<Record<N, number>> {
  return (hash[field] === undefined ? {} : { [name]: Number(hash[field]) }) as Partial<Record<N, number>>;
}

export function executionView(
  executionId: string,
  hash: Hash,
  verified: { readonly report: Hash; readonly disagreements: readonly string[] },
): ExecutionView {
  const state = hash["state"] as ExecutionView["state"];
  const verification = verificationReport(hash, verified);
  return {
    executionId,
    name: hash["name"] ?? "",
    kind: hash["kind"] as ExecutionView["kind"],
    state,
    priority: numberOf(hash, "priority"),
    counters: counters(hash, isExecutionEnded(state)),
    lostAttempts: numberOf(hash, "lost"),
    retries: numberOf(hash, "retries"),
    refusedOutcomes: numberOf(hash, "refused"),
    createdAt: numberOf(hash, "created"),
    ...(hash["key"] === undefined ? {} : { key: hash["key"] }),
    ...optionalNumber(hash, "started", "startedAt"),
    ...optionalNumber(hash, "ended", "endedAt"),
    ...(state === "paused" && hash["pausedAt"] !== undefined
      ? { paused: pause(hash["pausedAt"], hash["pausedBy"] ?? "") }
      : {}),
    ...(hash["meta"] === undefined ? {} : { meta: hash["meta"] }),
    ...(verification === undefined ? {} : { verification }),
    ...(hash["firstFailure"] === undefined ? {} : { firstFailure: JSON.parse(hash["firstFailure"]) as Failure }),
  };
}

function pause(at: string, by: string): Pause {
  return { ...(by === "" ? {} : { by }), at: Number(at) };
}

/** What had not ended when its execution did was cancelled. */
export function counters(hash: Hash, hasEnded: boolean): Counters {
  const [blocked, scheduled, queued, running] = ["blocked", "scheduled", "queued", "running"].map((name) =>
    numberOf(hash, name),
  ) as [number, number, number, number];
  const [completed, failed, skipped] = ["completed", "failed", "skipped"].map((name) => numberOf(hash, name)) as [
    number,
    number,
    number,
  ];
  const open = blocked + scheduled + queued + running;
  const total = open + completed + failed + skipped;
  if (!hasEnded) return { total, blocked, scheduled, queued, running, completed, failed, cancelled: 0, skipped };
  return { total, blocked: 0, scheduled: 0, queued: 0, running: 0, completed, failed, cancelled: open, skipped };
}

function verificationReport(
  execution: Hash,
  { report, disagreements }: { readonly report: Hash; readonly disagreements: readonly string[] },
): VerificationReport | undefined {
  if (report["sampled"] === undefined) return undefined;
  const workers = Object.keys(report).flatMap((name) => /^compared:(.*)$/s.exec(name)?.[1] ?? []);
  return {
    sampled: numberOf(report, "sampled"),
    agreed: numberOf(report, "agreed"),
    disagreed: numberOf(report, "differing"),
    skipped: numberOf(report, "skipped"),
    pending: numberOf(execution, "verifying"),
    byWorker: Object.fromEntries(
      workers.map((worker) => [
        worker,
        { compared: numberOf(report, `compared:${worker}`), disagreed: numberOf(report, `disagreed:${worker}`) },
      ]),
    ),
    disagreements: disagreements.map((text) => JSON.parse(text) as Disagreement),
  };
}

// ── Tasks ─────────────────────────────────────────────────────────────────────────────────────

/** What `tries` says of a task or a range. */
interface TryRecord {
  readonly state: string;
  readonly attempt: number;
  readonly failures: number;
  readonly losses: number;
  readonly notBefore?: number;
  readonly at?: number;
  readonly last?: number;
  readonly as?: string;
  readonly failure?: Failure;
}

const ARRAY_STATES = ["blocked", "scheduled", "queued", "running", "completed", "failed", "skipped"] as const;

export interface GroupFacts {
  readonly name: string;
  readonly pool: string;
  /** The group starts later. */
  readonly isDelayed: boolean;
}

interface Shown {
  readonly executionId: string;
  readonly hasEnded: boolean;
  readonly group: GroupFacts;
}

/** `row`: `array`, task, group, then the items by state, children where they were asked for. */
export function arrayTask(row: readonly string[], { executionId, hasEnded, group }: Shown): TaskView {
  const hash = Object.fromEntries(ARRAY_STATES.map((state, at) => [state, row[3 + at] ?? "0"]));
  return {
    executionId,
    task: Number(row[1]),
    name: group.name,
    pool: group.pool,
    state: arrayState(hash, hasEnded),
    items: counters(hash, hasEnded),
    attempts: 0,
    failures: numberOf(hash, "failed"),
    losses: 0,
    ...childrenOf(row[3 + ARRAY_STATES.length]),
  };
}

/** `text`: numbers between commas. */
function childrenOf(text: string | undefined): Pick<TaskView, "children"> {
  if (text === undefined) return {};
  const children = new Set(text === "" ? [] : text.split(",").map(Number));
  return { children: [...children].toSorted((one, other) => one - other) };
}

/** `mark`: rank and label (scripts/lib/submitting.lua). */
function marked(mark: string): Pick<TaskView, "label" | "rank"> {
  const [rank = "", label = ""] = mark.split(UNIT);
  return { ...(label === "" ? {} : { label }), ...(rank === "" ? {} : { rank: Number(rank) }) };
}

function arrayState(hash: Hash, hasEnded: boolean): TaskView["state"] {
  const [queued, running, scheduled, completed, failed] = ["queued", "running", "scheduled", "completed", "failed"].map(
    (name) => numberOf(hash, name),
  ) as [number, number, number, number, number];
  const open = queued + running + scheduled;
  if (open > 0 && hasEnded) return "cancelled";
  if (running > 0 || (open > 0 && completed + failed > 0)) return "running";
  if (queued > 0) return "queued";
  if (scheduled > 0) return "scheduled";
  return failed > 0 ? "failed" : "completed";
}

/** Of what `suspended` tells of a task: scripts/lib/suspending.lua. */
interface SuspensionRecord {
  readonly kind: "delay" | "signal" | "tasks";
  readonly signal?: string;
  /** It goes on. */
  readonly woken?: string;
}

function suspended(text: string, state: TaskView["state"]): Pick<TaskView, "suspended"> {
  if (text === "" || (state !== "blocked" && state !== "scheduled")) return {};
  const { kind, signal, woken } = JSON.parse(text) as SuspensionRecord;
  if (woken !== undefined) return {};
  return { suspended: { until: kind, ...(signal === undefined ? {} : { signal }) } };
}

/** `row`: `task`, task, group, state, worker, try (JSON), result record, suspension (JSON), held (`1` or empty), rank and label, children where they were asked for. */
export function separateTask(row: readonly string[], { executionId, hasEnded, group }: Shown): TaskView {
  const [
    ,
    task,
    ,
    stored = "",
    worker = "",
    tryText = "",
    record = "",
    suspension = "",
    held = "",
    mark = "",
    children,
  ] = row;
  const tried = tryText === "" ? undefined : (JSON.parse(tryText) as TryRecord);
  const state = shownState(stored, group.isDelayed, hasEnded);
  return {
    executionId,
    task: Number(task),
    name: group.name,
    pool: group.pool,
    state,
    attempts: attemptsOf(stored, tried, record),
    failures: tried?.failures ?? 0,
    losses: tried?.losses ?? 0,
    ...(worker === "" ? {} : { worker }),
    ...(state === "scheduled" && tried?.notBefore !== undefined ? { notBefore: tried.notBefore } : {}),
    ...(stored === "completed" ? { result: resultOf(record) } : {}),
    ...(tried?.failure === undefined ? {} : { lastFailure: tried.failure }),
    ...(tried?.as === "removed" ? { removed: true } : {}),
    ...suspended(suspension, state),
    ...(held === "1" && OPEN_STATES.has(state) ? { held: true } : {}),
    ...marked(mark),
    ...(stored === "completed" ? { durationMs: durationOf(record) } : {}),
    ...childrenOf(children),
  };
}

const OPEN_STATES: ReadonlySet<TaskView["state"]> = new Set(["blocked", "scheduled", "queued", "running"]);

function shownState(stored: string, isDelayed: boolean, hasEnded: boolean): TaskView["state"] {
  const isOpen = ["blocked", "scheduled", "queued", "running", "vanished"].includes(stored);
  if (isOpen && hasEnded) return "cancelled";
  return stored === "queued" && isDelayed ? "scheduled" : (stored as TaskView["state"]);
}

function attemptsOf(stored: string, tried: TryRecord | undefined, record: string): number {
  if (stored === "completed") return attemptOf(record);
  return (tried?.attempt ?? 0) + (stored === "running" ? 1 : 0);
}

export function deadLetter(executionId: string, key: string, text: string): DeadLetter {
  const [task, start] = key.split(":").map(Number) as [number, number | undefined];
  const { failures, losses, failure, at = 0, last } = JSON.parse(text) as TryRecord;
  return {
    executionId,
    task,
    ...(start === undefined || last === undefined ? {} : { start, end: last }),
    failures,
    losses,
    failure: failure as Failure,
    at,
  };
}

export function attemptLog(hash: Hash): AttemptLog {
  return {
    task: numberOf(hash, "task"),
    attempt: numberOf(hash, "attempt"),
    worker: hash["worker"] ?? "",
    outcome: hash["outcome"] as AttemptLog["outcome"],
    at: numberOf(hash, "at"),
    ...optionalNumber(hash, "start", "start"),
    ...optionalNumber(hash, "end", "end"),
    ...optionalNumber(hash, "durationMs", "durationMs"),
    ...(hash["failure"] === undefined ? {} : { failure: JSON.parse(hash["failure"]) as Failure }),
    ...(hash["output"] === undefined ? {} : { output: JSON.parse(hash["output"]) as AttemptLog["output"] }),
  } as AttemptLog;
}

// ── Results and events ────────────────────────────────────────────────────────────────────────

export interface StoredResult {
  /** `task`, or `task:start:end` of a chunk. */
  readonly field: string;
  readonly worker: string;
  readonly at: string;
  readonly record: string;
  readonly values: string;
}

export function resultRow({ field, worker, at, record, values }: StoredResult, isLean: boolean): ResultRow {
  const ran = { worker, attempt: attemptOf(record), durationMs: durationOf(record), at: Number(at) };
  const [task, start, end] = field.split(":").map(Number) as [number, number | undefined, number | undefined];
  if (start === undefined || end === undefined)
    return { task, ...(isLean ? {} : { result: resultOf(record) }), ...ran };
  const [partial, missing] = [partialOf(record), missingOf(record)];
  return {
    task,
    start,
    end,
    ...ran,
    ...(values === "" ? {} : { values }),
    ...(partial === undefined ? {} : { partial }),
    ...(missing === undefined ? {} : { missing }),
  };
}

export function eventChange(hash: Hash): EventChange {
  const { kind, state, reason, worker, tasks, session } = hash as Record<string, string | undefined>;
  const why = reason === undefined ? {} : { reason };
  const who = worker === undefined ? {} : { worker };
  switch (kind) {
    case "execution":
      return { kind, state, ...why } as EventChange;
    case "session":
      return { kind, session, worker, state } as EventChange;
    default:
      return { kind: "tasks", state, tasks: JSON.parse(tasks ?? "[]") as unknown, ...who, ...why } as EventChange;
  }
}

// ── Pools and workers ───────────────────────────────────────────────────────────────────────────────────

/** `hashes`: what each shard counts of it. `paused`: who paused it, and who paused all of them, as `AT␟BY`. */
export function poolView(pool: string, hashes: readonly Hash[], paused: readonly (string | null)[]): PoolView {
  const sum = (name: string): number => hashes.reduce((total, hash) => total + numberOf(hash, name), 0);
  const first = paused.find((one) => one !== null);
  const [at = "", by = ""] = first?.split(UNIT) ?? [];
  const home = hashes[0] ?? {};
  return {
    pool,
    paused: first !== undefined,
    ...(first === undefined ? {} : { pause: pause(at, by) }),
    blocked: sum("blocked"),
    scheduled: sum("scheduled"),
    queued: sum("queued"),
    running: sum("running"),
    completed: sum("completed"),
    failed: sum("failed"),
    // A session is in every shard, and so are limits.
    sessions: numberOf(home, "sessions"),
    slots: numberOf(home, "slots"),
    standby: standbyOf(home),
    min: numberOf(home, "min"),
    ...optionalNumber(home, "max", "max"),
  };
}

/** Of all pools; `hashes`: of each pool what each shard counts. */
export function limitsInSum(hashes: readonly (readonly Hash[])[]): Pick<PoolView, "standby" | "min"> {
  const homes = hashes.map(([home = {}]) => home);
  return {
    standby: homes.reduce((total, home) => total + standbyOf(home), 0),
    min: homes.reduce((total, home) => total + numberOf(home, "min"), 0),
  };
}

/** Workers of a pool beyond its limit. */
function standbyOf(home: Hash): number {
  return Math.max(0, numberOf(home, "sessions") - Number(home["max"] ?? Infinity));
}

export function sessionView(
  session: string,
  hash: Hash,
  seen: { readonly lastSeenAt: number; readonly leases: number; readonly completed: number },
): SessionView {
  return {
    ...(JSON.parse(hash["profile"] ?? "{}") as WorkerProfile),
    session,
    state: hash["state"] as SessionView["state"],
    openedAt: numberOf(hash, "openedAt"),
    ...seen,
  };
}
