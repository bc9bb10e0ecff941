/**
 * The shape of a workflow file, in YAML or JSON. What can be said about a node depends on what it does;
 * `docs/workflow.schema.json` is made from here, for editors.
 */
import * as z from "zod";
import { FAILURE_CLASSES } from "../../../core/failure.ts";
import { PRIORITY_PRESETS } from "../../task.ts";

const duration = z
  .union([z.number().min(0), z.string()])
  .describe('A duration such as "250ms", "30s", "5m", "2h" or "7d"; a number is milliseconds.');
const priority = z
  .union([z.int().min(1).max(10), z.enum(Object.keys(PRIORITY_PRESETS) as (keyof typeof PRIORITY_PRESETS)[])])
  .describe("1 to 10, 10 most urgent; or deployment (8), validation (7), training (6). Default 5.");
const text = z.string().min(1);
const taskRef = text.describe("A task: `./tasks.ts#exportName`, from the folder of this file.");
const workflowRef = text.describe("Another workflow: `./other.yaml`, or `./flows.ts#exportName`.");

const retry = z
  .union([
    z.int().min(0),
    z.strictObject({
      limit: z.exactOptional(z.int().min(0)),
      base: z.exactOptional(duration),
      factor: z.exactOptional(z.number().min(1)),
      max: z.exactOptional(duration),
      jitter: z.exactOptional(z.number().min(0).max(1)),
      never: z.exactOptional(z.array(z.enum(FAILURE_CLASSES))),
    }),
  ])
  .describe("Retries after the first attempt, or how they are made. Default: the task's own, else 3.");

const common = {
  after: z
    .exactOptional(z.array(text))
    .describe("Ids of nodes that must have completed first. What `input` uses is waited for anyway."),
  when: z
    .exactOptional(text)
    .describe("Whether it runs: CEL over `outputs` and `input`, such as `outputs.tests.passed`."),
  onSkip: z
    .exactOptional(z.enum(["skip", "release"]))
    .describe("When `when` is false, nodes after it are skipped too, or go on without its output. Default skip."),
  onFailure: z
    .exactOptional(z.enum(["fail", "continue", "compensate"]))
    .describe(
      "When it has failed for good: the workflow fails, it goes on without its output, or what has completed is undone. Default fail.",
    ),
  pool: z
    .exactOptional(text)
    .describe("The class of workers that runs it. Default: its task's pool, else the workflow's."),
  requires: z.exactOptional(z.array(text)).describe("Capabilities that a worker must all have."),
  priority: z.exactOptional(priority),
  estimate: z.exactOptional(duration).describe("How long it is thought to take, until it was measured. Default 1 s."),
};

const running = {
  ...common,
  retry: z.exactOptional(retry),
  timeout: z.exactOptional(duration).describe("Per attempt. Default: its task's, else none."),
  compensate: z.exactOptional(taskRef).describe("A task that undoes what it has done; gets `{ input, output }`."),
};

const input = z
  .exactOptional(z.json())
  .describe("Its input. `${{ outputs.ID.path }}` and `${{ input.path }}` may stand anywhere in it.");

const waiting = {
  ...common,
  timeout: z.exactOptional(duration).describe("How long it waits. Default: for ever."),
  onTimeout: z.exactOptional(z.enum(["fail", "continue"])).describe("When the time is over. Default fail."),
};

/** By the field that says what a node does. */
export const NODE_SCHEMAS = {
  task: z.strictObject({ task: taskRef, input, ...running }),
  run: z.strictObject({
    run: z
      .union([text, z.array(z.string()).min(1)])
      .describe("A program: a text for the shell, or a program and its arguments."),
    input,
    cwd: z.exactOptional(text).describe("Default: the folder of this file."),
    env: z.exactOptional(z.record(z.string(), z.string())),
    output: z
      .exactOptional(z.enum(["text", "json", "lines", "none"]))
      .describe("How its standard output becomes the node's output. Default text."),
    ...running,
  }),
  map: z.strictObject({
    map: text.describe("A task or a workflow that is run once for every item."),
    over: z.json().describe("The list: `${{ outputs.ID.path }}`, or written out."),
    input: z
      .exactOptional(z.json())
      .describe("The input of each run, in which `${{ item.path }}` may stand. Default: the item."),
    continueOnFailure: z.exactOptional(z.boolean()).describe("Items that fail become null. Default false."),
    ...running,
  }),
  workflow: z.strictObject({ workflow: workflowRef, input, ...common }),
  signal: z.strictObject({
    signal: text.describe("Name of the signal that it waits for; its output is the payload."),
    ...waiting,
  }),
  approval: z.strictObject({ approval: text.describe("Name of the signal by which it is approved."), ...waiting }),
  sleep: z.strictObject({
    sleep: duration.describe("How long; a number, also of an output, is milliseconds."),
    ...common,
  }),
} as const;

export type NodeField = keyof typeof NODE_SCHEMAS;
export const NODE_FIELDS = Object.keys(NODE_SCHEMAS) as readonly NodeField[];
export type FileNode = z.infer<(typeof NODE_SCHEMAS)[NodeField]>;

export const INPUT_TYPES = ["text", "number", "boolean", "list", "object", "any"] as const;

const inputField = z.strictObject({
  type: z.exactOptional(z.enum(INPUT_TYPES)).describe("Default any."),
  default: z.exactOptional(z.json()).describe("Without, it must be given."),
  about: z.exactOptional(z.string()),
});

const nodeUnion = z.union(Object.values(NODE_SCHEMAS));

/** All but the nodes is checked with this; each node with the schema of what it does. */
const headFields = {
  name: z.exactOptional(z.string().min(1).max(200)).describe("Default: the file's name."),
  about: z.exactOptional(z.string()).describe("For those who read it."),
  input: z
    .exactOptional(z.record(text, z.union([z.enum(INPUT_TYPES), inputField])))
    .describe("What it is given, by name: a type, or type and default."),
  pool: z.exactOptional(text).describe("Of nodes whose task names none. Default default."),
  priority: z.exactOptional(priority),
  failFast: z.exactOptional(z.boolean()).describe("The first node that fails for good cancels the rest. Default true."),
  keepInputs: z.exactOptional(z.boolean()).describe("Keep inputs, so that parts can be run again. Default true."),
  retention: z.exactOptional(duration).describe("How long the ended execution is kept. Default 7 days."),
  output: z.exactOptional(z.json()).describe("What it answers. Default: the outputs of its last nodes."),
};

export const headSchema = z.strictObject({ ...headFields, nodes: z.record(z.string(), z.unknown()) });
export type FileHead = z.infer<typeof headSchema>;

/** JSON Schema of a whole file. */
export function workflowJsonSchema(): unknown {
  const schema = z.strictObject({
    $schema: z.exactOptional(z.string()),
    ...headFields,
    nodes: z.record(z.string().regex(/^[A-Za-z0-9_][\w.-]*$/), nodeUnion).describe("Nodes by their ids."),
  });
  return { ...z.toJSONSchema(schema, { io: "input", reused: "ref" }), title: "Holdfast workflow" };
}
