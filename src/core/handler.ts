/**
 * What the payload texts of a task mean to a runner. Brokers never read them; the SDK writes them
 * and the runner parses them.
 */
import type { ReduceSpec } from "./aggregate.ts";
import type { SpaceSpec } from "./space.ts";

/** `TaskGroup.handler`: call the task definition named `task` that `module` exports. */
export interface FunctionHandler {
  readonly kind: "function";
  /** File URL of an ES module (TypeScript or JavaScript). */
  readonly module: string;
  readonly task: string;
}

/**
 * `TaskGroup.handler` of a job that names what is to be done and not where its code is: a worker in
 * any language knows its types, and one of ours calls the task of that name in its module for jobs.
 */
export interface JobHandler {
  readonly kind: "job";
  readonly type: string;
  /** Its id among the jobs of one call. */
  readonly job: string;
}

/** Pool of jobs that name none. */
export const JOB_POOL = "jobs";

/** `ItemArray.source`: where the input of item i comes from, and what is made of the results. */
export interface ArraySource {
  readonly space: SpaceSpec;
  readonly reduce?: ReduceSpec;
}
