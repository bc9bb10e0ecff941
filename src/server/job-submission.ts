/** Jobs of a request as one submission: a task per job, in an order in which every parent comes first. */
import { DEFAULT_PARALLELISM, type JobBody } from "../api/operations/execute.ts";
import { DEFAULT_PRIORITY } from "../api/submission-body.ts";
import type { Submission, TaskGroup } from "../broker/contract.ts";
import { orderByKey, readGraph } from "../core/graph.ts";
import { DEFAULT_MAX_LOSSES, DEFAULT_RETRY, type RetryPolicy } from "../core/retry.ts";
import { InvalidRequest } from "./invalid-request.ts";
import type { JobsMeta } from "./jobs-meta.ts";
import { textOf } from "./json-text.ts";

export interface JobsRequest {
  readonly workflowId: string;
  readonly jobs: readonly JobBody[];
  readonly parallelism?: number;
  readonly key: string | undefined;
}

const METHOD = "executeJobs";
const PRESETS = { deployment: 8, validation: 7, training: 6 } as const;
/** Types whose jobs are as urgent as a preset. */
const TYPE_PRIORITIES: ReadonlyMap<string, number> = new Map([
  ["deployment", PRESETS.deployment],
  ["regression-gate", PRESETS.deployment],
  ["validation", PRESETS.validation],
  ["training", PRESETS.training],
  ["train", PRESETS.training],
]);
/** A job that needs more than this needs a worker with much memory. */
const HIGH_MEMORY_GB = 16;

export interface JobsSubmission {
  readonly submission: Submission;
  /** What the broker calls so, in the words of the request. */
  readonly rename: (path: string) => string;
}

/** Errors: INVALID_REQUEST with everything that is wrong with the graph. */
export function jobsSubmission(request: JobsRequest): JobsSubmission {
  const { workflowId, jobs, key, parallelism = DEFAULT_PARALLELISM } = request;
  const priorities = jobs.map(priorityOf);
  const order = orderOfJobs(jobs, priorities);
  const numbers = new Map(order.map((job, task) => [jobs[job]?.id ?? "", task]));
  const meta: JobsMeta = { kind: "jobs", workflowId, parallelism, jobCount: jobs.length };
  const submission: Submission = {
    ...(key === undefined ? {} : { key }),
    name: workflowId,
    kind: "workflow",
    priority: Math.max(...priorities),
    groups: order.map((at) => groupOf(jobs[at] as JobBody, { at, numbers, workflowId, priority: priorities[at] ?? 1 })),
    meta: JSON.stringify(meta),
    keepInputs: true,
  };
  return { submission, rename: (path) => inBody(path, order) };
}

/** Indexes of the jobs: every job after those that it depends on, the more urgent first. */
function orderOfJobs(jobs: readonly JobBody[], priorities: readonly number[]): readonly number[] {
  const nodes = jobs.map(({ id, dependsOn }) => ({ id, after: dependsOn }));
  const { graph, problems } = readGraph(nodes, { words: { one: "job", list: "jobs" }, allowRepeats: true });
  if (problems !== undefined) {
    throw new InvalidRequest(
      METHOD,
      problems.map(({ node, dependency, problem }) => ({
        path: dependency === undefined ? `body.jobs[${node}].id` : `body.jobs[${node}].dependsOn[${dependency}]`,
        problem,
      })),
    );
  }
  return [...orderByKey(graph, priorities)];
}

/** Groups are jobs in another order; the input of a job is made of its configuration. */
function inBody(path: string, order: readonly number[]): string {
  const found = /^submissions\[0\]\.groups\[(\d+)\]\.(\w+)/.exec(path);
  if (found === null) return /^(?:submissions|tasks)/.test(path) ? "body.jobs" : path;
  const [, group, field = ""] = found;
  return `body.jobs[${order[Number(group)] ?? 0}].${field === "work" ? "config" : field}`;
}

interface Place {
  readonly at: number;
  /** Task numbers by the ids of jobs. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly workflowId: string;
  readonly priority: number;
}

function groupOf(job: JobBody, { at, numbers, workflowId, priority }: Place): TaskGroup {
  const { id, type, config, resourceLimits, timeoutMs, pool } = job;
  const dependencies = [...new Set(job.dependsOn)].map((parent) => [parent, numbers.get(parent) ?? 0] as const);
  const input = {
    job: id,
    name: job.name ?? id,
    type,
    workflowId,
    config,
    priority,
    // Parents' results come by task number.
    dependencies: Object.fromEntries(dependencies),
    ...(resourceLimits === undefined ? {} : { resourceLimits }),
  };
  return {
    name: id,
    handler: JSON.stringify({ kind: "job", type, job: id }),
    pool,
    requires: requiresOf(job),
    retry: retryOf(job),
    maxLosses: DEFAULT_MAX_LOSSES,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(resourceLimits?.memoryLimitMb === undefined ? {} : { memoryLimitMb: resourceLimits.memoryLimitMb }),
    work: {
      kind: "tasks",
      inputs: [textOf({ method: METHOD, path: `body.jobs[${at}].config`, value: input })],
      after: [dependencies.map(([, task]) => task)],
    },
  };
}

/** What the configuration says wins over the job's field, and that over what its type suggests. */
function priorityOf({ type, priority, config }: JobBody): number {
  const configured = config["priority"];
  if (typeof configured === "number" && Number.isFinite(configured))
    return Math.min(10, Math.max(1, Math.round(configured)));
  if (typeof priority === "string") return PRESETS[priority];
  return priority ?? TYPE_PRIORITIES.get(type) ?? DEFAULT_PRIORITY;
}

function requiresOf({ requires, config, resourceLimits }: JobBody): string[] {
  const needsGpu = resourceLimits?.requireGpu === true || config["requireGpu"] === true;
  const memoryGB = Math.max(resourceLimits?.minMemoryGB ?? 0, numberOf(config["minMemoryGB"]));
  return [
    ...new Set([...requires, ...(needsGpu ? ["gpu"] : []), ...(memoryGB > HIGH_MEMORY_GB ? ["high-memory"] : [])]),
  ];
}

function retryOf({ retryConfig = {} }: JobBody): RetryPolicy {
  const baseMs = retryConfig.retryDelayMs ?? DEFAULT_RETRY.baseMs;
  return {
    ...DEFAULT_RETRY,
    limit: retryConfig.maxRetries ?? DEFAULT_RETRY.limit,
    baseMs,
    factor: retryConfig.backoffMultiplier ?? DEFAULT_RETRY.factor,
    // Whoever asks for a long delay means it.
    maxMs: Math.max(DEFAULT_RETRY.maxMs, baseMs),
  };
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
