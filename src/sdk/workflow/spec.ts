/** A workflow as it was written, node by node, before it is known with what input it runs. */
import type { StandardSchema } from "../standard-schema.ts";
import type { TaskDefinition } from "../task.ts";
import type { Condition, GroupHead, Template } from "./node.ts";

export type NodeKind = "task" | "command" | "map" | "workflow" | "signal" | "approval" | "sleep";

/** Something that a person wrote wrong, and where: `nodes.api.after[1]`. */
export interface Problem {
  readonly path: string;
  readonly problem: string;
}

/** All fields are always there: 100,000 objects of one shape are quicker than of many. */
export interface NodeSpec {
  readonly id: string;
  readonly kind: NodeKind;
  /** Ids, those of `uses` included: first the ones that it names itself. */
  readonly after: readonly string[];
  /** How many it names itself. */
  readonly named: number;
  readonly uses: readonly string[];
  /** What it is to the broker. One object for all nodes that are the same to it. */
  readonly head: GroupHead;
  readonly input: Template | undefined;
  /** Of its task, for an input that nothing is left out of. */
  readonly schema: StandardSchema | undefined;
  readonly condition: Condition | undefined;
  readonly onSkip: "skip" | "release" | undefined;
  /** A failure of it is to be undone (`onFailure: "compensate"`). */
  readonly undoes: boolean;
  readonly compensate: TaskDefinition | undefined;
  readonly estimateMs: number;
  /** Absent: the default. */
  readonly priority: number | undefined;
}

export interface WorkflowSpec {
  readonly name: string;
  readonly nodes: readonly NodeSpec[];
  /** What it answers: a template over its nodes' outputs. Absent: the outputs of its last nodes by id. */
  readonly output?: Template;
  readonly problems: readonly Problem[];
}

export type ConditionCode = (facts: ConditionFacts) => boolean | Promise<boolean>;

/** What a condition decides by. */
export interface ConditionFacts {
  /** Outputs of the nodes that it comes after, by id; `null` of those that have none. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** The node's input, filled in. */
  readonly input: unknown;
}

/** A path as people write it: `nodes.api.after[1]`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === "number" ? `${text}[${step}]` : text === "" ? String(step) : `${text}.${String(step)}`,
    "",
  );
}
