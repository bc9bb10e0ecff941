/** Handlers of workers: those that work over HTTP, and looking at all of them. */
import type { WORKER_OPERATIONS } from "../../api/operations/workers.ts";
import type { Broker, Directives, LeaseRef, Outcome } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Call, HandlersOf, ServerParts } from "../handler.ts";
import type { Principal } from "../principal.ts";
import { asRequest } from "../request-input.ts";
import { ArraySources } from "../workers/array-source.ts";
import { WorkerClaims } from "../workers/claims.ts";
import { permitSession, unknownWorker, WorkerDirectory } from "../workers/directory.ts";
import { leaseBeginning, readLease } from "../workers/lease-text.ts";
import { findSession } from "../workers/live-sessions.ts";
import { completedOutcome, failedOutcome } from "../workers/outcomes.ts";
import { claimedTasks } from "../workers/task-view.ts";
import { workerStatus, workerView } from "../workers/worker-view.ts";

type Handlers = HandlersOf<typeof WORKER_OPERATIONS>;

/** Of the time after which a worker is dead: two heartbeats come within it. */
const HEARTBEAT_SHARE = 0.4;

export function workerHandlers(parts: ServerParts): Handlers {
  const directory = new WorkerDirectory(parts);
  return { ...livingHandlers(parts, directory), ...workingHandlers(parts, directory), ...lookingHandlers(parts) };
}

function livingHandlers(
  { broker, clock }: ServerParts,
  directory: WorkerDirectory,
): Pick<Handlers, "registerWorker" | "heartbeatWorker" | "deregisterWorker"> {
  return {
    registerWorker: async ({ body }, { principal }) => {
      const { workerId, hostname, pid, pools, capabilities, maxConcurrency, metadata } = body;
      const session = await directory.register(
        { worker: workerId, host: hostname, pid, pools, capabilities, slots: maxConcurrency, metadata },
        principal,
      );
      const { deadAfterMs } = session;
      // A request costs more than a word on a socket: as rarely as one may be lost.
      const heartbeatMs = Math.max(session.heartbeatMs, Math.floor(deadAfterMs * HEARTBEAT_SHARE));
      return { success: true, workerId, registeredAt: clock.now(), heartbeatMs, deadAfterMs };
    },

    heartbeatWorker: async ({ params: { workerId }, body: { currentLoad } }, { principal }) =>
      directory.act(workerId, principal, async ({ session, slots }) => {
        const told = await broker.heartbeat({ session, running: currentLoad });
        const status = workerStatus(currentLoad, slots, told.drain);
        return { success: true, workerId, status, currentLoad, lastHeartbeat: clock.now(), ...orders(told) };
      }),

    deregisterWorker: async ({ params: { workerId } }, { principal }) => {
      try {
        await directory.leave(workerId, principal);
      } catch (thrown) {
        if (!HoldfastError.is(thrown, "WORKER_NOT_FOUND")) throw thrown;
        return askToLeave(broker, workerId, principal);
      }
      return { success: true, workerId, message: `Worker ${workerId} has left.` };
    },
  };
}

/** Errors: WORKER_NOT_FOUND, FORBIDDEN. */
async function askToLeave(broker: Broker, workerId: string, principal: Principal): Promise<Leaving> {
  const session = await findSession(broker, workerId);
  if (session === undefined) throw unknownWorker(workerId);
  permitSession(principal, session);
  await broker.drainSession({ session: session.session });
  return { success: true, workerId, message: `Worker ${workerId} is asked to finish and leave.` };
}

interface Leaving {
  readonly success: true;
  readonly workerId: string;
  readonly message: string;
}

function workingHandlers(
  { broker, clock, logger }: ServerParts,
  directory: WorkerDirectory,
): Pick<Handlers, "claimTasks" | "completeTask" | "failTask" | "returnTask"> {
  const sources = new ArraySources();
  const claims = new WorkerClaims({ broker, logger });

  /** Errors: LEASE_LOST when the outcome does not count. */
  const commit = (workerId: string, { principal }: Call, outcome: Outcome): Promise<Accepted> =>
    directory.act(workerId, principal, async ({ session }) => {
      const { verdicts } = await asRequest(broker.commit({ session, outcomes: [outcome] }), inBody);
      if (verdicts[0] === "accepted") return { success: true, accepted: true };
      const { executionId, task } = outcome.lease;
      throw new HoldfastError("LEASE_LOST", { execution: executionId, task });
    });

  return {
    claimTasks: async ({ params: { workerId }, body }, { principal, signal }) => {
      const held = body.holding.map(
        (text, at) => readLease(text, { method: "claimTasks", path: `body.holding[${at}]` }).ref,
      );
      return directory.act(workerId, principal, async (worker) => {
        const claimed = await claims.claim(worker, { max: body.max, waitMs: body.wait, held, signal });
        const { tasks, left } = claimedTasks(claimed, clock.now(), sources);
        await claims.giveBack(worker, left);
        const cancel = [...claimed.cancel, ...claimed.lost];
        return { success: true, tasks: [...tasks], ...orders({ cancel, drain: claimed.drain }) };
      });
    },

    completeTask: async ({ params: { workerId }, body }, call) =>
      commit(workerId, call, completedOutcome(body, { now: clock.now(), sources })),

    failTask: async ({ params: { workerId }, body }, call) => commit(workerId, call, failedOutcome(body, clock.now())),

    returnTask: async ({ params: { workerId }, body: { lease } }, call) => {
      const { ref } = readLease(lease, { method: "returnTask", path: "body.lease" });
      return commit(workerId, call, { kind: "returned", lease: ref });
    },
  };
}

/** `result`, or `commit: outcomes[0].result`, of the one outcome that the body is. */
function inBody(path: string): string {
  return `body.${path.slice(path.lastIndexOf(".") + 1)}`;
}

interface Accepted {
  readonly success: true;
  readonly accepted: true;
}

/** In the words of the API: leases to stop by how they begin. */
function orders({ cancel, drain }: Directives): { cancel: string[]; drain: boolean } {
  return { cancel: [...new Set(cancel.map((ref: LeaseRef) => leaseBeginning(ref)))], drain };
}

function lookingHandlers({ broker, clock }: ServerParts): Pick<Handlers, "drainWorker" | "listWorkers" | "getWorker"> {
  return {
    drainWorker: ({ params: { workerId } }, { principal }) => askToLeave(broker, workerId, principal),

    listWorkers: async ({ query: { status, pool, limit, cursor } }) => {
      const page = await broker.listSessions({ live: true, limit, ...(cursor === undefined ? {} : { after: cursor }) });
      const now = clock.now();
      const workers = page.sessions
        .map((session) => workerView(session, now))
        .filter((worker) => status === undefined || worker.status === status)
        .filter((worker) => pool === undefined || worker.pools.includes(pool));
      const next = page.next === undefined ? {} : { next: page.next };
      return { success: true, count: workers.length, workers, ...next };
    },

    getWorker: async ({ params: { workerId } }) => {
      const session = await findSession(broker, workerId);
      if (session === undefined) throw unknownWorker(workerId);
      return { success: true, worker: workerView(session, clock.now()) };
    },
  };
}
