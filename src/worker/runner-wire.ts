/**
 * The wire between a worker (the supervisor) and one of its runners.
 *
 * One JSON object per line: commands on the runner's file descriptor 3, reports on 4. Standard output
 * and error are not used for it: they belong to the user's code. Two pipes and not one for both
 * ways, because a command that meets a dying runner fails, and Node would then throw away what the
 * runner had reported and nobody had read yet.
 *
 * The supervisor sends a spec once and then runs that refer to it by number. A runner works on its
 * runs in the order in which they came, one at a time, and answers each with exactly one of
 * `completed`, `chunk`, `failed`, `skipped`, `suspended` or `revoked`. So the first unanswered run is the one at work. Many
 * answers may travel in one write: a runner gathers answers of very short attempts for up to a
 * millisecond. Besides, user code may call for shared state (locks, values, checkpoints), any number
 * of times and out of order; the supervisor passes such calls on to the broker and answers each.
 *
 * What a crash does:
 *  - The runner dies: the supervisor reads what is left in the pipe of reports, then the exit status. If the
 *    process went through its exit handlers (`process.exit` in user code), `exiting` names the
 *    attempt at work. If it was killed or aborted, gathered answers may be lost with it.
 *  - The supervisor dies: the pipe of commands closes; the runner exits, or kills itself and what it started if
 *    an attempt is at work. A runner whose event loop is blocked cannot see that; the orphan guard
 *    kills it (orphan-guard.ts).
 */
import type { Awakening, ItemFailure, LeaseSpec, Resumption, SkippedTask } from "../broker/contract.ts";
import type { Failure } from "../core/failure.ts";
import type { WireError } from "../errors/index.ts";

/** File descriptors in the runner. */
export const COMMAND_FD = 3;
export const REPORT_FD = 4;

/**
 * Specs a runner remembers. Beyond this the one that came first is forgotten, on both sides by the
 * same rule, so that nobody has to say so.
 */
export const REMEMBERED_SPECS = 64;

// ── Supervisor → runner ───────────────────────────────────────────────────────────────────────

export interface SpecCommand extends Pick<LeaseSpec, "handler" | "source" | "results" | "timeoutMs"> {
  readonly type: "spec";
  readonly spec: number;
}

export interface RunCommand {
  readonly type: "run";
  /** Names the attempt on this wire. */
  readonly id: number;
  readonly spec: number;
  readonly executionId: string;
  readonly task: number;
  readonly attempt: number;
  /** JSON text; only for separate tasks. */
  readonly input?: string;
  /** JSON texts by task number. */
  readonly parents?: Readonly<Record<number, string>>;
  /** It has suspended itself before and goes on. */
  readonly resumed?: Resumption;
  /** Items of a chunk, end exclusive. */
  readonly start?: number;
  readonly end?: number;
  /** Announce every item before it starts, whatever it costs. */
  readonly careful?: boolean;
}

/** Stops one attempt: aborts its signal if it runs, takes it back if it has not started. */
export interface AbortCommand {
  readonly type: "abort";
  readonly id: number;
  /** `timeout` stops the current item only, and only if by the runner's own watch it is overdue. */
  readonly reason: "stopped" | "timeout";
}

/** Takes back all runs that have not started. */
export interface RevokeCommand {
  readonly type: "revoke";
}

/** The answer to a call for shared state. */
export interface AnswerCommand {
  readonly type: "answer";
  readonly call: number;
  readonly result?: unknown;
  /** Instead of a result: what went wrong. */
  readonly error?: WireError;
}

export type RunnerCommand = SpecCommand | RunCommand | AbortCommand | RevokeCommand | AnswerCommand;

// ── Runner → supervisor ───────────────────────────────────────────────────────────────────────

/** What comes with every answer of an attempt that ran. */
interface Ran {
  readonly id: number;
  readonly ms: number;
  /** Bytes written to process.stdout and process.stderr since the runner began (see output-tap.ts). */
  readonly out: number;
  readonly err: number;
}

export interface CompletedReport extends Ran {
  readonly type: "completed";
  /** JSON text. */
  readonly result: string;
}

export interface ChunkReport extends Ran {
  readonly type: "chunk";
  readonly values?: string;
  readonly partial?: string;
  readonly failures: readonly ItemFailure[];
}

export interface FailedReport extends Ran {
  readonly type: "failed";
  readonly failure: Failure;
  readonly culprit?: number;
}

/** The task's own condition says that it is not to run. */
export interface SkippedReport extends Ran {
  readonly type: "skipped";
  readonly dependents: SkippedTask["dependents"];
}

/** The attempt ends, and the task goes on in another one. */
export interface SuspendedReport extends Ran {
  readonly type: "suspended";
  /** JSON text. */
  readonly state: string;
  readonly until: Awakening;
}

/** How an attempt that ran has ended. */
export type Answer = CompletedReport | ChunkReport | FailedReport | SkippedReport | SuspendedReport;

/**
 * Item `item` of a chunk is about to start. With `exact` the runner promises to announce the next
 * item as well, so that until then this one is surely the one at work. Without, the runner may be
 * silent for PROGRESS_INTERVAL_MS and the one at work is not known.
 */
export interface ProgressReport {
  readonly type: "progress";
  readonly id: number;
  readonly item: number;
  readonly exact: boolean;
}

/** The last message of a process that exits by itself, with the attempt at work, if any, and its item. */
export interface ExitingReport {
  readonly type: "exiting";
  readonly id?: number;
  readonly item?: number;
}

/** User code wants something of shared state; answered by an AnswerCommand. */
export interface CallReport {
  readonly type: "call";
  readonly call: number;
  /** The attempt that makes it. */
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

export type RunnerReport =
  | { readonly type: "ready" }
  | CallReport
  | ProgressReport
  | Answer
  /** These have not started and will not. */
  | { readonly type: "revoked"; readonly ids: readonly number[] }
  | ExitingReport;

/**
 * Whether a line that was read is a report. User code has the same file descriptors as the runner,
 * so anything may come; what passes here does no harm to the supervisor.
 */
export function isRunnerReport(value: unknown): value is RunnerReport {
  if (typeof value !== "object" || value === null) return false;
  const report = value as Readonly<Record<string, unknown>>;
  switch (report["type"]) {
    case "completed":
      return isRan(report) && typeof report["result"] === "string";
    case "chunk":
      return isRan(report) && Array.isArray(report["failures"]);
    case "failed":
      return isRan(report) && typeof report["failure"] === "object" && report["failure"] !== null;
    case "skipped":
      return isRan(report) && (report["dependents"] === "skip" || report["dependents"] === "release");
    case "suspended":
      return isRan(report) && typeof report["state"] === "string" && isAwakening(report["until"]);
    case "progress":
      return typeof report["item"] === "number";
    case "revoked":
      return Array.isArray(report["ids"]);
    case "call":
      return (
        typeof report["call"] === "number" && typeof report["id"] === "number" && typeof report["method"] === "string"
      );
    case "ready":
    case "exiting":
      return true;
    default:
      return false;
  }
}

function isRan({ id, ms, out, err }: Readonly<Record<string, unknown>>): boolean {
  return typeof id === "number" && typeof ms === "number" && typeof out === "number" && typeof err === "number";
}

/** Whether it can be counted and passed on; the broker looks at every field of it. */
function isAwakening(until: unknown): boolean {
  if (typeof until !== "object" || until === null || !("kind" in until)) return false;
  if (until.kind === "delay" || until.kind === "signal") return true;
  return until.kind === "tasks" && "groups" in until && Array.isArray(until.groups) && until.groups.every(isTaskGroup);
}

function isTaskGroup(group: unknown): boolean {
  const { handler, work } = (group ?? {}) as { readonly handler?: unknown; readonly work?: unknown };
  const { inputs } = (work ?? {}) as { readonly inputs?: unknown };
  return typeof handler === "string" && Array.isArray(inputs) && inputs.every((input) => typeof input === "string");
}

/** A chunk of short items reports where it is at most this often. */
export const PROGRESS_INTERVAL_MS = 20;
