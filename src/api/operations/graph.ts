/** An execution as a graph, for pictures and planners: its tasks with what waits for them, and what is left of it. */
import * as z from "zod";
import { MAX_PAGE, MAX_TASKS_PER_EXECUTION } from "../../broker/limits.ts";
import { TASK_STATES } from "../../core/states.ts";
import { defineOperations } from "../operation.ts";
import { integerText, pageLimit } from "../request-parts.ts";
import { executionParams } from "./executions.ts";

const READERS = ["submit", "worker", "read"] as const;
export const DEFAULT_NODES = 1_000;
/** Nodes of the critical path that are told. */
export const MAX_PATH_TOLD = 1_000;

const count = z.int().min(0);
const milliseconds = z.number().min(0);

export const graphNode = z
  .strictObject({
    task: count,
    label: z.exactOptional(z.string()),
    name: z.string(),
    pool: z.string(),
    state: z.enum(TASK_STATES),
    rank: z.exactOptional(z.number()).describe("Of an execution's ready tasks those with the highest go first."),
    durationMs: z.exactOptional(z.number()).describe("Of the attempt that completed it."),
    attempts: count,
    held: z.exactOptional(z.boolean()),
    removed: z.exactOptional(z.boolean()),
    children: z
      .array(count)
      .readonly()
      .describe("Tasks that wait for it, or did. Not known any more of an execution that has ended."),
  })
  .meta({ id: "GraphNode", description: "A task in its graph." });

const step = z.strictObject({
  task: count,
  label: z.exactOptional(z.string()),
  name: z.string(),
  leftMs: milliseconds.describe("What is left of it."),
});

export const GRAPH_OPERATIONS = defineOperations({
  getGraph: {
    method: "GET",
    path: "/executions/{executionId}/graph",
    tag: "tasks",
    summary: "Tasks of an execution with what waits for each, without results: a page of its graph.",
    callers: READERS,
    changes: false,
    params: executionParams,
    query: z.strictObject({
      limit: z.exactOptional(pageLimit(MAX_PAGE)).describe(`Default ${DEFAULT_NODES}.`),
      cursor: z
        .exactOptional(integerText(0, MAX_TASKS_PER_EXECUTION))
        .describe("Tasks with a higher number: the `next` of the page before."),
    }),
    reply: z.strictObject({ nodes: z.array(graphNode), next: z.exactOptional(count) }),
    errors: ["EXECUTION_NOT_FOUND"],
  },
  getPlan: {
    method: "GET",
    path: "/executions/{executionId}/plan",
    tag: "tasks",
    summary: "What is left of an execution: its critical path, its work, and when it may end.",
    description:
      "How long tasks take is taken from what was measured, from their ranks, or from others of the same name. The end is what the workers that are there now would need if nothing else ran and nothing had to wait for a person.",
    callers: READERS,
    changes: false,
    params: executionParams,
    reply: z.strictObject({
      left: count.describe("Tasks that have not ended."),
      unknown: count.describe("Of those, the ones of which nothing tells how long they take: counted as no time."),
      onHold: count.describe("Of those, the ones that are held, or wait for a signal."),
      workMs: milliseconds.describe("What is left to run, in sum."),
      criticalPath: z.array(step).readonly().describe(`The longest way to the end: the first ${MAX_PATH_TOLD} tasks.`),
      criticalPathMs: milliseconds,
      pools: z
        .array(z.strictObject({ pool: z.string(), left: count, slots: count }))
        .readonly()
        .describe("Pools with tasks that have not ended, and the slots of their workers."),
      leftMs: z
        .exactOptional(milliseconds)
        .describe("Until all may have ended. Absent where a pool with tasks left has no slots."),
      estimatedEndAt: z.exactOptional(z.number()).describe("Milliseconds since 1970. Absent as `leftMs`."),
    }),
    errors: ["EXECUTION_NOT_FOUND"],
  },
});
