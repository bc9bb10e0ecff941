/**
 * What a user's program says about a task: its name, its input's shape, its limits, its code.
 *
 * A definition is used in two processes. The submitting one reads everything but `run`; a worker's
 * runner imports the module again, finds the definition by its brand and its name among the
 * exports, and calls `run`. So a definition must be exported, and its module must be safe to import:
 * no submitting at its top level. The brand is a registered symbol, because the runner and the
 * user's module may have loaded two copies of this package.
 *
 * Runners import this file for every user module; it must stay light.
 */
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { getCallSites } from "node:util";
import { DEFAULT_MAX_LOSSES, DEFAULT_RETRY, type RetryPolicy } from "../core/retry.ts";
import type { FailureClass } from "../core/failure.ts";
import { HoldfastError } from "../errors/index.ts";
import { type Duration, parseDurationMs, parseSizeMb, type Size } from "../util/units.ts";
import type { CheckpointOptions, HeldLock, LockOptions, SharedState } from "./shared-state.ts";
import type { SchemaInput, SchemaOutput, StandardSchema } from "./standard-schema.ts";

export const TASK_BRAND = Symbol.for("holdfast.task");

/** What a running task knows and may use, apart from its input. */
export interface TaskContext {
  /** Aborted when the attempt must stop: cancelled, timed out, or no longer this worker's to run. */
  readonly signal: AbortSignal;
  /** The execution this attempt belongs to. */
  readonly executionId: string;
  /** Index of the point in its sweep, or of the input in its batch. */
  readonly index: number;
  /** 1 for the first try. */
  readonly attempt: number;
  /** Name of the worker that runs it. */
  readonly worker: string;
  /** In a workflow: the id of its node, with those of the sub-workflows and maps that it lies in (`release/tests[3]`). */
  readonly node: string | undefined;
  /** In a workflow: outputs of the nodes that its node uses, by id; `null` for those that have none. Otherwise empty. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** Values that tasks and programs share. */
  readonly state: SharedState;
  /**
   * Takes a lock and extends it by itself until it is released, or the attempt ends. Waits for its
   * turn unless told otherwise.
   *
   * @throws HoldfastError LOCK_TAKEN when it was not had within `wait`.
   * @example await using lock = await ctx.lock("model-registry", { ttl: "10s" });
   */
  lock(name: string, options?: LockOptions): Promise<HeldLock>;
  /**
   * Saves where this task is, for its next attempt. The newest five are kept. A late attempt, of
   * which a later one has taken over, is refused.
   *
   * @throws HoldfastError CHECKPOINT_FENCED, PAYLOAD_TOO_LARGE, STORE_FULL.
   */
  checkpoint(data: unknown, options?: CheckpointOptions): Promise<{ readonly version: number }>;
  /** The newest checkpoint of this task, whichever attempt has saved it; undefined when there is none. */
  restore<T = unknown>(): Promise<T | undefined>;
}

export const PRIORITY_PRESETS = { deployment: 8, validation: 7, training: 6 } as const;

/** 1…10, 10 most urgent; or `deployment` (8), `validation` (7), `training` (6). Default 5. */
export type Priority = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | keyof typeof PRIORITY_PRESETS;
export const DEFAULT_PRIORITY = 5;
export const DEFAULT_POOL = "default";

export interface RetryOptions {
  /** Retries after the first attempt. Default 3. */
  readonly limit?: number;
  /** Delay before the first retry. Default 5 s. */
  readonly base?: Duration;
  /** Each further delay is this many times the one before. Default 2. */
  readonly factor?: number;
  /** No delay is longer. Default 5 min. */
  readonly max?: Duration;
  /** 0…1: delays are shortened at random by up to this share. Default 0: exact. */
  readonly jitter?: number;
  /** Failure classes that are not retried. Default `["invalid-input"]`. */
  readonly never?: readonly FailureClass[];
}

export interface TaskSettings {
  /** Unique among the exports of its module; shown wherever the task is. */
  readonly name: string;
  /** Per input. Default: no limit. */
  readonly timeout?: Duration;
  /** A number is the limit of retries, the rest stays at its default. */
  readonly retry?: number | RetryOptions;
  /** Worker deaths under one input after which it is set aside as a poison pill. Default 3. */
  readonly maxLosses?: number;
  /** Capabilities that a worker must all have: `cpu`, `gpu`, `high-memory` … */
  readonly requires?: readonly string[];
  /** The class of workers that serves it. Default `default`. */
  readonly pool?: string;
  readonly priority?: Priority;
  /** Memory of the process that runs it. Default: the worker's own limit. */
  readonly memoryLimit?: Size;
  /** URL of the module that exports the task: `import.meta.url`. Found by itself unless a helper of yours calls defineTask. */
  readonly module?: string;
}

export interface TaskOptions<Schema extends StandardSchema, Output> extends TaskSettings {
  /** A Standard Schema (zod, valibot, arktype …): what is wrong is refused at submit, with its path. */
  readonly input: Schema;
  readonly run: (input: SchemaOutput<Schema>, ctx: TaskContext) => Output | Promise<Output>;
}

export interface UncheckedTaskOptions<Input, Output> extends TaskSettings {
  readonly input?: undefined;
  readonly run: (input: Input, ctx: TaskContext) => Output | Promise<Output>;
}

/** `Input` is what a submitter writes, `Parsed` what `run` gets, `Output` what it answers (it travels as JSON). */
export interface TaskDefinition<Input = unknown, Parsed = Input, Output = unknown> {
  readonly [TASK_BRAND]: true;
  readonly name: string;
  /** File URL of the module that called defineTask; undefined when there is none (a REPL, `node -e`). */
  readonly module: string | undefined;
  readonly input: StandardSchema<Input, Parsed> | undefined;
  readonly timeoutMs: number | undefined;
  readonly memoryLimitMb: number | undefined;
  readonly retry: RetryPolicy;
  readonly maxLosses: number;
  readonly requires: readonly string[];
  readonly pool: string;
  /** 1…10. */
  readonly priority: number;
  // A method, so that a definition of something is a definition of `unknown` for code that handles any.
  run(input: Parsed, ctx: TaskContext): Output | Promise<Output>;
}

/**
 * Defines what runs on workers. Export it; a worker imports the module and finds it by its name.
 *
 * @throws HoldfastError INVALID_OPTION when a setting is out of its range.
 * @example
 * export const crossValidate = defineTask({
 *   name: "cross-validate",
 *   input: z.object({ k: z.number().int().min(1), distance: z.enum(["euclidean", "manhattan"]) }),
 *   timeout: "30s",
 *   retry: { limit: 3 },
 *   run: async (point, ctx) => ({ accuracy: await accuracyOf(point, ctx.signal) }),
 * });
 */
export function defineTask<Schema extends StandardSchema, Output>(
  options: TaskOptions<Schema, Output>,
): TaskDefinition<SchemaInput<Schema>, SchemaOutput<Schema>, Output>;
export function defineTask<Input, Output>(
  options: UncheckedTaskOptions<Input, Output>,
): TaskDefinition<Input, Input, Output>;
export function defineTask(
  options: TaskSettings & {
    readonly input?: StandardSchema | undefined;
    readonly run: (input: never, ctx: TaskContext) => unknown;
  },
): TaskDefinition {
  const name = checkName(options.name);
  const of = `of task ${name}`;
  return Object.freeze({
    [TASK_BRAND]: true as const,
    name,
    module: options.module ?? callerModule(import.meta.url),
    input: options.input,
    timeoutMs:
      options.timeout === undefined
        ? undefined
        : positive(parseDurationMs(options.timeout, `timeout ${of}`), `timeout ${of}`),
    memoryLimitMb:
      options.memoryLimit === undefined
        ? undefined
        : positive(parseSizeMb(options.memoryLimit, `memoryLimit ${of}`), `memoryLimit ${of}`),
    retry: toRetryPolicy(options.retry, `retry ${of}`),
    maxLosses: within(options.maxLosses ?? DEFAULT_MAX_LOSSES, { what: `maxLosses ${of}`, min: 1, max: 1_000 }),
    requires: [...(options.requires ?? [])],
    pool: options.pool ?? DEFAULT_POOL,
    priority: toPriority(options.priority, `priority ${of}`),
    // What a runner passes has gone through the task's own schema.
    run: options.run as (input: unknown, ctx: TaskContext) => unknown,
  });
}

/** Whether a value is a task definition, of this or another copy of the package. */
export function isTaskDefinition(value: unknown): value is TaskDefinition {
  return typeof value === "object" && value !== null && TASK_BRAND in value;
}

/** 1…10 of a number or preset. */
export function toPriority(priority: Priority | undefined, what: string): number {
  if (typeof priority === "string") {
    const preset: number | undefined = PRIORITY_PRESETS[priority];
    if (preset !== undefined) return preset;
  } else {
    const level = priority ?? DEFAULT_PRIORITY;
    if (Number.isInteger(level) && level >= 1 && level <= 10) return level;
  }
  const expected = `1 to 10 or ${Object.keys(PRIORITY_PRESETS).join(", ")}`;
  throw new HoldfastError("INVALID_OPTION", { option: what, value: JSON.stringify(priority), expected });
}

/** What the options make of the default policy. Errors: INVALID_OPTION. */
export function toRetryPolicy(retry: number | RetryOptions | undefined, what: string): RetryPolicy {
  const options = typeof retry === "number" ? { limit: retry } : (retry ?? {});
  const factor = options.factor ?? DEFAULT_RETRY.factor;
  if (!(factor >= 1))
    throw new HoldfastError("INVALID_OPTION", { option: `${what}: factor`, value: factor, expected: "1 or more" });
  const jitter = options.jitter ?? DEFAULT_RETRY.jitter;
  if (!(jitter >= 0 && jitter <= 1)) {
    throw new HoldfastError("INVALID_OPTION", { option: `${what}: jitter`, value: jitter, expected: "0 to 1" });
  }
  return {
    limit: within(options.limit ?? DEFAULT_RETRY.limit, { what: `${what}: limit`, min: 0, max: 1_000 }),
    baseMs: parseDurationMs(options.base ?? DEFAULT_RETRY.baseMs, `${what}: base`),
    factor,
    maxMs: parseDurationMs(options.max ?? DEFAULT_RETRY.maxMs, `${what}: max`),
    jitter,
    never: options.never ?? DEFAULT_RETRY.never,
  };
}

/** The file URL of the first caller outside the given module; undefined when it is no file (a REPL, `node -e`). */
export function callerModule(thisModule: string): string | undefined {
  const sites = getCallSites(20);
  const caller = sites.find(
    ({ scriptName }) => scriptName !== thisModule && scriptName !== import.meta.url,
  )?.scriptName;
  if (caller === undefined) return undefined;
  // CommonJS modules are named by their path.
  if (isAbsolute(caller)) return pathToFileURL(caller).href;
  return caller.startsWith("file:") ? caller : undefined;
}

function checkName(name: string): string {
  if (typeof name === "string" && name.trim() !== "" && name.length <= 200) return name;
  throw new HoldfastError("INVALID_OPTION", {
    option: "name of a task",
    value: JSON.stringify(name),
    expected: "1 to 200 characters",
  });
}

function positive(value: number, what: string): number {
  if (value > 0) return value;
  throw new HoldfastError("INVALID_OPTION", { option: what, value, expected: "more than 0" });
}

function within(value: number, range: { readonly what: string; readonly min: number; readonly max: number }): number {
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return value;
  throw new HoldfastError("INVALID_OPTION", {
    option: range.what,
    value: String(value),
    expected: `a whole number, ${range.min} to ${range.max}`,
  });
}
