/** Tasks that will not be retried by themselves. */
import * as z from "zod";
import { MAX_LETTERS_PER_CALL, MAX_PAGE } from "../../broker/limits.ts";
import { boundedArray, identifier, integer, MAX_MESSAGE } from "../../broker/schema-parts.ts";
import { FAILURE_CLASSES } from "../../core/failure.ts";
import { countSchema, timeSchema } from "../looking-schemas.ts";
import { defineOperations } from "../operation.ts";
import { cursor, pageLimit } from "../request-parts.ts";
import { attemptView, failureView } from "../views.ts";

const DEFAULT_LIMIT = 100;

/** `execution~task`, or `execution~task~start` for a range of an array. */
const letterId = z
  .string()
  .max(600)
  .regex(/^[^~]+~\d{1,8}(?:~\d{1,16})?$/, "expected EXECUTION~TASK, or EXECUTION~TASK~START for items of an array");

const EXPECTED_TIME = "expected milliseconds since 1970, or a time such as 2026-01-31T12:00:00Z";

/** A time as text. */
const since: z.ZodType<number, string> = z
  .union([z.string().regex(/^\d{1,15}$/), z.iso.datetime({ offset: true })], EXPECTED_TIME)
  .transform((text) => (/^\d+$/.test(text) ? Number(text) : Date.parse(text)))
  .pipe(z.number());

const filters = {
  execution: z.exactOptional(identifier),
  class: z.exactOptional(z.enum(FAILURE_CLASSES)),
  /** Contained in the name of the task or of its execution. */
  name: z.exactOptional(z.string().max(MAX_MESSAGE)),
  since: z.exactOptional(since),
};

const letter = z.strictObject({
  id: z.string(),
  executionId: z.string(),
  /** Name of the execution; absent when it has gone meanwhile. */
  executionName: z.exactOptional(z.string()),
  task: countSchema,
  /** Name of the task. */
  name: z.exactOptional(z.string()),
  start: z.exactOptional(countSchema),
  end: z.exactOptional(countSchema),
  failures: countSchema,
  losses: countSchema,
  failure: failureView,
  at: timeSchema,
});

export type LetterView = z.output<typeof letter>;

const chosen = z
  .strictObject({
    ids: z.exactOptional(boundedArray(letterId, MAX_PAGE)),
    query: z.exactOptional(z.strictObject(filters)),
    /** With a query: at most this many letters. */
    limit: integer(1, MAX_LETTERS_PER_CALL).default(MAX_LETTERS_PER_CALL),
    /** With a query: the `next` of the reply before. */
    cursor: z.exactOptional(cursor),
  })
  .refine((body) => (body.ids === undefined) !== (body.query === undefined), {
    path: ["ids"],
    message: "expected either `ids` or `query`; an empty query means all dead letters",
  });

export type ChosenLetters = z.output<typeof chosen>;

const done = z.strictObject({
  success: z.literal(true),
  /** Items that were dead and are no longer: a letter of an array may stand for several. */
  changed: countSchema,
  /** Letters that were found. */
  letters: countSchema,
  executions: countSchema,
  /** Executions whose letters stay as they were, and why. */
  problems: z.array(z.strictObject({ executionId: z.string(), code: z.string(), error: z.string() })),
  /** More may match: call again with this as `cursor`. */
  next: z.exactOptional(z.string()),
});

const CHOOSING =
  "Named by their ids, or found by a query. What is no dead letter (any more) is passed over. A call handles a bounded number; `next` says that there may be more.";

export const DEAD_LETTER_OPERATIONS = defineOperations({
  listDeadLetters: {
    method: "GET",
    path: "/dead-letters",
    tag: "dead letters",
    summary: "Lists dead letters.",
    description: "A page may be short, even empty, and have a `next`.",
    callers: ["submit", "read"],
    changes: false,
    query: z.strictObject({
      ...filters,
      limit: pageLimit(MAX_PAGE).default(DEFAULT_LIMIT),
      cursor: z.exactOptional(cursor),
    }),
    reply: z.strictObject({ letters: z.array(letter), next: z.exactOptional(z.string()) }),
    errors: ["EXECUTION_NOT_FOUND"],
  },
  getDeadLetter: {
    method: "GET",
    path: "/dead-letters/{letterId}",
    tag: "dead letters",
    summary: "Shows a dead letter with its input, its attempts and the end of what it wrote.",
    callers: ["submit", "read"],
    changes: false,
    params: z.strictObject({ letterId }),
    reply: letter.extend({
      /** As it was submitted; absent for items of an array. */
      input: z.exactOptional(z.unknown()),
      /** Latest first. */
      attempts: z.array(attemptView),
      /** The end of what the latest attempt that wrote something wrote. */
      outputTail: z.exactOptional(z.strictObject({ stdout: z.string(), stderr: z.string() })),
    }),
    errors: ["DEAD_LETTER_NOT_FOUND"],
  },
  replayDeadLetters: {
    method: "POST",
    path: "/dead-letters/replay",
    tag: "dead letters",
    summary: "Queues dead letters again, as if they had not been tried yet.",
    description: CHOOSING,
    callers: ["submit"],
    changes: true,
    body: chosen,
    reply: done,
    errors: ["EXECUTION_NOT_FOUND", "EXECUTION_CANCELLED", "QUEUE_FULL"],
  },
  discardDeadLetters: {
    method: "POST",
    path: "/dead-letters/discard",
    tag: "dead letters",
    summary: "Strikes dead letters off the list; their tasks stay failed.",
    description: CHOOSING,
    callers: ["submit"],
    changes: true,
    body: chosen,
    reply: done,
    errors: ["EXECUTION_NOT_FOUND"],
  },
});
