/**
 * What a request submits: the contract's submission, with JSON values in place of JSON texts, and with
 * defaults. A program that has texts and must keep them as they are asks for `texts=true`.
 */
import * as z from "zod";
import { MAX_SUBMISSIONS_PER_CALL, MAX_TASKS_PER_CALL, MAX_TASKS_PER_EXECUTION } from "../broker/limits.ts";
import { boundedArray, integer, MAX_NAME, name } from "../broker/schema-parts.ts";
import { submissionSchema, taskGroupSchema } from "../broker/schemas-submitting.ts";
import { DEFAULT_MAX_LOSSES, DEFAULT_RETRY } from "../core/retry.ts";
import { jsonValue } from "./views.ts";

/** Largest body that submits, bytes. */
export const SUBMIT_BODY_BYTES = 67_108_864;
export const DEFAULT_PRIORITY = 5;
const DEFAULT_POOL = "default";

/** JSON that must be there: a field that is left out is no value. */
const given = jsonValue.refine((value) => value !== undefined, "is missing");

const retry = taskGroupSchema.shape.retry;
const retryBody = z.strictObject({
  limit: retry.shape.limit.default(DEFAULT_RETRY.limit),
  baseMs: retry.shape.baseMs.default(DEFAULT_RETRY.baseMs),
  factor: retry.shape.factor.default(DEFAULT_RETRY.factor),
  maxMs: retry.shape.maxMs.default(DEFAULT_RETRY.maxMs),
  jitter: retry.shape.jitter.default(DEFAULT_RETRY.jitter),
  never: retry.shape.never.default([...DEFAULT_RETRY.never]),
});

const [taskListSchema, arraySchema] = taskGroupSchema.shape.work.options;

const taskListBody = z.strictObject({
  kind: z.literal("tasks"),
  inputs: boundedArray(given, MAX_TASKS_PER_CALL),
  after: z.exactOptional(
    boundedArray(boundedArray(integer(0, MAX_TASKS_PER_EXECUTION), MAX_TASKS_PER_CALL), MAX_TASKS_PER_CALL),
  ),
  labels: taskListSchema.shape.labels.describe("Names of the tasks, such as a workflow's nodes; one per input."),
  ranks: taskListSchema.shape.ranks.describe(
    "One per input: of ready tasks that the same workers may run the highest goes first.",
  ),
});

const arrayBody = z.strictObject({ ...arraySchema.shape, source: given });

export const groupBody = z
  .strictObject({
    ...taskGroupSchema.shape,
    name: z.string().max(MAX_NAME).default(""),
    handler: given.describe("What a worker's runner is to call."),
    pool: name.default(DEFAULT_POOL),
    requires: taskGroupSchema.shape.requires.default([]),
    retry: retryBody.prefault({}),
    maxLosses: taskGroupSchema.shape.maxLosses.default(DEFAULT_MAX_LOSSES),
    work: z.discriminatedUnion("kind", [taskListBody, arrayBody]),
  })
  .meta({ id: "TaskGroup", description: "Tasks that share everything but their input." });

export const submissionBody = z
  .strictObject({
    ...submissionSchema.shape,
    kind: submissionSchema.shape.kind.default("batch"),
    priority: submissionSchema.shape.priority.default(DEFAULT_PRIORITY),
    groups: boundedArray(groupBody, MAX_TASKS_PER_CALL),
    meta: z.optional(jsonValue).describe("Kept, and handed back with the execution."),
  })
  .meta({ id: "Submission", description: "One piece of work to run. Becomes an execution." });

export const submissionsBody = z.strictObject({
  submissions: boundedArray(submissionBody, MAX_SUBMISSIONS_PER_CALL),
});

export const partBody = z.strictObject({
  part: integer(1, Number.MAX_SAFE_INTEGER).describe("1, 2, 3 … in order. The same part again is accepted."),
  groups: boundedArray(groupBody, MAX_TASKS_PER_CALL).default([]),
  seal: z.boolean().describe("No part follows."),
});

export type GroupBody = z.output<typeof groupBody>;
export type SubmissionBody = z.output<typeof submissionBody>;
