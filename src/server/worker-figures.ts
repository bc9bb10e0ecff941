/** Live workers in numbers. */
import type { Broker, SessionView } from "../broker/contract.ts";
import { liveSessions } from "./workers/live-sessions.ts";

/** A worker that was silent for longer is not well: it has missed several heartbeats and is not declared dead yet. */
export const UNHEALTHY_AFTER_MS = 3_000;

export interface WorkerFigures {
  readonly total: number;
  /** Some of its slots are taken. */
  readonly active: number;
  readonly idle: number;
  /** All of its slots are taken. */
  readonly busy: number;
  readonly unhealthy: number;
  /** Counted among the others as well. */
  readonly draining: number;
  readonly slots: number;
  readonly leases: number;
  readonly utilizationPercent: number;
}

export async function countWorkers(broker: Broker, now: number): Promise<WorkerFigures> {
  const sum = { total: 0, active: 0, idle: 0, busy: 0, unhealthy: 0, draining: 0, slots: 0, leases: 0 };
  let taken = 0;
  for await (const session of liveSessions(broker)) {
    sum.total += 1;
    sum[stateOf(session, now)] += 1;
    if (session.state === "draining") sum.draining += 1;
    sum.slots += session.slots;
    sum.leases += session.leases;
    taken += Math.min(session.slots, session.leases);
  }
  return { ...sum, utilizationPercent: sum.slots === 0 ? 0 : Math.round((100 * taken) / sum.slots) };
}

function stateOf({ leases, slots, lastSeenAt }: SessionView, now: number): "active" | "idle" | "busy" | "unhealthy" {
  if (now - lastSeenAt > UNHEALTHY_AFTER_MS) return "unhealthy";
  if (leases === 0) return "idle";
  return leases >= slots ? "busy" : "active";
}
