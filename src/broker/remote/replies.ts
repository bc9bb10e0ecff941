/**
 * What a client relies on in a host's replies.
 *
 * The host is a Holdfast broker that was asked with a token, so this is no wall against attackers:
 * it turns a reply of a foreign or broken host into one clear error at the call, instead of a crash
 * somewhere in a worker. Unknown keys pass, so that a newer host may say more. The hot replies are
 * looked at lightly: their lists are lists, their leases name an attempt.
 */
import * as z from "zod";
import { HoldfastError } from "../../errors/index.ts";
import type {
  Broker,
  BrokerMethod,
  Counters,
  DutyReply,
  EditReply,
  ExecutionView,
  LeaseRef,
  LettersReply,
  LockGrant,
  LockView,
  OpenSessionReply,
  PoolView,
  ReadResultsReply,
  ReconcileReply,
  SubmitReceipt,
  ValueView,
} from "../contract.ts";

export type ReplyOf<M extends BrokerMethod> = Awaited<ReturnType<Broker[M]>>;

/** An object of the contract's type T of which the given keys are checked. */
function checked<T extends object>(): <K extends keyof T & string>(
  shape: Checks<T, K>,
) => z.ZodObject<Checks<T, K>, z.core.$loose> {
  return (shape) => z.looseObject(shape);
}

type Checks<T, K extends keyof T & string> = { readonly [P in K]: z.ZodType<T[P]> };

const texts = z.array(z.string());
const count = z.number();

const counters = checked<Counters>()({
  total: count,
  blocked: count,
  scheduled: count,
  queued: count,
  running: count,
  completed: count,
  failed: count,
  cancelled: count,
  skipped: count,
});

const executionView = checked<ExecutionView>()({
  executionId: z.string(),
  name: z.string(),
  kind: z.enum(["sweep", "workflow", "batch", "experiment"]),
  state: z.enum(["pending", "running", "paused", "completed", "failed", "cancelled"]),
  priority: count,
  counters,
  lostAttempts: count,
  retries: count,
  refusedOutcomes: count,
  createdAt: count,
});

const poolView = checked<PoolView>()({
  pool: z.string(),
  paused: z.boolean(),
  blocked: count,
  scheduled: count,
  queued: count,
  running: count,
  completed: count,
  failed: count,
  sessions: count,
  slots: count,
  standby: count,
  min: count,
});
const lettersReply = checked<LettersReply>()({ changed: count, execution: executionView });
const lockGrant = checked<LockGrant>()({ token: count, expiresAt: count });
const lockView = checked<LockView>()({
  lock: z.string(),
  owner: z.string(),
  token: count,
  acquiredAt: count,
  expiresAt: count,
  waiting: count,
});
const valueView = checked<ValueView>()({ key: z.string(), value: z.string(), version: count, updatedAt: count });
const checkpoint = z.looseObject({ scope: z.string(), version: count, fence: count });
const dutyReply = checked<DutyReply>()({ handled: count, more: z.boolean() });
const nothing = z.unknown();
const row = z.looseObject({ task: count });
const leaseRef = checked<LeaseRef>()({ executionId: z.string(), task: count, token: z.string() });

const COLD_REPLIES: { readonly [M in Exclude<BrokerMethod, "claim" | "commit" | "heartbeat">]: z.ZodType } = {
  submit: z.looseObject({
    executions: z.array(checked<SubmitReceipt>()({ executionId: z.string(), created: z.boolean() })),
  }),
  extend: checked<ReplyOf<"extend">>()({ total: count }),
  pause: executionView,
  resume: executionView,
  cancel: executionView,
  pausePool: poolView,
  resumePool: poolView,
  limitPool: poolView,
  signal: checked<ReplyOf<"signal">>()({ accepted: z.boolean(), released: count }),
  retry: lettersReply,
  discard: lettersReply,
  rerun: checked<ReplyOf<"rerun">>()({ reset: count, execution: executionView }),
  editExecution: checked<Pick<EditReply, "version" | "execution">>()({
    version: z.string(),
    execution: executionView,
  }).extend({
    changes: z.looseObject({
      added: count,
      removedCount: count,
      skippedCount: count,
      rerunCount: count,
      restoredCount: count,
    }),
  }),
  openSession: checked<OpenSessionReply>()({ session: z.string(), heartbeatMs: count, deadAfterMs: count }),
  reconcile: checked<Pick<ReconcileReply, "returned">>()({ returned: count }).extend({ lost: z.array(leaseRef) }),
  closeSession: nothing,
  drainSession: nothing,
  getExecution: executionView,
  listExecutions: z.looseObject({ executions: z.array(executionView) }),
  listTasks: z.looseObject({ tasks: z.array(row) }),
  listDeadLetters: z.looseObject({ letters: z.array(row) }),
  listAttempts: z.looseObject({ attempts: z.array(row) }),
  readResults: checked<Pick<ReadResultsReply, "cursor" | "done">>()({ cursor: count, done: z.boolean() }).extend({
    rows: z.array(row),
  }),
  readEvents: z.looseObject({ events: z.array(z.looseObject({ cursor: count, at: count })), cursor: count }),
  listSessions: z.looseObject({
    sessions: z.array(z.looseObject({ session: z.string(), pools: texts, capabilities: texts })),
  }),
  listPools: z.looseObject({ pools: z.array(poolView) }),
  explainTask: z.looseObject({ task: row, requires: texts, pool: poolView, waitsForCount: count, ahead: count }),
  acquireLock: z.looseObject({ grant: lockGrant.optional(), holder: lockView.optional(), ahead: count }),
  extendLock: lockGrant,
  releaseLock: checked<ReplyOf<"releaseLock">>()({ released: z.boolean() }),
  readLock: z.looseObject({ lock: lockView.optional() }),
  listLocks: z.looseObject({ locks: z.array(lockView) }),
  writeValue: checked<ReplyOf<"writeValue">>()({ version: count }),
  readValue: z.looseObject({ value: valueView.optional() }),
  deleteValue: checked<ReplyOf<"deleteValue">>()({ deleted: z.boolean() }),
  listValues: z.looseObject({ values: z.array(valueView) }),
  saveCheckpoint: checked<ReplyOf<"saveCheckpoint">>()({ version: count }),
  readCheckpoint: z.looseObject({ checkpoint: checkpoint.extend({ data: z.string() }).optional() }),
  listCheckpoints: z.looseObject({ checkpoints: z.array(checkpoint) }),
  deleteCheckpoints: checked<ReplyOf<"deleteCheckpoints">>()({ deleted: count }),
  lead: checked<ReplyOf<"lead">>()({ leader: z.boolean(), term: count }),
  reapSessions: dutyReply,
  promoteDue: dutyReply,
  reapOverdue: dutyReply,
  purge: dutyReply,
  pendingVerifications: z.looseObject({ pending: z.array(row) }),
  judgeVerifications: nothing,
};

/** The reply as the contract's type. Throws INTERNAL when it is something else. */
export function checkReply<M extends BrokerMethod>(method: M, reply: unknown): ReplyOf<M> {
  const problem = problemWith(method, reply);
  if (problem === undefined) return (reply ?? undefined) as ReplyOf<M>;
  throw new HoldfastError("INTERNAL", {
    problem: `the broker's host answered ${method} with something else (${problem})`,
  });
}

function problemWith(method: BrokerMethod, reply: unknown): string | undefined {
  switch (method) {
    case "heartbeat":
      return problemWithDirectives(reply);
    case "claim":
      return problemWithClaim(reply);
    case "commit":
      return (
        problemWithClaim(reply) ??
        (Array.isArray((reply as { verdicts?: unknown }).verdicts) ? undefined : "verdicts: no list")
      );
    default: {
      const issue = COLD_REPLIES[method].safeParse(reply).error?.issues[0];
      return issue === undefined ? undefined : `${issue.path.join(".")}: ${issue.message}`;
    }
  }
}

function problemWithDirectives(reply: unknown): string | undefined {
  if (typeof reply !== "object" || reply === null) return "no object";
  const { cancel, drain } = reply as { cancel?: unknown; drain?: unknown };
  if (!Array.isArray(cancel)) return "cancel: no list";
  return typeof drain === "boolean" ? undefined : "drain: neither true nor false";
}

function problemWithClaim(reply: unknown): string | undefined {
  const problem = problemWithDirectives(reply);
  if (problem !== undefined) return problem;
  const { leases, specs } = reply as { leases?: unknown; specs?: unknown };
  if (!Array.isArray(leases)) return "leases: no list";
  if (typeof specs !== "object" || specs === null) return "specs: no object";
  return leases.every(isLease) ? undefined : "leases: an entry is no lease";
}

function isLease(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const lease = value as { executionId?: unknown; task?: unknown; token?: unknown; spec?: unknown };
  return (
    typeof lease.executionId === "string" &&
    typeof lease.task === "number" &&
    typeof lease.token === "string" &&
    typeof lease.spec === "string"
  );
}
