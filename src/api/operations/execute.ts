/** Jobs that depend on each other, submitted in one call, and how far they are. */
import * as z from "zod";
import { MAX_PAGE, MAX_TASKS_PER_EXECUTION } from "../../broker/limits.ts";
import { boundedArray, identifier, integer, MAX_DURATION_MS, name } from "../../broker/schema-parts.ts";
import { JOB_POOL } from "../../core/handler.ts";
import { EXECUTION_STATES, TASK_STATES } from "../../core/states.ts";
import { defineOperations } from "../operation.ts";
import { booleanText, integerText, pageLimit, waitDuration } from "../request-parts.ts";
import { SUBMIT_BODY_BYTES } from "../submission-body.ts";
import { failureView, jsonValue } from "../views.ts";

/** Jobs of one call. */
export const MAX_JOBS = 10_000;
/** Jobs in one page of progress. */
export const DEFAULT_JOBS = 100;
export const DEFAULT_PARALLELISM = 10;
const MAX_REQUIRES = 64;
const MAX_RETRIES = 10_000;

export const JOB_PRESETS = ["deployment", "validation", "training"] as const;

const duration = integer(0, MAX_DURATION_MS);
const count = z.int().min(0);
const time = z.number().nullable().describe("Milliseconds since 1970; null: not yet.");

const jobBody = z
  .strictObject({
    id: name,
    name: z.exactOptional(name),
    type: name.describe("What a worker is to do: it comes with the task."),
    dependsOn: boundedArray(name, MAX_JOBS).default([]).describe("Ids of jobs that must complete first."),
    config: z
      .record(z.string(), jsonValue)
      .default({})
      .describe("Goes to the worker as it is. `priority`, `requireGpu` and `minMemoryGB` count here, too."),
    priority: z
      .exactOptional(z.union([integer(1, 10), z.enum(JOB_PRESETS)]))
      .describe(
        "1 to 10, 10 most urgent. Default by type: deployment and regression-gate 8, validation 7, training and train 6, else 5.",
      ),
    pool: name.default(JOB_POOL),
    requires: boundedArray(name, MAX_REQUIRES).default([]).describe("Capabilities that its worker must have."),
    retryConfig: z.exactOptional(
      z.strictObject({
        maxRetries: z.exactOptional(integer(0, MAX_RETRIES)),
        retryDelayMs: z.exactOptional(duration),
        backoffMultiplier: z.exactOptional(z.number().min(1).max(1_000)),
      }),
    ),
    timeoutMs: z.exactOptional(integer(1, MAX_DURATION_MS)),
    resourceLimits: z.exactOptional(
      z.strictObject({
        memoryLimitMb: z.exactOptional(integer(1, Number.MAX_SAFE_INTEGER)),
        requireGpu: z.exactOptional(z.boolean()),
        minMemoryGB: z.exactOptional(z.number().min(0)),
      }),
    ),
    condition: z
      .exactOptional(z.never("is not supported yet: every job runs when those that it depends on have completed"))
      .describe("Refused: conditions are not supported yet."),
  })
  .meta({ id: "Job", description: "A job, and what must be done before it." });

const parallelism = z
  .strictObject({
    wanted: count,
    enforced: z
      .boolean()
      .describe("Whether no more jobs than wanted can run at once. False: as many run as workers have free slots."),
  })
  .meta({ id: "Parallelism", description: "How many jobs are to run at once, and whether that is kept." });

const receipt = z.strictObject({
  success: z.literal(true),
  executionId: z.string(),
  status: z.enum(EXECUTION_STATES),
  startedAt: time,
  completedAt: time,
  jobCount: count,
  parallelism,
});

const progress = z.strictObject({
  total: count,
  completed: count,
  failed: count,
  running: count,
  waiting: count,
  skipped: count,
  cancelled: count,
});

const jobView = z
  .strictObject({
    id: z.string(),
    task: count.describe("Its number in the execution."),
    status: z.enum(TASK_STATES),
    attempts: count,
    workerId: z.exactOptional(z.string()),
    failure: z.exactOptional(failureView),
    output: z.optional(jsonValue),
  })
  .meta({ id: "JobState", description: "How far a job is." });

export const EXECUTE_OPERATIONS = defineOperations({
  executeJobs: {
    method: "POST",
    path: "/execute",
    tag: "executions",
    summary: "Runs jobs in the order of what depends on what.",
    description:
      "The whole graph is checked first, and everything wrong with it is told at once. Answers at once with 202; " +
      "with `wait`, 200 when all has ended by then. Becomes an execution like any other, with one task per job. " +
      "The priority of the execution is the highest of its jobs'; among its own jobs that could run, more urgent ones are queued first. " +
      "`parallelism` is an upper bound that is not enforced where there are more jobs than it allows: the answer says so. " +
      "To bound how many jobs run at once, bound the slots of the workers of their pool.",
    callers: ["submit"],
    changes: true,
    query: z.strictObject({ wait: z.exactOptional(waitDuration) }),
    headers: { "idempotency-key": "The same call again is answered with the execution of the first." },
    body: z.strictObject({
      workflowId: name,
      jobs: boundedArray(jobBody, MAX_JOBS).refine((jobs) => jobs.length > 0, "is empty; expected at least one job"),
      parallelism: integer(1, MAX_JOBS).default(DEFAULT_PARALLELISM),
    }),
    bodyLimit: SUBMIT_BODY_BYTES,
    status: 202,
    otherStatuses: { 200: "All jobs have ended." },
    reply: receipt,
    errors: [
      "BATCH_TOO_LARGE",
      "PAYLOAD_TOO_LARGE",
      "TOO_BIG_INTEGER",
      "KEY_CONFLICT",
      "QUEUE_FULL",
      "STORE_FULL",
      "NAME_RESERVED",
    ],
  },
  getExecute: {
    method: "GET",
    path: "/execute/{executionId}",
    tag: "executions",
    summary: "How far an execution is.",
    callers: ["submit", "worker", "read"],
    changes: false,
    params: z.strictObject({ executionId: identifier }),
    query: z.strictObject({
      jobs: z.exactOptional(booleanText).describe("Tell of every job, too, and its output."),
      limit: z.exactOptional(pageLimit(MAX_PAGE)).describe(`Jobs told. Default ${DEFAULT_JOBS}.`),
      cursor: z.exactOptional(integerText(0, MAX_TASKS_PER_EXECUTION)).describe("The `next` of the page before."),
    }),
    reply: z.strictObject({
      success: z.literal(true),
      execution: z.strictObject({
        executionId: z.string(),
        workflowId: z.string(),
        status: z.enum(EXECUTION_STATES),
        startedAt: time,
        completedAt: time,
        progress,
        checkpointId: z.string().nullable(),
      }),
      jobs: z.exactOptional(z.array(jobView)),
      next: z.exactOptional(count),
    }),
    errors: ["EXECUTION_NOT_FOUND"],
  },
});

export type JobBody = z.output<typeof jobBody>;
