/** Events as they happen: as a stream, or page by page. */
import * as z from "zod";
import { FROM_NOW } from "../../broker/contract.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import { identifier } from "../../broker/schema-parts.ts";
import { eventSchema } from "../looking-schemas.ts";
import { defineOperations } from "../operation.ts";
import { pageLimit, waitDuration } from "../request-parts.ts";

export const EVENT_STREAM = "text/event-stream";
const DEFAULT_LIMIT = 100;

/** A cursor as text, or `now`. */
const eventCursor: z.ZodType<number, string> = z
  .string()
  .regex(/^(?:now|\d{1,16})$/, 'expected the cursor of an event, or "now"')
  .transform((text) => (text === "now" ? FROM_NOW : Number(text)))
  .pipe(z.int().min(FROM_NOW));

const query = z.strictObject({
  cursor: z.exactOptional(eventCursor),
  limit: pageLimit(MAX_PAGE).default(DEFAULT_LIMIT),
  wait: z.exactOptional(waitDuration),
});

const page = z.strictObject({ events: z.array(eventSchema).readonly(), cursor: z.int().min(0) });

const streamed = {
  reply: page,
  otherMedia: {
    [EVENT_STREAM]:
      "One event per transition: `id` is its cursor, `event` its kind (execution, tasks, session), `data` the same JSON as in a page. Comments come as signs of life.",
  },
  headers: {
    accept: "`text/event-stream` for a stream",
    "last-event-id": "Cursor of the last event that was read, as a browser sends it when it comes back",
  },
} as const;

const ABOUT = `With \`Accept: ${EVENT_STREAM}\` the answer is a stream of Server-Sent Events; otherwise a page of events after \`cursor\`, which waits for news as long as \`wait\` says. \`cursor=now\` means: those to come. Whoever comes back with the cursor of the last event misses nothing and hears nothing twice, at any server.`;

export const EVENT_OPERATIONS = defineOperations({
  listExecutionEvents: {
    method: "GET",
    path: "/executions/{executionId}/events",
    tag: "executions",
    summary: "Tells every transition of an execution and of its tasks.",
    description: `${ABOUT} Without a cursor it begins with the first event. When the execution has ended and all is told, the stream ends with an event \`end\`: there is no need to come back.`,
    callers: ["submit", "worker", "read"],
    changes: false,
    params: z.strictObject({ executionId: identifier }),
    query,
    ...streamed,
    errors: ["EXECUTION_NOT_FOUND"],
  },
  listEvents: {
    method: "GET",
    path: "/events",
    tag: "executions",
    summary: "Tells every transition of all executions, and of workers' sessions.",
    description: `${ABOUT} Without a cursor it begins now; \`cursor=0\` is the oldest event that is kept.`,
    callers: ["submit", "worker", "read"],
    changes: false,
    query,
    ...streamed,
    errors: [],
  },
});
