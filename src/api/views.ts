/**
 * What replies say of executions, tasks and attempts. The compiler compares each with the broker
 * contract's view, field by field: JSON texts there are JSON values here.
 */
import * as z from "zod";
import type {
  AttemptLog,
  Counters,
  Disagreement,
  ExecutionView,
  Pause,
  ResultRow,
  TaskView,
  VerificationReport,
} from "../broker/contract.ts";
import { type Failure, FAILURE_CLASSES } from "../core/failure.ts";
import { EXECUTION_STATES, TASK_STATES } from "../core/states.ts";

type Shape<T> = { readonly [K in keyof T]-?: z.ZodType<T[K]> };

/** A schema of the contract's type T, named in the OpenAPI document. The fields of `Raw` are JSON values. */
function view<T extends object, Raw extends keyof T = never>(id: string, description: string) {
  return <S extends Shape<Omit<T, Raw>> & { readonly [K in Raw]-?: z.ZodType }>(
    shape: S & Record<Exclude<keyof S, keyof T>, never>,
  ): z.ZodObject<S, z.core.$strict> => z.strictObject<S>(shape).meta({ id, description });
}

const count = z.int().min(0);
/** Of arrays that may be so long that their sum is not exact any more. */
const sum = z.number().min(0);
/** Milliseconds since 1970 on the broker's clock. */
const time = z.number().describe("Milliseconds since 1970.");
/** Whatever JSON there is. */
export const jsonValue = z.unknown();

export const failureView = view<Failure>(
  "Failure",
  "Why an attempt did not complete.",
)({
  class: z.enum(FAILURE_CLASSES),
  message: z.string(),
  code: z.exactOptional(z.string()),
  stack: z.exactOptional(z.string()),
});

export const countersView = view<Counters>(
  "Counters",
  "Numbers of items by state.",
)({
  total: sum,
  blocked: sum,
  scheduled: sum,
  queued: sum,
  running: sum,
  completed: sum,
  failed: sum,
  cancelled: sum,
  skipped: sum,
});

export const pauseView = view<Pause>(
  "Pause",
  "Who stopped claims, and when.",
)({
  by: z.exactOptional(z.string()),
  at: time,
});

const disagreementView = view<Disagreement>(
  "Disagreement",
  "Copies of a chunk that differ.",
)({
  task: count,
  start: count,
  end: count,
  item: count,
  workers: z.array(z.string()).readonly(),
});

export const verificationView = view<VerificationReport>(
  "Verification",
  "Chunks that were run more than once.",
)({
  sampled: count,
  agreed: count,
  disagreed: count,
  skipped: count,
  pending: count,
  byWorker: z.record(z.string(), z.strictObject({ compared: count, disagreed: count })),
  disagreements: z.array(disagreementView).readonly(),
});

export const executionKind = z.enum(["sweep", "workflow", "batch", "experiment"]);

export const executionView = view<ExecutionView, "meta">(
  "Execution",
  "One submitted piece of work.",
)({
  executionId: z.string(),
  key: z.exactOptional(z.string()),
  name: z.string(),
  kind: executionKind,
  state: z.enum(EXECUTION_STATES),
  priority: z.int(),
  counters: countersView,
  lostAttempts: count,
  retries: count,
  refusedOutcomes: count,
  verification: z.exactOptional(verificationView),
  firstFailure: z.exactOptional(failureView),
  paused: z.exactOptional(pauseView),
  createdAt: time,
  startedAt: z.exactOptional(time),
  endedAt: z.exactOptional(time),
  meta: z.optional(jsonValue).describe("What its submitter wrote on it."),
});

export const taskView = view<TaskView, "result">(
  "Task",
  "What one worker runs at a time, or an array of such.",
)({
  executionId: z.string(),
  task: count,
  name: z.string(),
  pool: z.string(),
  state: z.enum(TASK_STATES),
  items: z.exactOptional(countersView),
  attempts: count,
  failures: count,
  losses: count,
  worker: z.exactOptional(z.string()),
  lastFailure: z.exactOptional(failureView),
  notBefore: z.exactOptional(time),
  result: z.optional(jsonValue),
  removed: z.exactOptional(z.boolean()).describe("Skipped because a person removed it."),
  label: z.exactOptional(z.string()).describe("Its name, such as a workflow's node."),
  rank: z.exactOptional(z.number()).describe("Of an execution's ready tasks those with the highest go first."),
  durationMs: z.exactOptional(z.number()).describe("Of the attempt that completed it."),
  held: z.exactOptional(z.boolean()).describe("Not started until it is let go."),
  suspended: z
    .exactOptional(
      z.strictObject({ until: z.enum(["delay", "signal", "tasks"]), signal: z.exactOptional(z.string()) }).readonly(),
    )
    .describe("It has suspended itself, and waits for this."),
  children: z.exactOptional(z.array(count).readonly()).describe("Tasks that wait for it, or did."),
});

/** An attempt without what it wrote, which `/logs` has. */
export const attemptView = view<Omit<AttemptLog, "output">>(
  "Attempt",
  "One try of a task, or of a chunk of an array.",
)({
  task: count,
  start: z.exactOptional(count),
  end: z.exactOptional(count),
  attempt: count,
  worker: z.string(),
  outcome: z.enum(["completed", "failed", "lost", "returned", "skipped", "suspended"]),
  failure: z.exactOptional(failureView),
  at: time,
  durationMs: z.exactOptional(z.number()),
});

export const resultView = view<ResultRow, "result" | "values" | "partial">(
  "Result",
  "One commit, in commit order.",
)({
  task: count,
  start: z.exactOptional(count),
  end: z.exactOptional(count),
  result: z.optional(jsonValue).describe("Of a separate task."),
  values: z.optional(jsonValue).describe("Of a chunk of an array: one entry per item, in order."),
  partial: z.optional(jsonValue).describe("The chunk's aggregate."),
  missing: z.exactOptional(z.array(count).readonly()),
  worker: z.string(),
  attempt: count,
  durationMs: z.number(),
  at: time,
});
