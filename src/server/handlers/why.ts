import type { WHY_OPERATIONS } from "../../api/operations/why.ts";
import { explainTask, type ExplainParts, surveyExecution } from "../explain.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";
import type { Watch } from "../watch.ts";

export function whyHandlers({ broker, clock }: ServerParts, { throughput }: Watch): HandlersOf<typeof WHY_OPERATIONS> {
  const parts: ExplainParts = { broker, clock, rate: (pool) => throughput.rate(pool) };
  return {
    explainTask: ({ params }) => explainTask(parts, params.executionId, params.task),
    explainExecution: ({ params }) => surveyExecution(parts, params.executionId),
  };
}
