/** Whether the server and what is behind it are well; and what it is. */
import * as z from "zod";
import { countSchema } from "../looking-schemas.ts";
import { defineOperations } from "../operation.ts";

const component = z.strictObject({ healthy: z.boolean(), name: z.string() });

export const HEALTH_OPERATIONS = defineOperations({
  getHealth: {
    method: "GET",
    path: "/health",
    tag: "health",
    summary: "Asks every component whether it is well, and counts the workers.",
    description: "Each component is really asked and has a short time to answer.",
    callers: ["submit", "worker", "read"],
    changes: false,
    reply: z.strictObject({
      success: z.boolean(),
      healthy: z.boolean(),
      components: z.strictObject({ queue: component, workerManager: component, stateStore: component }),
      workers: z.strictObject({
        total: countSchema,
        active: countSchema,
        idle: countSchema,
        busy: countSchema,
        unhealthy: countSchema,
        utilizationPercent: z.number(),
      }),
      /** What is wrong, where something is. */
      error: z.exactOptional(z.string()),
    }),
    otherStatuses: { 500: "Something is not well; the same shape says what." },
    errors: [],
  },
  getLiveness: {
    method: "GET",
    path: "/health/live",
    tag: "health",
    summary: "Answers as long as the process does; asks nobody else.",
    callers: "anyone",
    changes: false,
    reply: z.strictObject({ live: z.literal(true) }),
    errors: [],
  },
  getReadiness: {
    method: "GET",
    path: "/health/ready",
    tag: "health",
    summary: "Says whether calls should be sent to this server now.",
    callers: "anyone",
    changes: false,
    reply: z.strictObject({ ready: z.boolean(), reason: z.exactOptional(z.string()) }),
    otherStatuses: { 503: "Send them elsewhere; `reason` says why." },
    errors: [],
  },
  getVersion: {
    method: "GET",
    path: "/version",
    tag: "health",
    summary: "Says which program this is.",
    callers: "anyone",
    changes: false,
    reply: z.strictObject({ name: z.literal("holdfast"), version: z.string(), api: z.literal("v1") }),
    errors: [],
  },
  getOpenApi: {
    method: "GET",
    path: "/openapi.json",
    tag: "health",
    summary: "This API as an OpenAPI 3.1 document.",
    callers: "anyone",
    changes: false,
    reply: z.looseObject({ openapi: z.string() }),
    errors: [],
  },
});
