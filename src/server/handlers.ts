/** Every handler, by the id of its operation. */
import type { OPERATIONS } from "../api/operations.ts";
import type { Access } from "./access.ts";
import type { HandlersOf, ServerParts } from "./handler.ts";
import { deadLetterHandlers } from "./handlers/dead-letters.ts";
import { editHandlers } from "./handlers/edit.ts";
import { eventHandlers } from "./handlers/events.ts";
import { executeHandlers } from "./handlers/execute.ts";
import { executionHandlers } from "./handlers/executions.ts";
import { graphHandlers } from "./handlers/graph.ts";
import { healthHandlers } from "./handlers/health.ts";
import { poolHandlers } from "./handlers/pools.ts";
import { queueHandlers } from "./handlers/queue.ts";
import { stateHandlers } from "./handlers/state.ts";
import { taskHandlers } from "./handlers/tasks.ts";
import { tokenHandlers } from "./handlers/tokens.ts";
import { whyHandlers } from "./handlers/why.ts";
import { workerHandlers } from "./handlers/workers.ts";
import { startWatch } from "./watch.ts";

export function allHandlers(parts: ServerParts, access: Access): HandlersOf<typeof OPERATIONS> {
  const watch = startWatch(parts);
  return {
    ...executionHandlers(parts),
    ...editHandlers(parts),
    ...taskHandlers(parts, watch),
    ...graphHandlers(parts),
    ...executeHandlers(parts),
    ...eventHandlers(parts, watch),
    ...deadLetterHandlers(parts),
    ...workerHandlers(parts),
    ...queueHandlers(parts, watch),
    ...poolHandlers(parts, watch),
    ...stateHandlers(parts),
    ...tokenHandlers(parts, access),
    ...healthHandlers(parts),
    ...whyHandlers(parts, watch),
  };
}
