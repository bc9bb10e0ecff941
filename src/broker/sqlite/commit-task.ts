/** Outcomes of separate tasks: the result and the dependents, or the retry and the dead letter. */
import type { Failure } from "../../core/failure.ts";
import { decideRetry } from "../../core/retry.ts";
import type { CompletedTask } from "../contract.ts";
import { rememberAttempt } from "./attempts.ts";
import { releaseDependents, skipDependents } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { offerTask } from "./lanes.ts";
import { COMPLETED, FAILED, type LeaseRecord, QUEUED, SCHEDULED, taskId } from "./model.ts";

export function commitTask(engine: Engine, lease: LeaseRecord, outcome: CompletedTask): void {
  const { group, task, session } = lease;
  engine.db.run(
    "UPDATE tasks SET state = ?, result = ?, duration_ms = ?, at = ?, input = iif(?, input, NULL) WHERE id = ?",
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
  releaseDependents(engine, group.execution, task);
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
  engine.db.run(
    "UPDATE tasks SET state = ?, failures = ?, failure = ?, not_before = ?, at = ? WHERE id = ?",
    notBefore === null ? QUEUED : SCHEDULED,
    failures,
    JSON.stringify(failure),
    notBefore,
    engine.now,
    taskId(execution, task),
  );
  const state = notBefore === null ? "queued" : "scheduled";
  engine.move(group, { from: "running", to: state });
  engine.journal.tasks(execution, { state, entry: task, reason: "retry" });
  if (notBefore === null) offerTask(group, task, engine.now);
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
  engine.db.run(
    "UPDATE tasks SET state = ?, failures = ?, losses = ?, failure = ?, at = ?, token = iif(?, token, NULL) WHERE id = ?",
    FAILED,
    burial.failures,
    burial.losses,
    JSON.stringify(burial.failure),
    engine.now,
    burial.keepToken ? 1 : 0,
    taskId(group.execution, task),
  );
  engine.move(group, { from: "running", to: "failed" });
  engine.noteDeadLetter(group.execution, burial.failure);
  engine.journal.tasks(group.execution, { state: "failed", entry: task });
  skipDependents(engine, group.execution, task);
}
