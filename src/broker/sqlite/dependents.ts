/** What a task's end means for the tasks that wait for it. In the same transaction as the end itself. */
import type { Engine } from "./engine.ts";
import { splitTaskId } from "./journal.ts";
import { offerTask } from "./lanes.ts";
import { BLOCKED, type ExecutionRecord, groupOf, QUEUED, SKIPPED, taskId } from "./model.ts";

/** The task has completed: children whose last parent it was are queued. */
export function releaseDependents(engine: Engine, execution: ExecutionRecord, task: number): void {
  for (const child of children(engine, execution, task)) {
    const row = engine.db.get(
      "UPDATE tasks SET waiting_on = waiting_on - 1 WHERE id = ? AND state = ? RETURNING waiting_on",
      taskId(execution, child),
      BLOCKED,
    );
    if (row === undefined || Number(row["waiting_on"]) > 0) continue;
    const group = groupOf(execution, child);
    if (group === undefined) continue;
    engine.db.run("UPDATE tasks SET state = ? WHERE id = ?", QUEUED, taskId(execution, child));
    // A delayed group falls due as a whole (see timers.ts).
    if (group.notBefore !== undefined) {
      engine.move(group, { from: "blocked", to: "scheduled" });
      continue;
    }
    engine.move(group, { from: "blocked", to: "queued" });
    engine.journal.tasks(execution, { state: "queued", entry: child, reason: "released" });
    offerTask(group, child, engine.now);
  }
}

/** The task will never complete: everything that waits for it, directly or not, is skipped. */
export function skipDependents(engine: Engine, execution: ExecutionRecord, task: number): void {
  const ended = [task];
  for (let parent = ended.pop(); parent !== undefined; parent = ended.pop()) {
    for (const child of children(engine, execution, parent)) {
      const skipped = engine.db.run(
        "UPDATE tasks SET state = ?, at = ? WHERE id = ? AND state = ?",
        SKIPPED,
        engine.now,
        taskId(execution, child),
        BLOCKED,
      );
      const group = groupOf(execution, child);
      if (skipped === 0 || group === undefined) continue;
      engine.move(group, { from: "blocked", to: "skipped" });
      engine.journal.tasks(execution, { state: "skipped", entry: child });
      ended.push(child);
    }
  }
}

function children(engine: Engine, execution: ExecutionRecord, task: number): number[] {
  if (!execution.groups.some((group) => group.linked)) return [];
  return engine.db
    .all("SELECT child FROM edges WHERE parent = ?", taskId(execution, task))
    .map((row) => splitTaskId(Number(row["child"])).task);
}
