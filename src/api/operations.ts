/** Every operation of the HTTP API, by its id. */
import type { Operation } from "./operation.ts";
import { DEAD_LETTER_OPERATIONS } from "./operations/dead-letters.ts";
import { EDIT_OPERATIONS } from "./operations/edit.ts";
import { EVENT_OPERATIONS } from "./operations/events.ts";
import { EXECUTE_OPERATIONS } from "./operations/execute.ts";
import { EXECUTION_OPERATIONS } from "./operations/executions.ts";
import { GRAPH_OPERATIONS } from "./operations/graph.ts";
import { HEALTH_OPERATIONS } from "./operations/health.ts";
import { POOL_OPERATIONS } from "./operations/pools.ts";
import { QUEUE_OPERATIONS } from "./operations/queue.ts";
import { STATE_OPERATIONS } from "./operations/state.ts";
import { TASK_OPERATIONS } from "./operations/tasks.ts";
import { TOKEN_OPERATIONS } from "./operations/tokens.ts";
import { WHY_OPERATIONS } from "./operations/why.ts";
import { WORKER_OPERATIONS } from "./operations/workers.ts";

export const OPERATIONS = {
  ...EXECUTION_OPERATIONS,
  ...EDIT_OPERATIONS,
  ...TASK_OPERATIONS,
  ...GRAPH_OPERATIONS,
  ...EXECUTE_OPERATIONS,
  ...EVENT_OPERATIONS,
  ...DEAD_LETTER_OPERATIONS,
  ...WORKER_OPERATIONS,
  ...QUEUE_OPERATIONS,
  ...POOL_OPERATIONS,
  ...STATE_OPERATIONS,
  ...TOKEN_OPERATIONS,
  ...HEALTH_OPERATIONS,
  ...WHY_OPERATIONS,
};

export type OperationId = keyof typeof OPERATIONS;

export const OPERATION_LIST = Object.entries(OPERATIONS) as readonly (readonly [OperationId, Operation])[];
