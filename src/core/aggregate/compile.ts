/** From a description to something that can fold. */
import { HoldfastError } from "../../errors/index.ts";
import { numberFold } from "./number-fold.ts";
import { countFold, recordFold, userFold } from "./other-folds.ts";
import type { Aggregator, Fold, ReduceSpec, UserReducer, UserSpec } from "./spec.ts";
import { topFold } from "./top-fold.ts";

/** Finds the reducer that a `user` part names. */
export type FindReducer = (spec: UserSpec) => UserReducer;

/**
 * Prepares an aggregation. `user` is needed where the description names a user's reducer: the
 * reducer itself, or a function that finds it when there may be several.
 *
 * @throws HoldfastError INTERNAL when `user` is missing but needed.
 */
export function compileAggregator(spec: ReduceSpec, user?: UserReducer | FindReducer): Aggregator {
  const find: FindReducer = typeof user === "function" ? user : (named) => user ?? refuse(named);
  const fold = compileFold(spec, find);
  return {
    empty: () => fold.empty(),
    add: (accumulator, item) => fold.add(accumulator, item),
    merge: (into, other) => fold.merge(into, other),
    finish: (accumulator) => fold.finish(accumulator),
    encode: (accumulator) => JSON.stringify(fold.toJson(accumulator)),
    decode: (text) => decode(fold, text),
  };
}

function compileFold(spec: ReduceSpec, find: FindReducer): Fold {
  switch (spec.kind) {
    case "count":
      return countFold();
    case "top-k":
      return topFold(spec);
    case "record":
      return recordFold(Object.entries(spec.parts).map(([name, part]) => ({ name, fold: compileFold(part, find) })));
    case "user":
      return userFold(find(spec));
    case "sum":
    case "mean":
    case "min":
    case "max":
    case "variance":
    case "stddev":
    case "quantiles":
    case "stats":
      return numberFold(spec);
  }
}

function decode(fold: Fold, text: string): unknown {
  try {
    return fold.fromJson(JSON.parse(text));
  } catch (thrown) {
    throw new HoldfastError("INTERNAL", { problem: "a chunk's partial aggregate cannot be read" }, { cause: thrown });
  }
}

function refuse(spec: UserSpec): never {
  throw new HoldfastError("INTERNAL", { problem: `the reducer ${spec.name} of ${spec.module} was not loaded` });
}
