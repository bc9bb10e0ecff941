/** Schemas of what is submitted: submissions, task groups, arrays. */
import * as z from "zod";
import { FAILURE_CLASSES } from "../core/failure.ts";
import type { RetryPolicy } from "../core/retry.ts";
import type { ItemArray, Submission, TaskGroup, TaskList, VerifyPlan } from "./contract.ts";
import {
  MAX_ARRAY_LENGTH,
  MAX_CHUNK_ITEMS,
  MAX_PAYLOAD,
  MAX_TASKS_PER_CALL,
  MAX_TASKS_PER_EXECUTION,
} from "./limits.ts";
import { boundedArray, identifier, integer, MAX_NAME, name, strict } from "./schema-parts.ts";

/** Delays, timeouts and retention: a hundred years. Longer is a mistake. */
const MAX_DURATION_MS = 3_155_760_000_000;
const MAX_RETRIES = 10_000;
const MAX_REQUIRES = 64;
const MAX_REPLICAS = 100;
/** A group of its own for every task is allowed. */
const MAX_GROUPS = MAX_TASKS_PER_CALL;

const duration = integer(0, MAX_DURATION_MS);
const payload = z.string().max(MAX_PAYLOAD);

const retrySchema = strict<RetryPolicy>()({
  limit: integer(0, MAX_RETRIES),
  baseMs: duration,
  factor: z.number().min(1).max(1_000),
  maxMs: duration,
  jitter: z.number().min(0).max(1),
  never: boundedArray(z.enum(FAILURE_CLASSES), FAILURE_CLASSES.length),
});

const chunkItems = integer(1, MAX_CHUNK_ITEMS);
const chunkSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("fixed"), size: chunkItems }),
  z
    .strictObject({ kind: z.literal("adaptive"), targetMs: integer(1, MAX_DURATION_MS), min: chunkItems, max: chunkItems })
    .refine((chunk) => chunk.min <= chunk.max, { path: ["min"], message: "is above max" }),
]);

const taskListSchema = strict<TaskList>()({
  kind: z.literal("tasks"),
  inputs: boundedArray(payload, MAX_TASKS_PER_CALL),
  after: z.exactOptional(boundedArray(boundedArray(integer(0, MAX_TASKS_PER_EXECUTION), MAX_TASKS_PER_CALL), MAX_TASKS_PER_CALL)),
}).refine((list) => list.after === undefined || list.after.length === list.inputs.length, {
  path: ["after"],
  message: "needs one list per input",
});

const arraySchema = strict<ItemArray>()({
  kind: z.literal("array"),
  length: integer(0, MAX_ARRAY_LENGTH),
  chunk: chunkSchema,
  source: payload,
  results: z.enum(["keep", "discard"]),
});

export const taskGroupSchema = strict<TaskGroup>()({
  name: z.string().max(MAX_NAME),
  handler: payload,
  pool: name,
  requires: boundedArray(name, MAX_REQUIRES),
  retry: retrySchema,
  maxLosses: integer(1, MAX_RETRIES),
  timeoutMs: z.exactOptional(integer(1, MAX_DURATION_MS)),
  memoryLimitMb: z.exactOptional(integer(1, Number.MAX_SAFE_INTEGER)),
  delayMs: z.exactOptional(duration),
  work: z.discriminatedUnion("kind", [taskListSchema, arraySchema]),
});

const verifySchema = strict<VerifyPlan>()({
  sample: z.number().min(0).max(1),
  replicas: integer(2, MAX_REPLICAS),
  tolerance: z.number().min(0),
  seed: z.int(),
});

export const submissionSchema = strict<Submission>()({
  key: z.exactOptional(identifier),
  name: z.string().max(MAX_NAME),
  kind: z.enum(["sweep", "workflow", "batch", "experiment"]),
  priority: integer(1, 10),
  groups: boundedArray(taskGroupSchema, MAX_GROUPS),
  open: z.exactOptional(z.boolean()),
  maxFailures: z.exactOptional(integer(0, Number.MAX_SAFE_INTEGER)),
  verify: z.exactOptional(verifySchema),
  retentionMs: z.exactOptional(duration),
  meta: z.exactOptional(payload),
});

type Groups = readonly { readonly work: TaskGroup["work"] }[];

/** Inputs of one call, over all of its groups. */
export function checkTaskCount(groups: Groups, context: z.RefinementCtx): void {
  let count = 0;
  for (const { work } of groups) count += work.kind === "tasks" ? work.inputs.length : 1;
  if (count > MAX_TASKS_PER_CALL) {
    context.addIssue({ code: "custom", message: "too many tasks", params: { count, limit: MAX_TASKS_PER_CALL } });
  }
}

/** Parents come before their children. Only a submission knows its tasks' numbers without asking the broker. */
export function checkParents(groups: Groups, at: { readonly context: z.RefinementCtx; readonly path: readonly PropertyKey[] }): void {
  let task = 0;
  for (const [groupIndex, { work }] of groups.entries()) {
    if (work.kind === "array") {
      task += 1;
      continue;
    }
    for (let index = 0; index < work.inputs.length; index += 1, task += 1) {
      const late = work.after?.[index]?.find((parent) => parent >= task);
      if (late === undefined) continue;
      at.context.addIssue({
        code: "custom",
        path: [...at.path, groupIndex, "work", "after", index],
        message: `task ${task} cannot wait for task ${late}: only for tasks with a lower number`,
      });
      return;
    }
  }
}

