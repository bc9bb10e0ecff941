/**
 * Health is asked of the parts themselves, each with a short time to answer: a broker that hangs is
 * as ill as one that refuses. Whether the process lives is answered without asking anybody.
 */
import { buildOpenApi } from "../../api/openapi.ts";
import type { HEALTH_OPERATIONS } from "../../api/operations/health.ts";
import { RESERVED_PREFIX } from "../../broker/limits.ts";
import { answered } from "../deadline.ts";
import { type HandlersOf, RawReply, type ServerParts, StatusReply } from "../handler.ts";
import { countWorkers, type WorkerFigures } from "../worker-figures.ts";

const COMPONENT_DEADLINE_MS = 2_000;
const READY_DEADLINE_MS = 1_000;
/** Nobody writes it: looking for it is the cheapest question about the state store. */
const PROBE_KEY = `${RESERVED_PREFIX}health`;

export function healthHandlers(parts: ServerParts): HandlersOf<typeof HEALTH_OPERATIONS> {
  const { broker, clock, closing, version } = parts;
  const ask = <T>(call: () => Promise<T>): Promise<{ readonly answer: T } | undefined> =>
    answered(clock, COMPONENT_DEADLINE_MS, call);
  /** Made when somebody asks for it. */
  let document: string | undefined;
  return {
    getHealth: async () => {
      const [queue, workers, store] = await Promise.all([
        ask(() => broker.listPools()),
        ask(() => countWorkers(broker, clock.now())),
        ask(() => broker.readValue({ key: PROBE_KEY })),
      ]);
      const components = {
        queue: { healthy: queue !== undefined, name: "Job Queue" },
        workerManager: { healthy: workers !== undefined, name: "Worker Manager" },
        stateStore: { healthy: store !== undefined, name: "State Store" },
      };
      const ill = Object.values(components).filter(({ healthy }) => !healthy);
      const healthy = ill.length === 0;
      const report = { success: healthy, healthy, components, workers: figures(workers?.answer) };
      if (healthy) return report;
      const error = `${ill.map(({ name }) => name).join(", ")}: no answer within ${COMPONENT_DEADLINE_MS} ms, or an error.`;
      return new StatusReply(500, { ...report, error });
    },
    getLiveness: async () => ({ live: true }),
    getReadiness: async () => {
      if (closing.aborted) return notReady("The server is closing.");
      const found = await answered(clock, READY_DEADLINE_MS, () => broker.readValue({ key: PROBE_KEY }));
      return found === undefined ? notReady("The broker does not answer in time.") : { ready: true };
    },
    getVersion: async () => ({ name: "holdfast", version, api: "v1" }),
    getOpenApi: async () => {
      document ??= JSON.stringify(buildOpenApi(version));
      return new RawReply("application/json; charset=utf-8", document);
    },
  };
}

function notReady(reason: string): StatusReply<{ ready: boolean; reason: string }> {
  return new StatusReply(503, { ready: false, reason });
}

function figures(
  known: WorkerFigures | undefined,
): Pick<WorkerFigures, "total" | "active" | "idle" | "busy" | "unhealthy" | "utilizationPercent"> {
  const { total = 0, active = 0, idle = 0, busy = 0, unhealthy = 0, utilizationPercent = 0 } = known ?? {};
  return { total, active, idle, busy, unhealthy, utilizationPercent };
}
