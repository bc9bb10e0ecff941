/** Transitions pause, resume and cancel, of executions and of pools (promise 6). */
import { HoldfastError } from "../../errors/index.ts";
import type { Engine } from "./engine.ts";
import { offer } from "./lanes.ts";
import type { ExecutionRecord, PoolRecord } from "./model.ts";

export function pause(engine: Engine, executionId: string): ExecutionRecord {
  const execution = engine.liveExecution(executionId);
  for (const group of execution.groups) group.pool.ready.remove(group);
  engine.changeState(execution, "paused");
  return execution;
}

export function resume(engine: Engine, executionId: string): ExecutionRecord {
  const execution = engine.liveExecution(executionId);
  if (execution.state !== "paused") return execution;
  engine.changeState(execution, execution.startedAt === undefined ? "pending" : "running");
  for (const group of execution.groups) offer(group, engine.now);
  return execution;
}

/** A repeat is harmless: cancelling what is cancelled changes nothing. */
export function cancel(engine: Engine, params: { readonly executionId: string; readonly reason?: string }): void {
  const execution = engine.model.executionsById.get(params.executionId);
  if (execution !== undefined) {
    engine.end(execution, "cancelled", params.reason);
    return;
  }
  const state = engine.db.get("SELECT state FROM executions WHERE id = ?", params.executionId)?.["state"];
  if (state === "cancelled") return;
  if (state === undefined) throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: params.executionId });
  throw new HoldfastError("EXECUTION_ENDED", { execution: params.executionId, state: String(state) });
}

export function setPoolPaused(engine: Engine, name: string, paused: boolean): PoolRecord {
  const pool = engine.model.pool(name);
  pool.paused = paused;
  engine.db.run(
    "INSERT INTO pools (name, paused) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET paused = excluded.paused",
    name,
    paused ? 1 : 0,
  );
  return pool;
}
