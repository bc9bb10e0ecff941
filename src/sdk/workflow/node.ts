/**
 * What the payload texts of a workflow's nodes mean to a runner. Brokers never read them; the SDK
 * writes them, the runner carries them out.
 *
 * Nodes name each other by the distance of their task numbers (parent − own, below 0), so that the
 * same texts hold wherever in an execution a workflow stands: also as a sub-workflow, whose tasks get
 * their numbers only while the execution runs.
 */
import type { TaskGroup } from "../../broker/contract.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * A value that is made when the node starts: JSON in which an object with the one key `$output`,
 * `$input` or `$text` stands for something else, and one with `$literal` for what is in it, as it is.
 */
export type Template = Json;

/** In a Template: the output of a node, or what lies in it. `{"$output": ["schema", "tables", 0]}`. `null` where there is none. */
export interface OutputRef {
  readonly $output: readonly [node: string, ...path: (string | number)[]];
}

/**
 * In a Template: what is in it, as it is. Runners write it around data that look like a template, so that
 * nobody's data are taken for one.
 */
export interface Literal {
  readonly $literal: Json;
}

/** In a Template: one text of several parts; of what is no text the JSON stands in it, of `null` nothing. */
export interface TextRef {
  readonly $text: readonly Template[];
}

/** In a Template of a sub-workflow: its input, or what lies in it. Filled in when the sub-workflow starts. */
export interface InputRef {
  readonly $input: readonly (string | number)[];
}

/** `TaskGroup.handler` of nodes that do the same. */
export interface NodeHandler {
  readonly kind: "node";
  readonly does: Step;
  /** Where code that belongs to nodes (conditions) is: the module that exports the workflow of that name. */
  readonly workflow?: { readonly module: string; readonly name: string };
}

/** A node's input in the broker: JSON of this. */
export interface NodeInput {
  /** Its id, with those of the sub-workflows and maps that it lies in: `release/tests[3]`. */
  readonly node: string;
  /** Nodes whose outputs it uses: id → distance of their task number from its own. All are among its parents. */
  readonly outputs?: Readonly<Record<string, number>>;
  /** What its task gets. Absent: null. */
  readonly input?: Template;
  readonly condition?: Condition;
  /** What it means to nodes after it when the condition is false. Default `skip`. */
  readonly onSkip?: "skip" | "release";
  /** Nodes among `outputs` without whose output it is skipped, as if a condition of its own were false. */
  readonly needs?: readonly string[];
  /** Its rank (TaskList.ranks), where its step adds tasks: theirs are made from it. Default 0. */
  readonly rank?: number;
  /** The id under which its code is found in the workflow of its handler; absent where there is none. */
  readonly code?: string;
}

/** Whether the node runs. `code`: the function of the node's definition. `expression`: CEL over `outputs` and `input`. */
export type Condition = { readonly kind: "code" } | { readonly kind: "expression"; readonly expression: string };

export type Step =
  | FunctionStep
  | CommandStep
  | MapStep
  | WorkflowStep
  | WaitStep
  | SleepStep
  | CompensateStep
  | ReplayStep;

/** Calls the task definition named `task` that `module` exports. */
export interface FunctionStep {
  readonly kind: "function";
  /** File URL of an ES module. */
  readonly module: string;
  readonly task: string;
}

/** Runs a program: its input is JSON on standard input, its output what it writes to standard output. */
export interface CommandStep {
  readonly kind: "command";
  /** A text is given to the shell; a list is a program and its arguments. */
  readonly command: string | readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How standard output becomes the node's output. Default `text`, without the last line break. */
  readonly output?: "text" | "json" | "lines" | "none";
}

/** What a task group says, but for its tasks. */
export type GroupHead = Omit<TaskGroup, "work">;

/**
 * Runs `each` once per entry of a list that is known only now, at most MAX_TASKS_PER_CALL; its output is the
 * list of their outputs, in order, `null` for those that failed and were to. The list is the node's input.
 */
export interface MapStep {
  readonly kind: "map";
  readonly each: GroupHead;
  /** Inputs of the item tasks: a template in which `{"$input": []}` is the item, `{"$input": [...]}` lies in it. Absent: the item. */
  readonly input?: Template;
  /** An item that failed makes the node fail, when all have ended. Absent: what `each` says of failures holds. */
  readonly failsWithItems?: boolean;
}

/** Runs the nodes of another workflow; its output is `output` filled in from theirs. */
export interface WorkflowStep {
  readonly kind: "workflow";
  /** Numbers in `after` count from the first of them; inputs are NodeInputs. Labels are the nodes' ids within the workflow. */
  readonly groups: readonly TaskGroup[];
  /** Ids of its nodes by number. */
  readonly nodes: readonly string[];
  /** A template over the outputs of its nodes. */
  readonly output: Template;
}

/**
 * Waits for a signal of the execution; its output is the payload. `approval`: the payload is an Approval; one that
 * does not approve is a failure.
 */
export interface WaitStep {
  readonly kind: "wait";
  /** Default: the node's whole id, so that in each sub-workflow and map it is another one. */
  readonly signal?: string;
  readonly approval?: boolean;
  readonly timeoutMs?: number;
  /** When the time is over: default `fail`; `continue`: the output is null. */
  readonly onTimeout?: "fail" | "continue";
}

/** Payload of the signal that answers an approval. */
export interface Approval {
  readonly approved: boolean;
  readonly by?: string;
  readonly comment?: string;
}

/** Waits on the broker's clock, holding no worker. The output is null. The time may be the node's input instead, milliseconds. */
export interface SleepStep {
  readonly kind: "sleep";
  readonly ms?: number;
}

/**
 * Undoes, newest first, what has completed: of a node whose result is there the compensation runs with
 * `{ input, output }`, after those of the nodes that came after it. Nothing is done unless one of `because` has no
 * result. Its `outputs` names all of them.
 */
export interface CompensateStep {
  readonly kind: "compensate";
  /** In topological order. `after`: ids of others among them that the node comes after, directly or not. */
  readonly nodes: readonly {
    readonly node: string;
    readonly group: GroupHead;
    readonly after: readonly string[];
    readonly input: Template;
  }[];
  /** Nodes whose failure is to be undone. */
  readonly because: readonly string[];
}

/** Takes as long as its input says: `{ "ms": 120, "outputBytes": 10 }`. Stands for a recorded task. */
export interface ReplayStep {
  readonly kind: "replay";
}
