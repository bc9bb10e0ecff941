/**
 * Workers over HTTP, and looking at workers of every kind.
 *
 * The loop of a worker in any language: register, heartbeat every `heartbeatMs`, claim, and for each
 * task complete, fail or return. docs/http-workers.md tells it with examples.
 */
import * as z from "zod";
import { ALL_POOLS } from "../../broker/contract.ts";
import { MAX_CHUNK_ITEMS, MAX_PAGE, MAX_PAYLOAD, MAX_TASKS_PER_EXECUTION } from "../../broker/limits.ts";
import { boundedArray, identifier, integer, itemIndex, MAX_DURATION_MS, name } from "../../broker/schema-parts.ts";
import { MAX_CHUNK_VALUES } from "../../broker/schemas-working.ts";
import { FAILURE_CLASSES } from "../../core/failure.ts";
import { JOB_POOL } from "../../core/handler.ts";
import { defineOperations } from "../operation.ts";
import { cursor, pageLimit, waitDuration } from "../request-parts.ts";

/** Pools of a worker that names none. */
const DEFAULT_HTTP_POOLS = [JOB_POOL];
/** Tasks of one claim. */
const MAX_HTTP_CLAIM = 100;
/** Leases that one worker names as held. */
const MAX_HTTP_HELD = 1_000;
/** One lease as text: what names the attempt, and what the server must know again when it is completed. */
export const MAX_LEASE_TEXT = 8_192;
const MAX_WORKER_POOLS = 64;
const MAX_WORKER_CAPABILITIES = 64;
const MAX_WORKER_SLOTS = 10_000;
/** UTF-16 code units of the JSON of what a worker tells about its machine. */
const MAX_METADATA = 3_000;
/** Captured output as sent; what is kept of it is less. */
const MAX_OUTPUT_TEXT = MAX_PAYLOAD;

/** Unhealthy: silent for some heartbeats, and not dead yet. */
const WORKER_STATUSES = ["active", "idle", "busy", "draining", "unhealthy"] as const;

const workerParams = z.strictObject({ workerId: name });
const count = integer(0, Number.MAX_SAFE_INTEGER);
const load = integer(0, MAX_WORKER_SLOTS);
const leaseText = z.string().min(1).max(MAX_LEASE_TEXT);
const timestamp = z.number();
const poolName = name.refine((pool) => pool !== ALL_POOLS, `is ${ALL_POOLS}, the name for all pools`);

const metadata = z
  .object({
    cpuCores: z.number().min(0).default(0),
    memoryGB: z.number().min(0).default(0),
    gpuCount: z.number().min(0).default(0),
    version: z.string().max(64).default("1.0.0"),
    platform: z.string().max(64).default("unknown"),
  })
  .catchall(z.union([z.string().max(256), z.number(), z.boolean()]))
  .refine((told) => JSON.stringify(told).length <= MAX_METADATA, `expected at most ${MAX_METADATA} characters of JSON`)
  .describe("About the machine, for those who look; more may be told than is named here.");

const registration = z.strictObject({
  workerId: name.refine((id) => id.isWellFormed(), "holds half of a surrogate pair"),
  hostname: name,
  pid: count.default(0),
  capabilities: boundedArray(name, MAX_WORKER_CAPABILITIES),
  maxConcurrency: integer(1, MAX_WORKER_SLOTS),
  pools: boundedArray(poolName, MAX_WORKER_POOLS)
    .refine((pools) => pools.length > 0, "is empty; expected at least one pool")
    .default(DEFAULT_HTTP_POOLS),
  currentLoad: load.default(0),
  metadata: metadata.prefault({}),
});

const workerView = z.strictObject({
  workerId: z.string(),
  hostname: z.string(),
  pools: z.array(z.string()),
  capabilities: z.array(z.string()),
  status: z.enum(WORKER_STATUSES),
  currentLoad: count.describe("Attempts that it holds now."),
  maxConcurrency: count,
  utilization: z.number().describe("Percent."),
  lastHeartbeat: timestamp,
  uptime: z.number().describe("Milliseconds since it came."),
  completed: count.describe("Items that it has completed since it came."),
  connection: z
    .enum(["http", "direct"])
    .describe("How it speaks to Holdfast: over these operations, or with a connection of its own."),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

export type WorkerView = z.output<typeof workerView>;

const told = {
  cancel: z
    .array(z.string())
    .describe("How the leases to stop begin: stop each task whose lease starts with one of these."),
  drain: z.boolean().describe("Finish what runs, claim nothing more, leave."),
};

const claimedTask = z.strictObject({
  lease: z.string().describe("Names this attempt; to be handed back as it is."),
  executionId: z.string(),
  task: integer(0, MAX_TASKS_PER_EXECUTION),
  attempt: integer(1, Number.MAX_SAFE_INTEGER).describe("1 for the first try."),
  name: z.string(),
  handler: z.unknown().describe("What to do, as it was submitted."),
  type: z.string().optional().describe("The handler's own `type`, where it has one."),
  timeoutMs: z.number().optional().describe("Per task; of an array per item."),
  memoryLimitMb: z.number().optional(),
  input: z.unknown().optional().describe("Absent for a range of an array."),
  parents: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("Results of the tasks that it came after, by their number."),
  start: itemIndex.optional().describe("Range of an array, end exclusive."),
  end: itemIndex.optional(),
  inputs: z
    .array(z.unknown())
    .optional()
    .describe("Inputs of the range's items in order, where the server can compute them."),
  source: z.unknown().optional().describe("What the array was submitted with."),
  careful: z
    .boolean()
    .optional()
    .describe("An earlier attempt died on one of the items: name the item if this one fails as a whole."),
  problem: z.string().optional().describe("Why this task cannot be done over HTTP, in a sentence: fail it with this."),
});

const failure = z.strictObject({
  message: z.string().max(MAX_PAYLOAD).describe("What is too long is cut."),
  class: z.enum(FAILURE_CLASSES).default("user-error"),
  code: z.exactOptional(name),
  stack: z.exactOptional(z.string().max(MAX_PAYLOAD)),
});

const ran = {
  lease: leaseText,
  durationMs: z
    .exactOptional(z.number().min(0).max(MAX_DURATION_MS))
    .describe("Absent: as long as the server has known of the attempt."),
  stdout: z.exactOptional(z.string().max(MAX_OUTPUT_TEXT)).describe("The end is kept."),
  stderr: z.exactOptional(z.string().max(MAX_OUTPUT_TEXT)),
};

const accepted = z.strictObject({ success: z.literal(true), accepted: z.literal(true) });
/** UTF-8 bytes of a whole range's values, and what is around them. */
const RESULT_BODY_LIMIT = MAX_CHUNK_VALUES + MAX_PAYLOAD;

export const WORKER_OPERATIONS = defineOperations({
  registerWorker: {
    method: "POST",
    path: "/workers/register",
    tag: "workers",
    summary: "Registers a worker that works over HTTP.",
    description:
      "A worker that registers again has started anew: what it held before is taken back at once and counts as lost. Without a heartbeat or another call for deadAfterMs it is dead.",
    callers: ["worker"],
    changes: true,
    body: registration,
    reply: z.strictObject({
      success: z.literal(true),
      workerId: z.string(),
      registeredAt: timestamp,
      heartbeatMs: z.number(),
      deadAfterMs: z.number(),
    }),
    errors: ["STORE_FULL"],
  },
  heartbeatWorker: {
    method: "POST",
    path: "/workers/{workerId}/heartbeat",
    tag: "workers",
    summary: "Says that a worker lives, and hears what it should stop.",
    callers: ["worker"],
    // It changes nothing that anybody asked for, and comes every second from every worker.
    changes: false,
    params: workerParams,
    body: z.strictObject({ currentLoad: load.default(0) }).prefault({}),
    reply: z.strictObject({
      success: z.literal(true),
      workerId: z.string(),
      status: z.enum(WORKER_STATUSES),
      currentLoad: count.describe("As the worker said; the list of workers counts its leases."),
      lastHeartbeat: timestamp,
      ...told,
    }),
    errors: ["WORKER_NOT_FOUND"],
  },
  claimTasks: {
    method: "POST",
    path: "/workers/{workerId}/claim",
    tag: "workers",
    summary: "Gives a worker tasks to run, and waits for some if there are none.",
    description:
      "`holding` names the leases that the worker still knows of; what it holds beyond these goes back, so that an answer that was lost on the way strands nothing. A worker asks with one claim at a time: a later one ends an earlier one. While a claim waits, the worker counts as alive.",
    callers: ["worker"],
    // Asked again and again, mostly for nothing; each attempt is told in the attempts of its task.
    changes: false,
    params: workerParams,
    body: z.strictObject({
      max: integer(1, MAX_HTTP_CLAIM).default(1),
      wait: waitDuration.prefault("0s"),
      holding: boundedArray(leaseText, MAX_HTTP_HELD),
    }),
    bodyLimit: MAX_HTTP_HELD * MAX_LEASE_TEXT + MAX_PAYLOAD,
    reply: z.strictObject({ success: z.literal(true), tasks: z.array(claimedTask), ...told }),
    errors: ["WORKER_NOT_FOUND", "CLAIM_SUPERSEDED"],
  },
  completeTask: {
    method: "POST",
    path: "/workers/{workerId}/complete",
    tag: "workers",
    summary: "Delivers a task's result, or those of a range of an array.",
    description:
      "A result counts once, and only while the worker holds the lease. The same result again is accepted again. For a range of an array `values` has one entry per item in order, `failures` those that failed, each of which is tried again by itself.",
    callers: ["worker"],
    changes: true,
    params: workerParams,
    body: z.strictObject({
      ...ran,
      result: z.exactOptional(z.unknown()).describe("Any JSON; absent: null."),
      values: z.exactOptional(boundedArray(z.unknown(), MAX_CHUNK_ITEMS)),
      failures: z.exactOptional(boundedArray(z.strictObject({ item: itemIndex, error: failure }), MAX_CHUNK_ITEMS)),
    }),
    bodyLimit: RESULT_BODY_LIMIT,
    reply: accepted,
    errors: ["WORKER_NOT_FOUND", "LEASE_LOST", "PAYLOAD_TOO_LARGE", "BATCH_TOO_LARGE", "STORE_FULL"],
  },
  failTask: {
    method: "POST",
    path: "/workers/{workerId}/fail",
    tag: "workers",
    summary: "Says that an attempt failed; the task's retry policy decides what comes next.",
    callers: ["worker"],
    changes: true,
    params: workerParams,
    body: z.strictObject({
      ...ran,
      error: failure,
      item: z.exactOptional(itemIndex).describe("For a range of an array: the item that it died on, if known."),
    }),
    bodyLimit: 4 * MAX_PAYLOAD,
    reply: accepted,
    errors: ["WORKER_NOT_FOUND", "LEASE_LOST"],
  },
  returnTask: {
    method: "POST",
    path: "/workers/{workerId}/return",
    tag: "workers",
    summary: "Gives a task back unfinished: no failure, it runs again at once.",
    callers: ["worker"],
    changes: true,
    params: workerParams,
    body: z.strictObject({ lease: leaseText }),
    reply: accepted,
    errors: ["WORKER_NOT_FOUND", "LEASE_LOST"],
  },
  deregisterWorker: {
    method: "DELETE",
    path: "/workers/{workerId}",
    tag: "workers",
    summary: "A worker leaves; what it still holds runs elsewhere at once.",
    description: "A worker with a connection of its own is asked to finish and leave.",
    callers: ["worker", "submit"],
    changes: true,
    params: workerParams,
    reply: z.strictObject({ success: z.literal(true), workerId: z.string(), message: z.string() }),
    errors: ["WORKER_NOT_FOUND"],
  },
  drainWorker: {
    method: "POST",
    path: "/workers/{workerId}/drain",
    tag: "workers",
    summary: "Asks a worker to finish what it runs and leave.",
    callers: ["worker", "submit"],
    changes: true,
    params: workerParams,
    reply: z.strictObject({ success: z.literal(true), workerId: z.string(), message: z.string() }),
    errors: ["WORKER_NOT_FOUND"],
  },
  listWorkers: {
    method: "GET",
    path: "/workers",
    tag: "workers",
    summary: "Lists the live workers of every kind.",
    callers: ["read", "submit", "worker"],
    changes: false,
    query: z.strictObject({
      status: z.exactOptional(z.enum(WORKER_STATUSES)),
      pool: z.exactOptional(name),
      limit: pageLimit(MAX_PAGE).prefault("100"),
      cursor: z.exactOptional(cursor),
    }),
    reply: z.strictObject({
      success: z.literal(true),
      count: count.describe("Workers in this answer."),
      workers: z.array(workerView),
      next: identifier
        .optional()
        .describe("Ask again with this as cursor for more; absent on the last page. A page may be short, even empty."),
    }),
    errors: [],
  },
  getWorker: {
    method: "GET",
    path: "/workers/{workerId}",
    tag: "workers",
    summary: "Shows one live worker.",
    callers: ["read", "submit", "worker"],
    changes: false,
    params: workerParams,
    reply: z.strictObject({ success: z.literal(true), worker: workerView }),
    errors: ["WORKER_NOT_FOUND"],
  },
});
