/** Bounds and references of submitted tasks (promise 9). Every broker checks with these before it stores anything. */
import type { ChunkPlan } from "../core/chunking.ts";
import { HoldfastError } from "../errors/index.ts";
import {
  ALL_POOLS,
  type ExtendParams,
  type Submission,
  type SubmitParams,
  type TaskGroup,
  type TaskList,
} from "./contract.ts";
import {
  MAX_ARRAY_LENGTH,
  MAX_CHUNK_ITEMS,
  MAX_PAYLOAD,
  MAX_SUBMISSIONS_PER_CALL,
  MAX_TASKS_PER_CALL,
  MAX_TASKS_PER_EXECUTION,
} from "./limits.ts";

/** Errors: BATCH_TOO_LARGE, PAYLOAD_TOO_LARGE, INVALID_REQUEST. */
export function checkSubmissions({ submissions }: SubmitParams): void {
  checkCount("submissions", submissions.length, MAX_SUBMISSIONS_PER_CALL);
  let tasks = 0;
  submissions.forEach((submission, index) => {
    const path = `submissions[${index}]`;
    checkHead(submission, path);
    tasks += checkGroups(submission.groups, 0, path);
    if (submission.open !== true && submission.groups.length === 0)
      refuse(`${path}.groups`, "is empty, and the execution is not open");
  });
  checkCount("tasks", tasks, MAX_TASKS_PER_CALL);
}

/** `first`: number of the first task of this part. */
export function checkExtension(params: ExtendParams, first: number): void {
  checkCount("tasks", checkGroups(params.groups, first, "extend"), MAX_TASKS_PER_CALL);
}

/**
 * Groups that a task adds as it suspends itself; the number of their tasks. Their `after` counts from
 * the first of them.
 */
export function checkSuspension(groups: readonly TaskGroup[], path: string): number {
  const count = checkAddition(groups, 0, path);
  checkCount("tasks", count, MAX_TASKS_PER_CALL);
  groups.forEach(({ when }, index) => {
    if (when === "failed") refuse(`${path}.groups[${index}].when`, "is failed; a task waits for what it adds");
  });
  return count;
}

/** Groups that are added by an edit; the number of their tasks. `first`: number of the first of them. */
export function checkAddition(groups: readonly TaskGroup[], first: number, path: string): number {
  if (groups.length === 0) refuse(`${path}.groups`, "is empty");
  groups.forEach(({ work }, index) => {
    if (work.kind === "array") refuse(`${path}.groups[${index}].work.kind`, "is array; an edit adds separate tasks");
  });
  return checkGroups(groups, first, path);
}

function checkHead(submission: Submission, path: string): void {
  const { priority, verify, meta, maxFailures, groups } = submission;
  if (!Number.isInteger(priority) || priority < 1 || priority > 10) refuse(`${path}.priority`, "must be 1 to 10");
  if (verify !== undefined && (verify.replicas < 2 || verify.sample < 0 || verify.sample > 1 || verify.tolerance < 0)) {
    refuse(`${path}.verify`, "needs 2 or more replicas, a sample of 0 to 1 and a tolerance of 0 or more");
  }
  if (maxFailures !== undefined) checkWhole(`${path}.maxFailures`, maxFailures, 0);
  if (meta !== undefined) checkPayload(`${path}.meta`, meta);
  if (maxFailures !== undefined && groups.some(({ when }) => when === "failed"))
    refuse(`${path}.maxFailures`, "cannot go with tasks that start when the execution has failed");
}

/** Number of tasks in the groups. */
function checkGroups(groups: readonly TaskGroup[], first: number, path: string): number {
  let next = first;
  groups.forEach((group, index) => {
    next += checkGroup(group, next, `${path}.groups[${index}]`);
  });
  checkNothingAfter(rescuesIn(groups, first), groups, path);
  if (next > MAX_TASKS_PER_EXECUTION) {
    throw new HoldfastError("BATCH_TOO_LARGE", {
      what: "An execution's tasks (use a sweep)",
      count: next,
      limit: MAX_TASKS_PER_EXECUTION,
    });
  }
  return next - first;
}

/** Numbers of the tasks of a group. */
interface Span {
  readonly first: number;
  readonly count: number;
}

/** Groups that are added to an execution that is there, and what it has of tasks that start when the rest has failed. */
interface WithRescues {
  readonly rescues: readonly Span[];
  readonly maxFailures: number | undefined;
  readonly groups: readonly TaskGroup[];
  readonly method: string;
}

/** Errors: INVALID_REQUEST. */
export function checkRescues({ rescues, maxFailures, groups, method }: WithRescues): void {
  if (maxFailures !== undefined && groups.some(({ when }) => when === "failed"))
    refuse(`${method}.groups`, "start when the execution has failed, which cannot go with its maxFailures");
  checkNothingAfter(rescues, groups, method);
}

function rescuesIn(groups: readonly TaskGroup[], first: number): Span[] {
  let next = first;
  return groups.flatMap(({ when, work }) => {
    const span = { first: next, count: work.kind === "array" ? 1 : work.inputs.length };
    next += span.count;
    return when === "failed" ? [span] : [];
  });
}

/** What waits for a task that waits for all others would never start. */
function checkNothingAfter(rescues: readonly Span[], groups: readonly TaskGroup[], path: string): void {
  if (rescues.length === 0) return;
  groups.forEach(({ work }, index) => {
    if (work.kind === "array") return;
    for (const parents of work.after ?? []) {
      const parent = parents.find((task) => rescues.some(({ first, count }) => task >= first && task < first + count));
      if (parent !== undefined)
        refuse(`${path}.groups[${index}].work.after`, `names task ${parent}, which starts when all others have ended`);
    }
  });
}

function checkGroup(group: TaskGroup, first: number, path: string): number {
  const { work } = group;
  checkPayload(`${path}.handler`, group.handler);
  checkPolicies(group, path);
  if (work.kind === "array") {
    for (const field of ["onFailure", "when"] as const)
      if (group[field] !== undefined) refuse(`${path}.${field}`, "is given for an array; it is for separate tasks");
    checkChunk(work.chunk, `${path}.work.chunk`);
    if (!Number.isSafeInteger(work.length) || work.length < 1 || work.length > MAX_ARRAY_LENGTH) {
      refuse(`${path}.work.length`, `must be a whole number from 1 to ${MAX_ARRAY_LENGTH}`);
    }
    checkPayload(`${path}.work.source`, work.source);
    return 1;
  }
  if (work.inputs.length === 0) refuse(`${path}.work.inputs`, "is empty");
  for (const [index, input] of work.inputs.entries()) {
    if (input.length > MAX_PAYLOAD) checkPayload(`${path}.work.inputs[${index}]`, input);
  }
  checkParents(work.after, { first, count: work.inputs.length, path: `${path}.work.after` });
  checkPerTask(work, `${path}.work`);
  return work.inputs.length;
}

function checkPerTask({ inputs, labels, ranks }: TaskList, path: string): void {
  for (const [name, list] of Object.entries({ labels, ranks })) {
    if (list !== undefined && list.length !== inputs.length)
      refuse(`${path}.${name}`, `has ${list.length} entries, but there are ${inputs.length} tasks`);
  }
  const wrong = ranks?.findIndex((rank) => !(rank >= 0 && rank <= Number.MAX_SAFE_INTEGER)) ?? -1;
  if (wrong >= 0) refuse(`${path}.ranks[${wrong}]`, `is ${ranks?.[wrong]}; expected a number from 0`);
}

function checkPolicies(group: TaskGroup, path: string): void {
  if (group.pool === "") refuse(`${path}.pool`, "is empty");
  if (group.pool === ALL_POOLS) refuse(`${path}.pool`, `is "${ALL_POOLS}", the name for all pools`);
  checkWhole(`${path}.maxLosses`, group.maxLosses, 1);
  checkWhole(`${path}.retry.limit`, group.retry.limit, 0);
  if (group.timeoutMs !== undefined) checkWhole(`${path}.timeoutMs`, group.timeoutMs, 1);
  if (group.memoryLimitMb !== undefined) checkWhole(`${path}.memoryLimitMb`, group.memoryLimitMb, 1);
  if (group.delayMs !== undefined) checkWhole(`${path}.delayMs`, group.delayMs, 0);
}

function checkChunk(chunk: ChunkPlan, path: string): void {
  const sizes = chunk.kind === "fixed" ? [chunk.size] : [chunk.min, chunk.max];
  for (const size of sizes) {
    checkWhole(path, size, 1);
    if (size > MAX_CHUNK_ITEMS) refuse(path, `asks for ${size} items; the limit is ${MAX_CHUNK_ITEMS}`);
  }
  if (chunk.kind === "adaptive" && chunk.min > chunk.max) refuse(`${path}.min`, `is above max (${chunk.max})`);
}

function checkParents(
  after: readonly (readonly number[])[] | undefined,
  tasks: { first: number; count: number; path: string },
): void {
  if (after === undefined) return;
  if (after.length !== tasks.count)
    refuse(tasks.path, `names parents of ${after.length} tasks, but there are ${tasks.count}`);
  after.forEach((parents, index) => {
    for (const parent of parents) {
      if (!Number.isInteger(parent) || parent < 0 || parent >= tasks.first + index) {
        refuse(
          `${tasks.path}[${index}]`,
          `names task ${parent}; parents must have a lower number than their child (${tasks.first + index})`,
        );
      }
    }
  });
}

function checkWhole(path: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) refuse(path, `is ${value}; expected a whole number from ${least}`);
}

function checkPayload(what: string, text: string): void {
  if (text.length > MAX_PAYLOAD)
    throw new HoldfastError("PAYLOAD_TOO_LARGE", { what, bytes: text.length, limit: MAX_PAYLOAD });
}

function checkCount(what: string, count: number, limit: number): void {
  if (count > limit) throw new HoldfastError("BATCH_TOO_LARGE", { what, count, limit });
}

function refuse(path: string, problem: string): never {
  throw new HoldfastError("INVALID_REQUEST", { method: "submit", path, problem });
}
