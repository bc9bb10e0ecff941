/** Outcomes of separate tasks: the result and the dependents, or the retry and the dead letter. */
import type { Failure } from "../../core/failure.ts";
import { decideRetry } from "../../core/retry.ts";
import type { CompletedTask, SkippedTask } from "../contract.ts";
import { rememberAttempt } from "./attempts.ts";
import { releaseDependents, skipDependents } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { offerTask } from "./lanes.ts";
import { BLOCKED, COMPLETED, FAILED, type LeaseRecord, QUEUED, SCHEDULED, SKIPPED, taskId } from "./model.ts";

export function commitTask(engine: Engine, lease: LeaseRecord, outcome: CompletedTask): void {
  const { group, task, session } = lease;
  engine.db.run(
    `UPDATE tasks SET state = ?1, result = ?2, duration_ms = ?3, at = ?4, input = iif(?5, input, NULL),
       wake = iif(?5, wake, NULL), held = 0 WHERE id = ?6`,
    COMPLETED,
    outcome.result === "null" ? null : outcome.result,
    outcome.durationMs,
    engine.now,
    group.execution.keepInputs ? 1 : 0,
    taskId(group.execution, task),
  );
  engine.move(group, { from: "running", to: "completed" });
  engine.journal.tasks(group.execution, { state: "completed", entry: task, worker: session.profile.worker });
  session.completed += 1;
  if (outcome.output !== undefined) rememberAttempt(engine, lease, outcome);
  if (!hasReleased(engine, lease)) releaseDependents(engine, group.execution, task);
}

/** Whether what waits for the task was let go when it failed, before it was tried once more by hand. */
function hasReleased(engine: Engine, { group, task }: LeaseRecord): boolean {
  if (group.spec.onFailure !== "continue") return false;
  return engine.db.get("SELECT passes FROM tasks WHERE id = ?", taskId(group.execution, task))?.["passes"] === 1;
}

/** The task's own condition says no. */
export function skipTask(engine: Engine, lease: LeaseRecord, outcome: SkippedTask): void {
  const { group, task } = lease;
  const { execution } = group;
  const releases = outcome.dependents === "release" && !hasReleased(engine, lease);
  engine.db.run(
    `UPDATE tasks SET state = ?1, at = ?2, passes = iif(?3, 1, passes), input = iif(?4, input, NULL),
       wake = iif(?4, wake, NULL), held = 0 WHERE id = ?5`,
    SKIPPED,
    engine.now,
    outcome.dependents === "release" ? 1 : 0,
    execution.keepInputs ? 1 : 0,
    taskId(execution, task),
  );
  engine.move(group, { from: "running", to: "skipped" });
  engine.journal.tasks(execution, { state: "skipped", entry: task, reason: "condition" });
  if (outcome.output !== undefined) rememberAttempt(engine, lease, outcome);
  if (releases) releaseDependents(engine, execution, task);
  else if (outcome.dependents === "skip") skipDependents(engine, execution, task);
}

export function failTask(engine: Engine, lease: LeaseRecord, failure: Failure): void {
  const { group, task } = lease;
  const { execution } = group;
  const failures = lease.failures + 1;
  const decision = decideRetry(group.spec.retry, { failures, class: failure.class }, engine.random);
  if (decision.kind === "dead-letter") {
    buryTask(engine, lease, { failure, failures, losses: lease.losses, keepToken: true });
    return;
  }
  execution.counts.retries += 1;
  const notBefore = decision.delayMs > 0 ? engine.now + decision.delayMs : null;
  const row = engine.db.get(
    `UPDATE tasks SET state = iif(held, ${BLOCKED}, ?), failures = ?, failure = ?, not_before = ?, at = ? WHERE id = ?
     RETURNING held`,
    notBefore === null ? QUEUED : SCHEDULED,
    failures,
    JSON.stringify(failure),
    notBefore,
    engine.now,
    taskId(execution, task),
  );
  const state = row?.["held"] === 1 ? "blocked" : notBefore === null ? "queued" : "scheduled";
  engine.move(group, { from: "running", to: state });
  engine.journal.tasks(execution, { state, entry: task, reason: "retry" });
  if (state === "queued") offerTask(group, task, engine.now);
}

export interface Burial {
  readonly failure: Failure;
  readonly failures: number;
  readonly losses: number;
  /** False when the lease was taken away: nothing its holder says may count. */
  readonly keepToken: boolean;
}

/** Makes a running task a dead letter. */
export function buryTask(engine: Engine, lease: LeaseRecord, burial: Burial): void {
  const { group, task } = lease;
  const isBorne = group.spec.onFailure === "continue";
  const hasReleasedBefore = hasReleased(engine, lease);
  engine.db.run(
    `UPDATE tasks SET state = ?, failures = ?, losses = ?, failure = ?, at = ?, token = iif(?, token, NULL),
       passes = iif(?, 1, passes), held = 0, waiting_on = 0 WHERE id = ?`,
    FAILED,
    burial.failures,
    burial.losses,
    JSON.stringify(burial.failure),
    engine.now,
    burial.keepToken ? 1 : 0,
    isBorne ? 1 : 0,
    taskId(group.execution, task),
  );
  engine.move(group, { from: "running", to: "failed" });
  engine.journal.tasks(group.execution, { state: "failed", entry: task });
  if (!isBorne) {
    engine.noteDeadLetter(group.execution, burial.failure);
    skipDependents(engine, group.execution, task);
    return;
  }
  group.execution.counts.borne += 1;
  if (!hasReleasedBefore) releaseDependents(engine, group.execution, task);
}
