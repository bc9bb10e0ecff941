/** Why tasks do not run. */
import * as z from "zod";
import { MAX_TASKS_PER_EXECUTION } from "../../broker/limits.ts";
import { identifier } from "../../broker/schema-parts.ts";
import { executionStateSchema } from "../../broker/schemas-working.ts";
import { countSchema } from "../looking-schemas.ts";
import { defineOperations } from "../operation.ts";
import { integerText } from "../request-parts.ts";
import { whySchema } from "../why-schemas.ts";

/** Tasks that one survey of an execution looks at, of each state that is no running or good end. */
export const SURVEYED_PER_STATE = 25;

export const WHY_OPERATIONS = defineOperations({
  explainTask: {
    method: "GET",
    path: "/executions/{executionId}/tasks/{task}/why",
    tag: "tasks",
    summary: "Says why a task does not run, and what would have it start.",
    description:
      "One answer in words and in fields, by `code`. Where several things keep the task waiting, the strongest is told and the others follow in `also`. `estimateMs` comes from the work of the pool that ended lately.",
    callers: ["submit", "worker", "read"],
    changes: false,
    params: z.strictObject({ executionId: identifier, task: integerText(0, MAX_TASKS_PER_EXECUTION) }),
    reply: z.strictObject({ executionId: z.string(), task: countSchema, name: z.string(), why: whySchema }),
    errors: ["EXECUTION_NOT_FOUND", "TASK_UNKNOWN"],
  },
  explainExecution: {
    method: "GET",
    path: "/executions/{executionId}/why",
    tag: "executions",
    summary: "Says why tasks of an execution do not run, grouped by reason.",
    description: `Looks at the first ${SURVEYED_PER_STATE} tasks of each state that is not done; \`more\` says that there are others.`,
    callers: ["submit", "worker", "read"],
    changes: false,
    params: z.strictObject({ executionId: identifier }),
    reply: z.strictObject({
      executionId: z.string(),
      state: executionStateSchema,
      /** Tasks that were looked at. */
      looked: countSchema,
      more: z.boolean(),
      /** The reason of the most tasks first. */
      reasons: z.array(
        z.strictObject({
          tasks: countSchema,
          /** Numbers of some of them. */
          examples: z.array(countSchema),
          /** Of the first of them. */
          why: whySchema,
        }),
      ),
    }),
    errors: ["EXECUTION_NOT_FOUND"],
  },
});
