/**
 * Sweeps: one task over every point of a parameter space.
 */
import type { ItemArray, VerifyPlan } from "../broker/contract.ts";
import { MAX_CHUNK_ITEMS } from "../broker/limits.ts";
import { type ReduceInput, type ReduceResult, toReduceSpec } from "../core/aggregate.ts";
import type { ChunkPlan } from "../core/chunking.ts";
import type { ArraySource } from "../core/handler.ts";
import { type PointOf, type Space, type SpaceSpec, validateSpace } from "../core/space.ts";
import { HoldfastError } from "../errors/index.ts";
import { type Duration, parseDurationMs } from "../util/units.ts";
import { checkPoints } from "./check-points.ts";
import {
  type Definition,
  DEFINITION_BRAND,
  executionFields,
  type ExecutionOptions,
  type ExecutionReader,
  groupFields,
  needsOf,
  payloadText,
  type Prepared,
} from "./definition.ts";
import { writeNotes } from "./notes.ts";
import { isParameterFile, type ParameterFile } from "./parameter-file.ts";
import { openSpace } from "./points.ts";
import { reducersIn, withoutCode } from "./reducer.ts";
import type { StandardSchema } from "./standard-schema.ts";
import type { TaskDefinition } from "./task.ts";

/** A number of points; or an amount of work to aim for, such as "1s". */
export type ChunkOption =
  | number
  | `${number}${"ms" | "s" | "m"}`
  | { readonly target?: Duration; readonly min?: number; readonly max?: number };

export interface VerifyOptions {
  /** Share of the chunks that is computed again on another worker, 0…1. Default 0.1. The first chunk is always among them. */
  readonly sample?: number;
  /** How often each of them is computed, the first time included. Default 2. */
  readonly replicas?: number;
  /** Numbers may differ by this share of the larger one. Default 0: bit for bit. */
  readonly tolerance?: number;
  /** Chooses the sample. Default 0. */
  readonly seed?: number;
}

export interface SweepOptions<Over, Reduce> extends ExecutionOptions {
  /** The points: `grid(…)`, `range(…)`, `random(…)`, `csvFile(…)` … */
  readonly over: Over;
  /** Points that a worker takes at a time. Default: about one second of work. */
  readonly chunk?: ChunkOption;
  /** What is made of all results: `topK("accuracy", 10)`, or several by name: `{ best: topK("loss", 1), loss: stats("loss") }`. */
  readonly reduce?: Reduce;
  /** Computes a sample twice, on different workers, and tells who disagrees. */
  readonly verify?: VerifyOptions;
  /** `discard` keeps only the aggregate, so that a huge sweep needs no room per point. Default `keep`. */
  readonly results?: "keep" | "discard";
}

/** The type of the points that a sweep over `Over` hands back. */
export type SweepPoint<Over, Input> = Over extends ParameterFile
  ? Input
  : unknown extends PointOf<Over>
    ? Input
    : PointOf<Over>;

const DEFAULT_TARGET_MS = 1_000;
const DEFAULT_SAMPLE = 0.1;
/** A chunk's results are stored as one: this many leave each room for more than a thousand characters. */
const MAX_KEPT_ITEMS = 10_000;

/**
 * A sweep of `task` over a parameter space. Point i is computed from i where it is needed, so 10⁹
 * points cost no more to submit than 10.
 *
 * @example
 * const best = sweep(crossValidate, {
 *   over: grid({ k: range(1, 51), distance: ["euclidean", "manhattan"] }),
 *   reduce: topK("accuracy", 10),
 *   verify: { sample: 0.01 },
 * });
 * const execution = await client.submit(best);
 */
export function sweep<
  Input,
  Parsed,
  Output,
  const Over extends Space<Input> | ParameterFile,
  const Reduce extends ReduceInput = never,
>(
  task: TaskDefinition<Input, Parsed, Output>,
  options: SweepOptions<Over, Reduce>,
): Definition<SweepPoint<Over, Input>, Output, ReduceResult<Reduce>> {
  const untyped: SweepOptions<SpaceSpec | ParameterFile, ReduceInput> = options;
  const reduce = untyped.reduce === undefined ? undefined : toReduceSpec(withoutCode(untyped.reduce));
  const reducers = reducersIn(untyped.reduce);
  return Object.freeze({
    [DEFINITION_BRAND]: true as const,
    kind: "sweep" as const,
    name: untyped.name ?? task.name,
    needs: [needsOf(untyped, task)],
    prepare: () => prepareSweep(task, untyped, { reduce, reducers }),
    reader: () => ({ reducers }),
  });
}

type ReaderParts = Pick<ExecutionReader, "reduce" | "reducers">;

async function prepareSweep(
  task: TaskDefinition,
  options: SweepOptions<SpaceSpec | ParameterFile, ReduceInput>,
  parts: ReaderParts,
): Promise<Prepared> {
  const spec = await toSpec(options.over);
  const group = groupFields(options, task);
  const results = options.results ?? "keep";
  if (results === "discard" && parts.reduce === undefined) {
    throw new HoldfastError("INVALID_OPTION", {
      option: "results",
      value: '"discard"',
      expected: '"keep", or a `reduce` that says what is made of them',
    });
  }
  const source: ArraySource = { space: spec, ...(parts.reduce === undefined ? {} : { reduce: parts.reduce }) };
  const work: ItemArray = {
    kind: "array",
    length: await checkedLength(spec, task.input),
    chunk: toChunkPlan(options.chunk, results),
    source: payloadText(source, "over"),
    results,
  };
  const notes = {
    task: { module: task.module ?? "", name: task.name },
    space: spec,
    ...(parts.reduce === undefined ? {} : { reduce: parts.reduce }),
  };
  return {
    submission: {
      kind: "sweep",
      ...executionFields(options, task),
      groups: [{ ...group, work }],
      ...(options.verify === undefined ? {} : { verify: toVerifyPlan(options.verify, results) }),
      meta: writeNotes(notes),
    },
    rest: [],
    reader: { openPoints: () => openSpace(spec), ...parts },
  };
}

async function toSpec(over: SpaceSpec | ParameterFile): Promise<SpaceSpec> {
  if (!isParameterFile(over)) return validateSpace(over);
  const { scanRowFile } = await import("../util/row-file.ts");
  return { kind: "file", ...(await scanRowFile(over.path, { format: over.format })) };
}

/** @returns the number of points, all of which the task's schema accepts as far as it was asked. */
async function checkedLength(spec: SpaceSpec, schema: StandardSchema | undefined): Promise<number> {
  const space = await openSpace(spec);
  try {
    if (schema !== undefined) await checkPoints({ schema, spec, space });
    return space.length;
  } finally {
    space.close();
  }
}

/** @throws HoldfastError INVALID_OPTION */
function toChunkPlan(chunk: ChunkOption | undefined, results: "keep" | "discard"): ChunkPlan {
  if (typeof chunk === "number") return { kind: "fixed", size: items(chunk, "chunk") };
  const { target = DEFAULT_TARGET_MS, min = 1, max } = typeof chunk === "string" ? { target: chunk } : (chunk ?? {});
  const targetMs = parseDurationMs(target, "chunk.target");
  if (targetMs === 0)
    throw new HoldfastError("INVALID_OPTION", { option: "chunk.target", value: 0, expected: "more than 0" });
  const least = items(min, "chunk.min");
  const most =
    max === undefined
      ? Math.max(least, results === "keep" ? MAX_KEPT_ITEMS : MAX_CHUNK_ITEMS)
      : items(max, "chunk.max");
  if (most < least)
    throw new HoldfastError("INVALID_OPTION", {
      option: "chunk.max",
      value: most,
      expected: `at least chunk.min (${least})`,
    });
  return { kind: "adaptive", targetMs, min: least, max: most };
}

function items(value: number, option: string): number {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_CHUNK_ITEMS) return value;
  throw new HoldfastError("INVALID_OPTION", {
    option,
    value: String(value),
    expected: `a whole number of points, 1 to ${MAX_CHUNK_ITEMS}`,
  });
}

function toVerifyPlan(verify: VerifyOptions, results: "keep" | "discard"): VerifyPlan {
  const { sample = DEFAULT_SAMPLE, replicas = 2, tolerance = 0, seed = 0 } = verify;
  const refuse = (field: string, value: unknown, expected: string): never => {
    throw new HoldfastError("INVALID_OPTION", { option: `verify${field}`, value: String(value), expected });
  };
  if (results === "discard") refuse("", "set", '`results: "keep"`: what is discarded cannot be compared');
  if (!(sample >= 0 && sample <= 1)) refuse(".sample", sample, "a share of the chunks, 0 to 1");
  if (!(Number.isInteger(replicas) && replicas >= 2 && replicas <= 100))
    refuse(".replicas", replicas, "a whole number, 2 to 100");
  if (!(tolerance >= 0 && tolerance < 1)) refuse(".tolerance", tolerance, "a share, 0 up to 1");
  if (!(Number.isSafeInteger(seed) && seed >= 0)) refuse(".seed", seed, "a whole number, 0 or more");
  return { sample, replicas, tolerance, seed };
}
