/** Schemas of edits of an execution. */
import * as z from "zod";
import type { AdditionEdit, EditParams, PriorityEdit, RemovalEdit } from "./contract.ts";
import { MAX_EDITS, MAX_TASKS_PER_CALL, MAX_TASKS_PER_EXECUTION } from "./limits.ts";
import { boundedArray, identifier, integer, strict } from "./schema-parts.ts";
import { taskGroupSchema } from "./schemas-submitting.ts";

export const priorityEditSchema = strict<PriorityEdit>()({ kind: z.literal("priority"), priority: integer(1, 10) });

const additionEditSchema = strict<AdditionEdit>()({
  kind: z.literal("add"),
  groups: boundedArray(taskGroupSchema, MAX_TASKS_PER_CALL),
});

export const removalEditSchema = strict<RemovalEdit>()({
  kind: z.literal("remove"),
  tasks: boundedArray(integer(0, MAX_TASKS_PER_EXECUTION), MAX_TASKS_PER_CALL),
});

export const editSchema = strict<EditParams>()({
  executionId: identifier,
  edits: boundedArray(
    z.discriminatedUnion("kind", [priorityEditSchema, additionEditSchema, removalEditSchema]),
    MAX_EDITS,
  ),
  apply: z.boolean(),
  version: z.exactOptional(identifier),
  editId: z.exactOptional(identifier),
});
