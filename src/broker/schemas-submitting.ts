/** Schemas of what is submitted: submissions, task groups, arrays. */
import * as z from "zod";
import { FAILURE_CLASSES } from "../core/failure.ts";
import type { RetryPolicy } from "../core/retry.ts";
import type { ExecutionKind, ItemArray, Submission, TaskGroup, TaskList, VerifyPlan } from "./contract.ts";
import {
  MAX_ARRAY_LENGTH,
  MAX_CHUNK_ITEMS,
  MAX_PAYLOAD,
  MAX_TASKS_PER_CALL,
  MAX_TASKS_PER_EXECUTION,
} from "./limits.ts";
import { boundedArray, identifier, integer, MAX_DURATION_MS, MAX_NAME, name, strict } from "./schema-parts.ts";

const MAX_RETRIES = 10_000;
const MAX_REQUIRES = 64;
const MAX_REPLICAS = 100;
/** A group of its own for every task is allowed. */
const MAX_GROUPS = MAX_TASKS_PER_CALL;

export const duration = integer(0, MAX_DURATION_MS);
export const payload = z.string().max(MAX_PAYLOAD);

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
  z.strictObject({
    kind: z.literal("adaptive"),
    targetMs: integer(1, MAX_DURATION_MS),
    min: chunkItems,
    max: chunkItems,
  }),
]);

export const rankSchema = z.number().min(0).max(Number.MAX_SAFE_INTEGER);

const taskListSchema = strict<TaskList>()({
  kind: z.literal("tasks"),
  inputs: boundedArray(payload, MAX_TASKS_PER_CALL),
  after: z.exactOptional(
    boundedArray(boundedArray(integer(0, MAX_TASKS_PER_EXECUTION), MAX_TASKS_PER_CALL), MAX_TASKS_PER_CALL),
  ),
  labels: z.exactOptional(boundedArray(name, MAX_TASKS_PER_CALL)),
  ranks: z.exactOptional(boundedArray(rankSchema, MAX_TASKS_PER_CALL)),
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
  onFailure: z.exactOptional(z.enum(["fail", "continue"])),
  when: z.exactOptional(z.enum(["completed", "failed"])),
  work: z.discriminatedUnion("kind", [taskListSchema, arraySchema]),
});

const verifySchema = strict<VerifyPlan>()({
  sample: z.number().min(0).max(1),
  replicas: integer(2, MAX_REPLICAS),
  tolerance: z.number().min(0),
  seed: z.int(),
});

export const executionKindSchema: z.ZodType<ExecutionKind> = z.enum(["sweep", "workflow", "batch", "experiment"]);

export const submissionSchema = strict<Submission>()({
  key: z.exactOptional(identifier),
  name: z.string().max(MAX_NAME),
  kind: executionKindSchema,
  priority: integer(1, 10),
  groups: boundedArray(taskGroupSchema, MAX_GROUPS),
  open: z.exactOptional(z.boolean()),
  maxFailures: z.exactOptional(integer(0, Number.MAX_SAFE_INTEGER)),
  verify: z.exactOptional(verifySchema),
  retentionMs: z.exactOptional(duration),
  meta: z.exactOptional(payload),
  keepInputs: z.exactOptional(z.boolean()),
});
