/** What each role may call on a socket to the broker. */
import type { Role } from "../../api/operation.ts";
import type { BrokerMethod, CommitParams, WorkerProfile } from "../../broker/contract.ts";
import { RESERVED_PREFIX } from "../../broker/limits.ts";
import { isReserved } from "../../broker/remote/veil.ts";
import { HoldfastError } from "../../errors/index.ts";
import { permitPools, permitWorker, type Principal } from "../principal.ts";

const READS_OF_STATE = [
  "readLock",
  "listLocks",
  "readValue",
  "listValues",
  "readCheckpoint",
  "listCheckpoints",
] as const satisfies readonly BrokerMethod[];

const CHANGES_OF_STATE = [
  "acquireLock",
  "extendLock",
  "releaseLock",
  "writeValue",
  "deleteValue",
  "saveCheckpoint",
  "deleteCheckpoints",
] as const satisfies readonly BrokerMethod[];

const LOOKS = [
  "getExecution",
  "listExecutions",
  "listTasks",
  "listDeadLetters",
  "listAttempts",
  "readResults",
  "readEvents",
  "listSessions",
  "listPools",
  "explainTask",
] as const satisfies readonly BrokerMethod[];

const STEERS = [
  "submit",
  "extend",
  "pause",
  "resume",
  "cancel",
  "pausePool",
  "resumePool",
  "signal",
  "limitPool",
  "retry",
  "discard",
  "rerun",
  "editExecution",
] as const satisfies readonly BrokerMethod[];

/** What a worker calls; it looks at other sessions before it leaves. */
const WORKS = [
  "openSession",
  "heartbeat",
  "claim",
  "commit",
  "reconcile",
  "closeSession",
  "listSessions",
] as const satisfies readonly BrokerMethod[];

/** The coordinator's duties, and `drainSession`, whose sessions others are not told, are for administrators. */
const METHODS: Readonly<Record<Exclude<Role, "admin">, ReadonlySet<BrokerMethod>>> = {
  read: new Set([...LOOKS, ...READS_OF_STATE]),
  submit: new Set([...STEERS, ...LOOKS, ...READS_OF_STATE, ...CHANGES_OF_STATE]),
  worker: new Set([...WORKS, ...READS_OF_STATE, ...CHANGES_OF_STATE]),
};

/** Params by which a call names state. `after` is where a page goes on, and names nothing. */
const STATE_NAMES = ["lock", "key", "scope", "prefix"] as const;
const STATE_METHODS: ReadonlySet<BrokerMethod> = new Set([...READS_OF_STATE, ...CHANGES_OF_STATE]);

/** Calls of which the audit log tells. Those by which work gets on (claims, commits, locks, checkpoints) are the work's own. */
export const AUDITED_METHODS: ReadonlySet<BrokerMethod> = new Set<BrokerMethod>([
  ...STEERS,
  "openSession",
  "closeSession",
  "drainSession",
  "writeValue",
  "deleteValue",
  "deleteCheckpoints",
]);

/** Errors: FORBIDDEN, NAME_RESERVED. */
export function permitCall(principal: Principal, method: BrokerMethod, params: unknown): void {
  const { role, name } = principal;
  if (role === "admin") return;
  if (!METHODS[role].has(method)) {
    throw new HoldfastError("FORBIDDEN", { problem: `${name} may not call ${method}: its role is ${role}.` });
  }
  if (method === "openSession") {
    const { pools, worker } = params as WorkerProfile;
    permitPools(principal, pools);
    permitWorker(principal, worker);
  }
  if (method === "commit") permitPools(principal, poolsAddedTo(params as CommitParams), "add tasks");
  if (STATE_METHODS.has(method)) refuseReserved(params as Readonly<Record<string, unknown>>);
}

/**
 * Pools of tasks that attempts add as they suspend themselves. By them a worker's code decides what others run,
 * so those of the token are all that it may name. The worker makes a failed attempt of what is refused.
 */
function poolsAddedTo({ outcomes }: CommitParams): readonly string[] {
  return outcomes.flatMap((outcome) =>
    outcome.kind === "suspended" && outcome.until.kind === "tasks" ? outcome.until.groups.map(({ pool }) => pool) : [],
  );
}

function refuseReserved(params: Readonly<Record<string, unknown>>): void {
  for (const path of STATE_NAMES) {
    const value = params[path];
    if (typeof value === "string" && isReserved(value)) {
      throw new HoldfastError("NAME_RESERVED", { path, prefix: RESERVED_PREFIX });
    }
  }
}
