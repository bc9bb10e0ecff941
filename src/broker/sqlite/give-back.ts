/**
 * A lease that ends without an outcome: handed back by its worker (`returned`: costs nothing), or
 * taken away because its session died (`lost`: counted apart from failures of the user's code).
 *
 * What kills its worker `maxLosses` times is a poison pill and becomes a dead letter. A chunk that
 * is one loss away from it is divided, so that only the piece that does it is buried.
 */
import type { Failure } from "../../core/failure.ts";
import { rememberLoss } from "./attempts.ts";
import { endArray } from "./commit-chunk.ts";
import { buryTask } from "./commit-task.ts";
import type { Engine } from "./engine.ts";
import { offerTask } from "./lanes.ts";
import { BLOCKED, type LeaseRecord, QUEUED, taskId } from "./model.ts";
import { buryRange, requeueRange } from "./ranges.ts";
import { requeueReplica } from "./verification.ts";

/** Pieces into which a chunk is divided before it runs for the last time. */
const POISON_PIECES = 100;

export function giveBack(engine: Engine, lease: LeaseRecord, reason: "returned" | "lost"): void {
  const isLost = reason === "lost";
  if (isLost) noteLoss(engine, lease);
  if (lease.replica > 0) requeueReplica(engine, lease, isLost);
  else if (lease.start < 0) giveBackTask(engine, lease, isLost);
  else giveBackChunk(engine, lease, isLost);
}

function noteLoss(engine: Engine, lease: LeaseRecord): void {
  const { execution } = lease.group;
  execution.counts.lost += 1;
  engine.touch(execution);
  rememberLoss(engine, lease);
}

function giveBackTask(engine: Engine, lease: LeaseRecord, isLost: boolean): void {
  const { group, task } = lease;
  const losses = lease.losses + (isLost ? 1 : 0);
  if (losses >= group.spec.maxLosses) {
    buryTask(engine, lease, { failure: poison(losses), failures: lease.failures, losses, keepToken: false });
    return;
  }
  const row = engine.db.get(
    `UPDATE tasks SET state = iif(held, ${BLOCKED}, ${QUEUED}), losses = ?, attempt = ?, token = iif(?, NULL, -token),
       at = ? WHERE id = ? RETURNING held`,
    losses,
    isLost ? lease.attempt : lease.attempt - 1,
    isLost ? 1 : 0,
    engine.now,
    taskId(group.execution, task),
  );
  const state = row?.["held"] === 1 ? "blocked" : "queued";
  engine.move(group, { from: "running", to: state });
  engine.journal.tasks(group.execution, { state, entry: task, reason: isLost ? "lost" : "returned" });
  if (state === "queued") offerTask(group, task, engine.now);
  if (isLost) group.pool.ready.recall(group);
}

function giveBackChunk(engine: Engine, lease: LeaseRecord, isLost: boolean): void {
  const { maxLosses } = lease.group.spec;
  const { start, end, failures, careful } = lease;
  const losses = lease.losses + (isLost ? 1 : 0);
  const attempt = isLost ? lease.attempt : lease.attempt - 1;
  const token = isLost ? null : -lease.token;
  const reason = isLost ? "lost" : "returned";
  if (losses >= maxLosses) {
    buryRange(engine, lease, {
      range: { start, end, attempt, failures, losses, careful },
      token,
      failure: poison(losses),
    });
    endArray(engine, lease.group);
    return;
  }
  const isLastTry = isLost && losses === maxLosses - 1;
  const step = isLastTry ? Math.ceil((end - start) / POISON_PIECES) : end - start;
  for (let at = start; at < end; at += step) {
    const range = { start: at, end: Math.min(end, at + step), attempt, failures, losses, careful };
    requeueRange(engine, lease, { range, token, reason });
  }
  if (isLost) lease.group.pool.ready.recall(lease.group);
}

function poison(losses: number): Failure {
  return {
    class: "worker-lost",
    code: "POISON_PILL",
    message: `${losses} workers died while they ran this; it is not tried again.`,
  };
}
