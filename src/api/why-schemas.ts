/** Why a task does not run, as replies tell it: one shape per code, the same as src/core/why.ts decides. */
import * as z from "zod";
import { taskStateSchema } from "../broker/schemas-working.ts";
import type { Reason, Why } from "../core/why.ts";
import { countSchema, timeSchema } from "./looking-schemas.ts";
import { failureView } from "./views.ts";

const names = z.array(z.string()).readonly();
const pool = z.string();
const someWorkers = { workers: names, workerCount: countSchema };
const paused = { by: z.exactOptional(z.string()), since: z.exactOptional(timeSchema) };
const failure = z.exactOptional(failureView);
const words = { sentence: z.string(), startsWhen: z.string() };
const line = {
  pool,
  slots: countSchema,
  busy: countSchema,
  ahead: countSchema,
  estimateMs: z.exactOptional(countSchema),
};

const parents = z
  .array(
    z.strictObject({
      task: countSchema,
      name: z.string(),
      label: z.exactOptional(z.string()),
      state: taskStateSchema,
    }),
  )
  .readonly();

const ended = z.strictObject({
  code: z.literal("ended"),
  state: z.enum(["completed", "cancelled", "skipped"]),
  parents,
  ...words,
});
const deadLetter = z.strictObject({
  code: z.literal("dead-letter"),
  failures: countSchema,
  losses: countSchema,
  failure,
  items: z.exactOptional(countSchema),
  ...words,
});
const running = z.strictObject({
  code: z.literal("running"),
  worker: z.exactOptional(z.string()),
  since: z.exactOptional(timeSchema),
  items: z.exactOptional(z.strictObject({ running: countSchema, waiting: countSchema })),
  ...words,
});
const executionPaused = z.strictObject({ code: z.literal("execution-paused"), ...paused, ...words });
const poolPaused = z.strictObject({ code: z.literal("pool-paused"), pool, ...paused, ...words });
const waitsForParents = z.strictObject({
  code: z.literal("waits-for-parents"),
  parents,
  more: countSchema,
  ...words,
});
const held = z.strictObject({ code: z.literal("held"), ...words });
const sleeping = z.strictObject({ code: z.literal("sleeping"), until: timeSchema, ...words });
const waitsForSignal = z.strictObject({
  code: z.literal("waits-for-signal"),
  signal: z.string(),
  until: z.exactOptional(timeSchema),
  ...words,
});
const waitsForAdded = z.strictObject({
  code: z.literal("waits-for-added"),
  parents,
  more: countSchema,
  ...words,
});
const waitsForFailure = z.strictObject({ code: z.literal("waits-for-failure"), ...words });
const delayed = z.strictObject({ code: z.literal("delayed"), until: timeSchema, ...words });
const backingOff = z.strictObject({
  code: z.literal("backing-off"),
  until: timeSchema,
  failures: countSchema,
  limit: z.exactOptional(countSchema),
  failure,
  ...words,
});
const noWorker = z.strictObject({ code: z.literal("no-worker"), pool, otherPools: names, ...words });
const noCapableWorker = z.strictObject({
  code: z.literal("no-capable-worker"),
  pool,
  missing: names,
  requires: names,
  ...someWorkers,
  ...words,
});
const poolFull = z.strictObject({
  code: z.literal("pool-full"),
  pool,
  max: countSchema,
  ...someWorkers,
  ...words,
});
const workersDraining = z.strictObject({
  code: z.literal("workers-draining"),
  pool,
  requires: names,
  ...someWorkers,
  ...words,
});
const slotsBusy = z.strictObject({ code: z.literal("slots-busy"), ...line, ...words });
const inLine = z.strictObject({ code: z.literal("in-line"), ...line, ...words });
const nextInLine = z.strictObject({ code: z.literal("next-in-line"), pool, freeSlots: countSchema, ...words });

export const reasonSchema: z.ZodType<Reason> = z
  .discriminatedUnion("code", [
    ended,
    deadLetter,
    running,
    executionPaused,
    poolPaused,
    waitsForParents,
    held,
    sleeping,
    waitsForSignal,
    waitsForAdded,
    waitsForFailure,
    delayed,
    backingOff,
    noWorker,
    noCapableWorker,
    poolFull,
    workersDraining,
    slotsBusy,
    inLine,
    nextInLine,
  ])
  .meta({ id: "Reason", description: "What keeps a task waiting, and what would have it start." });

const also = { also: z.array(reasonSchema).readonly() };

/** The strongest reason first; `also` has those that would keep the task waiting even without it. */
export const whySchema: z.ZodType<Why> = z
  .discriminatedUnion("code", [
    ended.extend(also),
    deadLetter.extend(also),
    running.extend(also),
    executionPaused.extend(also),
    poolPaused.extend(also),
    waitsForParents.extend(also),
    held.extend(also),
    sleeping.extend(also),
    waitsForSignal.extend(also),
    waitsForAdded.extend(also),
    waitsForFailure.extend(also),
    delayed.extend(also),
    backingOff.extend(also),
    noWorker.extend(also),
    noCapableWorker.extend(also),
    poolFull.extend(also),
    workersDraining.extend(also),
    slotsBusy.extend(also),
    inLine.extend(also),
    nextInLine.extend(also),
  ])
  .meta({ id: "Why", description: "Why a task does not run." });
