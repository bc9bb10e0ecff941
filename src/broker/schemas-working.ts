/** Schemas of what workers report, and of the states. */
import * as z from "zod";
import { FAILURE_CLASSES, MAX_FAILURE_MESSAGE, MAX_FAILURE_STACK, type Failure } from "../core/failure.ts";
import { EXECUTION_STATES, type ExecutionState, TASK_STATES, type TaskState } from "../core/states.ts";
import type {
  Awakening,
  CapturedOutput,
  CompletedChunk,
  CompletedTask,
  FailedAttempt,
  ItemFailure,
  LeaseRef,
  SkippedTask,
  SuspendedTask,
} from "./contract.ts";
import {
  MAX_CHUNK_ITEMS,
  MAX_OUTPUT_BYTES,
  MAX_PAYLOAD,
  MAX_TASKS_PER_CALL,
  MAX_TASKS_PER_EXECUTION,
} from "./limits.ts";
import { boundedArray, identifier, integer, itemIndex, MAX_NAME, name, strict } from "./schema-parts.ts";
import { duration, payload, taskGroupSchema } from "./schemas-submitting.ts";

/** A chunk's values: many results in one text. */
export const MAX_CHUNK_VALUES = 16 * MAX_PAYLOAD;
/** Replicas of one chunk are numbered below this. */
export const MAX_REPLICA = 1_000;

export const executionStateSchema: z.ZodType<ExecutionState> = z.enum(EXECUTION_STATES);
export const taskStateSchema: z.ZodType<TaskState> = z.enum(TASK_STATES);

export const failureSchema = strict<Failure>()({
  class: z.enum(FAILURE_CLASSES),
  message: z.string().max(MAX_FAILURE_MESSAGE),
  code: z.exactOptional(z.string().max(MAX_NAME)),
  stack: z.exactOptional(z.string().max(MAX_FAILURE_STACK)),
});

export const leaseRefSchema = strict<LeaseRef>()({
  executionId: identifier,
  task: integer(0, MAX_TASKS_PER_EXECUTION),
  start: z.exactOptional(itemIndex),
  replica: z.exactOptional(integer(1, MAX_REPLICA)),
  token: identifier,
});

export const outputSchema = strict<CapturedOutput>()({
  stdout: z.string().max(MAX_OUTPUT_BYTES),
  stderr: z.string().max(MAX_OUTPUT_BYTES),
  truncated: z.boolean(),
});

const ran = {
  lease: leaseRefSchema,
  durationMs: z.number().min(0),
  output: z.exactOptional(outputSchema),
};

const itemFailureSchema = strict<ItemFailure>()({ item: itemIndex, failure: failureSchema });

const completedTask = strict<CompletedTask>()({
  kind: z.literal("completed"),
  ...ran,
  result: z.string().max(MAX_PAYLOAD),
});

const completedChunk = strict<CompletedChunk>()({
  kind: z.literal("chunk"),
  ...ran,
  values: z.exactOptional(z.string().max(MAX_CHUNK_VALUES)),
  partial: z.exactOptional(z.string().max(MAX_PAYLOAD)),
  failures: boundedArray(itemFailureSchema, MAX_CHUNK_ITEMS),
});

const failedAttempt = strict<FailedAttempt>()({
  kind: z.literal("failed"),
  ...ran,
  failure: failureSchema,
  culprit: z.exactOptional(itemIndex),
});

const returnedAttempt = z.strictObject({ kind: z.literal("returned"), lease: leaseRefSchema });

const skippedTask = strict<SkippedTask>()({
  kind: z.literal("skipped"),
  ...ran,
  dependents: z.enum(["skip", "release"]),
});

const awakeningSchema: z.ZodType<Awakening> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("delay"), delayMs: duration }),
  z.strictObject({ kind: z.literal("signal"), signal: name, timeoutMs: z.exactOptional(duration) }),
  z.strictObject({ kind: z.literal("tasks"), groups: boundedArray(taskGroupSchema, MAX_TASKS_PER_CALL) }),
]);

const suspendedTask = strict<SuspendedTask>()({
  kind: z.literal("suspended"),
  ...ran,
  state: payload,
  until: awakeningSchema,
});

export const outcomeSchema = z.discriminatedUnion("kind", [
  completedTask,
  completedChunk,
  failedAttempt,
  skippedTask,
  suspendedTask,
  returnedAttempt,
]);
