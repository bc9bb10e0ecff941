/** Runs one separate task: a task of the user's, or a node of a workflow. */
import { AttemptContext } from "./attempt-context.ts";
import { callTask } from "./call-task.ts";
import { failureFromThrown } from "./failure.ts";
import { type Ending, failed, failedBy, type Job, loadFailure } from "./job.ts";
import type { runNode as RunNode } from "./node-run.ts";

/** Imported when the first node comes, so that a runner starts quickly. */
let runNode: typeof RunNode | undefined;

export function runTask(job: Job): Ending | Promise<Ending> {
  return callLoaded(job) ?? loadAndCall(job);
}

function callLoaded(job: Job): Ending | Promise<Ending> | undefined {
  const { definition, node } = job.spec;
  if (node !== undefined) return runNode?.(node, job);
  if (definition === undefined) return undefined;
  let input: unknown;
  try {
    input = JSON.parse(job.run.input ?? "null");
  } catch (thrown) {
    return failedBy(thrown);
  }
  return callTask(definition, input, new AttemptContext(job, job.run.task));
}

async function loadAndCall(job: Job): Promise<Ending> {
  try {
    await job.spec.load();
    if (job.spec.node !== undefined) ({ runNode } = await import("./node-run.ts"));
  } catch (thrown) {
    return failed(loadFailure(thrown));
  }
  if (job.control.isAborted) return failed(failureFromThrown(job.control.signal.reason));
  return runTask(job);
}
