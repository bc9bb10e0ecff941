/** Jobs over HTTP. */
import { DEFAULT_JOBS, type EXECUTE_OPERATIONS } from "../../api/operations/execute.ts";
import type { ExecutionView, TaskView } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import { type HandlersOf, type ServerParts, StatusReply } from "../handler.ts";
import { jobsSubmission } from "../job-submission.ts";
import { readJobsMeta } from "../jobs-meta.ts";
import { jsonField } from "../replies.ts";
import { asRequest } from "../request-input.ts";
import { submitKey } from "../submit-key.ts";
import { withinPayload } from "../task-page.ts";
import { statusOf, waitForEnd } from "../waiting.ts";

type Handlers = HandlersOf<typeof EXECUTE_OPERATIONS>;

export function executeHandlers({ broker, clock }: ServerParts): Handlers {
  return {
    executeJobs: async ({ body, query }, call) => {
      const { submission, rename } = jobsSubmission({ ...body, key: submitKey(call, "executeJobs") });
      const { executions } = await asRequest(broker.submit({ submissions: [submission] }), rename);
      const executionId = executions[0]?.executionId;
      if (executionId === undefined)
        throw new HoldfastError("INTERNAL", { problem: "the broker answered a submission with nothing" });
      const view = await waitForEnd(broker, { executionId, waitMs: query.wait ?? 0, clock, signal: call.signal });
      const { jobs, parallelism } = body;
      return new StatusReply(statusOf(view), {
        success: true,
        executionId,
        ...timesOf(view),
        jobCount: jobs.length,
        parallelism: { wanted: parallelism, enforced: jobs.length <= parallelism },
      });
    },
    getExecute: async ({ params, query }) => {
      const view = await broker.getExecution(params);
      const { executionId, counters } = view;
      const execution = {
        executionId,
        workflowId: readJobsMeta(view.meta)?.workflowId ?? view.name,
        ...timesOf(view),
        progress: {
          total: counters.total,
          completed: counters.completed,
          failed: counters.failed,
          running: counters.running,
          waiting: counters.blocked + counters.scheduled + counters.queued,
          skipped: counters.skipped,
          cancelled: counters.cancelled,
        },
        checkpointId: null,
      };
      if (query.jobs !== true) return { success: true, execution };
      const { limit = DEFAULT_JOBS, cursor } = query;
      const { tasks } = await broker.listTasks({
        executionId,
        limit,
        ...(cursor === undefined ? {} : { after: cursor }),
      });
      const page = withinPayload(tasks, limit);
      return {
        success: true,
        execution,
        jobs: page.tasks.map(jobReply),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    },
  };
}

function timesOf(view: ExecutionView): {
  readonly status: ExecutionView["state"];
  readonly startedAt: number | null;
  readonly completedAt: number | null;
} {
  return { status: view.state, startedAt: view.startedAt ?? null, completedAt: view.endedAt ?? null };
}

function jobReply({ name, task, state, attempts, worker, lastFailure, result }: TaskView) {
  return {
    id: name,
    task,
    status: state,
    attempts,
    ...(worker === undefined ? {} : { workerId: worker }),
    ...(lastFailure === undefined ? {} : { failure: lastFailure }),
    output: jsonField(result, false),
  };
}
