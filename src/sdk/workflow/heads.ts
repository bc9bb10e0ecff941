/** What nodes are to the broker: their task groups without their tasks. Nodes that are the same to it share one object. */
import { MAX_PAYLOAD } from "../../broker/limits.ts";
import { DEFAULT_MAX_LOSSES, DEFAULT_RETRY, type RetryPolicy } from "../../core/retry.ts";
import type { TaskDefinition } from "../task.ts";
import type { FunctionStep, GroupHead, NodeHandler, Step } from "./node.ts";

/** Where the code of a workflow's conditions is. */
export interface CodeHome {
  readonly module: string;
  readonly name: string;
}

export interface HeadParts {
  readonly name: string;
  readonly does: Step;
  /** Only where the node has code of its own. */
  readonly workflow?: CodeHome | undefined;
  readonly pool: string;
  readonly requires: readonly string[];
  readonly retry?: RetryPolicy | undefined;
  readonly maxLosses?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly memoryLimitMb?: number | undefined;
  readonly onFailure?: "continue" | undefined;
}

export function makeHead(parts: HeadParts): GroupHead {
  const { name, does, workflow, pool, requires, timeoutMs, memoryLimitMb, onFailure } = parts;
  const handler: NodeHandler = { kind: "node", does, ...(workflow === undefined ? {} : { workflow }) };
  return {
    name,
    handler: JSON.stringify(handler),
    pool,
    requires,
    retry: parts.retry ?? DEFAULT_RETRY,
    maxLosses: parts.maxLosses ?? DEFAULT_MAX_LOSSES,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(memoryLimitMb === undefined ? {} : { memoryLimitMb }),
    ...(onFailure === undefined ? {} : { onFailure }),
  };
}

/** Heads by what they are made of, so that 100,000 nodes of one kind cost one. */
export class Heads {
  readonly #byTask = new Map<TaskDefinition, KnownHead>();
  readonly #byText = new Map<string, GroupHead>();

  /** `made`: what the head is but for its step, which the task's own is. */
  ofTask(task: TaskDefinition, made: Omit<HeadParts, "does">): GroupHead {
    // Nodes are mostly like the one before; else the text decides.
    const last = this.#byTask.get(task);
    if (last !== undefined && areSame(last.made, made)) return last.head;
    const head = this.of({ ...made, does: functionStep(task) });
    this.#byTask.set(task, { made, head });
    return head;
  }

  of(parts: HeadParts): GroupHead {
    const head = makeHead(parts);
    const key = JSON.stringify(head);
    const known = this.#byText.get(key);
    if (known !== undefined) return known;
    this.#byText.set(key, head);
    return head;
  }
}

interface KnownHead {
  readonly made: Omit<HeadParts, "does">;
  readonly head: GroupHead;
}

/** Whether two are made of the very same parts. */
function areSame(one: Omit<HeadParts, "does">, other: Omit<HeadParts, "does">): boolean {
  return (
    one.pool === other.pool &&
    one.requires === other.requires &&
    one.retry === other.retry &&
    one.timeoutMs === other.timeoutMs &&
    one.onFailure === other.onFailure &&
    one.workflow === other.workflow &&
    one.name === other.name
  );
}

/** What a task's own definition says, for a group that calls it. */
export function taskParts(task: TaskDefinition): Omit<HeadParts, "does"> {
  const { name, pool, requires, retry, maxLosses, timeoutMs, memoryLimitMb } = task;
  return { name, pool, requires, retry, maxLosses, timeoutMs, memoryLimitMb };
}

/** A task without a module is refused before this is sent anywhere. */
export function functionStep(task: TaskDefinition): FunctionStep {
  return { kind: "function", module: task.module ?? "", task: task.name };
}

/** What is wrong with a handler that is too large to travel, if it is. */
export function sizeProblem({ handler }: GroupHead): string | undefined {
  return handler.length <= MAX_PAYLOAD
    ? undefined
    : `takes ${handler.length} bytes to describe; the limit is ${MAX_PAYLOAD}`;
}
