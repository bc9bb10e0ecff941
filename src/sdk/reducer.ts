/**
 * A user's own reducer: how it is defined, how it travels, how it is found again.
 *
 * Like a task it travels as a module and a name; workers fold with it, and whoever asks for the
 * answer merges with it. Runners import this file; it must stay light.
 */
import type { FindReducer, Reduce, ReduceInput, ReduceSpec, UserReducer, UserSpec } from "../core/aggregate.ts";
import { HoldfastError } from "../errors/index.ts";
import { callerModule } from "./task.ts";

export const REDUCER_BRAND = Symbol.for("holdfast.reducer");

/** Usable wherever a built-in aggregation is: as a sweep's `reduce`, or as one part of it. */
export type ReducerDefinition<Accumulator = unknown, Result = unknown> = UserReducer<Accumulator, Result> &
  Extract<Reduce<Result>, { readonly kind: "user" }> & { readonly [REDUCER_BRAND]: true };

export interface ReducerOptions<Accumulator, Result> extends UserReducer<Accumulator, Result> {
  finish(accumulator: Accumulator): Result;
  /** URL of the module that exports the reducer: `import.meta.url`. Found by itself unless a helper of yours calls defineReducer. */
  readonly module?: string;
}

export interface PlainReducerOptions<Accumulator> extends Omit<UserReducer<Accumulator>, "finish"> {
  readonly finish?: undefined;
  readonly module?: string;
}

/**
 * Defines an aggregation of your own. Export it: workers import the module and find it by its name.
 *
 * The accumulator must be JSON. Chunks are folded apart and merged in any order, so `merge` must be
 * associative and commutative for an answer that does not depend on it.
 *
 * @example
 * export const worst = defineReducer({
 *   name: "worst",
 *   init: () => ({ loss: -1, index: -1 }),
 *   add: (worst, { index, value }) => (value.loss > worst.loss ? { loss: value.loss, index } : worst),
 *   merge: (left, right) => (left.loss >= right.loss ? left : right),
 * });
 */
export function defineReducer<Accumulator, Result>(
  options: ReducerOptions<Accumulator, Result>,
): ReducerDefinition<Accumulator, Result>;
export function defineReducer<Accumulator>(
  options: PlainReducerOptions<Accumulator>,
): ReducerDefinition<Accumulator, Accumulator>;
export function defineReducer(
  options: Omit<UserReducer, "finish"> & {
    readonly finish?: UserReducer["finish"] | undefined;
    readonly module?: string;
  },
): ReducerDefinition {
  const module = options.module ?? callerModule(import.meta.url);
  if (module === undefined) {
    throw new HoldfastError("INVALID_OPTION", {
      option: `module of reducer ${options.name}`,
      value: "unknown",
      expected: "`module: import.meta.url` of the file that exports it",
    });
  }
  if (typeof options.name !== "string" || options.name.trim() === "") {
    throw new HoldfastError("INVALID_OPTION", {
      option: "name of a reducer",
      value: JSON.stringify(options.name),
      expected: "some text",
    });
  }
  const { finish } = options;
  return Object.freeze({
    [REDUCER_BRAND]: true as const,
    kind: "user" as const,
    module,
    name: options.name,
    init: () => options.init(),
    add: (accumulator: unknown, item: Parameters<UserReducer["add"]>[1]) => options.add(accumulator, item),
    merge: (left: unknown, right: unknown) => options.merge(left, right),
    ...(finish === undefined ? {} : { finish: (accumulator: unknown) => finish(accumulator) }),
  });
}

/** Whether a value is a reducer, defined with this or another copy of the package. */
export function isReducerDefinition(value: unknown): value is ReducerDefinition {
  return typeof value === "object" && value !== null && REDUCER_BRAND in value;
}

/** What travels of a `reduce`: each reducer of the user's own is left as its module and name. */
export function withoutCode(reduce: ReduceInput): ReduceInput {
  if (isReducerDefinition(reduce)) return { kind: "user", module: reduce.module, name: reduce.name };
  if (typeof reduce !== "object" || reduce === null || typeof reduce.kind === "string") return reduce;
  return Object.fromEntries(Object.entries(reduce).map(([name, part]) => [name, withoutCode(part)]));
}

/** The reducers of the user's own within a `reduce`. */
export function reducersIn(reduce: ReduceInput | undefined): readonly ReducerDefinition[] {
  if (isReducerDefinition(reduce)) return [reduce];
  if (typeof reduce !== "object" || reduce === null || typeof reduce.kind === "string") return [];
  return Object.values(reduce).flatMap(reducersIn);
}

/**
 * Everything that an aggregation needs of the user's code. What is at hand is used as it is: the
 * module that defined it may be the one that is waiting for the answer, and importing a module that
 * has not finished would wait for ever.
 */
export async function findReducers(spec: ReduceSpec, atHand: readonly ReducerDefinition[]): Promise<FindReducer> {
  const found = new Map<string, UserReducer>(atHand.map((reducer) => [keyOf(reducer), reducer]));
  for (const user of userSpecs(spec)) {
    if (!found.has(keyOf(user))) found.set(keyOf(user), await importReducer(user));
  }
  return (wanted) => {
    const reducer = found.get(keyOf(wanted));
    if (reducer === undefined)
      throw new HoldfastError("INTERNAL", { problem: `reducer ${wanted.name} was not loaded` });
    return reducer;
  };
}

function userSpecs(spec: ReduceSpec): readonly UserSpec[] {
  if (spec.kind === "user") return [spec];
  return spec.kind === "record" ? Object.values(spec.parts).flatMap(userSpecs) : [];
}

function keyOf(spec: UserSpec): string {
  return `${spec.module}#${spec.name}`;
}

async function importReducer(spec: UserSpec): Promise<UserReducer> {
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = (await import(spec.module)) as Readonly<Record<string, unknown>>;
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HoldfastError("MODULE_NOT_LOADED", { module: spec.module, problem }, { cause: thrown });
  }
  const reducers = Object.values(exported).filter(isReducerDefinition);
  const reducer = reducers.find(({ name }) => name === spec.name);
  if (reducer !== undefined) return reducer;
  throw new HoldfastError("INVALID_INPUT", {
    path: "reduce",
    problem: `${spec.module} exports no reducer named ${spec.name}; it exports ${reducers.map(({ name }) => name).join(", ") || "none"}`,
  });
}
