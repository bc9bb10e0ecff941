/** Edits of an execution that runs: what one would do, and doing just that. */
import * as z from "zod";
import { MAX_CHANGES_TOLD, MAX_EDITS, MAX_TASKS_PER_CALL } from "../../broker/limits.ts";
import { boundedArray, identifier } from "../../broker/schema-parts.ts";
import {
  holdEditSchema,
  priorityEditSchema,
  rankEditSchema,
  removalEditSchema,
  rewireEditSchema,
  undoEditSchema,
  unholdEditSchema,
} from "../../broker/schemas-editing.ts";
import { taskStateSchema } from "../../broker/schemas-working.ts";
import type { EditChanges } from "../../broker/contract.ts";
import { defineOperations } from "../operation.ts";
import { groupBody, SUBMIT_BODY_BYTES } from "../submission-body.ts";
import { executionView } from "../views.ts";
import { executionParams, texts } from "./executions.ts";

const count = z.int().min(0);

const additionBody = z.strictObject({
  kind: z.literal("add"),
  groups: boundedArray(groupBody, MAX_TASKS_PER_CALL).describe(
    "Separate tasks. `after` may name tasks that are there and those of this request before it; `firstAdded` of a preview says which numbers these get.",
  ),
});

const edits = boundedArray(
  z.discriminatedUnion("kind", [
    priorityEditSchema,
    additionBody,
    removalEditSchema,
    rewireEditSchema,
    rankEditSchema,
    holdEditSchema,
    unholdEditSchema,
    undoEditSchema,
  ]),
  MAX_EDITS,
).describe(
  "One step, whatever their order: tasks are removed first, then added, rewired, ranked, held and let go. At most one priority; a task is rewired once; `undo`, which takes the last edit back, goes alone.",
);

const numbers = z.array(count).readonly();

const changes = z
  .strictObject({
    priority: z.exactOptional(z.strictObject({ from: z.int(), to: z.int() })),
    added: count.describe("Tasks that are added."),
    firstAdded: z.exactOptional(count).describe("Number of the first of them; the others follow."),
    addedSkipped: count.describe("Those of them that are skipped at once, because of a task that they come after."),
    removed: z
      .array(z.strictObject({ task: count, state: taskStateSchema }))
      .readonly()
      .describe(`Tasks that are removed, and what they were: the first ${MAX_CHANGES_TOLD}.`),
    removedCount: count,
    skipped: numbers.describe(`Tasks that are skipped because of a parent that is: the first ${MAX_CHANGES_TOLD}.`),
    skippedCount: count,
    rewired: count.describe("Tasks that get other parents."),
    rerun: numbers.describe(
      `Those of them whose running attempt is stopped, to run again: the first ${MAX_CHANGES_TOLD}.`,
    ),
    rerunCount: count,
    ranked: count.describe("Tasks that get another rank."),
    held: count.describe("Tasks that are held from now on."),
    unheld: count.describe("Tasks that are let go."),
    restored: numbers.describe(`Tasks that had been removed or skipped and come back: the first ${MAX_CHANGES_TOLD}.`),
    restoredCount: count,
    ends: z.exactOptional(z.enum(["completed", "failed"])).describe("The execution ends by it: nothing is left to do."),
  } satisfies { readonly [K in keyof EditChanges]-?: z.ZodType<EditChanges[K]> })
  .meta({ id: "EditChanges", description: "What an edit does, or would do." });

const edited = {
  method: "POST",
  tag: "executions",
  callers: ["submit"],
  params: executionParams,
  query: z.strictObject({ texts }),
  bodyLimit: SUBMIT_BODY_BYTES,
  reply: z.strictObject({
    version: z.string().describe("Stands for the edits and all that they do: the same while they would do the same."),
    changes,
    execution: executionView,
  }),
} as const;

const ERRORS = [
  "EXECUTION_NOT_FOUND",
  "EXECUTION_ENDED",
  "TASK_UNKNOWN",
  "PAYLOAD_TOO_LARGE",
  "BATCH_TOO_LARGE",
  "TOO_BIG_INTEGER",
  "QUEUE_FULL",
  "STORE_FULL",
] as const;

export const EDIT_OPERATIONS = defineOperations({
  previewEdit: {
    ...edited,
    path: "/executions/{executionId}/edit/preview",
    summary: "Says what an edit would do now, and changes nothing.",
    changes: false,
    body: z.strictObject({ edits }),
    errors: ERRORS,
  },
  applyEdit: {
    ...edited,
    path: "/executions/{executionId}/edit/apply",
    summary:
      "Edits an execution that has not ended: its priority, tasks added, removed, rewired, ranked, held. All or nothing.",
    description:
      "With the `version` of a preview it is done only if it does what the preview said. Removed tasks are skipped; one that runs is stopped. " +
      "With the version of the last edit, or an `editId`, the same request may be sent again and changes nothing more.",
    changes: true,
    body: z.strictObject({
      edits,
      version: z.exactOptional(identifier).describe("Of the preview. Without it: whatever it does."),
      editId: z.exactOptional(identifier).describe("Names this edit of the execution."),
    }),
    errors: [...ERRORS, "EDIT_CONFLICT"],
  },
});
