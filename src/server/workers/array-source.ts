/**
 * Ranges of arrays for workers that cannot compute points or aggregate: the server computes the
 * inputs of a range before, and folds its results after.
 *
 * It reads no files and loads no modules for that: both are named by whoever submitted, and belong to
 * the machines of workers.
 */
import { compileAggregator, type Aggregator, validateReduce } from "../../core/aggregate.ts";
import { compileSpace, type CompiledSpace, validateSpace } from "../../core/space.ts";
import { HoldfastError } from "../../errors/index.ts";

export interface ReadSource {
  /** Absent where the source describes no space that the server can compute. */
  readonly space?: CompiledSpace;
  /** Absent where nothing is aggregated, or the server cannot do it. */
  readonly aggregator?: Aggregator;
  /** The array's results are aggregated. */
  readonly aggregates: boolean;
  /** Why the server cannot compute the inputs of a space, or not aggregate, in a sentence. */
  readonly problem?: string;
}

/** Sources that are kept read: a list space of a megabyte is not read again for each of its ranges. */
const MAX_KEPT_SOURCES = 16;

export class ArraySources {
  readonly #kept = new Map<string, ReadSource>();

  /** Never throws: a source that is none of ours is passed on as it is. */
  read(source: string): ReadSource {
    const kept = this.#kept.get(source);
    if (kept !== undefined) return kept;
    const read = readSource(source);
    if (this.#kept.size >= MAX_KEPT_SOURCES) {
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest);
        break;
      }
    }
    this.#kept.set(source, read);
    return read;
  }
}

function readSource(text: string): ReadSource {
  const source = parsed(text);
  if (typeof source !== "object" || source === null) return { aggregates: false };
  const { space, reduce } = source as { readonly space?: unknown; readonly reduce?: unknown };
  const aggregates = reduce !== undefined;
  const points = readSpace(space);
  const fold = aggregates ? readReduce(reduce) : {};
  return { aggregates, ...points, ...fold };
}

function readSpace(space: unknown): Pick<ReadSource, "space" | "problem"> {
  if (typeof space !== "object" || space === null) return {};
  try {
    return { space: compileSpace(validateSpace(space), refuseFile) };
  } catch (thrown) {
    return { problem: `The inputs cannot be computed by the server: ${HoldfastError.from(thrown).message}` };
  }
}

function refuseFile(): never {
  throw new HoldfastError("INVALID_SPACE", {
    path: "over",
    problem: "it reads a parameter file, which only a worker beside that file can",
  });
}

function readReduce(reduce: unknown): Pick<ReadSource, "aggregator" | "problem"> {
  try {
    const spec = validateReduce(reduce);
    return { aggregator: compileAggregator(spec, refuseReducer) };
  } catch (thrown) {
    return { problem: `The results cannot be aggregated by the server: ${HoldfastError.from(thrown).message}` };
  }
}

function refuseReducer(): never {
  throw new HoldfastError("INVALID_INPUT", {
    path: "reduce",
    problem: "it names a reducer of a module, which only a worker with that module can run",
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export interface Range {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** The JSON text of the range's inputs; undefined when it would be longer than `room`, UTF-16 code units. */
export function inputsText(space: CompiledSpace, { start, end }: Range, room: number): string | undefined {
  let text = "[";
  for (let item = start; item < end; item += 1) {
    text += (item === start ? "" : ",") + JSON.stringify(space.at(item));
    if (text.length >= room) return undefined;
  }
  return `${text}]`;
}

/** The range's aggregate, as a runner would have made it of the items that succeeded. */
export function partialOf(
  { aggregator, space }: Required<Pick<ReadSource, "aggregator" | "space">>,
  {
    start,
    values,
    failed,
  }: { readonly start: number; readonly values: readonly unknown[]; readonly failed: ReadonlySet<number> },
): string {
  const accumulator = aggregator.empty();
  values.forEach((value, at) => {
    const index = start + at;
    if (!failed.has(index)) aggregator.add(accumulator, { index, point: space.at(index), value });
  });
  return aggregator.encode(accumulator);
}
