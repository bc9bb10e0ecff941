/** Schemas of edits of an execution. */
import * as z from "zod";
import type {
  AdditionEdit,
  EditParams,
  HoldEdit,
  PriorityEdit,
  RankEdit,
  RemovalEdit,
  RewireEdit,
  UndoEdit,
  UnholdEdit,
} from "./contract.ts";
import { MAX_EDITS, MAX_TASKS_PER_CALL, MAX_TASKS_PER_EXECUTION } from "./limits.ts";
import { boundedArray, identifier, integer, strict } from "./schema-parts.ts";
import { rankSchema, taskGroupSchema } from "./schemas-submitting.ts";

export const priorityEditSchema = strict<PriorityEdit>()({ kind: z.literal("priority"), priority: integer(1, 10) });

const additionEditSchema = strict<AdditionEdit>()({
  kind: z.literal("add"),
  groups: boundedArray(taskGroupSchema, MAX_TASKS_PER_CALL),
});

const taskNumber = integer(0, MAX_TASKS_PER_EXECUTION);
const taskNumbers = boundedArray(taskNumber, MAX_TASKS_PER_CALL);

export const removalEditSchema = strict<RemovalEdit>()({ kind: z.literal("remove"), tasks: taskNumbers });

export const rewireEditSchema = strict<RewireEdit>()({
  kind: z.literal("rewire"),
  task: taskNumber,
  after: taskNumbers,
});

export const rankEditSchema = strict<RankEdit>()({
  kind: z.literal("rank"),
  tasks: taskNumbers,
  ranks: boundedArray(rankSchema, MAX_TASKS_PER_CALL),
});

export const holdEditSchema = strict<HoldEdit>()({ kind: z.literal("hold"), tasks: taskNumbers });

export const unholdEditSchema = strict<UnholdEdit>()({ kind: z.literal("unhold"), tasks: taskNumbers });

export const undoEditSchema = strict<UndoEdit>()({ kind: z.literal("undo") });

export const editSchema = strict<EditParams>()({
  executionId: identifier,
  edits: boundedArray(
    z.discriminatedUnion("kind", [
      priorityEditSchema,
      additionEditSchema,
      removalEditSchema,
      rewireEditSchema,
      rankEditSchema,
      holdEditSchema,
      unholdEditSchema,
      undoEditSchema,
    ]),
    MAX_EDITS,
  ),
  apply: z.boolean(),
  version: z.exactOptional(identifier),
  editId: z.exactOptional(identifier),
});
