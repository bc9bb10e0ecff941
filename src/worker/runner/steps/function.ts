import { AttemptContext } from "../attempt-context.ts";
import { callTask } from "../call-task.ts";
import type { Ending } from "../job.ts";
import type { NodeAttempt } from "../node-attempt.ts";

export function runFunction(attempt: NodeAttempt, input: unknown): Ending | Promise<Ending> {
  const { job, loaded } = attempt;
  if (loaded.definition === undefined) return attempt.fault("its task was not loaded");
  return callTask(loaded.definition, input, new AttemptContext(job, job.run.task, attempt));
}
