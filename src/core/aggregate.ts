/**
 * Aggregation: what is made of the results of a sweep.
 *
 * Each chunk is folded once, by the worker that ran it, into a partial (`encode`) that is committed
 * together with the chunk. Whoever wants the answer decodes the partials of the committed chunks and
 * merges them. A chunk whose worker died was never committed, so its items are counted once, by
 * whoever ran them in the end.
 *
 * Every built-in aggregation gives the same answer, bit for bit, however the items were cut into
 * chunks, in whatever order these came back, and however often a chunk was taken over: sums are
 * exact until one final rounding, quantiles depend on the multiset of values only, ties go to the
 * lower index.
 */
export {
  count,
  max,
  mean,
  min,
  quantiles,
  stats,
  stddev,
  sum,
  topK,
  toReduceSpec,
  variance,
  type ReduceInput,
  type ReduceResult,
  type TopOptions,
} from "./aggregate/build.ts";
export { compileAggregator, type FindReducer } from "./aggregate/compile.ts";
export {
  type Aggregator,
  type QuantilesResult,
  type QuantileValue,
  type Reduce,
  type ReducedItem,
  type ReduceSpec,
  type StatisticResult,
  type StatsResult,
  type TopEntry,
  type TopResult,
  type UserReducer,
  type UserSpec,
} from "./aggregate/spec.ts";
export { validateReduce } from "./aggregate/validate.ts";
