/**
 * What a broker may be asked: one strict schema per method of the contract, and `parseParams`.
 *
 * A host parses whatever comes over its wire here, so that a broker only ever sees params of the
 * contract's types and within its bounds (promise 9). The compiler checks each schema against the
 * contract's type, key by key. Rules that tie fields together or to the state of an
 * execution (parents before children, tasks of a call in sum) are the broker's own, whoever calls it.
 */
import * as z from "zod";
import { HoldfastError } from "../errors/index.ts";
import { type Broker, type BrokerMethod, FROM_NOW } from "./contract.ts";
import { isPlainCommit } from "./plain-commit.ts";
import {
  MAX_BATCH,
  MAX_HELD,
  MAX_PAGE,
  MAX_POOL_WORKERS,
  MAX_SUBMISSIONS_PER_CALL,
  MAX_TASKS_PER_CALL,
  MAX_TASKS_PER_EXECUTION,
  MAX_WAIT_MS,
} from "./limits.ts";
import { executionStateSchema, leaseRefSchema, outcomeSchema, taskStateSchema } from "./schemas-working.ts";
import { boundedArray, identifier, integer, itemIndex, MAX_MESSAGE, name, raise, strict } from "./schema-parts.ts";
import { editSchema } from "./schemas-editing.ts";
import { STATE_SCHEMAS } from "./schemas-state.ts";
import { executionKindSchema, payload, submissionSchema, taskGroupSchema } from "./schemas-submitting.ts";

/** Params of a method; `undefined` for a method without. */
export type ParamsOf<M extends BrokerMethod> = Parameters<Broker[M]>[0];

/** Most entries of one duty call. */
const MAX_DUTY_ENTRIES = 100_000;
/** Longest leader lease, milliseconds. */
const MAX_LEAD_MS = 3_600_000;
const MAX_CAPABILITIES = 64;
const MAX_POOLS_PER_WORKER = 64;
const MAX_SLOTS = 10_000;
/** UTF-16 code units of what a worker says about its machine. */
const MAX_PROFILE_META = 4_096;

const count = integer(0, Number.MAX_SAFE_INTEGER);
const pageLimit = integer(1, MAX_PAGE);
const waitMs = z.number().min(0).max(MAX_WAIT_MS);
const taskNumber = integer(0, MAX_TASKS_PER_EXECUTION);
const steer = strict<ParamsOf<"pause">>()({ executionId: identifier, by: z.exactOptional(name) });
const steerPool = strict<ParamsOf<"pausePool">>()({ pool: name, by: z.exactOptional(name) });
const letters = strict<ParamsOf<"retry">>()({
  executionId: identifier,
  letters: z.exactOptional(
    boundedArray(
      z.strictObject({ task: integer(0, MAX_TASKS_PER_EXECUTION), start: z.exactOptional(itemIndex) }),
      MAX_PAGE,
    ),
  ),
});
const duty = strict<ParamsOf<"purge">>()({ limit: integer(1, MAX_DUTY_ENTRIES) });
const claimRequest = { max: integer(0, MAX_BATCH), waitMs };

const submit = strict<ParamsOf<"submit">>()({
  submissions: boundedArray(submissionSchema, MAX_SUBMISSIONS_PER_CALL),
});

const extend = strict<ParamsOf<"extend">>()({
  executionId: identifier,
  part: integer(1, Number.MAX_SAFE_INTEGER),
  groups: boundedArray(taskGroupSchema, MAX_TASKS_PER_CALL),
  seal: z.boolean(),
});

const workerProfile = strict<ParamsOf<"openSession">>()({
  worker: name,
  host: name,
  pid: count,
  pools: boundedArray(name, MAX_POOLS_PER_WORKER),
  capabilities: boundedArray(name, MAX_CAPABILITIES),
  slots: integer(1, MAX_SLOTS),
  meta: z.exactOptional(z.string().max(MAX_PROFILE_META)),
  hosted: z.exactOptional(z.boolean()),
});

const verdict = strict<ParamsOf<"judgeVerifications">["verdicts"][number]>()({
  executionId: identifier,
  task: taskNumber,
  start: itemIndex,
  disagreement: z.exactOptional(z.strictObject({ item: itemIndex, workers: boundedArray(name, MAX_BATCH) })),
});

/** One schema per method: exactly the params that the contract names, within their bounds. */
export const PARAM_SCHEMAS: { readonly [M in BrokerMethod]: z.ZodType<ParamsOf<M>> } = {
  submit,
  extend,
  pause: steer,
  resume: steer,
  cancel: strict<ParamsOf<"cancel">>()({
    executionId: identifier,
    reason: z.exactOptional(z.string().max(MAX_MESSAGE)),
  }),
  pausePool: steerPool,
  resumePool: steerPool,
  limitPool: strict<ParamsOf<"limitPool">>()({
    pool: name,
    min: integer(0, MAX_POOL_WORKERS),
    max: z.exactOptional(integer(0, MAX_POOL_WORKERS)),
  }),
  signal: strict<ParamsOf<"signal">>()({ executionId: identifier, signal: name, payload }),
  retry: letters,
  discard: letters,
  rerun: strict<ParamsOf<"rerun">>()({ executionId: identifier, task: taskNumber }),
  editExecution: editSchema,

  openSession: workerProfile,
  heartbeat: strict<ParamsOf<"heartbeat">>()({ session: identifier, running: count }),
  claim: strict<ParamsOf<"claim">>()({ session: identifier, ...claimRequest }),
  commit: strict<ParamsOf<"commit">>()({
    session: identifier,
    outcomes: boundedArray(outcomeSchema, MAX_BATCH),
    claim: z.exactOptional(z.strictObject(claimRequest)),
    isSign: z.exactOptional(z.boolean()),
  }),
  reconcile: strict<ParamsOf<"reconcile">>()({ session: identifier, held: boundedArray(leaseRefSchema, MAX_HELD) }),
  closeSession: strict<ParamsOf<"closeSession">>()({
    session: identifier,
    reason: z.enum(["left", "lost"]),
    silentForMs: z.exactOptional(z.number().min(0)),
  }),
  drainSession: strict<ParamsOf<"drainSession">>()({ session: identifier }),

  getExecution: strict<ParamsOf<"getExecution">>()({ executionId: identifier, waitMs: z.exactOptional(waitMs) }),
  listExecutions: strict<ParamsOf<"listExecutions">>()({
    states: z.exactOptional(boundedArray(executionStateSchema, MAX_PAGE)),
    kinds: z.exactOptional(boundedArray(executionKindSchema, MAX_PAGE)),
    name: z.exactOptional(z.string().max(MAX_MESSAGE)),
    order: z.exactOptional(z.enum(["newest", "oldest"])),
    idPrefix: z.exactOptional(z.string().max(MAX_MESSAGE)),
    limit: pageLimit,
    after: z.exactOptional(identifier),
  }),
  listTasks: strict<ParamsOf<"listTasks">>()({
    executionId: identifier,
    states: z.exactOptional(boundedArray(taskStateSchema, MAX_PAGE)),
    limit: pageLimit,
    after: z.exactOptional(integer(-1, MAX_TASKS_PER_EXECUTION)),
    children: z.exactOptional(z.boolean()),
  }),
  listDeadLetters: strict<ParamsOf<"listDeadLetters">>()({
    executionId: z.exactOptional(identifier),
    inputs: z.exactOptional(z.boolean()),
    limit: pageLimit,
    after: z.exactOptional(identifier),
  }),
  listAttempts: strict<ParamsOf<"listAttempts">>()({
    executionId: identifier,
    task: z.exactOptional(taskNumber),
    limit: pageLimit,
  }),
  readResults: strict<ParamsOf<"readResults">>()({
    executionId: identifier,
    cursor: z.exactOptional(count),
    limit: pageLimit,
    waitMs: z.exactOptional(waitMs),
    partialsOnly: z.exactOptional(z.boolean()),
  }),
  readEvents: strict<ParamsOf<"readEvents">>()({
    cursor: integer(FROM_NOW, Number.MAX_SAFE_INTEGER),
    executionId: z.exactOptional(identifier),
    limit: pageLimit,
    waitMs: z.exactOptional(waitMs),
  }),
  listSessions: strict<ParamsOf<"listSessions">>()({
    limit: pageLimit,
    live: z.exactOptional(z.boolean()),
    after: z.exactOptional(identifier),
  }),
  listPools: z.undefined(),
  explainTask: strict<ParamsOf<"explainTask">>()({ executionId: identifier, task: taskNumber }),

  ...STATE_SCHEMAS,

  lead: strict<ParamsOf<"lead">>()({ lease: name, holder: name, ttlMs: integer(1, MAX_LEAD_MS) }),
  reapSessions: duty,
  promoteDue: duty,
  reapOverdue: duty,
  purge: duty,
  pendingVerifications: duty,
  judgeVerifications: strict<ParamsOf<"judgeVerifications">>()({ verdicts: boundedArray(verdict, MAX_BATCH) }),
};

/**
 * `value` as the params of `method`. Strict: unknown keys are refused, nothing is coerced.
 *
 * Errors: INVALID_REQUEST, PAYLOAD_TOO_LARGE, BATCH_TOO_LARGE, all with the path of the first thing wrong.
 */
export function parseParams<M extends BrokerMethod>(method: M, value: unknown): ParamsOf<M> {
  // Commits carry nearly all of the traffic, and nearly all of them are plain.
  if (method === "commit" && isPlainCommit(value)) return value;
  const parsed = (PARAM_SCHEMAS[method] as z.ZodType<ParamsOf<M>>).safeParse(value);
  if (parsed.success) return parsed.data;
  return raise({ method, value, issue: parsed.error.issues[0] });
}

/** Like `parseParams` for a method whose name is not known to be one. */
export function isBrokerMethod(method: unknown): method is BrokerMethod {
  return typeof method === "string" && Object.hasOwn(PARAM_SCHEMAS, method);
}

/** The refusal of a method that the contract does not have. */
export function unknownMethod(method: unknown): HoldfastError {
  const shown = typeof method === "string" ? method.slice(0, 64) : typeof method;
  return new HoldfastError("INVALID_REQUEST", {
    method: shown,
    path: "method",
    problem: "the broker has no such method",
  });
}
