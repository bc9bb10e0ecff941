/** What replies show of pools and events: the contract's views, field by field. */
import * as z from "zod";
import type { BrokerEvent, PoolView } from "../broker/contract.ts";
import { strict } from "../broker/schema-parts.ts";
import { executionStateSchema, taskStateSchema } from "../broker/schemas-working.ts";
import { pauseView } from "./views.ts";

export const countSchema = z.int().min(0);
/** Counts in sum over everything: arrays may be so long that their sum is not exact any more. */
export const sumSchema = z.number().min(0);
/** Milliseconds since 1970 on the broker's clock. */
export const timeSchema = z.number();

const contractPool = strict<PoolView>()({
  pool: z.string(),
  paused: z.boolean(),
  pause: z.exactOptional(pauseView),
  blocked: sumSchema,
  scheduled: sumSchema,
  queued: sumSchema,
  running: sumSchema,
  completed: sumSchema,
  failed: sumSchema,
  sessions: countSchema,
  slots: countSchema,
  standby: countSchema.describe("Of the sessions, those that stand by because the pool has its `max`."),
  min: countSchema.describe("Workers that it should have."),
  max: z.exactOptional(countSchema.describe("The most that get its work.")),
});

export const poolSchema = contractPool
  .extend({
    perSecond: z.exactOptional(z.number().describe("Items that ended lately; absent before that was measured.")),
  })
  .meta({ id: "Pool", description: "A named class of workers, and what waits for it." });

const taskNumber = z.int().min(0);

const changeSchema: z.ZodType<BrokerEvent["change"]> = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("execution"),
    state: executionStateSchema,
    reason: z.exactOptional(z.string()),
  }),
  z.strictObject({
    kind: z.literal("tasks"),
    state: taskStateSchema,
    tasks: z.array(z.union([taskNumber, z.tuple([taskNumber, taskNumber, taskNumber]).readonly()])).readonly(),
    worker: z.exactOptional(z.string()),
    reason: z
      .exactOptional(z.string())
      .describe(
        "Why they moved, where the state alone does not tell: lost, returned, retry, due, released, condition, suspended, signal; by hand: replayed, rerun, removed, rewired, held, unheld, undone, reopened.",
      ),
  }),
  z.strictObject({
    kind: z.literal("session"),
    /** Stands for the session: its id is the worker's secret. */
    session: z.string(),
    worker: z.string(),
    state: z.enum(["opened", "left", "lost"]),
  }),
]);

export const eventSchema = strict<BrokerEvent>()({
  cursor: countSchema,
  at: timeSchema,
  executionId: z.exactOptional(z.string()),
  change: changeSchema,
}).meta({ id: "Event", description: "A transition of an execution, a worker's session, or one or more items." });
