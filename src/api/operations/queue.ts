/** The queue as a whole, and figures of everything. */
import * as z from "zod";
import { name } from "../../broker/schema-parts.ts";
import { countSchema, sumSchema, timeSchema } from "../looking-schemas.ts";
import { defineOperations } from "../operation.ts";

const which = z.strictObject({ pool: z.exactOptional(name) }).optional();
const steered = z.strictObject({ success: z.literal(true), message: z.string() });

const ended = z.strictObject({
  completed: countSchema,
  failed: countSchema,
  /** Both together. */
  perSecond: z.number(),
  /** What was measured; up to a minute. */
  spanMs: z.number(),
});

export const QUEUE_OPERATIONS = defineOperations({
  getQueueStats: {
    method: "GET",
    path: "/queue/stats",
    tag: "queue",
    summary: "Counts the items of all pools.",
    description:
      "`waiting` are those that are queued or wait for others; `delayed` those that wait for a time, which `total` leaves out. `paused`: everything is.",
    callers: ["submit", "worker", "read"],
    changes: false,
    reply: z.strictObject({
      success: z.literal(true),
      healthy: z.boolean(),
      stats: z.strictObject({
        waiting: sumSchema,
        active: sumSchema,
        completed: sumSchema,
        failed: sumSchema,
        delayed: sumSchema,
        paused: z.boolean(),
        total: sumSchema,
      }),
    }),
    errors: [],
  },
  pauseQueue: {
    method: "POST",
    path: "/queue/pause",
    tag: "queue",
    summary: "Lets nothing more start, in all pools or in one; what runs finishes.",
    callers: ["submit"],
    changes: true,
    body: which,
    reply: steered,
    errors: [],
  },
  resumeQueue: {
    method: "POST",
    path: "/queue/resume",
    tag: "queue",
    summary: "Takes back that all pools, or one, were paused.",
    callers: ["submit"],
    changes: true,
    body: which,
    reply: steered,
    errors: [],
  },
  getStatistics: {
    method: "GET",
    path: "/statistics",
    tag: "queue",
    summary: "Figures of everything: executions, items, workers, throughput, and who reads events at this server.",
    callers: ["submit", "worker", "read"],
    changes: false,
    reply: z.strictObject({
      at: timeSchema,
      /** Those that have not ended; `more`: there are more than were counted. */
      executions: z.strictObject({
        pending: countSchema,
        running: countSchema,
        paused: countSchema,
        more: z.boolean(),
      }),
      items: z.strictObject({
        blocked: sumSchema,
        scheduled: sumSchema,
        queued: sumSchema,
        running: sumSchema,
        completed: sumSchema,
        failed: sumSchema,
      }),
      pools: z.strictObject({ total: countSchema, paused: countSchema }),
      workers: z.strictObject({
        total: countSchema,
        active: countSchema,
        idle: countSchema,
        busy: countSchema,
        unhealthy: countSchema,
        draining: countSchema,
        slots: countSchema,
        leases: countSchema,
        utilizationPercent: z.number(),
      }),
      /** Absent before it was measured. */
      throughput: z.exactOptional(ended),
      server: z.strictObject({ version: z.string(), upMs: z.number(), eventReaders: countSchema }),
    }),
    errors: [],
  },
});
