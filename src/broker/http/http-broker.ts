/**
 * A broker behind a server, as programs and the command line reach it: by the public API and by
 * nothing else. It has the contract's verbs for submitting, steering, looking and shared state; those
 * of workers go over the server's WebSocket (broker/remote).
 *
 * Every call may be sent again, to another server: a submission without a key gets a random one, as
 * in broker/remote/connect.ts, and the contract's own repeats do the rest. JSON texts of users travel
 * as texts (`texts=true`), so that they come out as they went in.
 */
import { DEAD_LETTER_OPERATIONS } from "../../api/operations/dead-letters.ts";
import { EDIT_OPERATIONS } from "../../api/operations/edit.ts";
import { EVENT_OPERATIONS } from "../../api/operations/events.ts";
import { EXECUTION_OPERATIONS } from "../../api/operations/executions.ts";
import { POOL_OPERATIONS } from "../../api/operations/pools.ts";
import { TASK_OPERATIONS } from "../../api/operations/tasks.ts";
import { WORKER_OPERATIONS } from "../../api/operations/workers.ts";
import type {
  Broker,
  ExecutionView,
  GetExecutionParams,
  ListTasksParams,
  ReadEventsParams,
  ReadResultsParams,
  ResultRow,
  SessionView,
  SubmitParams,
  TaskView,
} from "../contract.ts";
import { FROM_NOW } from "../contract.ts";
import type { HttpLink } from "./http-link.ts";
import { httpState, type HttpStateMethod } from "./http-state.ts";

/** What a server tells of a worker: neither its session, which is its own, nor its process. */
export type WorkerSummary = Omit<SessionView, "session" | "pid" | "meta" | "hosted"> & { readonly pid?: number };

type Looking =
  | "submit"
  | "extend"
  | "pause"
  | "resume"
  | "cancel"
  | "signal"
  | "pausePool"
  | "resumePool"
  | "limitPool"
  | "retry"
  | "rerun"
  | "editExecution"
  | "getExecution"
  | "listExecutions"
  | "listDeadLetters"
  | "listTasks"
  | "readResults"
  | "readEvents"
  | "listPools"
  | "close"
  | HttpStateMethod;

/** What everybody with the right token may do with a broker. Every Broker is one. */
export interface PublicBroker extends Pick<Broker, Looking> {
  listSessions(params: {
    readonly limit: number;
    readonly live?: boolean;
    readonly after?: string;
  }): Promise<{ readonly sessions: readonly WorkerSummary[]; readonly next?: string }>;
}

const TEXTS = { texts: "true" } as const;

export function httpBroker(link: HttpLink, newKey: () => string): PublicBroker {
  return { ...steering(link, newKey), ...looking(link), ...httpState(link), close: async () => link.close() };
}

type Steering = "submit" | "extend" | "pause" | "resume" | "cancel" | "signal" | "retry" | "rerun" | "editExecution";
type PoolSteering = "pausePool" | "resumePool" | "limitPool";

function steering(link: HttpLink, newKey: () => string): Pick<PublicBroker, Steering | PoolSteering> {
  const of = (executionId: string): { readonly params: { readonly executionId: string } } => ({
    params: { executionId },
  });
  const { pauseExecution, resumeExecution, cancelExecution, signalExecution } = EXECUTION_OPERATIONS;
  const { retryExecution, rerunExecution } = EXECUTION_OPERATIONS;
  return {
    submit: (params) => submitWithKeys(link, params, newKey),
    extend: ({ executionId, ...body }) =>
      link.call(EXECUTION_OPERATIONS.extendExecution, { ...of(executionId), query: TEXTS, body: asBody(body) }),
    pause: async ({ executionId }) => asView(await link.call(pauseExecution, { ...of(executionId), query: TEXTS })),
    resume: async ({ executionId }) => asView(await link.call(resumeExecution, { ...of(executionId), query: TEXTS })),
    cancel: async ({ executionId, reason }) =>
      asView(
        await link.call(cancelExecution, {
          ...of(executionId),
          query: TEXTS,
          body: reason === undefined ? {} : { reason },
        }),
      ),
    signal: ({ executionId, signal, payload }) =>
      link.call(signalExecution, { params: { executionId, signal }, query: TEXTS, body: { payload } }),
    retry: async ({ executionId, letters }) => {
      const body = letters === undefined ? {} : { letters: [...letters] };
      const { changed, execution } = await link.call(retryExecution, { ...of(executionId), query: TEXTS, body });
      return { changed, execution: asView(execution) };
    },
    rerun: async ({ executionId, task }) => {
      const { reset, execution } = await link.call(rerunExecution, {
        ...of(executionId),
        query: TEXTS,
        body: { task },
      });
      return { reset, execution: asView(execution) };
    },
    editExecution: async ({ executionId, edits, apply, version, editId = `auto-${newKey()}` }) => {
      const how = { ...of(executionId), query: TEXTS };
      const { execution, ...edited } = apply
        ? await link.call(EDIT_OPERATIONS.applyEdit, { ...how, body: asBody({ edits, version, editId }) })
        : await link.call(EDIT_OPERATIONS.previewEdit, { ...how, body: asBody({ edits }) });
      return { ...edited, execution: asView(execution) };
    },
    pausePool: ({ pool }) => link.call(POOL_OPERATIONS.pausePool, { params: { pool } }),
    resumePool: ({ pool }) => link.call(POOL_OPERATIONS.resumePool, { params: { pool } }),
    limitPool: ({ pool, ...body }) => link.call(POOL_OPERATIONS.limitPool, { params: { pool }, body }),
  };
}

/** A submission without a key is each time a new one; sent twice on the way it must not become two. */
async function submitWithKeys(
  link: HttpLink,
  { submissions }: SubmitParams,
  newKey: () => string,
): ReturnType<Broker["submit"]> {
  const keyed = submissions.map((submission) => ({ ...submission, key: submission.key ?? `auto-${newKey()}` }));
  const { executions } = await link.call(EXECUTION_OPERATIONS.submitExecutions, {
    query: TEXTS,
    body: asBody({ submissions: keyed }),
  });
  return {
    executions: executions.map(({ executionId, created }, at) => ({
      executionId,
      created: submissions[at]?.key === undefined ? true : created,
    })),
  };
}

type LookingOnly = Exclude<Looking, Steering | PoolSteering | "close" | HttpStateMethod>;

function looking(link: HttpLink): Pick<PublicBroker, LookingOnly | "listSessions"> {
  return {
    getExecution: (params) => getExecution(link, params),
    listExecutions: async ({ states, kinds, name, order, idPrefix, limit, after }) => {
      const { executions, next } = await link.call(EXECUTION_OPERATIONS.listExecutions, {
        query: given({
          state: states?.join(","),
          kind: kinds?.join(","),
          name,
          order,
          prefix: idPrefix,
          limit: String(limit),
          cursor: after,
          ...TEXTS,
        }),
      });
      return { executions: executions.map(asView), ...given({ next }) };
    },
    listDeadLetters: async ({ executionId, limit, after }) => {
      const { letters, next } = await link.call(DEAD_LETTER_OPERATIONS.listDeadLetters, {
        query: given({ execution: executionId, limit: String(limit), cursor: after }),
      });
      return { letters, ...given({ next }) };
    },
    listTasks: (params) => listTasks(link, params),
    readResults: (params) => readResults(link, params),
    readEvents: (params) => readEvents(link, params),
    listPools: () => link.call(POOL_OPERATIONS.listPools, {}),
    listSessions: async ({ limit, after }) => {
      const { workers, next } = await link.call(WORKER_OPERATIONS.listWorkers, {
        query: given({ limit: String(limit), cursor: after }),
      });
      const sessions = workers.map((worker): WorkerSummary => ({
        worker: worker.workerId,
        host: worker.hostname,
        pools: worker.pools,
        capabilities: worker.capabilities,
        slots: worker.maxConcurrency,
        state: worker.status === "draining" ? "draining" : "live",
        openedAt: worker.lastHeartbeat - worker.uptime,
        lastSeenAt: worker.lastHeartbeat,
        leases: worker.currentLoad,
        completed: worker.completed,
      }));
      return { sessions, ...given({ next }) };
    },
  };
}

async function getExecution(link: HttpLink, { executionId, waitMs = 0 }: GetExecutionParams): Promise<ExecutionView> {
  const query = { ...TEXTS, ...given({ wait: waitMs > 0 ? waitText(waitMs) : undefined }) };
  return asView(await link.call(EXECUTION_OPERATIONS.getExecution, { params: { executionId }, query }, { waitMs }));
}

/** A page may be short where the results are long; the last one is empty. */
async function listTasks(
  link: HttpLink,
  { executionId, states, limit, after, children }: ListTasksParams,
): ReturnType<Broker["listTasks"]> {
  const { tasks } = await link.call(TASK_OPERATIONS.listTasks, {
    params: { executionId },
    query: given({
      state: states?.join(","),
      limit: String(limit),
      cursor: after === undefined ? undefined : String(after),
      children: children === true ? "true" : undefined,
      ...TEXTS,
    }),
  });
  return {
    tasks: tasks.map(({ result, ...task }): TaskView => ({
      ...task,
      ...(typeof result === "string" ? { result } : {}),
    })),
  };
}

async function readResults(link: HttpLink, params: ReadResultsParams): ReturnType<Broker["readResults"]> {
  const { executionId, cursor, limit, waitMs = 0, partialsOnly } = params;
  const { rows, ...page } = await link.call(
    EXECUTION_OPERATIONS.readResults,
    {
      params: { executionId },
      query: given({
        format: "json",
        cursor: cursor === undefined ? undefined : String(cursor),
        limit: String(limit),
        wait: waitMs > 0 ? waitText(waitMs) : undefined,
        partials: partialsOnly === true ? "true" : undefined,
        ...TEXTS,
      }),
    },
    { waitMs },
  );
  return { rows: rows as readonly ResultRow[], ...page };
}

async function readEvents(link: HttpLink, params: ReadEventsParams): ReturnType<Broker["readEvents"]> {
  const { executionId, cursor, limit, waitMs = 0 } = params;
  const query = given({
    cursor: cursor === FROM_NOW ? "now" : String(cursor),
    limit: String(limit),
    wait: waitMs > 0 ? waitText(waitMs) : undefined,
  });
  return executionId === undefined
    ? link.call(EVENT_OPERATIONS.listEvents, { query }, { waitMs })
    : link.call(EVENT_OPERATIONS.listExecutionEvents, { params: { executionId }, query }, { waitMs });
}

/** As the operation reads it. */
function waitText(waitMs: number): string {
  return `${Math.ceil(waitMs)}ms`;
}

/** With `texts=true` a reply's JSON values are texts, as the contract has them. */
function asView(reply: Omit<ExecutionView, "meta"> & { readonly meta?: unknown }): ExecutionView {
  return reply as ExecutionView;
}

/** With `texts=true` a request's JSON values are texts: the contract's own params are the body. */
function asBody(params: object): never {
  return params as never;
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}
