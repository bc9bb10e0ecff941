/** How a session is told as a worker. */
import type { WorkerView } from "../../api/operations/workers.ts";
import type { SessionView } from "../../broker/contract.ts";
import { UNHEALTHY_AFTER_MS } from "../worker-figures.ts";

/** What a worker over HTTP leaves with its session, for every server that serves it. */
export interface HttpMeta {
  /** Key of whoever registered it (`principalKey`). */
  readonly owner: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Marks the session of a worker over HTTP. */
const HTTP = "http";

export function metaText({ owner, metadata }: HttpMeta): string {
  return JSON.stringify({ speaks: HTTP, owner, metadata });
}

/** Undefined for a session whose worker has a connection of its own. */
export function httpMetaOf({ meta, hosted }: SessionView): HttpMeta | undefined {
  if (hosted !== true) return undefined;
  const { speaks, owner, metadata } = parsedMeta(meta) as { readonly speaks?: unknown } & Partial<HttpMeta>;
  if (speaks !== HTTP || typeof owner !== "string") return undefined;
  return { owner, metadata: typeof metadata === "object" && metadata !== null ? metadata : {} };
}

function parsedMeta(meta: string | undefined): object {
  try {
    const parsed: unknown = JSON.parse(meta ?? "{}");
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}

export type WorkerStatus = WorkerView["status"];

/** `load`: attempts that it runs. */
export function workerStatus(load: number, slots: number, isDraining: boolean): WorkerStatus {
  if (isDraining) return "draining";
  if (load <= 0) return "idle";
  return load >= slots ? "busy" : "active";
}

export function workerView(session: SessionView, now: number): WorkerView {
  const { leases, slots } = session;
  const http = httpMetaOf(session);
  return {
    workerId: session.worker,
    hostname: session.host,
    pools: [...session.pools],
    capabilities: [...session.capabilities],
    status:
      now - session.lastSeenAt > UNHEALTHY_AFTER_MS
        ? "unhealthy"
        : workerStatus(leases, slots, session.state === "draining"),
    currentLoad: leases,
    maxConcurrency: slots,
    // A worker may hold more than it runs.
    utilization: Math.min(100, Math.round((100 * leases) / slots)),
    lastHeartbeat: session.lastSeenAt,
    uptime: Math.max(0, now - session.openedAt),
    completed: session.completed,
    connection: http === undefined ? "direct" : "http",
    ...(http === undefined ? {} : { metadata: { ...http.metadata } }),
  };
}
