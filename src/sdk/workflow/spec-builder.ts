/**
 * Collects the nodes of a workflow, from a program or from a file, and all that is wrong with them.
 * Nothing is thrown: whoever wrote ten mistakes hears of all ten at once.
 */
import { ALL_POOLS } from "../../broker/contract.ts";
import { MAX_TASKS_PER_EXECUTION } from "../../broker/limits.ts";
import { pathTo, shown } from "../../core/untrusted.ts";
import { HoldfastError } from "../../errors/index.ts";
import { parseDurationMs } from "../../util/units.ts";
import type { StandardSchema } from "../standard-schema.ts";
import {
  DEFAULT_POOL,
  DEFAULT_PRIORITY,
  isTaskDefinition,
  type Priority,
  type RetryOptions,
  type TaskDefinition,
  toPriority,
  toRetryPolicy,
} from "../task.ts";
import { outputsNamed } from "./condition-text.ts";
import { type CodeHome, type HeadParts, Heads, sizeProblem, taskParts } from "./heads.ts";
import type { Condition, GroupHead, Step, Template } from "./node.ts";
import { isNodeHandle, NODE_BRAND, type NodeRef } from "./reference.ts";
import type { ConditionCode, NodeKind, NodeSpec, Problem, WorkflowSpec } from "./spec.ts";
import { toTemplate } from "./template.ts";

/** What is said about a node, whoever says it. */
export interface RawOptions {
  /** Nodes, or ids; by name where their outputs are part of the input. */
  readonly after?: readonly (NodeRef | string)[] | Readonly<Record<string, NodeRef>> | undefined;
  readonly input?: unknown;
  readonly pool?: string | undefined;
  readonly requires?: readonly string[] | undefined;
  readonly priority?: Priority | undefined;
  readonly estimate?: string | number | undefined;
  readonly condition?: ConditionCode | string | undefined;
  readonly onSkip?: "skip" | "release" | undefined;
  readonly onFailure?: "fail" | "continue" | "compensate" | undefined;
  readonly retry?: number | RetryOptions | undefined;
  readonly timeout?: string | number | undefined;
  readonly compensate?: TaskDefinition | undefined;
}

export interface RawNode {
  readonly id: string;
  readonly kind: NodeKind;
  /** What its task group is called. */
  readonly name: string;
  readonly does: Step;
  /** The task that it runs, whose settings are its defaults. */
  readonly task?: TaskDefinition;
  readonly options: RawOptions;
  /** Of its input, where its task does not say. */
  readonly schema?: StandardSchema | undefined;
  /** Nodes whose outputs it uses besides those in its input. */
  readonly uses?: ReadonlySet<string>;
  /** Unless `estimate` says something else. */
  readonly estimateMs: number;
}

export interface SpecDefaults {
  readonly name: string;
  /** Of nodes whose task names none. */
  readonly pool?: string | undefined;
  /** Where its conditions are found again; absent where there is no module. */
  readonly home?: CodeHome | undefined;
}

const ID = /^[A-Za-z0-9_][\w.-]*$/;
const MAX_ID = 200;
/** What is worth listing; the rest is counted. */
const MAX_PROBLEMS = 1_000;

export class SpecBuilder {
  /** Of all handles to its nodes. */
  readonly owner: object = {};
  readonly problems: Problem[] = [];
  readonly #defaults: SpecDefaults;
  readonly #heads = new Heads();
  readonly #nodes: NodeSpec[] = [];
  readonly #code = new Map<string, ConditionCode>();
  #output: Template | undefined;

  constructor(defaults: SpecDefaults) {
    this.#defaults = defaults;
  }

  get spec(): WorkflowSpec {
    const output = this.#output;
    return {
      name: this.#defaults.name,
      nodes: this.#nodes,
      problems: this.problems,
      ...(output === undefined ? {} : { output }),
    };
  }

  /** The condition of a node that is a function. */
  codeOf(id: string): ConditionCode | undefined {
    return this.#code.get(id);
  }

  problem(path: string, problem: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ path, problem });
  }

  setOutput(value: unknown): void {
    const problem = (path: string, text: string): void => this.problem(path, text);
    this.#output = toTemplate(value, "output", { uses: new Set(), problem, owner: this.owner });
  }

  add(raw: RawNode): void {
    const { id, options, task } = raw;
    const at = `nodes.${id}`;
    const path = (field: string): string => `${at}.${field}`;
    if (typeof id !== "string" || !ID.test(id) || id.length > MAX_ID) {
      this.problem(at, `has the id ${shown(id)}; expected letters, digits, "_", "-" and "."`);
    }
    if (this.#nodes.length === MAX_TASKS_PER_EXECUTION)
      this.problem(at, `is one node too many; at most ${MAX_TASKS_PER_EXECUTION}`);
    const uses = new Set<string>(raw.uses);
    const after = new Set<string>();
    this.#readAfter(options.after, path("after"), { after, uses });
    const named = after.size;
    const input = this.#readInput(raw, path("input"), uses);
    const condition = this.#readCondition(raw, path("condition"), { after, uses });
    for (const used of uses) after.add(used);
    this.#checkChoices(options, path);
    const head = this.#head(raw, condition);
    const tooLarge = sizeProblem(head);
    if (tooLarge !== undefined) this.problem(at, tooLarge);
    const priority = this.#priority(options.priority ?? task?.priority, path("priority"));
    this.#nodes.push({
      id,
      kind: raw.kind,
      after: after.size === 0 ? NONE : [...after],
      named,
      uses: uses.size === 0 ? NONE : [...uses],
      head,
      input,
      schema: raw.kind === "map" ? undefined : (raw.schema ?? task?.input),
      condition,
      onSkip: options.onSkip,
      undoes: options.onFailure === "compensate",
      compensate: options.compensate,
      estimateMs: this.duration(options.estimate, path("estimate")) ?? raw.estimateMs,
      priority,
    });
  }

  #readAfter(
    after: RawOptions["after"],
    at: string,
    into: { readonly after: Set<string>; readonly uses: Set<string> },
  ): void {
    if (after === undefined) return;
    if (isList(after)) {
      after.forEach((entry, index) => {
        const id = this.#idOf(entry, pathTo(at, index));
        if (id !== undefined) into.after.add(id);
      });
    } else if (typeof after === "object" && after !== null && !isNodeHandle(after)) {
      for (const [name, node] of Object.entries(after)) {
        const id = this.#idOf(node, pathTo(at, name));
        if (id !== undefined) into.uses.add(id);
      }
    } else
      this.problem(
        at,
        `is ${isNodeHandle(after) ? "a node" : shown(after)}; expected a list of nodes, or nodes by name`,
      );
  }

  #idOf(entry: unknown, at: string): string | undefined {
    if (typeof entry === "string") return entry;
    if (!isNodeHandle(entry)) this.problem(at, `is ${shown(entry)}; expected a node of this workflow`);
    else if (entry[NODE_BRAND] !== this.owner) this.problem(at, `is node ${entry.id} of another workflow`);
    else return entry.id;
    return undefined;
  }

  /** The input with what `after` gives by name merged into it. */
  #readInput({ options: { after, input } }: RawNode, at: string, uses: Set<string>): Template | undefined {
    const given = input === undefined ? undefined : this.template(input, at, uses);
    if (after === undefined || isList(after) || isNodeHandle(after)) return given;
    const named = Object.entries(after).map(([name, node]) => [name, { $output: [node?.id ?? ""] }] as const);
    if (named.length === 0) return given;
    if (given !== undefined && !isOpenObject(given)) {
      this.problem(at, "is no object with fields; what `after` gives by name cannot be merged into it");
      return given;
    }
    return { ...given, ...Object.fromEntries(named) };
  }

  template(value: unknown, at: string, uses: Set<string>): Template {
    return toTemplate(value, at, { uses, owner: this.owner, problem: (path, problem) => this.problem(path, problem) });
  }

  /** What each run of a map gets. */
  itemTemplate(value: unknown, at: string, uses: Set<string>): Template {
    const problem = (path: string, text: string): void => this.problem(path, text);
    return toTemplate(value, at, { uses, owner: this.owner, isItem: true, problem });
  }

  /** A condition sees the outputs of all that its node comes after, and in CEL of those that it names. */
  #readCondition(
    { id, options }: RawNode,
    at: string,
    { after, uses }: { readonly after: Set<string>; readonly uses: Set<string> },
  ): Condition | undefined {
    const { condition } = options;
    if (condition === undefined) return undefined;
    for (const parent of after) uses.add(parent);
    if (typeof condition === "function") {
      if (this.#defaults.home === undefined) {
        this.problem(at, "is a function, but the workflow's module is not known; pass `module: import.meta.url`");
      }
      this.#code.set(id, condition);
      return { kind: "code" };
    }
    if (typeof condition !== "string") {
      this.problem(at, `is ${shown(condition)}; expected a function, or a text in CEL`);
      return undefined;
    }
    for (const named of outputsNamed(condition)) uses.add(named);
    return { kind: "expression", expression: condition };
  }

  #checkChoices({ onSkip, onFailure, compensate }: RawOptions, path: (field: string) => string): void {
    if (onSkip !== undefined && onSkip !== "skip" && onSkip !== "release")
      this.problem(path("onSkip"), `is ${shown(onSkip)}; expected skip or release`);
    if (onFailure !== undefined && !["fail", "continue", "compensate"].includes(onFailure))
      this.problem(path("onFailure"), `is ${shown(onFailure)}; expected fail, continue or compensate`);
    if (compensate === undefined) return;
    if (!isTaskDefinition(compensate)) this.problem(path("compensate"), `is ${shown(compensate)}; expected a task`);
    else if (compensate.module === undefined) this.problem(path("compensate"), MODULE_UNKNOWN);
  }

  #head(raw: RawNode, condition: Condition | undefined): GroupHead {
    const { id, options, task, name, does } = raw;
    const made: Omit<HeadParts, "does"> = {
      ...this.settings(id, options, task === undefined ? undefined : taskParts(task)),
      name,
      workflow: condition?.kind === "code" ? this.#defaults.home : undefined,
      onFailure: options.onFailure === "continue" ? "continue" : undefined,
    };
    if (task === undefined) return this.#heads.of({ ...made, does });
    if (task.module === undefined) this.problem(`nodes.${id}`, MODULE_UNKNOWN);
    return this.#heads.ofTask(task, made);
  }

  /** What the node's options make of what its task says. */
  settings(id: string, options: RawOptions, task?: Omit<HeadParts, "does">): Omit<HeadParts, "does" | "name"> {
    const path = (field: string): string => `nodes.${id}.${field}`;
    const taskPool = task?.pool === DEFAULT_POOL ? undefined : task?.pool;
    const pool = options.pool ?? taskPool ?? this.#defaults.pool ?? DEFAULT_POOL;
    if (typeof pool !== "string" || pool === "" || pool === ALL_POOLS)
      this.problem(path("pool"), `is ${shown(pool)}; expected the name of a pool`);
    return {
      pool,
      requires: options.requires ?? task?.requires ?? NONE,
      retry: this.#retry(options.retry, path("retry")) ?? task?.retry,
      maxLosses: task?.maxLosses,
      timeoutMs: this.duration(options.timeout, path("timeout")) ?? task?.timeoutMs,
      memoryLimitMb: task?.memoryLimitMb,
    };
  }

  #priority(priority: number | string | undefined, at: string): number | undefined {
    if (priority === undefined) return undefined;
    const level = this.#checked(at, () => toPriority(priority as Priority, at));
    return level === DEFAULT_PRIORITY ? undefined : level;
  }

  duration(value: string | number | undefined, at: string): number | undefined {
    return value === undefined ? undefined : this.#checked(at, () => parseDurationMs(value, at));
  }

  #retry(retry: number | RetryOptions | undefined, at: string): HeadParts["retry"] {
    return retry === undefined ? undefined : this.#checked(at, () => toRetryPolicy(retry, at));
  }

  #checked<T>(at: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (thrown) {
      if (!HoldfastError.is(thrown, "INVALID_OPTION")) throw thrown;
      const { option, value, expected } = thrown.details;
      this.problem(String(option ?? at), `is ${String(value)}; expected ${String(expected)}`);
      return undefined;
    }
  }
}

const NONE: readonly string[] = [];
const MODULE_UNKNOWN =
  "has a task whose module is not known; define it in a file, or pass it `module: import.meta.url`";

function isList(after: RawOptions["after"]): after is readonly (NodeRef | string)[] {
  return Array.isArray(after);
}

/** An object whose fields are its own, and not a stand-in for something else. */
function isOpenObject(template: Template): template is { readonly [key: string]: Template } {
  if (typeof template !== "object" || template === null || Array.isArray(template)) return false;
  return !("$output" in template) && !("$input" in template) && !("$text" in template);
}
