/** Transitions pause, resume and cancel, of executions and of pools, and the limits of pools (promise 6). */
import { HoldfastError } from "../../errors/index.ts";
import { ALL_POOLS, type LimitPoolParams, type Pause, type SteerParams, type SteerPoolParams } from "../contract.ts";
import type { Engine } from "./engine.ts";
import { offer } from "./lanes.ts";
import { chooseActive } from "./model.ts";

export function pause(engine: Engine, { executionId, by }: SteerParams): void {
  const execution = engine.liveExecution(executionId);
  if (execution.state === "paused") return;
  for (const group of execution.groups) group.pool.ready.remove(group);
  execution.pause = pauseNow(engine, by);
  engine.changeState(execution, "paused");
}

export function resume(engine: Engine, { executionId }: SteerParams): void {
  const execution = engine.liveExecution(executionId);
  if (execution.state !== "paused") return;
  engine.changeState(execution, execution.startedAt === undefined ? "pending" : "running");
  for (const group of execution.groups) offer(group, engine.now);
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

export function pausePool(engine: Engine, { pool: name, by }: SteerPoolParams): void {
  const { model } = engine;
  const pause = name === ALL_POOLS ? model.allPaused : model.pool(name).pause;
  if (pause === undefined) setPoolPause(engine, name, pauseNow(engine, by));
}

export function resumePool(engine: Engine, { pool }: SteerPoolParams): void {
  setPoolPause(engine, pool, undefined);
}

function setPoolPause(engine: Engine, name: string, pause: Pause | undefined): void {
  const { model, db } = engine;
  if (name === ALL_POOLS) model.allPaused = pause;
  else model.pool(name).pause = pause;
  db.run(
    `INSERT INTO pools (name, paused, paused_by, paused_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, paused_by = excluded.paused_by, paused_at = excluded.paused_at`,
    name,
    pause === undefined ? 0 : 1,
    pause?.by ?? null,
    pause?.at ?? null,
  );
}

/** Those of its workers that come to be within the limit, and wait, are served in the same transaction. */
export function limitPool(engine: Engine, { pool: name, min, max }: LimitPoolParams): void {
  const pool = engine.model.pool(name);
  pool.min = min;
  pool.max = max;
  chooseActive(pool);
  engine.db.run(
    `INSERT INTO pools (name, paused, min_workers, max_workers) VALUES (?, 0, ?, ?)
     ON CONFLICT (name) DO UPDATE SET min_workers = excluded.min_workers, max_workers = excluded.max_workers`,
    name,
    min,
    max ?? null,
  );
}

function pauseNow(engine: Engine, by: string | undefined): Pause {
  return { at: engine.now, ...(by === undefined ? {} : { by }) };
}
