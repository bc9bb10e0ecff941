/** Tasks of an execution. */
import * as z from "zod";
import { MAX_PAGE, MAX_TASKS_PER_EXECUTION } from "../../broker/limits.ts";
import { identifier } from "../../broker/schema-parts.ts";
import { TASK_STATES } from "../../core/states.ts";
import { defineOperations } from "../operation.ts";
import { booleanText, integerText, listText, pageLimit } from "../request-parts.ts";
import { attemptView, taskView } from "../views.ts";
import { whySchema } from "../why-schemas.ts";

const READERS = ["submit", "worker", "read"] as const;
export const DEFAULT_TASKS = 100;
/** Attempts of one task that are told with it. */
export const TASK_ATTEMPTS = 20;

const taskText = integerText(0, MAX_TASKS_PER_EXECUTION);
const texts = z.exactOptional(booleanText).describe("Results come as strings that hold their JSON text.");

export const TASK_OPERATIONS = defineOperations({
  listTasks: {
    method: "GET",
    path: "/executions/{executionId}/tasks",
    tag: "tasks",
    summary: "Tasks of an execution, by their numbers.",
    callers: READERS,
    changes: false,
    params: z.strictObject({ executionId: identifier }),
    query: z.strictObject({
      state: z.exactOptional(listText(TASK_STATES)).describe("In one of these states."),
      limit: z.exactOptional(pageLimit(MAX_PAGE)).describe(`Default ${DEFAULT_TASKS}.`),
      cursor: z.exactOptional(taskText).describe("Tasks with a higher number: the `next` of the page before."),
      children: z
        .exactOptional(booleanText)
        .describe("With the tasks that wait for each, or did, while the execution has not ended."),
      texts,
    }),
    reply: z.strictObject({ tasks: z.array(taskView), next: z.exactOptional(z.int().min(0)) }),
    errors: ["EXECUTION_NOT_FOUND"],
  },
  getTask: {
    method: "GET",
    path: "/executions/{executionId}/tasks/{task}",
    tag: "tasks",
    summary: "One task: its state, its latest attempts, and why it does not run.",
    callers: READERS,
    changes: false,
    params: z.strictObject({ executionId: identifier, task: taskText }),
    query: z.strictObject({ texts }),
    reply: z.strictObject({
      task: taskView,
      requires: z.array(z.string()).readonly().describe("Capabilities that its worker must have."),
      attempts: z.array(attemptView).describe(`The latest ${TASK_ATTEMPTS}, the latest first.`),
      why: whySchema,
    }),
    errors: ["EXECUTION_NOT_FOUND", "TASK_UNKNOWN"],
  },
});
