/** A workflow that can be read: defined by a program, or loaded from a file. */
import type { StandardSchema } from "../standard-schema.ts";
import type { Template } from "./node.ts";
import type { ConditionCode, WorkflowSpec } from "./spec.ts";

export const WORKFLOW_BRAND = Symbol.for("holdfast.workflow");

/** Marks the types of a workflow for the compiler; no value ever carries it. */
declare const FLOW: unique symbol;

/** A workflow as part of another one: what it is given, and what it answers. */
export interface WorkflowRef<Input = unknown, Output = unknown> {
  readonly [WORKFLOW_BRAND]: true;
  readonly [FLOW]?: { readonly input: Input; readonly output: Output };
  readonly name: string;
}

export interface WorkflowSource extends WorkflowRef {
  /** File URL of the module that exports it; undefined when there is none. */
  readonly module: string | undefined;
  /** Of what it is given. */
  readonly inputSchema: StandardSchema | undefined;
  /** Its nodes, and all that is wrong with them. The same each time. */
  spec(): WorkflowSpec;
  /** What a node has of code. Runners ask for it. */
  code(node: string): { readonly condition: ConditionCode } | undefined;
}

/** Whether a value is a workflow, of this or another copy of the package. */
export function isWorkflowSource(value: unknown): value is WorkflowSource {
  return typeof value === "object" && value !== null && WORKFLOW_BRAND in value;
}

/** What a workflow answers that returns nothing: the outputs of its last nodes by id. */
export function outputOf({ nodes, output }: WorkflowSpec): Template {
  if (output !== undefined) return output;
  const before = new Set(nodes.flatMap(({ after }) => after));
  const last = nodes.filter(({ id }) => !before.has(id));
  return Object.fromEntries(last.map(({ id }) => [id, { $output: [id] }]));
}
