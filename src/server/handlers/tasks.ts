/** Tasks over HTTP. */
import { DEFAULT_TASKS, TASK_ATTEMPTS, type TASK_OPERATIONS } from "../../api/operations/tasks.ts";
import { type ExplainParts, whyOf } from "../explain.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";
import { attemptReply, taskReply } from "../replies.ts";
import { withinPayload } from "../task-page.ts";
import type { Watch } from "../watch.ts";

export function taskHandlers(
  { broker, clock }: ServerParts,
  { throughput }: Watch,
): HandlersOf<typeof TASK_OPERATIONS> {
  const explaining: ExplainParts = { broker, clock, rate: (pool) => throughput.rate(pool) };
  return {
    listTasks: async ({ params, query }) => {
      const { state, limit = DEFAULT_TASKS, cursor, children, texts } = query;
      const { tasks } = await broker.listTasks({
        ...params,
        limit,
        ...(state === undefined ? {} : { states: state }),
        ...(cursor === undefined ? {} : { after: cursor }),
        ...(children === true ? { children } : {}),
      });
      const page = withinPayload(tasks, limit);
      return {
        tasks: page.tasks.map((task) => taskReply(task, texts)),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    },
    getTask: async ({ params, query }) => {
      const [facts, { attempts }] = await Promise.all([
        broker.explainTask(params),
        broker.listAttempts({ ...params, limit: TASK_ATTEMPTS }),
      ]);
      return {
        task: taskReply(facts.task, query.texts),
        requires: facts.requires,
        attempts: attempts.map(attemptReply),
        why: await whyOf(explaining, facts),
      };
    },
  };
}
