/**
 * The package's entry: what a user's program imports.
 *
 * Workers' runners import it too, with every user module, so it must stay quick to load: what talks
 * to brokers is imported when `connect` is called.
 */
import type { ConnectOptions } from "./app/connect.ts";
import type { Client } from "./sdk/client.ts";

export { count, max, mean, min, quantiles, stats, stddev, sum, topK, variance } from "./core/aggregate.ts";
export type {
  QuantilesResult,
  QuantileValue,
  Reduce,
  ReducedItem,
  ReduceInput,
  ReduceResult,
  StatisticResult,
  StatsResult,
  TopEntry,
  TopOptions,
  TopResult,
} from "./core/aggregate.ts";
export type { Failure, FailureClass } from "./core/failure.ts";
export {
  choice,
  grid,
  integer,
  latinHypercube,
  linspace,
  list,
  logspace,
  logUniform,
  normal,
  random,
  range,
  uniform,
  zip,
} from "./core/space.ts";
export type { PointOf, SeedOptions, Space } from "./core/space.ts";
export { type ErrorCode, HoldfastError } from "./errors/index.ts";
export { batch, type BatchOptions } from "./sdk/batch.ts";
export type { Client, ListOptions } from "./sdk/client.ts";
export type { Definition, ExecutionOptions } from "./sdk/definition.ts";
export type { EditChanges, SignalReply } from "./broker/contract.ts";
export type { EditOptions, ExecutionEdit } from "./sdk/edit.ts";
export type {
  AggregateOptions,
  EventsOptions,
  Execution,
  FailedItems,
  NodesOptions,
  ProgressOptions,
  ResultsOptions,
  WaitOptions,
} from "./sdk/execution.ts";
export { csvFile, jsonlFile, type ParameterFile } from "./sdk/parameter-file.ts";
export type { ExecutionStatus, Progress } from "./sdk/progress.ts";
export { defineReducer, type ReducerDefinition, type ReducerOptions } from "./sdk/reducer.ts";
export type { Result } from "./sdk/results.ts";
export type {
  CheckpointOptions,
  HeldLock,
  LockOptions,
  SetOptions,
  SharedState,
  StoredValue,
} from "./sdk/shared-state.ts";
export type { StandardSchema } from "./sdk/standard-schema.ts";
export { type ChunkOption, sweep, type SweepOptions, type VerifyOptions } from "./sdk/sweep.ts";
export {
  defineTask,
  type Priority,
  type RetryOptions,
  type TaskContext,
  type TaskDefinition,
  type TaskOptions,
} from "./sdk/task.ts";
export {
  defineWorkflow,
  type SubmitOptions,
  type WorkflowBuilder,
  type WorkflowDefinition,
  type WorkflowOptions,
} from "./sdk/workflow.ts";
export type { WorkflowEdit } from "./sdk/workflow/edit.ts";
export type { WorkflowEditor } from "./sdk/workflow/edit-builder.ts";
export type { LiveGraph } from "./sdk/workflow/live-graph.ts";
export type { LiveNode, RemainingPlan } from "./sdk/workflow/remaining.ts";
export type { Approval } from "./sdk/workflow/node.ts";
export type { NodeStatus } from "./sdk/workflow/nodes.ts";
export type { CommandOptions, MapOptions, NodeOptions, RunOptions, SignalOptions } from "./sdk/workflow/options.ts";
export type { NodeHandle, NodeRef, Reference, ValueRef } from "./sdk/workflow/reference.ts";
export type { ConditionCode, ConditionFacts } from "./sdk/workflow/spec.ts";
export type { Duration, Size } from "./util/units.ts";
export type { ConnectOptions };

/**
 * Connects to a broker: the folder `./.holdfast` (or what HOLDFAST_BROKER or REDIS_URL says), another
 * folder, `sqlite:FILE`, a server at `http://…` or `https://…` (or several, with commas between them),
 * or a Redis at `redis://…`.
 *
 * With a folder or a file that nobody owns, this process becomes its owner and serves it to the
 * others; when the owner dies, one of the others takes over. Close the client when done: an open one
 * keeps the process alive.
 *
 * @throws HoldfastError INVALID_BROKER_URL, INVALID_SETTING, BROKER_UNREACHABLE, UNAUTHORIZED, STORE_TOO_NEW,
 * STORE_CORRUPT.
 * @example await using client = await connect();
 */
export async function connect(address?: string, options?: ConnectOptions): Promise<Client> {
  const { connect: open } = await import("./app/connect.ts");
  return open(address, options);
}
