/**
 * What can be submitted: a sweep, a batch or a workflow, defined but not yet running.
 *
 * A definition is made without any I/O. `prepare` checks everything that can be checked before a
 * broker hears of it, and makes what travels; so what a user wrote wrong is refused before anything
 * is stored.
 */
import type { Submission, TaskGroup } from "../broker/contract.ts";
import { MAX_PAYLOAD } from "../broker/limits.ts";
import type { ReduceSpec } from "../core/aggregate.ts";
import type { FunctionHandler } from "../core/handler.ts";
import { HoldfastError } from "../errors/index.ts";
import { type Duration, parseDurationMs } from "../util/units.ts";
import type { Points } from "./points.ts";
import type { ReducerDefinition } from "./reducer.ts";
import { type Priority, type TaskDefinition, toPriority } from "./task.ts";
import type { Template } from "./workflow/node.ts";

export const DEFINITION_BRAND = Symbol.for("holdfast.definition");

/** Marks the types of a definition for the compiler; no value ever carries it. */
declare const TYPES: unique symbol;

/** Something to submit, whose results are points of type `Point` with values of type `Value`. */
export interface Definition<Point = unknown, Value = unknown, Aggregate = unknown> {
  readonly [DEFINITION_BRAND]: true;
  readonly kind: "sweep" | "batch" | "workflow";
  readonly name: string;
  /** What workers must be to run it: one entry per pool and capabilities. */
  readonly needs: readonly WorkerNeeds[];
  readonly [TYPES]?: { readonly point: Point; readonly value: Value; readonly aggregate: Aggregate };
  /**
   * Checks all inputs and makes what is submitted.
   *
   * @throws HoldfastError INVALID_INPUT with the path of the first wrong value, INVALID_SPACE,
   * INVALID_PARAMETER_FILE, INVALID_WORKFLOW, PAYLOAD_TOO_LARGE.
   */
  prepare(options?: PrepareOptions): Promise<Prepared>;
  /** What an execution of this definition needs to be read, when somebody else submitted it. */
  reader(): Partial<ExecutionReader>;
}

/** What whoever submits knows. */
export interface PrepareOptions {
  /** What nodes of the workflow of that name took in earlier runs: milliseconds by `measuredLabel` of their ids. */
  readonly measure?: (workflow: string) => Promise<ReadonlyMap<string, number>>;
}

export interface WorkerNeeds {
  readonly pool: string;
  /** Capabilities, all of them. */
  readonly requires: readonly string[];
}

/** Options that sweeps and batches share. */
export interface ExecutionOptions {
  /** Default: the task's name. */
  readonly name?: string;
  /** Submitting the same key again gives the same execution. */
  readonly key?: string;
  readonly priority?: Priority;
  readonly pool?: string;
  readonly requires?: readonly string[];
  /** Inputs that may fail for good before the rest is cancelled. Default: no limit. */
  readonly maxFailures?: number;
  /** How long the ended execution is kept. Default: the broker's setting, 7 days. */
  readonly retention?: Duration;
}

export interface Prepared {
  /** The first part; complete when there are no `rest`. */
  readonly submission: Submission;
  /** Groups of each further call, of an execution that is too large for one. */
  readonly rest: readonly (readonly TaskGroup[])[];
  readonly reader: ExecutionReader;
}

/** How to read an execution: what its points are, and what is made of its results. */
export interface ExecutionReader {
  readonly openPoints: () => Promise<Points>;
  readonly reduce: ReduceSpec | undefined;
  /** Reducers of the user's own that are at hand; others that `reduce` names are imported. */
  readonly reducers: readonly ReducerDefinition[];
  /** Of a workflow: what it answers, as far as that is known here. */
  readonly workflow?: { readonly output?: Template };
}

/** Whether a value can be submitted; of this or another copy of the package. */
export function isDefinition(value: unknown): value is Definition {
  return typeof value === "object" && value !== null && DEFINITION_BRAND in value;
}

/** What the options say about the execution as a whole. */
export function executionFields(
  options: ExecutionOptions,
  task: TaskDefinition,
): Pick<Submission, "key" | "name" | "priority" | "maxFailures" | "retentionMs"> {
  const { key, maxFailures, retention } = options;
  if (maxFailures !== undefined && !(Number.isSafeInteger(maxFailures) && maxFailures >= 1)) {
    throw new HoldfastError("INVALID_OPTION", {
      option: "maxFailures",
      value: String(maxFailures),
      expected: "a whole number, 1 or more",
    });
  }
  return {
    name: options.name ?? task.name,
    priority: options.priority === undefined ? task.priority : toPriority(options.priority, "priority"),
    ...(key === undefined ? {} : { key }),
    ...(maxFailures === undefined ? {} : { maxFailures }),
    ...(retention === undefined ? {} : { retentionMs: parseDurationMs(retention, "retention") }),
  };
}

export function needsOf(options: ExecutionOptions, task: TaskDefinition): WorkerNeeds {
  return { pool: options.pool ?? task.pool, requires: options.requires ?? task.requires };
}

/** What a task's definition says about each of its tasks. */
export function groupFields(options: ExecutionOptions, task: TaskDefinition): Omit<TaskGroup, "work"> {
  return {
    name: task.name,
    handler: handlerOf(task),
    ...needsOf(options, task),
    retry: task.retry,
    maxLosses: task.maxLosses,
    ...(task.timeoutMs === undefined ? {} : { timeoutMs: task.timeoutMs }),
    ...(task.memoryLimitMb === undefined ? {} : { memoryLimitMb: task.memoryLimitMb }),
  };
}

function handlerOf(task: TaskDefinition): string {
  if (task.module === undefined) {
    const expected = "a task defined in a file; or pass `module: import.meta.url` of the file that exports it";
    throw new HoldfastError("INVALID_OPTION", { option: `module of task ${task.name}`, value: "unknown", expected });
  }
  const handler: FunctionHandler = { kind: "function", module: task.module, task: task.name };
  return JSON.stringify(handler);
}

/** The JSON text of a payload, refused when it is larger than a broker takes. */
export function payloadText(value: unknown, what: string): string {
  const text = JSON.stringify(value);
  if (text.length > MAX_PAYLOAD)
    throw new HoldfastError("PAYLOAD_TOO_LARGE", { what, bytes: text.length, limit: MAX_PAYLOAD });
  return text;
}
