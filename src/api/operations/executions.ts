/** Executions: submit, look, steer, and read what comes out of them. */
import * as z from "zod";
import { MAX_PAGE, MAX_PAYLOAD, MAX_SIGNALS, MAX_TASKS_PER_EXECUTION } from "../../broker/limits.ts";
import { boundedArray, identifier, integer, itemIndex, MAX_MESSAGE, name } from "../../broker/schema-parts.ts";
import { EXECUTION_STATES } from "../../core/states.ts";
import { defineOperations } from "../operation.ts";
import { booleanText, cursor, integerText, listText, pageLimit, waitDuration } from "../request-parts.ts";
import { partBody, SUBMIT_BODY_BYTES, submissionBody, submissionsBody } from "../submission-body.ts";
import { attemptView, executionKind, executionView, jsonValue, resultView } from "../views.ts";

const READERS = ["submit", "worker", "read"] as const;
const STEERERS = ["submit"] as const;
const DEFAULT_LIMIT = 100;
/** Attempts of one answer: the store reads with each what it wrote. */
const MAX_ATTEMPTS = 200;
/** Attempts of one page of logs: each may have written as much as is kept of one. */
const MAX_LOGS = 100;
const DEFAULT_LOGS = 20;
/** Largest body that carries a signal's payload, bytes. */
const SIGNAL_BODY_BYTES = 3 * MAX_PAYLOAD + 4_096;

export const executionParams = z.strictObject({ executionId: identifier });
export const taskNumber = integer(0, MAX_TASKS_PER_EXECUTION);
const count = z.int().min(0);

/** JSON values as the texts that they were stored as, byte for byte. */
export const texts = z
  .exactOptional(booleanText)
  .describe("JSON values (handlers, inputs, results, metadata) come and go as strings that hold their JSON text.");
const textsQuery = z.strictObject({ texts });
const wait = z.exactOptional(waitDuration).describe('Wait this long, such as "20s", for something to happen.');
const limit = z.exactOptional(pageLimit(MAX_PAGE)).describe(`Default ${DEFAULT_LIMIT}.`);

const KEY_HEADER = {
  "idempotency-key":
    "The submit key: the same call again is answered with the execution of the first. Same as `key` in the body.",
};

const receipt = z.strictObject({
  executionId: z.string(),
  created: z.boolean().describe("False when the key was known and this is the earlier execution."),
  execution: z.exactOptional(executionView).describe("With `wait`: as it was at the end of the wait."),
});

const steered = {
  tag: "executions",
  callers: STEERERS,
  changes: true,
  params: executionParams,
  query: textsQuery,
  reply: executionView,
} as const;

export const EXECUTION_OPERATIONS = defineOperations({
  submitExecution: {
    method: "POST",
    path: "/executions",
    tag: "executions",
    summary: "Submits a piece of work.",
    description:
      "Answers at once with 202. With `wait` it waits for the end: 200 when it came, 202 when it did not. " +
      "Without a key, a call that is sent again submits again.",
    callers: STEERERS,
    changes: true,
    query: z.strictObject({ wait, texts }),
    headers: KEY_HEADER,
    body: submissionBody,
    bodyLimit: SUBMIT_BODY_BYTES,
    status: 202,
    otherStatuses: { 200: "The execution has ended." },
    reply: receipt,
    errors: [
      "PAYLOAD_TOO_LARGE",
      "BATCH_TOO_LARGE",
      "TOO_BIG_INTEGER",
      "KEY_CONFLICT",
      "QUEUE_FULL",
      "STORE_FULL",
      "NAME_RESERVED",
    ],
  },
  submitExecutions: {
    method: "POST",
    path: "/executions/batch",
    tag: "executions",
    summary: "Submits many pieces of work in one step: all or none.",
    callers: STEERERS,
    changes: true,
    query: textsQuery,
    body: submissionsBody,
    bodyLimit: SUBMIT_BODY_BYTES,
    status: 202,
    reply: z.strictObject({ executions: z.array(receipt.omit({ execution: true })) }),
    errors: [
      "PAYLOAD_TOO_LARGE",
      "BATCH_TOO_LARGE",
      "TOO_BIG_INTEGER",
      "KEY_CONFLICT",
      "QUEUE_FULL",
      "STORE_FULL",
      "NAME_RESERVED",
    ],
  },
  extendExecution: {
    method: "POST",
    path: "/executions/{executionId}/parts",
    tag: "executions",
    summary: "Adds tasks to an execution that was submitted as open.",
    callers: STEERERS,
    changes: true,
    params: executionParams,
    query: textsQuery,
    body: partBody,
    bodyLimit: SUBMIT_BODY_BYTES,
    reply: z.strictObject({ total: z.number().min(0).describe("Items of the execution now.") }),
    errors: [
      "EXECUTION_NOT_FOUND",
      "EXECUTION_SEALED",
      "EXECUTION_ENDED",
      "PAYLOAD_TOO_LARGE",
      "BATCH_TOO_LARGE",
      "TOO_BIG_INTEGER",
      "QUEUE_FULL",
      "STORE_FULL",
      "NAME_RESERVED",
    ],
  },
  listExecutions: {
    method: "GET",
    path: "/executions",
    tag: "executions",
    summary: "Lists executions.",
    description: "A page may be short, even empty, and have a `next`.",
    callers: READERS,
    changes: false,
    query: z.strictObject({
      state: z.exactOptional(listText(EXECUTION_STATES)).describe("In one of these states."),
      kind: z.exactOptional(listText(executionKind.options)).describe("Of one of these kinds."),
      name: z.exactOptional(z.string().max(MAX_MESSAGE)).describe("Whose name contains this."),
      prefix: z.exactOptional(z.string().max(MAX_MESSAGE)).describe("Whose id begins with this."),
      order: z.exactOptional(z.enum(["newest", "oldest"])).describe("Default newest first."),
      limit,
      cursor: z.exactOptional(cursor).describe("The `next` of the page before."),
      texts,
    }),
    reply: z.strictObject({ executions: z.array(executionView), next: z.exactOptional(z.string()) }),
    errors: [],
  },
  getExecution: {
    method: "GET",
    path: "/executions/{executionId}",
    tag: "executions",
    summary: "One execution: its state, counters and times. With `wait` it waits for the end.",
    callers: READERS,
    changes: false,
    params: executionParams,
    query: textsQuery.extend({
      wait: z.exactOptional(waitDuration).describe('If it has not ended, wait this long for its end, such as "20s".'),
    }),
    reply: executionView,
    errors: ["EXECUTION_NOT_FOUND"],
  },
  pauseExecution: {
    ...steered,
    method: "POST",
    path: "/executions/{executionId}/pause",
    summary: "Starts nothing more of it; what runs finishes.",
    errors: ["EXECUTION_NOT_FOUND", "EXECUTION_ENDED"],
  },
  resumeExecution: {
    ...steered,
    method: "POST",
    path: "/executions/{executionId}/resume",
    summary: "Goes on after a pause.",
    errors: ["EXECUTION_NOT_FOUND", "EXECUTION_ENDED"],
  },
  cancelExecution: {
    ...steered,
    method: "POST",
    path: "/executions/{executionId}/cancel",
    summary: "Ends it now; running attempts are stopped and no longer count.",
    body: z.optional(z.strictObject({ reason: z.exactOptional(z.string().max(MAX_MESSAGE)) })),
    errors: ["EXECUTION_NOT_FOUND", "EXECUTION_ENDED"],
  },
  signalExecution: {
    ...steered,
    method: "POST",
    path: "/executions/{executionId}/signals/{signal}",
    summary: "Gives it a named value, once: tasks that wait for it go on, and those that will.",
    description: `The first payload stays: the same again is accepted and changes nothing, another is not. An execution has at most ${MAX_SIGNALS} signals.`,
    params: z.strictObject({ ...executionParams.shape, signal: name }),
    body: z.optional(z.strictObject({ payload: z.optional(jsonValue).describe("Any JSON. Default null.") })),
    bodyLimit: SIGNAL_BODY_BYTES,
    reply: z.strictObject({
      accepted: z.boolean().describe("False: it was given before, with another payload."),
      released: count.describe("Tasks that go on because of it."),
    }),
    errors: ["EXECUTION_NOT_FOUND", "EXECUTION_ENDED", "PAYLOAD_TOO_LARGE", "BATCH_TOO_LARGE"],
  },
  retryExecution: {
    ...steered,
    method: "POST",
    path: "/executions/{executionId}/retry",
    summary: "Runs dead letters again: all, or those that are named.",
    body: z.optional(
      z.strictObject({
        letters: z.exactOptional(
          boundedArray(z.strictObject({ task: taskNumber, start: z.exactOptional(itemIndex) }), MAX_PAGE),
        ),
      }),
    ),
    reply: z.strictObject({
      changed: count.describe("Items that were dead and are no longer."),
      execution: executionView,
    }),
    errors: ["EXECUTION_NOT_FOUND", "EXECUTION_CANCELLED", "BATCH_TOO_LARGE", "QUEUE_FULL"],
  },
  rerunExecution: {
    ...steered,
    method: "POST",
    path: "/executions/{executionId}/rerun",
    summary: "Runs a task, and all that come after it, again.",
    body: z.strictObject({ task: taskNumber }),
    reply: z.strictObject({ reset: count.describe("Tasks that will be run again."), execution: executionView }),
    errors: ["EXECUTION_NOT_FOUND", "EXECUTION_CANCELLED", "TASK_UNKNOWN", "INPUTS_NOT_KEPT", "QUEUE_FULL"],
  },
  readResults: {
    method: "GET",
    path: "/executions/{executionId}/results",
    tag: "executions",
    summary: "Results in commit order, a page at a time or as a stream.",
    description:
      "JSON has one row per commit: a task's result, or the values of a chunk. NDJSON and CSV have one line per item; " +
      "with `follow` NDJSON goes on until the execution has ended. The format is `format`, or what Accept asks for.",
    callers: READERS,
    changes: false,
    params: executionParams,
    query: z.strictObject({
      format: z.exactOptional(z.enum(["json", "ndjson", "csv"])),
      cursor: z.exactOptional(integerText(0, Number.MAX_SAFE_INTEGER)).describe("The `cursor` of the page before."),
      limit: limit.describe(`Rows of a JSON page. Default ${DEFAULT_LIMIT}.`),
      wait,
      follow: z.exactOptional(booleanText).describe("NDJSON and CSV: go on until the execution has ended."),
      partials: z.exactOptional(booleanText).describe("JSON: leave the values out."),
      texts,
    }),
    reply: z.strictObject({
      rows: z.array(resultView),
      cursor: count.describe("For the next page."),
      done: z.boolean().describe("The execution has ended and this was the last page."),
    }),
    otherMedia: {
      "application/x-ndjson":
        "One line per item: `{task, index, value, worker, attempt}`; `index` is there for items of an array.",
      "text/csv":
        "One line per item: `task`, `index`, and the fields of the value as columns. A text that a spreadsheet would take for a formula has an apostrophe before it.",
    },
    errors: ["EXECUTION_NOT_FOUND", "PAYLOAD_TOO_LARGE"],
  },
  listAttempts: {
    method: "GET",
    path: "/executions/{executionId}/attempts",
    tag: "executions",
    summary: "Attempts of its tasks, the latest first, as far as they are kept.",
    callers: READERS,
    changes: false,
    params: executionParams,
    query: z.strictObject({
      task: z.exactOptional(integerText(0, MAX_TASKS_PER_EXECUTION)),
      limit: z.exactOptional(pageLimit(MAX_ATTEMPTS)).describe(`Default ${DEFAULT_LIMIT}.`),
    }),
    reply: z.strictObject({ attempts: z.array(attemptView) }),
    errors: ["EXECUTION_NOT_FOUND"],
  },
  readLogs: {
    method: "GET",
    path: "/executions/{executionId}/logs",
    tag: "executions",
    summary: "What attempts wrote to standard output and standard error, the latest first.",
    callers: READERS,
    changes: false,
    params: executionParams,
    query: z.strictObject({
      task: z.exactOptional(integerText(0, MAX_TASKS_PER_EXECUTION)),
      format: z.exactOptional(z.enum(["json", "text"])),
      limit: z.exactOptional(pageLimit(MAX_LOGS)).describe(`Attempts. Default ${DEFAULT_LOGS}.`),
    }),
    reply: z.strictObject({
      logs: z.array(
        z.strictObject({
          ...attemptView.shape,
          stdout: z.string(),
          stderr: z.string(),
          truncated: z.boolean().describe("The beginning was longer and is gone."),
        }),
      ),
    }),
    otherMedia: { "text/plain": "The same for reading, a headline before each attempt." },
    errors: ["EXECUTION_NOT_FOUND"],
  },
});

export const EXECUTION_DEFAULTS = { limit: DEFAULT_LIMIT, logs: DEFAULT_LOGS } as const;
